//! Control flow. Programs have none: a condition is known while importing, and the chosen graph takes the node's place.

use super::{Handler, Node, Value};
use crate::error::Result;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("If", branch)];

fn branch(node: &Node<'_>) -> Result<Vec<Value>> {
    let condition = node.host_int(0)? != 0;
    node.run(node.subgraph(if condition { "then_branch" } else { "else_branch" })?, Vec::new())
}
