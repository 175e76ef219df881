//! Reads `tests/golden/` (its format stands in `tools/README.md`) and compares with it.
//!
//! A test binary says `mod support;`, reads a family, and gives each case's reference: what it is in terms of the library.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::devices::slack;
use serde_json::Value;
use wgrad::device::Device;
use wgrad::graph::{Graph, Tensor};
use wgrad::safetensors::{self, Tensors};
use wgrad::tensor::TensorData;
use wgrad::{Error, Result};

/// How far a value may be from the right one: `absolute + relative · |right|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { absolute: 1e-6, relative: 1e-5 }
    }
}

impl Tolerance {
    /// Wider by a factor.
    pub fn times(self, factor: f64) -> Self {
        Self { absolute: self.absolute * factor, relative: self.relative * factor }
    }
}

/// One case of a family, with its tensors.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub op: String,
    pub inputs: Vec<TensorData>,
    pub differentiable: Vec<bool>,
    pub outputs: Vec<TensorData>,
    /// What arrives at each output from above; nothing at those that are no floats.
    pub upstream: Vec<Option<TensorData>>,
    pub gradients: Vec<Option<TensorData>>,
    pub tolerance: Tolerance,
    /// Everything in the case's line, for families of another shape.
    pub fields: Value,
    tensors: Rc<Tensors>,
}

/// All cases of a family, such as `loss`.
pub fn read(family: &str) -> Result<Vec<Case>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = directory.join(format!("{family}.json"));
    let text = std::fs::read_to_string(&path).map_err(|error| Error::file("cannot read", &path, error))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| Error::format(&path, error.to_string()))?;
    let tensors = directory.join(format!("{family}.safetensors"));
    let tensors = Rc::new(if tensors.exists() { safetensors::read(&tensors)?.0 } else { BTreeMap::new() });
    let cases = document["cases"].as_array().ok_or_else(|| Error::format(&path, "there are no cases"))?;
    cases.iter().map(|fields| Case::new(fields.clone(), Rc::clone(&tensors))).collect()
}

impl Case {
    fn new(fields: Value, tensors: Rc<Tensors>) -> Result<Self> {
        let text = |key: &str| fields[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| fields["tolerance"][key].as_f64();
        let tolerance = match (number("absolute"), number("relative")) {
            (Some(absolute), Some(relative)) => Tolerance { absolute, relative },
            _ => Tolerance::default(),
        };
        let mut case = Self {
            name: text("name"),
            op: text("op"),
            inputs: Vec::new(),
            differentiable: list(&fields["differentiable"]).iter().map(|flag| flag.as_bool() == Some(true)).collect(),
            outputs: Vec::new(),
            upstream: Vec::new(),
            gradients: Vec::new(),
            tolerance,
            fields,
            tensors,
        };
        case.inputs = case.tensors(&case.fields["inputs"])?;
        case.outputs = case.tensors(&case.fields["outputs"])?;
        case.upstream = case.optional_tensors(&case.fields["upstream"])?;
        case.gradients = case.optional_tensors(&case.fields["gradients"])?;
        Ok(case)
    }

    /// The tensor of a name as it stands in the case's line.
    pub fn tensor(&self, name: &Value) -> Result<&TensorData> {
        let name = name.as_str().unwrap_or_default();
        self.tensors.get(name).ok_or_else(|| Error::Data(format!("{}: there is no tensor {name:?}", self.name)))
    }

    /// The tensors of a list of names.
    pub fn tensors(&self, names: &Value) -> Result<Vec<TensorData>> {
        list(names).iter().map(|name| self.tensor(name).cloned()).collect()
    }

    fn optional_tensors(&self, names: &Value) -> Result<Vec<Option<TensorData>>> {
        list(names)
            .iter()
            .map(|name| if name.is_null() { Ok(None) } else { self.tensor(name).cloned().map(Some) })
            .collect()
    }

    /// An attribute.
    pub fn attribute(&self, key: &str) -> &Value {
        &self.fields["attributes"][key]
    }

    /// An attribute that is a number.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.attribute(key).as_f64()
    }

    /// An attribute that is an integer.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.attribute(key).as_i64()
    }

    /// An attribute that is true or false; false where it is missing.
    pub fn flag(&self, key: &str) -> bool {
        self.attribute(key).as_bool() == Some(true)
    }

    /// An attribute that is a text; empty where it is missing.
    pub fn text(&self, key: &str) -> &str {
        self.attribute(key).as_str().unwrap_or_default()
    }

    /// An attribute that is a list of integers, such as axes or sizes.
    pub fn integers(&self, key: &str) -> Vec<i64> {
        list(self.attribute(key)).iter().filter_map(Value::as_i64).collect()
    }

    /// The case with the tolerance that a device needs.
    pub fn on(&self, device: &Device) -> Self {
        Self { tolerance: self.tolerance.times(slack(device)), ..self.clone() }
    }

    /// What is wrong with a value, in a line that names the case; `None` where it is within the case's tolerance.
    pub fn complaint(&self, what: &str, found: &TensorData, right: &TensorData) -> Option<String> {
        difference(found, right, self.tolerance).map(|difference| format!("{} {what}: {difference}", self.name))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The worst difference beyond the tolerance; `None` where all is well. What is no number is never right.
pub fn difference(found: &TensorData, right: &TensorData, tolerance: Tolerance) -> Option<String> {
    if found.ty() != right.ty() {
        return Some(format!("is {}, and should be {}", found.ty(), right.ty()));
    }
    let excess = |found: f64, right: f64| {
        let excess = (found - right).abs() - tolerance.absolute - tolerance.relative * right.abs();
        if excess.is_nan() { f64::INFINITY } else { excess }
    };
    let values = found.to_f64_vec().into_iter().zip(right.to_f64_vec());
    let (index, (found, right)) =
        values.enumerate().max_by(|(_, (a, b)), (_, (c, d))| excess(*a, *b).total_cmp(&excess(*c, *d)))?;
    (excess(found, right) > 0.0)
        .then(|| format!("element {index} is {found}, and should be {right} within {tolerance:?}"))
}

/// Fails with all complaints at once.
#[track_caller]
pub fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} differences:\n{}", complaints.len(), complaints.join("\n"));
}

/// What a case means in terms of the library: outputs for inputs. `None` where it does not know the case's operator.
pub type Reference<'a> = dyn Fn(&Case, &[Tensor]) -> Option<Vec<Tensor>> + 'a;

/// Runs cases on a device, forward and backward, and says what is wrong: a line for each output or gradient.
pub fn complaints(cases: &[Case], device: &Device, reference: &Reference<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for case in cases {
        match run(&case.on(device), device, reference) {
            Ok(found) => complaints.extend(found.iter().map(|complaint| format!("{device:?}: {complaint}"))),
            Err(error) => complaints.push(format!("{device:?}: {}: {error}", case.name)),
        }
    }
    complaints
}

fn run(case: &Case, device: &Device, reference: &Reference<'_>) -> Result<Vec<String>> {
    let g = Graph::new();
    let names: Vec<String> = (0..case.inputs.len()).map(|index| format!("input{index}")).collect();
    let inputs: Vec<Tensor> =
        names.iter().zip(&case.inputs).map(|(name, data)| g.input(name, data.shape(), data.dtype())).collect();
    let Some(outputs) = reference(case, &inputs) else {
        return Ok(vec![format!("{}: nothing is known of {:?}", case.name, case.op)]);
    };
    let mut expected: Vec<(String, &TensorData)> = Vec::new();
    for (index, (output, right)) in outputs.iter().zip(&case.outputs).enumerate() {
        let name = format!("output{index}");
        g.output(&name, output);
        expected.push((name, right));
    }
    // Upstream gradients are inputs, so that nothing is folded away.
    let upstream: Vec<(String, &TensorData)> = case
        .upstream
        .iter()
        .enumerate()
        .filter_map(|(index, upstream)| Some((format!("upstream{index}"), upstream.as_ref()?)))
        .collect();
    let seeds: Vec<(&Tensor, Tensor)> = outputs
        .iter()
        .zip(&case.upstream)
        .enumerate()
        .filter_map(|(index, (output, data))| {
            let data = data.as_ref()?;
            Some((output, g.input(&format!("upstream{index}"), data.shape(), data.dtype())))
        })
        .collect();
    let wanted: Vec<usize> =
        (0..inputs.len()).filter(|&index| case.gradients.get(index).is_some_and(Option::is_some)).collect();
    if !wanted.is_empty() {
        let pairs: Vec<(&Tensor, &Tensor)> = seeds.iter().map(|(output, seed)| (*output, seed)).collect();
        let of: Vec<&Tensor> = wanted.iter().map(|&index| &inputs[index]).collect();
        for (index, gradient) in wanted.iter().zip(g.gradients_from(&pairs, &of)) {
            let name = format!("gradient{index}");
            g.output(&name, &gradient);
            expected.extend(case.gradients[*index].as_ref().map(|right| (name, right)));
        }
    }
    let mut session = g.compile(device)?;
    // A program asks only for the inputs that it needs.
    let given: Vec<(&str, &TensorData)> = names
        .iter()
        .map(String::as_str)
        .zip(&case.inputs)
        .chain(upstream.iter().map(|(name, data)| (name.as_str(), *data)))
        .filter(|(name, _)| session.program().inputs.iter().any(|port| port.name == *name))
        .collect();
    let found = session.run(&given)?;
    Ok(expected.iter().filter_map(|(name, right)| case.complaint(name, &found[name], right)).collect())
}
