// Second pass of a reduction of few lines over a long range: joins the splits' results in their order.
#import fold/sum
#import finish/element

struct Params {
    grid_width: u32,
    lines: u32,
    inner: u32,
    splits: u32,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<Partial>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let line = (group.y * params.grid_width + group.x) * 64u + local;
    if line >= params.lines {
        return;
    }
    var total = partials[line];
    for (var split = 1u; split < params.splits; split++) {
        total = join(total, partials[split * params.lines + line]);
    }
    finish(project(total), line, vec3<u32>(line / params.inner, 0u, line % params.inner));
}
