// Used by expressions.
// The rest of a / b with the sign of a, exact whatever the quotient: a long division of mantissas in integers, eight bits at a
// time.
#import shared/numbers

fn remainder(a: Lanes, b: Lanes) -> Lanes {
    let low = UintLanes(0x7fffffffu);
    let hidden = UintLanes(0x800000u);
    let top = UintLanes(0x7f800000u);
    let a_bits = bitcast<UintLanes>(a);
    let a_size = a_bits & low;
    let b_size = bitcast<UintLanes>(b) & low;
    let undefined = (a_size >= top) | (b_size > top) | (b_size == UintLanes(0u));
    // Subnormals have the exponent of the smallest normal numbers, and no hidden bit.
    let divides = (a_size >= b_size) & !undefined;
    let b_normal = b_size >= hidden;
    let a_normal = a_size >= hidden;
    let b_exponent = max(b_size >> UintLanes(23u), UintLanes(1u));
    let a_exponent = max(a_size >> UintLanes(23u), UintLanes(1u));
    let a_mantissa = (a_size & UintLanes(0x7fffffu)) | select(UintLanes(0u), hidden, a_normal);
    let b_mantissa = (b_size & UintLanes(0x7fffffu)) | select(UintLanes(0u), hidden, b_normal);
    let divisor = select(UintLanes(1u), b_mantissa, divides);
    var rest = select(UintLanes(0u), a_mantissa, divides) % divisor;
    var remaining = select(UintLanes(0u), a_exponent - b_exponent, divides);
    while any(remaining > UintLanes(0u)) {
        let step = min(remaining, UintLanes(8u));
        rest = (rest << step) % divisor;
        remaining -= step;
    }
    // rest·2^(exponent − 150), put together from bits: what is subnormal is an integer.
    let number = bitcast<UintLanes>(Lanes(rest));
    let exponent = (number >> UintLanes(23u)) + b_exponent;
    let normal = number + ((b_exponent - UintLanes(150u)) << UintLanes(23u));
    let subnormal = rest << (min(b_exponent, UintLanes(24u)) - UintLanes(1u));
    let size = select(normal, subnormal, (exponent <= UintLanes(150u)) | (rest == UintLanes(0u)));
    let value = select(a_size, size, divides) | (a_bits & ~low);
    return select(bitcast<Lanes>(value), not_a_number(a), undefined);
}
