// Used by blocks, staging.
// Where an invocation reads what convolutions load into the tiles of a product, so that the kernels with tiles are those of matrix products.
// What the inner indices of a tile add to addresses is the same for all rows and columns: as many invocations find it for the next tile,
// without a division, while this one is written, and all read it from workgroup memory. Columns are there, too: they do not change, and
// registers are needed for what is loaded.
#import family/convolution_source
#import family/convolution_inner
#import store/convolution

const COLUMN_QUADS = TILE_COLUMNS / 4u;

// Of an inner index: its position in space; what it adds to the address and the position in the source, and to the address of the left
// operand.
var<workgroup> inner_positions: array<vec4<u32>, TILE_INNER>;
var<workgroup> source_offsets: array<vec4<i32>, TILE_INNER>;
var<workgroup> lhs_offsets: array<i32, TILE_INNER>;
// The addresses of four columns, and their positions.
var<workgroup> column_addresses: array<vec4<i32>, COLUMN_QUADS>;
var<workgroup> column_x: array<vec4<i32>, COLUMN_QUADS>;
var<workgroup> column_y: array<vec4<i32>, COLUMN_QUADS>;
var<workgroup> column_z: array<vec4<i32>, COLUMN_QUADS>;

struct Columns {
    address: vec4<i32>,
    x: vec4<i32>,
    y: vec4<i32>,
    z: vec4<i32>,
}

struct Cursor {
    // The address of a group of rows.
    lhs: i32,
}

// Stores four columns of the source from one on. Behind the last one, it is read again.
fn write_columns(work: Work, quad: u32, column: u32) {
    let extents = column_extents();
    var position = split_column(min(column, params.columns - 1u));
    var found: Columns;
    for (var c = 0u; c < 4u; c++) {
        let offset = column_offset(work, position);
        found.address[c] = work.rhs_start + offset.address;
        found.x[c] = offset.at.x;
        found.y[c] = offset.at.y;
        found.z[c] = offset.at.z;
        if column + c + 1u < params.columns {
            position = next_position(position, extents);
        }
    }
    column_addresses[quad] = found.address;
    // What is not looked at takes no memory.
    if CHECKED && AXES > 2u {
        column_x[quad] = found.x;
    }
    if CHECKED && AXES > 1u {
        column_y[quad] = found.y;
    }
    if CHECKED {
        column_z[quad] = found.z;
    }
}

fn columns_at(quad: u32) -> Columns {
    var found: Columns;
    found.address = column_addresses[quad];
    if CHECKED && AXES > 2u {
        found.x = column_x[quad];
    }
    if CHECKED && AXES > 1u {
        found.y = column_y[quad];
    }
    if CHECKED {
        found.z = column_z[quad];
    }
    return found;
}

fn write_inner(local: u32, inner: Inner) {
    inner_positions[local] = inner.position;
    source_offsets[local] = vec4<i32>(inner.offset.at, inner.offset.address);
    lhs_offsets[local] = inner.offset.lhs;
}

// Where an invocation begins that reads four rows from this one on.
fn begin_at(work: Work, local: u32, row: u32) -> Cursor {
    if local < TILE_INNER {
        write_inner(local, inner_at(work, work.first + local));
    }
    if local < COLUMN_QUADS {
        write_columns(work, local, first_column(work) + local * 4u);
    }
    workgroupBarrier();
    return Cursor(work.lhs_start + i32(row) * params.lhs_row);
}

// Nothing but the inner indices tells where the next tile is.
fn moved(cursor: Cursor, step: Step) -> Cursor {
    return cursor;
}

// Stores what the inner indices of the next tile add.
fn prepare(local: u32, step: Step) {
    if local < TILE_INNER {
        let source = source_offsets[local];
        let offset = Offset(source.w, lhs_offsets[local], source.xyz);
        write_inner(local, inner_moved(Inner(inner_positions[local], offset), step));
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
