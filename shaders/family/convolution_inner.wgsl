// Used by convolution_direct, family/convolution_staging.
// The inner indices of a convolution one after the other, without divisions: positions are carried from axis to axis as digits are.
#import family/convolution

// An inner index: its position in space, and what it adds.
struct Inner {
    position: vec4<u32>,
    offset: Offset,
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
