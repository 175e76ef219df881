// A step of a GRU whose reset gate comes after the product, as PyTorch's. Replaces `shared/cell`.
#import shared/functions

const GATES = 3u;
const STATES = 1u;
const SAVED = 5u;
const GRADIENTS = 6u;
const READS_HIDDEN = true;
const RESET_BEFORE = false;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SAVED - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let r = sigmoid(x[0] + product[0]);
    let z = sigmoid(x[1] + product[1]);
    let q = product[2];
    let n = hyperbolic_tangent(x[2] + r * q);
    return Next(n + z * (h - n), 0.0, array<f32, 4>(r, z, n, q));
}

struct Backward {
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn backward(saved: array<f32, SAVED>, dh: f32, dc: f32) -> Backward {
    let r = saved[0];
    let z = saved[1];
    let n = saved[2];
    let dn = dh * (1.0 - z) * (1.0 - n * n);
    let dz = dh * (saved[4] - n) * z * (1.0 - z);
    let dr = dn * saved[3] * r * (1.0 - r);
    return Backward(dh * z, 0.0, array<f32, 6>(dr, dz, dn, dr, dz, dn * r));
}

// Gradients of the gates' sums, then of their products with the state.
fn gradient_of(gate: u32) -> u32 {
    return GATES + gate;
}
