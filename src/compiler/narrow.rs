//! For a GPU: what has 64 bits has 32. WGSL has neither i64 nor f64, so a graph's i64 become i32 and its f64 become f32, in
//! inputs, constants, variables, casts and everything between. The session checks and converts what is fed, and gives results
//! in the graph's own types. An f64 that is fed or stands in the graph is rounded, and refused beyond f32's range; a result beyond it
//! becomes infinite. What leaves i32 is detected (`overflow`).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::layout::Layout;
use super::program::{Port, Program};
use super::simplify::needed;
use crate::error::{Error, Result};
use crate::graph::{GraphData, Node};
use crate::ops::{Elementwise, Initial, Op, Variable};
use crate::scalar::{Constant, ScalarFunction};
use crate::tensor::{DType, TensorData, TensorType};

/// The graph's own types, by name, of what became narrower.
#[derive(Debug, Default)]
pub(super) struct Wide {
    inputs: FxHashMap<String, DType>,
    outputs: FxHashMap<String, DType>,
    variables: FxHashMap<String, DType>,
}

/// A graph without i64 and f64.
///
/// # Errors
/// A constant, or a first value of a variable, that is needed and does not fit.
pub(super) fn narrow(data: &mut GraphData) -> Result<Wide> {
    let mut wide = Wide::default();
    let needed = needed(data);
    for (name, value) in &data.outputs {
        note(&mut wide.outputs, name, data.ty(*value).dtype);
    }
    for (index, needed) in needed.into_iter().enumerate() {
        let node = &data.nodes[index];
        if let Op::Resample(resample) = &node.op
            && node.outputs.iter().any(|ty| ty.dtype == DType::F64)
        {
            // Its weights are in a constant, as bits of the elements' type.
            let table = resample.table(DType::F32)?;
            let weights = node.inputs[1].node();
            data.nodes[weights].outputs = vec![table.ty().clone()];
            data.nodes[weights].op = Op::Constant(Arc::new(table));
        }
        let inputs: Vec<TensorType> = data.nodes[index].inputs.iter().map(|&input| data.ty(input).clone()).collect();
        let node = &mut data.nodes[index];
        self::node(node, &inputs, needed, &mut wide).map_err(|message| {
            Error::graph(node.op.operator().name(), format!("node %{index}: {message}"), node.origin)
        })?;
        node.outputs.iter_mut().for_each(|ty| ty.dtype = ty.dtype.narrowed());
    }
    Ok(wide)
}

fn note(types: &mut FxHashMap<String, DType>, name: &str, dtype: DType) {
    if dtype.narrowed() != dtype {
        types.insert(name.to_owned(), dtype);
    }
}

/// The types inside of a node's operator.
fn node(node: &mut Node, inputs: &[TensorType], needed: bool, wide: &mut Wide) -> Result<(), String> {
    match &mut node.op {
        Op::Input(name, ty) => {
            note(&mut wide.inputs, name, ty.dtype);
            ty.dtype = ty.dtype.narrowed();
        }
        Op::Variable(variable) if variable.ty.dtype.narrowed() != variable.ty.dtype => {
            note(&mut wide.variables, &variable.name, variable.ty.dtype);
            let mut narrow = Variable::clone(variable);
            narrow.ty.dtype = narrow.ty.dtype.narrowed();
            if let Initial::Values(data) = &narrow.initial {
                data.fitting()?;
            }
            *variable = Arc::new(narrow);
        }
        // The smallest normal f64, which tells what can be divided by, becomes the smallest normal f32.
        Op::Constant(data) if **data == TensorData::scalar(f64::MIN_POSITIVE) => {
            *data = Arc::new(TensorData::scalar(f32::MIN_POSITIVE));
        }
        Op::Constant(data) if needed && data.dtype().narrowed() != data.dtype() => *data = Arc::new(data.fitting()?),
        Op::Pad(pad) => pad.value = number(pad.value, needed)?,
        Op::Elementwise(Elementwise(ScalarFunction::Cast(dtype))) => *dtype = dtype.narrowed(),
        Op::Elementwise(Elementwise(ScalarFunction::BitCast(dtype))) => {
            if needed && dtype.narrowed() != *dtype {
                return Err(format!("a GPU has no {dtype}, and so not its bits; run it on the CPU"));
            }
            *dtype = dtype.narrowed();
        }
        // A custom operator works with the types that it is given.
        Op::Placeholder
        | Op::Variable(_)
        | Op::Constant(_)
        | Op::StopGradient
        | Op::Elementwise(_)
        | Op::Resample(_)
        | Op::Custom(_) => {}
        // What has no type of its own gives what it should, of narrower inputs.
        other if node.outputs.iter().any(|ty| ty.dtype.narrowed() != ty.dtype) => {
            let inputs: Vec<&TensorType> = inputs.iter().collect();
            let outputs = other.operator().infer(&inputs)?;
            if node.outputs.iter().zip(&outputs).any(|(old, new)| old.dtype.narrowed() != new.dtype) {
                return Err("its types do not become narrower, and a GPU has no wider ones".to_owned());
            }
        }
        // Nor has it anything to make narrower.
        _ => {}
    }
    Ok(())
}

/// A number inside an operator.
fn number(constant: Constant, needed: bool) -> Result<Constant, String> {
    let dtype = constant.dtype.narrowed();
    if needed && dtype != constant.dtype {
        // As a tensor, for the same rule and message.
        let tensor = TensorData::from_f64(constant.dtype, &[constant.value], []).map_err(|error| error.to_string())?;
        tensor.fitting()?;
    }
    Ok(Constant { dtype, ..constant })
}

impl Wide {
    /// Tells the variables of a layout their own types.
    pub(super) fn variables(&self, layout: &mut Layout) {
        for variable in &mut layout.variables {
            if let Some(&dtype) = self.variables.get(&variable.name) {
                variable.ty.dtype = dtype;
            }
        }
    }

    /// Tells the ports of a program their own types.
    pub(super) fn ports(&self, program: &mut Program) {
        let widen = |ports: &mut [Port], types: &FxHashMap<String, DType>| {
            for port in ports {
                if let Some(&dtype) = types.get(&port.name) {
                    port.ty.dtype = dtype;
                }
            }
        };
        widen(&mut program.inputs, &self.inputs);
        widen(&mut program.outputs, &self.outputs);
    }
}
