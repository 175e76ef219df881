//! The last step of a routine: what fills the slot `finish`.

use std::fmt::Write;

use super::{Emitted, Emitter, Style, scalar_type};
use crate::scalar::{Builder, ScalarExpr};
use crate::tensor::DType;

/// The expression that a routine applies to its result before storing it, over the routine's output coordinates, which come
/// in up to three groups (`borders` says where in the dimensions each but the first begins): batch, row and column of a
/// product; outer, nothing and inner of a reduction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epilogue {
    /// The expression, collapsed within the groups.
    pub expression: ScalarExpr,
    /// Where the second and third group begin.
    pub borders: [usize; 2],
}

impl Epilogue {
    /// The epilogue that stores the value as it is, over dimensions in three groups.
    pub(crate) fn identity(dtype: DType, dims: &[usize], borders: [usize; 2]) -> Self {
        let mut builder = Builder::new(dtype);
        let value = builder.accumulator(dtype);
        Self { expression: builder.finish(dims.to_vec(), Vec::new(), vec![(value, dtype)]), borders }
    }

    /// `fn finish(value: Element, index: u32, at: vec3<u32>)` and the alias `FinishParams`.
    /// Its inputs are bound from `first_binding` on, its outputs after them.
    pub fn emit(&self, first_binding: usize) -> Emitted {
        let mut emitter = Emitter::new(&self.expression, Style::Finish, first_binding);
        emitter.decompose(self.borders);
        emitter.nodes();
        for (output, &(id, stored)) in self.expression.outputs.iter().enumerate() {
            let value = emitter.names[id.index()].clone();
            let _ = writeln!(emitter.body, "    result{output}[index] = {value};");
            emitter.declare_output(output, scalar_type(stored));
        }
        let body = std::mem::take(&mut emitter.body);
        emitter.finish("FinishParams", &format!("fn finish(value: Element, index: u32, at: vec3<u32>) {{\n{body}}}\n"))
    }

    /// The same for four neighbours in memory, of which there is a multiple of four: `fn finish_quad(value: vec4<f32>, quad: u32,
    /// at: vec3<u32>)`, where `at` is the first one's, and is looked at where rows are whole groups of four; else coordinates are told from
    /// the group's number. Stores 16-bit floats too. Goes with four lanes.
    pub(crate) fn emit_quads(&self, first_binding: usize) -> Emitted {
        let mut emitter = Emitter::new(&self.expression, Style::FinishQuad, first_binding);
        if emitter.aligned {
            emitter.decompose(self.borders);
        } else {
            emitter.quads();
        }
        if self.expression.dims.len() == 1 {
            let _ = writeln!(emitter.body, "    let points = vec4<i32>(c0) + vec4<i32>(0, 1, 2, 3);");
        }
        emitter.nodes();
        emitter.store_quads();
        let body = std::mem::take(&mut emitter.body);
        let signature = "fn finish_quad(value: vec4<f32>, quad: u32, at: vec3<u32>)";
        emitter.finish("FinishParams", &format!("{signature} {{\n{body}}}\n"))
    }

    /// True where an output has less than 32 bits an element, which only groups of four can be stored of.
    pub(crate) fn stores_less_than_words(&self) -> bool {
        self.expression.outputs.iter().any(|(_, stored)| stored.size() < 4)
    }
}
