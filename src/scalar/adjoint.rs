//! Reverse-mode differentiation of an expression into itself.

use super::builder::Builder;
use super::expression::{NodeId, ScalarNode};
use super::function::ScalarFunction;

/// The gradient with respect to each node that the builder has, as nodes of the same builder: `seeds` are values with the gradients
/// that arrive at them. `None` where nothing arrives.
///
/// # Errors
/// The name of a function that is not differentiable, where a gradient would have to pass it.
pub(crate) fn adjoints(builder: &mut Builder, seeds: &[(NodeId, NodeId)]) -> Result<Vec<Option<NodeId>>, &'static str> {
    let mut adjoints = vec![None; builder.nodes.len()];
    for &(value, upstream) in seeds {
        add(builder, &mut adjoints[value.index()], upstream);
    }
    for index in (0..adjoints.len()).rev() {
        let (Some(upstream), ScalarNode::Call { function, arguments }) =
            (adjoints[index], builder.nodes[index].clone())
        else {
            continue;
        };
        let partials = function.derivative(builder, &arguments, NodeId(index as u32));
        for (argument, partial) in arguments.into_iter().zip(partials) {
            let is_constant = matches!(builder.nodes[argument.index()], ScalarNode::Constant(_));
            if is_constant || !builder.dtype(argument).is_float() {
                continue;
            }
            let partial = partial.ok_or(function.name())?;
            if let Some(gradient) = scaled(builder, partial, upstream) {
                add(builder, &mut adjoints[argument.index()], gradient);
            }
        }
    }
    Ok(adjoints)
}

fn add(builder: &mut Builder, sum: &mut Option<NodeId>, term: NodeId) {
    *sum = Some(match (*sum, negated(builder, term)) {
        (None, _) => term,
        (Some(sum), Some(positive)) => builder.sub(sum, positive),
        (Some(sum), None) => builder.add(sum, term),
    });
}

/// What a node is the negation of.
fn negated(builder: &Builder, id: NodeId) -> Option<NodeId> {
    match &builder.nodes[id.index()] {
        ScalarNode::Call { function: ScalarFunction::Neg, arguments } => arguments.first().copied(),
        _ => None,
    }
}

/// The upstream gradient times a partial derivative. A choice of derivatives is one of products, so that nothing, not even
/// infinity, comes through where the derivative is 0, as in PyTorch. `None` where it is 0 everywhere.
fn scaled(builder: &mut Builder, partial: NodeId, upstream: NodeId) -> Option<NodeId> {
    Some(match builder.nodes[partial.index()].clone() {
        ScalarNode::Constant(constant) if constant.value == 0.0 => return None,
        ScalarNode::Constant(constant) if constant.value == 1.0 => upstream,
        ScalarNode::Constant(constant) if constant.value == -1.0 => builder.neg(upstream),
        ScalarNode::Call { function: ScalarFunction::Select, arguments } => {
            let zero = builder.number(0.0);
            let a = scaled(builder, arguments[1], upstream).unwrap_or(zero);
            let b = scaled(builder, arguments[2], upstream).unwrap_or(zero);
            builder.select(arguments[0], a, b)
        }
        _ => builder.mul(upstream, partial),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Affine, Source, Tape, map};
    use crate::tensor::DType;

    /// The gradients of a function of two numbers at a point, for an upstream gradient of 3.
    fn at(point: [f64; 2], write: impl Fn(&mut Builder, NodeId, NodeId) -> NodeId) -> Result<[f64; 2], &'static str> {
        let mut builder = Builder::new(DType::F64);
        let [a, b, upstream] = [0, 1, 2].map(|k| builder.load(k, DType::F64, Affine::constant(0, 0)));
        let value = write(&mut builder, a, b);
        let found = adjoints(&mut builder, &[(value, upstream)])?;
        let zero = builder.number(0.0);
        let outputs = [a, b].map(|id| (found[id.index()].unwrap_or(zero), DType::F64));
        let expression = builder.finish(Vec::new(), vec![DType::F64; 3], outputs.to_vec());
        let inputs = [point[0], point[1], 3.0].map(f64::to_ne_bytes);
        let (mut first, mut second) = ([0; 8], [0; 8]);
        let sources = inputs.each_ref().map(|bytes| Source::Bytes(bytes));
        map(&Tape::new(&expression), &sources, &mut [&mut first, &mut second]);
        Ok([f64::from_ne_bytes(first), f64::from_ne_bytes(second)])
    }

    #[test]
    fn gradients_follow_the_chain_rule() {
        let found = at([0.3, -0.7], |builder, a, b| {
            let product = builder.mul(a, b);
            let tanh = builder.call(ScalarFunction::Tanh, &[product]);
            builder.sub(tanh, a)
        });
        let slope = 1.0 - (0.3_f64 * -0.7).tanh().powi(2);
        let found = found.unwrap();
        assert!((found[0] - 3.0 * (-0.7 * slope - 1.0)).abs() < 1e-12, "{found:?}");
        assert!((found[1] - 3.0 * 0.3 * slope).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn what_a_choice_leaves_out_has_the_gradient_0() {
        let found = at([f64::NEG_INFINITY, 2.0], |builder, a, b| {
            let relu = builder.call(ScalarFunction::Relu, &[a]);
            builder.mul(relu, b)
        });
        assert_eq!(found, Ok([0.0, 0.0]));
    }

    #[test]
    fn steps_are_not_differentiable() {
        assert_eq!(at([0.5, 1.0], |builder, a, _| builder.call(ScalarFunction::Round, &[a])), Err("round"));
    }
}
