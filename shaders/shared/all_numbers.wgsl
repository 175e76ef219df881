// The sibling of `not_a_number` for integers.
#import shared/element
fn is_nan(value: Value) -> bool {
    return false;
}
