// Slot pool_store, used by family/pool.
// What an invocation of a pool stores: an element, which the kernel's `value_at` computes.
#import finish/element
#import family/windows

fn store(number: u32) {
    finish(value_at(number), number, result_position(number));
}
