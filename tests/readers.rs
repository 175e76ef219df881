//! Every reader of files but that of ONNX models, on mutated files. How to run them at length: `support/mutated_files.rs`. Readers that are
//! out of reach from here have their tests beside them: tuning tables in `src/device/table`, pictures and saved models in `cli`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::HostRandom;
use support::mutated_files::{index, many, mutate_bytes, mutate_text, survive};
use wgrad::data::{
    BagOfWords, BagOfWordsOptions, CharVocabulary, Csv, Dataset, Encoding, RowOptions, Series, Target, TfIdf,
    TfIdfOptions, WordVocabulary, idx, npy, read_text, streams,
};
use wgrad::prelude::*;
use wgrad::safetensors;
use wgrad::train::{Checkpoints, ModelFile, ModelSettings, Predictor};

/// Files of each kind in a short run.
const FEW: u64 = 2_000;

/// Files of each kind in a long run.
const MANY: u64 = 100_000;

/// A mutated one of some files.
fn mutated(files: &[Vec<u8>], random: &mut HostRandom, mutate: fn(&mut Vec<u8>, &[u8], &mut HostRandom)) -> Vec<u8> {
    let mut bytes = files[index(random, files.len())].clone();
    let other = index(random, files.len());
    mutate(&mut bytes, &files[other], random);
    bytes
}

fn tensors() -> Vec<(String, TensorData)> {
    let some = |dtype: DType| TensorData::from_f64(dtype, &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0], [2, 3]).unwrap();
    DType::ALL.iter().map(|&dtype| (format!("a.{dtype}"), some(dtype))).collect()
}

/// A file as other programs write it, which has no checksum.
fn foreign(tensors: &[(String, TensorData)]) -> Vec<u8> {
    let mut header = Vec::new();
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.dtype() {
            F64 => "F64",
            I64 => "I64",
            I32 => "I32",
            U8 => "U8",
            Bool => "BOOL",
            F16 => "F16",
            _ => "F32",
        };
        let (start, bytes) = (data.len(), tensor.cast(if dtype == "F32" { F32 } else { tensor.dtype() }).unwrap());
        data.extend_from_slice(bytes.bytes());
        let shape = tensor.shape().dims();
        header.push(format!(
            "{name:?}:{{\"dtype\":{dtype:?},\"shape\":{shape:?},\"data_offsets\":[{start},{}]}}",
            data.len()
        ));
    }
    let header = format!("{{\"__metadata__\":{{\"format\":\"pt\"}},{}}}", header.join(","));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn safetensors(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.safetensors");
    safetensors::write(&path, &tensors(), &[("a".into(), "b".into())]).unwrap();
    let files = [std::fs::read(&path).unwrap(), foreign(&tensors()), foreign(&tensors()[..2])];
    let make = |random: &mut HostRandom| {
        let mutate = if random.below(2) == 0 { mutate_text } else { mutate_bytes };
        mutated(&files, random, mutate)
    };
    survive("safetensors", count, make, |bytes, _| {
        std::fs::write(&path, bytes).unwrap();
        safetensors::read(&path).map(|_| ())
    });
}

/// A small thing that can be trained, and its data.
fn trainer() -> (Trainer, Dataset) {
    let model = Sequential::new([2]).dense(3).batch_norm().relu().dense(1).sigmoid();
    let numbers: Vec<f32> = (0..24).map(|k| (k * 7 % 11) as f32 / 11.0).collect();
    let x = TensorData::from_slice(&numbers[..16], [8, 2]).unwrap();
    let y = TensorData::from_vec(numbers[16..].iter().map(|k| k.round()).collect(), [8, 1]).unwrap();
    let trainer = model.compile(&Device::cpu(), Adam::new(0.01), BinaryCrossEntropy, [Accuracy]).unwrap();
    (trainer, Dataset::new([("x", x), ("y", y)]).unwrap())
}

/// What a file of safetensors holds, changed and written whole: checksums do not keep it from its reader.
fn rewritten(path: &Path, whole: &Path, random: &mut HostRandom) -> Vec<u8> {
    let (tensors, metadata) = safetensors::read(whole).unwrap();
    let mut tensors: Vec<(String, TensorData)> = tensors.into_iter().collect();
    let mut metadata: Vec<(String, String)> = metadata.into_iter().collect();
    let other = metadata[index(random, metadata.len())].1.clone().into_bytes();
    match random.below(6) {
        0 => {
            let chosen = index(random, tensors.len());
            let (name, tensor) = &mut tensors[chosen];
            match random.below(3) {
                0 => *name = format!("{name}x"),
                1 => *tensor = TensorData::zeros(F32, [random.below(4) as usize, 3]),
                _ => *tensor = tensor.cast(F64).unwrap(),
            }
        }
        1 => drop(tensors.remove(index(random, tensors.len()))),
        2 => drop(metadata.remove(index(random, metadata.len()))),
        _ => {
            for _ in 0..=random.below(2) {
                let chosen = index(random, metadata.len());
                let mut value = metadata[chosen].1.clone().into_bytes();
                mutate_text(&mut value, &other, random);
                metadata[chosen].1 = String::from_utf8_lossy(&value).into_owned();
            }
        }
    }
    safetensors::write(path, &tensors, &metadata).unwrap();
    std::fs::read(path).unwrap()
}

fn checkpoints(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (saved, read) = (directory.path().join("saved"), directory.path().join("read"));
    let fit = |directory: &Path, steps: u64| {
        Fit::epochs(3).batch_size(3).steps(steps).checkpoints(Checkpoints::new(directory).resume(steps > 4))
    };
    let (mut first, data) = trainer();
    first.fit(&data, fit(&saved, 4)).unwrap();
    let whole = saved.join("checkpoint.safetensors");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::create_dir_all(&read).unwrap();
    let scratch = directory.path().join("scratch");
    let make = |random: &mut HostRandom| match random.below(4) {
        0 => mutated(std::slice::from_ref(&bytes), random, mutate_bytes),
        _ => rewritten(&scratch, &whole, random),
    };
    survive("checkpoints", count, make, |bytes, _| {
        std::fs::write(read.join("checkpoint.safetensors"), bytes).unwrap();
        let (mut trainer, data) = trainer();
        trainer.fit(&data, fit(&read, 5)).map(|_| ())
    });
}

fn model_files(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (saved, scratch) = (directory.path().join("saved"), directory.path().join("scratch"));
    let (mut trainer, data) = trainer();
    trainer.fit(&data, Fit::epochs(1).batch_size(4)).unwrap();
    let settings = ModelSettings::new("a").with("size", 3).with_numbers("n", &[1.5, 2.5]).with_words("w", ["a", "b"]);
    trainer.save_model(&saved, &settings).unwrap();
    let make = |random: &mut HostRandom| rewritten(&scratch, &saved, random);
    survive("model files", count, make, |bytes, _| {
        std::fs::write(&scratch, bytes).unwrap();
        let file = ModelFile::read(&scratch)?.of_kind("a")?;
        file.numbers("n")?;
        file.words("w")?;
        let size: usize = file.parse("size")?;
        let model = Sequential::new([2]).dense(size.min(1000)).batch_norm().relu().dense(1).sigmoid();
        let mut predictor = Predictor::new(model, &Device::cpu()).load(&file)?;
        predictor.predict(data.column("x")?).map(|_| ())
    });
}

fn npy_files(count: u64) {
    let files: Vec<Vec<u8>> = tensors().iter().filter_map(|(_, tensor)| npy::to_bytes(tensor).ok()).collect();
    let make = |random: &mut HostRandom| {
        let mutate = if random.below(2) == 0 { mutate_text } else { mutate_bytes };
        mutated(&files, random, mutate)
    };
    survive("npy", count, make, |bytes, _| npy::from_bytes(bytes, "f").map(|_| ()));
}

fn idx_file(code: u8, extents: &[u32], values: usize) -> Vec<u8> {
    let extents_bytes = extents.iter().flat_map(|extent| extent.to_be_bytes());
    [0, 0, code, extents.len() as u8].into_iter().chain(extents_bytes).chain((0..values).map(|k| k as u8)).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx_files(count: u64) {
    let plain =
        [idx_file(8, &[3, 4, 4], 48), idx_file(9, &[7], 7), idx_file(13, &[2, 3], 24), idx_file(14, &[1, 1, 2], 16)];
    let zipped: Vec<Vec<u8>> = plain.iter().map(|bytes| packed(bytes)).collect();
    let make = |random: &mut HostRandom| match random.below(3) {
        0 => mutated(&plain, random, mutate_bytes),
        // Damaged gzip, and good gzip of damaged files.
        1 => mutated(&zipped, random, mutate_bytes),
        _ => packed(&mutated(&plain, random, mutate_bytes)),
    };
    survive("idx", count, make, |bytes, _| idx::from_bytes(bytes, "f").map(|_| ()));
}

fn tables(count: u64) {
    let files = [
        "a,b,c\n1,2,x\n3,4.5,y\n-5,1e3,x\n7,8,z\n".to_owned(),
        "\"name\";size;price\n\"a \"\"b\"\"\";1,5;10 %\n\"c\";2,5;20 %\nd;3,5;30 %\n".to_owned(),
        "date\tvalue\n2020-01-01\t1\n2020-01-02\t2\n2020-01-03\t?\n".to_owned(),
        (0..40).map(|row| format!("{row},{}\n", row * row % 7)).collect::<String>(),
    ];
    let files = files.map(String::into_bytes);
    survive(
        "csv",
        count,
        |random| mutated(&files, random, mutate_text),
        |bytes, random| {
            let table = Csv::new().from_bytes(bytes, "f")?;
            let kind = [Target::Classes, Target::Binary, Target::Number][index(random, 3)];
            table.one_hot("-1")?.dataset("-1", kind).map(|_| ())
        },
    );
}

fn series(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.csv");
    let files = [
        format!("month,sales\n{}", (0..60).map(|row| format!("2001-{row},{}\n", row * row % 50)).collect::<String>()),
        format!("a\n{}", (0..60).map(|row| format!("{row}.5\n")).collect::<String>()),
    ];
    let files = files.map(String::into_bytes);
    survive(
        "series",
        count,
        |random| mutated(&files, random, mutate_text),
        |bytes, random| {
            std::fs::write(&path, bytes).unwrap();
            let series = Series::read_csv(&path, None)?;
            series.windows(1 + index(random, 12), 1 + index(random, 4), 0.8).map(|_| ())
        },
    );
}

fn texts(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.txt");
    let files =
        ["to be or not to be,\nthat is the question \u{2603} na\u{ef}ve", "It's a well-made film -- \"touching\"!\n\n"];
    let files = files.map(|text| text.repeat(5).into_bytes());
    survive(
        "texts",
        count,
        |random| mutated(&files, random, mutate_text),
        |bytes, random| {
            std::fs::write(&path, bytes).unwrap();
            let text = read_text(&path, if random.below(3) == 0 { Encoding::Latin1 } else { Encoding::Utf8 })?;
            let vocabulary = CharVocabulary::of(&text);
            streams(&vocabulary.encode(&text)?, 1 + index(random, 4), 1 + index(random, 9))?;
            let words = WordVocabulary::of(text.lines(), 1, 1 + index(random, 50));
            words.encode_padded(text.lines(), 1 + index(random, 9)).map(|_| ())
        },
    );
}

fn vocabularies(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("words.txt");
    let text = "to be or not to be, na\u{ef}ve \u{2603}";
    WordVocabulary::with_specials(["<bos>", "<eos>"], [text], 1, 100).unwrap().write(&path).unwrap();
    let files = [std::fs::read(&path).unwrap(), b"<pad>\r\n<unk>\r\n<eos>\r\nbe\r\nto\r\n".to_vec()];
    survive(
        "vocabularies",
        count,
        |random| mutated(&files, random, mutate_text),
        |bytes, random| {
            std::fs::write(&path, bytes).unwrap();
            let vocabulary = WordVocabulary::read(&path)?;
            let options = RowOptions::new().end("<eos>").max_length(index(random, 5));
            let rows = vocabulary.encode_rows([text, "be"], &options)?;
            vocabulary.decode(rows.numbers.as_slice()?)?;
            vocabulary.write(&path)
        },
    );
}

fn saved_terms(count: u64) {
    let texts = ["to be or not to be", "na\u{ef}ve \u{2603} or not", ""];
    let options = BagOfWordsOptions::new().ngrams(1, 2);
    let files = [
        options.fit(texts).unwrap().to_json().into_bytes(),
        TfIdfOptions::new().terms(options).fit(texts).unwrap().to_json().into_bytes(),
    ];
    survive(
        "saved terms",
        count,
        |random| mutated(&files, random, mutate_text),
        |bytes, random| {
            let json = String::from_utf8_lossy(bytes);
            let rows = match random.below(2) {
                0 => BagOfWords::from_json(&json)?.transform(texts),
                _ => TfIdf::from_json(&json)?.transform(texts),
            };
            rows.dense(0..texts.len()).map(|_| ())
        },
    );
}

macro_rules! readers {
    ($($few:ident $many:ident $reader:ident $share:literal;)*) => {
        $(
            #[test]
            fn $few() {
                $reader(FEW / $share);
            }

            #[test]
            #[ignore = "takes minutes; support/mutated_files.rs says how to run it"]
            fn $many() {
                $reader(many(MANY));
            }
        )*
    };
}

readers! {
    mutated_safetensors many_mutated_safetensors safetensors 1;
    mutated_checkpoints many_mutated_checkpoints checkpoints 4;
    mutated_model_files many_mutated_model_files model_files 4;
    mutated_npy_files many_mutated_npy_files npy_files 1;
    mutated_idx_files many_mutated_idx_files idx_files 1;
    mutated_tables many_mutated_tables tables 1;
    mutated_series many_mutated_series series 1;
    mutated_texts many_mutated_texts texts 1;
    mutated_vocabularies many_mutated_vocabularies vocabularies 1;
    mutated_saved_terms many_mutated_saved_terms saved_terms 1;
}
