// Used by blocks, staging, store.
// A batch of matrix products as the kernels of the matmul family see it: operands with any strides, the work cut into
// tiles of the product and, where there are few of those, splits of the inner dimension.
#import constants/product
#import lhs/elements
#import rhs/elements
#import finish/element
#import row_sums/none
#import family/lhs_cursor
#mirror family/lhs_cursor

// Rows of tiles in a band.
const BAND = 8u;

struct Params {
    grid_width: u32,
    batch: u32,
    rows: u32,
    columns: u32,
    inner: u32,
    // Splits of the inner dimension.
    splits: u32,
    // Tiles along the rows and the columns.
    tiles: vec2<u32>,
    // Length of each split but the last.
    split_length: u32,
    lhs_offset: i32,
    lhs_row: i32,
    lhs_inner: i32,
    rhs_offset: i32,
    rhs_inner: i32,
    rhs_column: i32,
    // 0, which a compiler does not know.
    zero: u32,
    // The operands' last elements.
    lhs_last: i32,
    rhs_last: i32,
    padding0: u32,
    padding1: u32,
    // Extent, and stride of the left and the right operand, outermost first.
    batch_axes: array<vec4<i32>, BATCH_AXES>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;

// What a workgroup does.
struct Work {
    batch: u32,
    split: u32,
    // First inner index, and the end behind the last.
    first: u32,
    last: u32,
    // Tile along the rows and the columns.
    tile: vec2<u32>,
    // Addresses of the two matrices' first elements.
    lhs_start: i32,
    rhs_start: i32,
}

// Where an invocation reads an operand next: the address.
struct OperandCursor {
    at: i32,
}

fn has_work(number: u32) -> bool {
    return number < params.batch * params.splits * params.tiles.x * params.tiles.y;
}

fn work_of(number: u32) -> Work {
    var work: Work;
    // Tiles are taken in bands of a few rows, down each column of the band: what runs at the same time shares operands.
    let tiles = params.tiles.x * params.tiles.y;
    let tile = number % tiles;
    var rest = number / tiles;
    let band = tile / (BAND * params.tiles.y);
    let height = min(params.tiles.x - band * BAND, BAND);
    let within = tile - band * BAND * params.tiles.y;
    work.tile = vec2<u32>(band * BAND + within % height, within / height);
    work.split = rest % params.splits;
    work.batch = rest / params.splits;
    work.first = min(work.split * params.split_length, params.inner);
    work.last = min(work.first + params.split_length, params.inner);
    work.lhs_start = params.lhs_offset;
    work.rhs_start = params.rhs_offset;
    rest = work.batch;
    for (var axis = BATCH_AXES; axis > 0u; axis--) {
        let steps = params.batch_axes[axis - 1u];
        let index = i32(rest % u32(steps.x));
        rest /= u32(steps.x);
        work.lhs_start += index * steps.y;
        work.rhs_start += index * steps.z;
    }
    return work;
}
