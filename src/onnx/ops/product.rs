//! Matrix products, sums of products, determinants.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Det", |node| Ok(vec![super::elementwise::by_f32(&node.input(0)?, Tensor::determinant).into()])),
    ("Einsum", einsum),
    ("Gemm", gemm),
    ("MatMul", matmul),
    ("MatMulInteger", matmul_integer),
];

fn matmul(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.input(0)?.matmul(&node.input(1)?).into()])
}

fn einsum(node: &Node<'_>) -> Result<Vec<Value>> {
    let tensors = node.all_inputs()?;
    let Some(equation) = node.optional_string("equation")? else {
        return Err(node.error("wants the attribute \"equation\""));
    };
    Ok(vec![node.graph().einsum(equation, &tensors.iter().collect::<Vec<_>>()).into()])
}

/// A product of 8-bit integers less their zero points, as i32.
fn matmul_integer(node: &Node<'_>) -> Result<Vec<Value>> {
    let shifted = |input: usize| -> Result<Tensor> {
        let tensor = node.input(input)?.cast(DType::I32);
        let Some(zero) = node.optional(input + 2)? else { return Ok(tensor) };
        let zero = zero.cast(DType::I32);
        // Those of the left are one for each row.
        let zero = if input == 0 && zero.rank() == 1 && tensor.rank() > 1 { zero.unsqueeze(1) } else { zero };
        Ok(tensor.elementwise(F::Sub, &[&zero]))
    };
    Ok(vec![shifted(0)?.matmul(&shifted(1)?).into()])
}

/// `alpha · A · B + beta · C`, each of A and B transposed where its flag says so.
fn gemm(node: &Node<'_>) -> Result<Vec<Value>> {
    let matrix = |input: usize, flag: &str| -> Result<Tensor> {
        let tensor = node.input(input)?;
        if tensor.rank() != 2 {
            return Err(node.error(format!("input {input} should be a matrix, not of shape {}", tensor.shape())));
        }
        Ok(if node.flag(flag, false)? { tensor.transpose(0, 1) } else { tensor })
    };
    let scaled = |tensor: Tensor, name: &str| -> Result<Tensor> {
        let factor = node.float(name, 1.0)?;
        if factor == 1.0 {
            return Ok(tensor);
        }
        let factor = node.graph().scalar(tensor.dtype(), factor);
        Ok(tensor.elementwise(F::Mul, &[&factor]))
    };
    let product = scaled(matrix(0, "transA")?.matmul(&matrix(1, "transB")?), "alpha")?;
    let Some(addend) = node.optional(2)? else { return Ok(vec![product.into()]) };
    node.check()?;
    if addend.shape().broadcast(&product.shape()) != Some(product.shape()) {
        return Err(node.error(format!("C of shape {} does not fit a product of {}", addend.shape(), product.shape())));
    }
    Ok(vec![product.elementwise(F::Add, &[&scaled(addend, "beta")?]).into()])
}
