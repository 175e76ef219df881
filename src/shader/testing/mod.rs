//! For tests only: checks a kernel plan without a device, and runs one on whatever Vulkan adapter there is.

mod device;
mod files;
mod reflect;
#[path = "../../../tests/support/uniformity.rs"]
mod uniformity;

pub(crate) use device::{Runner, skipped};
pub(crate) use reflect::check;

use half::{bf16, f16};

use super::{Adapter, Chip, Limits};
use crate::scalar::Affine;
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// The adapters that kernel choices are tested for.
pub(crate) fn adapters() -> Vec<Adapter> {
    let software = |lanes: u32| Adapter {
        name: format!("software, {lanes} lanes"),
        is_software: true,
        subgroups: Some((lanes, lanes)),
        subgroup_barriers: lanes == 8,
        wide_integers: lanes == 8,
        cooperative: (lanes == 8).then_some(8),
        half_arithmetic: false,
        ..Adapter::default()
    };
    let large = Limits {
        storage_buffers: 64,
        workgroup_bytes: 32 << 10,
        workgroup_invocations: 1024,
        ..Adapter::default().limits
    };
    let matrices = |name: &str, subgroups: (u32, u32), size: usize| Adapter {
        name: format!("{name}, with matrix instructions"),
        subgroups: Some(subgroups),
        cooperative: Some(size),
        limits: large.clone(),
        ..Adapter::default()
    };
    vec![
        Adapter::default(),
        Adapter { name: "large".into(), subgroups: Some((32, 32)), limits: large.clone(), ..Adapter::default() },
        matrices("NVIDIA", (32, 32), 16),
        matrices("AMD", (32, 64), 16),
        matrices("Apple", (32, 32), 8),
        Adapter {
            name: "few registers".into(),
            chip: Chip::new(Chip::DISCRETE, (64, 64)),
            limits: large,
            ..Adapter::default()
        },
        software(4),
        software(8),
        software(16),
        Adapter { name: "software, no subgroups".into(), is_software: true, ..Adapter::default() },
    ]
}

/// Runs work on a pool of that number of threads.
pub(crate) fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

/// The same values every time, between −1 and 1, on a grid that sums exactly in most tests.
pub(crate) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    (0..count).map(|_| (next() % 257) as f32 / 128.0 - 1.0).collect()
}

/// Values as they are in memory: f32, f16 or bf16.
pub(crate) fn stored(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// Floats of 16 bits in memory, as f32.
pub(crate) fn widened(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    words
        .map(|bits| if dtype == DType::F16 { f16::from_bits(bits).to_f32() } else { bf16::from_bits(bits).to_f32() })
        .collect()
}

/// A row-major operand.
pub(crate) fn operand(dtype: DType, shape: &[usize]) -> Operand {
    Operand { ty: TensorType::new(dtype, shape), at: Affine::row_major(shape) }
}

/// Compares element by element, with NaN equal to NaN.
#[track_caller]
pub(crate) fn assert_close(label: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{label}");
    for (index, (&a, &b)) in got.iter().zip(want).enumerate() {
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0);
        assert!(close, "{label}: element {index} is {a}, not {b}");
    }
}
