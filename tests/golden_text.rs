//! Counts of terms and TF-IDF as scikit-learn computes them: `tests/golden/text.json`.

#![allow(clippy::panic, reason = "a test that fails says where")]

use serde_json::Value;
use wgrad::Result;
use wgrad::data::{BagOfWords, BagOfWordsOptions, Frequency, RowNorm, SparseRows, TfIdf, TfIdfOptions};

/// Texts that were not fitted, as in `tools/golden_cases/text.py`.
const UNSEEN: [&str; 4] = ["A great unknown movie, the great", "nothing known", "", "plot plot MOVIE plot"];

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn strings(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().map(|count| count as usize)
}

fn frequency(value: &Value) -> Option<Frequency> {
    count(value).map(Frequency::Count).or_else(|| value.as_f64().map(Frequency::Share))
}

fn bag_options(attributes: &Value) -> BagOfWordsOptions {
    let mut options = BagOfWordsOptions::new();
    for (name, value) in attributes.as_object().into_iter().flatten() {
        options = match name.as_str() {
            "lowercase" => options.lowercase(value == true),
            "binary" => options.binary(value == true),
            "ngram_range" => options.ngrams(count(&value[0]).unwrap_or(0), count(&value[1]).unwrap_or(0)),
            "min_df" => options.min_df(frequency(value).unwrap_or(Frequency::Count(0))),
            "max_df" => options.max_df(frequency(value).unwrap_or(Frequency::Count(0))),
            "max_features" => options.max_features(count(value).unwrap_or(0)),
            "norm" | "use_idf" | "smooth_idf" | "sublinear_tf" => options,
            other => panic!("an option that this test does not know: {other}"),
        };
    }
    options
}

fn weight_options(attributes: &Value) -> TfIdfOptions {
    let flag = |name: &str, default: bool| attributes[name].as_bool().unwrap_or(default);
    let norm = match attributes.get("norm") {
        Some(Value::Null) => RowNorm::None,
        Some(norm) if norm == "l1" => RowNorm::L1,
        _ => RowNorm::L2,
    };
    TfIdfOptions::new()
        .terms(bag_options(attributes))
        .use_idf(flag("use_idf", true))
        .smooth_idf(flag("smooth_idf", true))
        .sublinear_tf(flag("sublinear_tf", false))
        .norm(norm)
}

/// How far rows are from those expected, whose columns must be the same.
fn compare(name: &str, rows: &SparseRows, expected: &Value) -> Result<f64> {
    assert_eq!(rows.rows(), list(expected).len(), "{name}");
    let mut worst = 0_f64;
    for (number, row) in list(expected).iter().enumerate() {
        let (columns, values) = rows.row(number)?;
        let expected: Vec<u32> = list(&row[0]).iter().filter_map(Value::as_u64).map(|column| column as u32).collect();
        assert_eq!(columns, expected, "{name}, row {number}");
        for (&value, expected) in values.iter().zip(list(&row[1])) {
            let expected = expected.as_f64().unwrap_or(f64::NAN);
            let difference = (f64::from(value) - expected).abs() / expected.abs().max(1.0);
            assert!(difference <= 1e-6, "{name}, row {number}: {value} and not {expected}");
            worst = worst.max(difference);
        }
    }
    Ok(worst)
}

#[test]
fn terms_and_weights_are_scikit_learns() -> Result<()> {
    let document: Value = serde_json::from_str(include_str!("golden/text.json")).unwrap_or_default();
    let cases = list(&document["cases"]);
    assert!(cases.len() > 30, "the golden file holds {} cases", cases.len());
    for case in cases {
        let name = case["name"].as_str().unwrap_or_default();
        let (texts, terms, attributes) = (strings(&case["texts"]), strings(&case["terms"]), &case["attributes"]);
        match case["op"].as_str().unwrap_or_default() {
            "counts" => {
                let (bag, rows) = bag_options(attributes).fit_transform(&texts)?;
                assert_eq!(bag.terms(), terms, "{name}");
                assert_eq!(compare(name, &rows, &case["rows"])?, 0.0);
                let again = BagOfWords::from_json(&bag.to_json())?;
                assert_eq!(compare(name, &again.transform(UNSEEN), &case["unseen"])?, 0.0);
            }
            "weights" => {
                let (tf_idf, rows) = weight_options(attributes).fit_transform(&texts)?;
                assert_eq!(tf_idf.terms(), terms, "{name}");
                compare(name, &rows, &case["rows"])?;
                let again = TfIdf::from_json(&tf_idf.to_json())?;
                compare(name, &again.transform(UNSEEN), &case["unseen"])?;
                let idf = tf_idf.idf().unwrap_or_default();
                assert_eq!(idf.len(), list(&case["idf"]).len(), "{name}");
                for (weight, expected) in idf.iter().zip(list(&case["idf"])) {
                    assert!((weight - expected.as_f64().unwrap_or(f64::NAN)).abs() < 1e-14, "{name}");
                }
            }
            "error" => assert!(bag_options(attributes).fit(&texts).is_err(), "{name}"),
            other => panic!("{name}: an operation that this test does not know: {other}"),
        }
    }
    Ok(())
}
