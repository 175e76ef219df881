// Used by blocks, staging.
// Where an invocation reads what convolutions load into the tiles of a product, so that the kernels with tiles are those of matrix products.
// What the inner indices of a tile add to addresses is the same for all rows and columns: as many invocations find it for the next tile,
// without a division, while this one is written, and all read it from workgroup memory.
#import family/convolution_source
#import family/convolution_inner
#import store/convolution

// What an inner index adds to the address and the position in the source; and to the address of the left operand.
var<workgroup> source_offsets: array<vec4<i32>, TILE_INNER>;
var<workgroup> lhs_offsets: array<i32, TILE_INNER>;

// Four columns that an invocation reads, which do not change.
struct Columns {
    address: vec4<i32>,
    x: vec4<i32>,
    y: vec4<i32>,
    z: vec4<i32>,
}

struct Cursor {
    inner: Inner,
    // The address of a group of rows.
    lhs: i32,
    columns: Columns,
}

// Four columns of the source from one on. Behind the last one, it is read again.
fn columns_of(work: Work, column: u32) -> Columns {
    let extents = column_extents();
    var position = split_column(min(column, params.columns - 1u));
    var found: Columns;
    for (var c = 0u; c < 4u; c++) {
        let offset = column_offset(work, position);
        found.address[c] = work.rhs_start + offset.address;
        // What is not looked at takes no register.
        if AXES > 2u {
            found.x[c] = offset.at.x;
        }
        if AXES > 1u {
            found.y[c] = offset.at.y;
        }
        found.z[c] = offset.at.z;
        if column + c + 1u < params.columns {
            position = next_position(position, extents);
        }
    }
    return found;
}

// Where an invocation begins that reads four rows and four columns from these on.
fn begin_at(work: Work, local: u32, row: u32, column: u32) -> Cursor {
    let cursor = Cursor(
        inner_at(work, work.first + min(local, TILE_INNER - 1u)),
        work.lhs_start + i32(row) * params.lhs_row,
        columns_of(work, column),
    );
    prepare(local, cursor);
    workgroupBarrier();
    return cursor;
}

fn moved(cursor: Cursor, step: Step) -> Cursor {
    return Cursor(inner_moved(cursor.inner, step), cursor.lhs, cursor.columns);
}

// Stores what the inner indices of the next tile add.
fn prepare(local: u32, cursor: Cursor) {
    if local < TILE_INNER {
        source_offsets[local] = vec4<i32>(cursor.inner.offset.at, cursor.inner.offset.address);
        lhs_offsets[local] = cursor.inner.offset.lhs;
    }
}

fn load_column(columns: Columns, c: u32, offset: vec4<i32>) -> Factor {
    // Behind the last inner index, any element will do.
    let address = clamp(columns.address[c] + offset.w, 0, params.rhs_last);
    return load_source(address, vec3<i32>(columns.x[c], columns.y[c], columns.z[c]) + offset.xyz);
}

// Four columns at one inner index.
fn load_columns(columns: Columns, k: u32) -> vec4<Factor> {
    let offset = source_offsets[k];
    return vec4<Factor>(
        load_column(columns, 0u, offset),
        load_column(columns, 1u, offset),
        load_column(columns, 2u, offset),
        load_column(columns, 3u, offset),
    );
}
