//! Continues to train a model that PyTorch exported. The CNN in `examples/data/digits_cnn.onnx` knows the digits from 0 to 4 (see
//! `tools/digits_cnn.py`); here its last layer alone learns all ten, and the result is saved as ONNX and as safetensors. Run it with
//! `cargo run --release --features onnx --example onnx_finetune [FOLDER]`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::path::{Path, PathBuf};

use wgrad::data::{Csv, Dataset, Target};
use wgrad::onnx::{Export, Import, Model};
use wgrad::optim::Group;
use wgrad::prelude::*;
use wgrad::safetensors;

/// What the model calls the layer that learns: `fc2.weight`, `fc2.bias`.
const LAST_LAYER: &str = "fc2";
const BATCH: usize = 32;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let digits = Csv::new().read(root.join("cli/data/digits.csv"))?.dataset("target", Target::Classes)?;
    let digits = digits.map_column("x", |x| {
        let grey: Vec<f64> = x.to_f64_vec().into_iter().map(|level| level / 16.0).collect();
        TensorData::from_f64(F32, &grey, [x.shape()[0], 1, 8, 8])
    })?;
    let (train, test) = digits.stratified_split("y", 0.8, 0)?;

    // The batch size is open in the file: one graph for training, one for the whole test part, with the same parameters.
    let model = Model::load(root.join("examples/data/digits_cnn.onnx"))?;
    let training = model.import(&Import::new().symbol("batch", BATCH))?;
    let labels = training.graph.input("labels", [BATCH], I32);
    let loss = training.outputs[0].1.cross_entropy(&labels);
    let others = Group::matching(|name, _| !name.starts_with(LAST_LAYER)).frozen();
    let mut session = training.graph.minimize(&loss, Adam::new(1e-2)).group(others).compile(&Device::auto()?)?;
    let testing = model.import(&Import::new().symbol("batch", test.len()))?;
    let test_program = session.load(&testing.graph)?;

    for epoch in 0..=15 {
        let logits = session.using(&test_program).run(&[("image", test.column("x")?)])?;
        println!("epoch {epoch:2}  test accuracy {:.3}", accuracy(&logits["logits"], &test)?);
        for batch in train.full_batches(&train.epoch_order(0, epoch), BATCH)? {
            let batch = train.take(batch)?;
            session.step(&[("image", batch.column("x")?), ("labels", batch.column("y")?)])?;
        }
    }

    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let (file, weights) = (folder.join("digits_finetuned.onnx"), folder.join("digits_finetuned.safetensors"));
    Export::new(&testing.graph).values_of(&session).save(&file)?;
    let parameters = testing.parameters.iter().map(|(name, _)| Ok((name.clone(), session.parameter(name)?)));
    safetensors::write(&weights, &parameters.collect::<Result<Vec<_>>>()?, &[])?;
    println!("saved {} and {}", file.display(), weights.display());
    Ok(())
}

/// The share of examples whose largest logit is that of their class.
fn accuracy(logits: &TensorData, data: &Dataset) -> Result<f64> {
    let rows = logits.to_f64_vec();
    let largest = |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    let right = rows.chunks(10).zip(data.labels("y")?).filter(|(row, label)| largest(row) == *label).count();
    Ok(right as f64 / data.len() as f64)
}
