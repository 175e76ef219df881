//! A model as its file says it: read, checked, and asked what it is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

use super::check::{self, is_default, subgraphs};
use super::ops;
use super::proto::{
    FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, data_type,
};
use super::tensor::{extents, external_location, proto_dtype};
use crate::error::{Error, Result};
use crate::tensor::{DType, TensorType};

/// A model that was read from an ONNX file. [`import`](Self::import) makes a graph of it.
///
/// ```no_run
/// use wgrad::onnx::{Import, Model};
/// use wgrad::prelude::*;
/// let model = Model::load("mlp.onnx")?;
/// let imported = model.import(&Import::new().shape("x", [1, 784]))?;
/// let mut session = imported.graph.compile(&Device::auto()?)?;
/// let outputs = session.run(&[("x", &TensorData::zeros(F32, [1, 784]))])?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) proto: ModelProto,
    /// The folder of external data.
    pub(super) folder: Option<PathBuf>,
    path: Option<PathBuf>,
}

/// An extent of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A number.
    Extent(usize),
    /// A name that stands for the same number wherever it occurs: `batch`.
    Symbol(String),
    /// Left open.
    Unknown,
}

/// What a model says of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// The element type; `None` where the engine does not have it, or where it is no tensor.
    pub dtype: Option<DType>,
    /// The kind of value in ONNX's words: `int64`, `sequence`.
    pub kind: String,
    /// The shape; `None` where not even the rank is known.
    pub dims: Option<Vec<Dimension>>,
}

impl fmt::Display for Dimension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extent(extent) => write!(formatter, "{extent}"),
            Self::Symbol(symbol) => formatter.write_str(symbol),
            Self::Unknown => formatter.write_str("?"),
        }
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims = self.dims.as_ref().map_or_else(
            || "[…]".to_owned(),
            |dims| format!("[{}]", dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        );
        write!(formatter, "{}: {}{dims}", self.name, self.kind)
    }
}

impl Declared {
    fn of(info: &ValueInfoProto) -> Self {
        let (kind, dtype, dims) = info.r#type.as_ref().map_or(("undeclared".into(), None, None), kind);
        Self { name: info.name.clone(), dtype, kind, dims }
    }
}

/// A type in ONNX's words, and that of the tensor, where it is one. An optional input that is fed is there, so it is what it may
/// hold.
fn kind(ty: &TypeProto) -> (String, Option<DType>, Option<Vec<Dimension>>) {
    match ty {
        TypeProto { tensor_type: Some(tensor), .. } => {
            let dims = tensor.shape.as_ref().map(|shape| {
                let dims = shape.dim.iter().map(|dim| match (dim.dim_value, &dim.dim_param) {
                    (Some(extent), _) => usize::try_from(extent).map_or(Dimension::Unknown, Dimension::Extent),
                    (None, Some(symbol)) if !symbol.is_empty() => Dimension::Symbol(symbol.clone()),
                    _ => Dimension::Unknown,
                });
                dims.collect()
            });
            (data_type::name(tensor.elem_type), proto_dtype(tensor.elem_type).ok(), dims)
        }
        TypeProto { sequence_type: Some(_), .. } => ("sequence".into(), None, None),
        TypeProto { optional_type: Some(inner), .. } => match inner.elem_type.as_deref() {
            Some(TypeProto { tensor_type: Some(tensor), .. }) => {
                kind(&TypeProto { tensor_type: Some(tensor.clone()), ..TypeProto::default() })
            }
            _ => ("optional".into(), None, None),
        },
        TypeProto { sparse_tensor_type: Some(_), .. } => ("sparse tensor".into(), None, None),
        _ => ("undeclared".into(), None, None),
    }
}

/// The full name of an operator: with its domain, where that is not ONNX's own.
pub(super) fn operator_name(domain: &str, op_type: &str) -> String {
    if is_default(domain) { op_type.to_owned() } else { format!("{domain}::{op_type}") }
}

impl Model {
    /// Reads and checks a model. External data is looked for in the file's folder.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] where it is no ONNX model or not a whole one.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut model = Self::parse(&bytes, Some(folder)).map_err(|error| Error::format(path, error.to_string()))?;
        model.path = Some(path.to_owned());
        Ok(model)
    }

    /// As [`load`](Self::load), from the bytes of a file; `folder` is where external data is stored.
    ///
    /// # Errors
    /// [`Error::Data`] where they are no ONNX model or not a whole one.
    pub fn parse(bytes: &[u8], folder: Option<&Path>) -> Result<Self> {
        let proto = ModelProto::decode(bytes)
            .map_err(|error| Error::Data(format!("not an ONNX model, or a truncated one: {error}")))?;
        Self::from_proto(proto, folder)
    }

    /// As [`parse`](Self::parse), from a decoded message.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn from_proto(mut proto: ModelProto, folder: Option<&Path>) -> Result<Self> {
        check::check(&mut proto, folder).map_err(Error::Data)?;
        Ok(Self { proto, folder: folder.map(Path::to_owned), path: None })
    }

    /// The model as its file's message, with nodes in an order in which they can run.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// An error with the model's file, where it has one.
    pub(super) fn at(&self, error: Error) -> Error {
        match (&self.path, error) {
            (Some(path), Error::Data(message)) => Error::format(path, message),
            (_, error) => error,
        }
    }

    /// The main graph; one without nodes where there is none, which [`parse`](Self::parse) refuses.
    pub(super) fn graph(&self) -> &GraphProto {
        static NONE: GraphProto = GraphProto {
            node: Vec::new(),
            name: String::new(),
            initializer: Vec::new(),
            doc_string: String::new(),
            input: Vec::new(),
            output: Vec::new(),
            value_info: Vec::new(),
            sparse_initializer: Vec::new(),
            metadata_props: Vec::new(),
        };
        self.proto.graph.as_ref().unwrap_or(&NONE)
    }

    /// The version of ONNX's own operator set that the model is written for; 0 where it uses none.
    pub fn opset(&self) -> i64 {
        let import = self.proto.opset_import.iter().find(|import| is_default(&import.domain));
        import.map_or(0, |import| import.version)
    }

    /// The inputs: what is passed to a run. Initializers that are listed as inputs too are not among them.
    pub fn inputs(&self) -> Vec<Declared> {
        let graph = self.graph();
        let stored: HashMap<&str, ()> = graph.initializer.iter().map(|initializer| (&*initializer.name, ())).collect();
        graph.input.iter().filter(|input| !stored.contains_key(&*input.name)).map(Declared::of).collect()
    }

    /// All that the file lists as inputs, overridable initializers too.
    pub(super) fn listed_inputs(&self) -> Vec<Declared> {
        self.graph().input.iter().map(Declared::of).collect()
    }

    /// The outputs: what a run returns.
    pub fn outputs(&self) -> Vec<Declared> {
        self.graph().output.iter().map(Declared::of).collect()
    }

    /// The float initializers with their types: what can be trained.
    pub fn parameters(&self) -> Vec<(String, TensorType)> {
        let types = self.graph().initializer.iter().filter_map(|initializer| {
            let dtype = proto_dtype(initializer.data_type).ok().filter(|dtype| dtype.is_float())?;
            Some((initializer.name.clone(), TensorType::new(dtype, extents(&initializer.dims).ok()?)))
        });
        types.collect()
    }

    /// The files beside the model's own in which values of it are stored.
    pub fn data_files(&self) -> Vec<PathBuf> {
        let mut tensors: Vec<&TensorProto> = self.graph().initializer.iter().collect();
        self.walk(&mut |node| {
            for attribute in &node.attribute {
                tensors.extend(attribute.t.as_deref().into_iter().chain(&attribute.tensors));
            }
            tensors.extend(subgraphs(node).flat_map(|graph| &graph.initializer));
        });
        let folder = self.folder.as_deref().unwrap_or(Path::new(""));
        let locations = tensors.into_iter().filter_map(external_location);
        let files: BTreeSet<PathBuf> = locations.map(|location| folder.join(location)).collect();
        files.into_iter().collect()
    }

    /// How often each operator occurs, in graphs within graphs and in the bodies of functions too (once a function, however
    /// often it is called). Operators of other domains than ONNX's own are written `domain::Name`.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.walk(&mut |node| *counts.entry(operator_name(&node.domain, &node.op_type)).or_insert(0) += 1);
        counts
    }

    /// The operators that the importer does not know, with how often they occur.
    pub fn missing(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.walk(&mut |node| {
            if self.function(node).is_none() && ops::find(&node.domain, &node.op_type).is_none() {
                *counts.entry(operator_name(&node.domain, &node.op_type)).or_insert(0) += 1;
            }
        });
        counts
    }

    /// The model's own function that a node calls, if it calls one.
    pub(super) fn function(&self, node: &NodeProto) -> Option<&FunctionProto> {
        self.proto.functions.iter().find(|function| {
            let same_domain =
                function.domain == node.domain || is_default(&function.domain) && is_default(&node.domain);
            same_domain && function.name == node.op_type && function.overload == node.overload
        })
    }

    /// Visits every node of the main graph and of all functions that are called.
    fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a NodeProto)) {
        let mut called: Vec<&FunctionProto> = Vec::new();
        let mut next = 0;
        let mut bodies: Vec<&[NodeProto]> = vec![&self.graph().node];
        loop {
            while let Some(nodes) = bodies.pop() {
                for node in nodes {
                    visit(node);
                    bodies.extend(subgraphs(node).map(|graph| &*graph.node));
                    if let Some(function) = self.function(node)
                        && !called.iter().any(|&known| std::ptr::eq(known, function))
                    {
                        called.push(function);
                    }
                }
            }
            let Some(function) = called.get(next) else { break };
            bodies.push(&function.node);
            next += 1;
        }
    }
}
