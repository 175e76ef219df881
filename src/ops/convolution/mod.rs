//! Convolutions over one to three spatial axes, and their gradients with respect to input and weight. The three are closed under
//! differentiation: the gradient of each is made of the other two. A transposed convolution is the gradient with respect to the
//! input, applied to other things.
//!
//! Activations are `[batch, channels, spatial…]`, weights `[out, in / groups, kernel…]`. As in PyTorch, a "convolution" does not
//! flip the kernel: `y[n, k, o] = Σ x[n, c, o · stride − low + t · dilation] · w[k, c, t]`.
//! Padding is zeros that are multiplied like other elements, so that an infinite weight over it gives NaN.

mod depthwise;
mod integer;
mod kernels;
mod native;
mod options;
mod problem;
#[cfg(test)]
mod tests;
mod weight;
mod windows;

use super::{Op, Rounding, WindowAxis};
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{Shape, TensorType};

pub use options::{ConvOptions, ConvTransposeOptions};

/// Which of the three tensors of a convolution is computed from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The result, from input and weight.
    Forward,
    /// The gradient of the input, from that of the result and the weight.
    Input,
    /// The gradient of the weight, from the input and the gradient of the result.
    Weight,
}

/// A convolution or one of its gradients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// What is computed.
    pub direction: Direction,
    /// The windows along each spatial axis.
    pub axes: Vec<WindowAxis>,
    /// Spatial extents of the convolution's input.
    pub extents: Vec<usize>,
    /// Parts into which the channels are divided, each convolved by itself.
    pub groups: usize,
}

impl Convolution {
    fn toward(&self, direction: Direction) -> Op {
        Op::Convolution(Self { direction, ..self.clone() })
    }

    fn kernel(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.kernel).collect()
    }

    /// Spatial extents of the result.
    fn windows(&self) -> Result<Vec<usize>, String> {
        self.axes
            .iter()
            .zip(&self.extents)
            .enumerate()
            .map(|(index, (axis, &extent))| {
                axis.windows(extent, Rounding::Floor)
                    .map_err(|message| format!("along spatial axis {index}, {message}"))
            })
            .collect()
    }

    fn check_groups(&self, channels: usize, weight: &Shape) -> Result<(), String> {
        let groups = self.groups;
        if groups == 0 {
            return Err("needs one group or more".into());
        }
        if !weight[0].is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            return Err(format!("{channels} channels to {} do not divide into {groups} groups", weight[0]));
        }
        if channels != weight[1].saturating_mul(groups) {
            return Err(format!(
                "the weight {weight} takes {} channels{}, and the input has {channels}",
                weight[1].saturating_mul(groups),
                if groups > 1 { format!(" ({groups} groups of {})", weight[1]) } else { String::new() }
            ));
        }
        Ok(())
    }

    /// The result's type, for operands whose ranks and types fit.
    fn result(&self, first: &Shape, second: &Shape) -> Result<Shape, String> {
        let spatial = |shape: &Shape, wanted: &[usize], what: &str| {
            if shape[2..] == *wanted {
                return Ok(());
            }
            Err(format!("{what} {shape} should end in {wanted:?}"))
        };
        let windows = self.windows()?;
        match self.direction {
            Direction::Forward => {
                spatial(first, &self.extents, "the input")?;
                spatial(second, &self.kernel(), "the weight")?;
                self.check_groups(first[1], second)?;
                Ok([first[0], second[0]].into_iter().chain(windows).collect())
            }
            Direction::Input => {
                spatial(second, &self.kernel(), "the weight")?;
                if first[1] != second[0] {
                    return Err(format!(
                        "the weight {second} takes {} channels, and the input has {}",
                        second[0], first[1]
                    ));
                }
                if first[2..].iter().zip(&windows).any(|(given, most)| given > most) {
                    return Err(format!("{first} has more than the {windows:?} windows of {:?}", self.extents));
                }
                let channels = second[1].saturating_mul(self.groups);
                self.check_groups(channels, second)?;
                Ok([first[0], channels].into_iter().chain(self.extents.iter().copied()).collect())
            }
            Direction::Weight => {
                spatial(first, &self.extents, "the input")?;
                spatial(second, &windows, "the gradient of the result")?;
                if first[0] != second[0] {
                    return Err(format!("a batch of {} meets one of {}", first[0], second[0]));
                }
                let weight = Shape::from([second[1], first[1] / self.groups.max(1)]);
                self.check_groups(first[1], &weight)?;
                Ok(weight.iter().copied().chain(self.kernel()).collect())
            }
        }
    }
}

impl Operator for Convolution {
    fn name(&self) -> String {
        match self.direction {
            Direction::Forward => "convolution",
            Direction::Input => "convolution_input",
            Direction::Weight => "convolution_weight",
        }
        .into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (first, second) = (inputs[0], inputs[1]);
        if first.dtype != second.dtype {
            return Err(format!("operands are {} and {}; cast one of them", first.dtype, second.dtype));
        }
        if !first.dtype.is_float() {
            return Err(format!("wants floats, not {}; cast first", first.dtype));
        }
        let rank = self.axes.len() + 2;
        if !(3..=5).contains(&rank) || [first, second].iter().any(|ty| ty.shape.rank() != rank) {
            return Err(format!(
                "shapes {} and {} are no batch of channels and weights over the same 1 to 3 spatial axes",
                first.shape, second.shape
            ));
        }
        Ok(vec![TensorType::new(first.dtype, self.result(&first.shape, &second.shape)?)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_epilogue(true).accepts_views(true))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let (first, second) = (&gradient.inputs[0], &gradient.inputs[1]);
        let apply = |direction, a: &Tensor, b: &Tensor| a.graph().apply1(self.toward(direction), &[a, b]);
        Some(match self.direction {
            Direction::Forward => {
                vec![Some(apply(Direction::Input, upstream, second)), Some(apply(Direction::Weight, first, upstream))]
            }
            Direction::Input => {
                // The result may leave out windows at the end; their gradients are zeros.
                let forward = apply(Direction::Forward, upstream, second);
                let (shape, full) = (first.shape(), forward.shape());
                if shape == full {
                    return Some(vec![Some(forward), Some(apply(Direction::Weight, upstream, first))]);
                }
                let rank = shape.rank();
                let missing: Vec<usize> = full.iter().zip(shape.iter()).map(|(full, own)| full - own).collect();
                let padded = first.pad(&vec![0; rank], &missing, 0.0);
                let part = forward.slice_steps(&vec![0; rank], &shape, &vec![1; rank]);
                vec![Some(part), Some(apply(Direction::Weight, upstream, &padded))]
            }
            Direction::Weight => {
                vec![Some(apply(Direction::Input, second, upstream)), Some(apply(Direction::Forward, first, upstream))]
            }
        })
    }

    fn cost(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> RoutineCost {
        let (first, second, result) = (&inputs[0].shape, &inputs[1].shape, &outputs[0].shape);
        // Each element of the result of a convolution is the sum of `inner` products.
        let (windows, weight) = match self.direction {
            Direction::Forward => (result, second),
            Direction::Input => (first, second),
            Direction::Weight => (second, result),
        };
        let inner = weight[1..].iter().product::<usize>() as u64;
        RoutineCost { flops: 2 * windows.len() as u64 * inner }
    }
}

impl CpuRoutine for Convolution {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        native::evaluate(self, inputs, outputs)
    }

    fn reads_stored(&self, _input: usize) -> bool {
        true
    }
}

impl GpuRoutine for Convolution {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, false)
    }

    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, true)
    }

    fn reads_stored(&self, _input: usize) -> bool {
        true
    }

    fn stores_quads(&self, output: &TensorType) -> bool {
        // Columns that are neighbours must be neighbours in the result: not where elements come in phases, nor in a weight. A group is in a
        // row, or goes on in the next one of its plane.
        let has_phases = self.axes.iter().any(|axis| axis.stride > 1);
        let (in_rows, in_planes) = match (self.direction, self.axes.as_slice()) {
            (Direction::Forward, _) => (true, true),
            (Direction::Input, [.., last]) => (last.stride == 1, !has_phases),
            (Direction::Input | Direction::Weight, _) => (false, false),
        };
        let dims = output.shape.dims();
        let is_whole = |count: usize| count.is_multiple_of(4);
        in_rows && dims.last().is_some_and(|&extent| is_whole(extent))
            || in_planes && dims.get(2..).is_some_and(|plane| is_whole(plane.iter().product()))
    }
}
