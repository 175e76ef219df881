//! `train mnist` and `train fashion`: 28×28 images in IDX files, which the user provides.

use std::path::Path;

use wgrad::data::{Dataset, idx};
use wgrad::tensor::{DType, TensorData};
use wgrad::train::ModelFile;

use super::convolutional;
use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Picture, Source, Task, dense};
use super::options::Own;
use super::{residual, saved};
use crate::failure::{Failure, Result};

const fn models(convolutional_epochs: u64) -> [ModelChoice; 5] {
    let defaults = Defaults { epochs: convolutional_epochs, falls: true, ..DEFAULTS };
    [
        ModelChoice::new(&["mlp"], "256 relu, 128 relu, 10", |data| dense(data, &[256, 128])),
        ModelChoice::new(&["mlp-large"], "512 relu, 512 relu, 10", |data| dense(data, &[512, 512])),
        ModelChoice::new(&["linear"], "10, without hidden layers", |data| dense(data, &[])),
        convolutional::textbook(defaults),
        residual::network(defaults),
    ]
}

const CLASSES: usize = 10;

/// The largest width and height of a saved model's images.
const LARGEST: usize = 1024;

const DEFAULTS: Defaults =
    Defaults { epochs: 5, batch_size: 128, optimizer: "adam", learning_rate: 1e-3, falls: false };

pub const MNIST: Demo = Demo {
    name: "mnist",
    about: "handwritten digits, 28x28 pixels, from --data DIR (70,000 examples)",
    models: &models(3),
    defaults: DEFAULTS,
    load: |source| load(source, "mnist", "MNIST", [0.1307, 0.3081]),
    ask,
    blank: Some(blank),
    own: Own::None,
    pictures: true,
    resizes: false,
};

pub const FASHION: Demo = Demo {
    name: "fashion",
    about: "pictures of clothes, 28x28 pixels, from --data DIR (70,000 examples)",
    models: &models(5),
    defaults: Defaults { epochs: 10, ..DEFAULTS },
    load: |source| {
        let names = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"];
        let mut data = load(source, "fashion", "Fashion-MNIST", [0.2860, 0.3530])?;
        data.train = data.train.with_class_names(names);
        data.test = data.test.with_class_names(names);
        Ok(data)
    },
    ask,
    blank: Some(blank),
    own: Own::None,
    pictures: true,
    resizes: false,
};

/// Mean and standard deviation are of the training pixels from 0 to 1, as published.
fn load(source: &Source, demo: &str, name: &str, [mean, std]: [f64; 2]) -> Result<Data> {
    let Some(directory) = &source.path else {
        return Err(Failure::new(format!(
            "{demo} wants --data DIR with {name}'s four files train-images-idx3-ubyte, train-labels-idx1-ubyte, \
             t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (.gz or not); get them from {}",
            match demo {
                "mnist" => "https://ossci-datasets.s3.amazonaws.com/mnist/",
                _ => "https://github.com/zalandoresearch/fashion-mnist (folder data/fashion)",
            }
        )));
    };
    let train = part(directory, "train")?;
    let test = part(directory, "t10k")?;
    if train.column("x")?.shape().iter().skip(1).ne(test.column("x")?.shape().iter().skip(1)) {
        return Err(Failure::new(format!("{}: training and test images differ in size", directory.display())));
    }
    with_picture(demo, train, test, [mean, std])
}

fn with_picture(demo: &str, train: Dataset, test: Dataset, [mean, std]: [f64; 2]) -> Result<Data> {
    let shape: Vec<usize> = train.column("x")?.shape().to_vec();
    let &[_, height, width] = shape.as_slice() else { return Err(Failure::new("images are [n, height, width]")) };
    let shape = [1, height, width];
    let picture = Some(Picture::new(shape, 255.0, &[mean], &[std])?);
    let settings = Picture::settings(demo, shape, &[mean], &[std]);
    let prepare = Some(Data::scale_bytes(255.0, mean, std));
    Ok(Data {
        train,
        test,
        validation: None,
        task: Task::Classes(CLASSES),
        prepare,
        picture,
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
        settings,
    })
}

fn part(directory: &Path, part: &str) -> Result<Dataset> {
    let inside = |error: wgrad::Error| Failure::new(format!("{}, part {part}: {error}", directory.display()));
    if !directory.is_dir() {
        return Err(Failure::new(format!("{}: there is no such directory", directory.display())));
    }
    let data = idx::read_images_and_labels(directory, part)?;
    check_images(data.column("x")?).map_err(inside)?;
    data.check_labels("y", CLASSES).map_err(inside)?;
    Ok(data)
}

fn check_images(images: &TensorData) -> wgrad::Result<()> {
    if images.dtype() == DType::U8 && images.shape().rank() == 3 {
        return Ok(());
    }
    Err(wgrad::Error::Data(format!("images should be u8[n, height, width], and are {}", images.ty())))
}

/// A file of images; or a directory with those of the test, and their labels if they are there.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let picture = Picture::restored(file, 1, 255.0, LARGEST)?;
    let [_, height, width] = picture.shape();
    let (mean, std) = (file.numbers("mean")?, file.numbers("std")?);
    let (Some(&mean), Some(&std)) = (mean.first(), std.first()) else {
        return Err(file.wrong("it has no mean and deviation").into());
    };
    let train = saved::blank(file, DType::U8, &[height, width])?;
    let classes = saved::classes(file, CLASSES)?;
    let path = saved::asked(
        source,
        "a file of images in IDX format (.gz or not), or a directory with t10k-images-idx3-ubyte",
    )?;
    let labelled = ["", ".gz"].iter().any(|ending| path.join(format!("t10k-labels-idx1-ubyte{ending}")).exists());
    let (x, y) = if labelled {
        let test = part(path, "t10k")?;
        (test.column("x")?.clone(), Some(test.column("y")?.clone()))
    } else {
        let packed = path.join("t10k-images-idx3-ubyte.gz");
        let inside = if packed.exists() { packed } else { path.join("t10k-images-idx3-ubyte") };
        (idx::read(if path.is_dir() { &inside } else { path })?, None)
    };
    let inside = |error: wgrad::Error| Failure::new(format!("{}: {error}", path.display()));
    check_images(&x).map_err(inside)?;
    if x.shape().get(1..) != Some(&[height, width]) {
        let found: Vec<String> = x.shape().iter().skip(1).map(usize::to_string).collect();
        return Err(Failure::new(format!(
            "{}: its images are {}, and the model takes {height}x{width}",
            path.display(),
            found.join("x")
        )));
    }
    let test = saved::questions(x, y, &classes)?;
    let data = with_picture(file.kind(), train, test, [mean, std])?;
    Ok(Asked::new(data))
}

/// As many black images as a batch takes, for looking at programs.
fn blank(_: &str) -> Result<Data> {
    let examples = DEFAULTS.batch_size;
    let x = TensorData::zeros(DType::U8, [examples, 28, 28]);
    let data = Dataset::new([("x", x), ("y", TensorData::zeros(DType::I32, [examples]))])?;
    with_picture(MNIST.name, data.clone(), data, [0.1307, 0.3081])
}
