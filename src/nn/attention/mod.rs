//! Attention with its projections, the layers and stacks of transformers, and positions.

mod multihead;
mod position;
mod transformer;

pub use multihead::{AttentionInputs, AttentionLayer, MultiheadAttention};
pub use position::{Position, PositionLayer, Rotary, sinusoidal_positions};
pub use transformer::{
    Transformer, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
};
