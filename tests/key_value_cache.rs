//! Models that write token by token with a cache of keys and values say what they say of the whole sequence at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use support::devices::{devices, slack};
use wgrad::nn::{AttentionInputs, CachePosition, KeyValueCache, Position, PositionLayer, Scope, Transformer};
use wgrad::ops::{Score, ScoreDefinition};
use wgrad::prelude::*;
use wgrad::session::Program;

const WIDTH: usize = 16;
const WORDS: usize = 23;
const BATCH: usize = 3;
const CAPACITY: usize = 12;

fn tokens(length: usize) -> Vec<Vec<i32>> {
    (0..BATCH)
        .map(|row| (0..length).map(|index| ((7 * row + 5 * index * index + index) % WORDS) as i32).collect())
        .collect()
}

fn tensor(rows: &[Vec<i32>], from: usize, to: usize) -> TensorData {
    let some: Vec<i32> = rows.iter().flat_map(|row| row[from..to].iter().copied()).collect();
    TensorData::from_vec(some, [rows.len(), to - from]).unwrap()
}

/// Vectors of words at positions.
fn read(g: &Graph, tokens: &Tensor, cache: Option<&KeyValueCache>, position: Position) -> Tensor {
    let words = nn::Embedding::new(g, "words", WORDS, WIDTH).forward(tokens);
    let (layer, at) = (PositionLayer { position }, Scope::new(g, "positions", Mode::Evaluation));
    match cache {
        Some(cache) => layer.forward_at(&at, &words, &cache.positions(tokens.shape()[1]), CAPACITY),
        None => nn::Layer::forward(&layer, &at, &words),
    }
}

/// A stack that only decodes, of so many new tokens or of a whole sequence.
fn decoder_only(options: &Transformer, position: Position, length: usize, cached: bool) -> Graph {
    let g = Graph::new();
    let tokens = g.input("tokens", [BATCH, length], I32);
    let cache = cached.then(|| KeyValueCache::new(&g, "cache", BATCH, CAPACITY, &g.input("position", [BATCH], I32)));
    let x = read(&g, &tokens, cache.as_ref(), position);
    let inputs = AttentionInputs { cache: cache.as_ref(), ..AttentionInputs::default() };
    let y = options.build_encoder(&g, "stack", WIDTH).forward(&x, inputs, Mode::Evaluation);
    g.output("y", &nn::Linear::new(&g, "head", WIDTH, WORDS).forward(&y));
    g
}

/// The largest difference to the positions from `from` on of `[batch, length, …]`.
fn difference(found: &TensorData, whole: &TensorData, from: usize) -> f64 {
    let (shape, all) = (found.shape(), whole.shape());
    let (new, width) = (shape[1], shape[2]);
    let whole = whole.to_f64_vec();
    let near = |(index, value): (usize, f64)| {
        let (row, rest) = (index / (new * width), index % (new * width));
        (value - whole[(row * all[1] + from) * width + rest]).abs()
    };
    let worst = found.to_f64_vec().into_iter().enumerate().map(near);
    worst.fold(0.0, |worst, one| if one.is_nan() { f64::INFINITY } else { f64::max(worst, one) })
}

#[test]
fn token_by_token_is_as_the_whole() {
    // By the distance, which is of positions and not of indices in a run.
    let nearer = ScoreDefinition::new("nearer").score(|s| s.score() + (s.key() - s.query()).to_float() * 0.2).unwrap();
    let options = Transformer::new(4).layers(2).feed_forward(24);
    let learned = Position::Learned { longest: CAPACITY };
    let cases = [
        (options.clone().score(Score::causal()), learned),
        (options.clone().norm_first().score(Score::causal()), Position::Sinusoidal),
        (options.clone().without_bias().score(Score::causal().and(&Score::window(3, 0))), learned),
        (options.score(nearer.and(&Score::window(4, 0))), Position::Sinusoidal),
    ];
    for device in devices() {
        for (options, position) in &cases {
            let rows = tokens(CAPACITY);
            let mut session = decoder_only(options, *position, CAPACITY, false).compile(&device).unwrap();
            let whole = session.run(&[("tokens", &tensor(&rows, 0, CAPACITY))]).unwrap()["y"].clone();
            let programs: Vec<(usize, Program)> = [1, 2, 5]
                .into_iter()
                .map(|new| (new, session.load(&decoder_only(options, *position, new, true)).unwrap()))
                .collect();
            // A prompt in one run; then a token a run, and two at a time; twice, since what a first sequence left is not seen.
            for parts in [[5, 1, 1, 1, 1, 1, 1, 1].as_slice(), &[2, 1, 2, 2, 1, 2, 2], &[1; 12]] {
                let mut at = CachePosition::new(BATCH, CAPACITY);
                for &new in parts {
                    let from = at.filled();
                    let (given, position) = (tensor(&rows, from, from + new), at.advance(new).unwrap());
                    let program = &programs.iter().find(|(own, _)| *own == new).unwrap().1;
                    let found = session.using(program).run(&[("tokens", &given), ("position", &position)]).unwrap();
                    let worst = difference(&found["y"], &whole, from);
                    assert!(worst < 1e-5 * slack(&device), "{options:?} on {device:?}, {new} from {from}: {worst}");
                }
                assert_eq!(at.filled(), CAPACITY);
            }
        }
    }
}

/// An encoder and a decoder; the encoder's result is remembered by one program and used by another.
#[test]
fn a_memory_is_computed_once() {
    const SOURCE: usize = 6;
    const LENGTH: usize = 7;
    for norm_first in [false, true] {
        let mut options = Transformer::new(2).layers(2).feed_forward(24);
        options.norm_first = norm_first;
        let encode = |g: &Graph| {
            let lengths = g.input("lengths", [BATCH], I32);
            let of_source = AttentionInputs { lengths: Some(&lengths), ..AttentionInputs::default() };
            let x = read(g, &g.input("source", [BATCH, SOURCE], I32), None, Position::Sinusoidal);
            (options.build_encoder(g, "encoder", WIDTH).forward(&x, of_source, Mode::Evaluation), lengths)
        };
        for device in devices() {
            let g = Graph::new();
            let (memory, lengths) = encode(&g);
            let of_memory = AttentionInputs { lengths: Some(&lengths), ..AttentionInputs::default() };
            let x = nn::Embedding::new(&g, "target", WORDS, WIDTH).forward(&g.input("tokens", [BATCH, LENGTH], I32));
            let own = AttentionInputs::default();
            let decoder = options.build_decoder(&g, "decoder", WIDTH);
            let (y, weights) = decoder.forward_with_weights((&x, own), (&memory, of_memory), Mode::Evaluation);
            g.output("y", &y);
            g.output("plain", &decoder.forward((&x, own), (&memory, of_memory), Mode::Evaluation));
            g.output("weights", weights.last().unwrap());
            let mut session = g.compile(&device).unwrap();
            let at_once = session.program().clone();
            let rows = tokens(LENGTH);
            let (source, target) = (tensor(&tokens(SOURCE), 0, SOURCE), tensor(&rows, 0, LENGTH));
            let lengths = TensorData::from_slice(&[6, 2, 4], [BATCH]).unwrap();
            let whole = session.run(&[("source", &source), ("lengths", &lengths), ("tokens", &target)]).unwrap();
            assert!(difference(&whole["y"], &whole["plain"], 0) < 1e-6);
            // Each row of weights sums to one, and nothing is behind a source's end.
            let weights = whole["weights"].to_f64_vec();
            for (index, row) in weights.chunks_exact(SOURCE).enumerate() {
                let seen = [6, 2, 4][index / (2 * LENGTH)];
                let (inside, behind) = row.split_at(seen);
                assert!((inside.iter().sum::<f64>() - 1.0).abs() < 1e-5 && behind.iter().all(|&weight| weight == 0.0));
            }

            let cached = |g: &Graph| KeyValueCache::new(g, "cache", BATCH, CAPACITY, &g.input("position", [1], I32));
            let g = Graph::new();
            options.build_decoder(&g, "decoder", WIDTH).remember(&encode(&g).0, &cached(&g));
            let remember = session.load(&g).unwrap();
            let g = Graph::new();
            let cache = cached(&g).reordered(&g.input("parents", [BATCH], I32));
            let lengths_of = g.input("lengths", [BATCH], I32);
            let of_memory = AttentionInputs { lengths: Some(&lengths_of), ..AttentionInputs::default() };
            let x = nn::Embedding::new(&g, "target", WORDS, WIDTH).forward(&g.input("tokens", [BATCH, 1], I32));
            let own = AttentionInputs { cache: Some(&cache), ..AttentionInputs::default() };
            let decoder = options.build_decoder(&g, "decoder", WIDTH);
            g.output("y", &decoder.forward_remembered((&x, own), (SOURCE, of_memory), Mode::Evaluation));
            let step = session.load(&g).unwrap();

            // Each sequence of a batch has its own memory, so that of one repeated source serves for the order.
            for turned in [false, true] {
                let one = |data: &TensorData| {
                    let own = data.to_vec::<i32>().unwrap();
                    let width = own.len() / BATCH;
                    let rows = (0..BATCH)
                        .flat_map(|row| own[if turned { 0..width } else { row * width..(row + 1) * width }].to_vec());
                    TensorData::from_vec(rows.collect(), data.shape().clone()).unwrap()
                };
                let (source, lengths) = (one(&source), one(&lengths));
                let whole = session
                    .using(&at_once)
                    .run(&[("source", &source), ("lengths", &lengths), ("tokens", &target)])
                    .unwrap()["y"]
                    .clone();
                session.using(&remember).run(&[("source", &source), ("lengths", &lengths)]).unwrap();
                let mut order: Vec<usize> = vec![0, 1, 2];
                for at in 0..LENGTH {
                    let parents: Vec<i32> = if turned { vec![1, 2, 0] } else { vec![0, 1, 2] };
                    if at > 0 {
                        order = parents.iter().map(|&parent| order[parent as usize]).collect();
                    }
                    let given: Vec<Vec<i32>> = order.iter().map(|&row| rows[row].clone()).collect();
                    let (position, parents) = (
                        TensorData::from_vec(vec![at as i32], [1]).unwrap(),
                        TensorData::from_vec(parents, [BATCH]).unwrap(),
                    );
                    let inputs = [
                        ("tokens", &tensor(&given, at, at + 1)),
                        ("position", &position),
                        ("parents", &parents),
                        ("lengths", &lengths),
                    ];
                    let found = session.using(&step).run(&inputs).unwrap()["y"].to_f64_vec();
                    let all = whole.to_f64_vec();
                    for (slot, &row) in order.iter().enumerate() {
                        for feature in 0..WIDTH {
                            let (here, right) =
                                (found[slot * WIDTH + feature], all[(row * LENGTH + at) * WIDTH + feature]);
                            let near = (here - right).abs() < 1e-5 * slack(&device);
                            assert!(
                                near,
                                "turned {turned}, token {at}, sequence {slot}: {here} and {right} on {device:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut at = CachePosition::new(2, 5);
    at.advance(4).unwrap();
    let message = at.advance(2).unwrap_err().to_string();
    assert!(message.contains("a cache of 5 positions has 4 filled: 2 more do not fit"), "{message}");
    assert_eq!(at.filled(), 4);
    assert_eq!(at.advance(1).unwrap().to_vec::<i32>().unwrap(), [4, 4]);
    at.clear();
    assert_eq!(at.advance(5).unwrap().to_vec::<i32>().unwrap(), [0, 0]);

    let options = Transformer::new(4).feed_forward(24).score(Score::causal());
    let message = |g: &Graph| g.error().map(|error| error.to_string()).unwrap_or_default();
    let g = decoder_only(&options, Position::Sinusoidal, CAPACITY + 1, true);
    assert!(message(&g).contains("13 new positions do not fit into a cache of 12"), "{}", message(&g));
    let g = Graph::new();
    let cache = KeyValueCache::new(&g, "cache", 2, 4, &g.input("position", [3], I32));
    assert_eq!(cache.capacity(), 4);
    assert!(message(&g).contains("cache \"cache\": the position is integers [2] or one for all, not i32[3]"));
    let g = Graph::new();
    let _ = KeyValueCache::new(&g, "cache", 2, 0, &g.input("position", [], I32));
    assert!(message(&g).contains("needs room for a position or more"));
    let g = Graph::new();
    let cache = KeyValueCache::new(&g, "cache", 2, 4, &g.input("position", [], I32));
    let inputs = AttentionInputs { cache: Some(&cache), ..AttentionInputs::default() };
    let x = g.input("x", [3, 1, WIDTH], F32);
    let _ = options.build_encoder(&g, "stack", WIDTH).forward(&x, inputs, Mode::Evaluation);
    assert!(message(&g).contains("the cache is for a batch of 2, not of 3"), "{}", message(&g));

    // A position that nobody counted.
    for device in devices() {
        let mut session = decoder_only(&options, Position::Sinusoidal, 2, true).compile(&device).unwrap();
        let given = tensor(&tokens(2), 0, 2);
        for (position, fits) in [(0, true), (10, true), (11, false), (-1, false), (i32::MAX, false)] {
            let position = TensorData::from_vec(vec![position, 3, 3], [BATCH]).unwrap();
            let y = session.run(&[("tokens", &given), ("position", &position)]).unwrap()["y"].to_f64_vec();
            let (first, others) = y.split_at(2 * WORDS);
            assert!(first.iter().all(|value| value.is_finite() == fits), "{position:?} on {device:?}: {first:?}");
            assert!(others.iter().all(|value| value.is_finite()));
        }
    }
}

/// A token costs as many dispatches wherever it is, and as many with little room as with much.
#[test]
fn a_token_is_one_program() {
    let options = Transformer::new(4).layers(2).feed_forward(24).score(Score::causal());
    for device in devices() {
        let counts = [12_usize, 96].map(|capacity| {
            let g = Graph::new();
            let cache = KeyValueCache::new(&g, "cache", BATCH, capacity, &g.input("position", [], I32));
            let x = g.input("x", [BATCH, 1, WIDTH], F32);
            let inputs = AttentionInputs { cache: Some(&cache), ..AttentionInputs::default() };
            g.output("y", &options.build_encoder(&g, "stack", WIDTH).forward(&x, inputs, Mode::Evaluation));
            let session = g.compile(&device).unwrap();
            session.program().dispatches()
        });
        assert_eq!(counts[0], counts[1], "{device:?}");
    }
}
