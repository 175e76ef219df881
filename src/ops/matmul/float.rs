//! The floats that products compute in, and vectors of them.

use pulp::Simd;

use crate::scalar::Real;

/// A float with the operations of its vectors.
pub(in crate::ops) trait Float: Real + From<f32> + Send + Sync + std::ops::AddAssign {
    /// As many of them as a register holds.
    type Vector<S: Simd>: bytemuck::Pod;

    /// True where [`transposed`](Self::transposed) works.
    const TRANSPOSES: bool;

    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a · b + c`, rounded once where the processor can.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// The vectors of a slice, without the elements that fill none.
    fn vectors<S: Simd>(elements: &[Self]) -> &[Self::Vector<S>];

    fn vectors_mut<S: Simd>(elements: &mut [Self]) -> &mut [Self::Vector<S>];

    /// A vector that begins with some elements; the others are zero.
    fn partial_load<S: Simd>(simd: S, elements: &[Self]) -> Self::Vector<S>;

    fn partial_store<S: Simd>(simd: S, elements: &mut [Self], vector: Self::Vector<S>);

    fn sum<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;

    /// Transposes each four lanes of four vectors: the first one then has the first lane of all in its first four lanes, the fifth
    /// lane in the next four, and so on.
    fn transposed<S: Simd>(simd: S, vectors: [Self::Vector<S>; 4]) -> [Self::Vector<S>; 4];
}

/// Elements of a vector.
pub(in crate::ops) const fn lanes<T: Float, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

macro_rules! float {
    (
        $type:ty: $vector:ident $splat:ident $mul_add:ident $vectors:ident $vectors_mut:ident $load:ident $store:ident $sum:ident,
        $transposes:literal |$simd:ident, $values:ident| $transposed:expr
    ) => {
        impl Float for $type {
            type Vector<S: Simd> = S::$vector;

            const TRANSPOSES: bool = $transposes;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn vectors<S: Simd>(elements: &[Self]) -> &[S::$vector] {
                S::$vectors(elements).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(elements: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(elements).0
            }

            #[inline(always)]
            fn partial_load<S: Simd>(simd: S, elements: &[Self]) -> S::$vector {
                simd.$load(elements)
            }

            #[inline(always)]
            fn partial_store<S: Simd>(simd: S, elements: &mut [Self], vector: S::$vector) {
                simd.$store(elements, vector);
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, vector: S::$vector) -> Self {
                simd.$sum(vector)
            }

            #[inline(always)]
            fn transposed<S: Simd>($simd: S, $values: [S::$vector; 4]) -> [S::$vector; 4] {
                $transposed
            }
        }
    };
}

float!(
    f32: f32s splat_f32s mul_add_e_f32s as_simd_f32s as_mut_simd_f32s partial_load_f32s partial_store_f32s
        reduce_sum_f32s,
    true |simd, vectors| simd.deinterleave_shfl_f32s(vectors)
);
float!(
    f64: f64s splat_f64s mul_add_e_f64s as_simd_f64s as_mut_simd_f64s partial_load_f64s partial_store_f64s
        reduce_sum_f64s,
    false |_simd, vectors| vectors
);
