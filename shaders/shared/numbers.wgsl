// Used by expressions, shared/arctangent, shared/exponential, shared/logarithm, shared/remainder, shared/trigonometry.
// NaN, and functions that propagate it: WGSL lets drivers assume that there are no NaNs, so that built-in `min`, `max` and `clamp`
// may swallow one and a comparison may be negated. Tests of the bits stay what they are.
#import lanes/one

fn no_number(x: Lanes) -> BoolLanes {
    return (bitcast<UintLanes>(x) & UintLanes(0x7fffffffu)) > UintLanes(0x7f800000u);
}

// There are no literals for these; from the bits of a value they are no constants, which compilers would refuse.
fn not_a_number(x: Lanes) -> Lanes {
    return bitcast<Lanes>(bitcast<UintLanes>(x) | UintLanes(0x7fc00000u));
}
fn infinite(sign: UintLanes) -> Lanes {
    return bitcast<Lanes>((sign & UintLanes(0x80000000u)) | UintLanes(0x7f800000u));
}
fn with_sign(magnitude: Lanes, x: Lanes) -> Lanes {
    let sign = UintLanes(0x80000000u);
    return bitcast<Lanes>((bitcast<UintLanes>(magnitude) & ~sign) | (bitcast<UintLanes>(x) & sign));
}

fn larger(a: Lanes, b: Lanes) -> Lanes {
    return select(select(max(a, b), b, no_number(b)), a, no_number(a));
}
fn smaller(a: Lanes, b: Lanes) -> Lanes {
    return select(select(min(a, b), b, no_number(b)), a, no_number(a));
}

// max(x, low) and min(x, high), of bounds that are not NaN.
fn at_least(x: Lanes, low: Lanes) -> Lanes {
    return select(max(x, low), x, no_number(x));
}
fn at_most(x: Lanes, high: Lanes) -> Lanes {
    return select(min(x, high), x, no_number(x));
}
fn clamped(x: Lanes, low: Lanes, high: Lanes) -> Lanes {
    return select(min(max(x, low), high), x, no_number(x));
}

// max(x, 0): 0 where the sign is set and it is no NaN.
fn rectified(x: Lanes) -> Lanes {
    let negative = (bitcast<UintLanes>(x) ^ UintLanes(0x80000000u)) <= UintLanes(0x7f800000u);
    return select(x, Lanes(0.0), negative);
}

// 1 with the sign of x, but zeros and NaNs as they are: less 1, their magnitudes are above all others.
fn sign_of(x: Lanes) -> Lanes {
    let bits = bitcast<UintLanes>(x);
    let other = (bits & UintLanes(0x7fffffffu)) - UintLanes(1u) >= UintLanes(0x7f800000u);
    return select(bitcast<Lanes>((bits & UintLanes(0x80000000u)) | UintLanes(0x3f800000u)), x, other);
}
