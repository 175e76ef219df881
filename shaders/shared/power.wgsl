// Used by expressions.
// a^b. The built-in is undefined for negative a, and off by what b·log₂ a loses: up to 128 units in the last place and more.
#import shared/exponential

// A number's upper twelve bits: products of two such are exact. By the bits, so that no compiler can simplify what is left.
fn upper(x: Lanes) -> Lanes {
    return bitcast<Lanes>(bitcast<UintLanes>(x) & UintLanes(0xfffff000u));
}

// |a|^b for |a| other than 0 and infinity: 2^(b·log₂|a|), with the logarithm in two parts. |a| = (c + f)·2^e with c a quarter,
// and log₂(1 + f/c) = K·artanh s where s = f/(2c + f) and K = 2/ln 2.
fn power_of_magnitude(a: Lanes, b: Lanes) -> Lanes {
    let magnitude = bitcast<UintLanes>(a) & UintLanes(0x7fffffffu);
    let small = magnitude < UintLanes(0x00800000u);
    let bits = bitcast<IntLanes>(select(magnitude, bitcast<UintLanes>(Lanes(magnitude)), small));
    let integer = (bits - IntLanes(0x3f700000)) >> UintLanes(23u);
    let m = bitcast<Lanes>(bits - (integer << UintLanes(23u)));
    let e = Lanes(integer) - select(Lanes(0.0), Lanes(149.0), small);
    let first = m >= Lanes(1.125);
    let second = m >= Lanes(1.375);
    let third = m >= Lanes(1.625);
    let c = select(select(select(Lanes(1.0), Lanes(1.25), first), Lanes(1.5), second), Lanes(1.75), third);
    let table = select(select(select(Lanes(0.0), Lanes(0.32202148), first), Lanes(0.58496094), second), Lanes(0.80737305), third);
    let table_rest = select(
        select(select(Lanes(0.0), Lanes(-9.3389484e-5), first), Lanes(1.5632212e-6), second),
        Lanes(-1.8124818e-5),
        third,
    );
    let f = m - c;
    let d = m + c;
    let d_high = upper(d);
    let d_low = m - (d_high - c);
    let s = f / d;
    let s_high = upper(s);
    let s_low = ((f - s_high * d_high) - s_high * d_low) / d;
    let q = s * s;
    let tail = s * q * (Lanes(0.33333334) + q * (Lanes(0.19999747) + q * Lanes(0.14382349)));
    // log₂|a|: K in two parts too.
    let rest = table_rest + (Lanes(-0.0003521057) * s_high + Lanes(2.88539) * (s_low + tail));
    let main = Lanes(2.8857422) * s_high;
    let log_high = upper((e + table) + (main + rest));
    let log_low = rest + (main - ((log_high - e) - table));
    // Beyond this, every a but 1 overflows or vanishes.
    let exponent = clamp(b, Lanes(-8.5899346e9), Lanes(8.5899346e9));
    let exponent_high = upper(exponent);
    let product = exponent_high * log_high;
    let product_low = (exponent - exponent_high) * log_high + exponent * log_low;
    let inside = clamp(product, Lanes(-1.0e3), Lanes(1.0e3));
    let n = round(clamp(product + product_low, Lanes(-160.0), Lanes(140.0)));
    let r = clamp((inside - n) + product_low, Lanes(-1.0), Lanes(1.0));
    var p = Lanes(0.00015353257);
    p = p * r + Lanes(0.0013399004);
    p = p * r + Lanes(0.009618439);
    p = p * r + Lanes(0.05550332);
    p = p * r + Lanes(0.24022648);
    p = p * r + Lanes(0.6931472);
    p = p * r + Lanes(1.0);
    return scaled(p, IntLanes(n));
}

// As C has it, infinities and zeros included.
fn power(a: Lanes, b: Lanes) -> Lanes {
    let a_bits = bitcast<UintLanes>(a);
    let b_bits = bitcast<UintLanes>(b);
    let low = UintLanes(0x7fffffffu);
    let top = UintLanes(0x7f800000u);
    let a_size = a_bits & low;
    let b_size = b_bits & low;
    // 0 and infinity: infinite where the two go the same way.
    let grows = (a_size == top) == (b_bits < UintLanes(0x80000000u));
    let limit = select(Lanes(0.0), infinite(a_bits & UintLanes(0u)), grows);
    let is_limit = (a_size == UintLanes(0u)) | (a_size == top);
    let magnitude = select(power_of_magnitude(a, b), limit, is_limit);
    let half = b * Lanes(0.5);
    let is_integer = (round(b) == b) | (b_size == top);
    let odd = is_integer & (round(half) != half) & (b_size < top);
    let is_negative = a_bits >= UintLanes(0x80000000u);
    let signed = select(magnitude, -magnitude, is_negative & odd);
    let undefined = (is_negative & !is_integer & !is_limit) | (a_size > top) | (b_size > top);
    let value = select(signed, not_a_number(a), undefined);
    return select(value, Lanes(1.0), (b_size == UintLanes(0u)) | (a_bits == UintLanes(0x3f800000u)));
}
