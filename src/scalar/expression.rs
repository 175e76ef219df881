//! A scalar expression over a domain of coordinates: what one element of an output is, in terms of elements of inputs.
//!
//! Everything that is not a matrix product, a sort or the like is such an expression: arithmetic, casts, and also
//! movement. A transpose, a slice, a broadcast or a flip is a [`Affine`] map from coordinates to addresses; padding is
//! a select; concatenation is several; gathering is a load at a computed address; random numbers are a function of the
//! address. So fusion is substitution, and both devices need one evaluator.

use std::fmt;

use super::affine::Affine;
use super::function::ScalarFunction;
use crate::tensor::{DType, Shape};

/// A node of an expression, by its index in it; operands come before their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A number of a compute type. Floats are held as f64 and rounded where they are used.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// The compute type.
    pub dtype: DType,
    /// The value; integers and truth values are exact, since an i64 beyond 2⁵³ stays a constant in memory.
    pub value: f64,
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.value.to_bits() == other.value.to_bits()
    }
}
impl Eq for Constant {}
impl std::hash::Hash for Constant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.dtype, self.value.to_bits()).hash(state);
    }
}

/// One step of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScalarNode {
    /// The same number everywhere.
    Constant(Constant),
    /// The value of the map itself at the coordinates, as i32.
    Index(Affine),
    /// The element of an input at the mapped address.
    Load {
        /// Which input.
        input: usize,
        /// From coordinates to the element's address.
        at: Affine,
    },
    /// The element of an input at a computed address (i32); the address must be in range.
    Gather {
        /// Which input.
        input: usize,
        /// The address.
        address: NodeId,
    },
    /// A value that a kernel's head passes on: what a product or a reduction has for its epilogue, or the total, by its number, of a fold
    /// of a row.
    Accumulator(usize),
    /// A function of other nodes.
    Call {
        /// Which.
        function: ScalarFunction,
        /// Its operands.
        arguments: Vec<NodeId>,
    },
}

/// An expression over the coordinates of `dims`, with one or more values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScalarExpr {
    /// Extents of the domain, outermost first.
    pub dims: Vec<usize>,
    /// Stored type of each input.
    pub inputs: Vec<DType>,
    /// The steps, operands first.
    pub nodes: Vec<ScalarNode>,
    /// Compute type of each step.
    pub types: Vec<DType>,
    /// The values, with the types they are stored in.
    pub outputs: Vec<(NodeId, DType)>,
}

impl ScalarExpr {
    /// Number of points in the domain.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// True where the domain has no points.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// The operands of a node.
    pub(crate) fn operands(node: &ScalarNode) -> &[NodeId] {
        match node {
            ScalarNode::Call { arguments, .. } => arguments,
            ScalarNode::Gather { address, .. } => std::slice::from_ref(address),
            ScalarNode::Constant(_) | ScalarNode::Index(_) | ScalarNode::Load { .. } | ScalarNode::Accumulator(_) => {
                &[]
            }
        }
    }

    /// Without nodes that no output needs. Inputs keep their indices.
    pub(crate) fn pruned(mut self) -> Self {
        let mut live = vec![false; self.nodes.len()];
        for &(id, _) in &self.outputs {
            live[id.index()] = true;
        }
        for index in (0..self.nodes.len()).rev() {
            if live[index] {
                for operand in Self::operands(&self.nodes[index]) {
                    live[operand.index()] = true;
                }
            }
        }
        let mut new_ids = vec![NodeId(0); self.nodes.len()];
        let (mut nodes, mut types) = (Vec::new(), Vec::new());
        for (index, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if !live[index] {
                continue;
            }
            match &mut node {
                ScalarNode::Call { arguments, .. } => {
                    arguments.iter_mut().for_each(|id| *id = new_ids[id.index()]);
                }
                ScalarNode::Gather { address, .. } => *address = new_ids[address.index()],
                ScalarNode::Constant(_)
                | ScalarNode::Index(_)
                | ScalarNode::Load { .. }
                | ScalarNode::Accumulator(_) => {}
            }
            new_ids[index] = NodeId(nodes.len() as u32);
            nodes.push(node);
            types.push(self.types[index]);
        }
        self.outputs.iter_mut().for_each(|(id, _)| *id = new_ids[id.index()]);
        Self { nodes, types, ..self }
    }

    /// The same values with each address map replaced by `change` of it, over another domain; `None` where a map has no
    /// counterpart there.
    fn with_maps(&self, dims: Vec<usize>, change: impl Fn(&Affine) -> Option<Affine>) -> Option<Self> {
        let nodes = self
            .nodes
            .iter()
            .map(|node| {
                Some(match node {
                    ScalarNode::Index(at) => ScalarNode::Index(change(at)?),
                    ScalarNode::Load { input, at } => ScalarNode::Load { input: *input, at: change(at)? },
                    other => other.clone(),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { dims, nodes, ..self.clone() })
    }

    /// The same over another domain: `maps` gives each of this domain's coordinates from the new ones.
    pub(crate) fn viewed(&self, dims: &[usize], maps: &[Affine]) -> Self {
        self.with_maps(dims.to_vec(), |at| Some(at.after(maps, dims.len()))).unwrap_or_else(|| self.clone())
    }

    /// The same over the first dimensions alone, where the coordinates along the others are 0.
    pub(crate) fn at_origins(&self, border: usize) -> Self {
        let mut maps: Vec<Affine> = (0..border).map(|axis| Affine::coordinate(axis, border)).collect();
        maps.resize(self.dims.len(), Affine::constant(0, border));
        self.viewed(&self.dims[..border], &maps)
    }

    /// Over a domain of another shape with as many points in the same order, where every address stays affine.
    pub(crate) fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        if dims == self.dims {
            return Some(self.clone());
        }
        // What is the same everywhere would fit any number of points.
        if self.len() != dims.iter().product::<usize>() {
            return None;
        }
        self.with_maps(dims.to_vec(), |at| at.reshaped(&self.dims, dims))
    }

    /// Neighbouring dimensions merged wherever every address allows it, and extents of 1 dropped. Dimensions are only merged
    /// within the ranges between `borders` (indices into `dims`); returns the new borders too.
    pub(crate) fn collapsed(&self, borders: &[usize]) -> (Self, Vec<usize>) {
        let maps: Vec<&Affine> = self
            .nodes
            .iter()
            .filter_map(|node| match node {
                ScalarNode::Index(at) | ScalarNode::Load { at, .. } => Some(at),
                ScalarNode::Constant(_)
                | ScalarNode::Gather { .. }
                | ScalarNode::Accumulator(_)
                | ScalarNode::Call { .. } => None,
            })
            .collect();
        // Runs of old axes that become one new axis.
        let mut runs: Vec<Vec<usize>> = Vec::new();
        let mut new_borders = vec![0; borders.len()];
        let mut may_merge = false;
        for axis in 0..=self.dims.len() {
            for (border, new_border) in borders.iter().zip(&mut new_borders) {
                if *border == axis {
                    *new_border = runs.len();
                    may_merge = false;
                }
            }
            if axis == self.dims.len() || self.dims[axis] == 1 {
                continue;
            }
            match runs.last_mut() {
                Some(run)
                    if may_merge
                        && run.last().is_some_and(|&outer| {
                            maps.iter().all(|at| at.strides[outer] == at.strides[axis] * self.dims[axis] as i64)
                        }) =>
                {
                    run.push(axis);
                }
                _ => runs.push(vec![axis]),
            }
            may_merge = true;
        }
        let dims: Vec<usize> = runs.iter().map(|run| run.iter().map(|&axis| self.dims[axis]).product()).collect();
        let collapsed = self.with_maps(dims, |at| {
            Some(Affine {
                offset: at.offset,
                strides: runs.iter().map(|run| run.last().map_or(0, |&axis| at.strides[axis])).collect(),
            })
        });
        (collapsed.unwrap_or_else(|| self.clone()), new_borders)
    }

    /// Floating-point operations for one point of the domain.
    pub fn flops(&self) -> u64 {
        self.nodes
            .iter()
            .zip(&self.types)
            .filter(|(node, dtype)| dtype.is_float() && matches!(node, ScalarNode::Call { function, .. } if !matches!(function, ScalarFunction::Cast(_) | ScalarFunction::Select)))
            .count() as u64
    }

    /// True where an input is read.
    pub(crate) fn reads(&self, input: usize) -> bool {
        self.nodes.iter().any(|node| {
            matches!(node, ScalarNode::Load { input: read, .. } | ScalarNode::Gather { input: read, .. } if *read == input)
        })
    }

    /// True where an output is this number everywhere.
    pub(crate) fn is_constant(&self, output: usize, value: f64) -> bool {
        let node = self.outputs.get(output).map(|(id, _)| &self.nodes[id.index()]);
        matches!(node, Some(ScalarNode::Constant(constant)) if constant.value == value)
    }

    /// An expression with no values, of one point.
    pub(crate) fn nothing() -> Self {
        Self::zeros(0)
    }

    /// Zeros, of one point.
    pub(crate) fn zeros(count: usize) -> Self {
        let mut builder = super::Builder::new(DType::F64);
        let zero = builder.number(0.0);
        builder.finish(Vec::new(), Vec::new(), vec![(zero, DType::F64); count])
    }

    /// True where an input is read at a computed address.
    pub(crate) fn gathers(&self, input: usize) -> bool {
        self.nodes.iter().any(|node| matches!(node, ScalarNode::Gather { input: read, .. } if *read == input))
    }

    /// The shape of the domain.
    pub fn shape(&self) -> Shape {
        Shape::from(self.dims.as_slice())
    }
}

impl fmt::Display for ScalarExpr {
    /// As nested calls: `relu(add(#0, #1[0,1]))`; `#k` is input k, with its strides where they are not row-major.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row_major = self.shape().strides();
        let mut texts: Vec<String> = Vec::with_capacity(self.nodes.len());
        let mut uses = vec![0_usize; self.nodes.len()];
        for node in &self.nodes {
            Self::operands(node).iter().for_each(|id| uses[id.index()] += 1);
        }
        let mut definitions = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let text = match node {
                ScalarNode::Constant(constant) => format!("{}", constant.value),
                ScalarNode::Index(at) => format!("index{at}"),
                ScalarNode::Load { input, at } if at.offset == 0 && *at.strides == *row_major => format!("#{input}"),
                ScalarNode::Load { input, at } => format!("#{input}{at}"),
                ScalarNode::Gather { input, address } => format!("#{input}@({})", texts[address.index()]),
                ScalarNode::Accumulator(0) => "acc".to_owned(),
                ScalarNode::Accumulator(number) => format!("acc{number}"),
                ScalarNode::Call { function, arguments } => {
                    let arguments: Vec<&str> = arguments.iter().map(|id| texts[id.index()].as_str()).collect();
                    let name = match function {
                        ScalarFunction::Cast(dtype) => dtype.name(),
                        other => other.name(),
                    };
                    format!("{name}({})", arguments.join(", "))
                }
            };
            // What is used twice and is not a leaf gets a name, so that the text does not grow exponentially.
            if uses[index] > 1 && matches!(node, ScalarNode::Call { .. } | ScalarNode::Gather { .. }) {
                definitions.push_str(&format!("t{index} = {text}; "));
                texts.push(format!("t{index}"));
            } else {
                texts.push(text);
            }
        }
        let outputs: Vec<&str> = self.outputs.iter().map(|(id, _)| texts[id.index()].as_str()).collect();
        write!(formatter, "{definitions}{}", outputs.join(" | "))
    }
}
