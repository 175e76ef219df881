//! A bias in an epilogue: what begins with adding a value per column can leave that to the routine, which has its sums in
//! registers.

use super::expression::{NodeId, ScalarExpr, ScalarNode};
use super::function::ScalarFunction;
use crate::tensor::DType;

/// An epilogue that has been taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnBias {
    /// The input that holds the values, and the index of the first.
    pub(crate) input: usize,
    pub(crate) offset: usize,
    /// What is done after they have been added; `None` for nothing.
    pub(crate) rest: Option<ScalarExpr>,
}

/// Takes the bias off an epilogue in f32 whose innermost dimension is `columns` long. `None` where it begins otherwise.
pub(crate) fn column_bias(epilogue: &ScalarExpr, columns: usize) -> Option<ColumnBias> {
    let (mut expression, _) = epilogue.collapsed(&[]);
    if expression.dims.last() != Some(&columns) {
        return None;
    }
    let position = |wanted: &dyn Fn(&ScalarNode) -> bool| expression.nodes.iter().position(wanted);
    let accumulator = NodeId(position(&|node| matches!(node, ScalarNode::Accumulator(_)))? as u32);
    let mut users = (0..expression.nodes.len())
        .filter(|&node| ScalarExpr::operands(&expression.nodes[node]).contains(&accumulator));
    let (sum, None) = (users.next()?, users.next()) else { return None };
    let ScalarNode::Call { function: ScalarFunction::Add, arguments } = &expression.nodes[sum] else { return None };
    let &other = arguments.iter().find(|&&id| id != accumulator)?;
    let ScalarNode::Load { input, at } = &expression.nodes[other.index()] else { return None };
    let (last, outer) = at.strides.split_last()?;
    let is_stored = expression.inputs[*input] == DType::F32 && expression.types[sum] == DType::F32;
    let is_output = expression.outputs.iter().any(|&(id, _)| id == accumulator);
    if *last != 1 || outer.iter().any(|&stride| stride != 0) || !is_stored || is_output {
        return None;
    }
    let (input, offset) = (*input, usize::try_from(at.offset).ok()?);
    expression.nodes[sum] = ScalarNode::Accumulator(0);
    let rest = expression.pruned();
    let is_nothing =
        rest.nodes == [ScalarNode::Accumulator(0)] && matches!(rest.outputs.as_slice(), &[(_, DType::F32)]);
    Some(ColumnBias { input, offset, rest: (!is_nothing).then_some(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Affine, Builder};

    /// `f` of the accumulator and of an input that is read through a map, over 3 × 4 rows of 5.
    fn epilogue(strides: [i64; 3], f: impl Fn(&mut Builder, NodeId, NodeId) -> NodeId) -> ScalarExpr {
        let mut builder = Builder::new(DType::F32);
        let sum = builder.accumulator(DType::F32);
        let bias = builder.load(0, DType::F32, Affine::new(7, strides));
        let value = f(&mut builder, sum, bias);
        builder.finish(vec![3, 4, 5], vec![DType::F32], vec![(value, DType::F32)])
    }

    #[test]
    fn a_bias_comes_off_and_the_rest_stays() {
        let alone = column_bias(&epilogue([0, 0, 1], |b, sum, bias| b.add(sum, bias)), 5);
        assert_eq!(alone, Some(ColumnBias { input: 0, offset: 7, rest: None }));
        let with_more = |b: &mut Builder, sum, bias| {
            let value = b.add(bias, sum);
            b.call(ScalarFunction::Tanh, &[value])
        };
        let found = column_bias(&epilogue([0, 0, 1], with_more), 5).unwrap();
        let rest = found.rest.unwrap();
        assert_eq!(rest.dims, [12, 5]);
        assert!(matches!(rest.nodes.as_slice(), [ScalarNode::Accumulator(_), ScalarNode::Call { .. }]));
    }

    #[test]
    fn other_epilogues_stay_whole() {
        let add = |b: &mut Builder, sum, bias| b.add(sum, bias);
        // A number for each row, an operand as large as the result, a product, other columns, a sum that is used twice.
        assert_eq!(column_bias(&epilogue([0, 1, 0], add), 5), None);
        assert_eq!(column_bias(&epilogue([20, 5, 1], add), 5), None);
        assert_eq!(column_bias(&epilogue([0, 0, 1], |b, sum, bias| b.mul(sum, bias)), 5), None);
        assert_eq!(column_bias(&epilogue([0, 0, 1], add), 10), None);
        let twice = |b: &mut Builder, sum, bias| {
            let value = b.add(sum, bias);
            b.mul(value, sum)
        };
        assert_eq!(column_bias(&epilogue([0, 0, 1], twice), 5), None);
    }
}
