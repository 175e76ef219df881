//! The arithmetic of one step, on the CPU; the twins of `shaders/shared/cell_*.wgsl`.
//!
//! Cells are computed in parts, each a short chain of operations over all units of a row: the processor then works on several
//! vectors of units at once, where one long chain would keep it waiting for each result.

use pulp::{Simd, WithSimd};

use super::Cell;
use crate::scalar::{Lanes, Number, Real};

/// A part of a step: what becomes of one unit's values, or of a vector of units'.
pub(super) trait Part<const I: usize, const O: usize> {
    fn of<N: Number>(inputs: [N; I], outputs: [N; O]) -> [N; O];
}

macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident: $i:literal to $o:literal, |$inputs:pat_param, $outputs:pat_param| $value:expr;)*) => {
        $($(#[$doc])*
        struct $part;
        impl Part<$i, $o> for $part {
            #[inline(always)]
            fn of<N: Number>($inputs: [N; $i], $outputs: [N; $o]) -> [N; $o] {
                $value
            }
        })*
    };
}

parts! {
    /// A gate from the input's part and the state's.
    Gate: 2 to 1, |[x, p], _| [(x + p).sigmoid()];
    /// A gate or a state that tanh makes of the same.
    TanhGate: 2 to 1, |[x, p], _| [(x + p).tanh()];
    TanhState: 2 to 2, |[x, p], _| [(x + p).tanh(); 2];
    ReluState: 2 to 2, |[x, p], _| [(x + p).relu(); 2];
    /// An LSTM's states from its gates.
    LstmState: 4 to 2, |[i, f, g, o], [c, _]| {
        let c = f * c + i * g;
        [c, o * c.tanh()]
    };
    /// A GRU's new state, the state's part of it, and the state.
    GruState: 4 to 3, |[r, z, x, q], [_, _, h]| {
        let n = (x + r * q).tanh();
        [n, q, n + z * (h - n)]
    };
    /// A gate, and what it leaves of the state.
    ResetGate: 3 to 2, |[x, p, h], _| {
        let r = (x + p).sigmoid();
        [r, r * h]
    };
    /// The new state and the state, of a GRU that resets before the product.
    ResetState: 3 to 2, |[x, p, z], [_, h]| {
        let n = (x + p).tanh();
        [n, (z.number(1.0) - z) * n + z * h]
    };
    Add: 1 to 1, |[a], [b]| [a + b];
    TanhBackward: 1 to 2, |[h], [_, dh]| [dh * (h.number(1.0) - h * h), h.number(0.0)];
    ReluBackward: 1 to 2, |[h], [_, dh]| [h.where_positive(dh), h.number(0.0)];
    /// tanh of the cell's state after the step.
    LstmTanh: 4 to 1, |[i, f, g, before], _| [(f * before + i * g).tanh()];
    /// The gradients of the gates and states; tanh of the state is passed in the last gate's output.
    LstmBackward: 5 to 6, |[i, f, g, o, before], [_, _, _, c, dc, dh]| {
        let one = i.number(1.0);
        let dc = dc + dh * o * (one - c * c);
        let (di, df) = (dc * g * i * (one - i), dc * before * f * (one - f));
        [di, df, dc * i * (one - g * g), dh * c * o * (one - o), dc * f, i.number(0.0)]
    };
    GruBackward: 5 to 7, |[r, z, n, q, h], [_, _, _, _, _, _, dh]| {
        let one = r.number(1.0);
        let dn = dh * (one - z) * (one - n * n);
        let dz = dh * (h - n) * z * (one - z);
        let dr = dn * q * r * (one - r);
        [dr, dz, dn, dr, dz, dn * r, dh * z]
    };
    /// The gradients of the update gate, the new state and the state before.
    ResetStateBackward: 3 to 3, |[z, n, h], [_, _, dh]| {
        let one = z.number(1.0);
        let dn = dh * (one - z) * (one - n * n);
        [dh * (h - n) * z * (one - z), dn, dh * z]
    };
    /// The gradients of the reset gate and the state before, from that of the reset state.
    ResetGateBackward: 3 to 2, |[r, h, product], [_, dh]| {
        [product * h * r * (r.number(1.0) - r), dh + product * r]
    };
}

/// A type whose units are computed as its processor does it best.
pub(super) trait Units: Real {
    /// Computes a part of a step for each unit; each slice holds a value for each.
    fn for_each_unit<S: Simd, P: Part<I, O>, const I: usize, const O: usize>(
        simd: S,
        part: P,
        inputs: [&[Self]; I],
        outputs: [&mut [Self]; O],
    );
}

impl Units for f32 {
    #[inline(always)]
    fn for_each_unit<S: Simd, P: Part<I, O>, const I: usize, const O: usize>(
        simd: S,
        _: P,
        inputs: [&[Self]; I],
        mut outputs: [&mut [Self]; O],
    ) {
        let units = outputs[0].len();
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let (vectors, full) = (units / lanes, units / lanes * lanes);
        let from = inputs.map(|input| &S::as_simd_f32s(&input[..full]).0[..vectors]);
        let mut to = outputs.each_mut().map(|output| &mut S::as_mut_simd_f32s(&mut output[..full]).0[..vectors]);
        for vector in 0..vectors {
            let results = P::of(
                std::array::from_fn(|k| Lanes { simd, values: from[k][vector] }),
                std::array::from_fn(|k| Lanes { simd, values: to[k][vector] }),
            );
            for (to, result) in to.iter_mut().zip(results) {
                to[vector] = result.values;
            }
        }
        if full < units {
            let load = |values: &[f32]| Lanes { simd, values: simd.partial_load_f32s(&values[full..units]) };
            let results = P::of(inputs.map(load), outputs.each_ref().map(|output| load(output)));
            for (output, result) in outputs.iter_mut().zip(results) {
                simd.partial_store_f32s(&mut output[full..units], result.values);
            }
        }
    }
}

impl Units for f64 {
    #[inline(always)]
    fn for_each_unit<S: Simd, P: Part<I, O>, const I: usize, const O: usize>(
        _: S,
        _: P,
        inputs: [&[Self]; I],
        mut outputs: [&mut [Self]; O],
    ) {
        for unit in 0..outputs[0].len() {
            let results = P::of(inputs.map(|input| input[unit]), outputs.each_ref().map(|output| output[unit]));
            for (output, result) in outputs.iter_mut().zip(results) {
                output[unit] = result;
            }
        }
    }
}

/// The first `N` blocks of the slice, each a value for each unit.
#[inline(always)]
fn blocks<const N: usize, T>(values: &[T], hidden: usize) -> [&[T]; N] {
    std::array::from_fn(|k| &values[k * hidden..(k + 1) * hidden])
}

/// The same, to write.
#[inline(always)]
fn blocks_mut<const N: usize, T>(values: &mut [T], hidden: usize) -> [&mut [T]; N] {
    let mut rest = values;
    std::array::from_fn(|_| {
        let (block, after) = std::mem::take(&mut rest).split_at_mut(hidden);
        rest = after;
        block
    })
}

/// Which part of a step: all of it, but where the reset gate comes before the product.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Half {
    /// What comes before the product of the reset state; in the backward pass, what comes after it.
    Reset,
    /// All else.
    Rest,
}

/// A step of some rows of the batch; each slice holds all rows, and of each row one or several blocks of a value for each unit.
pub(super) struct Rows<'a, T> {
    pub(super) cell: Cell,
    pub(super) half: Half,
    pub(super) hidden: usize,
    /// The input's part of the gates, and the state's with its bias.
    pub(super) x: &'a [T],
    pub(super) product: &'a [T],
    /// The states, which are updated.
    pub(super) h: &'a mut [T],
    pub(super) c: &'a mut [T],
    /// The saved values, of which those of the states before are filled already.
    pub(super) saved: &'a mut [T],
}

impl<T: Units> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, half, hidden, x, product, h, c, saved } = self;
        let (gates, saved_width) = (cell.gates() * hidden, cell.saved() * hidden);
        let inputs = x.chunks_exact(gates).zip(product.chunks_exact(gates));
        let states = h.chunks_exact_mut(hidden).zip(c.chunks_exact_mut(hidden));
        for (((x, product), (h, c)), saved) in inputs.zip(states).zip(saved.chunks_exact_mut(saved_width)) {
            let row = Row { x, product, h, c, saved };
            match half {
                Half::Reset => row.reset(simd),
                Half::Rest => row.advance(simd, cell),
            }
        }
    }
}

struct Row<'a, T> {
    x: &'a [T],
    product: &'a [T],
    h: &'a mut [T],
    c: &'a mut [T],
    saved: &'a mut [T],
}

impl<T: Units> Row<'_, T> {
    #[inline(always)]
    fn advance<S: Simd>(self, simd: S, cell: Cell) {
        let Self { x, product, h, c, saved } = self;
        let hidden = h.len();
        match cell {
            Cell::Tanh => T::for_each_unit(simd, TanhState, [x, product], [h, saved]),
            Cell::Relu => T::for_each_unit(simd, ReluState, [x, product], [h, saved]),
            Cell::Lstm => {
                let (two, three) = (2 * hidden, 3 * hidden);
                T::for_each_unit(simd, Gate, [&x[..two], &product[..two]], [&mut saved[..two]]);
                T::for_each_unit(simd, TanhGate, [&x[two..three], &product[two..three]], [&mut saved[two..three]]);
                T::for_each_unit(simd, Gate, [&x[three..], &product[three..]], [&mut saved[three..4 * hidden]]);
                T::for_each_unit(simd, LstmState, blocks(saved, hidden), [c, h]);
            }
            Cell::Gru => {
                let two = 2 * hidden;
                T::for_each_unit(simd, Gate, [&x[..two], &product[..two]], [&mut saved[..two]]);
                let (gates, rest) = saved.split_at_mut(two);
                let ([r, z], [n, q]) = (blocks(gates, hidden), blocks_mut(rest, hidden));
                T::for_each_unit(simd, GruState, [r, z, &x[two..], &product[two..]], [n, q, h]);
            }
            Cell::GruResetBefore => {
                let ([.., x], [.., product]) = (blocks::<3, T>(x, hidden), blocks::<3, T>(product, hidden));
                let [_, z, n] = blocks_mut(saved, hidden);
                T::for_each_unit(simd, ResetState, [x, product, z], [n, h]);
            }
        }
    }

    #[inline(always)]
    fn reset<S: Simd>(self, simd: S) {
        let Self { x, product, h, saved, .. } = self;
        let hidden = h.len();
        let ([xr, xz], [pr, pz]) = (blocks(x, hidden), blocks(product, hidden));
        let [r, z, _, reset] = blocks_mut(saved, hidden);
        T::for_each_unit(simd, ResetGate, [xr, pr, h], [r, reset]);
        T::for_each_unit(simd, Gate, [xz, pz], [z]);
    }
}

/// The backward pass of a step of some rows.
pub(super) struct RowsBackward<'a, T, A> {
    pub(super) cell: Cell,
    pub(super) half: Half,
    pub(super) hidden: usize,
    /// Whether a row's sequence has this step; if not, its gates' gradients are zeros, and those of its states stay.
    pub(super) active: A,
    pub(super) saved: &'a [T],
    /// The gradient of the output of this step.
    pub(super) output: Option<&'a [T]>,
    /// The gradients of the states after the step, which become those before it, without what the products add.
    pub(super) dh: &'a mut [T],
    pub(super) dc: &'a mut [T],
    /// The gradients of the gates.
    pub(super) gates: &'a mut [T],
    /// The gradient of the reset state.
    pub(super) reset: &'a [T],
}

impl<T: Units, A: Fn(usize) -> bool> WithSimd for RowsBackward<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, half, hidden, active, saved, output, dh, dc, gates, reset } = self;
        let (gradients, saved_width) = (cell.gradients() * hidden, cell.saved() * hidden);
        let states = dh.chunks_exact_mut(hidden).zip(dc.chunks_exact_mut(hidden));
        let saved_and_gates = saved.chunks_exact(saved_width).zip(gates.chunks_exact_mut(gradients));
        for (row, ((saved, gates), (dh, dc))) in saved_and_gates.zip(states).enumerate() {
            let span = row * hidden..(row + 1) * hidden;
            match half {
                _ if !active(row) => gates.fill(T::real(0.0)),
                Half::Reset => {
                    let [r, _, _, _, h] = blocks(saved, hidden);
                    T::for_each_unit(simd, ResetGateBackward, [r, h, &reset[span]], [&mut gates[..hidden], dh]);
                }
                Half::Rest => {
                    if let Some(output) = output {
                        T::for_each_unit(simd, Add, [&output[span]], [&mut *dh]);
                    }
                    RowBackward { saved, dh, dc, gates }.advance(simd, cell);
                }
            }
        }
    }
}

struct RowBackward<'a, T> {
    saved: &'a [T],
    dh: &'a mut [T],
    dc: &'a mut [T],
    gates: &'a mut [T],
}

impl<T: Units> RowBackward<'_, T> {
    #[inline(always)]
    fn advance<S: Simd>(self, simd: S, cell: Cell) {
        let Self { saved, dh, dc, gates } = self;
        let hidden = dh.len();
        match cell {
            Cell::Tanh => T::for_each_unit(simd, TanhBackward, [saved], [gates, dh]),
            Cell::Relu => T::for_each_unit(simd, ReluBackward, [saved], [gates, dh]),
            Cell::Lstm => {
                let [i, f, g, o, c] = blocks(saved, hidden);
                let [di, df, dg, d_out] = blocks_mut(gates, hidden);
                T::for_each_unit(simd, LstmTanh, [i, f, g, c], [&mut *d_out]);
                T::for_each_unit(simd, LstmBackward, [i, f, g, o, c], [di, df, dg, d_out, dc, dh]);
            }
            Cell::Gru => {
                let [dr, dz, dn, pr, pz, pn] = blocks_mut(gates, hidden);
                T::for_each_unit(simd, GruBackward, blocks(saved, hidden), [dr, dz, dn, pr, pz, pn, dh]);
            }
            Cell::GruResetBefore => {
                let [_, z, n, _, h] = blocks(saved, hidden);
                let [_, dz, dn] = blocks_mut(gates, hidden);
                T::for_each_unit(simd, ResetStateBackward, [z, n, h], [dz, dn, dh]);
            }
        }
    }
}
