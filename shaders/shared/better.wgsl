// Which of two values an extreme prefers; a NaN before all others.
#import shared/element
#import shared/tile
#import shared/not_a_number
fn better(a: Value, b: Value) -> bool {
    return !is_nan(b) && (is_nan(a) || select(a > b, a < b, SMALLEST));
}
