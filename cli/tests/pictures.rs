//! Folders of pictures as data, and pictures that runs leave behind.

mod support;

use std::fs;
use std::io::Result;
use std::path::Path;

use support::picture::{Picture, save_grey};
use support::{events, fail, of_kind, run, succeed, text};

/// A shape of a class's own on a dark ground, at a position that depends on the number.
fn shape(class: usize, number: u32, width: u32, height: u32) -> Picture {
    let (left, top) = (width as i32 / 2 - 2 + (number % 5) as i32, height as i32 / 2 - 2 + (number / 5 % 5) as i32);
    let reach = width.min(height) as i32 / 4;
    Picture::from_fn(width, height, |x, y| {
        let (right, down) = ((x as i32 - left).abs(), (y as i32 - top).abs());
        let inside = match class {
            0 => right * right + down * down <= reach * reach,
            1 => right.max(down) <= reach,
            _ => right.min(down) <= reach / 3 && right.max(down) <= reach,
        };
        let light = 200 + (number % 50) as u8;
        let colour = [[light, 40, 30], [30, light, 50], [40, 60, light]][class];
        if inside { colour } else { [(number % 40) as u8; 3] }
    })
}

/// Pictures of three classes, as PNG and JPEG.
fn shapes(directory: &Path, count: u32, width: u32, height: u32) -> Result<()> {
    for (class, name) in ["circle", "square", "cross"].into_iter().enumerate() {
        let folder = directory.join(name);
        fs::create_dir_all(&folder)?;
        for number in 0..count {
            let ending = if number % 2 == 0 { "png" } else { "JPG" };
            shape(class, number, width, height).save(folder.join(format!("{number:03}.{ending}")))?;
        }
    }
    Ok(())
}

fn train<'a>(directory: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "images", "--data", text(directory)], more].concat()
}

const SHORT: [&str; 6] = ["--model", "mlp", "--epochs", "1", "--batch-size", "4"];

#[test]
fn shapes_are_learned_and_their_pictures_drawn() -> Result<()> {
    let (directory, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    shapes(directory.path(), 40, 20, 20)?;
    let file = |name: &str| out.path().join(name);
    let [explain, filters, mistakes] = [file("explain.png"), file("filters.PNG"), file("mistakes.png")];
    let drawn = ["--explain", text(&explain), "--filters", text(&filters), "--mistakes", text(&mistakes)];
    let all = events(&train(directory.path(), &[&["--model", "mlp", "--epochs", "12"][..], &drawn].concat()));
    let [start, done] = [of_kind(&all, "start")[0], of_kind(&all, "done")[0]];
    assert_eq!([&start["train_examples"], &start["test_examples"]], [96, 24]);
    assert!(done["test"]["accuracy"].as_f64() > Some(0.95), "{done}");
    for path in [&explain, &filters, &mistakes] {
        let picture = Picture::open(path)?;
        let (width, height) = picture.dimensions();
        assert!(width > 600 && height > 100, "{path:?} is {width}x{height}");
        // White around, something on it.
        assert_eq!(picture.pixel(1, 1), [255; 3]);
        assert!(picture.pixels.iter().any(|pixel| pixel.iter().all(|level| *level < 80)), "{path:?} has no letters");
    }
    Ok(())
}

#[test]
fn convolutions_learn_the_same_shapes_better() -> Result<()> {
    let (directory, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    shapes(directory.path(), 30, 16, 16)?;
    let file = |name: &str| out.path().join(name);
    let [explain, filters] = [file("explain.png"), file("filters.png")];
    let drawn = ["--epochs", "6", "--batch-size", "16", "--explain", text(&explain), "--filters", text(&filters)];
    let all = events(&train(directory.path(), &drawn));
    let [start, done] = [of_kind(&all, "start")[0], of_kind(&all, "done")[0]];
    assert_eq!(start["model"], "cnn", "the default");
    // Two convolutions, and the first dense layer on 64 channels of a quarter of the size.
    assert_eq!(start["parameters"], (27 + 1) * 32 + (288 + 1) * 64 + (1024 + 1) * 128 + 129 * 3);
    assert!(done["test"]["accuracy"].as_f64() > Some(0.95), "{done}");
    let filters = Picture::open(filters)?.dimensions();
    assert!(filters.1 > 500, "32 filters in four rows, {filters:?}");
    assert!(Picture::open(explain)?.dimensions().1 > 400);
    Ok(())
}

#[test]
fn other_demos_draw_too() -> Result<()> {
    let out = tempfile::tempdir()?;
    let file = |name: &str| out.path().join(name);
    let [explain, filters, mistakes] = [file("explain.png"), file("filters.png"), file("mistakes.png")];
    succeed(&[
        "train",
        "digits",
        "--model",
        "mlp",
        "--epochs",
        "1",
        "--explain",
        text(&explain),
        "--filters",
        text(&filters),
        "--mistakes",
        text(&mistakes),
    ]);
    // The first epoch leaves mistakes: their sheet has rows of pictures.
    let height = |path| Picture::open(path).map(|picture| picture.dimensions().1);
    assert!(height(mistakes)? > 300 && height(explain)? > 600 && height(filters)? > 600);
    Ok(())
}

#[test]
fn parts_and_sizes_are_as_asked_for() -> Result<()> {
    let directory = tempfile::tempdir()?;
    shapes(&directory.path().join("train"), 8, 30, 20)?;
    shapes(&directory.path().join("val"), 4, 30, 20)?;
    let parameters = |more: &[&str]| {
        let all = events(&train(directory.path(), &[&SHORT, more].concat()));
        let start = of_kind(&all, "start")[0].clone();
        assert_eq!([&start["train_examples"], &start["test_examples"]], [24, 12]);
        start["parameters"].as_u64().unwrap_or_default()
    };
    // Hidden layers of 256 and 128, three classes.
    let count = |size: u64| (3 * size * size + 1) * 256 + 257 * 128 + 129 * 3;
    assert_eq!(parameters(&[]), count(20), "all are equal: their own size, as a square");
    assert_eq!(parameters(&["--image-size", "9"]), count(9));
    shape(0, 1, 70, 50).save(directory.path().join("train/circle/large.png"))?;
    save_grey(directory.path().join("val/cross/grey.png"), (10, 10), 0)?;
    let all = events(&train(directory.path(), &SHORT));
    assert_eq!(of_kind(&all, "start")[0]["parameters"], count(32), "they differ");
    Ok(())
}

#[test]
fn decoded_pictures_are_cached_until_something_changes() -> Result<()> {
    let directory = tempfile::tempdir()?;
    shapes(directory.path(), 4, 16, 16)?;
    let told = || succeed(&train(directory.path(), &SHORT));
    let cache = directory.path().join(".wgrad-cache").join("own-size.safetensors");
    fs::write(directory.path().join("circle/notes.txt"), "no picture")?;
    fs::write(directory.path().join("circle/.hidden.png"), "no picture either")?;
    let first = told();
    assert!(first.contains("stored in the cache"), "{first}");
    let whole = fs::read(&cache)?;
    assert!(told().contains("from the cache"));
    // Cut short, and a pixel changed: both are noticed and made good.
    let mut changed = whole.clone();
    changed.last_mut().into_iter().for_each(|byte| *byte ^= 0x55);
    for damage in [&whole[..whole.len() / 2], &changed, b"", b"nonsense"] {
        fs::write(&cache, damage)?;
        let after = told();
        assert!(after.contains("damaged") && after.contains("stored in the cache"), "{after}");
        assert_eq!(fs::read(&cache)?, whole);
    }
    shape(1, 9, 16, 16).save(directory.path().join("square/new.png"))?;
    assert!(!told().contains("from the cache"));
    assert!(told().contains("from the cache"));
    Ok(())
}

/// What is in the folders and not read is counted in the first event, and told on stderr whatever is on stdout.
#[test]
fn files_that_are_no_pictures_are_skipped_and_told() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    shapes(path, 4, 16, 16)?;
    let all = events(&train(path, &SHORT));
    assert_eq!(of_kind(&all, "start")[0]["skipped"], 0);
    for name in ["circle/1.gif", "square/2.bmp", "notes.txt"] {
        fs::write(path.join(name), "no picture")?;
    }
    let mut skipped = 3;
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere.png", path.join("circle/link.png"))?;
        skipped += 1;
    }
    for json in [&[][..], &["--json"]] {
        let output = run(&[&train(path, &SHORT)[..], json].concat());
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success() && stderr.contains(&format!("warning: skipped {skipped} files")), "{stderr}");
        assert_eq!(stdout.contains(&format!("\"skipped\":{skipped}")), !json.is_empty(), "{stdout}");
    }
    Ok(())
}

#[test]
fn damaged_pictures_end_the_run_or_are_left_out_and_counted() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    shapes(path, 6, 24, 24)?;
    let jpeg = fs::read(path.join("square/001.JPG"))?;
    // Cut where three quarters would be grey; with an end put to it; and no picture at all.
    fs::write(path.join("square/cut.jpg"), &jpeg[..jpeg.len() * 3 / 4])?;
    let message = fail(&train(path, &SHORT));
    assert!(message.contains("square/cut.jpg: the picture is truncated"), "{message}");
    assert!(!path.join(".wgrad-cache/own-size.safetensors").exists());
    fs::write(path.join("circle/ended.jpeg"), [&jpeg[..jpeg.len() * 3 / 4], b"\xff\xd9"].concat())?;
    fs::write(path.join("cross/words.png"), "no picture")?;
    let message = fail(&train(path, &SHORT));
    assert!(message.contains("circle/ended.jpeg") && message.contains("2 more"), "{message}");
    let skip = [&SHORT[..], &["--skip-damaged"]].concat();
    for from in ["stored in the cache", "from the cache"] {
        let told = succeed(&train(path, &skip));
        assert!(
            told.contains("skipped 3 damaged") && told.contains("circle/ended.jpeg") && told.contains(from),
            "{told}"
        );
    }
    let all = events(&train(path, &skip));
    let start = of_kind(&all, "start")[0].clone();
    assert_eq!(start["train_examples"].as_u64().unwrap_or(0) + start["test_examples"].as_u64().unwrap_or(0), 18);
    // What was left out once is not let in by the cache.
    assert!(fail(&train(path, &SHORT)).contains("circle/ended.jpeg"));
    for number in 1..6 {
        for ending in ["png", "JPG"] {
            let _ = fs::remove_file(path.join(format!("cross/{number:03}.{ending}")));
        }
    }
    assert!(fail(&train(path, &skip)).contains("too few of class \"cross\""));
    assert!(fail(&["train", "digits", "--skip-damaged"]).contains("--skip-damaged has no meaning"));
    Ok(())
}

#[test]
fn a_folder_that_cannot_hold_a_cache_is_no_harm() -> Result<()> {
    let directory = tempfile::tempdir()?;
    shapes(directory.path(), 3, 8, 8)?;
    fs::write(directory.path().join(".wgrad-cache"), "a file is in the way")?;
    for _ in 0..2 {
        let told = succeed(&train(directory.path(), &SHORT));
        assert!(told.contains("no cache"), "{told}");
    }
    Ok(())
}

/// A PNG of a size that is not there: its head, and the beginning of pixels.
fn head(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let crc = chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    });
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(13_u32.to_be_bytes());
    bytes.extend(chunk);
    bytes.extend((!crc).to_be_bytes());
    bytes.extend(100_u32.to_be_bytes());
    bytes.extend(b"IDAT\x78\x9c");
    bytes
}

#[test]
fn bad_folders_are_refused() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let told = |expected: &[&str]| {
        let message = fail(&train(path, &SHORT));
        assert!(expected.iter().all(|part| message.contains(part)), "{expected:?}: {message}");
    };
    assert!(fail(&["train", "images"]).contains("--data"));
    assert!(fail(&["train", "images", "--data", "/nowhere"]).contains("/nowhere"));
    told(&["no class folders"]);
    fs::create_dir(path.join("circle"))?;
    told(&["only one class", "circle"]);
    fs::create_dir(path.join("square"))?;
    told(&["circle", "no pictures"]);
    shapes(path, 1, 8, 8)?;
    told(&["circle", "single picture"]);
    shapes(path, 4, 8, 8)?;
    let bad = path.join("square/bad.png");
    let good = fs::read(path.join("square/000.png"))?;
    let mut spoiled = good.clone();
    let middle = good.len() / 2;
    spoiled[middle] ^= 0xff;
    for (content, expected) in [
        (&b"this is no picture"[..], "no picture"),
        (b"", "no picture"),
        (b"GIF89a\x08\0\x08\0\0\0\0", "no picture"),
        (&good[..good.len() / 2], "truncated"),
        (&spoiled, "corrupt"),
        (&head(60_000, 60_000), "enormous"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0nonsense", ""),
    ] {
        fs::write(&bad, content)?;
        told(&["square/bad.png", expected]);
    }
    fs::remove_file(&bad)?;
    fs::create_dir(path.join("train"))?;
    told(&["train", "no class folders"]);
    shapes(&path.join("train"), 2, 8, 8)?;
    fs::create_dir_all(path.join("test/circle"))?;
    fs::create_dir_all(path.join("test/star"))?;
    told(&["test", "cross"]);
    shapes(&path.join("test"), 1, 8, 8)?;
    told(&["test", "star"]);
    fs::remove_dir(path.join("test/star"))?;
    succeed(&train(path, &SHORT));
    Ok(())
}

#[test]
fn places_for_pictures_are_checked_before_the_run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for option in ["--explain", "--filters", "--mistakes"] {
        for (demo, file, expected) in [
            ("digits", directory.path().join("x.jpg"), ".png"),
            ("digits", directory.path().join("nowhere").join("x.png"), "nowhere"),
            ("tabular", directory.path().join("x.png"), "has none"),
        ] {
            let message = fail(&["train", demo, option, text(&file), "--json"]);
            assert!(message.contains(expected), "{message}");
        }
    }
    assert!(fail(&["train", "digits", "--image-size", "20"]).contains("--image-size"));
    assert_eq!(run(&["train", "images", "--image-size", "0"]).status.code(), Some(2));
    Ok(())
}

#[test]
fn programs_for_pictures_can_be_looked_at_without_any() {
    for demo in ["images", "mnist", "fashion", "digits"] {
        for model in ["mlp", "cnn", "resnet"] {
            assert!(succeed(&["inspect", demo, "--model", model]).contains("dispatches"), "{demo} {model}");
        }
    }
}
