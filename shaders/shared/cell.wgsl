// What a step of a recurrence computes for one unit: this default is an LSTM's. Twins of src/ops/recurrent/step.rs.
#import shared/functions

const GATES = 4u;
const STATES = 2u;
// Values saved for the backward pass; the last are the states before the step, the hidden one at the end.
const SAVED = 6u;
// Gradients returned.
const GRADIENTS = 4u;
// True where the next state is a mean with the hidden one before.
const READS_HIDDEN = false;
// True where the reset gate comes before the product, so that a step has two halves.
const RESET_BEFORE = false;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SAVED - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let i = sigmoid(x[0] + product[0]);
    let f = sigmoid(x[1] + product[1]);
    let g = hyperbolic_tangent(x[2] + product[2]);
    let o = sigmoid(x[3] + product[3]);
    let next = f * c + i * g;
    return Next(o * hyperbolic_tangent(next), next, array<f32, 4>(i, f, g, o));
}

struct Backward {
    // Of the states before the step, without what the products add.
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn backward(saved: array<f32, SAVED>, dh: f32, dc: f32) -> Backward {
    let i = saved[0];
    let f = saved[1];
    let g = saved[2];
    let o = saved[3];
    let c = hyperbolic_tangent(f * saved[4] + i * g);
    let d = dc + dh * o * (1.0 - c * c);
    let gates = array<f32, 4>(
        d * g * i * (1.0 - i),
        d * saved[4] * f * (1.0 - f),
        d * i * (1.0 - g * g),
        dh * c * o * (1.0 - o),
    );
    return Backward(0.0, d * f, gates);
}

// The gradient that a gate's rows of the weight are multiplied by.
fn gradient_of(gate: u32) -> u32 {
    return gate;
}
