// Slot nan, used by family/extremes, fold, pool_max.
// Integers are all numbers.
#import element/f32

fn is_nan(value: Value) -> bool {
    return false;
}
