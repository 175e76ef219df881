// Used by fold.
// Which of two values an extreme prefers; a NaN before all others.
#import element/f32
#import constants/extreme
#import nan/floats
fn better(a: Value, b: Value) -> bool {
    return !is_nan(b) && (is_nan(a) || select(a > b, a < b, SMALLEST));
}
