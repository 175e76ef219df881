// Scalar functions that WGSL lacks, or whose built-in form is unsafe or inexact on some driver.
// Twins of src/scalar/real.rs: same polynomials, same cases.
#import shared/lanes

// e^x − 1; the built-in difference loses all digits where x is small.
fn exp_minus_one(x: Lanes) -> Lanes {
    let inner = clamp(x, Lanes(-0.5), Lanes(0.5));
    var p = Lanes(2.480147e-5);
    p = p * inner + Lanes(1.9978975e-4);
    p = p * inner + Lanes(0.0013889277);
    p = p * inner + Lanes(0.008333119);
    p = p * inner + Lanes(0.04166666);
    p = p * inner + Lanes(0.16666667);
    p = p * inner + Lanes(0.5);
    p = p * inner + Lanes(1.0);
    return select(exp(x) - Lanes(1.0), inner * p, abs(x) < Lanes(0.5));
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
    return select(log(Lanes(1.0) + x), Lanes(2.0) * s * p, abs(x) < Lanes(0.3));
}

// 1 / (1 + e^−x), by the sign of x, so that neither side overflows.
fn sigmoid(x: Lanes) -> Lanes {
    let small = exp(-abs(x));
    return select(small, Lanes(1.0), x >= Lanes(0.0)) / (Lanes(1.0) + small);
}

// log(1 + e^x)
fn soft_plus(x: Lanes) -> Lanes {
    return max(x, Lanes(0.0)) + log_one_plus(exp(-abs(x)));
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
    return clamp(t * p / d, Lanes(-1.0), Lanes(1.0));
}

fn error_function(x: Lanes) -> Lanes {
    let m = abs(x);
    let q = min(m * m, Lanes(1.0));
    var p = Lanes(7.853847e-5);
    p = p * q + Lanes(-8.010189e-4);
    p = p * q + Lanes(0.0051883273);
    p = p * q + Lanes(-0.02685381);
    p = p * q + Lanes(0.112835854);
    p = p * q + Lanes(-0.37612626);
    p = p * q + Lanes(1.1283791);
    let t = min(m, Lanes(4.0));
    var e = Lanes(2.1687085e-5);
    e = e * t + Lanes(-4.4133927e-4);
    e = e * t + Lanes(0.004204577);
    e = e * t + Lanes(-0.025208298);
    e = e * t + Lanes(0.10841864);
    e = e * t + Lanes(0.63321984);
    e = e * t + Lanes(1.1295785);
    e = e * t + Lanes(-1.8804795e-4);
    let high = Lanes(1.0) - exp(-e);
    return select(select(high, -high, x < Lanes(0.0)), x * p, m < Lanes(1.0));
}

// a^b as C has it for negative a and whole b; the built-in is undefined for a < 0.
fn power(a: Lanes, b: Lanes) -> Lanes {
    let magnitude = pow(max(abs(a), Lanes(1.0e-38)), b);
    let rounded = round(b);
    let odd = abs(rounded - Lanes(2.0) * floor(rounded * Lanes(0.5))) > Lanes(0.5);
    let negative = (a < Lanes(0.0)) & odd;
    let signed = select(magnitude, -magnitude, negative);
    let at_zero = select(Lanes(0.0), signed, b < Lanes(0.0));
    let value = select(signed, at_zero, a == Lanes(0.0));
    // NaN by its bits: there is no literal for it.
    let nothing = bitcast<Lanes>(bitcast<UintLanes>(a) | UintLanes(0x7fc00000u));
    let known = select(value, nothing, (a < Lanes(0.0)) & (rounded != b));
    return select(known, Lanes(1.0), b == Lanes(0.0));
}

// The rest of a / b with the sign of a. Where the division is inexact, its whole part may be one off; an infinite b leaves a as it is.
fn remainder(a: Lanes, b: Lanes) -> Lanes {
    let divisor = abs(b);
    let quotient = trunc(abs(a) / divisor);
    var rest = fma(-divisor, quotient, abs(a));
    rest = select(rest, rest + divisor, rest < Lanes(0.0));
    rest = select(rest, rest - divisor, rest >= divisor);
    rest = select(rest, abs(a), divisor > abs(a));
    return select(rest, -rest, a < Lanes(0.0));
}

// sin and cos of an argument brought into [−π, π] in two parts first: drivers may be inexact outside.
fn reduced_angle(x: Lanes) -> Lanes {
    let turns = round(x * Lanes(0.15915494));
    return (x - turns * Lanes(6.28125)) - turns * Lanes(0.0019353072);
}
fn sine(x: Lanes) -> Lanes {
    return sin(reduced_angle(x));
}
fn cosine(x: Lanes) -> Lanes {
    return cos(reduced_angle(x));
}
fn tangent(x: Lanes) -> Lanes {
    let angle = reduced_angle(x);
    return sin(angle) / cos(angle);
}

// The angle of the point (x, y): the built-in may be off by 4096 units in the last place. Relative error below 3e-7.
fn arctangent(y: Lanes, x: Lanes) -> Lanes {
    let a = abs(y);
    let b = abs(x);
    // Not by `min` and `max`, which may lose a NaN.
    let steep = b < a;
    let small = select(a, b, steep);
    let large = select(b, a, steep);
    let quotient = select(small / large, Lanes(1.0), small == large);
    let t = select(quotient, Lanes(0.0), large == Lanes(0.0));
    let q = t * t;
    var p = Lanes(-0.0017538656);
    p = p * q + Lanes(0.010726654);
    p = p * q + Lanes(-0.030804055);
    p = p * q + Lanes(0.057551555);
    p = p * q + Lanes(-0.08377283);
    p = p * q + Lanes(0.109420195);
    p = p * q + Lanes(-0.14261931);
    p = p * q + Lanes(0.19998266);
    p = p * q + Lanes(-0.33333284);
    p = p * q + Lanes(1.0);
    let low = t * p;
    let acute = select(low, Lanes(1.5707964) - low, steep);
    let sign = UintLanes(0x80000000u);
    let angle = select(acute, Lanes(3.1415927) - acute, (bitcast<UintLanes>(x) & sign) == sign);
    return select(angle, -angle, (bitcast<UintLanes>(y) & sign) == sign);
}
