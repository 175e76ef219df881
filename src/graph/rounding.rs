//! Rounding that layers do in a graph of mixed precision. It is ordinary casts, which the graph remembers: what a layer rounds counts as
//! rounded for all that read it, the backward pass too (`compiler/rounding`). Casts of the user's own mean what they say, and no more.

use super::{Graph, Tensor};
use crate::ops::{Elementwise, Op};
use crate::scalar::ScalarFunction;
use crate::tensor::DType;

impl Tensor {
    /// An f32 in 16 bits, as a product reads it. Of other types, a cast.
    #[track_caller]
    pub(crate) fn narrowed(&self, dtype: DType) -> Self {
        let is_wide = self.dtype() == DType::F32;
        let narrow = self.cast(dtype);
        if is_wide {
            self.graph().note_rounding(&narrow);
        }
        narrow
    }

    /// Rounded to what 16 bits hold, in its own type again.
    #[track_caller]
    pub(crate) fn rounded(&self, dtype: DType) -> Self {
        let wide = self.narrowed(dtype).cast(self.dtype());
        self.graph().note_rounding(&wide);
        wide
    }

    /// What was rounded last, where that was the last thing that a layer did; else the tensor itself.
    pub(crate) fn before_rounding(&self) -> Self {
        let cast_of = |tensor: &Self| -> Option<Self> {
            let is_rounding = self.graph().data().rounded.contains(&tensor.id().node);
            match tensor.origin() {
                (Op::Elementwise(Elementwise(ScalarFunction::Cast(_))), mut inputs) if is_rounding => inputs.pop(),
                _ => None,
            }
        };
        cast_of(self).and_then(|narrow| cast_of(&narrow)).unwrap_or_else(|| self.clone())
    }
}

impl Graph {
    fn note_rounding(&self, cast: &Tensor) {
        self.data().rounded.insert(cast.id().node);
    }

    /// The gradient of a layer's rounding, the nodes from `first` on, is such too.
    pub(super) fn follow_rounding(&self, node: usize, first: usize) {
        let mut data = self.data();
        if data.rounded.contains(&(node as u32)) {
            let end = data.nodes.len();
            data.rounded.extend((first..end).map(|node| node as u32));
        }
    }

    /// What an operator saves for its backward pass: in 16 bits, where layers multiply in them.
    #[track_caller]
    pub(crate) fn saved(&self, value: &Tensor) -> Tensor {
        let narrow = self.data().product_dtype;
        match narrow {
            Some(dtype) if value.dtype() == DType::F32 => value.rounded(dtype),
            Some(_) | None => value.clone(),
        }
    }
}
