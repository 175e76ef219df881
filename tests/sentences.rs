//! The example of sentence vectors on a small BERT: PyTorch's vectors, `tests/golden/sentences.json`, and what is said of wrong files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

#[path = "../examples/sentence_embeddings/bert.rs"]
mod bert;
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use bert::Bert;
use support::devices::devices;
use support::drawn::{TOKENS, integers, parameter};
use support::golden::{self, Tolerance};
use wgrad::prelude::*;
use wgrad::safetensors;

const CONFIG: &str = r#"{"model_type": "bert", "hidden_act": "gelu", "num_attention_heads": 4, "num_hidden_layers": 2, "layer_norm_eps": 1e-12}"#;

/// All parameters under Hugging Face's names, and two that a sentence does not need.
fn parameters() -> BTreeMap<String, TensorData> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![50, 32]),
        ("embeddings.position_embeddings.weight".into(), vec![16, 32]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, 32]),
        ("embeddings.LayerNorm.weight".into(), vec![32]),
        ("embeddings.LayerNorm.bias".into(), vec![32]),
        ("pooler.dense.weight".into(), vec![32, 32]),
    ];
    for layer in 0..2 {
        let mut product = |part: &str, to: usize, from: usize| {
            shapes.push((format!("encoder.layer.{layer}.{part}.weight"), vec![to, from]));
            shapes.push((format!("encoder.layer.{layer}.{part}.bias"), vec![to]));
        };
        for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            product(part, 32, 32);
        }
        product("intermediate.dense", 64, 32);
        product("output.dense", 32, 64);
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            shapes.push((format!("encoder.layer.{layer}.{part}.weight"), vec![32]));
            shapes.push((format!("encoder.layer.{layer}.{part}.bias"), vec![32]));
        }
    }
    let drawn = shapes.into_iter().map(|(name, shape)| (name.clone(), parameter(&name, &shape)));
    let numbers = TensorData::from_vec((0..16_i64).collect(), [1, 16]).unwrap();
    drawn.chain([("embeddings.position_ids".to_owned(), numbers)]).collect()
}

fn write(folder: &Path, config: &str, parameters: BTreeMap<String, TensorData>) {
    std::fs::write(folder.join("config.json"), config).unwrap();
    let tensors: Vec<(String, TensorData)> = parameters.into_iter().collect();
    safetensors::write(folder.join("model.safetensors"), &tensors, &[]).unwrap();
}

#[test]
fn vectors_are_torchs() {
    let case = golden::read("sentences").unwrap().remove(0);
    let right = case.tensor(&case.fields["vectors"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CONFIG, parameters());
    let bert = Bert::read(folder.path()).unwrap();
    assert_eq!(bert.positions, 16);
    let lengths: Vec<i32> = case.integers("lengths").into_iter().map(|length| length as i32).collect();
    let (tokens, lengths) = (integers(TOKENS, &[3, 9], 50), TensorData::from_vec(lengths, [3]).unwrap());
    for device in devices() {
        let found = bert.embed(&device, &tokens, &lengths).unwrap();
        let difference = golden::difference(&found, right, Tolerance { absolute: 2e-6, relative: 1e-5 });
        assert_eq!(difference, None, "{device:?}");
    }
    let unknown = TensorData::from_vec(vec![1, 50], [1, 2]).unwrap();
    let message = bert.embed(&Device::cpu(), &unknown, &TensorData::from_vec(vec![2], [1]).unwrap()).unwrap_err();
    assert!(message.to_string().contains("index 50 at [0, 1] is none of 50 rows"), "{message}");
}

/// What is said of a folder with these files, when it is read or used.
fn refused(config: &str, parameters: BTreeMap<String, TensorData>) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), config, parameters);
    let tokens = TensorData::from_vec(vec![1, 2], [1, 2]).unwrap();
    let lengths = TensorData::from_vec(vec![2], [1]).unwrap();
    let outcome = Bert::read(folder.path()).and_then(|bert| bert.embed(&Device::cpu(), &tokens, &lengths));
    outcome.err().map(|error| error.to_string()).unwrap_or_else(|| panic!("was accepted"))
}

#[test]
fn wrong_files_are_told() {
    let told = |message: String, parts: &[&str]| {
        assert!(parts.iter().all(|part| message.contains(part)) && !message.contains('\n'), "{message}");
    };
    told(refused("{", parameters()), &["config.json", "no JSON"]);
    told(refused(&CONFIG.replace("bert", "gpt2"), parameters()), &["config.json", "\"gpt2\""]);
    told(refused(&CONFIG.replace(": 4", ": 0"), parameters()), &["config.json", "num_attention_heads"]);
    told(refused(&CONFIG.replace(": 4", ": 5"), parameters()), &["32", "5 heads"]);
    told(
        refused(&CONFIG.replace(": 2", ": 3"), parameters()),
        &["model.safetensors", "encoder.layer.2.attention.self.query.weight"],
    );
    told(refused(&CONFIG.replace(": 2", ": 1"), parameters()), &["model.safetensors", "encoder.layers.1.norm1.weight"]);
    let without = |name: &str| {
        let mut parameters = parameters();
        parameters.remove(name).unwrap();
        parameters
    };
    let with = |name: &str, shape: &[usize]| {
        let mut parameters = without(name);
        parameters.insert(name.to_owned(), parameter(name, shape));
        parameters
    };
    for name in
        ["embeddings.word_embeddings.weight", "encoder.layer.1.attention.self.key.bias", "embeddings.LayerNorm.bias"]
    {
        told(refused(CONFIG, without(name)), &["model.safetensors", name]);
    }
    told(
        refused(CONFIG, with("encoder.layer.0.attention.self.key.weight", &[32, 31])),
        &["self.key.weight", "[32, 31]"],
    );
    told(refused(CONFIG, with("embeddings.LayerNorm.weight", &[31])), &["embeddings.LayerNorm.weight", "[31]", "[32]"]);
    told(
        refused(CONFIG, with("embeddings.word_embeddings.weight", &[50])),
        &["embeddings.word_embeddings.weight", "[50]"],
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = Bert::read(folder.path()).err().map(|error| error.to_string()).unwrap_or_default();
    told(missing, &["cannot read", "config.json"]);
    write(folder.path(), CONFIG, parameters());
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        told(
            Bert::read(folder.path()).err().map(|error| error.to_string()).unwrap_or_default(),
            &["model.safetensors"],
        );
    }
}
