//! Layers, each in its file. A [`Layer`] is data, as [`Dense`] is, and knows its shapes before there is a graph; built into
//! a graph, it is a plain struct that has its parameters and is applied with `forward`, as [`Linear`] is.
//!
//! There are two kinds of models. [`Sequential`] is a list of layers, of this crate or of others. Everything else is a function
//! from tensors to tensors that calls built layers. Both are a [`Model`].
//!
//! | as data, for a [`Sequential`] | in a graph |
//! |---|---|
//! | [`Dense`] | [`Linear`] |
//! | [`Conv`] | [`Conv1d`], [`Conv2d`], [`Conv3d`], [`ConvTranspose2d`] and so on; [`Convolution`] for any number of axes |
//! | [`EmbeddingLayer`] | [`Embedding`] |
//! | [`BatchNormalization`], [`LayerNormalization`], … | [`BatchNorm`], [`LayerNorm`], … |
//! | [`AttentionLayer`], [`Transformer`] | [`MultiheadAttention`], [`TransformerEncoder`], [`TransformerDecoder`] |
//! | [`RecurrentLayer`] | [`LSTM`], [`GRU`], [`RNN`], [`CustomRNN`] |
//! | | [`WordVectors`], of a [`Word2Vec`] |
//! | [`Activation`], [`Dropout`], [`Pool`], [`Flatten`] | methods of [`Tensor`]; a dropout's own `forward` |
//!
//! Names and layouts of parameters are PyTorch's, so that weights move between the two unchanged.

mod activation;
mod attention;
mod augment;
mod convolution;
mod convolution_layer;
mod dropout;
mod dropout2d;
mod embedding;
mod flatten;
mod init;
mod inputs;
mod layer;
mod linear;
mod norm;
mod pool;
mod precision;
mod prelu;
mod recurrent;
mod residual;
mod scope;
mod sequential;
mod swiglu;
mod word2vec;

pub use activation::Activation;
pub use attention::{
    AttentionInputs, AttentionLayer, CachePosition, KeyValueCache, MultiheadAttention, Position, PositionLayer, Rotary,
    Transformer, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    sinusoidal_positions,
};
pub use augment::{Augment, Border};
pub use convolution::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Convolution};
pub use convolution_layer::Conv;
pub use dropout::Dropout;
pub use dropout2d::Dropout2d;
pub use embedding::{Embedding, EmbeddingLayer, check_indices};
pub use flatten::Flatten;
pub use init::{Fan, Initializer, gain};
pub use inputs::Inputs;
pub use layer::{CloneLayer, Layer, Setting};
pub use linear::{Dense, Linear};
pub use norm::{
    BatchNorm, BatchNormalization, GroupNorm, GroupNormalization, InstanceNorm, InstanceNormalization, LayerNorm,
    LayerNormalization, LocalResponseNorm, RmsNorm, RmsNormalization, fold_batch_norm,
};
pub use pool::{Pool, PoolKind};
pub use precision::Precision;
pub use prelu::PReLU;
pub use recurrent::{
    CarriedState, CustomRNN, CustomRNNCell, CustomRNNInputs, CustomRNNOutput, GRU, GRUCell, LSTM, LSTMCell, LSTMOutput,
    RNN, RNNCell, Recurrent, RecurrentCell, RecurrentInputs, RecurrentKind, RecurrentLayer, RecurrentOutput,
    RecurrentWeights, check_lengths,
};
pub use residual::Residual;
pub use scope::Scope;
pub use sequential::Sequential;
pub use swiglu::{SwiGlu, SwiGluLayer};
pub use word2vec::{Word2Vec, WordVectors};

use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::tensor::TensorData;

/// Two layers of one name would share their variables, of which they have one of these, unseen; whoever wants that clones the layer.
#[track_caller]
fn refuse_known(g: &Graph, label: &str, layer: &str, variables: &[&str]) {
    if variables.iter().any(|variable| g.find(&format!("{layer}.{variable}")).is_some()) {
        g.mistake(label, "the name is used already; clone a layer to share its parameters");
    }
}

/// Whether a graph is built to learn or to be used; layers such as dropout differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// For steps that train.
    Training,
    /// For everything else.
    Evaluation,
}

/// What turns an input into a prediction: a [`Sequential`], or any function of this form.
///
/// ```
/// use wgrad::graph::{Graph, Tensor};
/// use wgrad::nn::{Linear, Mode, Model};
/// use wgrad::tensor::DType;
/// let model = |g: &Graph, x: &Tensor, _: Mode| {
///     let hidden = Linear::new(g, "fc1", 4, 8).forward(x).relu();
///     x + &Linear::new(g, "fc2", 8, 4).forward(&hidden)
/// };
/// let g = Graph::new();
/// let x = g.input("x", [2, 4], DType::F32);
/// assert_eq!(model.forward(&g, &x, Mode::Training).shape(), [2, 4].into());
/// assert!(g.error().is_none());
/// ```
pub trait Model {
    /// The prediction for a batch, whose first axis counts examples. The graph records mistakes.
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor;

    /// Checks the values of inputs, whose first axis counts the examples: programs do not look at them.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) that names the first such value.
    fn check_input(&self, x: &TensorData) -> Result<()> {
        let _ = x;
        Ok(())
    }
}

impl<F: Fn(&Graph, &Tensor, Mode) -> Tensor> Model for F {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        self(g, x, mode)
    }
}
