//! The gated products of Llama's layers.

use super::{Dense, Layer, Linear, Scope, Sequential, refuse_known};
use crate::graph::{Graph, Tensor};
use crate::tensor::Shape;

/// Three products, one of which gates another (Shazeer 2020), on the last axis, `[…, width]` to `[…, width]`; as data. In a graph it is a
/// [`SwiGlu`].
///
/// ```
/// use wgrad::nn::{Sequential, SwiGluLayer};
/// let model = Sequential::new([10, 64]).layer(SwiGluLayer::new(256));
/// assert_eq!(model.output_shape()?, [10, 64].into());
/// assert_eq!(model.parameter_count()?, 3 * 64 * 256);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwiGluLayer {
    /// Width between the products.
    pub inner: usize,
    /// Whether the products have biases.
    pub bias: bool,
}

impl SwiGluLayer {
    /// Without biases, as Llama has it.
    pub const fn new(inner: usize) -> Self {
        Self { inner, bias: false }
    }

    /// With biases.
    #[must_use]
    pub const fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// The layer in a graph, with parameters of its own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, width: usize) -> SwiGlu {
        refuse_known(g, &format!("swiglu {name:?}"), name, &["gate_proj.weight"]);
        self.shared(g, name, width)
    }

    #[track_caller]
    fn shared(self, g: &Graph, name: &str, width: usize) -> SwiGlu {
        let product = |kind: &str, from: usize, to: usize| {
            let dense = if self.bias { Dense::new(to) } else { Dense::new(to).without_bias() };
            dense.shared(g, &format!("{name}.{kind}"), from)
        };
        SwiGlu {
            gate: product("gate_proj", width, self.inner),
            up: product("up_proj", width, self.inner),
            down: product("down_proj", self.inner, width),
        }
    }
}

impl Layer for SwiGluLayer {
    fn describe(&self) -> String {
        format!("swiglu({})", self.inner)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.rank() == 0 {
            return Err("takes examples of one dimension or more, not scalars".into());
        }
        if self.inner == 0 {
            return Err("needs a width of 1 or more between its products".into());
        }
        Ok(input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        self.shared(scope.graph(), scope.name(), x.shape().last().copied().unwrap_or(0)).forward(x)
    }
}

impl Sequential {
    /// The gated products of Llama's layers, of this width between them. See [`SwiGlu`].
    #[must_use]
    #[track_caller]
    pub fn swiglu(self, inner: usize) -> Self {
        self.layer(SwiGluLayer::new(inner))
    }
}

/// `y = down(silu(gate(x)) · up(x))` (Shazeer 2020, equation 6; Touvron et al. 2023). Parameters have the names of Llama's layers:
/// `NAME.gate_proj.weight` and `NAME.up_proj.weight` of `[inner, width]`, `NAME.down_proj.weight` of `[width, inner]`.
///
/// ```
/// use wgrad::nn::SwiGluLayer;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 10, 64], F32);
/// let y = SwiGluLayer::new(256).build(&g, "mlp", 64).forward(&x);
/// assert_eq!(y.shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct SwiGlu {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl SwiGlu {
    /// The layer applied to `[…, width]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.down.forward(&(self.gate.forward(x).silu() * self.up.forward(x)))
    }
}
