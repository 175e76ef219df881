// Slot staging, used by load.
// What matrix products load into their tiles: operands with any strides.
#import family/tiles
#import family/product
#import store/matrix
#import family/lhs_items
#mirror family/lhs_items
#import family/tile_cursor

fn begin(work: Work, local: u32) -> Cursor {
    return Cursor(lhs_begin(work, lhs_item(local)), rhs_begin(work, rhs_item(local)));
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    var loaded: Loaded;
    loaded.quad0 = load_lhs(cursor.lhs);
    loaded.quad2 = load_rhs(cursor.rhs);
    if GROUPS > 1u {
        loaded.quad1 = load_lhs(lhs_moved(cursor.lhs, APART));
        loaded.quad3 = load_rhs(rhs_moved(cursor.rhs, APART));
    }
    return loaded;
}
