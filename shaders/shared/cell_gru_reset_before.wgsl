// A step of a GRU whose reset gate comes before the product. Replaces `shared/cell`. The kernels compute the first half themselves
// (r, z and r·h), and its gradients.
#import shared/functions

const GATES = 3u;
const STATES = 1u;
const SAVED = 5u;
const GRADIENTS = 3u;
const READS_HIDDEN = true;
const RESET_BEFORE = true;

struct Next {
    h: f32,
    c: f32,
    own: array<f32, SAVED - STATES>,
}

fn advance(x: array<f32, GATES>, product: array<f32, GATES>, h: f32, c: f32) -> Next {
    let r = sigmoid(x[0] + product[0]);
    let z = sigmoid(x[1] + product[1]);
    let n = hyperbolic_tangent(x[2] + product[2]);
    return Next(n + z * (h - n), 0.0, array<f32, 4>(r, z, n, r * h));
}

struct Backward {
    dh: f32,
    dc: f32,
    gates: array<f32, GRADIENTS>,
}

fn backward(saved: array<f32, SAVED>, dh: f32, dc: f32) -> Backward {
    let z = saved[1];
    let n = saved[2];
    let dn = dh * (1.0 - z) * (1.0 - n * n);
    let dz = dh * (saved[4] - n) * z * (1.0 - z);
    return Backward(dh * z, 0.0, array<f32, 3>(0.0, dz, dn));
}

fn gradient_of(gate: u32) -> u32 {
    return gate;
}
