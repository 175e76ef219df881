// Used by convolution_direct, convolution_software, family/convolution_staging.
// The source of a convolution, read through its windows.
#import family/convolution
#import rhs/elements

// The source at a position; zeros beyond its edges.
fn load_source(address: i32, at: vec3<i32>) -> Factor {
    if !CHECKED {
        return rhs_at(u32(address));
    }
    let position = vec3<u32>(at);
    var inside = position.z < params.source.z;
    if AXES > 1u {
        inside = inside && position.y < params.source.y;
    }
    if AXES > 2u {
        inside = inside && position.x < params.source.x;
    }
    return select(Factor(0.0), rhs_at(u32(select(0, address, inside))), inside);
}
