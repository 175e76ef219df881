//! Where a compiler of shaders would change what an expression gives: WGSL lets it calculate as with real numbers, and assume that there is
//! neither infinity nor NaN. Drivers do: `x − x` is 0 to them, `x·0` too, `(a + b) − a` is b, `√x·√x` is |x|, `x < y ? x : y` a minimum
//! that loses a NaN, and `!(x < y)` is `x ≥ y`. An operand whose bits are joined with a word that the compiler does not know, or a test of
//! bits, keeps it from that; neither costs anything to speak of, and only where one of these forms is met.

use super::Emitter;
use crate::scalar::expression::{NodeId, ScalarNode};
use crate::scalar::function::ScalarFunction as F;

/// How far terms and factors are followed.
const DEPTH: usize = 4;

/// Beyond these, a reciprocal may be subnormal or infinite, and a division by it is not one.
const ORDINARY: std::ops::RangeInclusive<f32> = 1e-37..=1e37;

/// A term of a sum or a factor of a product, and whether it is subtracted or divided by.
type Part = (NodeId, bool);

impl Emitter<'_> {
    fn function_of(&self, id: NodeId) -> Option<(F, &[NodeId])> {
        match &self.expression.nodes[id.index()] {
            ScalarNode::Call { function, arguments } => Some((*function, arguments)),
            _ => None,
        }
    }

    /// The terms of a sum or the factors of a product, whose functions `split` knows: which operands a function has, and which of them
    /// are inverted.
    fn parts(&self, (id, inverse): Part, depth: usize, split: Split, parts: &mut Vec<Part>) {
        let taken = self.function_of(id).filter(|_| depth > 0);
        match taken.and_then(|(function, arguments)| Some((split(function)?, arguments))) {
            Some((inverted, arguments)) => {
                for (&argument, inverted) in arguments.iter().zip(inverted) {
                    self.parts((argument, inverse != inverted), depth - 1, split, parts);
                }
            }
            None => parts.push((id, inverse)),
        }
    }

    /// True where something would cancel in a function of two operands.
    pub(super) fn cancels(&self, function: F, arguments: &[NodeId]) -> bool {
        let &[left, right] = arguments else { return false };
        let (split, second): (Split, bool) = match function {
            F::Add => (terms, false),
            F::Sub | F::Equal | F::NotEqual | F::Less | F::LessEqual | F::Greater | F::GreaterEqual => (terms, true),
            F::Mul => (factors, false),
            F::Div => (factors, true),
            _ => return false,
        };
        let (mut first, mut other) = (Vec::new(), Vec::new());
        self.parts((left, false), DEPTH, split, &mut first);
        self.parts((right, second), DEPTH, split, &mut other);
        let is_root = |id: NodeId| matches!(self.function_of(id), Some((F::Sqrt | F::Rsqrt, _)));
        let is_product = matches!(function, F::Mul | F::Div);
        first
            .iter()
            .any(|(id, sign)| other.iter().any(|(b, b_sign)| id == b && (sign != b_sign || is_product && is_root(*id))))
    }

    /// The square of a root is a root's, too.
    pub(super) fn is_root(&self, id: NodeId) -> bool {
        matches!(self.function_of(id), Some((F::Sqrt | F::Rsqrt, _)))
    }

    /// A value that no compiler knows anything about.
    pub(super) fn hidden(&mut self, value: &str) -> String {
        let word = self.param(0);
        format!("bitcast<Lanes>(bitcast<UintLanes>({value}) ^ UintLanes(u32({word})))")
    }

    /// Factors, or a dividend and a divisor. Where one is a constant that compilers calculate with (0, or close to the ends of the range),
    /// neither it nor the other one is known to them: the result of a reduction of nothing may be.
    pub(super) fn factors(&mut self, arguments: &[NodeId]) -> Vec<String> {
        let extreme = |this: &Self, id: NodeId| match this.expression.nodes[id.index()] {
            ScalarNode::Constant(constant) => {
                Some(constant.value as f32).filter(|value| !ORDINARY.contains(&value.abs()))
            }
            _ => None,
        };
        let any = arguments.iter().any(|&id| extreme(self, id).is_some());
        arguments
            .iter()
            .map(|&id| match extreme(self, id) {
                Some(value) => self.param_literal(value),
                None if any => self.hidden(&self.names[id.index()].clone()),
                None => self.names[id.index()].clone(),
            })
            .collect()
    }

    /// True where a node is a constant, and a number.
    pub(super) fn is_number(&self, id: NodeId) -> bool {
        matches!(self.expression.nodes[id.index()], ScalarNode::Constant(constant) if !constant.value.is_nan())
    }

    /// A test for each of the values that may be no number, joined by `operator`.
    fn tests(&self, ids: &[NodeId], negation: &str, operator: &str) -> String {
        let names = ids.iter().filter(|&&id| !self.is_number(id)).map(|id| &self.names[id.index()]);
        names.map(|name| format!(" {operator} {negation}no_number({name})")).collect()
    }

    /// The operands of an ordering of floats that a node is.
    fn ordered(&self, condition: NodeId) -> Option<[NodeId; 2]> {
        match self.function_of(condition)? {
            (F::Less | F::LessEqual | F::Greater | F::GreaterEqual, &[a, b])
                if self.expression.types[a.index()].is_float() =>
            {
                Some([a, b])
            }
            _ => None,
        }
    }

    /// The condition of a choice, which a choice between what it compares would be one of minimum and maximum.
    pub(super) fn condition(&self, condition: NodeId, choices: &[NodeId]) -> String {
        let name = &self.names[condition.index()];
        match self.ordered(condition) {
            Some(operands) if choices.iter().all(|choice| operands.contains(choice)) => {
                format!("({name}{})", self.tests(&operands, "!", "&"))
            }
            _ => name.clone(),
        }
    }

    /// True where a condition is not.
    pub(super) fn negated(&self, condition: NodeId) -> String {
        let name = &self.names[condition.index()];
        match self.ordered(condition) {
            Some(operands) => format!("(!{name}{})", self.tests(&operands, "", "|")),
            None => format!("(!{name})"),
        }
    }
}

/// Which operands of a function are inverted, where it is a sum or a product.
type Split = fn(F) -> Option<[bool; 2]>;

fn terms(function: F) -> Option<[bool; 2]> {
    match function {
        F::Add => Some([false, false]),
        F::Sub => Some([false, true]),
        F::Neg => Some([true, true]),
        _ => None,
    }
}

fn factors(function: F) -> Option<[bool; 2]> {
    match function {
        F::Mul => Some([false, false]),
        F::Div => Some([false, true]),
        F::Reciprocal => Some([true, true]),
        _ => None,
    }
}
