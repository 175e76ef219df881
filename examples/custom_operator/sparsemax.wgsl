// Sparsemax of each row: elements less a threshold, and 0 below it, so that their sum is 1. A workgroup a row.
#import shared/numbers
#import shared/finish

struct Params {
    grid_width: u32,
    rows: u32,
    columns: u32,
    // Rows of each matrix of the batch.
    matrix_rows: u32,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;

const WIDTH = 64u;
// Halvings of the range that the threshold is in.
const HALVINGS = 26u;

// A sum and a count for each invocation.
var<workgroup> shares: array<vec2<f32>, WIDTH>;
var<workgroup> extremes: array<f32, WIDTH>;

// The sum of all invocations' values.
fn total(local: u32, mine: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    shares[local] = mine;
    workgroupBarrier();
    for (var reach = WIDTH / 2u; reach > 0u; reach /= 2u) {
        if local < reach {
            shares[local] += shares[local + reach];
        }
        workgroupBarrier();
    }
    return shares[0];
}

// The largest element of the row, or NaN where there is one.
fn largest(local: u32, start: u32) -> f32 {
    var mine = source[start + local % params.columns];
    for (var column = local; column < params.columns; column += WIDTH) {
        mine = larger(mine, source[start + column]);
    }
    extremes[local] = mine;
    workgroupBarrier();
    for (var reach = WIDTH / 2u; reach > 0u; reach /= 2u) {
        if local < reach {
            extremes[local] = larger(extremes[local], extremes[local + reach]);
        }
        workgroupBarrier();
    }
    return extremes[0];
}

// Of the elements above a threshold: the sum of their distances from the largest one, and how many there are.
fn above(local: u32, start: u32, largest: f32, threshold: f32) -> vec2<f32> {
    var mine = vec2<f32>(0.0, 0.0);
    for (var column = local; column < params.columns; column += WIDTH) {
        let distance = source[start + column] - largest;
        mine += select(vec2<f32>(0.0, 0.0), vec2<f32>(distance, 1.0), distance > threshold);
    }
    return total(local, mine);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = group.y * params.grid_width + group.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.columns;
    let most = largest(local, start);
    // The largest element's share is at most 1 and at least 1 / columns.
    var low = -1.0;
    var high = 0.0;
    for (var halving = 0u; halving < HALVINGS; halving++) {
        let middle = 0.5 * (low + high);
        let found = above(local, start, most, middle);
        if found.x - found.y * middle >= 1.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let found = above(local, start, most, low);
    let threshold = (found.x - 1.0) / found.y;
    // NaN and infinities leave nothing to compare.
    let broken = (bitcast<u32>(most) & 0x7fffffffu) >= 0x7f800000u;
    for (var column = local; column < params.columns; column += WIDTH) {
        let share = rectified((source[start + column] - most) - threshold);
        let value = select(share, not_a_number(most), broken);
        finish(value, start + column, vec3<u32>(row / params.matrix_rows, row % params.matrix_rows, column));
    }
}
