// Slot staging, used by load.
// What convolutions load into the tiles of a product: four rows or columns at one inner index.
#import family/tiles
#import family/convolution_staging

fn begin(work: Work, local: u32) -> Cursor {
    return begin_at(work, local, first_row(work) + lhs_item(local).x * 4u);
}

fn load_lhs(address: i32, k: u32) -> vec4<f32> {
    let first = address + lhs_offsets[k];
    let last = vec4<i32>(params.lhs_last);
    let at = vec4<u32>(clamp(first + vec4<i32>(0, 1, 2, 3) * params.lhs_row, vec4<i32>(0), last));
    return vec4<f32>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    let lhs = lhs_item(local);
    let rhs = rhs_item(local);
    var loaded: Loaded;
    loaded.quad0 = load_lhs(cursor.lhs, lhs.y);
    let columns = columns_at(rhs.x);
    loaded.quad2 = load_columns(columns, rhs.y);
    if GROUPS > 1u {
        loaded.quad1 = load_lhs(cursor.lhs, lhs.y + APART);
        loaded.quad3 = load_columns(columns, rhs.y + APART);
    }
    return loaded;
}
