// Used by blocks.
// Where an invocation reads its blocks of both operands.
#import family/matrix_tiles
#import family/tile_cursor

fn begin(work: Work, local: u32) -> Cursor {
    let lhs = lhs_block(local);
    let rhs = rhs_block(local);
    return Cursor(
        lhs_cursor(work, first_row(work) + lhs.x * 4u, work.first + lhs.y * 4u),
        rhs_cursor(work, first_column(work) + rhs.x * 4u, work.first + rhs.y * 4u),
    );
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    return Loaded(load_lhs_block(cursor.lhs), load_rhs_block(cursor.rhs));
}
