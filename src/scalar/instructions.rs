//! Which of the processor's vector instructions the CPU device uses.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use pulp::{Arch, WithSimd};

use crate::error::{Error, Result};

/// The variable that caps them.
const VARIABLE: &str = "WGRAD_CPU";

/// A set of vector instructions that the CPU device has code for.
///
/// The CPU device uses the best set that the processor has. A cap, by [`cap`](Self::cap) or by the variable `WGRAD_CPU`
/// (`avx512`, `avx2`, `neon`, `scalar`), makes a processor compute as an older one does, bit for bit. The last bits of a result depend on the set, not on the number of threads.
///
/// ```
/// use wgrad::device::Instructions;
///
/// println!("the CPU device computes with {}", Instructions::in_use());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Instructions {
    /// What every processor of the architecture has.
    Scalar,
    /// 128 bits: every ARM processor of 64 bits.
    Neon,
    /// 128 bits, in WebAssembly that was compiled with them.
    Simd128,
    /// 256 bits, with fused multiplication and addition: x86-64-v3.
    Avx2,
    /// 512 bits: x86-64-v4 and what came with it.
    Avx512,
}

/// What is used from the first computation on.
static IN_USE: OnceLock<Arch> = OnceLock::new();

impl Instructions {
    /// All of them, with their names.
    const NAMES: [(&'static str, Self); 5] = [
        ("avx512", Self::Avx512),
        ("avx2", Self::Avx2),
        ("neon", Self::Neon),
        ("simd128", Self::Simd128),
        ("scalar", Self::Scalar),
    ];

    /// Those that the CPU device uses in this process.
    pub fn in_use() -> Self {
        Self::of(in_use())
    }

    /// The best ones that this processor has.
    pub fn best() -> Self {
        Self::of(Arch::new())
    }

    /// Lets the CPU device use these at the most, in the whole process, whatever the variable `WGRAD_CPU` says. A processor that
    /// has less uses what it has.
    ///
    /// # Errors
    /// Where the process has computed with others already, or where they are of another architecture.
    pub fn cap(self) -> Result<()> {
        self.of_this_architecture()?;
        let wanted = self.or_less();
        let used = IN_USE.get_or_init(|| wanted);
        if Self::of(*used) == Self::of(wanted) {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "the CPU device computes with {} already; cap its instructions before the first computation",
            Self::of(*used)
        )))
    }

    /// The cap that the variable sets.
    ///
    /// # Errors
    /// Where it says something else than the name of a set of this architecture.
    pub fn from_environment() -> Result<Option<Self>> {
        let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
        let text = text.to_string_lossy();
        let in_variable = |error: Error| Error::Argument(format!("{VARIABLE}: {error}"));
        let cap: Self = text.parse().map_err(in_variable)?;
        cap.of_this_architecture().map_err(in_variable)?;
        Ok(Some(cap))
    }

    fn of_this_architecture(self) -> Result<()> {
        let exists = match self {
            Self::Scalar => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Simd128 => cfg!(target_family = "wasm"),
            Self::Avx2 | Self::Avx512 => cfg!(target_arch = "x86_64"),
        };
        let architecture = std::env::consts::ARCH;
        if exists { Ok(()) } else { Err(Error::Argument(format!("{architecture} has no {self}"))) }
    }

    fn of(arch: Arch) -> Self {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V3(_) => Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) => Self::Avx512,
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => Self::Neon,
            #[cfg(target_family = "wasm")]
            Arch::Simd128(_) => Self::Simd128,
            _ => Self::Scalar,
        }
    }

    /// These, or the best ones below them that the processor has.
    pub(crate) fn or_less(self) -> Arch {
        let best = Arch::new();
        if Self::of(best) <= self {
            return best;
        }
        #[cfg(target_arch = "x86_64")]
        if self >= Self::Avx2
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            return Arch::V3(simd);
        }
        Arch::Scalar
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, set)| set == self).map_or("scalar", |(name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Instructions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, set)| *set).ok_or_else(|| {
            let known = Self::NAMES.map(|(name, _)| name).join(", ");
            Error::Argument(format!("no instructions are called {text:?}; there are {known}"))
        })
    }
}

/// What is in use; chosen at the first call.
fn in_use() -> Arch {
    // Whoever loads a program has checked the variable.
    *IN_USE.get_or_init(|| {
        let cap = Instructions::from_environment().ok().flatten();
        cap.map_or_else(Arch::new, Instructions::or_less)
    })
}

/// Runs work within a function that may use the instructions in use.
#[inline(always)]
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    in_use().dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_unknown_ones_are_refused() {
        for (name, set) in Instructions::NAMES {
            assert_eq!(name.parse::<Instructions>().ok(), Some(set));
            assert_eq!(set.to_string(), name);
        }
        let refused = "sse9".parse::<Instructions>().map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err("no instructions are called \"sse9\"; there are avx512, avx2, neon, simd128, scalar".into())
        );
    }

    #[test]
    fn a_cap_is_never_exceeded() {
        for (_, set) in Instructions::NAMES {
            let used = Instructions::of(set.or_less());
            assert!(used <= set && used <= Instructions::best(), "{set} gave {used}");
        }
        assert_eq!(Instructions::of(Instructions::Scalar.or_less()), Instructions::Scalar);
        assert_eq!(Instructions::of(Instructions::Avx512.or_less()), Instructions::best());
    }

    #[test]
    fn what_was_used_stays() {
        let used = Instructions::in_use();
        assert!(used.cap().is_ok());
        if used != Instructions::Scalar {
            assert!(Instructions::Scalar.cap().is_err_and(|error| error.to_string().contains("already")));
        }
    }

    #[test]
    fn another_architecture_has_none() {
        let other = if cfg!(target_arch = "aarch64") { Instructions::Avx2 } else { Instructions::Neon };
        assert!(other.cap().is_err_and(|error| error.to_string().contains("has no")));
    }
}
