//! Sums of products by Einstein's convention, from left to right, each pair as a matrix product or a product element by element.

use std::collections::BTreeMap;

use crate::graph::{Graph, Tensor};
use crate::scalar::Reduction;
use crate::tensor::Shape;

/// An axis by name: a letter, or a number for those that an ellipsis stands for, from the last on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Ellipsis(std::cmp::Reverse<usize>),
    Letter(char),
}

/// A tensor whose axes have names.
#[derive(Clone)]
struct Named {
    tensor: Tensor,
    labels: Vec<Label>,
}

/// The labels of one term for a tensor of a rank, or for the result, where `rank` is what its ellipsis stands for.
fn labels(term: &str, rank: Option<usize>, ellipsis: usize) -> Result<Vec<Label>, String> {
    let around: Vec<&str> = term.split("...").collect();
    let letters: usize = around.iter().map(|part| part.chars().count()).sum();
    if let Some(other) = around.iter().flat_map(|part| part.chars()).find(|letter| !letter.is_ascii_alphabetic()) {
        return Err(format!("{other:?} in {term:?} is no label; letters are"));
    }
    let between = match (around.len(), rank) {
        (1, Some(rank)) if rank != letters => return Err(format!("{term:?} does not fit {rank} axes")),
        (1, _) => 0,
        (2, Some(rank)) => rank.checked_sub(letters).ok_or_else(|| format!("{term:?} does not fit {rank} axes"))?,
        (2, None) => ellipsis,
        _ => return Err(format!("{term:?} has several ellipses")),
    };
    let mut found: Vec<Label> = around[0].chars().map(Label::Letter).collect();
    found.extend((0..between).rev().map(|index| Label::Ellipsis(std::cmp::Reverse(index))));
    found.extend(around.get(1).into_iter().flat_map(|part| part.chars()).map(Label::Letter));
    Ok(found)
}

/// The labels of each operand and of the result.
fn parse(equation: &str, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>), String> {
    let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (terms, result) = match equation.split_once("->") {
        Some((terms, result)) => (terms, Some(result)),
        None => (&*equation, None),
    };
    let terms: Vec<&str> = terms.split(',').collect();
    if terms.len() != ranks.len() {
        return Err(format!("{equation:?} is for {} tensors, not {}", terms.len(), ranks.len()));
    }
    let operands = terms.iter().zip(ranks).map(|(term, &rank)| labels(term, Some(rank), 0));
    let operands: Vec<Vec<Label>> = operands.collect::<Result<_, String>>()?;
    let mut counts: BTreeMap<Label, usize> = BTreeMap::new();
    operands.iter().flatten().for_each(|&label| *counts.entry(label).or_default() += 1);
    let ellipsis = counts.keys().filter(|label| matches!(label, Label::Ellipsis(_))).count();
    let Some(result) = result else {
        // Those of the ellipsis, then the letters that occur once, in the alphabet's order.
        let left = counts.iter().filter(|&(label, &count)| matches!(label, Label::Ellipsis(_)) || count == 1);
        return Ok((operands, left.map(|(&label, _)| label).collect()));
    };
    let result = labels(result, None, ellipsis)?;
    for (index, label) in result.iter().enumerate() {
        if result[..index].contains(label) || !counts.contains_key(label) {
            return Err(format!("the result of {equation:?} has a label twice, or one that no operand has"));
        }
    }
    Ok((operands, result))
}

impl Named {
    /// With one axis for each label: the diagonal where a label occurs twice.
    fn diagonal(mut self) -> Result<Self, String> {
        while let Some((first, second)) = twice(&self.labels) {
            let shape = self.tensor.shape();
            if shape[first] != shape[second] {
                return Err(format!("axes {first} and {second} of shape {shape} have one label"));
            }
            let (extent, label) = (shape[first], self.labels[first]);
            let others: Vec<usize> = (0..shape.rank()).filter(|&axis| axis != first && axis != second).collect();
            let order: Vec<usize> = others.iter().copied().chain([first, second]).collect();
            let mut dims: Vec<usize> = others.iter().map(|&axis| shape[axis]).collect();
            let rank = dims.len();
            dims.push(extent * extent);
            let flat = self.tensor.permute(&order).reshape(dims.clone());
            dims[rank] = extent;
            let mut steps = vec![1; rank + 1];
            steps[rank] = extent as isize + 1;
            self.tensor = flat.slice_steps(&vec![0; rank + 1], &dims, &steps);
            self.labels = others.iter().map(|&axis| self.labels[axis]).chain([label]).collect();
        }
        Ok(self)
    }

    /// With each axis as long as its label says.
    fn expanded(mut self, extents: &BTreeMap<Label, usize>) -> Self {
        self.tensor = self.tensor.broadcast_to(shape_of(&self.labels, extents));
        self
    }

    /// Without the axes that nobody needs.
    fn summed(self, needed: impl Fn(&Label) -> bool) -> Self {
        let axes: Vec<usize> = (0..self.labels.len()).filter(|&axis| !needed(&self.labels[axis])).collect();
        let labels = self.labels.into_iter().filter(|label| needed(label)).collect();
        Self { tensor: self.tensor.reduce_axes(Reduction::Sum, &axes), labels }
    }

    /// Axes in an order that names each of them.
    fn ordered(&self, labels: &[Label]) -> Tensor {
        let axes = labels.iter().filter_map(|label| self.labels.iter().position(|own| own == label));
        self.tensor.permute(&axes.collect::<Vec<usize>>())
    }

    /// The product with another, summed over the labels that both have and nobody else needs.
    fn times(self, other: Self, needed: impl Fn(&Label) -> bool, extents: &BTreeMap<Label, usize>) -> Self {
        let left = self.clone().summed(|label| needed(label) || other.labels.contains(label));
        let right = other.summed(|label| needed(label) || self.labels.contains(label));
        let (shared, own): (Vec<Label>, Vec<Label>) =
            left.labels.iter().partition(|label| right.labels.contains(label));
        let (batch, inner): (Vec<Label>, Vec<Label>) = shared.into_iter().partition(|label| needed(label));
        let theirs: Vec<Label> = right.labels.iter().filter(|label| !left.labels.contains(label)).copied().collect();
        let count = |labels: &[Label]| shape_of(labels, extents).len();
        let [lhs, rhs] =
            [(&left, [&batch, &own, &inner]), (&right, [&batch, &inner, &theirs])].map(|(named, parts)| {
                let order: Vec<Label> = parts.into_iter().flatten().copied().collect();
                named.ordered(&order).reshape(parts.map(|part| count(part)))
            });
        // Without a common sum, the axes of 1 expand.
        let product = match (inner.is_empty(), batch.is_empty()) {
            (true, _) => lhs * rhs,
            (false, true) => lhs.at(0, 0).matmul(&rhs.at(0, 0)),
            (false, false) => lhs.matmul(&rhs),
        };
        let labels: Vec<Label> = batch.into_iter().chain(own).chain(theirs).collect();
        Self { tensor: product.reshape(shape_of(&labels, extents)), labels }
    }
}

fn twice(labels: &[Label]) -> Option<(usize, usize)> {
    labels.iter().enumerate().find_map(|(second, label)| {
        let first = labels[..second].iter().position(|other| other == label)?;
        Some((first, second))
    })
}

fn shape_of(labels: &[Label], extents: &BTreeMap<Label, usize>) -> Shape {
    labels.iter().map(|label| extents.get(label).copied().unwrap_or(1)).collect()
}

impl Graph {
    /// NumPy's and PyTorch's `einsum`: letters name axes, and what the result does not name is summed. An ellipsis stands for the
    /// axes that have no letter; a letter that a term has twice takes a diagonal; without `->`, the result has the letters that
    /// occur once, in the alphabet's order. Axes of 1 expand.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (a, b) = (g.input("a", [2, 3], F32), g.input("b", [4, 3], F32));
    /// assert_eq!(g.einsum("ik,jk->ij", &[&a, &b]).shape().dims(), [2, 4]);
    /// ```
    #[track_caller]
    pub fn einsum(&self, equation: &str, tensors: &[&Tensor]) -> Tensor {
        if tensors.iter().any(|tensor| !tensor.graph().is_same(self)) {
            return self.mistake("einsum", "a tensor belongs to another graph");
        }
        if let (Some(_), Some(first)) = (self.error(), tensors.first()) {
            return (*first).clone();
        }
        // Not `unwrap_or_else`: the user's line does not reach through a function value.
        match contract(equation, tensors) {
            Ok(tensor) => tensor,
            Err(message) => self.mistake("einsum", message),
        }
    }
}

#[track_caller]
fn contract(equation: &str, tensors: &[&Tensor]) -> Result<Tensor, String> {
    let ranks: Vec<usize> = tensors.iter().map(|tensor| tensor.rank()).collect();
    let (operands, result) = parse(equation, &ranks)?;
    if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != tensors[0].dtype()) {
        return Err(format!("operands are {} and {}; cast one of them", tensors[0].dtype(), other.dtype()));
    }
    let mut extents: BTreeMap<Label, usize> = BTreeMap::new();
    for (labels, tensor) in operands.iter().zip(tensors) {
        for (&label, &extent) in labels.iter().zip(tensor.shape().iter()) {
            let known = extents.entry(label).or_insert(extent);
            if *known != extent && *known != 1 && extent != 1 {
                let shapes: Vec<String> = tensors.iter().map(|tensor| tensor.shape().to_string()).collect();
                return Err(format!("shapes {} do not fit {equation:?}", shapes.join(", ")));
            }
            if *known == 1 {
                *known = extent;
            }
        }
    }
    let mut named = Vec::with_capacity(tensors.len());
    for (labels, &tensor) in operands.iter().zip(tensors) {
        let operand = Named { tensor: tensor.clone(), labels: labels.clone() }.diagonal()?;
        named.push(operand.expanded(&extents));
    }
    let mut rest = named.into_iter();
    let Some(mut product) = rest.next() else { return Err("wants at least one tensor".into()) };
    for (index, operand) in rest.enumerate() {
        let later = operands.get(index + 2..).unwrap_or_default();
        let needed = |label: &Label| result.contains(label) || later.iter().flatten().any(|other| other == label);
        product = product.times(operand, needed, &extents);
    }
    Ok(product.summed(|label| result.contains(label)).ordered(&result))
}

#[cfg(test)]
mod tests {
    use crate::device::Device;
    use crate::graph::{Graph, Tensor};
    use crate::tensor::{DType, TensorData};

    /// The result for tensors of 1, 2, 3, …
    fn run(equation: &str, shapes: &[&[usize]]) -> TensorData {
        let g = Graph::new();
        let count = |shape: &[usize]| g.arange(shape.iter().product()).cast(DType::F64).reshape(shape) + 1.0;
        let tensors: Vec<Tensor> = shapes.iter().map(|shape| count(shape)).collect();
        let y = g.einsum(equation, &tensors.iter().collect::<Vec<_>>());
        g.output("y", &y);
        g.compile(&Device::cpu()).unwrap().run(&[]).unwrap().take("y").unwrap()
    }

    fn check(equation: &str, shapes: &[&[usize]], dims: &[usize], values: &[f64]) {
        let found = run(equation, shapes);
        assert_eq!((found.shape().dims(), &*found.to_f64_vec()), (dims, values), "{equation}");
    }

    #[test]
    fn equations_of_one_and_two_tensors() {
        check("ij->ji", &[&[2, 3]], &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        check("ij->", &[&[2, 3]], &[], &[21.0]);
        check("i...->...", &[&[2, 3]], &[3], &[5.0, 7.0, 9.0]);
        check("ii->i", &[&[3, 3]], &[3], &[1.0, 5.0, 9.0]);
        check("...ii->...i", &[&[2, 2, 2]], &[2, 2], &[1.0, 4.0, 5.0, 8.0]);
        check("ii", &[&[2, 2]], &[], &[5.0]);
        check("ba", &[&[2, 3]], &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        check("i,i", &[&[3], &[3]], &[], &[14.0]);
        check("i,j->ij", &[&[2], &[3]], &[2, 3], &[1.0, 2.0, 3.0, 2.0, 4.0, 6.0]);
        check("ij,jk", &[&[2, 2], &[2, 2]], &[2, 2], &[7.0, 10.0, 15.0, 22.0]);
        check("bij , bjk -> bik", &[&[2, 1, 2], &[2, 2, 1]], &[2, 1, 1], &[5.0, 25.0]);
        check("...j,...j->...", &[&[2, 2], &[1, 2]], &[2], &[5.0, 11.0]);
        check("ij,ij->ij", &[&[1, 2], &[1, 2]], &[1, 2], &[1.0, 4.0]);
        check("ijm,ik->kj", &[&[1, 2, 2], &[1, 2]], &[2, 2], &[3.0, 7.0, 6.0, 14.0]);
    }

    #[test]
    fn several_tensors_are_joined_from_the_left() {
        check("i,ij,j->", &[&[2], &[2, 2], &[2]], &[], &[27.0]);
        check("a,b,c->cba", &[&[1], &[2], &[2]], &[2, 2, 1], &[1.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn wrong_equations_are_explained() {
        let message = |equation: &str, shapes: &[&[usize]]| {
            let g = Graph::new();
            let tensors: Vec<Tensor> =
                shapes.iter().map(|shape| g.scalar(DType::F32, 0.0).broadcast_to(*shape)).collect();
            let _ = g.einsum(equation, &tensors.iter().collect::<Vec<_>>());
            g.error().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(message("ij->j", &[&[2, 2], &[2]]).contains("is for 1 tensors, not 2"));
        assert!(message("ijk->j", &[&[2, 2]]).contains("does not fit 2 axes"));
        assert!(message("i1->i", &[&[2, 2]]).contains("is no label"));
        assert!(message("ij->jj", &[&[2, 2]]).contains("a label twice"));
        assert!(message("ij->k", &[&[2, 2]]).contains("no operand has"));
        assert!(message("ij,jk->ik", &[&[2, 3], &[2, 3]]).contains("do not fit"));
        assert!(message("......->", &[&[2]]).contains("several ellipses"));
        assert!(message("ii->i", &[&[2, 3]]).contains("do not fit"));
    }
}
