//! One operator of the engine as nodes of ONNX: movement, reductions, products, scatters, sorting. Windows and recurrences have
//! files of their own.

use super::writer::{Writer, int, ints, string};
use crate::error::{Error, Result};
use crate::graph::Node;
use crate::ops::{Combine, Op, Pad, PoolKind, Reduce, Resample, Slice, Standardize};
use crate::scalar::Reduction;
use crate::tensor::{DType, Shape, TensorData};

/// Weights of a resampled axis that are written as a matrix.
const MOST_WEIGHTS: usize = 1 << 24;

impl Writer<'_> {
    /// Writes a node; returns the names of its outputs.
    ///
    /// # Errors
    /// What ONNX has not, by the operator's name.
    pub(super) fn operator(&mut self, index: usize, node: &Node) -> Result<Vec<String>> {
        let refused = |message: String| Error::graph(node.op.operator().name(), message, node.origin);
        let names = self.inputs(node)?;
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let first = inputs.first().copied().unwrap_or_default();
        let second = inputs.get(1).copied().unwrap_or_default();
        let output = node.outputs.first().map(|ty| ty.shape.clone()).unwrap_or_default();
        let one = |name: String| Ok(vec![name]);
        match &node.op {
            Op::Constant(data) => one(self.constant(data)),
            Op::StopGradient => one(first.to_owned()),
            Op::Elementwise(function) => one(self.elementwise(function.0, node, &output).map_err(refused)?),
            Op::Coordinate(coordinate) => one(self.coordinate(index, &coordinate.shape, coordinate.axis)?),
            Op::Reshape(_) => one(self.reshape(first, &output)),
            Op::Permute(permute) => one(self.add("Transpose", &[first], [ints("perm", permute.0.iter().copied())])),
            Op::Broadcast(_) => one(self.broadcast(index, node, first, &output)?),
            Op::Slice(slice) => one(self.slices(slice, first)),
            Op::Pad(pad) => {
                let own = self.input_type(node, 0)?.shape;
                one(self.border(pad, first, &own)?)
            }
            Op::Concat(concat) => one(self.add("Concat", &inputs, [int("axis", concat.axis as i64)])),
            Op::Gather(gather) => one(self.add("GatherElements", &[first, second], [int("axis", gather.axis as i64)])),
            Op::Take(take) => one(self.add("Gather", &[first, second], [int("axis", take.axis as i64)])),
            Op::Reduce(reduce) => {
                let ty = self.input_type(node, 0)?;
                one(self.reduce(reduce, first, &ty.shape, ty.dtype, &output))
            }
            Op::Matmul(matmul) => {
                let product = self.call("MatMul", &[first, second]);
                if !matmul.row_sums {
                    return one(product);
                }
                let axis = self.list([-1]);
                let sums = self.add("ReduceSum", &[first, &axis], [int("keepdims", 0)]);
                Ok(vec![product, sums])
            }
            Op::CumulativeSum(sum) => {
                let axis = self.scalar(DType::I64, sum.axis as f64)?;
                let attributes = [int("exclusive", sum.exclusive.into()), int("reverse", sum.reverse.into())];
                one(self.add("CumSum", &[first, &axis], attributes))
            }
            Op::Sort(sort) => {
                let count = self.list([output.last().copied().unwrap_or(1) as i64]);
                let attributes = [int("axis", -1), int("largest", sort.descending.into()), int("sorted", 1)];
                let outputs = self.add_many("TopK", &[first, &count], &[true, true], attributes);
                let [values, indices] = outputs.as_slice() else { return Ok(outputs) };
                let indices = self.cast(indices, DType::I32);
                Ok(vec![values.clone(), indices])
            }
            Op::Standardize(standardize) => one(self.standardize(standardize, &inputs)),
            Op::Scatter(scatter) if scatter.rows => {
                one(self.scatter_rows(&inputs, scatter.axis, output.rank(), scatter.combine))
            }
            Op::Scatter(scatter) => one(self.scatter(&inputs, scatter.axis, scatter.combine)),
            Op::ScatterAdd(scatter) => one(self.scatter(&inputs, scatter.axis, Combine::Sum)),
            Op::ScatterRows(scatter) => one(self.scatter_rows(&inputs, scatter.axis, output.rank(), Combine::Sum)),
            Op::Resample(resample) => {
                let ty = self.input_type(node, 0)?;
                one(self.resample(resample, first, ty.dtype, ty.shape.rank()).map_err(refused)?)
            }
            Op::Convolution(convolution) => one(self.convolution(convolution, node, first, second).map_err(refused)?),
            Op::Pool(pool) => match pool.kind {
                PoolKind::Max | PoolKind::Sum => self.pool(pool, index, node, first).map_err(refused),
                _ => Err(refused("it only occurs in gradients, which are not exported".into())),
            },
            Op::Recurrent(recurrent) => self.recurrent(recurrent, index, node, &inputs).map_err(refused),
            // Their decompositions are here instead.
            Op::Custom(_) | Op::SearchSorted(_) | Op::Attention(_) => Err(refused("it has no form in ONNX".into())),
            Op::Placeholder | Op::Input(..) | Op::Variable(_) => Err(refused("it should have a name already".into())),
        }
    }

    /// Counting along an axis. Elementwise users take the single line of it.
    fn coordinate(&mut self, index: usize, shape: &Shape, axis: usize) -> Result<String> {
        let extent = shape.get(axis).copied().unwrap_or(0);
        let (start, step) = (self.scalar(DType::I32, 0.0)?, self.scalar(DType::I32, 1.0)?);
        let end = self.scalar(DType::I32, extent as f64)?;
        let range = self.call("Range", &[&start, &end, &step]);
        let line: Shape = (0..shape.rank()).map(|other| if other == axis { extent } else { 1 }).collect();
        let range = if line.rank() > 1 { self.reshape(&range, &line) } else { range };
        if line == *shape {
            return Ok(range);
        }
        let wanted = self.shape(shape);
        let expanded = self.call("Expand", &[&range, &wanted]);
        self.expanded.insert(crate::graph::ValueId { node: index as u32, output: 0 }, (range, line));
        Ok(expanded)
    }

    fn broadcast(&mut self, index: usize, node: &Node, input: &str, shape: &Shape) -> Result<String> {
        let wanted = self.shape(shape);
        let expanded = self.call("Expand", &[input, &wanted]);
        let small = match node.inputs.first().and_then(|source| self.expanded.get(source)) {
            Some(small) => small.clone(),
            None => (input.to_owned(), self.input_type(node, 0)?.shape),
        };
        self.expanded.insert(crate::graph::ValueId { node: index as u32, output: 0 }, small);
        Ok(expanded)
    }

    fn slices(&mut self, slice: &Slice, input: &str) -> String {
        let parts = slice.starts.iter().zip(&slice.lengths).zip(&slice.steps);
        let (mut starts, mut ends, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        for ((&start, &length), &step) in parts {
            let (start, step) = (start as i64, if length == 0 { 1 } else { step as i64 });
            let end = start.saturating_add(step.saturating_mul(length as i64));
            starts.push(start);
            // Before the first element; a plain -1 would be the last.
            ends.push(if end < 0 { i64::MIN + 1 } else { end });
            steps.push(step);
        }
        let axes = self.list(0..starts.len() as i64);
        let (starts, ends, steps) = (self.list(starts), self.list(ends), self.list(steps));
        self.call("Slice", &[input, &starts, &ends, &axes, &steps])
    }

    /// A border, and gaps between elements: those by a border of an axis of their own, which joins the one before.
    fn border(&mut self, pad: &Pad, input: &str, shape: &Shape) -> Result<String> {
        let value = self.scalar(pad.value.dtype, pad.value.value)?;
        let mut dims = shape.to_vec();
        let mut input = input.to_owned();
        for (axis, &between) in pad.between.iter().enumerate() {
            let Some(&extent) = dims.get(axis).filter(|&&extent| between > 0 && extent > 1) else { continue };
            let mut apart = dims.clone();
            apart.insert(axis + 1, 1);
            let (low, mut high) = (vec![0; apart.len()], vec![0; apart.len()]);
            if let Some(gap) = high.get_mut(axis + 1) {
                *gap = between;
            }
            input = self.reshape(&input, &apart);
            input = self.pad(&input, &low, &high, &value);
            let whole = extent * (between + 1);
            if let Some(own) = dims.get_mut(axis) {
                *own = whole;
            }
            input = self.reshape(&input, &dims);
            // The last element has no gap behind it.
            input = self.slice(&input, axis, 0, (whole - between) as i64);
            if let Some(own) = dims.get_mut(axis) {
                *own = whole - between;
            }
        }
        if pad.low.iter().chain(&pad.high).any(|&width| width > 0) {
            input = self.pad(&input, &pad.low, &pad.high, &value);
        }
        Ok(input)
    }

    fn reduce(&mut self, reduce: &Reduce, input: &str, shape: &Shape, dtype: DType, output: &Shape) -> String {
        let name = match reduce.reduction {
            Reduction::Sum => "ReduceSum",
            Reduction::Product => "ReduceProd",
            Reduction::Max => "ReduceMax",
            Reduction::Min => "ReduceMin",
            Reduction::LogSumExp => "ReduceLogSumExp",
            Reduction::ArgMax => return self.arg_extreme("ArgMax", reduce, input, shape, output),
            Reduction::ArgMin => return self.arg_extreme("ArgMin", reduce, input, shape, output),
        };
        if reduce.axes.is_empty() {
            return self.call("Identity", &[input]);
        }
        let axes = self.list(reduce.axes.iter().map(|&axis| axis as i64));
        let keep = [int("keepdims", reduce.keep.into())];
        if dtype != DType::Bool {
            return self.add(name, &[input, &axes], keep);
        }
        let numbers = self.cast(input, DType::I32);
        let result = self.add(name, &[&numbers, &axes], keep);
        self.cast(&result, DType::Bool)
    }

    /// The indices of extremes. Several axes become one, at the end.
    fn arg_extreme(&mut self, name: &str, reduce: &Reduce, input: &str, shape: &Shape, output: &Shape) -> String {
        let retained: Vec<usize> = (0..shape.rank()).filter(|axis| !reduce.axes.contains(axis)).collect();
        let order: Vec<usize> = retained.iter().chain(&reduce.axes).copied().collect();
        let extent = |axis: &usize| shape.get(*axis).copied().unwrap_or(1);
        let mut dims: Vec<usize> = retained.iter().map(extent).collect();
        dims.push(reduce.axes.iter().map(extent).product());
        let transposed = self.add("Transpose", &[input], [ints("perm", order)]);
        let flat = self.reshape(&transposed, &dims);
        let indices = self.add(name, &[&flat], [int("axis", -1), int("keepdims", 0)]);
        let indices = self.cast(&indices, DType::I32);
        self.reshape(&indices, output)
    }

    fn standardize(&mut self, standardize: &Standardize, inputs: &[&str]) -> String {
        let mut rest = inputs.iter().copied();
        let mut value = rest.next().unwrap_or_default().to_owned();
        let mut apply = |writer: &mut Self, name: &str| {
            if let Some(operand) = rest.next() {
                value = writer.call(name, &[&value, operand]);
            }
        };
        if standardize.centred {
            apply(self, "Sub");
        }
        apply(self, "Mul");
        if standardize.affine {
            apply(self, "Mul");
            apply(self, "Add");
        }
        value
    }

    fn scatter(&mut self, inputs: &[&str], axis: usize, combine: Combine) -> String {
        let [base, index, source] = inputs else { return String::new() };
        let index = self.cast(index, DType::I64);
        let attributes = [int("axis", axis as i64), string("reduction", joining(combine))];
        self.add("ScatterElements", &[base, &index, source], attributes)
    }

    /// One index a slice: `ScatterND` along the first axis, to which another is moved.
    fn scatter_rows(&mut self, inputs: &[&str], axis: usize, rank: usize, combine: Combine) -> String {
        let [base, index, source] = inputs else { return String::new() };
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(0, axis);
        let moved = |writer: &mut Self, value: &str| match axis {
            0 => value.to_owned(),
            _ => writer.add("Transpose", &[value], [ints("perm", order.iter().copied())]),
        };
        let (base, source) = (moved(self, base), moved(self, source));
        let index = self.cast(index, DType::I64);
        let last = self.list([-1]);
        let index = self.call("Unsqueeze", &[&index, &last]);
        let joined = self.add("ScatterND", &[&base, &index, &source], [string("reduction", joining(combine))]);
        moved(self, &joined)
    }

    /// A sparse map along an axis: picking where each result is one element, else a product with its matrix.
    fn resample(&mut self, resample: &Resample, input: &str, dtype: DType, rank: usize) -> Result<String, String> {
        let (elements, rows) = resample.map.rows();
        let axis = resample.axis;
        if rows.iter().all(|row| matches!(row.as_slice(), [(_, weight)] if *weight == 1.0)) {
            let indices = self.list(rows.iter().flatten().map(|&(index, _)| index as i64));
            return Ok(self.add("Gather", &[input, &indices], [int("axis", axis as i64)]));
        }
        let results = rows.len();
        if elements.saturating_mul(results) > MOST_WEIGHTS {
            return Err(format!("a map from {elements} to {results} elements is too large to be written as a matrix"));
        }
        let mut matrix = vec![0.0; elements * results];
        for (result, row) in rows.iter().enumerate() {
            for &(index, weight) in row {
                if let Some(own) = matrix.get_mut(index * results + result) {
                    *own += weight;
                }
            }
        }
        let weights = TensorData::from_f64(dtype, &matrix, [elements, results]).map_err(|error| error.to_string())?;
        let weights = self.constant(&weights);
        if axis + 1 == rank {
            return Ok(self.call("MatMul", &[input, &weights]));
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(axis, rank.saturating_sub(1));
        let transposed = self.add("Transpose", &[input], [ints("perm", order.iter().copied())]);
        let product = self.call("MatMul", &[&transposed, &weights]);
        Ok(self.add("Transpose", &[&product], [ints("perm", order)]))
    }
}

/// ONNX's name of how a scatter joins values.
const fn joining(combine: Combine) -> &'static str {
    match combine {
        Combine::Sum => "add",
        Combine::Product => "mul",
        Combine::Max => "max",
        Combine::Min => "min",
        Combine::Last => "none",
    }
}
