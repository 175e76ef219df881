//! Scalars. Functions of single numbers, expressions over them with their CPU evaluation and their WGSL, and the
//! random numbers that host and device share.

#[macro_use]
mod generate;

mod adjoint;
mod affine;
mod apply;
mod bias;
mod builder;
mod evaluate;
mod expression;
mod folded;
mod function;
mod instructions;
mod integer;
mod lanes;
mod real;
mod reduction;
#[cfg(test)]
mod row_tests;
mod row_work;
mod rows;
mod segments;
mod tape;
pub mod threefry;
mod value;
mod vector;
pub(crate) mod vectors;
mod wgsl;

pub(crate) use adjoint::adjoints;
pub(crate) use affine::distance;
pub use affine::{Affine, Strides};
pub(crate) use bias::{ColumnBias, column_bias};
pub use builder::Builder;
pub(crate) use evaluate::{
    PIECE, ReduceDims, accumulator_as_input, accumulators_as_inputs, divided, each_piece, map, map_piece, reduce,
};
pub use expression::{Constant, NodeId, ScalarExpr, ScalarNode};
pub(crate) use function::unary_methods;
pub use function::{NUMERIC, ScalarFunction, Signature};
pub use instructions::Instructions;
pub(crate) use instructions::dispatch;
pub(crate) use real::Real;
pub use reduction::Reduction;
pub use row_work::RowWork;
#[cfg(test)]
pub(crate) use row_work::samples;
pub(crate) use rows::fold_rows;
pub(crate) use segments::{Segment, segments};
pub(crate) use tape::{SHORTEST_ROW, Source, Tape, steps};
pub(crate) use value::Writing;
pub use value::{IntoValue, Value};
#[cfg(test)]
pub(crate) use vector::processors;
pub(crate) use vector::{array_of, set_all, strands, vectorized};
#[cfg(test)]
pub(crate) use wgsl::generated_imports;
pub use wgsl::{Emitted, Epilogue};
pub(crate) use wgsl::{Functions, emit_map, emit_operand, emit_rows, is_read_in_fours};
