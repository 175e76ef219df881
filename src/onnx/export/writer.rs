//! The nodes of an exported graph while they are written: names, constants, attributes.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::graph::{GraphData, Node, ValueId};
use crate::onnx::proto::{AttributeProto, NodeProto, TensorProto, attribute_type, data_type};
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// ONNX's number for an element type.
pub(super) const fn number(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => data_type::FLOAT,
        DType::F64 => data_type::DOUBLE,
        DType::F16 => data_type::FLOAT16,
        DType::BF16 => data_type::BFLOAT16,
        DType::I32 => data_type::INT32,
        DType::I64 => data_type::INT64,
        DType::U32 => data_type::UINT32,
        DType::U8 => data_type::UINT8,
        DType::Bool => data_type::BOOL,
    }
}

/// A tensor's message, under a name.
pub(super) fn encode(name: &str, data: &TensorData) -> TensorProto {
    let raw = match data.dtype() {
        // A truth value is a byte in files.
        DType::Bool => data.to_f64_vec().into_iter().map(|value| u8::from(value != 0.0)).collect(),
        _ => data.bytes().get(..data.ty().bytes()).unwrap_or_default().to_vec(),
    };
    TensorProto {
        name: name.to_owned(),
        dims: data.shape().iter().map(|&extent| extent as i64).collect(),
        data_type: number(data.dtype()),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

/// An integer as an attribute.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: attribute_type::INT, i: Some(value), ..AttributeProto::default() }
}

/// Integers as an attribute.
pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = values.into_iter().map(|value| value as i64).collect();
    AttributeProto { name: name.into(), r#type: attribute_type::INTS, ints, ..AttributeProto::default() }
}

/// A number as an attribute.
pub(super) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: attribute_type::FLOAT,
        f: Some(value as f32),
        ..AttributeProto::default()
    }
}

/// A text as an attribute.
pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.into(), r#type: attribute_type::STRING, s, ..AttributeProto::default() }
}

/// Texts as an attribute.
pub(super) fn strings(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { name: name.into(), r#type: attribute_type::STRINGS, strings, ..AttributeProto::default() }
}

/// An export in progress.
pub(super) struct Writer<'a> {
    pub(super) data: &'a GraphData,
    /// The values that something reads, by node and output.
    pub(super) read: &'a HashSet<ValueId>,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    pub(super) names: HashMap<ValueId, String>,
    /// Values that are a smaller one expanded: its name and shape.
    pub(super) expanded: HashMap<ValueId, (String, Shape)>,
    pub(super) taken: HashSet<String>,
    lists: HashMap<Vec<i64>, String>,
    numbers: HashMap<(DType, u64), String>,
    /// What new names begin with.
    pub(super) stem: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(data: &'a GraphData, read: &'a HashSet<ValueId>) -> Self {
        Self {
            data,
            read,
            nodes: Vec::new(),
            initializers: Vec::new(),
            names: HashMap::new(),
            expanded: HashMap::new(),
            taken: HashSet::new(),
            lists: HashMap::new(),
            numbers: HashMap::new(),
            stem: String::new(),
        }
    }

    /// A name that nothing has yet.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        let mut name = stem.to_owned();
        let mut number = 0;
        while name.is_empty() || self.taken.contains(&name) {
            number += 1;
            name = format!("{stem}_{number}");
        }
        self.taken.insert(name.clone());
        name
    }

    /// A node with several outputs, of which an empty name leaves one out.
    pub(super) fn add_many(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        outputs: &[bool],
        attribute: impl Into<Vec<AttributeProto>>,
    ) -> Vec<String> {
        let stem = self.stem.clone();
        let name = |writer: &mut Self, wanted: &bool| if *wanted { writer.fresh(&stem) } else { String::new() };
        let output: Vec<String> = outputs.iter().map(|wanted| name(self, wanted)).collect();
        let label = format!("{op_type}_{}", self.nodes.len());
        self.nodes.push(NodeProto {
            op_type: op_type.into(),
            name: label,
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: output.clone(),
            attribute: attribute.into(),
            ..NodeProto::default()
        });
        output
    }

    /// A node with one output, whose name is returned.
    pub(super) fn add(&mut self, op_type: &str, inputs: &[&str], attribute: impl Into<Vec<AttributeProto>>) -> String {
        self.add_many(op_type, inputs, &[true], attribute).pop().unwrap_or_default()
    }

    /// A node without attributes.
    pub(super) fn call(&mut self, op_type: &str, inputs: &[&str]) -> String {
        self.add(op_type, inputs, [])
    }

    /// A list of int64, as shapes and axes are.
    pub(super) fn list(&mut self, values: impl IntoIterator<Item = i64>) -> String {
        let values: Vec<i64> = values.into_iter().collect();
        if let Some(known) = self.lists.get(&values) {
            return known.clone();
        }
        let text: Vec<String> = values.iter().take(6).map(ToString::to_string).collect();
        let name = self.fresh(&format!("ints_{}", text.join("_")));
        self.initializers.push(TensorProto {
            name: name.clone(),
            dims: vec![values.len() as i64],
            data_type: data_type::INT64,
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        self.lists.insert(values, name.clone());
        name
    }

    /// A shape as a list.
    pub(super) fn shape(&mut self, shape: &[usize]) -> String {
        self.list(shape.iter().map(|&extent| extent as i64))
    }

    /// A constant. It is a node, not an initializer, as those are what is trained.
    pub(super) fn constant(&mut self, data: &TensorData) -> String {
        let t = Some(Box::new(encode("", data)));
        let value =
            AttributeProto { name: "value".into(), r#type: attribute_type::TENSOR, t, ..AttributeProto::default() };
        self.add("Constant", &[], [value])
    }

    /// A scalar of a type.
    pub(super) fn scalar(&mut self, dtype: DType, value: f64) -> Result<String> {
        let key = (dtype, value.to_bits());
        if let Some(known) = self.numbers.get(&key) {
            return Ok(known.clone());
        }
        let data = TensorData::from_f64(dtype, &[value], [])?;
        let stem = std::mem::replace(&mut self.stem, "number".into());
        let name = self.constant(&data);
        self.stem = stem;
        self.numbers.insert(key, name.clone());
        Ok(name)
    }

    /// The name of a value that is written already.
    pub(super) fn name(&self, value: ValueId) -> Result<String> {
        self.names.get(&value).cloned().ok_or_else(|| Error::Data(format!("{value} is used before it is computed")))
    }

    /// The names of a node's inputs.
    pub(super) fn inputs(&self, node: &Node) -> Result<Vec<String>> {
        node.inputs.iter().map(|&input| self.name(input)).collect()
    }

    /// The type of a value.
    pub(super) fn ty(&self, value: ValueId) -> TensorType {
        self.data.ty(value).clone()
    }

    /// The type of a node's input.
    pub(super) fn input_type(&self, node: &Node, input: usize) -> Result<TensorType> {
        let value = node.inputs.get(input).copied();
        value.map(|value| self.ty(value)).ok_or_else(|| Error::Data("an operator lacks an input".into()))
    }

    /// The node that computes a value.
    pub(super) fn source(&self, value: ValueId) -> Option<&'a Node> {
        self.data.nodes.get(value.node())
    }

    /// A reshape.
    pub(super) fn reshape(&mut self, input: &str, shape: &[usize]) -> String {
        let wanted = self.shape(shape);
        // A 0 would else stand for the extent that is there.
        let attributes = if shape.contains(&0) { vec![int("allowzero", 1)] } else { Vec::new() };
        self.add("Reshape", &[input, &wanted], attributes)
    }

    /// A conversion.
    pub(super) fn cast(&mut self, input: &str, dtype: DType) -> String {
        self.add("Cast", &[input], [int("to", number(dtype).into())])
    }

    /// A part along one axis.
    pub(super) fn slice(&mut self, input: &str, axis: usize, start: i64, end: i64) -> String {
        let (start, end, axis) = (self.list([start]), self.list([end]), self.list([axis as i64]));
        self.call("Slice", &[input, &start, &end, &axis])
    }

    /// A border of one value.
    pub(super) fn pad(&mut self, input: &str, low: &[usize], high: &[usize], value: &str) -> String {
        let widths = self.list(low.iter().chain(high).map(|&width| width as i64));
        self.add("Pad", &[input, &widths, value], [string("mode", "constant")])
    }
}
