//! Mistakes made with pools and interpolations, and the lines that they and their gradients carry.

use wgrad::ops::{AvgPool, Interpolate, Interpolation, LpPool, MaxPool, Padding};
use wgrad::prelude::*;

/// Every method, with arguments that seldom fit.
pub fn call_pools(x: &Tensor) {
    for size in [0, 1, 3, 1 << 40, usize::MAX] {
        let _ = (x.max_pool(&MaxPool::new(size)), x.avg_pool(&AvgPool::new([2, size])));
        let _ = x.max_pool(&MaxPool::new(2).stride(size).padding(size).dilation(size).ceil_mode(true));
        let _ = x.max_pool(&MaxPool::new(size).stride(1).padding(Padding::Same).dilation(size));
        let _ = x.avg_pool(&AvgPool::new(2).stride(size).padding([[size, 1]]).divisor_override(size));
        let _ = x.avg_pool(&AvgPool::new(2).stride(size).dilation(size).ceil_mode(true).count_include_pad(false));
        let _ = (x.lp_pool(&LpPool::new(2.0, size)), x.lp_pool(&LpPool::new(f64::NAN, 2).stride(size).ceil_mode(true)));
        let _ = (x.adaptive_avg_pool(size), x.adaptive_max_pool([size, 1]), x.interpolate(&Interpolate::size(size)));
    }
    for factor in [0.0, -1.0, 0.4, 2.0, 1e30, f64::NAN, f64::INFINITY] {
        for mode in [Interpolation::Nearest, Interpolation::NearestExact, Interpolation::Linear, Interpolation::Cubic] {
            let _ = x.interpolate(&Interpolate::scale_factor(factor).mode(mode).align_corners(factor > 0.5));
        }
    }
    let _ = (x.interpolate(&Interpolate::scale_factors([])), x.global_avg_pool(), x.global_max_pool());
}

#[test]
fn each_mistake_is_told_with_its_line() {
    /// What went wrong, in a graph of its own.
    fn told(dims: &[usize], dtype: DType, build: impl FnOnce(&Tensor) -> Tensor) -> String {
        let g = Graph::new();
        let y = build(&g.input("x", dims, dtype));
        call_pools(&y);
        call_pools(&g.find("x").unwrap());
        g.compile(&Device::cpu()).err().map(|error| error.to_string()).unwrap_or_default()
    }
    let line = line!() + 3;
    #[rustfmt::skip] // A case a line: their lines are counted.
    let cases = [
        (told(&[1, 1, 2], F32, |x| x.max_pool(&MaxPool::new(3))), "max_pool", "kernel of 3 spans 3 elements"),
        (told(&[1, 1, 5], F32, |x| x.max_pool(&MaxPool::new(2).stride(0))), "max_pool", "stride is [0], and must be"),
        (told(&[1, 1, 5], F32, |x| x.max_pool(&MaxPool::new(0))), "max_pool", "kernel is [0], and must be"),
        (told(&[1, 5], F32, |x| x.max_pool(&MaxPool::new(2))), "max_pool", "one to three spatial axes, not shape [1, 5]"),
        (told(&[1; 6], F32, |x| x.avg_pool(&AvgPool::new(1))), "avg_pool", "one to three spatial axes"),
        (told(&[1, 1, 5], I32, |x| x.max_pool(&MaxPool::new(2))), "max_pool", "wants floats, not i32; cast first"),
        (told(&[1, 1, 5], I32, |x| x.avg_pool(&AvgPool::new(2))), "avg_pool", "wants floats, not i32"),
        (told(&[1, 1, 5], I32, |x| x.lp_pool(&LpPool::new(2.0, 2))), "lp_pool", "wants floats, not i32"),
        (told(&[1, 1, 5], Bool, |x| x.adaptive_avg_pool(1)), "adaptive_avg_pool", "wants floats, not bool"),
        (told(&[1, 1, 5], U8, |x| x.adaptive_max_pool(2)), "adaptive_max_pool", "wants floats, not u8"),
        (told(&[1, 1, 5], I32, |x| x.global_avg_pool()), "global_avg_pool", "wants floats, not i32"),
        (told(&[1, 1, 5], I32, |x| x.interpolate(&Interpolate::size(3))), "interpolate", "wants floats, not i32"),
        (told(&[1, 1, 5], F32, |x| x.max_pool(&MaxPool::new(3).padding(2))), "max_pool", "may be half the kernel at most"),
        (told(&[1, 1, 5], F32, |x| x.avg_pool(&AvgPool::new(2).padding([[0, 2]]))), "avg_pool", "padding is 0 + 2"),
        (told(&[1, 1, 5], F32, |x| x.avg_pool(&AvgPool::new(2).divisor_override(0))), "avg_pool", "divisor_override is 0"),
        (told(&[1, 1, 5], F32, |x| x.lp_pool(&LpPool::new(-1.0, 2))), "lp_pool", "the power is -1"),
        (told(&[1, 1, 5], F32, |x| x.adaptive_avg_pool(0)), "adaptive_avg_pool", "cannot make 0 windows"),
        (told(&[1, 1, 0], F32, |x| x.adaptive_max_pool(2)), "adaptive_max_pool", "of 0 elements"),
        (told(&[1, 1, 0], F32, |x| x.max_pool(&MaxPool::new(2).padding(1))), "max_pool", "an axis of no elements"),
        (told(&[1, 1, 5], F32, |x| x.interpolate(&Interpolate::size([2, 3]))), "interpolate", "size is [2, 3]"),
        (told(&[1, 1, 5], F32, |x| x.interpolate(&Interpolate::scale_factor(0.0))), "interpolate", "scale_factor is 0"),
    ];
    for (number, (text, operator, part)) in cases.iter().enumerate() {
        assert!(text.contains(&format!("{operator}: ")) && text.contains(part), "{text:?}; wanted {operator}: {part}");
        let origin = format!("tests/mistakes/pools.rs:{}", line + number as u32);
        assert!(text.contains(&origin), "{text:?}; wanted {origin}");
    }
}

#[test]
fn every_node_carries_the_users_line() {
    let g = Graph::new();
    let x = g.input("x", [2, 3, 7, 5], F32);
    let large = g.input("large", [1, 1, 40, 41], F32);
    let linear = Interpolate::size([3, 9]).mode(Interpolation::Linear);
    let results = [
        x.max_pool(&MaxPool::new(2).ceil_mode(true)),
        x.avg_pool(&AvgPool::new(3).padding(1).stride(2).count_include_pad(false).ceil_mode(true)),
        x.lp_pool(&LpPool::new(2.0, [3, 2])),
        x.adaptive_avg_pool([3, 2]),
        x.adaptive_max_pool([3, 2]),
        x.global_avg_pool() + x.global_max_pool(),
        x.interpolate(&Interpolate::scale_factor(2.0)),
        x.interpolate(&linear),
        large.max_pool_with_indices(&MaxPool::new(35)).1.cast(F32),
        large.max_pool(&MaxPool::new(35)),
        large.adaptive_avg_pool([1, 2]),
    ];
    let loss = results.iter().fold(x.sum_all(), |sum, part| sum + part.sum_all());
    let first = g.gradients(&loss.sin(), &[&x, &large]);
    let second = g.gradients(&first[0].square().sum_all(), &[&x]).swap_remove(0);
    g.output("first", &first[1]);
    g.output("second", &second);
    let session = g.compile(&Device::cpu()).unwrap();
    let printed = &session.program().stages().graph;
    let strangers: Vec<&str> =
        printed.lines().filter(|line| line.starts_with('%') && !line.contains("// tests/mistakes/pools.rs:")).collect();
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}
