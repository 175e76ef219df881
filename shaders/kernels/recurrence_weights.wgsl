// The weight of a recurrence in the order in which its kernels load it: of each block of rows, four rows at a time, whose elements in a
// column are neighbours. Rows are filled up with zeros.
#import state_weight/words

const WEIGHT = 1u;

struct Params {
    grid_width: u32,
    // Groups of four elements in all.
    count: u32,
    // Rows of a block, and groups of four that they take.
    hidden: u32,
    quads: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> ordered: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let column = index % params.columns;
    let line = index / params.columns;
    let block = line / params.quads;
    ordered[index] = weight_quad(block, params.quads, line % params.quads, params.columns, column);
}
