//! What a GPU is taken to have inside, guessed from what every driver says of it: its kind and the sizes of its subgroups. It decides which of
//! several kernels is the best guess, never whether one is right. `docs/lab.md` compares it with what compilers say.

/// How many units a GPU has, and of what family they are: what decides how many workgroups are at work at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    units: usize,
    family: Family,
}

/// Chips that have the same sizes of subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// AMD's GCN.
    Gcn,
    /// AMD's RDNA. Kernels are compiled for 64 lanes by RADV.
    Rdna,
    /// Qualcomm's Adreno.
    Adreno,
    /// Intel's up to Xe. A thread has its registers whatever others have.
    Intel,
    /// Intel's from Xe2 on.
    Xe2,
    /// ARM's Mali.
    Mali,
    /// NVIDIA's; Apple's are much the same.
    Other,
}

/// A unit: what runs workgroups, with workgroup memory of its own. An AMD compute unit, a streaming multiprocessor of NVIDIA's, an Xe core.
struct Unit {
    /// Schedulers, among which the subgroups of its workgroups are divided.
    schedulers: usize,
    /// Lanes of a subgroup of a kernel with many registers.
    lanes: usize,
    /// Registers of 32 bits that a scheduler has for each lane, shared by the subgroups that are there at a time.
    registers: usize,
    /// Registers of an invocation, at most.
    most_registers: usize,
    /// Subgroups of a scheduler at a time, at most.
    most_subgroups: usize,
    /// Bytes of workgroup memory.
    bytes: usize,
}

/// What a kernel takes of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Invocations of a workgroup.
    pub(crate) invocations: usize,
    /// Registers of an invocation.
    pub(crate) registers: usize,
    /// Bytes of workgroup memory.
    pub(crate) bytes: usize,
}

impl Chip {
    /// Units of a GPU with memory of its own.
    pub const DISCRETE: usize = 64;
    /// Units of one that shares the processor's memory.
    pub const INTEGRATED: usize = 8;
    /// Units of one of which nothing is known, as in a browser.
    pub const UNKNOWN: usize = 32;

    /// A GPU of that many units whose subgroups have these sizes, the smallest and the largest; zeros where they are not known.
    pub const fn new(units: usize, subgroups: (u32, u32)) -> Self {
        let family = match subgroups {
            (64, 64) => Family::Gcn,
            (32, 64) => Family::Rdna,
            (64 | 128, 128) => Family::Adreno,
            (8, 16 | 32) => Family::Intel,
            (16, 32) => Family::Xe2,
            (8, 8) | (16, 16) => Family::Mali,
            _ => Family::Other,
        };
        Self { units: if units == 0 { 1 } else { units }, family }
    }

    /// Units that run workgroups.
    pub const fn units(self) -> usize {
        self.units
    }

    const fn unit(self) -> Unit {
        let [schedulers, lanes, registers, most_registers, most_subgroups] = match self.family {
            Family::Gcn => [4, 64, 256, 256, 10],
            Family::Rdna => [2, 64, 512, 256, 16],
            Family::Adreno => [2, 64, 768, 192, 16],
            Family::Intel => [16, 8, 1024, 128, 8],
            Family::Xe2 => [8, 16, 1024, 128, 8],
            Family::Mali => [2, 16, 1024, 64, 32],
            Family::Other => [4, 32, 512, 255, 12],
        };
        Unit { schedulers, lanes, registers, most_registers, most_subgroups, bytes: 64 << 10 }
    }

    /// Workgroups of a unit at a time; 0 where one does not fit.
    pub(crate) fn workgroups(self, needs: Needs) -> usize {
        let unit = self.unit();
        let by_registers = (unit.registers / needs.registers.max(1)).min(unit.most_subgroups);
        let by_memory = unit.bytes.checked_div(needs.bytes).unwrap_or(usize::MAX);
        (by_registers * unit.schedulers / needs.invocations.div_ceil(unit.lanes).max(1)).min(by_memory)
    }

    /// Subgroups on a scheduler, of that number of workgroups on a unit.
    pub(crate) fn subgroups(self, workgroups: usize, needs: Needs) -> f64 {
        let unit = self.unit();
        (workgroups * needs.invocations.div_ceil(unit.lanes)) as f64 / unit.schedulers as f64
    }

    /// How long that number of workgroups takes, as a multiple of what one would take alone on a unit that never waits. While a subgroup waits for
    /// memory or a barrier, others of its scheduler go on.
    pub(crate) fn time(self, workgroups: usize, needs: Needs) -> f64 {
        let at_a_time = self.workgroups(needs).max(1);
        let time = |workgroups: usize| {
            let subgroups = self.subgroups(workgroups, needs);
            if workgroups == 0 { 0.0 } else { workgroups as f64 * (subgroups + 1.0) / subgroups }
        };
        let of_a_unit = workgroups.div_ceil(self.units);
        (of_a_unit / at_a_time) as f64 * time(at_a_time) + time(of_a_unit % at_a_time)
    }

    /// True where an invocation with fewer registers leaves room for more subgroups.
    pub(crate) const fn shares_registers(self) -> bool {
        !matches!(self.family, Family::Intel | Family::Xe2)
    }

    /// True where kernels with that many registers an invocation are better left alone: compilers would spill some, or too few subgroups
    /// hide how long memory takes.
    pub(crate) const fn is_crowded_by(self, registers: usize) -> bool {
        const FEWEST: usize = 4;
        let unit = self.unit();
        4 * registers > 3 * unit.most_registers || unit.registers < FEWEST * registers
    }
}
