// Used by store.
// Where a convolution's elements belong in its result.
#import family/convolution

struct ResultPosition {
    index: u32,
    at: vec3<u32>,
    // False beyond the last element of a phase.
    inside: bool,
}

fn result_position(work: Work, row: u32, position: vec4<u32>) -> ResultPosition {
    var at = position.xyz;
    if TOWARD_INPUT {
        at = work.phase + at * vec3<u32>(params.stride.xyz);
        if any(at >= params.result.xyz) {
            return ResultPosition(0u, at, false);
        }
    }
    let line = work.group * params.rows + row;
    var major = position.w;
    var minor = line;
    if TOWARD_WEIGHT {
        major = line;
        minor = position.w;
    }
    let lead = major * params.minor + minor;
    let plane = lead * params.result.x + at.x;
    let index = work.split * params.len + (plane * params.result.y + at.y) * params.result.z + at.z;
    if AXES == 1u {
        return ResultPosition(index, vec3<u32>(major, minor, at.z), true);
    }
    return ResultPosition(index, vec3<u32>(plane, at.y, at.z), true);
}
