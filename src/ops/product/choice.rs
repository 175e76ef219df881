//! Choice of a product's kernel by its extents: which tile, which orientation, how many splits of the inner dimension.

use crate::shader::{Adapter, Chip, Needs};

/// The extents of a batch of products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) struct Extents {
    pub(in crate::ops) batch: usize,
    pub(in crate::ops) rows: usize,
    pub(in crate::ops) columns: usize,
    pub(in crate::ops) inner: usize,
}

impl Extents {
    /// The transposed problem's.
    pub(in crate::ops) const fn swapped(self) -> Self {
        Self { rows: self.columns, columns: self.rows, ..self }
    }

    /// Elements of the product.
    pub(in crate::ops) const fn len(self) -> usize {
        self.batch * self.rows * self.columns
    }

    /// Tiles of the product.
    pub(in crate::ops) const fn tiles(self, tile: [usize; 2]) -> usize {
        self.batch * self.rows.div_ceil(tile[0]) * self.columns.div_ceil(tile[1])
    }
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) enum Algorithm {
    /// With tiles in workgroup memory, of `inner` inner indices; an invocation computes 8 × 8 elements.
    Tiled { inner: usize },
    /// The same with 4 × 4.
    Small { inner: usize },
    /// With tiles in workgroup memory that matrix instructions multiply, square matrices of `fragment` rows at a time; each subgroup of
    /// `lanes` has rows and columns of `sums` of them.
    Cooperative { inner: usize, fragment: usize, lanes: usize, sums: [usize; 2] },
    /// Straight from the operands, by these rows and columns of an invocation.
    Direct { rows: usize, columns: usize },
    /// For software drivers: a workgroup is one subgroup, whose lanes are along the columns.
    Software { rows: usize, columns: usize, lanes: usize },
}

impl Algorithm {
    /// What a kernel with square tiles of that extent takes: of registers, its sums, and about what compilers need beside them. `None` for those
    /// without tiles in workgroup memory.
    pub(super) fn needs(self, extent: usize) -> Option<Needs> {
        const BESIDE: usize = 48;
        let (invocations, sums) = match self {
            Self::Tiled { .. } => (extent * extent / 64, 64),
            Self::Small { .. } => (extent * extent / 16, 16),
            Self::Cooperative { inner, fragment, lanes, sums: [rows, columns] } => {
                (extent * inner / 16, rows * columns * fragment * fragment / lanes)
            }
            Self::Direct { .. } | Self::Software { .. } => return None,
        };
        let (_, bytes) = workgroup_bytes(self, extent)?;
        Some(Needs { invocations, registers: sums + BESIDE, bytes })
    }

    /// For a kernel's label.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Tiled { .. } => "",
            Self::Small { .. } => "_small",
            Self::Cooperative { .. } => "_cooperative",
            Self::Direct { .. } => "_direct",
            Self::Software { .. } => "_software",
        }
    }
}

/// An algorithm with its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) struct Variant {
    pub(in crate::ops) algorithm: Algorithm,
    /// Rows and columns of the product that a workgroup computes.
    pub(in crate::ops) tile: [usize; 2],
    /// True where the operands are exchanged, so that the product's rows are the kernel's columns.
    pub(in crate::ops) swapped: bool,
    /// Splits of the inner dimension.
    pub(in crate::ops) splits: usize,
}

/// Gives each invocation four columns at least, where they are not fixed, for it to store at once.
pub(in crate::ops) fn widen(variants: &mut Vec<Variant>) {
    for Variant { algorithm, tile, .. } in variants.iter_mut() {
        if let Algorithm::Direct { columns, .. } | Algorithm::Software { columns, .. } = algorithm
            && *columns < 4
        {
            tile[1] = tile[1] / *columns * 4;
            *columns = 4;
        }
    }
    variants.dedup();
}

/// What tiles are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) struct Staged {
    /// Bytes of workgroup memory beside the tiles for each inner index, and for each column.
    pub(in crate::ops) offsets: [usize; 2],
    /// Operands are read an element at a time, and by more addresses than few registers hold beside two groups of each.
    pub(in crate::ops) has_many_addresses: bool,
    /// Both operands are f16 in memory, which matrix instructions take.
    pub(in crate::ops) halves: bool,
}

/// What fits, best guess first. `direct` is the kernel without workgroup memory, which on GPUs comes first where groups are too small for
/// tiles.
pub(in crate::ops) fn variants(
    extents: Extents,
    orientations: &[bool],
    direct: Variant,
    is_small: bool,
    staged: Staged,
    adapter: &Adapter,
) -> Vec<Variant> {
    let mut variants = software(extents, orientations, adapter);
    let mut others = tiled(extents, staged, adapter);
    // Where there are no subgroups, the caches of a processor do better than workgroup memory.
    others.insert(if adapter.is_software || is_small { 0 } else { others.len() }, direct);
    if adapter.is_software {
        variants.append(&mut others);
        return variants;
    }
    others.append(&mut variants);
    others
}

/// Straight from the operands: by workgroups of these threads along the rows and the columns, each with elements of its own, and about
/// `wanted` of them, on a large GPU or a software driver.
pub(in crate::ops) fn direct(
    [rows, columns]: [usize; 2],
    threads: [usize; 2],
    wanted: usize,
    problem: Extents,
    adapter: &Adapter,
) -> Variant {
    let tile = [threads[0] * rows, threads[1] * columns];
    let wanted = if adapter.is_software { wanted } else { wanted * adapter.chip.units() / Chip::DISCRETE };
    let splits = splits(problem, tile, rows, wanted, 64, adapter);
    Variant { algorithm: Algorithm::Direct { rows, columns }, tile, swapped: false, splits }
}

/// An algorithm with tiles, rows and columns of a tile, and the speed of a unit that never waits, relative to that of the largest tile: the
/// part of the instructions that multiply, and how often a loaded element is used.
type Tile = (Algorithm, usize, f64);

const TILES: [Tile; 4] = [
    (Algorithm::Tiled { inner: 16 }, 128, 1.0),
    (Algorithm::Tiled { inner: 8 }, 64, 0.75),
    (Algorithm::Small { inner: 32 }, 64, 0.6),
    (Algorithm::Small { inner: 16 }, 32, 0.4),
];

/// Those that a chip's registers hold, and those that matrix instructions multiply.
fn tiles(staged: Staged, adapter: &Adapter) -> Vec<Tile> {
    let is_small = |tile: &Tile| matches!(tile.0, Algorithm::Small { .. });
    let fits = |&(algorithm, extent, _): &Tile| {
        algorithm.needs(extent).is_some_and(|needs| !adapter.chip.is_crowded_by(needs.registers))
    };
    let mut found: Vec<Tile> = TILES.into_iter().filter(|tile| is_small(tile) || fits(tile)).collect();
    if staged.has_many_addresses && found.iter().all(is_small) && adapter.chip.shares_registers() {
        // An invocation loads one group of each operand at a time; half the workgroup memory leaves room for more workgroups, too.
        for (algorithm, ..) in &mut found {
            if let Algorithm::Small { inner } = algorithm {
                *inner /= 2;
            }
        }
    }
    if staged.halves {
        found.extend(cooperative(adapter));
    }
    found
}

/// The kernels with tiles in workgroup memory, by a rough model of the chip.
pub(in crate::ops) fn tiled(problem: Extents, staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    tiled_of(&[0.0, 1.0], problem, staged, adapter)
}

/// The same with other splits, for tuning.
pub(in crate::ops) fn tiled_candidates(problem: Extents, staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    // What the model puts far behind does not win. Whether matrix instructions do is not known of every adapter.
    let mut found = tiled_of(&[0.0, 0.25, 0.5, 1.0, 2.0], problem, staged, adapter);
    let mut rooms = [10, 10];
    found.retain(|variant| {
        let room = &mut rooms[usize::from(matches!(variant.algorithm, Algorithm::Cooperative { .. }))];
        let has_room = *room > 0;
        *room -= usize::from(has_room);
        has_room
    });
    found
}

/// `fill` says for how many times the workgroups that the chip has at a time the inner dimension is cut; 0 cuts as little as can be.
fn tiled_of(fill: &[f64], problem: Extents, staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    // Multiplications of a unit in whose time a second pass is dispatched, and those of all in whose time an element of a partial product is
    // written and read.
    const SECOND_PASS: f64 = 3.0e5;
    const PARTIAL: f64 = 40.0;
    let chip = adapter.chip;
    let mut candidates = Vec::new();
    for (algorithm, extent, speed) in tiles(staged, adapter) {
        let Some((inner, _)) = workgroup_bytes(algorithm, extent) else { continue };
        let Some(mut needs) = algorithm.needs(extent) else { continue };
        needs.bytes += staged.offsets[0] * inner + staged.offsets[1] * extent;
        let fits = adapter.limits.workgroup_bytes >= needs.bytes && adapter.limits.workgroup_invocations >= 256;
        if !fits {
            continue;
        }
        let tile = [extent, extent];
        let tiles = problem.tiles(tile);
        let full = chip.units() * chip.workgroups(needs).max(1);
        let wanted = fill.iter().map(|fill| (full as f64 * fill) as usize);
        let mut choices: Vec<usize> = wanted.map(|wanted| splits(problem, tile, 1, wanted, 128, adapter)).collect();
        choices.dedup();
        for splits in choices {
            let length = problem.inner.div_ceil(splits) + 2 * inner;
            let workgroup = (extent * extent * length) as f64 / speed;
            let mut cost = workgroup * chip.time(tiles * splits, needs);
            if splits > 1 {
                cost += SECOND_PASS + PARTIAL * (problem.len() * splits) as f64 / chip.units() as f64;
            }
            candidates.push((cost, Variant { algorithm, tile, swapped: false, splits }));
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.into_iter().map(|(_, variant)| variant).collect()
}

/// Inner indices of a tile, and bytes of workgroup memory, of the kernels that have tiles there.
const fn workgroup_bytes(algorithm: Algorithm, extent: usize) -> Option<(usize, usize)> {
    match algorithm {
        Algorithm::Tiled { inner } | Algorithm::Small { inner } => Some((inner, 8 * extent * inner)),
        Algorithm::Cooperative { inner, sums: [rows, columns], .. } => {
            // Each part's fragment, as `kernels/matmul_cooperative` has them, or the parts of sums of rows.
            let results = extent * extent / (rows * columns);
            let row_sums = extent * (inner / 4);
            let most = if results > row_sums { results } else { row_sums };
            Some((inner, 4 * extent * (inner + 8) + 4 * most))
        }
        Algorithm::Direct { .. } | Algorithm::Software { .. } => None,
    }
}

/// The tiles that matrix instructions multiply; none where the adapter has none.
fn cooperative(adapter: &Adapter) -> Vec<Tile> {
    const INNER: usize = 32;
    let (Some(fragment), Some((_, lanes))) = (adapter.cooperative, adapter.subgroups) else { return Vec::new() };
    let lanes = lanes as usize;
    // An invocation loads 16 elements of each operand.
    let tile = |(extent, speed): (usize, f64)| {
        let (threads, across) = (extent * INNER / 16, extent / fragment);
        let parts = threads.checked_div(lanes).filter(|parts| parts * lanes == threads)?;
        let sums = (across * across).checked_div(parts).filter(|sums| sums.is_power_of_two() && *sums <= 16)?;
        let columns = 1 << (sums.ilog2() / 2);
        let sums = [sums / columns, columns];
        Some((Algorithm::Cooperative { inner: INNER, fragment, lanes, sums }, extent, speed))
    };
    [(128, 3.0), (64, 2.0), (32, 1.0)].into_iter().filter_map(tile).collect()
}

/// Splits of the inner dimension that make about `wanted` workgroups, none shorter than `shortest`. `rows` is the number of rows
/// that an invocation loops over.
fn splits(problem: Extents, tile: [usize; 2], rows: usize, wanted: usize, shortest: usize, adapter: &Adapter) -> usize {
    let tiles = problem.tiles(tile);
    let least = problem.inner.div_ceil(adapter.most_summed(rows)).max(1);
    if tiles * 2 > wanted {
        return least;
    }
    // Partial products must fit a binding.
    let most = usize::try_from(adapter.limits.binding_bytes).unwrap_or(usize::MAX) / (4 * problem.len());
    wanted.div_ceil(tiles).min(problem.inner / shortest).min(most).max(least)
}

/// The kernel for software drivers, by what its parts cost there (nanoseconds for a vector of lanes, measured on lavapipe).
/// `orientations` says whether the operands may be exchanged.
pub(in crate::ops) fn software(problem: Extents, orientations: &[bool], adapter: &Adapter) -> Vec<Variant> {
    let candidates = software_by_cost(&[THREADS], problem, orientations, adapter);
    let mut chosen: Vec<Variant> = candidates.iter().take(1).copied().collect();
    // For tuning and checks: the best of the other orientation, and one that is not split or is.
    if let Some(first) = chosen.first().copied() {
        let others: [&dyn Fn(&Variant) -> bool; 2] =
            [&|other| other.swapped != first.swapped, &|other| (other.splits > 1) != (first.splits > 1)];
        for wanted in others {
            chosen.extend(candidates.iter().find(|variant| wanted(variant)));
        }
        chosen.dedup();
    }
    chosen
}

/// The same with other tiles and splits, for tuning.
pub(in crate::ops) fn software_candidates(problem: Extents, orientations: &[bool], adapter: &Adapter) -> Vec<Variant> {
    let mut found = software(problem, orientations, adapter);
    for &swapped in orientations {
        let of_it = software_by_cost(&[1, THREADS, 4 * THREADS], problem, &[swapped], adapter);
        found.extend(of_it.into_iter().take(if swapped { 3 } else { 5 }));
    }
    found
}

/// Threads that a software driver's work should be spread over, without knowing how many there are.
const THREADS: usize = 8;

/// All variants of the kernel for software drivers, the cheapest first. `wanted` are numbers of workgroups to cut the inner
/// dimension for.
fn software_by_cost(wanted: &[usize], problem: Extents, orientations: &[bool], adapter: &Adapter) -> Vec<Variant> {
    const LOAD: f64 = 9.0;
    const MULTIPLY: f64 = 0.45;
    const SHUFFLE: f64 = 0.6;
    const WORKGROUP: f64 = 600.0;
    // The largest tile takes the driver a second to compile; it must have something to win.
    const LARGE_FROM: usize = 1 << 25;
    let Some((smallest, largest)) = adapter.subgroups else { return Vec::new() };
    if smallest != largest || !(2..=64).contains(&largest) {
        return Vec::new();
    }
    let lanes = largest as usize;
    let mut candidates = Vec::new();
    for &swapped in orientations {
        let oriented = if swapped { problem.swapped() } else { problem };
        for (rows, columns) in [(32, 8), (32, 4), (16, 4), (8, 4), (4, 4), (2, 4), (1, 32), (1, 16), (1, 4), (1, 1)] {
            let tile = [rows, lanes * columns];
            let tiles = oriented.tiles(tile);
            if rows * columns > 128 && problem.len() * problem.inner < LARGE_FROM {
                continue;
            }
            let mut choices: Vec<usize> =
                wanted.iter().map(|&wanted| splits(oriented, tile, rows, wanted, 128, adapter)).collect();
            choices.dedup();
            for splits in choices {
                // The partial products would not fit: with fewer rows, a sum this long needs no splits.
                if splits > 1 && (4 * oriented.len() * splits) as u64 > adapter.limits.binding_bytes {
                    continue;
                }
                let step = (columns as f64 + rows as f64 / lanes as f64) * LOAD
                    + rows as f64 * (SHUFFLE + columns as f64 * MULTIPLY);
                let workgroup = WORKGROUP + oriented.inner.div_ceil(splits) as f64 * step;
                // A second pass costs a dispatch.
                let second = if splits > 1 { 30_000.0 } else { 0.0 };
                let cost = (tiles * splits).div_ceil(THREADS) as f64 * workgroup + second;
                let algorithm = Algorithm::Software { rows, columns, lanes };
                let variant = Variant { algorithm, tile, swapped, splits };
                candidates.push((cost, variant));
            }
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.into_iter().map(|(_, variant)| variant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Staged = Staged { offsets: [0; 2], has_many_addresses: false, halves: false };

    fn adapter(units: usize, subgroups: (u32, u32)) -> Adapter {
        let mut adapter = Adapter { chip: Chip::new(units, subgroups), ..Adapter::default() };
        adapter.limits.workgroup_bytes = 48 << 10;
        adapter
    }

    fn product(rows: usize, inner: usize, columns: usize) -> Extents {
        Extents { batch: 1, rows, columns, inner }
    }

    /// Subgroups on a scheduler that the lab's compilers report (`docs/lab.md`), of kernels with 64 and with 16 sums; RADV counts
    /// subgroups of RDNA twice.
    #[test]
    fn the_model_has_the_occupancy_that_compilers_report() {
        let reported = [
            ("navi21", (32, 64), [4.0, 8.0]),
            ("navi31", (32, 64), [6.0, 8.0]),
            ("vega10", (64, 64), [2.0, 4.0]),
            ("polaris10", (64, 64), [2.0, 4.0]),
            ("ampere", (32, 32), [4.0, 8.0]),
            ("ada", (32, 32), [4.0, 8.0]),
            ("adreno730", (64, 128), [6.0, 10.0]),
        ];
        let of = |chip: Chip, algorithm: Algorithm, extent: usize| {
            let needs = algorithm.needs(extent).unwrap();
            chip.subgroups(chip.workgroups(needs), needs)
        };
        for (target, subgroups, reported) in reported {
            let chip = Chip::new(Chip::DISCRETE, subgroups);
            for (algorithm, extent, _) in TILES {
                let reported = reported[usize::from(matches!(algorithm, Algorithm::Small { .. }))];
                let model = of(chip, algorithm, extent);
                assert!((0.66..=1.5).contains(&(model / reported)), "{target} {algorithm:?}: {model}, not {reported}");
            }
        }
        for (target, subgroups, reported) in [("navi31", (32, 64), [4.0, 5.0]), ("ampere", (32, 32), [4.0, 5.0])] {
            let with = Adapter { cooperative: Some(16), subgroups: Some(subgroups), ..adapter(64, subgroups) };
            for ((algorithm, extent, _), reported) in cooperative(&with).into_iter().zip(reported) {
                let model = of(with.chip, algorithm, extent);
                assert!((0.66..=1.5).contains(&(model / reported)), "{target} {extent}: {model}, not {reported}");
            }
        }
    }

    /// Of 64 sums, Intel's compiler spills; on GCN, two subgroups would be there at a time.
    #[test]
    fn registers_that_a_chip_has_not_are_not_asked_for() {
        let large = product(4096, 4096, 4096);
        for (subgroups, is_crowded) in
            [((8, 32), true), ((64, 64), true), ((16, 16), true), ((32, 64), false), ((32, 32), false), ((0, 0), false)]
        {
            let found = tiled(large, NOTHING, &adapter(Chip::DISCRETE, subgroups));
            let first = matches!(found[0].algorithm, Algorithm::Small { .. });
            let all = found.iter().all(|variant| matches!(variant.algorithm, Algorithm::Small { .. }));
            assert_eq!((first, all), (is_crowded, is_crowded), "{subgroups:?}");
        }
    }

    #[test]
    fn every_unit_has_work_where_there_is_enough() {
        let shapes = [(4096, 4096, 4096), (512, 512, 512), (128, 60_000, 128), (10, 100_000, 784), (64, 4096, 512)];
        for units in [Chip::INTEGRATED, Chip::UNKNOWN, Chip::DISCRETE] {
            for (rows, inner, columns) in shapes {
                let problem = product(rows, inner, columns);
                let best = tiled(problem, NOTHING, &adapter(units, (32, 32)))[0];
                let workgroups = problem.tiles(best.tile) * best.splits;
                assert!(workgroups * 2 > units, "{rows}x{inner}x{columns} on {units}: {best:?}");
            }
        }
        // Fewer units need no splits where more do.
        let problem = product(512, 4096, 512);
        let of = |units: usize| tiled(problem, NOTHING, &adapter(units, (32, 32)))[0];
        assert_eq!(of(Chip::INTEGRATED).splits, 1);
        assert!(of(Chip::DISCRETE).splits > 1);
    }

    #[test]
    fn few_registers_that_workgroups_share_load_one_group_at_a_time() {
        let problem = Extents { batch: 1, rows: 256, columns: 4096, inner: 576 };
        let inner = |has_many_addresses: bool, subgroups: (u32, u32)| {
            let staged = Staged { offsets: [36, 16], has_many_addresses, halves: false };
            let found = tiled(problem, staged, &adapter(Chip::DISCRETE, subgroups));
            let inner = |variant: &Variant| match variant.algorithm {
                Algorithm::Small { inner } => (variant.tile[0], inner),
                other => panic!("{other:?}"),
            };
            found.iter().map(inner).collect::<Vec<_>>()
        };
        let all = |wanted: [(usize, usize); 2], found: Vec<(usize, usize)>| {
            assert!(!found.is_empty() && found.iter().all(|tile| wanted.contains(tile)), "{found:?}");
        };
        all([(64, 16), (32, 8)], inner(true, (64, 64)));
        all([(64, 32), (32, 16)], inner(false, (64, 64)));
        all([(64, 32), (32, 16)], inner(true, (8, 32)));
    }
}
