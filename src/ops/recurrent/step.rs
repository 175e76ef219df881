//! The arithmetic of one step, on the CPU; the twins of `shaders/shared/cell_*.wgsl`.
//!
//! Cells are computed in parts, each a short chain of operations over all units of a row: the processor then works on several vectors of
//! units at once, where one long chain would keep it waiting for each result.

use pulp::{Simd, WithSimd};

use super::Cell;
use crate::scalar::{Lanes, Number, Real};

/// A part of a step: what becomes of one unit's numbers, or of a vector of units'.
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
    TanhBack: 1 to 2, |[h], [_, dh]| [dh * (h.number(1.0) - h * h), h.number(0.0)];
    ReluBack: 1 to 2, |[h], [_, dh]| [h.where_positive(dh), h.number(0.0)];
    /// tanh of the cell's state after the step.
    LstmTanh: 4 to 1, |[i, f, g, before], _| [(f * before + i * g).tanh()];
    /// The gradients of the gates and states; tanh of the state comes in the last gate's place.
    LstmBack: 5 to 6, |[i, f, g, o, before], [_, _, _, c, dc, dh]| {
        let one = i.number(1.0);
        let dc = dc + dh * o * (one - c * c);
        let (di, df) = (dc * g * i * (one - i), dc * before * f * (one - f));
        [di, df, dc * i * (one - g * g), dh * c * o * (one - o), dc * f, i.number(0.0)]
    };
    GruBack: 5 to 7, |[r, z, n, q, h], [_, _, _, _, _, _, dh]| {
        let one = r.number(1.0);
        let dn = dh * (one - z) * (one - n * n);
        let dz = dh * (h - n) * z * (one - z);
        let dr = dn * q * r * (one - r);
        [dr, dz, dn, dr, dz, dn * r, dh * z]
    };
    /// The gradients of the update gate, the new state and the state before.
    ResetStateBack: 3 to 3, |[z, n, h], [_, _, dh]| {
        let one = z.number(1.0);
        let dn = dh * (one - z) * (one - n * n);
        [dh * (h - n) * z * (one - z), dn, dh * z]
    };
    /// The gradients of the reset gate and the state before, from that of the reset state.
    ResetGateBack: 3 to 2, |[r, h, product], [_, dh]| {
        [product * h * r * (r.number(1.0) - r), dh + product * r]
    };
}

/// A type whose units are computed as its processor does it best.
pub(super) trait Units: Real {
    /// Does a part of a step for each unit; each slice holds a number for each.
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
        let (vectors, whole) = (units / lanes, units / lanes * lanes);
        let from = inputs.map(|input| &S::as_simd_f32s(&input[..whole]).0[..vectors]);
        let mut to = outputs.each_mut().map(|output| &mut S::as_mut_simd_f32s(&mut output[..whole]).0[..vectors]);
        for vector in 0..vectors {
            let results = P::of(
                std::array::from_fn(|k| Lanes { simd, values: from[k][vector] }),
                std::array::from_fn(|k| Lanes { simd, values: to[k][vector] }),
            );
            for (to, result) in to.iter_mut().zip(results) {
                to[vector] = result.values;
            }
        }
        if whole < units {
            let load = |numbers: &[f32]| Lanes { simd, values: simd.partial_load_f32s(&numbers[whole..units]) };
            let results = P::of(inputs.map(load), outputs.each_ref().map(|output| load(output)));
            for (output, result) in outputs.iter_mut().zip(results) {
                simd.partial_store_f32s(&mut output[whole..units], result.values);
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

/// The slots that begin the slice.
#[inline(always)]
fn slots<const N: usize, T>(slots: &[T], hidden: usize) -> [&[T]; N] {
    std::array::from_fn(|slot| &slots[slot * hidden..(slot + 1) * hidden])
}

/// The same, to write.
#[inline(always)]
fn slots_mut<const N: usize, T>(slots: &mut [T], hidden: usize) -> [&mut [T]; N] {
    let mut rest = slots;
    std::array::from_fn(|_| {
        let (slot, after) = std::mem::take(&mut rest).split_at_mut(hidden);
        rest = after;
        slot
    })
}

/// Which part of a step: all of it, but where the reset gate comes before the product.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Half {
    /// What comes before the product of the reset state; on the way back, what comes after it.
    Reset,
    /// All else.
    Rest,
}

/// A step of some rows of the batch; each slice holds all rows, and of each a number for each unit of one or several slots.
pub(super) struct Rows<'a, T> {
    pub(super) cell: Cell,
    pub(super) half: Half,
    pub(super) hidden: usize,
    /// The input's part of the gates, and the state's with its bias.
    pub(super) x: &'a [T],
    pub(super) product: &'a [T],
    /// The states, which are brought on.
    pub(super) h: &'a mut [T],
    pub(super) c: &'a mut [T],
    /// The slots, of which those of the states before are filled already.
    pub(super) kept: &'a mut [T],
}

impl<T: Units> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, half, hidden, x, product, h, c, kept } = self;
        let (gates, slots) = (cell.gates() * hidden, cell.slots() * hidden);
        let inputs = x.chunks_exact(gates).zip(product.chunks_exact(gates));
        let states = h.chunks_exact_mut(hidden).zip(c.chunks_exact_mut(hidden));
        for (((x, product), (h, c)), kept) in inputs.zip(states).zip(kept.chunks_exact_mut(slots)) {
            let row = Row { x, product, h, c, kept };
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
    kept: &'a mut [T],
}

impl<T: Units> Row<'_, T> {
    #[inline(always)]
    fn advance<S: Simd>(self, simd: S, cell: Cell) {
        let Self { x, product, h, c, kept } = self;
        let hidden = h.len();
        match cell {
            Cell::Tanh => T::for_each_unit(simd, TanhState, [x, product], [h, kept]),
            Cell::Relu => T::for_each_unit(simd, ReluState, [x, product], [h, kept]),
            Cell::Lstm => {
                let (two, three) = (2 * hidden, 3 * hidden);
                T::for_each_unit(simd, Gate, [&x[..two], &product[..two]], [&mut kept[..two]]);
                T::for_each_unit(simd, TanhGate, [&x[two..three], &product[two..three]], [&mut kept[two..three]]);
                T::for_each_unit(simd, Gate, [&x[three..], &product[three..]], [&mut kept[three..4 * hidden]]);
                T::for_each_unit(simd, LstmState, slots(kept, hidden), [c, h]);
            }
            Cell::Gru => {
                let two = 2 * hidden;
                T::for_each_unit(simd, Gate, [&x[..two], &product[..two]], [&mut kept[..two]]);
                let (gates, rest) = kept.split_at_mut(two);
                let ([r, z], [n, q]) = (slots(gates, hidden), slots_mut(rest, hidden));
                T::for_each_unit(simd, GruState, [r, z, &x[two..], &product[two..]], [n, q, h]);
            }
            Cell::GruResetBefore => {
                let ([.., x], [.., product]) = (slots::<3, T>(x, hidden), slots::<3, T>(product, hidden));
                let [_, z, n] = slots_mut(kept, hidden);
                T::for_each_unit(simd, ResetState, [x, product, z], [n, h]);
            }
        }
    }

    #[inline(always)]
    fn reset<S: Simd>(self, simd: S) {
        let Self { x, product, h, kept, .. } = self;
        let hidden = h.len();
        let ([xr, xz], [pr, pz]) = (slots(x, hidden), slots(product, hidden));
        let [r, z, _, reset] = slots_mut(kept, hidden);
        T::for_each_unit(simd, ResetGate, [xr, pr, h], [r, reset]);
        T::for_each_unit(simd, Gate, [xz, pz], [z]);
    }
}

/// The way back of a step of some rows.
pub(super) struct RowsBack<'a, T, A> {
    pub(super) cell: Cell,
    pub(super) half: Half,
    pub(super) hidden: usize,
    /// Whether a row's sequence has this step; if not, its gates' gradients are zeros, and those of its states stay.
    pub(super) active: A,
    pub(super) kept: &'a [T],
    /// The gradient of the output of this step.
    pub(super) output: Option<&'a [T]>,
    /// The gradients of the states after the step, which become those before it, less what the products add.
    pub(super) dh: &'a mut [T],
    pub(super) dc: &'a mut [T],
    /// The gradients of the gates.
    pub(super) gates: &'a mut [T],
    /// The gradient of the reset state.
    pub(super) reset: &'a [T],
}

impl<T: Units, A: Fn(usize) -> bool> WithSimd for RowsBack<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, half, hidden, active, kept, output, dh, dc, gates, reset } = self;
        let (gradients, slots) = (cell.gradients() * hidden, cell.slots() * hidden);
        let states = dh.chunks_exact_mut(hidden).zip(dc.chunks_exact_mut(hidden));
        let kept_and_gates = kept.chunks_exact(slots).zip(gates.chunks_exact_mut(gradients));
        for (row, ((kept, gates), (dh, dc))) in kept_and_gates.zip(states).enumerate() {
            let span = row * hidden..(row + 1) * hidden;
            match half {
                _ if !active(row) => gates.fill(T::real(0.0)),
                Half::Reset => {
                    let [r, _, _, _, h] = self::slots(kept, hidden);
                    T::for_each_unit(simd, ResetGateBack, [r, h, &reset[span]], [&mut gates[..hidden], dh]);
                }
                Half::Rest => {
                    if let Some(output) = output {
                        T::for_each_unit(simd, Add, [&output[span]], [&mut *dh]);
                    }
                    RowBack { kept, dh, dc, gates }.advance(simd, cell);
                }
            }
        }
    }
}

struct RowBack<'a, T> {
    kept: &'a [T],
    dh: &'a mut [T],
    dc: &'a mut [T],
    gates: &'a mut [T],
}

impl<T: Units> RowBack<'_, T> {
    #[inline(always)]
    fn advance<S: Simd>(self, simd: S, cell: Cell) {
        let Self { kept, dh, dc, gates } = self;
        let hidden = dh.len();
        match cell {
            Cell::Tanh => T::for_each_unit(simd, TanhBack, [kept], [gates, dh]),
            Cell::Relu => T::for_each_unit(simd, ReluBack, [kept], [gates, dh]),
            Cell::Lstm => {
                let [i, f, g, o, c] = slots(kept, hidden);
                let [di, df, dg, d_out] = slots_mut(gates, hidden);
                T::for_each_unit(simd, LstmTanh, [i, f, g, c], [&mut *d_out]);
                T::for_each_unit(simd, LstmBack, [i, f, g, o, c], [di, df, dg, d_out, dc, dh]);
            }
            Cell::Gru => {
                let [dr, dz, dn, pr, pz, pn] = slots_mut(gates, hidden);
                T::for_each_unit(simd, GruBack, slots(kept, hidden), [dr, dz, dn, pr, pz, pn, dh]);
            }
            Cell::GruResetBefore => {
                let [_, z, n, _, h] = slots(kept, hidden);
                let [_, dz, dn] = slots_mut(gates, hidden);
                T::for_each_unit(simd, ResetStateBack, [z, n, h], [dz, dn, dh]);
            }
        }
    }
}
