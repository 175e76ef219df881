// Used by family/matrix_tiles.
// The left operand's blocks of a tile.

// An invocation's group of four rows, and its group of inner indices.
fn lhs_block(local: u32) -> vec2<u32> {
    const QUADS = TILE_ROWS / 4u;
    let along_inner = vec2<u32>(local / INNER_QUADS, local % INNER_QUADS);
    return select(vec2<u32>(local % QUADS, local / QUADS), along_inner, LHS_ALONG_INNER);
}

fn write_lhs_line(at: u32, line: vec4<f16>) {
    lhs_tile[at] = line.x;
    lhs_tile[at + 1u] = line.y;
    lhs_tile[at + 2u] = line.z;
    lhs_tile[at + 3u] = line.w;
}

fn write_lhs_block(local: u32, block: Block) {
    let at = lhs_block(local);
    let first = at.x * 4u * LINE + at.y * 4u;
    write_lhs_line(first, block.line0);
    write_lhs_line(first + LINE, block.line1);
    write_lhs_line(first + 2u * LINE, block.line2);
    write_lhs_line(first + 3u * LINE, block.line3);
}
