// Used by expressions, family/attention, shared/activations.
// Logarithms, and the inverse hyperbolic functions made of them. Twins of src/scalar/real.rs.
#import shared/numbers

struct Normalized {
    // From √½ to √2, less 1.
    fraction: Lanes,
    exponent: Lanes,
}

// A positive number as (1 + fraction)·2^exponent. A subnormal's bits are an integer that is its multiple of 2^−149: drivers that
// take subnormals for 0 convert it like any other.
fn normalized(x: Lanes) -> Normalized {
    let magnitude = bitcast<UintLanes>(x) & UintLanes(0x7fffffffu);
    let small = magnitude < UintLanes(0x00800000u);
    let bits = bitcast<IntLanes>(select(magnitude, bitcast<UintLanes>(Lanes(magnitude)), small));
    let exponent = (bits - IntLanes(0x3f3504f3)) >> UintLanes(23u);
    let fraction = bitcast<Lanes>(bits - (exponent << UintLanes(23u))) - Lanes(1.0);
    return Normalized(fraction, Lanes(exponent) - select(Lanes(0.0), Lanes(149.0), small));
}

fn natural_logarithm(x: Lanes) -> Lanes {
    let parts = normalized(x);
    let f = parts.fraction;
    var p = Lanes(0.070373);
    p = p * f + Lanes(-0.11514416);
    p = p * f + Lanes(0.11677052);
    p = p * f + Lanes(-0.1242017);
    p = p * f + Lanes(0.1424932);
    p = p * f + Lanes(-0.16668056);
    p = p * f + Lanes(0.20000714);
    p = p * f + Lanes(-0.24999994);
    p = p * f + Lanes(0.3333333);
    let square = f * f;
    let e = parts.exponent;
    let value = (f + (p * f * square - Lanes(0.5) * square - e * Lanes(2.1219444e-4))) + e * Lanes(0.6933594);
    // By the bits: 0 has −∞; infinity and NaN stay; other negative numbers have none.
    let bits = bitcast<UintLanes>(x);
    let zero = (bits & UintLanes(0x7fffffffu)) == UintLanes(0u);
    let negative = (bits ^ UintLanes(0x80000000u)) <= UintLanes(0x7f800000u);
    let top = (bits & UintLanes(0x7fffffffu)) >= UintLanes(0x7f800000u);
    var known = select(value, x, top);
    known = select(known, not_a_number(x), negative);
    return select(known, infinite(UintLanes(0x80000000u) | bits), zero);
}

// log(1 + x). For small x a series in s = x / (2 + x), since log(1 + x) = 2·artanh(s); no compiler can cancel it away.
fn log_one_plus(x: Lanes) -> Lanes {
    let s = x / (Lanes(2.0) + x);
    let q = s * s;
    var p = Lanes(0.11111111);
    p = p * q + Lanes(0.14285715);
    p = p * q + Lanes(0.2);
    p = p * q + Lanes(0.33333334);
    p = p * q + Lanes(1.0);
    return select(natural_logarithm(Lanes(1.0) + x), Lanes(2.0) * s * p, abs(x) < Lanes(0.3));
}

// Beyond 1e9, 1 is nothing beside the square.
fn inverse_hyperbolic_sine(x: Lanes) -> Lanes {
    let t = abs(x);
    let root = sqrt(t * t + Lanes(1.0));
    let small = log_one_plus(t + t * (t / (root + Lanes(1.0))));
    let large = natural_logarithm(t) + Lanes(0.6931472);
    return with_sign(select(small, large, t > Lanes(1.0e9)), x);
}

fn inverse_hyperbolic_cosine(x: Lanes) -> Lanes {
    let above = x - Lanes(1.0);
    let small = log_one_plus(above + sqrt(above) * sqrt(x + Lanes(1.0)));
    let large = natural_logarithm(x) + Lanes(0.6931472);
    let value = select(small, large, x > Lanes(1.0e9));
    return select(value, not_a_number(x), x < Lanes(1.0));
}

fn inverse_hyperbolic_tangent(x: Lanes) -> Lanes {
    return Lanes(0.5) * (log_one_plus(x) - log_one_plus(-x));
}
