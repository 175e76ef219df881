// A step of a recurrence with relu. Replaces `shared/cell`.
#import shared/functions

const GATES = 1u;
const STATES = 1u;
const SAVED = 2u;
const GRADIENTS = 1u;
const READS_HIDDEN = false;
const RESET_BEFORE = false;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SAVED - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let next = rectified(x[0] + product[0]);
    return Next(next, 0.0, array<f32, 1>(next));
}

struct Backward {
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn backward(saved: array<f32, SAVED>, dh: f32, dc: f32) -> Backward {
    return Backward(0.0, 0.0, array<f32, 1>(select(dh, 0.0, saved[0] <= 0.0)));
}

fn gradient_of(gate: u32) -> u32 {
    return gate;
}
