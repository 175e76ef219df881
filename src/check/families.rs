//! The table of what is checked: reductions, products, movement and the rest. A new operator is one entry here.

use super::Family;
use super::elementwise;
use super::extreme::Extreme;
use super::input::Input;
use super::normalization;
use super::pools;
use crate::graph::Tensor;
use crate::ops::Combine;
use crate::ops::{Axes, Order, Running};
use crate::scalar::Reduction;
use crate::tensor::DType;

/// Sums of products, in any order.
const SUM: f64 = 2e-5;

/// Moderate numbers, and among them such as nothing can be divided by.
fn few(shape: &[usize]) -> Input {
    Input::uniform(shape, 0.5, 2.0, &[0.0, 1e-40, -1e-40])
}

/// One operand of 8 bits of precision, and a result of as many.
const BF16: f64 = 1.6e-2;

/// The same with 11 bits.
const F16: f64 = 2e-3;

/// Every family.
pub(super) fn all() -> Vec<Family> {
    // Functions are looked at over their whole domain by tests of their own.
    let mut families: Vec<Family> = elementwise::families().into_iter().map(|family| family.extremes(&[])).collect();
    families.extend(reductions());
    families.extend(products());
    families.extend(super::convolution::families());
    families.extend(super::attention::families());
    families.extend(super::recurrent::families());
    families.extend(movement());
    families.extend(indexed());
    families.extend(pools::families());
    // They have no inputs.
    families.extend(random().into_iter().map(|family| family.extremes(&[])));
    families.extend(normalization::families());
    families.extend(super::layers::families());
    families
}

/// Shapes and axes: one row, many rows, columns, both ends, the middle, and lengths around a workgroup's and beyond.
const REDUCED: &[(&[usize], &[isize])] = &[
    (&[1], &[0]),
    (&[7], &[0]),
    (&[256], &[0]),
    (&[1000], &[0]),
    (&[70_001], &[0]),
    (&[3, 5, 7], &[1]),
    (&[3, 5, 7], &[0, 2]),
    (&[64, 1024], &[1]),
    (&[1024, 64], &[0]),
    (&[5000, 3], &[0]),
    (&[2, 3000], &[1]),
    (&[2, 3, 4, 5], &[1, 2]),
    (&[4, 1, 6], &[1]),
];

fn reductions() -> Vec<Family> {
    let mut families = Vec::new();
    for reduction in Reduction::ALL {
        // Roundings of factors near 1 lean to one side.
        let tolerance = if reduction == Reduction::Product { 2e-4 } else { SUM };
        // Elsewhere it depends on the order what overflows.
        let extremes = match reduction {
            Reduction::Max | Reduction::Min | Reduction::ArgMax | Reduction::ArgMin => Extreme::WITH_LARGEST,
            Reduction::Sum | Reduction::Product | Reduction::LogSumExp => Extreme::USUAL,
        };
        let mut family = Family::new(format!("reduce/{}", reduction.name()), tolerance).extremes(extremes);
        for &(shape, axes) in REDUCED {
            let input = match reduction {
                // Near 1, lest a long product leave the range.
                Reduction::Product => Input::uniform(shape, 0.999, 1.001, &[]),
                // Many are equal: the first one counts, and gradients are shared.
                Reduction::Max | Reduction::Min | Reduction::ArgMax | Reduction::ArgMin => {
                    Input::some(shape, &[-2.0, 0.0, 1.5, 3.0])
                }
                Reduction::LogSumExp => Input::awkward(shape, 3.0, &[-80.0, 60.0]),
                Reduction::Sum => Input::normal(shape),
            };
            if matches!(reduction, Reduction::ArgMax | Reduction::ArgMin) && axes.len() > 1 {
                continue;
            }
            family = family.case([input], move |inputs| {
                let one = axes.len() == 1;
                inputs[0].reduce(reduction, Axes::from(axes).keepdim(one))
            });
        }
        families.push(family);
    }
    let fused = |name: &str, build: fn(&Tensor, &[isize]) -> Tensor| {
        REDUCED.iter().fold(Family::new(format!("reduce/{name}"), SUM), |family, &(shape, axes)| {
            family.case([Input::normal(shape)], move |inputs| build(&inputs[0], axes))
        })
    };
    families.push(fused("mean", |x, axes| x.mean(axes)));
    families.push(fused("variance", |x, axes| x.variance(axes, 0)));
    families.push(fused("norm", |x, axes| (x.square().sum(axes) + 1.0).sqrt()));
    let rows: &[&[usize]] =
        &[&[1, 1], &[3, 10], &[33, 257], &[2, 5000], &[4, 3, 64], &[70, 37], &[130, 64], &[64, 3000]];
    for (name, build) in
        [("softmax", (|x| x.softmax(-1)) as fn(&Tensor) -> Tensor), ("log_softmax", |x| x.log_softmax(-1))]
    {
        families.push(rows.iter().fold(Family::new(name, SUM), |family, shape| {
            family.case([Input::awkward(shape, 3.0, &[-60.0, 60.0])], move |inputs| build(&inputs[0]))
        }));
    }
    families.extend(totals_of_rows());
    // Short ones, so that a gradient meets one, two or three factors that nothing can be divided by. There are infinities in the others:
    // times what a driver takes for 0, they are NaN.
    families.push(
        Family::new("reduce/product_of_few", SUM)
            .extremes(&[])
            .case([few(&[60, 4])], |inputs| inputs[0].product(1))
            .case([few(&[3, 60])], |inputs| inputs[0].product(0)),
    );
    families
}

/// Many rows, whose elements are in groups of four or not; in the last, a row is of two dimensions.
const MANY_ROWS: &[(&[usize], usize)] =
    &[(&[64, 2], 1), (&[70, 37], 1), (&[130, 64], 1), (&[64, 3000], 1), (&[9, 8, 3, 4], 2)];

/// What needs totals of rows at each of their elements, or for other totals.
fn totals_of_rows() -> Vec<Family> {
    type Build = fn(&Tensor, &[isize]) -> Tensor;
    fn total(x: &Tensor, reduction: Reduction, axes: &[isize]) -> Tensor {
        x.reduce(reduction, Axes::from(axes).keepdim(true))
    }
    let builds: [(&str, Build, &'static [Extreme]); 6] = [
        ("sum", |x, axes| x - &total(x, Reduction::Sum, axes), Extreme::USUAL),
        ("product", |x, axes| x * &total(x, Reduction::Product, axes), Extreme::USUAL),
        ("max", |x, axes| x - &total(x, Reduction::Max, axes), Extreme::WITH_LARGEST),
        ("min", |x, axes| x - &total(x, Reduction::Min, axes), Extreme::WITH_LARGEST),
        ("log_sum_exp", |x, axes| x - &total(x, Reduction::LogSumExp, axes), Extreme::USUAL),
        (
            "spread",
            |x, axes| {
                let difference = x - &(total(x, Reduction::Sum, axes) * 0.125);
                &difference / &(total(&difference.square(), Reduction::Sum, axes) + 1.0).sqrt()
            },
            Extreme::USUAL,
        ),
    ];
    let family = |(name, build, extremes): (&str, Build, &'static [Extreme])| {
        let tolerance = if name == "product" { 2e-4 } else { SUM };
        let family = Family::new(format!("rows/{name}"), tolerance).extremes(extremes);
        MANY_ROWS.iter().fold(family, |family, &(shape, axes)| {
            let input = match name {
                "product" => Input::uniform(shape, 0.999, 1.001, &[]),
                "log_sum_exp" => Input::awkward(shape, 3.0, &[-80.0, 60.0]),
                _ => Input::normal(shape),
            };
            let axes: Vec<isize> = (1..=axes as isize).map(|axis| -axis).collect();
            family.case([input], move |inputs| build(&inputs[0], &axes))
        })
    };
    builds.into_iter().map(family).collect()
}

/// Sums of products with the shapes of their operands.
const EQUATIONS: &[(&str, &[usize], &[usize])] = &[
    ("bhqd,bhkd->bhqk", &[2, 3, 5, 8], &[2, 3, 7, 8]),
    ("bii,...ij->bj", &[4, 6, 6], &[6, 9]),
    ("i,jk", &[33], &[5, 7]),
];

/// The same in whole groups of four, which real GPUs read at once: one group, tiles and their edges, long and thin.
const GROUPED: &[[usize; 3]] =
    &[[4, 4, 4], [36, 20, 44], [132, 64, 136], [128, 784, 12], [12, 2052, 16], [300, 8, 300], [64, 256, 64]];

/// Rows, inner extent and columns: single ones, primes, tiles and their edges, long and thin.
const PRODUCTS: &[[usize; 3]] = &[
    [1, 1, 1],
    [1, 7, 1],
    [5, 3, 2],
    [17, 33, 9],
    [64, 64, 64],
    [65, 129, 63],
    [32, 100, 64],
    [128, 784, 10],
    [1, 512, 10],
    [300, 1, 300],
    [33, 2000, 17],
    [130, 70, 260],
];

fn products() -> Vec<Family> {
    let plain = |name: &str, left: bool, right: bool| {
        PRODUCTS.iter().chain(GROUPED).fold(Family::new(format!("matmul/{name}"), SUM), |family, &[m, k, n]| {
            let lhs = if left { [k, m] } else { [m, k] };
            let rhs = if right { [n, k] } else { [k, n] };
            // Small factors keep the sums near 1, where the tolerance is relative to.
            let lhs = Input::awkward(&lhs, (k as f64).sqrt().recip(), &[]);
            family.case([lhs, Input::normal(&rhs)], move |inputs| {
                let oriented = |tensor: &Tensor, transposed: bool| {
                    if transposed { tensor.transpose(0, 1) } else { tensor.clone() }
                };
                oriented(&inputs[0], left).matmul(&oriented(&inputs[1], right))
            })
        })
    };
    let mut families =
        vec![plain("nn", false, false), plain("nt", false, true), plain("tn", true, false), plain("tt", true, true)];
    let pairs: &[(&[usize], &[usize])] = &[
        (&[3, 5, 7], &[3, 7, 2]),
        (&[3, 5, 7], &[7, 2]),
        (&[2, 1, 33, 20], &[4, 20, 40]),
        (&[9, 64, 16], &[9, 16, 64]),
    ];
    families.push(pairs.iter().fold(Family::new("matmul/batched", SUM), |family, &(lhs, rhs)| {
        family.case([Input::normal(lhs), Input::normal(rhs)], |inputs| inputs[0].matmul(&inputs[1]))
    }));
    let pairs: &[(&[usize], &[usize])] = &[(&[7], &[7]), (&[5, 7], &[7]), (&[7], &[7, 3])];
    families.push(pairs.iter().fold(Family::new("matmul/vectors", SUM), |family, &(lhs, rhs)| {
        family.case([Input::normal(lhs), Input::normal(rhs)], |inputs| inputs[0].matmul(&inputs[1]))
    }));
    families.push(PRODUCTS.iter().fold(Family::new("matmul/epilogue", SUM), |family, &[m, k, n]| {
        let lhs = Input::awkward(&[m, k], (k as f64).sqrt().recip(), &[]);
        let inputs = [lhs, Input::normal(&[n, k]), Input::normal(&[n]), Input::normal(&[m, n])];
        family.case(inputs, |inputs| {
            let product = inputs[0].matmul(&inputs[1].transpose(0, 1));
            (product + &inputs[2]).tanh() * &inputs[3]
        })
    }));
    families.push(EQUATIONS.iter().fold(Family::new("matmul/einsum", SUM), |family, &(equation, lhs, rhs)| {
        let inputs = [Input::uniform(lhs, -0.5, 0.5, &[]), Input::uniform(rhs, -0.5, 0.5, &[])];
        family.case(inputs, move |inputs| inputs[0].graph().einsum(equation, &[&inputs[0], &inputs[1]]))
    }));
    families.push(
        Family::new("matmul/determinant", SUM)
            .case([Input::uniform(&[5, 3, 3], -1.0, 1.0, &[])], |inputs| inputs[0].determinant())
            .case([Input::uniform(&[6, 6], -1.0, 1.0, &[])], |inputs| inputs[0].determinant()),
    );
    families.extend(halves());
    families
}

/// Products of 16 bits: one, and one of another's result, which its kernel rounds and stores in 16 bits where rows are groups of
/// four.
fn halves() -> Vec<Family> {
    let mut families = Vec::new();
    for (name, dtype, tolerance) in [("bf16", DType::BF16, BF16), ("f16", DType::F16, F16)] {
        let inputs = |m: usize, k: usize, n: usize| {
            let bound = 1.0 / (k as f64).sqrt();
            vec![Input::uniform(&[m, k], -bound, bound, &[]), Input::uniform(&[k, n], -1.0, 1.0, &[])]
        };
        let one = PRODUCTS.iter().chain(GROUPED).fold(
            Family::new(format!("matmul/{name}"), tolerance),
            |family, &[m, k, n]| {
                family.forward(inputs(m, k, n), move |_, inputs| {
                    vec![inputs[0].cast(dtype).matmul(&inputs[1].cast(dtype)).cast(DType::F32)]
                })
            },
        );
        let two = [[4, 8, 4], [33, 20, 12], [36, 24, 132], [128, 2052, 12], [5, 7, 3]].iter().fold(
            Family::new(format!("matmul/{name}/twice"), tolerance),
            |family, &[m, k, n]| {
                let mut inputs = inputs(m, k, n);
                let bound = 1.0 / (n as f64).sqrt();
                inputs.push(Input::uniform(&[8, n], -bound, bound, &[]));
                family.forward(inputs, move |_, inputs| {
                    let hidden = inputs[0].cast(dtype).matmul(&inputs[1].cast(dtype)).relu();
                    vec![hidden.matmul(&inputs[2].cast(dtype).transpose(0, 1)).cast(DType::F32)]
                })
            },
        );
        families.extend([one, two]);
    }
    families
}

fn movement() -> Vec<Family> {
    let one = |name: &str, shape: &[usize], build: fn(&Tensor) -> Tensor| {
        Family::new(format!("movement/{name}"), 0.0).case([Input::normal(shape)], move |inputs| build(&inputs[0]))
    };
    vec![
        one("reshape", &[6, 35], |x| x.reshape([7, 5, 6]) * 2.0),
        one("permute", &[3, 5, 70], |x| x.permute(&[2, 0, 1])),
        one("transpose", &[129, 65], |x| x.transpose(0, 1)),
        Family::new("movement/broadcast", SUM)
            .case([Input::normal(&[5, 1])], |inputs| inputs[0].broadcast_to([4, 5, 33]))
            .case([Input::normal(&[])], |inputs| inputs[0].broadcast_to([1025])),
        one("slice", &[20, 33], |x| x.slice_steps(&[1, 30], &[6, 10], &[3, -2])),
        one("flip", &[9, 5, 3], |x| x.flip(&[0, 2])),
        Family::new("movement/pad", 0.0)
            .extremes(Extreme::WITH_LARGEST)
            .case([Input::normal(&[5, 6])], |inputs| inputs[0].pad(&[1, 0], &[0, 3], -1.5))
            .case([Input::normal(&[5, 6])], |inputs| inputs[0].pad_between(&[1, 2], &[3, 0], &[2, 1], 0.0)),
        Family::new("movement/concat", 0.0)
            .extremes(Extreme::WITH_LARGEST)
            .case([Input::normal(&[4, 3]), Input::normal(&[4, 5]), Input::normal(&[4, 1])], |inputs| {
                inputs[0].graph().concat(&[&inputs[0], &inputs[1], &inputs[2]], 1)
            }),
        Family::new("movement/coordinates", 0.0)
            .forward([], |g, _| vec![g.coordinate([3, 300, 5], 1)])
            // More workgroups than one dimension of a dispatch has.
            .forward([], |g, _| vec![g.coordinate([16_900_001], 0).max([0])])
            .forward([], |g, _| vec![(g.coordinate([16_900_001], 0) * 3).slice(0, 16_899_900, 16_900_001)]),
    ]
}

fn indexed() -> Vec<Family> {
    let sorted = |family: Family, shape: &'static [usize]| {
        // Many equal values: the order of their indices is part of the definition.
        family.forward([Input::some(shape, &[1.0, -2.0, 0.5, 7.0])], |_, inputs| {
            let ((up, up_indices), (down, down_indices)) =
                (inputs[0].sort(-1, Order::Ascending), inputs[0].sort(-1, Order::Descending));
            vec![up, up_indices, down, down_indices]
        })
    };
    vec![
        Family::new("index/take", SUM)
            .case([Input::normal(&[50, 17]), Input::integers(&[4, 6], 0, 50)], |inputs| inputs[0].take(0, &inputs[1]))
            .case([Input::normal(&[3, 7, 2]), Input::integers(&[300], 0, 7)], |inputs| inputs[0].take(1, &inputs[1])),
        Family::new("index/gather", SUM)
            .case([Input::normal(&[5, 9]), Input::integers(&[5, 4], 0, 9)], |inputs| inputs[0].gather(1, &inputs[1]))
            .case([Input::normal(&[70, 3]), Input::integers(&[200, 3], 0, 70)], |inputs| {
                inputs[0].gather(0, &inputs[1])
            }),
        Family::new("index/scatter_add", SUM)
            .case([Input::normal(&[5, 9]), Input::integers(&[5, 40], 0, 9), Input::normal(&[5, 40])], |inputs| {
                inputs[0].scatter_add(1, &inputs[1], &inputs[2])
            })
            .case([Input::normal(&[7, 6]), Input::integers(&[100, 6], 0, 7), Input::normal(&[100, 6])], |inputs| {
                inputs[0].scatter_add(0, &inputs[1], &inputs[2])
            }),
        Family::new("index/scatter_rows", SUM)
            .case([Input::normal(&[9, 5]), Input::integers(&[64], 0, 9), Input::normal(&[64, 5])], |inputs| {
                inputs[0].scatter_rows(&inputs[1], &inputs[2])
            })
            .case([Input::normal(&[1000, 33]), Input::integers(&[700], 0, 1000), Input::normal(&[700, 33])], |inputs| {
                inputs[0].scatter_rows(&inputs[1], &inputs[2])
            })
            .case([Input::normal(&[3, 9, 5]), Input::integers(&[70], 0, 9), Input::normal(&[3, 70, 5])], |inputs| {
                inputs[0].index_add(1, &inputs[1], &inputs[2])
            }),
        // A base that nobody else reads is updated where it is.
        [(7, 3), (1000, 150)].into_iter().fold(Family::new("index/update", SUM), |family, (n, m)| {
            let inputs = || [Input::normal(&[2, n, 5]), Input::integers(&[m], 0, n as i64), Input::normal(&[2, m, 5])];
            family
                .case(inputs(), |inputs| inputs[0].tanh().index_add(1, &inputs[1], &inputs[2]))
                .case(inputs(), |inputs| inputs[0].tanh().index_copy(1, &inputs[1], &inputs[2]))
        }),
        [Combine::Product, Combine::Max, Combine::Min, Combine::Last].into_iter().fold(
            Family::new("index/scatter", SUM),
            |family, combine| {
                // Around 1, so that products of many stay moderate.
                let around = |shape: &[usize]| Input::uniform(shape, 0.6, 1.4, &[1.0]);
                family
                    .case([around(&[5, 9]), Input::integers(&[5, 40], 0, 9), around(&[5, 40])], move |inputs| {
                        inputs[0].scatter(1, &inputs[1], &inputs[2], combine)
                    })
                    .case([around(&[7, 6]), Input::integers(&[90, 6], 0, 7), around(&[90, 6])], move |inputs| {
                        inputs[0].scatter(0, &inputs[1], &inputs[2], combine)
                    })
                    .case([around(&[9, 5]), Input::integers(&[64, 1], 0, 9), around(&[64, 5])], move |inputs| {
                        inputs[0].scatter_nd(&inputs[1], &inputs[2], combine)
                    })
            },
        ),
        Family::new("index/scatter_few", SUM)
            .extremes(&[])
            .case([few(&[30]), Input::integers(&[60], 0, 30), few(&[60])], |inputs| {
                inputs[0].scatter(0, &inputs[1], &inputs[2], Combine::Product)
            })
            .case([few(&[20, 5]), Input::integers(&[40, 1], 0, 20), few(&[40, 5])], |inputs| {
                inputs[0].scatter_nd(&inputs[1], &inputs[2], Combine::Product)
            }),
        Family::new("index/one_hot", 0.0)
            .forward([Input::integers(&[77], 0, 10)], |_, inputs| vec![inputs[0].one_hot(10, DType::F32)]),
        [&[1][..], &[7], &[3, 64], &[2, 1000], &[5, 257]]
            .into_iter()
            .fold(Family::new("index/sort", 0.0).extremes(Extreme::WITH_LARGEST), sorted),
        [&[1][..], &[7], &[3, 64], &[2, 1000], &[5, 257]].into_iter().fold(
            Family::new("index/search_sorted", 0.0).extremes(Extreme::WITH_LARGEST),
            |family, shape| {
                family.forward([Input::some(shape, &[1.0, -2.0, 0.5, 7.0]), Input::normal(shape)], |_, inputs| {
                    let rows = inputs[0].sort(-1, Order::Ascending).0;
                    let values = inputs[0].concat(&[&inputs[1]], -1);
                    vec![rows.search_sorted(&values), rows.search_sorted_right(&values)]
                })
            },
        ),
        Family::new("index/top_k", 0.0).extremes(Extreme::WITH_LARGEST).forward(
            [Input::normal(&[6, 100])],
            |_, inputs| {
                let (values, indices) = inputs[0].top_k(5, -1);
                vec![values, indices]
            },
        ),
        [(&[1][..], 0), (&[1000], 0), (&[3, 5, 7], 1), (&[40, 300], 1), (&[300, 40], 0)].into_iter().fold(
            Family::new("index/cumulative_sum", SUM),
            |family, (shape, axis)| {
                family
                    .case([Input::normal(shape)], move |inputs| inputs[0].cumulative_sum(axis))
                    .case([Input::normal(shape)], move |inputs| {
                        inputs[0].cumulative_sum(Running::along(axis).reverse().exclusive())
                    })
            },
        ),
        Family::new("index/cumulative_product", SUM)
            .case([Input::uniform(&[3, 17, 5], 0.6, 1.4, &[0.0])], |inputs| inputs[0].cumulative_product(1))
            .case([Input::uniform(&[6, 40], 0.6, 1.4, &[])], |inputs| {
                inputs[0].cumulative_product(Running::along(-1).reverse().exclusive())
            }),
    ]
}

fn random() -> Vec<Family> {
    vec![
        Family::new("random/bits", 0.0).forward([], |g, _| vec![g.random_bits([1001]), g.random_bits([3, 5])]),
        Family::new("random/uniform", 1e-6).forward([], |g, _| vec![g.random_uniform([1001], -2.0, 3.0)]),
        Family::new("random/normal", 5e-5).forward([], |g, _| vec![g.random_normal([1001], 1.0, 2.0)]),
        Family::new("random/bernoulli", 0.0).forward([], |g, _| vec![g.random_bernoulli([1001], 0.3)]),
        Family::new("random/choice", 0.0)
            .forward([], |g, _| vec![g.random_choice([1001], &[3.0, 0.0, 1.0, 0.5]), g.random_choice([3, 5], &[2.0])]),
    ]
}
