// Used by expressions, family/attention, shared/functions, shared/power.
// Powers of e. Drivers' own lose digits where the argument is large, and are free to be off by 3 + 2·|x| units in the last place.
// Twins of src/scalar/real.rs: same polynomials, same cases.
#import shared/numbers

// 2^n for integer n from −126 to 127.
fn power_of_two(n: IntLanes) -> Lanes {
    return bitcast<Lanes>((n + IntLanes(127)) << UintLanes(23u));
}

// p·2^n, in two factors, so that 2^n reaches below the normal numbers and beyond the largest.
fn scaled(p: Lanes, n: IntLanes) -> Lanes {
    let half = n >> UintLanes(1u);
    return p * power_of_two(half) * power_of_two(n - half);
}

// p·2^n.
struct Power {
    p: Lanes,
    n: IntLanes,
}

// e^x of a number from −104 to 89: x = n·ln 2 + r.
fn power_of_e(within: Lanes) -> Power {
    let n = round(within * Lanes(1.442695));
    let r = (within - n * Lanes(0.6933594)) + n * Lanes(2.1219444e-4);
    var p = Lanes(0.0013836792);
    p = p * r + Lanes(0.008374846);
    p = p * r + Lanes(0.04166823);
    p = p * r + Lanes(0.1666642);
    p = p * r + Lanes(0.4999999);
    p = p * r + Lanes(1.0);
    p = p * r + Lanes(1.0);
    return Power(p, IntLanes(n));
}

fn exponential(x: Lanes) -> Lanes {
    let power = power_of_e(clamp(x, Lanes(-104.0), Lanes(89.0)));
    return select(scaled(power.p, power.n), x, no_number(x));
}

// e^x for x that is not positive, but for rounding: what would be subnormal is 0, and a factor of 2^n is one.
fn decay(x: Lanes) -> Lanes {
    let power = power_of_e(max(x, Lanes(-87.0)));
    let value = select(power.p * power_of_two(power.n), Lanes(0.0), x < Lanes(-87.0));
    return select(value, x, no_number(x));
}

// e^x − 1; the difference loses all digits where x is small.
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
    return select(exponential(x) - Lanes(1.0), inner * p, abs(x) < Lanes(0.5));
}

// Where e^x would leave the range before its half does, half of it twice.
fn hyperbolic_sine(x: Lanes) -> Lanes {
    let t = abs(x);
    let inner = clamp(x, Lanes(-1.0), Lanes(1.0));
    let q = inner * inner;
    var p = Lanes(2.7557319e-6);
    p = p * q + Lanes(1.984127e-4);
    p = p * q + Lanes(0.008333333);
    p = p * q + Lanes(0.16666667);
    let root = exponential(t * Lanes(0.5));
    let large = (Lanes(0.5) * root) * root - (Lanes(0.5) / root) / root;
    return select(with_sign(large, x), inner + inner * q * p, t < Lanes(1.0));
}

fn hyperbolic_cosine(x: Lanes) -> Lanes {
    let root = exponential(abs(x) * Lanes(0.5));
    return (Lanes(0.5) * root) * root + (Lanes(0.5) / root) / root;
}
