// Used by expressions.
// Sine, cosine, tangent. Drivers' own may be off by 2^−11, and are for small angles only.
#import shared/numbers

struct Angle {
    // From −π/4 to π/4, a little beyond.
    rest: Lanes,
    // Quarter turns, modulo 4 in the last two bits.
    quarter: UintLanes,
}

// The upper word of a product.
fn product_high(a: UintLanes, b: UintLanes) -> UintLanes {
    let half = UintLanes(0xffffu);
    let shift = UintLanes(16u);
    let low = (a & half) * (b & half);
    let cross = (a & half) * (b >> shift) + (low >> shift);
    let other = (a >> shift) * (b & half) + (cross & half);
    return (a >> shift) * (b >> shift) + (cross >> shift) + (other >> shift);
}

// An angle beyond 8192 (Payne and Hanek 1983): its mantissa times the 96 bits of 2/π that tell quarter turns and what is left of
// one. Higher bits are whole turns.
fn far_angle(x: Lanes) -> Angle {
    let bits = bitcast<UintLanes>(x);
    let mantissa = (bits & UintLanes(0x7fffffu)) | UintLanes(0x800000u);
    let skipped = ((bits >> UintLanes(23u)) & UintLanes(255u)) - UintLanes(120u);
    let word = skipped >> UintLanes(5u);
    let one = (word & UintLanes(1u)) != UintLanes(0u);
    let two = (word & UintLanes(2u)) != UintLanes(0u);
    let four = (word & UintLanes(4u)) != UintLanes(0u);
    // A word of zeros, then those of 2/π, moved up by four, two and one.
    let a0 = select(UintLanes(0u), UintLanes(0xf534ddc0u), four);
    let a1 = select(UintLanes(0xa2f9836eu), UintLanes(0xdb629599u), four);
    let a2 = select(UintLanes(0x4e441529u), UintLanes(0x3c439041u), four);
    let a3 = select(UintLanes(0xfc2757d1u), UintLanes(0xfe5163abu), four);
    let a4 = UintLanes(0xf534ddc0u);
    let a5 = UintLanes(0xdb629599u);
    let a6 = UintLanes(0x3c439041u);
    let b0 = select(a0, a2, two);
    let b1 = select(a1, a3, two);
    let b2 = select(a2, a4, two);
    let b3 = select(a3, a5, two);
    let b4 = select(a4, a6, two);
    let c0 = select(b0, b1, one);
    let c1 = select(b1, b2, one);
    let c2 = select(b2, b3, one);
    let c3 = select(b3, b4, one);
    let up = skipped & UintLanes(31u);
    let down = UintLanes(31u) - up;
    let g0 = (c0 << up) | ((c1 >> UintLanes(1u)) >> down);
    let g1 = (c1 << up) | ((c2 >> UintLanes(1u)) >> down);
    let g2 = (c2 << up) | ((c3 >> UintLanes(1u)) >> down);
    let carried = product_high(mantissa, g2);
    let low = mantissa * g1 + carried;
    let high = mantissa * g0 + product_high(mantissa, g1) + select(UintLanes(0u), UintLanes(1u), low < carried);
    // Two bits of quarter turns, then a fraction of one, to the nearest: as a signed number of 64 bits.
    let fraction = (high << UintLanes(2u)) | (low >> UintLanes(30u));
    let below = low << UintLanes(2u);
    let is_negative = fraction >= UintLanes(0x80000000u);
    let lower = select(below, UintLanes(0u) - below, is_negative);
    let upper = select(fraction, ~fraction + select(UintLanes(0u), UintLanes(1u), below == UintLanes(0u)), is_negative);
    let size = (Lanes(upper) * Lanes(2.3283064e-10) + Lanes(lower) * Lanes(5.421011e-20)) * Lanes(1.5707964);
    let quarter = (high >> UintLanes(30u)) + (fraction >> UintLanes(31u));
    let sign = (bits ^ select(UintLanes(0u), UintLanes(0x80000000u), is_negative)) & UintLanes(0x80000000u);
    let turned = select(quarter, UintLanes(0u) - quarter, bits >= UintLanes(0x80000000u));
    return Angle(bitcast<Lanes>(bitcast<UintLanes>(size) | sign), turned);
}

// Near 0, π/2 in four parts, so that their products with the number of quarter turns are exact (Cody and Waite 1980).
fn reduced_angle(x: Lanes) -> Angle {
    let magnitude = bitcast<UintLanes>(x) & UintLanes(0x7fffffffu);
    let far = magnitude >= UintLanes(0x46000000u);
    let near = select(x, Lanes(0.0), far);
    let turns = round(near * Lanes(0.63661975));
    var rest = near - turns * Lanes(1.5703125);
    rest -= turns * Lanes(0.0004837513);
    rest -= turns * Lanes(7.5495336e-8);
    rest -= turns * Lanes(2.563344e-12);
    // A zero keeps its sign.
    let angle = Angle(select(rest, near, turns == Lanes(0.0)), bitcast<UintLanes>(IntLanes(turns)));
    if !any(far) {
        return angle;
    }
    let beyond = far_angle(x);
    rest = select(angle.rest, beyond.rest, far);
    rest = select(rest, not_a_number(x), magnitude >= UintLanes(0x7f800000u));
    return Angle(rest, select(angle.quarter, beyond.quarter, far));
}

fn near_sine(x: Lanes) -> Lanes {
    let q = x * x;
    var p = Lanes(-0.00019517138);
    p = p * q + Lanes(0.008332177);
    p = p * q + Lanes(-0.16666655);
    return x + x * q * p;
}

fn near_cosine(x: Lanes) -> Lanes {
    let q = x * x;
    var p = Lanes(2.443827e-5);
    p = p * q + Lanes(-0.0013887367);
    p = p * q + Lanes(0.041666646);
    return (Lanes(1.0) - Lanes(0.5) * q) + q * q * p;
}

fn turned(angle: Angle, quarters: UintLanes) -> Lanes {
    let quarter = angle.quarter + quarters;
    let odd = (quarter & UintLanes(1u)) != UintLanes(0u);
    let value = select(near_sine(angle.rest), near_cosine(angle.rest), odd);
    return bitcast<Lanes>(bitcast<UintLanes>(value) ^ ((quarter & UintLanes(2u)) << UintLanes(30u)));
}

fn sine(x: Lanes) -> Lanes {
    return turned(reduced_angle(x), UintLanes(0u));
}
fn cosine(x: Lanes) -> Lanes {
    return turned(reduced_angle(x), UintLanes(1u));
}
fn tangent(x: Lanes) -> Lanes {
    let angle = reduced_angle(x);
    let odd = (angle.quarter & UintLanes(1u)) != UintLanes(0u);
    let s = near_sine(angle.rest);
    let c = near_cosine(angle.rest);
    return select(s, -c, odd) / select(c, s, odd);
}
