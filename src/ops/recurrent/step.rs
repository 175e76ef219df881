//! The arithmetic of one step for one row of units, on the CPU; the twins of `shaders/shared/cell_*.wgsl`.

use super::Cell;
use crate::scalar::Real;

/// Units that are computed at a time: a 512-bit register of f32.
const LANES: usize = 16;

/// What the step of one row works on; each slice holds a number for each unit, or one for each unit of several slots.
pub(super) struct Row<'a, T> {
    /// The input's part of the gates, and the state's with its bias.
    pub(super) x: &'a [T],
    pub(super) product: &'a [T],
    /// The states, which are brought on.
    pub(super) h: &'a mut [T],
    pub(super) c: &'a mut [T],
    /// The slots, of which those of the states before are filled already.
    pub(super) kept: &'a mut [T],
}

/// `outputs = f(inputs, outputs)` for each unit. Blocks are copied in and out, so that the loop over one knows that its operands do not
/// overlap and becomes vector instructions without tests.
#[inline(always)]
fn for_each_unit<T: Real, const I: usize, const O: usize>(
    inputs: [&[T]; I],
    mut outputs: [&mut [T]; O],
    f: impl Fn([T; I], [T; O]) -> [T; O],
) {
    let units = outputs[0].len();
    let whole = units / LANES * LANES;
    let from = inputs.map(|input| input[..units].as_chunks::<LANES>().0);
    let mut to = outputs.each_mut().map(|output| output[..units].as_chunks_mut::<LANES>().0);
    for block in 0..units / LANES {
        let block_from: [[T; LANES]; I] = std::array::from_fn(|k| from[k][block]);
        let mut block_to: [[T; LANES]; O] = std::array::from_fn(|k| to[k][block]);
        for_each_lane(&block_from, &mut block_to, LANES, &f);
        for (output, lanes) in to.iter_mut().zip(block_to) {
            output[block] = lanes;
        }
    }
    if whole == units {
        return;
    }
    let mut block_from = [[T::real(0.0); LANES]; I];
    let mut block_to = [[T::real(0.0); LANES]; O];
    for (lanes, input) in block_from.iter_mut().zip(inputs) {
        lanes.iter_mut().zip(&input[whole..units]).for_each(|(lane, &value)| *lane = value);
    }
    for (lanes, output) in block_to.iter_mut().zip(&outputs) {
        lanes.iter_mut().zip(&output[whole..units]).for_each(|(lane, &value)| *lane = value);
    }
    // Whole vectors are cheaper than single numbers, unless these are calls.
    let computed = if size_of::<T>() == 4 { LANES } else { units - whole };
    for_each_lane(&block_from, &mut block_to, computed, &f);
    for (output, lanes) in outputs.iter_mut().zip(&block_to) {
        output[whole..units].iter_mut().zip(lanes).for_each(|(value, &lane)| *value = lane);
    }
}

#[inline(always)]
fn for_each_lane<T: Copy, const I: usize, const O: usize>(
    from: &[[T; LANES]; I],
    to: &mut [[T; LANES]; O],
    count: usize,
    f: impl Fn([T; I], [T; O]) -> [T; O],
) {
    for lane in 0..count {
        let results = f(std::array::from_fn(|k| from[k][lane]), std::array::from_fn(|k| to[k][lane]));
        for (lanes, result) in to.iter_mut().zip(results) {
            lanes[lane] = result;
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

#[inline(always)]
fn sigmoid_of_sum<T: Real>(x: &[T], product: &[T], out: &mut [T]) {
    for_each_unit(
        [x, product],
        [out],
        #[inline(always)]
        |[x, p], _| [(x + p).sigmoid()],
    );
}

impl<T: Real> Row<'_, T> {
    /// All of a step, or its second half where the reset gate comes before the product.
    #[inline(always)]
    pub(super) fn advance(self, cell: Cell) {
        let Self { x, product, h, c, kept } = self;
        let hidden = h.len();
        let one = T::real(1.0);
        match cell {
            Cell::Tanh => for_each_unit(
                [x, product],
                [h, kept],
                #[inline(always)]
                |[x, p], _| [(x + p).tanh(); 2],
            ),
            Cell::Relu => for_each_unit(
                [x, product],
                [h, kept],
                #[inline(always)]
                |[x, p], _| [(x + p).larger(T::real(0.0)); 2],
            ),
            // In stages, each a short chain of operations: the processor then works on several blocks of units at once.
            Cell::Lstm => {
                let (gates, kept) = (3 * hidden, &mut kept[..4 * hidden]);
                sigmoid_of_sum(&x[..2 * hidden], &product[..2 * hidden], &mut kept[..2 * hidden]);
                sigmoid_of_sum(&x[gates..], &product[gates..], &mut kept[gates..]);
                for_each_unit(
                    [&x[2 * hidden..gates], &product[2 * hidden..gates]],
                    [&mut kept[2 * hidden..gates]],
                    #[inline(always)]
                    |[x, p], _| [(x + p).tanh()],
                );
                for_each_unit(
                    slots::<4, T>(kept, hidden),
                    [c, h],
                    #[inline(always)]
                    |[i, f, g, o], [c, _]| {
                        let c = f * c + i * g;
                        [c, o * c.tanh()]
                    },
                );
            }
            Cell::Gru => {
                sigmoid_of_sum(&x[..2 * hidden], &product[..2 * hidden], &mut kept[..2 * hidden]);
                let (gates, rest) = kept.split_at_mut(2 * hidden);
                let [r, z] = slots(gates, hidden);
                let [kn, kq] = slots_mut(rest, hidden);
                for_each_unit(
                    [r, z, &x[2 * hidden..], &product[2 * hidden..]],
                    [kn, kq, h],
                    #[inline(always)]
                    |[r, z, x, q], [.., h]| {
                        let n = (x + r * q).tanh();
                        [n, q, n + z * (h - n)]
                    },
                );
            }
            Cell::GruResetBefore => {
                let [_, _, xn] = slots(x, hidden);
                let [_, _, pn] = slots(product, hidden);
                let [_, z, kn] = slots_mut(kept, hidden);
                for_each_unit(
                    [xn, pn, z],
                    [kn, h],
                    #[inline(always)]
                    |[x, p, z], [_, h]| {
                        let n = (x + p).tanh();
                        [n, (one - z) * n + z * h]
                    },
                );
            }
        }
    }

    /// The first half of a step whose reset gate comes before the product.
    #[inline(always)]
    pub(super) fn reset(self) {
        let Self { x, product, h, kept, .. } = self;
        let hidden = h.len();
        let [xr, xz] = slots(x, hidden);
        let [pr, pz] = slots(product, hidden);
        let [kr, kz, _, reset] = slots_mut(kept, hidden);
        for_each_unit(
            [xr, pr, xz, pz, h],
            [kr, kz, reset],
            #[inline(always)]
            |[xr, pr, xz, pz, h], _| {
                let r = (xr + pr).sigmoid();
                [r, (xz + pz).sigmoid(), r * h]
            },
        );
    }
}

/// The way back of one row.
pub(super) struct RowBack<'a, T> {
    pub(super) kept: &'a [T],
    /// The gradient of the output of this step.
    pub(super) output: Option<&'a [T]>,
    /// The gradients of the states after the step, which become those before it, less what the products add.
    pub(super) dh: &'a mut [T],
    pub(super) dc: &'a mut [T],
    /// The gradients of the gates.
    pub(super) gates: &'a mut [T],
}

impl<T: Real> RowBack<'_, T> {
    /// All of a step, or its first half where the reset gate comes before the product.
    #[inline(always)]
    pub(super) fn advance(self, cell: Cell) {
        let Self { kept, output, dh, dc, gates } = self;
        let hidden = dh.len();
        let (zero, one) = (T::real(0.0), T::real(1.0));
        if let Some(output) = output {
            for_each_unit(
                [output],
                [&mut *dh],
                #[inline(always)]
                |[output], [dh]| [dh + output],
            );
        }
        match cell {
            Cell::Tanh => for_each_unit(
                [kept],
                [gates, dh],
                #[inline(always)]
                |[h], [_, dh]| [dh * (one - h * h), zero],
            ),
            Cell::Relu => {
                for_each_unit(
                    [kept],
                    [gates, dh],
                    #[inline(always)]
                    |[h], [_, dh]| [if h > zero { dh } else { zero }, zero],
                );
            }
            Cell::Lstm => {
                let [i, f, g, o, c] = slots(kept, hidden);
                let [di, df, dg, d_out] = slots_mut(gates, hidden);
                // In two stages, as the way forward.
                for_each_unit(
                    [i, f, g, c],
                    [&mut *d_out],
                    #[inline(always)]
                    |[i, f, g, before], _| [(f * before + i * g).tanh()],
                );
                for_each_unit(
                    [i, f, g, o, c],
                    [di, df, dg, d_out, dc, dh],
                    #[inline(always)]
                    |[i, f, g, o, before], [_, _, _, c, dc, dh]| {
                        let dc = dc + dh * o * (one - c * c);
                        let (di, df) = (dc * g * i * (one - i), dc * before * f * (one - f));
                        [di, df, dc * i * (one - g * g), dh * c * o * (one - o), dc * f, zero]
                    },
                );
            }
            Cell::Gru => {
                let [r, z, n, q, h] = slots(kept, hidden);
                let [dr, dz, dn, pr, pz, pn] = slots_mut(gates, hidden);
                for_each_unit(
                    [r, z, n, q, h],
                    [dr, dz, dn, pr, pz, pn, dh],
                    #[inline(always)]
                    |[r, z, n, q, h], [.., dh]| {
                        let dn = dh * (one - z) * (one - n * n);
                        let dz = dh * (h - n) * z * (one - z);
                        let dr = dn * q * r * (one - r);
                        [dr, dz, dn, dr, dz, dn * r, dh * z]
                    },
                );
            }
            Cell::GruResetBefore => {
                let [_, z, n, _, h] = slots(kept, hidden);
                let [_, dz, dn] = slots_mut(gates, hidden);
                for_each_unit(
                    [z, n, h],
                    [dz, dn, dh],
                    #[inline(always)]
                    |[z, n, h], [.., dh]| {
                        let dn = dh * (one - z) * (one - n * n);
                        [dh * (h - n) * z * (one - z), dn, dh * z]
                    },
                );
            }
        }
    }

    /// The second half of a step whose reset gate comes before the product: `product` is the gradient of the reset state.
    #[inline(always)]
    pub(super) fn reset(self, product: &[T]) {
        let Self { kept, dh, gates, .. } = self;
        let hidden = dh.len();
        let [r, _, _, _, h] = slots(kept, hidden);
        let dr = &mut gates[..hidden];
        for_each_unit(
            [r, h, product],
            [dr, dh],
            #[inline(always)]
            |[r, h, product], [_, dh]| [product * h * r * (T::real(1.0) - r), dh + product * r],
        );
    }
}
