// How a convolution hands over what it has computed: element by element.
#import shared/convolution_result

// Hands over one element. With several splits, `finish` is that of the first pass, which keeps partial sums apart.
fn store(work: Work, row: u32, place: vec4<u32>, value: f32) {
    let found = result_place(work, row, place);
    if found.inside {
        finish(value, found.index, found.at);
    }
}

// Four neighbouring columns, as far as there are so many.
fn store_quad(work: Work, row: u32, column: u32, values: vec4<f32>) {
    if row < params.rows && column < params.columns {
        let extents = column_extents();
        var place = split_column(column);
        for (var c = 0u; c < 4u; c++) {
            if column + c < params.columns {
                store(work, row, place, values[c]);
                place = next_place(place, extents);
            }
        }
    }
}
