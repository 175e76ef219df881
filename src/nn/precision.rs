//! The type in which layers multiply.

use crate::device::Device;
use crate::graph::{Graph, Tensor};
use crate::tensor::DType;

/// The type in which layers multiply, and of what they save for the backward pass. It is a property of the graph, so that a model need not
/// know: [`Graph::set_precision`]. Tensors stay f32, as parameters and optimizers do; in 16 bits, some of them hold numbers that were
/// rounded:
///
/// | rounded to 16 bits | f32 |
/// |---|---|
/// | operands of the products of layers: dense, convolution, recurrent, attention | parameters and their gradients, the optimizer |
/// | the results of these layers, with their biases | sums within products, reductions, softmax, norms and their statistics, losses |
/// | the gradients that arrive there | the last result of a [`Trainer`](crate::train::Trainer)'s model |
/// | what recurrences and attention save for the backward pass | all other functions of tensors, and embeddings |
/// | a recurrence's gates, its states where they are multiplied | its states from step to step |
///
/// A value that is rounded for one of its uses is rounded for all of them, forward and backward: it is in memory once, in 16 bits. What
/// has no product, as an activation or a pool, computes in f32 from what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit brain floats: the range of f32 with 8 bits of precision.
    BF16,
    /// 16-bit IEEE floats: 11 bits of precision, up to 65,504. Training wants a
    /// [`loss_scale`](crate::optim::Minimize::loss_scale), lest small gradients vanish; a [`Trainer`](crate::train::Trainer) has one by
    /// itself.
    F16,
    /// Of the two with 16 bits, the one for a device: see [`on`](Self::on).
    Auto,
}

impl Precision {
    /// The element type of the operands. None for [`Auto`](Self::Auto), which a device decides.
    pub const fn dtype(self) -> Option<DType> {
        match self {
            Self::F32 => Some(DType::F32),
            Self::BF16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
            Self::Auto => None,
        }
    }

    /// The precision on a device: [`Auto`](Self::Auto) is [`F16`](Self::F16) on an adapter of hardware that has 16-bit arithmetic, and
    /// [`BF16`](Self::BF16) elsewhere, where no loss scale is needed. On the CPU and on software adapters that saves memory, and takes more
    /// time than f32 does. Others are what they are.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// assert_eq!(Precision::Auto.on(&Device::cpu()), Precision::BF16);
    /// assert_eq!(Precision::F32.on(&Device::cpu()), Precision::F32);
    /// ```
    pub fn on(self, device: &Device) -> Self {
        match self {
            Self::Auto if device.has_half_arithmetic() => Self::F16,
            Self::Auto => Self::BF16,
            Self::F32 | Self::BF16 | Self::F16 => self,
        }
    }

    const fn half(self) -> Option<DType> {
        match self {
            Self::BF16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
            Self::F32 | Self::Auto => None,
        }
    }

    /// A value as a layer's product reads it.
    #[track_caller]
    pub(super) fn operand(self, x: &Tensor) -> Tensor {
        match self.half() {
            Some(half) => x.narrowed(half),
            None => x.clone(),
        }
    }

    /// Rounds a value to what this precision holds; its type stays. For layers of your own, whose results then take half the memory from
    /// the forward to the backward pass, as those of wgrad's layers do. In f32, it is the value itself.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// fn gated(x: &Tensor, gate: &Tensor) -> Tensor {
    ///     x.graph().precision().round(&(x * gate.sigmoid()))
    /// }
    /// let g = Graph::new();
    /// g.set_precision(Precision::BF16);
    /// let (x, gate) = (g.input("x", [2], F32), g.input("gate", [2], F32));
    /// g.output("y", &gated(&x, &gate));
    /// let mut session = g.compile(&Device::cpu())?;
    /// let x = TensorData::from_vec(vec![2.0_f32, 2.02], [2])?;
    /// let y = session.run(&[("x", &x), ("gate", &TensorData::zeros(F32, [2]))])?;
    /// assert_eq!(y["y"].to_f64_vec(), [1.0, 1.0078125]); // not 1.01: 8 bits of precision
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn round(self, x: &Tensor) -> Tensor {
        match self.half() {
            Some(half) if matches!(x.dtype(), DType::F32 | DType::F64) => x.rounded(half),
            Some(_) | None => x.clone(),
        }
    }
}

impl Graph {
    /// Lets layers that are applied from here on multiply in another precision. [`Precision::Auto`] is none before a device has decided.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// g.set_precision(Precision::Auto.on(&Device::cpu()));
    /// let y = nn::Linear::new(&g, "fc", 8, 4).forward(&g.input("x", [2, 8], F32));
    /// assert_eq!((y.dtype(), g.precision()), (F32, Precision::BF16));
    /// assert!(g.error().is_none());
    /// ```
    #[track_caller]
    pub fn set_precision(&self, precision: Precision) {
        if precision == Precision::Auto {
            self.mistake("set_precision", UNDECIDED);
        }
        self.data().product_dtype = precision.half();
    }

    /// The precision in which layers multiply.
    pub fn precision(&self) -> Precision {
        match self.data().product_dtype {
            Some(DType::BF16) => Precision::BF16,
            Some(DType::F16) => Precision::F16,
            _ => Precision::F32,
        }
    }

    /// That of a layer, which may have one of its own.
    #[track_caller]
    pub(super) fn precision_of(&self, layer: Option<Precision>, label: &str) -> Precision {
        if layer == Some(Precision::Auto) {
            self.mistake(label, UNDECIDED);
        }
        layer.unwrap_or_else(|| self.precision())
    }
}

const UNDECIDED: &str = "`Precision::Auto` is decided by a device: say `Precision::Auto.on(&device)`";
