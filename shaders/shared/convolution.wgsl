// A convolution as a product for each group: rows × columns, summed over an inner dimension that lies nowhere in memory. Rows
// belong to the left operand (a weight, or the gradient of the result); columns and inner places both move windows over the
// source, the right operand: a column is an element of the result and an inner place one of the kernel, or the reverse for the
// gradient of a weight. Vectors of three are depth, height and width.
#import shared/tile
#import shared/window
#import shared/lhs
#import shared/finish
#import shared/row_sums

struct Params {
    grid_width: u32,
    groups: u32,
    // Stretches of the inner dimension, and the length of each but the last.
    splits: u32,
    stretch: u32,
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
    padding: u32,
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
    // Windows: how far apart they and their places are, where the first begins, and the extents of the kernel.
    stride: vec4<i32>,
    dilation: vec4<i32>,
    low: vec4<i32>,
    kernel: vec4<i32>,
    // Extents of the source, of the elements or windows of a phase, and of the result.
    source: vec4<u32>,
    pixels: vec4<u32>,
    result: vec4<u32>,
    // Phases, and how far apart the places of the kernel are that a phase meets.
    phases: vec4<u32>,
    every: vec4<i32>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;

// What a workgroup does.
struct Work {
    group: u32,
    split: u32,
    // First inner place, and the place after the last.
    first: u32,
    last: u32,
    // Tile along the rows and the columns.
    tile: vec2<u32>,
    lhs_start: i32,
    rhs_start: i32,
    // An element `o` of the phase meets place `t` of its part of the kernel at o · scale + base + t · step.
    phase: vec3<u32>,
    scale: vec3<i32>,
    base: vec3<i32>,
    step: vec3<i32>,
    // The part of the kernel: first place, and how many.
    tap: vec3<i32>,
    taps: vec3<u32>,
}

// A place along the columns or the inner dimension: what it adds to the address in the source, its position there, and (of an
// inner place) what it adds to the address of the left operand.
struct Place {
    address: i32,
    lhs: i32,
    at: vec3<i32>,
}

fn has_work(number: u32) -> bool {
    let phases = params.phases.x * params.phases.y * params.phases.z;
    return number < params.groups * phases * params.splits * params.tiles.x * params.tiles.y;
}

// Base, first place and number of places of a phase along one axis.
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
    work.first = min(work.split * params.stretch, inner);
    work.last = min(work.first + params.stretch, inner);
    work.lhs_start = params.lhs_offset + i32(work.group) * params.lhs_group;
    work.rhs_start = params.rhs_offset + i32(work.group) * params.rhs_group;
    return work;
}

// A number as an outer place and one in space: w, and x, y, z.
fn split_place(number: u32, extents: vec3<u32>) -> vec4<u32> {
    var place = vec4<u32>(0u, 0u, number % extents.z, number / extents.z);
    if AXES > 1u {
        place.y = place.w % extents.y;
        place.w /= extents.y;
    }
    if AXES > 2u {
        place.x = place.w % extents.x;
        place.w /= extents.x;
    }
    return place;
}

// The same for a channel and a place of the kernel.
fn split_tap(number: u32, extents: vec3<u32>) -> vec4<u32> {
    if POINT {
        return vec4<u32>(0u, 0u, 0u, number);
    }
    return split_place(number, extents);
}

// The next place.
fn next_place(place: vec4<u32>, extents: vec3<u32>) -> vec4<u32> {
    var next = place;
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
fn pixel(work: Work, place: vec4<u32>) -> Place {
    let at = vec3<i32>(place.xyz) * work.scale + work.base;
    return Place(i32(place.w) * params.rhs_image + steps_in(params.rhs_space, at), 0, at);
}

// How far a place of the kernel lies from there.
fn tap(work: Work, place: vec4<u32>) -> Place {
    let at = vec3<i32>(place.xyz) * work.step;
    return Place(i32(place.w) * params.rhs_channel + steps_in(params.rhs_space, at), 0, at);
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
    return split_place(number, params.pixels.xyz);
}

fn column_place(work: Work, place: vec4<u32>) -> Place {
    if TOWARD_WEIGHT {
        return tap(work, place);
    }
    return pixel(work, place);
}

fn inner_place(work: Work, number: u32) -> Place {
    if TOWARD_WEIGHT {
        let place = split_place(number, params.pixels.xyz);
        var found = pixel(work, place);
        found.lhs = i32(place.w) * params.lhs_outer + steps_in(params.lhs_space, vec3<i32>(place.xyz));
        return found;
    }
    let place = split_tap(number, work.taps);
    var found = tap(work, place);
    let taps = work.tap + vec3<i32>(place.xyz) * params.every.xyz;
    found.lhs = i32(place.w) * params.lhs_outer + steps_in(params.lhs_space, taps);
    return found;
}

// Where an element of an operand lies. Of the right one, where no window reaches beyond the source.
fn lhs_address(work: Work, row: u32, k: u32) -> i32 {
    return work.lhs_start + inner_place(work, k).lhs + i32(row) * params.lhs_row;
}

fn rhs_address(work: Work, column: u32, k: u32) -> i32 {
    return work.rhs_start + inner_place(work, k).address + column_place(work, split_column(column)).address;
}
