//! Augmentation on the device: pictures `[N, C, H, W]` changed at random while training, anew at each step.
//!
//! Draws come from the graph's counter-based generator, one for each example, so the host has nothing to do, a resumed run sees
//! the same pictures, and whole-pixel changes have the same bits on every device. Pictures are moved by computing where each pixel
//! comes from; neighbouring moves of an [`Augment`] are one gather.

mod pixels;
mod values;
mod warp;

pub use pixels::Border;

use crate::error::Origin;
use crate::graph::Tensor;
use crate::nn::Mode;

use pixels::Pixels;

/// One change.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    FlipHorizontal(f64),
    FlipVertical(f64),
    Crop(usize, Border),
    Rotation(f64),
    Scale(f64, f64),
    Cutout(usize),
    Noise(f64),
    Normalize(Vec<f64>, Vec<f64>),
}

/// A list of changes to pictures `[N, C, H, W]`, as plain data. Training draws them for each example; evaluation only normalises.
///
/// ```
/// use wgrad::nn::Augment;
/// use wgrad::prelude::*;
/// let augment = Augment::new().flip_horizontal(0.5).crop(4).cutout(8).normalize([0.49], [0.25]);
/// // As a trainer's `prepare`, for bytes [N, 28, 28]:
/// let prepare = move |x: &Tensor, mode: Mode| augment.apply(&x.to_images(), mode);
/// let g = Graph::new();
/// let x = g.input("x", [32, 28, 28], U8);
/// assert_eq!(prepare(&x, Mode::Training).shape(), [32, 1, 28, 28].into());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Augment {
    /// With the user's lines.
    changes: Vec<(Change, Origin)>,
}

/// The same changes, wherever in the source they were listed.
impl PartialEq for Augment {
    fn eq(&self, other: &Self) -> bool {
        let changes = |augment: &Self| augment.changes.iter().map(|(change, _)| change.clone()).collect::<Vec<_>>();
        changes(self) == changes(other)
    }
}

impl Augment {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { changes: Vec::new() }
    }

    #[must_use]
    #[track_caller]
    fn and(mut self, change: Change) -> Self {
        self.changes.push((change, Origin::caller()));
        self
    }

    /// [`Tensor::random_flip_horizontal`].
    #[must_use]
    #[track_caller]
    pub fn flip_horizontal(self, probability: f64) -> Self {
        self.and(Change::FlipHorizontal(probability))
    }

    /// [`Tensor::random_flip_vertical`].
    #[must_use]
    #[track_caller]
    pub fn flip_vertical(self, probability: f64) -> Self {
        self.and(Change::FlipVertical(probability))
    }

    /// [`Tensor::random_crop`] from a border of zeros.
    #[must_use]
    #[track_caller]
    pub fn crop(self, padding: usize) -> Self {
        self.and(Change::Crop(padding, Border::Zeros))
    }

    /// [`Tensor::random_crop`] from any border.
    #[must_use]
    #[track_caller]
    pub fn crop_from(self, padding: usize, border: Border) -> Self {
        self.and(Change::Crop(padding, border))
    }

    /// [`Tensor::random_shift`].
    #[must_use]
    #[track_caller]
    pub fn shift(self, max_pixels: usize) -> Self {
        self.and(Change::Crop(max_pixels, Border::Zeros))
    }

    /// [`Tensor::random_rotation`].
    #[must_use]
    #[track_caller]
    pub fn rotation(self, degrees: f64) -> Self {
        self.and(Change::Rotation(degrees))
    }

    /// [`Tensor::random_scale`].
    #[must_use]
    #[track_caller]
    pub fn scale(self, low: f64, high: f64) -> Self {
        self.and(Change::Scale(low, high))
    }

    /// [`Tensor::cutout`].
    #[must_use]
    #[track_caller]
    pub fn cutout(self, size: usize) -> Self {
        self.and(Change::Cutout(size))
    }

    /// [`Tensor::gaussian_noise`].
    #[must_use]
    #[track_caller]
    pub fn gaussian_noise(self, std: f64) -> Self {
        self.and(Change::Noise(std))
    }

    /// [`Tensor::normalize`], also in evaluation.
    #[must_use]
    #[track_caller]
    pub fn normalize(self, mean: impl Into<Vec<f64>>, std: impl Into<Vec<f64>>) -> Self {
        self.and(Change::Normalize(mean.into(), std.into()))
    }

    /// The changes in their order, or in evaluation those that are always the same.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let mut value = x.clone();
        // Moves by whole pixels that wait for the end of their run.
        let mut moves: Option<(Pixels, Origin)> = None;
        let graph = x.graph();
        for (change, origin) in &self.changes {
            if graph.error().is_some() {
                return value;
            }
            let moved = graph.at(*origin, || match change {
                _ if mode == Mode::Evaluation => None,
                Change::FlipHorizontal(probability) => Pixels::flip(&value, true, *probability),
                Change::FlipVertical(probability) => Pixels::flip(&value, false, *probability),
                Change::Crop(padding, border) => Pixels::crop(&value, *padding, *border),
                Change::Rotation(_)
                | Change::Scale(..)
                | Change::Cutout(_)
                | Change::Noise(_)
                | Change::Normalize(..) => None,
            });
            if let Some(moved) = moved {
                let moved = graph.at(*origin, || match moves.take() {
                    Some((before, _)) => before.then(moved),
                    None => moved,
                });
                moves = Some((moved, *origin));
                continue;
            }
            if let Some((moves, origin)) = moves.take() {
                value = graph.at(origin, || moves.gather(&value));
            }
            value =
                graph.at(*origin, || match (change, mode) {
                    (Change::Normalize(mean, std), _) => value.normalize(mean, std),
                    (Change::Rotation(degrees), Mode::Training) => value.random_rotation(*degrees),
                    (Change::Scale(low, high), Mode::Training) => value.random_scale(*low, *high),
                    (Change::Cutout(size), Mode::Training) => value.cutout(*size),
                    (Change::Noise(std), Mode::Training) => value.gaussian_noise(*std),
                    (Change::FlipHorizontal(_) | Change::FlipVertical(_) | Change::Crop(..), _)
                    | (
                        Change::Rotation(_) | Change::Scale(..) | Change::Cutout(_) | Change::Noise(_),
                        Mode::Evaluation,
                    ) => value.clone(),
                });
        }
        match moves {
            Some((moves, origin)) => graph.at(origin, || moves.gather(&value)),
            None => value,
        }
    }
}

/// The extents of a batch of pictures; a mistake where it is none.
#[track_caller]
fn pictures(x: &Tensor, operator: &str) -> Option<[usize; 4]> {
    if x.graph().error().is_some() {
        return None;
    }
    let ty = x.ty();
    if !ty.dtype.is_float() {
        let message = format!("wants floats, not {}; to_images makes them of bytes", ty.dtype);
        x.graph().mistake(operator, message);
        return None;
    }
    match ty.shape.dims() {
        [n, c, h, w] => Some([*n, *c, *h, *w]),
        _ => {
            x.graph().mistake(operator, format!("wants pictures [N, C, H, W], not {}", ty.shape));
            None
        }
    }
}

/// Records a mistake where a number is no probability.
#[track_caller]
fn is_probability(x: &Tensor, operator: &str, probability: f64) -> bool {
    let fits = (0.0..=1.0).contains(&probability);
    if !fits {
        x.graph().mistake(operator, format!("the probability is {probability}, and must be from 0 to 1"));
    }
    fits
}
