// Used by expressions.
// The arctangent and its kin.
#import shared/numbers

// The angle of the point (x, y): the built-in may be off by 4096 units in the last place. Relative error below 3e-7.
fn arctangent(y: Lanes, x: Lanes) -> Lanes {
    let a = abs(y);
    let b = abs(x);
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
    let is_left = bitcast<UintLanes>(x) >= UintLanes(0x80000000u);
    let angle = with_sign(select(acute, Lanes(3.1415927) - acute, is_left), y);
    return select(select(angle, x, no_number(x)), y, no_number(y));
}

// √(1 − x²), without the loss near ±1.
fn other_leg(x: Lanes) -> Lanes {
    return sqrt((Lanes(1.0) - x) * (Lanes(1.0) + x));
}
fn arcsine(x: Lanes) -> Lanes {
    return select(arctangent(x, other_leg(x)), not_a_number(x), abs(x) > Lanes(1.0));
}
fn arccosine(x: Lanes) -> Lanes {
    return select(arctangent(other_leg(x), x), not_a_number(x), abs(x) > Lanes(1.0));
}
