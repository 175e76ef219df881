// A step of a GRU whose reset gate comes after the product, as PyTorch's. Stands in for `shared/cell`.
#import shared/functions

const GATES = 3u;
const STATES = 1u;
const SLOTS = 5u;
const GRADIENTS = 6u;
const READS_HIDDEN = true;
const RESET_BEFORE = false;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SLOTS - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let r = sigmoid(x[0] + product[0]);
    let z = sigmoid(x[1] + product[1]);
    let q = product[2];
    let n = hyperbolic_tangent(x[2] + r * q);
    return Next(n + z * (h - n), 0.0, array<f32, 4>(r, z, n, q));
}

struct Back {
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn go_back(kept: array<f32, SLOTS>, dh: f32, dc: f32) -> Back {
    let r = kept[0];
    let z = kept[1];
    let n = kept[2];
    let dn = dh * (1.0 - z) * (1.0 - n * n);
    let dz = dh * (kept[4] - n) * z * (1.0 - z);
    let dr = dn * kept[3] * r * (1.0 - r);
    return Back(dh * z, 0.0, array<f32, 6>(dr, dz, dn, dr, dz, dn * r));
}

// Gradients of the gates' sums, then of their products with the state.
fn gradient_of(gate: u32) -> u32 {
    return GATES + gate;
}
