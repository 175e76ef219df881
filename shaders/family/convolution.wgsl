// Used by family/convolution_inner, family/convolution_result, family/convolution_source.
// A convolution as a product for each group: rows × columns, summed over an inner dimension that is not stored anywhere. Rows
// belong to the left operand (a weight, or the gradient of the result); columns and inner indices both move windows over the
// source, the right operand: a column is an element of the result and an inner index one of the kernel, or the reverse for the
// gradient of a weight. Vectors of three are depth, height and width.
#import constants/convolution
#import lhs/elements
#import finish/element
#import row_sums/none

struct Params {
    grid_width: u32,
    groups: u32,
    // Splits of the inner dimension, and the length of each but the last.
    splits: u32,
    split_length: u32,
    // Of one group, and of one phase where there are phases.
    rows: u32,
    columns: u32,
    // Channels that are summed over; images, for the gradient of a weight.
    outer: u32,
    // The second extent of the result.
    minor: u32,
    tiles: vec2<u32>,
    // Elements of the result.
    len: u32,
    // 0, which a compiler does not know.
    zero: u32,
    lhs_offset: i32,
    lhs_group: i32,
    lhs_row: i32,
    lhs_outer: i32,
    rhs_offset: i32,
    rhs_group: i32,
    rhs_image: i32,
    rhs_channel: i32,
    lhs_space: vec4<i32>,
    rhs_space: vec4<i32>,
    // Windows: how far apart they and their elements are, where the first begins, and the extents of the kernel.
    stride: vec4<i32>,
    dilation: vec4<i32>,
    low: vec4<i32>,
    kernel: vec4<i32>,
    // Extents of the source, of the elements or windows of a phase, and of the result.
    source: vec4<u32>,
    pixels: vec4<u32>,
    result: vec4<u32>,
    // Phases, and how far apart the taps of the kernel are that a phase meets.
    phases: vec4<u32>,
    every: vec4<i32>,
    // The operands' last elements; and how far apart columns of the right one are, where the convolution is a product of matrices.
    lhs_last: i32,
    rhs_last: i32,
    rhs_column: i32,
    padding: u32,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;

// What a workgroup does.
struct Work {
    group: u32,
    split: u32,
    // First inner index, and the end behind the last.
    first: u32,
    last: u32,
    // Tile along the rows and the columns.
    tile: vec2<u32>,
    lhs_start: i32,
    rhs_start: i32,
    // An element `o` of the phase meets tap `t` of its part of the kernel at o · scale + base + t · step.
    phase: vec3<u32>,
    scale: vec3<i32>,
    base: vec3<i32>,
    step: vec3<i32>,
    // The part of the kernel: its first tap, and the number of taps.
    tap: vec3<i32>,
    taps: vec3<u32>,
}

// What an index along the columns or the inner dimension adds to the address in the source, and to the position there; and what an
// inner index adds to the address of the left operand.
struct Offset {
    address: i32,
    lhs: i32,
    at: vec3<i32>,
}

fn has_work(number: u32) -> bool {
    let phases = params.phases.x * params.phases.y * params.phases.z;
    return number < params.groups * phases * params.splits * params.tiles.x * params.tiles.y;
}

// Base, first tap and number of taps of a phase along one axis.
fn met(phase: u32, low: i32, dilation: i32, stride: i32, kernel: i32, every: i32) -> vec3<i32> {
    let start = i32(phase) + low;
    for (var tap = 0; tap < min(every, kernel); tap++) {
        if (start - tap * dilation) % stride == 0 {
            return vec3<i32>((start - tap * dilation) / stride, tap, (kernel - tap + every - 1) / every);
        }
    }
    return vec3<i32>(0);
}

fn work_of(number: u32) -> Work {
    var work: Work;
    let tiles = params.tiles.x * params.tiles.y;
    work.tile = vec2<u32>(number % params.tiles.x, number % tiles / params.tiles.x);
    var rest = number / tiles;
    work.split = rest % params.splits;
    rest /= params.splits;
    work.scale = params.stride.xyz;
    work.base = -params.low.xyz;
    work.step = params.dilation.xyz;
    work.taps = vec3<u32>(params.kernel.xyz);
    if TOWARD_INPUT {
        work.phase.z = rest % params.phases.z;
        rest /= params.phases.z;
        work.phase.y = rest % params.phases.y;
        rest /= params.phases.y;
        work.phase.x = rest % params.phases.x;
        rest /= params.phases.x;
        let x = met(work.phase.x, params.low.x, params.dilation.x, params.stride.x, params.kernel.x, params.every.x);
        let y = met(work.phase.y, params.low.y, params.dilation.y, params.stride.y, params.kernel.y, params.every.y);
        let z = met(work.phase.z, params.low.z, params.dilation.z, params.stride.z, params.kernel.z, params.every.z);
        work.scale = vec3<i32>(1);
        work.base = vec3<i32>(x.x, y.x, z.x);
        work.tap = vec3<i32>(x.y, y.y, z.y);
        work.taps = vec3<u32>(vec3<i32>(x.z, y.z, z.z));
        work.step = -(params.every.xyz * params.dilation.xyz / params.stride.xyz);
    }
    work.group = rest;
    var inner = params.outer * work.taps.x * work.taps.y * work.taps.z;
    if TOWARD_WEIGHT {
        inner = params.outer * params.pixels.x * params.pixels.y * params.pixels.z;
    }
    work.first = min(work.split * params.split_length, inner);
    work.last = min(work.first + params.split_length, inner);
    work.lhs_start = params.lhs_offset + i32(work.group) * params.lhs_group;
    work.rhs_start = params.rhs_offset + i32(work.group) * params.rhs_group;
    return work;
}

// A number as an outer index and a position in space: w, and x, y, z.
fn split_position(number: u32, extents: vec3<u32>) -> vec4<u32> {
    var position = vec4<u32>(0u, 0u, number % extents.z, number / extents.z);
    if AXES > 1u {
        position.y = position.w % extents.y;
        position.w /= extents.y;
    }
    if AXES > 2u {
        position.x = position.w % extents.x;
        position.w /= extents.x;
    }
    return position;
}

// The same for a channel and a tap of the kernel.
fn split_tap(number: u32, extents: vec3<u32>) -> vec4<u32> {
    if POINT {
        return vec4<u32>(0u, 0u, 0u, number);
    }
    return split_position(number, extents);
}

// The next position.
fn next_position(position: vec4<u32>, extents: vec3<u32>) -> vec4<u32> {
    var next = position;
    next.z += 1u;
    if next.z == extents.z {
        next.z = 0u;
        if AXES == 1u {
            next.w += 1u;
        } else {
            next.y += 1u;
        }
    }
    if AXES > 1u && next.y == extents.y {
        next.y = 0u;
        if AXES == 2u {
            next.w += 1u;
        } else {
            next.x += 1u;
        }
    }
    if AXES > 2u && next.x == extents.x {
        next.x = 0u;
        next.w += 1u;
    }
    return next;
}

fn steps_in(space: vec4<i32>, at: vec3<i32>) -> i32 {
    if AXES == 1u {
        return at.z * space.z;
    }
    if AXES == 2u {
        return at.y * space.y + at.z * space.z;
    }
    return at.x * space.x + at.y * space.y + at.z * space.z;
}

// Where an element of the result, or a window, begins in the source.
fn pixel(work: Work, position: vec4<u32>) -> Offset {
    let at = vec3<i32>(position.xyz) * work.scale + work.base;
    return Offset(i32(position.w) * params.rhs_image + steps_in(params.rhs_space, at), 0, at);
}

// How far a tap of the kernel is from there.
fn tap(work: Work, position: vec4<u32>) -> Offset {
    let at = vec3<i32>(position.xyz) * work.step;
    return Offset(i32(position.w) * params.rhs_channel + steps_in(params.rhs_space, at), 0, at);
}

// The extents that columns are numbered in.
fn column_extents() -> vec3<u32> {
    if TOWARD_WEIGHT {
        return vec3<u32>(params.kernel.xyz);
    }
    return params.pixels.xyz;
}

fn split_column(number: u32) -> vec4<u32> {
    if TOWARD_WEIGHT {
        return split_tap(number, vec3<u32>(params.kernel.xyz));
    }
    return split_position(number, params.pixels.xyz);
}

fn column_offset(work: Work, position: vec4<u32>) -> Offset {
    if TOWARD_WEIGHT {
        return tap(work, position);
    }
    return pixel(work, position);
}

fn inner_offset(work: Work, number: u32) -> Offset {
    if TOWARD_WEIGHT {
        let position = split_position(number, params.pixels.xyz);
        var found = pixel(work, position);
        found.lhs = i32(position.w) * params.lhs_outer + steps_in(params.lhs_space, vec3<i32>(position.xyz));
        return found;
    }
    let position = split_tap(number, work.taps);
    var found = tap(work, position);
    let taps = work.tap + vec3<i32>(position.xyz) * params.every.xyz;
    found.lhs = i32(position.w) * params.lhs_outer + steps_in(params.lhs_space, taps);
    return found;
}

// Where an invocation reads an operand next: the address, and the pixel of the inner index where that counts pixels. It is read so
// where the convolution is a product of matrices, whose pixels are neighbours.
struct OperandCursor {
    at: i32,
    pixel: u32,
}

fn pixel_count() -> u32 {
    return params.pixels.x * params.pixels.y * params.pixels.z;
}

fn operand_cursor(at: i32, k: u32) -> OperandCursor {
    return OperandCursor(at, select(0u, k % pixel_count(), TOWARD_WEIGHT));
}

// The cursor some inner indices on: each is a step, or the next pixel, which after the last one of an image is the first of the next.
fn operand_moved(cursor: OperandCursor, count: u32, step: i32, image: i32) -> OperandCursor {
    if !TOWARD_WEIGHT {
        return OperandCursor(cursor.at + i32(count) * step, 0u);
    }
    var found = OperandCursor(cursor.at + i32(count), cursor.pixel + count);
    let pixels = pixel_count();
    while found.pixel >= pixels {
        found = OperandCursor(found.at + image - i32(pixels), found.pixel - pixels);
    }
    return found;
}

fn lhs_cursor(work: Work, row: u32, k: u32) -> OperandCursor {
    let at = work.lhs_start + inner_offset(work, k).lhs + i32(row) * params.lhs_row;
    return operand_cursor(at, k);
}

fn lhs_moved(cursor: OperandCursor, count: u32) -> OperandCursor {
    return operand_moved(cursor, count, params.lhs_outer, params.lhs_outer);
}

fn lhs_step() -> i32 {
    return select(params.lhs_outer, 1, TOWARD_WEIGHT);
}

fn rhs_cursor(work: Work, column: u32, k: u32) -> OperandCursor {
    // Behind the last column is the last one, of which there is a position.
    let last = split_column(min(column, params.columns - 1u));
    let at = work.rhs_start + inner_offset(work, k).address + column_offset(work, last).address;
    return operand_cursor(at, k);
}

fn rhs_moved(cursor: OperandCursor, count: u32) -> OperandCursor {
    return operand_moved(cursor, count, params.rhs_channel, params.rhs_image);
}

fn rhs_step() -> i32 {
    return select(params.rhs_channel, 1, TOWARD_WEIGHT);
}
