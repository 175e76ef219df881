//! The operators that are known, a family a file. Each family lists its operators' names with their handlers.
//!
//! A handler gets a [`Node`] and returns the values of its outputs. Names within ONNX's own domain need no prefix; those of another
//! are written `domain::Name`.

mod activation;
mod attention;
mod control;
mod convolution;
mod deformable;
mod elementwise;
mod feature;
mod flex_attention;
mod fused;
mod generate;
mod gradient;
mod index;
mod linear_attention;
mod logic;
mod movement;
mod normalization;
mod optimizer;
mod pad;
mod pool;
mod power;
mod product;
mod quantize;
mod recurrence;
mod reduce;
mod resize;
mod roi;
mod sampling;
mod scatter;
mod sequence;
mod shape;
mod signal;
mod softmax;
mod suppression;
mod text;
mod tree;
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
    feature::OPERATORS,
    flex_attention::OPERATORS,
    fused::OPERATORS,
    generate::OPERATORS,
    gradient::OPERATORS,
    index::OPERATORS,
    linear_attention::OPERATORS,
    logic::OPERATORS,
    movement::OPERATORS,
    normalization::OPERATORS,
    optimizer::OPERATORS,
    pad::OPERATORS,
    pool::OPERATORS,
    power::OPERATORS,
    product::OPERATORS,
    quantize::OPERATORS,
    recurrence::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    roi::OPERATORS,
    sampling::OPERATORS,
    scatter::OPERATORS,
    sequence::OPERATORS,
    shape::OPERATORS,
    signal::OPERATORS,
    softmax::OPERATORS,
    suppression::OPERATORS,
    text::OPERATORS,
    tree::OPERATORS,
];

/// The handler of an operator, if it is known.
pub(super) fn find(domain: &str, op_type: &str) -> Option<Handler> {
    static HANDLERS: OnceLock<HashMap<&str, Handler>> = OnceLock::new();
    let handlers = HANDLERS.get_or_init(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    handlers.get(&*operator_name(domain, op_type)).copied()
}
