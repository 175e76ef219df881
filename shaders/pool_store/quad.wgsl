// Slot pool_store, used by family/pool.
// Four neighbouring elements at once, where the result is whole groups of four: so that floats of 16 bits can be stored.
#import finish/quad
#import family/windows

fn store(number: u32) {
    let first = number * 4u;
    let values = vec4<f32>(value_at(first), value_at(first + 1u), value_at(first + 2u), value_at(first + 3u));
    finish_quad(values, number, result_position(first));
}
