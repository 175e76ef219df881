//! Whole networks, with the sizes that others publish measurements of. They take seconds and gigabytes, so they are measured only by name.

mod llama;
mod resnet;
mod whisper;

use super::{Case, Input, LEARNING_RATE, TOLERANCE, Work};
use crate::graph::{Graph, Tensor};
use crate::nn::{KeyValueCache, Mode};
use crate::optim::SGD;
use crate::tensor::DType;

pub use llama::Llama;
pub use resnet::ResNet;
pub use whisper::Whisper;

/// Tokens of a sequence of SmolLM2, and positions of its cache, the last of which a token is written to.
const LENGTH: usize = 128;

/// Images of a batch of ResNet-50.
const IMAGES: usize = 4;

/// Tokens that Whisper's decoder is given.
const WORDS: usize = 64;

/// What is stored of a network's batch, and what it does.
pub(super) struct Network {
    pub(super) inputs: Vec<Input>,
    pub(super) build: fn(&Graph, &[Tensor]),
    /// The output that tells that a run is done.
    pub(super) reads: &'static str,
}

/// Whole networks: training steps by plain descent, and `…/inference`, the forward pass alone as in evaluation. A language model's `…/token`
/// is a token behind 127 others whose keys and values are in a cache.
///
/// They are no part of [`cases`](super::cases), as each takes long and much memory.
///
/// ```
/// let names: Vec<String> = wgrad::bench::networks().iter().map(|case| case.name().to_owned()).collect();
/// assert!(names.contains(&"step/resnet50/inference".to_owned()));
/// ```
pub fn networks() -> Vec<Case> {
    let tokens = |vocabulary: usize, length: usize| Input::below(vocabulary as u32, [1, length]);
    let words = |length| tokens(Llama::SMOLLM2_135M.vocabulary, length);
    let images = || Input::between(DType::F32, [IMAGES, 3, 224, 224], 0.0, 1.0);
    let labels = Input::below(ResNet::RESNET50.classes as u32, [IMAGES]);
    let sound = || Input::uniform(DType::F32, [1, 80, 3000]);
    let text = || tokens(Whisper::TINY.vocabulary, WORDS);
    let token = [words(1), Input::at(LENGTH as i32 - 1, [1])];
    let training = |name: &str, inputs: Vec<Input>, build| case(name, inputs, build, "loss");
    let inference = |name: &str, inputs: Vec<Input>, build| case(name, inputs, build, "logits");
    vec![
        training("step/smollm2-135m", vec![words(LENGTH), words(LENGTH)], |g, inputs| {
            learn(g, &Llama::SMOLLM2_135M.logits(g, &inputs[0], None), &inputs[1]);
        }),
        inference("step/smollm2-135m/inference", vec![words(LENGTH)], |g, inputs| {
            g.output("logits", &Llama::SMOLLM2_135M.logits(g, &inputs[0], None));
        }),
        inference("step/smollm2-135m/token", token.into(), |g, inputs| {
            let cache = KeyValueCache::new(g, "cache", 1, LENGTH, &inputs[1]);
            g.output("logits", &Llama::SMOLLM2_135M.logits(g, &inputs[0], Some(&cache)));
        }),
        training("step/resnet50", vec![images(), labels], |g, inputs| {
            learn(g, &ResNet::RESNET50.logits(g, &inputs[0], Mode::Training), &inputs[1]);
        }),
        inference("step/resnet50/inference", vec![images()], |g, inputs| {
            g.output("logits", &ResNet::RESNET50.logits(g, &inputs[0], Mode::Evaluation));
        }),
        training("step/whisper-tiny", vec![sound(), text(), text()], |g, inputs| {
            learn(g, &Whisper::TINY.logits(g, &inputs[0], &inputs[1], Mode::Training), &inputs[2]);
        }),
        inference("step/whisper-tiny/inference", vec![sound(), text()], |g, inputs| {
            g.output("logits", &Whisper::TINY.logits(g, &inputs[0], &inputs[1], Mode::Evaluation));
        }),
    ]
}

/// The [`networks`] that a filter names: by parts of a name between slashes other than `step`, or by how a name begins behind it.
///
/// ```
/// use wgrad::bench::networks_named;
/// assert_eq!(networks_named("smollm2").len(), 3);
/// assert_eq!(networks_named("step/resnet50/inference").len(), 1);
/// assert_eq!(networks_named("inference").len(), 3);
/// assert!(networks_named("step").is_empty() && networks_named("").is_empty());
/// ```
pub fn networks_named(filter: &str) -> Vec<Case> {
    let filter = filter.trim_matches('/');
    let filter = filter.strip_prefix("step/").unwrap_or(filter);
    let bounded = format!("/{filter}/");
    let is_named = |case: &Case| {
        let name = case.name().strip_prefix("step/").unwrap_or(case.name());
        !filter.is_empty() && (name.starts_with(filter) || format!("/{name}/").contains(&bounded))
    };
    networks().into_iter().filter(is_named).collect()
}

fn case(name: &str, inputs: Vec<Input>, build: fn(&Graph, &[Tensor]), reads: &'static str) -> Case {
    Case { name: name.to_owned(), tolerance: TOLERANCE, work: Work::Network(Network { inputs, build, reads }) }
}

/// A step by the cross-entropy of labels, one for each row of logits.
fn learn(g: &Graph, logits: &Tensor, labels: &Tensor) {
    let classes = logits.shape().last().copied().unwrap_or(0);
    let count = labels.shape().len();
    let loss = logits.reshape([count, classes]).cross_entropy(&labels.reshape([count]));
    g.minimize(&loss, SGD::new(LEARNING_RATE)).build();
}
