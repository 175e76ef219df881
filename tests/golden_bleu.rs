//! BLEU as sacrebleu computes it: `tests/golden/bleu.json`.

#![allow(clippy::panic, reason = "a test that fails says where")]

use serde_json::Value;
use wgrad::Result;
use wgrad::metrics::{Bleu, BleuSmoothing};

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn scores_are_sacrebleus() -> Result<()> {
    let document: Value = serde_json::from_str(include_str!("golden/bleu.json")).unwrap_or_default();
    let cases = document["cases"].as_array().cloned().unwrap_or_default();
    assert!(cases.len() > 80, "the golden file holds {} cases", cases.len());
    for case in &cases {
        let (name, attributes, expected) = (&case["name"], &case["attributes"], &case["expected"]);
        let value = attributes["value"].as_f64().unwrap_or(f64::NAN);
        let smoothing = match attributes["smoothing"].as_str().unwrap_or_default() {
            "exp" => BleuSmoothing::Exponential,
            "none" => BleuSmoothing::None,
            "floor" => BleuSmoothing::Floor(value),
            "add-k" => BleuSmoothing::AddK(value),
            other => panic!("{name}: a smoothing that this test does not know: {other}"),
        };
        let bleu = Bleu { lowercase: attributes["lowercase"] == true, smoothing };
        let translations = strings(&case["inputs"]["translations"]);
        let sets: Vec<Vec<&str>> = case["inputs"]["references"].as_array().into_iter().flatten().map(strings).collect();
        let found = if case["op"] == "sentence" {
            let references: Vec<&str> = sets.iter().flatten().copied().collect();
            bleu.sentence(translations[0], &references)?
        } else {
            bleu.corpus(&translations, &sets.iter().map(Vec::as_slice).collect::<Vec<_>>())?
        };
        let near = |found: f64, expected: &Value| {
            let expected = expected.as_f64().unwrap_or(f64::NAN);
            (found - expected).abs() <= 1e-10 * expected.abs().max(1.0)
        };
        assert!(near(found.score, &expected["score"]), "{name}: {found}, expected {expected}");
        assert!(near(found.brevity_penalty, &expected["brevity_penalty"]), "{name}: {found}, expected {expected}");
        for (index, precision) in found.precisions.iter().enumerate() {
            assert!(near(*precision, &expected["precisions"][index]), "{name}: {found}, expected {expected}");
        }
        assert_eq!(Some(found.length), expected["length"].as_u64(), "{name}");
        assert_eq!(Some(found.reference_length), expected["reference_length"].as_u64(), "{name}");
    }
    Ok(())
}
