//! BERT (Devlin et al. 2018) as an encoder of sentences (Reimers and Gurevych 2019): the mean of its vectors for a sentence's tokens, of length 1.

use std::path::Path;

use wgrad::nn::{
    Activation, AttentionInputs, Embedding, EmbeddingLayer, LayerNormalization, Mode, Transformer, check_indices,
};
use wgrad::prelude::*;
use wgrad::train::{Matching, Parameters};

/// The sizes of a model, in a folder as Hugging Face's: `config.json` and `model.safetensors`.
pub struct Bert {
    vocabulary: usize,
    /// The longest sequence that there are positions for.
    pub positions: usize,
    types: usize,
    width: usize,
    inner: usize,
    heads: usize,
    layers: usize,
    eps: f64,
    parameters: Parameters,
}

impl Bert {
    /// Reads the files of a folder. Numbers of heads and layers and ε stand in the configuration, all other sizes follow from the weights.
    pub fn read(folder: &Path) -> Result<Self> {
        let (config, weights) = (folder.join("config.json"), folder.join("model.safetensors"));
        let document = json(&config)?;
        let kind = document["model_type"].as_str().unwrap_or_default();
        if kind != "bert" {
            return Err(Error::format(&config, format!("its \"model_type\" is {kind:?}, and should be \"bert\"")));
        }
        if document["hidden_act"] != "gelu" {
            return Err(Error::format(&config, "its \"hidden_act\" is not \"gelu\", the only one that is known here"));
        }
        let size = |key: &str| {
            let size = document[key].as_u64().filter(|size| (1..=10_000).contains(size));
            size.ok_or_else(|| Error::format(&config, format!("its {key:?} should be a number from 1 to 10000")))
        };
        let (heads, layers) = (size("num_attention_heads")? as usize, size("num_hidden_layers")? as usize);
        let eps = document["layer_norm_eps"].as_f64();
        let eps = eps.ok_or_else(|| Error::format(&config, "its \"layer_norm_eps\" should be a number"))?;
        let parameters = Parameters::read(&weights)?;
        let dims = |name: &str| match parameters.get(name).map(|data| data.shape().dims().to_vec()).as_deref() {
            Some(&[rows, columns]) => Ok([rows, columns]),
            Some(other) => {
                Err(Error::format(&weights, format!("{name:?} has the shape {other:?}, and should have two axes")))
            }
            None => Err(Error::format(&weights, format!("it has no {name:?}: it is of another model"))),
        };
        let [vocabulary, width] = dims("embeddings.word_embeddings.weight")?;
        let [positions, _] = dims("embeddings.position_embeddings.weight")?;
        let [types, _] = dims("embeddings.token_type_embeddings.weight")?;
        let [inner, _] = dims("encoder.layer.0.intermediate.dense.weight")?;
        let parameters = named_as_here(parameters, layers)?;
        Ok(Self { vocabulary, positions, types, width, inner, heads, layers, eps, parameters })
    }

    /// The vectors of the sentences, f32 `[batch, width]`, for their tokens, i32 `[batch, length]`, padded behind, and how many each has, i32
    /// `[batch]`.
    pub fn embed(&self, device: &Device, tokens: &TensorData, lengths: &TensorData) -> Result<TensorData> {
        check_indices(tokens, self.vocabulary)?;
        let g = Graph::new();
        let (ids, counts) = (g.input("tokens", tokens.shape(), I32), g.input("lengths", lengths.shape(), I32));
        g.output("vectors", &self.vectors(&g, &ids, &counts));
        let mut session = g.compile(device)?;
        session.load_parameters(&self.parameters, Matching::Strict)?;
        let mut outputs = session.run(&[("tokens", tokens), ("lengths", lengths)])?;
        outputs.take("vectors").ok_or_else(|| Error::Data("the program has no vectors".into()))
    }

    /// The same as a graph.
    fn vectors(&self, g: &Graph, tokens: &Tensor, lengths: &Tensor) -> Tensor {
        let (batch, length) = (tokens.shape()[0], tokens.shape()[1]);
        let table = |name: &str, rows| EmbeddingLayer::new(rows, self.width).build(g, &format!("embeddings.{name}"));
        let first_rows = |table: &Embedding, count| table.weight().slice(0, 0, count);
        let words = table("word_embeddings", self.vocabulary).forward(tokens);
        let positions = first_rows(&table("position_embeddings", self.positions), length);
        // A single text is all of the first type.
        let types = first_rows(&table("token_type_embeddings", self.types), 1);
        let norm = LayerNormalization::new().eps(self.eps).build(g, "embeddings.LayerNorm", [self.width]);
        let x = norm.forward(&(words + positions + types));
        let options = Transformer::new(self.heads).layers(self.layers).feed_forward(self.inner).eps(self.eps);
        let encoder = options.dropout(0.0).activation(Activation::Gelu).build_encoder(g, "encoder", self.width);
        let inputs = AttentionInputs { lengths: Some(lengths), ..AttentionInputs::default() };
        let x = encoder.forward(&x, inputs, Mode::Evaluation);
        let is_token =
            g.arange(length).reshape([1, length]).lt(lengths.reshape([batch, 1])).reshape([batch, length, 1]);
        let sum = is_token.select(&x, 0.0).sum([1]);
        let mean = sum / lengths.cast(F32).maximum(1.0).reshape([batch, 1]);
        let norm = mean.square().sum([1]).sqrt().maximum(1e-12).reshape([batch, 1]);
        mean / norm
    }
}

/// Parameters under the names of the layers here: the products of queries, keys and values are joined.
fn named_as_here(mut parameters: Parameters, layers: usize) -> Result<Parameters> {
    for layer in 0..layers {
        for kind in ["weight", "bias"] {
            let parts =
                ["query", "key", "value"].map(|part| format!("encoder.layer.{layer}.attention.self.{part}.{kind}"));
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            parameters = parameters.join(&parts, &format!("encoder.layers.{layer}.self_attn.in_proj_{kind}"))?;
        }
    }
    let ends = [
        ("attention.output.dense", "self_attn.out_proj"),
        ("attention.output.LayerNorm", "norm1"),
        ("intermediate.dense", "linear1"),
        ("output.dense", "linear2"),
        ("output.LayerNorm", "norm2"),
    ];
    parameters.rename(|name| {
        // What sentences do not need: a classifier's first layer, and the numbers from 0 on.
        if name.starts_with("pooler.") || name == "embeddings.position_ids" {
            return None;
        }
        let Some((layer, rest)) = name.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.')) else {
            return Some(name.to_owned());
        };
        let (part, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
        let known = ends.iter().find(|(theirs, _)| *theirs == part);
        Some(known.map_or_else(|| name.to_owned(), |(_, ours)| format!("encoder.layers.{layer}.{ours}.{kind}")))
    })
}

/// A file of JSON.
pub fn json(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("cannot read", path, error))?;
    serde_json::from_str(&text).map_err(|error| Error::format(path, format!("no JSON: {error}")))
}
