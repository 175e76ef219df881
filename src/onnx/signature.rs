//! Which initializers of a graph are parameters. PyTorch's exporter from 2.5 on puts numbers of the program's text among the
//! initializers too (a factor, the bounds of a clip, a first state of zeros), and says in the file's metadata what the module's
//! parameters were, and what it has folded into what. Where a file says nothing, all float initializers are parameters.

use std::collections::{HashMap, HashSet};

use super::proto::{GraphProto, StringStringEntryProto};

const SIGNATURE: &str = "pkg.torch.export.ExportedProgram.graph_signature";
const FOLDED: &str = "pkg.onnxscript.optimizer.folded_from";

fn property<'a>(properties: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    properties.iter().find(|property| property.key == key).map(|property| &*property.value)
}

/// True where the file says what its parameters are.
pub(super) fn is_given(graph: &GraphProto) -> bool {
    property(&graph.metadata_props, SIGNATURE).is_some_and(|signature| signature.contains(": PARAMETER target='"))
}

/// The initializers that the file's own metadata says are no parameters.
pub(super) fn constants(graph: &GraphProto) -> HashSet<&str> {
    let signature = property(&graph.metadata_props, SIGNATURE).unwrap_or_default();
    let target = |line: &'_ str| -> Option<String> {
        let (_, rest) = line.split_once(": PARAMETER target='")?;
        Some(rest.split_once('\'')?.0.to_owned())
    };
    let parameters: HashSet<String> = signature.lines().filter_map(target).collect();
    if parameters.is_empty() {
        return HashSet::new();
    }
    let folded: HashMap<&str, &str> = graph
        .value_info
        .iter()
        .filter_map(|info| Some((&*info.name, property(&info.metadata_props, FOLDED)?)))
        .collect();
    // A list as Python prints it.
    let from_parameter = |text: &&str| text.split('\'').any(|name| parameters.contains(name));
    let names = graph.initializer.iter().map(|initializer| &*initializer.name);
    names.filter(|&name| !parameters.contains(name) && !folded.get(name).is_some_and(from_parameter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{TensorProto, ValueInfoProto};

    fn entry(key: &str, value: &str) -> Vec<StringStringEntryProto> {
        vec![StringStringEntryProto { key: key.into(), value: value.into() }]
    }

    #[test]
    fn a_file_says_what_its_parameters_are() {
        let initializer = ["fc.weight", "val_7", "val_9", "fc.running_mean"]
            .map(|name| TensorProto { name: name.into(), ..TensorProto::default() });
        let info = |name: &str, from: &str| ValueInfoProto {
            name: name.into(),
            metadata_props: entry(FOLDED, from),
            ..ValueInfoProto::default()
        };
        let mut graph = GraphProto {
            initializer: initializer.into(),
            value_info: vec![info("val_7", "['val_3', 'val_4']"), info("val_9", "['lstm.bias', 'val_3']")],
            ..GraphProto::default()
        };
        assert!(constants(&graph).is_empty());
        let lines = "\n# inputs\np_fc_weight: PARAMETER target='fc.weight'\np_bias: PARAMETER target='lstm.bias'\n\
                     b_mean: BUFFER target='fc.running_mean' persistent=True\nx: USER_INPUT\n";
        graph.metadata_props = entry(SIGNATURE, lines);
        assert_eq!(constants(&graph), HashSet::from(["val_7", "fc.running_mean"]));
    }
}
