// Used by expressions, shared/activations.
// The functions of cells and activations. Twins of src/scalar/real.rs: same polynomials, same cases.
#import shared/exponential

// 1 / (1 + e^−x), by the sign of x, so that neither side overflows.
fn sigmoid(x: Lanes) -> Lanes {
    let small = exponential(-abs(x));
    return select(small, Lanes(1.0), x >= Lanes(0.0)) / (Lanes(1.0) + small);
}

// The built-in tanh overflows near |x| = 43 on Metal's fast mode, and is inexact near 0 elsewhere.
fn hyperbolic_tangent(x: Lanes) -> Lanes {
    let t = clamp(x, Lanes(-9.0), Lanes(9.0));
    let q = t * t;
    var p = Lanes(1.3354852e-8);
    p = p * q + Lanes(2.0609132e-5);
    p = p * q + Lanes(0.0034955912);
    p = p * q + Lanes(0.13381028);
    p = p * q + Lanes(1.0);
    var d = Lanes(7.776585e-7);
    d = d * q + Lanes(0.000328564);
    d = d * q + Lanes(0.025876995);
    d = d * q + Lanes(0.46714345);
    d = d * q + Lanes(1.0);
    return within_one(x, t * p / d);
}

// A value from −1 to 1; a NaN stays one.
fn within_one(x: Lanes, value: Lanes) -> Lanes {
    return select(clamp(value, Lanes(-1.0), Lanes(1.0)), x, no_number(x));
}
