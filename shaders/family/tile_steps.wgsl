// Used by family/matrix_tiles, family/tiles.
// The tiles of both operands that a workgroup steps through. The first is the one that may be shorter, and is padded with zeros; all others
// are whole. So the loop over tiles tests nothing, and its addresses only move on. Rows and columns over the edge read something else of
// the operand, and are not stored.
#import constants/tiles

fn tile_count(work: Work) -> u32 {
    return (work.last - work.first + TILE_INNER - 1u) / TILE_INNER;
}

// Inner indices of the first tile; 0 where there is no tile.
fn first_length(work: Work) -> u32 {
    let length = work.last - work.first;
    return select(0u, (length - 1u) % TILE_INNER + 1u, length > 0u);
}

// The first row and column of a workgroup's tile.
fn first_row(work: Work) -> u32 {
    return work.tile.x * TILE_ROWS;
}

fn first_column(work: Work) -> u32 {
    return work.tile.y * TILE_COLUMNS;
}
