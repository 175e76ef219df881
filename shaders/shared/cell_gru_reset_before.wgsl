// A step of a GRU whose reset gate comes before the product. Stands in for `shared/cell`. The first half, r, z and r·h, and its way
// back are the kernels' own.
#import shared/functions

const GATES = 3u;
const STATES = 1u;
const SLOTS = 5u;
const GRADIENTS = 3u;
const READS_HIDDEN = true;
const RESET_BEFORE = true;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SLOTS - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let r = sigmoid(x[0] + product[0]);
    let z = sigmoid(x[1] + product[1]);
    let n = hyperbolic_tangent(x[2] + product[2]);
    return Next(n + z * (h - n), 0.0, array<f32, 4>(r, z, n, r * h));
}

struct Back {
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn go_back(kept: array<f32, SLOTS>, dh: f32, dc: f32) -> Back {
    let z = kept[1];
    let n = kept[2];
    let dn = dh * (1.0 - z) * (1.0 - n * n);
    let dz = dh * (kept[4] - n) * z * (1.0 - z);
    return Back(dh * z, 0.0, array<f32, 3>(0.0, dz, dn));
}

fn gradient_of(gate: u32) -> u32 {
    return gate;
}
