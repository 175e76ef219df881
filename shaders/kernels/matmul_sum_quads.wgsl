// Second pass of a product whose inner dimension was split: four neighbouring elements an invocation.
#import finish/quad
#import family/product_sum

const WIDTH = 4u;

fn finish_lanes(sum: vec4<f32>, quad: u32, at: vec3<u32>) {
    finish_quad(sum, quad, at);
}
