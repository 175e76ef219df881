//! Whether a decoded model is complete: names are defined once and exist where they are used, nodes can be put into an order,
//! initializers have as many values as their shapes say. Nodes are put into an order in which they can run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::Path;

use super::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use super::tensor;

/// The versions of ONNX's own operator set that are read. Handlers follow the history of their operators from version 6 on; of what
/// is older, they import what was the same then, and say what they miss in the rest.
pub(super) const OPSETS: std::ops::RangeInclusive<i64> = 1..=28;

/// Names that are visible in a graph: its own, and those of the graphs around it.
struct Names<'a> {
    own: HashSet<String>,
    outer: Option<&'a Self>,
}

impl Names<'_> {
    fn contains(&self, name: &str) -> bool {
        self.own.contains(name) || self.outer.is_some_and(|outer| outer.contains(name))
    }
}

/// True for the two names of ONNX's own domain.
pub(super) fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// How an error names a node.
pub(super) fn describe(node: &NodeProto) -> String {
    match (&*node.name, node.output.first()) {
        ("", Some(output)) => format!("the {} that gives {output:?}", node.op_type),
        ("", None) => format!("a node {}", node.op_type),
        (name, _) => format!("node {name:?} ({})", node.op_type),
    }
}

/// The graphs in a node's attributes.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().map(|graph| &**graph).chain(&attribute.graphs))
}

fn subgraphs_mut(attribute: &mut AttributeProto) -> impl Iterator<Item = &mut GraphProto> {
    attribute.g.iter_mut().map(|graph| &mut **graph).chain(&mut attribute.graphs)
}

/// Checks a model and sorts its nodes.
///
/// # Errors
/// The first thing that is wrong, with its location in the model.
pub(super) fn check(model: &mut ModelProto, folder: Option<&Path>) -> Result<(), String> {
    opsets(&model.opset_import)?;
    let Some(main) = &mut model.graph else { return Err("not an ONNX model: there is no graph in it".into()) };
    graph(main, None, folder)?;
    let mut known = HashSet::new();
    for function in &mut model.functions {
        let name = format!("{}::{}", function.domain, function.name);
        if !known.insert((function.domain.clone(), function.name.clone(), function.overload.clone())) {
            return Err(format!("function {name} is there twice"));
        }
        self::function(function, folder).map_err(|message| format!("function {name}: {message}"))?;
    }
    Ok(())
}

fn opsets(imports: &[OperatorSetIdProto]) -> Result<(), String> {
    match imports.iter().find(|import| is_default(&import.domain) && !OPSETS.contains(&import.version)) {
        Some(import) => {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            Err(format!("it is written for opset {}; {first} to {last} are known", import.version))
        }
        None => Ok(()),
    }
}

fn graph(graph: &mut GraphProto, outer: Option<&Names<'_>>, folder: Option<&Path>) -> Result<(), String> {
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map_or("", |values| &values.name);
        return Err(format!("initializer {name:?} is sparse; only dense ones are supported"));
    }
    let mut own = HashSet::new();
    for input in &graph.input {
        if input.name.is_empty() {
            return Err("an input has no name".into());
        }
        if !own.insert(input.name.clone()) {
            return Err(format!("two inputs have the name {:?}", input.name));
        }
    }
    let mut initializers = HashSet::new();
    for initializer in &graph.initializer {
        let name = &initializer.name;
        if name.is_empty() {
            return Err("an initializer has no name".into());
        }
        if !initializers.insert(name) {
            return Err(format!("two initializers have the name {name:?}"));
        }
        tensor::check(initializer, folder).map_err(|message| format!("initializer {name:?}: {message}"))?;
        own.insert(name.clone());
    }
    let mut names = Names { own, outer };
    nodes(&mut graph.node, &mut names, folder)?;
    match graph.output.iter().find(|output| !names.contains(&output.name)) {
        Some(output) => Err(format!("output {:?} is computed by no node", output.name)),
        None => Ok(()),
    }
}

fn function(function: &mut FunctionProto, folder: Option<&Path>) -> Result<(), String> {
    opsets(&function.opset_import)?;
    let mut names = Names { own: HashSet::new(), outer: None };
    for input in &function.input {
        if !names.own.insert(input.clone()) {
            return Err(format!("two inputs have the name {input:?}"));
        }
    }
    nodes(&mut function.node, &mut names, folder)?;
    match function.output.iter().find(|output| !names.contains(output)) {
        Some(output) => Err(format!("output {output:?} is computed by no node")),
        None => Ok(()),
    }
}

/// Sorts the nodes, then checks the graphs in them; `names` gains what they give.
fn nodes(nodes: &mut Vec<NodeProto>, names: &mut Names<'_>, folder: Option<&Path>) -> Result<(), String> {
    let order = order(nodes, names)?;
    if !order.is_sorted() {
        let mut moved: Vec<Option<NodeProto>> = std::mem::take(nodes).into_iter().map(Some).collect();
        nodes.extend(order.into_iter().filter_map(|index| moved.get_mut(index)?.take()));
    }
    let outputs = nodes.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
    names.own.extend(outputs.cloned());
    for node in nodes {
        let nests = node.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty());
        let location = if nests { describe(node) } else { String::new() };
        for inner in node.attribute.iter_mut().flat_map(subgraphs_mut) {
            graph(inner, Some(&*names), folder).map_err(|message| format!("{location}: {message}"))?;
        }
    }
    Ok(())
}

/// An order in which nodes come after what they need, and else stay as they are.
fn order(nodes: &[NodeProto], names: &Names<'_>) -> Result<Vec<usize>, String> {
    let mut producers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if names.own.contains(output) || producers.insert(output, index).is_some() {
                return Err(format!("{}: the name {output:?} is defined twice", describe(node)));
            }
        }
    }
    let mut waiting = vec![0_usize; nodes.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, (node, waiting)) in nodes.iter().zip(&mut waiting).enumerate() {
        let mut needed: Vec<&str> = node.input.iter().map(String::as_str).collect();
        subgraphs(node).for_each(|graph| free(graph, &mut needed));
        for name in needed.into_iter().filter(|name| !name.is_empty()) {
            match producers.get(name).and_then(|&giver| followers.get_mut(giver)) {
                Some(followers) => {
                    followers.push(index);
                    *waiting += 1;
                }
                None if names.contains(name) => {}
                None => return Err(format!("{} takes {name:?}, which nothing gives", describe(node))),
            }
        }
    }
    let ready = waiting.iter().enumerate().filter(|&(_, &waiting)| waiting == 0).map(|(index, _)| Reverse(index));
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &follower in followers.get(index).into_iter().flatten() {
            if let Some(waiting) = waiting.get_mut(follower) {
                *waiting -= 1;
                if *waiting == 0 {
                    ready.push(Reverse(follower));
                }
            }
        }
    }
    match nodes.iter().zip(&waiting).find(|&(_, &waiting)| waiting > 0) {
        Some((node, _)) => Err(format!("{} needs its own result: the graph has a cycle", describe(node))),
        None => Ok(order),
    }
}

/// The names that a graph takes from the graphs around it.
fn free<'a>(graph: &'a GraphProto, found: &mut Vec<&'a str>) {
    let mut needed: Vec<&str> = Vec::new();
    for node in &graph.node {
        needed.extend(node.input.iter().map(String::as_str));
        subgraphs(node).for_each(|inner| free(inner, &mut needed));
    }
    needed.extend(graph.output.iter().map(|output| &*output.name));
    let own: HashSet<&str> = (graph.input.iter().map(|input| &*input.name))
        .chain(graph.initializer.iter().map(|initializer| &*initializer.name))
        .chain(graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)))
        .collect();
    found.extend(needed.into_iter().filter(|name| !own.contains(name)));
}
