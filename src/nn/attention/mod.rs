//! Attention with its projections, the layers and stacks of transformers, positions, and the cache of what was seen.

mod cache;
mod decoder;
mod multihead;
mod position;
mod transformer;

pub use cache::{CachePosition, KeyValueCache};
pub use decoder::{TransformerDecoder, TransformerDecoderLayer};
pub use multihead::{AttentionInputs, AttentionLayer, MultiheadAttention};
pub use position::{Position, PositionLayer, Rotary, sinusoidal_positions};
pub use transformer::{Transformer, TransformerEncoder, TransformerEncoderLayer};
