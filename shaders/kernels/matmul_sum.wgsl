// Second pass of a product whose inner dimension was split: an element an invocation.
#import finish/element
#import family/product_sum

const WIDTH = 1u;

fn finish_lanes(sum: f32, index: u32, at: vec3<u32>) {
    finish(sum, index, at);
}
