// Used by family/recurrence_steps.
// What the kernels of a recurrence share: the parameters, and how the work is cut. A workgroup has ROWS sequences of the batch and
// iterates over some of the units in blocks of UNITS × LANES, which its WAVES of LANES invocations share; where it has all units,
// it computes many steps too.
#import constants/recurrence
#import constants/sequence
#import constants/cell
#import cell/sum
#import shared/widen

struct Params {
    grid_width: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    // The iterations of this dispatch, in the order in which steps are computed; and its halves of a step.
    first: u32,
    count: u32,
    first_half: u32,
    end_half: u32,
    row_blocks: u32,
    unit_blocks: u32,
    // Blocks of units that a workgroup iterates over.
    blocks_each: u32,
    // Always 0, which compilers do not know.
    zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;

// Workgroups that share the units.
fn sharing() -> u32 {
    return (params.unit_blocks + params.blocks_each - 1u) / params.blocks_each;
}

fn has_work(number: u32) -> bool {
    return number < params.row_blocks * sharing();
}

// An element of the sequence that a pass reads beside what was saved: its word, and what the word holds.
fn sequence_index(address: u32) -> u32 {
    return select(address, address >> 1u, READS_F16 || READS_BF16);
}

fn sequence_value(word: u32, address: u32) -> f32 {
    if READS_F16 || READS_BF16 {
        return widen(word >> ((address & 1u) * 16u), READS_BF16);
    }
    return bitcast<f32>(word);
}

// The step of an iteration, as an index in the sequence.
fn step_of(iteration: u32) -> u32 {
    return select(iteration, params.steps - 1u - iteration, REVERSE);
}

// Where values of the rows of a workgroup begin: of the first, from each to the next, and the number of the last that there is.
struct Rows {
    start: u32,
    step: u32,
    last: u32,
}

// The address of value `k` of a step's unit 0, in a tensor of `count` values a unit.
fn value_start(step: u32, row: u32, count: u32, k: u32) -> u32 {
    return ((step * params.batch + row) * count + k) * params.hidden;
}
