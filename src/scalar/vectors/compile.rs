//! From an expression to instructions: chains of nodes that nothing else reads become one, and results that are outputs are computed
//! where those are.

use rustc_hash::FxHashMap;

use super::forms::{Form, Pair};
use super::{Code, Instruction, Layout, Operand, Space, Work};
use crate::scalar::function::ScalarFunction as F;
use crate::scalar::{NodeId, ScalarExpr, ScalarNode};

/// An instruction whose operands are still nodes.
struct Chosen {
    node: usize,
    /// The second result, of a pair.
    second: Option<usize>,
    work: Work,
    operands: Vec<NodeId>,
}

impl Chosen {
    fn results(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.node).chain(self.second)
    }

    fn reads(&self, node: usize) -> bool {
        self.operands.iter().any(|id| id.index() == node)
    }
}

/// Compiles an expression of constant loads.
pub(super) fn compile(expression: &ScalarExpr, inputs: &[Layout], outputs: &[Layout]) -> Code {
    let chosen = paired(Chooser::new(expression).choose());
    let mut layouts_of: FxHashMap<usize, Vec<Layout>> = FxHashMap::default();
    for ((id, _), layout) in expression.outputs.iter().zip(outputs) {
        layouts_of.entry(id.index()).or_default().push(*layout);
    }
    let layouts = |node: usize| layouts_of.get(&node).map_or(&[][..], Vec::as_slice);
    let mut last_use = vec![0; expression.nodes.len()];
    for (position, instruction) in chosen.iter().enumerate() {
        instruction.operands.iter().for_each(|id| last_use[id.index()] = position);
    }
    let buffers = outputs.iter().map(|layout| layout.buffer + 1).max().unwrap_or(0);
    let mut code = Code { constants: Vec::new(), instructions: Vec::new(), buffers, registers: 0 };
    // Where results can be read.
    let mut results: FxHashMap<usize, Layout> = FxHashMap::default();
    let mut free: Vec<usize> = Vec::new();
    let nowhere = Layout { buffer: 0, offset: 0, stride: 0 };
    for (position, instruction) in chosen.iter().enumerate() {
        let operands: Vec<Operand> = instruction
            .operands
            .iter()
            .map(|id| match &expression.nodes[id.index()] {
                ScalarNode::Constant(constant) => {
                    let layout = Layout { offset: code.constant(constant.value), ..nowhere };
                    Operand { space: Space::Constant, layout }
                }
                ScalarNode::Load { input, .. } => {
                    Operand { space: Space::Source, layout: inputs.get(*input).copied().unwrap_or(nowhere) }
                }
                _ => {
                    let layout = results.get(&id.index()).copied().unwrap_or(nowhere);
                    Operand { space: Space::Buffer, layout }
                }
            })
            .collect();
        let mut own: Vec<Layout> = Vec::new();
        let mut copies: Vec<[Layout; 2]> = Vec::new();
        for node in instruction.results() {
            let mut targets = layouts(node).to_vec();
            // Leaves are copied into outputs and read where they are. A result is read where it is an output, unless a reader writes there and
            // cannot read there.
            let is_leaf = !matches!(expression.nodes[node], ScalarNode::Call { .. });
            let mut readers = chosen[position + 1..].iter().filter(|later| later.reads(node));
            let is_read_apart = match targets.first() {
                Some(first) => readers.any(|reader| {
                    let there = |result: &usize| layouts(*result).first().is_some_and(|own| own.buffer == first.buffer);
                    match reader.work {
                        Work::Chain(_) => false,
                        Work::Pair(_) => reader.results().filter(there).count() == 2,
                        Work::Function(_) => reader.results().any(|result| there(&result)),
                    }
                }),
                None => true,
            };
            if is_read_apart && !is_leaf {
                let register = free.pop().unwrap_or_else(|| {
                    code.registers += 1;
                    buffers + code.registers - 1
                });
                targets.push(Layout { buffer: register, offset: 0, stride: 1 });
            }
            if !is_leaf {
                let read = if is_read_apart { targets.last() } else { targets.first() };
                results.insert(node, read.copied().unwrap_or(nowhere));
            }
            if let Some((&target, others)) = targets.split_first() {
                own.push(target);
                copies.extend(others.iter().map(|&other| [target, other]));
            }
        }
        let mut done: Vec<usize> = instruction.operands.iter().map(|id| id.index()).collect();
        done.sort_unstable();
        done.dedup();
        for operand in done {
            if last_use[operand] == position
                && let Some(layout) = results.get(&operand)
                && layout.buffer >= buffers
            {
                free.push(layout.buffer);
            }
        }
        let Some(&target) = own.first() else { continue };
        let second = own.get(1).copied();
        let new = Instruction { work: instruction.work, operands, target, second, copies, width: 1 };
        if !code.instructions.iter_mut().any(|earlier| joined(earlier, &new)) {
            code.instructions.push(new);
        }
    }
    code
}

/// Makes pairs of instructions that can be computed together: at the index of the first, where what the second one reads is known there,
/// else at that of the second, where nothing reads the first before.
fn paired(mut chosen: Vec<Chosen>) -> Vec<Chosen> {
    let mut later = 1;
    while later < chosen.len() {
        let found = (0..later).find_map(|earlier| {
            let (first, second) = (&chosen[earlier], &chosen[later]);
            let in_order = pair(first, second).map(|pair| (pair, [first.node, second.node]));
            let ((pair, operands), nodes) =
                in_order.or_else(|| pair(second, first).map(|pair| (pair, [second.node, first.node])))?;
            let known =
                |node: usize| chosen[earlier..].iter().all(|other| other.results().all(|result| result != node));
            let at_first =
                chosen[later].operands.iter().all(|id| id.index() == chosen[earlier].node || known(id.index()));
            let at_second = chosen[earlier + 1..later].iter().all(|other| !other.reads(chosen[earlier].node));
            (at_first || at_second).then(|| {
                let [node, second] = nodes;
                (earlier, at_first, Chosen { node, second: Some(second), work: Work::Pair(pair), operands })
            })
        });
        let Some((earlier, at_first, joint)) = found else {
            later += 1;
            continue;
        };
        let (stays, goes) = if at_first { (earlier, later) } else { (later, earlier) };
        chosen[stays] = joint;
        chosen.remove(goes);
    }
    chosen
}

/// The pair that two instructions make, with its operands.
fn pair(first: &Chosen, second: &Chosen) -> Option<(Pair, Vec<NodeId>)> {
    let (Work::Chain(form), Work::Chain(other)) = (first.work, second.work) else { return None };
    let is_first = |id: NodeId| id.index() == first.node;
    match (form, first.operands.as_slice(), other, second.operands.as_slice()) {
        (Form::MulAddMul, &[a, b, c, d], Form::MulTanh, &[e, sum]) if is_first(sum) && !is_first(e) => {
            Some((Pair::MulAddMulTanh, vec![a, b, c, d, e]))
        }
        (Form::TanhOfMulAdd, &[a, b, c], Form::Mix, &[value, d, e])
            if is_first(value) && !is_first(d) && !is_first(e) =>
        {
            Some((Pair::TanhMix, vec![a, b, c, d, e]))
        }
        (Form::TanhOfMulAddMul, &[a, b, c, d], Form::MulSigmoidSlope, &[e, value, f])
            if is_first(value) && !is_first(e) && !is_first(f) =>
        {
            Some((Pair::TanhSigmoidSlope, vec![a, b, c, d, e, f]))
        }
        (Form::MulSigmoidSlope, &[a, b, c], Form::MulTanhSlope, &[d, e, f])
            if b == f && (a, c) == (d, e) && !(is_first(d) || is_first(e) || is_first(f)) =>
        {
            Some((Pair::SigmoidTanhSlopes, vec![a, b, c]))
        }
        (Form::MulSigmoidSlope, &[a, b, c], Form::Mul, &[d, e]) if (a, c) == (d, e) => {
            Some((Pair::SigmoidSlopeMul, vec![a, b, c]))
        }
        _ => None,
    }
}

/// Joins an instruction to an earlier one, where it is the same chain of sources that are beside the other's, for a result beside the
/// other's.
fn joined(earlier: &mut Instruction, later: &Instruction) -> bool {
    let width = earlier.width;
    let beside = |first: Layout, second: Layout| second == Layout { offset: first.offset + width, ..first };
    let operands_fit = earlier.operands.len() == later.operands.len()
        && earlier.operands.iter().zip(&later.operands).all(|(first, second)| {
            first.space == Space::Source && second.space == Space::Source && beside(first.layout, second.layout)
        });
    let fits = operands_fit
        && earlier.work == later.work
        && earlier.copies.is_empty()
        && later.copies.is_empty()
        && earlier.second.is_none()
        && later.second.is_none()
        && beside(earlier.target, later.target);
    if fits {
        earlier.width += 1;
    }
    fits
}

struct Chooser<'a> {
    expression: &'a ScalarExpr,
    /// How many nodes and outputs read each node.
    uses: Vec<usize>,
    demanded: Vec<bool>,
}

impl<'a> Chooser<'a> {
    fn new(expression: &'a ScalarExpr) -> Self {
        let mut uses = vec![0; expression.nodes.len()];
        for node in &expression.nodes {
            ScalarExpr::operands(node).iter().for_each(|id| uses[id.index()] += 1);
        }
        let mut demanded = vec![false; expression.nodes.len()];
        for (id, _) in &expression.outputs {
            // Never inside a chain.
            uses[id.index()] += 2;
            demanded[id.index()] = true;
        }
        Self { expression, uses, demanded }
    }

    /// The instructions, operands first.
    fn choose(mut self) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        for index in (0..self.expression.nodes.len()).rev() {
            if !self.demanded[index] {
                continue;
            }
            let id = NodeId(index as u32);
            let (work, operands) = match &self.expression.nodes[index] {
                ScalarNode::Call { function, arguments } => match self.chain(id) {
                    Some((form, operands)) => (Work::Chain(form), operands),
                    None => (Work::Function(*function), arguments.clone()),
                },
                // An output, as it is.
                _ => (Work::Chain(Form::Copy), vec![id]),
            };
            operands.iter().filter(|operand| **operand != id).for_each(|operand| self.demand(*operand));
            chosen.push(Chosen { node: index, second: None, work, operands });
        }
        chosen.reverse();
        chosen
    }

    fn demand(&mut self, id: NodeId) {
        if matches!(self.expression.nodes[id.index()], ScalarNode::Call { .. }) {
            self.demanded[id.index()] = true;
        }
    }

    /// The arguments of a node that is this function.
    fn call<const N: usize>(&self, id: NodeId, wanted: F) -> Option<[NodeId; N]> {
        match &self.expression.nodes[id.index()] {
            ScalarNode::Call { function, arguments } if *function == wanted => arguments.as_slice().try_into().ok(),
            _ => None,
        }
    }

    /// The same of a node that nothing else reads.
    fn inner<const N: usize>(&self, id: NodeId, wanted: F) -> Option<[NodeId; N]> {
        self.call(id, wanted).filter(|_| self.uses[id.index()] == 1)
    }

    fn is_number(&self, id: NodeId, value: f64) -> bool {
        matches!(self.expression.nodes[id.index()], ScalarNode::Constant(constant) if constant.value == value)
    }

    /// b, of 1 − b.
    fn rest(&self, id: NodeId) -> Option<NodeId> {
        let [one, b] = self.call(id, F::Sub)?;
        self.is_number(one, 1.0).then_some(b)
    }

    /// b, of b·(1 − b).
    fn sigmoid_slope(&self, id: NodeId) -> Option<NodeId> {
        let [a, b] = self.call(id, F::Mul)?;
        [(a, b), (b, a)].into_iter().find_map(|(value, rest)| (self.rest(rest) == Some(value)).then_some(value))
    }

    /// b, of 1 − b².
    fn tanh_slope(&self, id: NodeId) -> Option<NodeId> {
        let square = self.rest(id)?;
        match self.call(square, F::Mul) {
            Some([a, b]) if a == b => Some(a),
            _ => self.call(square, F::Square).map(|[a]| a),
        }
    }

    /// A chain that gives the node, with its operands.
    fn chain(&self, id: NodeId) -> Option<(Form, Vec<NodeId>)> {
        if !self.expression.types[id.index()].is_float() {
            return None;
        }
        let ScalarNode::Call { function, arguments } = &self.expression.nodes[id.index()] else { return None };
        match (*function, arguments.as_slice()) {
            (F::Sigmoid, &[a]) => Some(self.activation(
                a,
                [Form::Sigmoid, Form::SigmoidOfSum, Form::SigmoidOfMulAdd, Form::SigmoidOfSumMulAdd],
                None,
            )),
            (F::Tanh, &[a]) => Some(self.activation(
                a,
                [Form::Tanh, Form::TanhOfSum, Form::TanhOfMulAdd, Form::TanhOfSumMulAdd],
                Some(Form::TanhOfMulAddMul),
            )),
            (F::Relu, &[a]) => Some(match self.inner(a, F::Add) {
                Some([left, right]) => (Form::ReluOfSum, vec![left, right]),
                None => (Form::Relu, vec![a]),
            }),
            (F::Add, &[a, b]) => Some(self.sum(a, b)),
            (F::Sub, &[a, b]) => Some(match self.inner(b, F::Mul) {
                Some([b, c]) => (Form::SubMul, vec![a, b, c]),
                None => (Form::Sub, vec![a, b]),
            }),
            (F::Mul, &[a, b]) => {
                Some(self.product(a, b).or_else(|| self.product(b, a)).unwrap_or((Form::Mul, vec![a, b])))
            }
            (F::Square, &[a]) => Some((Form::Mul, vec![a, a])),
            (F::Div, &[a, b]) => Some((Form::Div, vec![a, b])),
            (F::Select, &[condition, zero, a]) => {
                let [b, low] = self.call(condition, F::LessEqual)?;
                let is_slope = self.is_number(low, 0.0) && self.is_number(zero, 0.0);
                is_slope.then(|| (Form::ReluSlope, vec![a, b]))
            }
            _ => None,
        }
    }

    fn activation(&self, a: NodeId, forms: [Form; 4], of_products: Option<Form>) -> (Form, Vec<NodeId>) {
        let [plain, of_sum, of_mul_add, of_sum_mul_add] = forms;
        let Some([left, right]) = self.inner(a, F::Add) else { return (plain, vec![a]) };
        if let (Some(form), Some([b, c]), Some([d, e])) =
            (of_products, self.inner(left, F::Mul), self.inner(right, F::Mul))
        {
            return (form, vec![b, c, d, e]);
        }
        for (sum, product) in [(left, right), (right, left)] {
            if let Some([c, d]) = self.inner(product, F::Mul) {
                return match self.inner(sum, F::Add) {
                    Some([a, b]) => (of_sum_mul_add, vec![a, b, c, d]),
                    None => (of_mul_add, vec![sum, c, d]),
                };
            }
        }
        (of_sum, vec![left, right])
    }

    fn sum(&self, a: NodeId, b: NodeId) -> (Form, Vec<NodeId>) {
        if let (Some([c, d]), Some([e, f])) = (self.inner(a, F::Mul), self.inner(b, F::Mul)) {
            let is_plain = |c, d| self.product(c, d).or_else(|| self.product(d, c)).is_none();
            if is_plain(c, d) && is_plain(e, f) {
                return (Form::MulAddMul, vec![c, d, e, f]);
            }
        }
        for (sum, product) in [(a, b), (b, a)] {
            let Some([c, d]) = self.inner(product, F::Mul) else { continue };
            for (factor, difference) in [(c, d), (d, c)] {
                if let Some([to, from]) = self.inner(difference, F::Sub)
                    && from == sum
                {
                    return (Form::Mix, vec![sum, factor, to]);
                }
                if let (Some(slope), Some([c, d])) = (self.tanh_slope(difference), self.inner(factor, F::Mul)) {
                    return (Form::AddMulTanhSlope, vec![sum, c, d, slope]);
                }
            }
            if self.product(c, d).or_else(|| self.product(d, c)).is_none() {
                return (Form::MulAdd, vec![c, d, sum]);
            }
        }
        (Form::Add, vec![a, b])
    }

    /// A product whose second factor is a derivative, or has a function in it.
    fn product(&self, a: NodeId, b: NodeId) -> Option<(Form, Vec<NodeId>)> {
        if let (Some([c, d]), Some(value)) = (self.inner::<2>(a, F::Mul), self.sigmoid_slope(b)) {
            for (factor, difference) in [(c, d), (d, c)] {
                if let Some([c, d]) = self.inner(difference, F::Sub) {
                    return Some((Form::MulSubSigmoidSlope, vec![factor, c, d, value]));
                }
            }
        }
        if let (Some([c, d]), Some(value)) = (self.inner::<2>(a, F::Sub), self.tanh_slope(b)) {
            return Some((Form::SubTanhSlope, vec![c, d, value]));
        }
        let with = |value: NodeId, plain: Form, of_product: Form| match self.inner(a, F::Mul) {
            Some([c, d]) => (of_product, vec![c, d, value]),
            None => (plain, vec![a, value]),
        };
        if let Some(value) = self.sigmoid_slope(b) {
            return Some(with(value, Form::SigmoidSlope, Form::MulSigmoidSlope));
        }
        if let Some(value) = self.tanh_slope(b) {
            return Some(with(value, Form::TanhSlope, Form::MulTanhSlope));
        }
        if let Some(value) = self.rest(b) {
            return Some(with(value, Form::MulRest, Form::MulMulRest));
        }
        let [inner] = self.inner(b, F::Tanh)?;
        // What is a longer chain by itself stays one.
        self.inner::<2>(inner, F::Add).is_none().then(|| (Form::MulTanh, vec![a, inner]))
    }
}
