// Slot staging, used by load.
// What convolutions load into the tiles of a product, so that the kernels with register tiles are those of matrix products. What the inner
// indices of a tile add to addresses is the same for all rows and columns: as many invocations find it for the next tile, without a
// division, while this one is written, and all read it from workgroup memory.
#import family/tiles
#import family/convolution_source
#import store/convolution

// What an inner index adds to the address and the position in the source; and to the address of the left operand.
var<workgroup> source_offsets: array<vec4<i32>, TILE_INNER>;
var<workgroup> lhs_offsets: array<i32, TILE_INNER>;

// An inner index: its position in space, and what it adds.
struct Inner {
    position: vec4<u32>,
    offset: Offset,
}

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

fn inner_extents(work: Work) -> vec3<u32> {
    if TOWARD_WEIGHT {
        return params.pixels.xyz;
    }
    return work.taps;
}

fn inner_at(work: Work, number: u32) -> Inner {
    if TOWARD_WEIGHT {
        return Inner(split_position(number, params.pixels.xyz), inner_offset(work, number));
    }
    return Inner(split_tap(number, work.taps), inner_offset(work, number));
}

// What one step along an axis of space adds, and one of the outer index.
fn space_step(work: Work, axis: vec3<i32>) -> Offset {
    if TOWARD_WEIGHT {
        let at = axis * work.scale;
        return Offset(steps_in(params.rhs_space, at), steps_in(params.lhs_space, axis), at);
    }
    let at = axis * work.step;
    return Offset(steps_in(params.rhs_space, at), steps_in(params.lhs_space, axis * params.every.xyz), at);
}

fn outer_step() -> Offset {
    if TOWARD_WEIGHT {
        return Offset(params.rhs_image, params.lhs_outer, vec3<i32>(0));
    }
    return Offset(params.rhs_channel, params.lhs_outer, vec3<i32>(0));
}

fn added_offset(a: Offset, b: Offset, times: i32) -> Offset {
    return Offset(a.address + b.address * times, a.lhs + b.lhs * times, a.at + b.at * times);
}

// What a carry from an axis of this extent to the next one adds.
fn carry(axis: Offset, extent: u32, next: Offset) -> Offset {
    return added_offset(next, axis, -i32(extent));
}

// How far the next tile is: in each axis and the outer index, what that adds, and what carries add.
struct Step {
    extents: vec3<u32>,
    by: vec4<u32>,
    whole: Offset,
    carry_x: Offset,
    carry_y: Offset,
    carry_z: Offset,
}

fn step_of(work: Work, count: u32) -> Step {
    let extents = inner_extents(work);
    let x = space_step(work, vec3<i32>(1, 0, 0));
    let y = space_step(work, vec3<i32>(0, 1, 0));
    let z = space_step(work, vec3<i32>(0, 0, 1));
    let outer = outer_step();
    var step: Step;
    step.extents = extents;
    if POINT && !TOWARD_WEIGHT {
        step.by = vec4<u32>(0u, 0u, 0u, count);
    } else {
        step.by = split_position(count, extents);
    }
    step.whole = added_offset(step.whole, outer, i32(step.by.w));
    step.whole = added_offset(step.whole, z, i32(step.by.z));
    if AXES == 1u {
        step.carry_z = carry(z, extents.z, outer);
        return step;
    }
    step.whole = added_offset(step.whole, y, i32(step.by.y));
    step.carry_z = carry(z, extents.z, y);
    if AXES == 2u {
        step.carry_y = carry(y, extents.y, outer);
        return step;
    }
    step.whole = added_offset(step.whole, x, i32(step.by.x));
    step.carry_y = carry(y, extents.y, x);
    step.carry_x = carry(x, extents.x, outer);
    return step;
}

fn inner_moved(inner: Inner, step: Step) -> Inner {
    var position = inner.position + step.by;
    var offset = added_offset(inner.offset, step.whole, 1);
    if POINT && !TOWARD_WEIGHT {
        return Inner(position, offset);
    }
    if position.z >= step.extents.z {
        position.z -= step.extents.z;
        offset = added_offset(offset, step.carry_z, 1);
        position.y += 1u;
    }
    if AXES > 1u && position.y >= step.extents.y {
        position.y -= step.extents.y;
        offset = added_offset(offset, step.carry_y, 1);
        position.x += 1u;
    }
    if AXES > 2u && position.x >= step.extents.x {
        position.x -= step.extents.x;
        offset = added_offset(offset, step.carry_x, 1);
    }
    return Inner(position, offset);
}

// Four columns of the source. Behind the last one, it is read again.
fn columns_of(work: Work, item: vec2<u32>) -> Columns {
    let extents = column_extents();
    let column = first_column(work) + item.x * 4u;
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

fn begin(work: Work, local: u32) -> Cursor {
    let cursor = Cursor(
        inner_at(work, work.first + min(local, TILE_INNER - 1u)),
        work.lhs_start + i32(first_row(work) + lhs_item(local).x * 4u) * params.lhs_row,
        columns_of(work, rhs_item(local)),
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

// Four rows at one inner index.
fn load_lhs(address: i32, k: u32) -> vec4<f32> {
    let first = address + lhs_offsets[k];
    let last = vec4<i32>(params.lhs_last);
    let at = vec4<u32>(clamp(first + vec4<i32>(0, 1, 2, 3) * params.lhs_row, vec4<i32>(0), last));
    return vec4<f32>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
}

fn load_column(columns: Columns, c: u32, offset: vec4<i32>) -> f32 {
    // Behind the last inner index, any element will do.
    let address = clamp(columns.address[c] + offset.w, 0, params.rhs_last);
    return load_source(address, vec3<i32>(columns.x[c], columns.y[c], columns.z[c]) + offset.xyz);
}

fn load_rhs(columns: Columns, k: u32) -> vec4<f32> {
    let offset = source_offsets[k];
    return vec4<f32>(
        load_column(columns, 0u, offset),
        load_column(columns, 1u, offset),
        load_column(columns, 2u, offset),
        load_column(columns, 3u, offset),
    );
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    return Loaded(
        load_lhs(cursor.lhs, lhs_item(local).y),
        load_lhs(cursor.lhs, lhs_item(local).y + APART),
        load_rhs(cursor.columns, rhs_item(local).y),
        load_rhs(cursor.columns, rhs_item(local).y + APART),
    );
}
