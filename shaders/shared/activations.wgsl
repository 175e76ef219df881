// Used by expressions.
// Activations and the error function. Twins of src/scalar/real.rs: same polynomials, same cases.
#import shared/functions
#import shared/logarithm

// log(1 + e^x)
fn soft_plus(x: Lanes) -> Lanes {
    return rectified(x) + log_one_plus(exponential(-abs(x)));
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
    let high = with_sign(Lanes(1.0) - exponential(-e), x);
    return within_one(x, select(high, x * p, m < Lanes(1.0)));
}
