//! What tuning found: for pieces of work, which of their plans is the fastest on a device. Both go by digests that are the same
//! in every process, so that they can be stored in files.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Access, Bound, KernelPlan};

/// What was asked for: an operator with its attributes, the types and memory layouts of its operands, its outputs, and what is done
/// with them before they are stored. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkKey(u128);

/// A variant that does this work: the sources of the kernels with their parameters, bindings and workgroups. Printed as 32 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(u128);

macro_rules! digest {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{self}")
            }
        }

        impl $name {
            /// From its printed form; `None` where the text is none.
            pub fn parse(text: &str) -> Option<Self> {
                let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_digest.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
            }
        }
    };
}
digest!(WorkKey);
digest!(PlanId);

/// How keys are written: raised where the same work gets another key (a test in `compiler/choice.rs` tells), so that tables of before are
/// not searched for keys that mean something else.
const KEY_VERSION: u32 = 3;

impl WorkKey {
    /// The digest of all that kernels depend on. Derived hashes say what that is; the digest writes it the same way in every process, on
    /// every processor.
    pub(crate) fn of(work: impl Hash) -> Self {
        let mut digest = Digest::new();
        (KEY_VERSION, work).hash(&mut digest);
        Self(digest.0)
    }
}

/// FNV-1a with 128 bits: to tell pieces of work apart; not meant against malice. A wrong match would still be one of the work's own plans.
struct Digest(u128);

impl Digest {
    const fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        const PRIME: u128 = (1 << 88) + 0x13b;
        self.0 = bytes.iter().fold(self.0, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    }

    fn word(&mut self, word: usize) {
        self.bytes(&(word as u64).to_le_bytes());
    }
}

/// Numbers are written little-endian, those of the size of an address with 64 bits; so are the indices of enums' variants.
impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    fn write_u16(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number);
    }

    fn write_i16(&mut self, number: i16) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_i32(&mut self, number: i32) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_i64(&mut self, number: i64) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_i128(&mut self, number: i128) {
        self.bytes(&number.to_le_bytes());
    }

    fn write_isize(&mut self, number: isize) {
        self.bytes(&(number as i64).to_le_bytes());
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}

impl KernelPlan {
    /// What tells this plan from others, in any process.
    pub fn id(&self) -> PlanId {
        let mut digest = Digest::new();
        for dispatch in &self.dispatches {
            digest.word(dispatch.kernel.source.len());
            digest.bytes(dispatch.kernel.source.as_bytes());
            for access in &dispatch.kernel.bindings {
                digest.word(usize::from(*access == Access::ReadWrite));
            }
            dispatch.params.iter().for_each(|&word| digest.word(word as usize));
            for bound in &dispatch.bound {
                let (kind, number) = match *bound {
                    Bound::Input(number) => (0, number),
                    Bound::Output(number) => (1, number),
                    Bound::Scratch(number) => (2, number),
                };
                digest.word(kind);
                digest.word(number);
            }
            digest.word(dispatch.workgroups);
        }
        self.scratch.iter().for_each(|&bytes| digest.word(bytes));
        PlanId(digest.0)
    }

    /// Its kernels with their numbers of workgroups, for people.
    pub fn describe(&self) -> String {
        let dispatches: Vec<String> = self
            .dispatches
            .iter()
            .map(|dispatch| format!("{} ×{}", dispatch.kernel.label, dispatch.workgroups))
            .collect();
        let mut text = String::new();
        for part in dispatches.chunk_by(|left, right| left == right) {
            let Some(name) = part.first() else { continue };
            let separator = if text.is_empty() { "" } else { ", " };
            let times = if part.len() > 1 { format!("{} × ", part.len()) } else { String::new() };
            let _ = write!(text, "{separator}{times}{name}");
        }
        text
    }
}

/// The fastest plans that are known, by what was asked for. Clones share them.
///
/// ```
/// use wgrad::shader::{KernelPlan, Tuned, WorkKey};
/// let key = WorkKey::parse("00112233445566778899aabbccddeeff").expect("32 digits");
/// let tuned: Tuned = [(key, KernelPlan::default().id())].into_iter().collect();
/// assert_eq!(tuned.plan(key), Some(KernelPlan::default().id()));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tuned(Arc<BTreeMap<WorkKey, PlanId>>);

impl Tuned {
    /// The fastest plan for a piece of work, where one was found.
    pub fn plan(&self, key: WorkKey) -> Option<PlanId> {
        self.0.get(&key).copied()
    }

    /// Number of pieces of work.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(WorkKey, PlanId)> for Tuned {
    fn from_iter<I: IntoIterator<Item = (WorkKey, PlanId)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().collect()))
    }
}

impl fmt::Debug for Tuned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tuned({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::{DispatchPlan, Kernel};

    fn plan(source: &str, params: &[u32], workgroups: usize) -> KernelPlan {
        let kernel = Kernel {
            label: "a label".into(),
            source: source.into(),
            bindings: vec![Access::Read, Access::ReadWrite],
            subgroups: false,
            folds: true,
            iterations: None,
            is_trusted: true,
        };
        let bound = vec![Bound::Input(0), Bound::Output(0)];
        let dispatch = DispatchPlan { kernel, params: params.to_vec(), bound, workgroups };
        KernelPlan { dispatches: vec![dispatch], scratch: vec![16] }
    }

    #[test]
    fn digests_are_the_same_in_every_process() {
        // FNV-1a's published values, and one that an earlier process printed.
        let mut digest = Digest::new();
        assert_eq!(format!("{:032x}", digest.0), "6c62272e07bb014262b821756295c58d");
        digest.write(b"a");
        assert_eq!(format!("{:032x}", digest.0), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(plan("main", &[1, 2], 3).id().to_string(), "d7c6f11ef8249320532bb2a51047d9e4");
    }

    #[test]
    fn other_plans_have_other_digests() {
        let plans =
            [plan("a", &[1], 3), plan("b", &[1], 3), plan("a", &[2], 3), plan("a", &[1], 4), plan("a", &[1, 0], 3)];
        for (index, left) in plans.iter().enumerate() {
            assert!(plans[..index].iter().all(|right| right.id() != left.id()), "{index}");
        }
        let mut named = plan("a", &[1], 3);
        named.dispatches[0].kernel.label = "another".into();
        assert_eq!(named.id(), plans[0].id(), "labels do not count");
    }

    #[test]
    fn printed_forms_parse_to_the_same() {
        let key = WorkKey::of("matmul");
        assert_eq!(WorkKey::parse(&key.to_string()), Some(key));
        for wrong in ["", "12", "+0112233445566778899aabbccddeeff", "x0112233445566778899aabbccddeeff"] {
            assert_eq!(PlanId::parse(wrong), None, "{wrong}");
        }
    }
}
