//! The operators that are known, a family a file. Each family lists its operators' names with their handlers.
//!
//! A handler gets a [`Node`] and gives the values of its outputs. Names within ONNX's own domain need no prefix; those of another
//! are written `domain::Name`.

mod activation;
mod attention;
mod control;
mod convolution;
mod deformable;
mod elementwise;
mod fused;
mod gradient;
mod linear_attention;
mod movement;
mod normalization;
mod optimizer;
mod pool;
mod product;
mod recurrence;
mod resize;
mod roi;
mod sampling;
mod shape;
mod signal;
mod softmax;
mod wide;
mod window;

use std::collections::HashMap;
use std::sync::OnceLock;

use super::model::operator_name;
use super::node::Node;
use super::value::Value;
use crate::error::Result;

/// Imports one node.
pub(super) type Handler = fn(&Node<'_>) -> Result<Vec<Value>>;

const FAMILIES: &[&[(&str, Handler)]] = &[
    activation::OPERATORS,
    attention::OPERATORS,
    control::OPERATORS,
    convolution::OPERATORS,
    deformable::OPERATORS,
    elementwise::OPERATORS,
    fused::OPERATORS,
    gradient::OPERATORS,
    linear_attention::OPERATORS,
    movement::OPERATORS,
    normalization::OPERATORS,
    optimizer::OPERATORS,
    pool::OPERATORS,
    product::OPERATORS,
    recurrence::OPERATORS,
    resize::OPERATORS,
    roi::OPERATORS,
    sampling::OPERATORS,
    shape::OPERATORS,
    signal::OPERATORS,
    softmax::OPERATORS,
];

/// The handler of an operator, if it is known.
pub(super) fn find(domain: &str, op_type: &str) -> Option<Handler> {
    static HANDLERS: OnceLock<HashMap<&str, Handler>> = OnceLock::new();
    let handlers = HANDLERS.get_or_init(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    handlers.get(&*operator_name(domain, op_type)).copied()
}
