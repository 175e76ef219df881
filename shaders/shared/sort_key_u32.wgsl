// Words in their own order.
#import shared/element
fn sort_key(value: Value) -> u32 {
    return value;
}
