//! The arithmetic of one step for one row of units, on the CPU; the twins of `shaders/shared/cell_*.wgsl`. Loops are over plain
//! slices, so that they vectorise.

#![allow(clippy::needless_range_loop, reason = "several slices go by one index")]

use super::Cell;
use crate::scalar::Real;

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

impl<T: Real> Row<'_, T> {
    /// All of a step, or its second half where the reset gate comes before the product.
    #[inline(always)]
    pub(super) fn advance(self, cell: Cell) {
        let hidden = self.h.len();
        let (x, product) = (self.x, self.product);
        let one = T::real(1.0);
        match cell {
            Cell::Tanh | Cell::Relu => {
                for j in 0..hidden {
                    let sum = x[j] + product[j];
                    let next = if cell == Cell::Tanh { sum.tanh() } else { sum.larger(T::real(0.0)) };
                    (self.h[j], self.kept[j]) = (next, next);
                }
            }
            Cell::Lstm => {
                let (xi, xf, xg, xo) = four(x, hidden);
                let (pi, pf, pg, po) = four(product, hidden);
                let (ki, rest) = self.kept.split_at_mut(hidden);
                let (kf, rest) = rest.split_at_mut(hidden);
                let (kg, ko) = rest.split_at_mut(hidden);
                for j in 0..hidden {
                    let (i, f) = ((xi[j] + pi[j]).sigmoid(), (xf[j] + pf[j]).sigmoid());
                    let (g, o) = ((xg[j] + pg[j]).tanh(), (xo[j] + po[j]).sigmoid());
                    let c = f * self.c[j] + i * g;
                    (ki[j], kf[j], kg[j], ko[j]) = (i, f, g, o);
                    self.c[j] = c;
                    self.h[j] = o * c.tanh();
                }
            }
            Cell::Gru => {
                let (kr, rest) = self.kept.split_at_mut(hidden);
                let (kz, rest) = rest.split_at_mut(hidden);
                let (kn, kq) = rest.split_at_mut(hidden);
                for j in 0..hidden {
                    let r = (x[j] + product[j]).sigmoid();
                    let z = (x[hidden + j] + product[hidden + j]).sigmoid();
                    let q = product[2 * hidden + j];
                    let n = (x[2 * hidden + j] + r * q).tanh();
                    (kr[j], kz[j], kn[j], kq[j]) = (r, z, n, q);
                    self.h[j] = n + z * (self.h[j] - n);
                }
            }
            Cell::GruResetBefore => {
                for j in 0..hidden {
                    let n = (x[2 * hidden + j] + product[2 * hidden + j]).tanh();
                    let z = self.kept[hidden + j];
                    self.kept[2 * hidden + j] = n;
                    self.h[j] = (one - z) * n + z * self.h[j];
                }
            }
        }
    }

    /// The first half of a step whose reset gate comes before the product.
    #[inline(always)]
    pub(super) fn reset(self) {
        let hidden = self.h.len();
        for j in 0..hidden {
            let r = (self.x[j] + self.product[j]).sigmoid();
            self.kept[j] = r;
            self.kept[hidden + j] = (self.x[hidden + j] + self.product[hidden + j]).sigmoid();
            self.kept[3 * hidden + j] = r * self.h[j];
        }
    }
}

fn four<T>(slots: &[T], hidden: usize) -> (&[T], &[T], &[T], &[T]) {
    let (first, rest) = slots.split_at(hidden);
    let (second, rest) = rest.split_at(hidden);
    let (third, fourth) = rest.split_at(hidden);
    (first, second, third, &fourth[..hidden])
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
        let hidden = self.dh.len();
        let (zero, one) = (T::real(0.0), T::real(1.0));
        if let Some(output) = self.output {
            self.dh.iter_mut().zip(output).for_each(|(dh, &output)| *dh = *dh + output);
        }
        let kept = self.kept;
        match cell {
            Cell::Tanh | Cell::Relu => {
                for j in 0..hidden {
                    let h = kept[j];
                    let slope = if cell == Cell::Tanh {
                        one - h * h
                    } else if h > zero {
                        one
                    } else {
                        zero
                    };
                    self.gates[j] = self.dh[j] * slope;
                    self.dh[j] = zero;
                }
            }
            Cell::Lstm => {
                let (ki, kf, kg, rest) = four(kept, hidden);
                let (ko, kc) = (rest, &kept[4 * hidden..5 * hidden]);
                let (di, rest) = self.gates.split_at_mut(hidden);
                let (df, rest) = rest.split_at_mut(hidden);
                let (dg, d_out) = rest.split_at_mut(hidden);
                for j in 0..hidden {
                    let (i, f, g, o) = (ki[j], kf[j], kg[j], ko[j]);
                    let c = (f * kc[j] + i * g).tanh();
                    let dh = self.dh[j];
                    let dc = self.dc[j] + dh * o * (one - c * c);
                    di[j] = dc * g * i * (one - i);
                    df[j] = dc * kc[j] * f * (one - f);
                    dg[j] = dc * i * (one - g * g);
                    d_out[j] = dh * c * o * (one - o);
                    self.dc[j] = dc * f;
                    self.dh[j] = zero;
                }
            }
            Cell::Gru | Cell::GruResetBefore => {
                for j in 0..hidden {
                    let (r, z, n) = (kept[j], kept[hidden + j], kept[2 * hidden + j]);
                    let (fourth, h) = (kept[3 * hidden + j], kept[4 * hidden + j]);
                    let dh = self.dh[j];
                    let dn = dh * (one - z) * (one - n * n);
                    let dz = dh * (h - n) * z * (one - z);
                    self.gates[hidden + j] = dz;
                    self.gates[2 * hidden + j] = dn;
                    if cell == Cell::Gru {
                        let dr = dn * fourth * r * (one - r);
                        self.gates[j] = dr;
                        self.gates[3 * hidden + j] = dr;
                        self.gates[4 * hidden + j] = dz;
                        self.gates[5 * hidden + j] = dn * r;
                    }
                    self.dh[j] = dh * z;
                }
            }
        }
    }

    /// The second half of a step whose reset gate comes before the product: `product` is the gradient of the reset state.
    #[inline(always)]
    pub(super) fn reset(self, product: &[T]) {
        let hidden = self.dh.len();
        for j in 0..hidden {
            let (r, h) = (self.kept[j], self.kept[4 * hidden + j]);
            self.gates[j] = product[j] * h * r * (T::real(1.0) - r);
            self.dh[j] = self.dh[j] + product[j] * r;
        }
    }
}
