//! `train tabular` and `train forecast` on tables as people have them: numbers far from 0, odd notations, gaps, classes and numbers.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::picture::Picture;
use support::{devices, events, fail, of_kind, run, succeed, text};

fn write(directory: &Path, name: &str, content: &str) -> std::io::Result<PathBuf> {
    let file = directory.join(name);
    fs::write(&file, content)?;
    Ok(file)
}

/// Options that most runs here have.
fn tabular<'a>(file: &'a Path, target: &'a str) -> Vec<&'a str> {
    vec!["train", "tabular", "--data", text(file), "--target", target]
}

fn done(arguments: &[&str]) -> Value {
    of_kind(&events(arguments), "done")[0]["test"].clone()
}

/// Two features, the first written by `number`, and a class that follows from it.
fn two_features(separator: &str, number: impl Fn(usize) -> String) -> String {
    let rows = (0..60).map(|row| {
        let kind = if row * 7 % 60 < 30 { "no" } else { "yes" };
        format!("{}{separator}{}{separator}{kind}\n", number(row * 7 % 60), row % 5)
    });
    std::iter::once(["a", "b", "kind\n"].join(separator)).chain(rows).collect()
}

#[test]
fn a_series_far_from_zero_is_forecast_as_one_near_it() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let series = |offset: f64| -> String {
        let values = (0..300).map(|step| format!("{:.4}\n", offset + (f64::from(step) / 5.0).sin()));
        std::iter::once("v\n".to_owned()).chain(values).collect()
    };
    for &device in devices() {
        let mut near = None;
        for offset in [0.0, 1e4, 1e8, 1.7e9] {
            let file = write(directory.path(), "series.csv", &series(offset))?;
            let test = done(&["train", "forecast", "--data", text(&file), "--steps", "3", "--device", device]);
            let value = |name: &str| test[name].as_f64().unwrap_or(f64::NAN);
            let found = ["loss", "mse", "mae", "naive_mse", "naive_mae"].map(value);
            assert!(found.iter().all(|value| *value > 0.05), "{device} {offset}: {test}");
            let near = *near.get_or_insert(found);
            for (own, near) in found.iter().zip(near) {
                assert!((own / near - 1.0).abs() < 2e-3, "{device} {offset}: {own} and {near}");
            }
            // The loss is of standardized values, the rest in the series' unit.
            assert!((value("mse") / value("loss") - 0.5).abs() < 0.05, "{test}");
        }
    }
    Ok(())
}

#[test]
fn seconds_since_1970_are_learned_like_seconds() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    for &device in devices() {
        let scores = [0_u64, 1_700_000_000].map(|offset| {
            let rows = (0..200).map(|row| {
                let second = row * 37 % 100;
                format!("{},{}\n", offset + second, if second < 50 { "lo" } else { "hi" })
            });
            let table: String = std::iter::once("t,kind\n".to_owned()).chain(rows).collect();
            let file = write(directory.path(), "t.csv", &table).unwrap();
            let mut arguments = tabular(&file, "kind");
            arguments.extend(["--epochs", "30", "--device", device]);
            done(&arguments)
        });
        assert!(scores[0]["accuracy"].as_f64() > Some(0.97), "{}", scores[0]);
        assert_eq!(scores[0]["accuracy"], scores[1]["accuracy"]);
        let [near, far] = [&scores[0], &scores[1]].map(|score| score["loss"].as_f64().unwrap_or(f64::NAN));
        assert!((near - far).abs() < 1e-4, "{near} {far}");
    }
    Ok(())
}

#[test]
fn numbers_in_any_notation_are_one_feature() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let comma = |row: usize| format!("{:.3}", row as f64 * 0.37).replace('.', ",");
    let cases: [(&str, String, &str); 9] = [
        ("decimal comma, quoted", two_features(",", |row| format!("\"{}\"", comma(row))), "number with decimal comma"),
        ("decimal comma", two_features(";", comma), "number with decimal comma"),
        ("tabs", two_features("\t", |row| format!("{row}e-1")), "number"),
        ("percent", two_features(",", |row| format!("{row}%")), "number, in percent"),
        ("hexadecimal", two_features(",", |row| format!("{row:#x}")), "number, hexadecimal"),
        ("minus", two_features(",", |row| format!("\u{2212}{row}")), "number"),
        (
            "no-break space",
            two_features(",", |row| format!("1\u{a0}{row:03}")),
            "number with thousands set apart by spaces",
        ),
        (
            "thousands",
            two_features(",", |row| format!("\"{},{row:03}\"", row + 1)),
            "number with thousands set apart by commas",
        ),
        ("dates", two_features(",", |row| format!("2024-03-{:02}", row % 31 + 1)), "date (year-month-day)"),
    ];
    for (name, content, expected) in cases {
        let file = write(directory.path(), "table.csv", &content.replace('\n', "\r\n"))?;
        let arguments = [&tabular(&file, "kind")[..], &["--epochs", "1"]].concat();
        let start = events(&arguments)[0].clone();
        // Two features: 2·64 + 64 + 64·32 + 32 + 32 + 1.
        assert_eq!([&start["parameters"], &start["train_examples"]], [2305, 48], "{name}");
        let told = succeed(&arguments);
        let line = told.lines().find(|line| line.trim_start().starts_with("a  ")).unwrap_or_default();
        assert!(line.contains(expected), "{name}: {told}");
        assert!(told.contains("kind  target, 2 classes"), "{told}");
    }
    let mixed = two_features(",", |row| if row == 21 { "n.k.".to_owned() } else { row.to_string() });
    let file = write(directory.path(), "table.csv", &mixed)?;
    let message = fail(&tabular(&file, "kind"));
    assert!(message.contains("line 5, column 'a': 'n.k.' is not a number, while 59 other values are"), "{message}");
    succeed(&[&tabular(&file, "kind")[..], &["--epochs", "1", "--categorical", "a"]].concat());
    Ok(())
}

#[test]
fn names_may_be_lacking_or_numbers() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let plain = two_features(",", |row| format!("{:.3}", row as f64 * 0.37));
    let numbered: String = plain
        .lines()
        .enumerate()
        .map(|(line, row)| if line == 0 { format!(",{row}\n") } else { format!("{},{row}\n", line - 1) })
        .collect();
    let trailing: String = plain.lines().map(|line| format!("{line},\n")).collect();
    let counted = numbered.replacen(",a,b,kind", ",0,1,2", 1);
    for (name, content, target) in [
        ("pandas", &numbered, "kind"),
        ("trailing", &trailing, "kind"),
        ("counted", &counted, "2"),
        ("plain", &plain, "-1"),
    ] {
        let file = write(directory.path(), "table.csv", content)?;
        let start = events(&[&tabular(&file, target)[..], &["--epochs", "1"]].concat())[0].clone();
        assert_eq!([&start["parameters"], &start["train_examples"], &start["test_examples"]], [2305, 48, 12], "{name}");
    }
    Ok(())
}

/// Sixty rows of which some lack a number, a category, or the target.
fn with_gaps() -> String {
    let rows = (0..60).map(|row| {
        let number = if row % 10 == 3 { "?".to_owned() } else { (row * 7 % 60).to_string() };
        let colour = if row % 20 == 5 { "NA" } else { ["red", "blue"][row % 2] };
        let kind = if row == 59 {
            ""
        } else if row * 7 % 60 < 30 {
            "no"
        } else {
            "yes"
        };
        format!("{number},{colour},{kind}\n")
    });
    std::iter::once("n,colour,kind\n".to_owned()).chain(rows).collect()
}

#[test]
fn missing_values_are_refused_with_their_counts_or_treated_as_asked() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = write(directory.path(), "gaps.csv", &with_gaps())?;
    let arguments = tabular(&file, "kind");
    for refusing in [&[][..], &["--missing", "refuse"]] {
        let message = fail(&[&arguments[..], refusing].concat());
        let expected = "missing are 6 in column 'n', 3 in column 'colour', 1 in column 'kind'";
        assert!(message.contains("line 5, column 'n'") && message.contains(expected), "{message}");
        assert!(message.contains("--missing"), "{message}");
    }
    for (choice, rows, parameters, told) in [
        ("drop", 50, 2369, "10 of 60 rows are left out, as they lack a value"),
        ("mean", 59, 2369, "n       number; 6 missing, taken for "),
        ("median", 59, 2369, "n       number; 6 missing, taken for "),
        ("frequent", 59, 2369, "colour  category, 2 labels; 3 missing, taken for 'red'"),
        ("class", 59, 2497, "n       number; 6 missing, told by a feature"),
    ] {
        let own = [&arguments[..], &["--epochs", "1", "--missing", choice]].concat();
        let start = events(&own)[0].clone();
        let examples = start["train_examples"].as_u64().zip(start["test_examples"].as_u64());
        assert_eq!(examples.map(|(train, test)| train + test), Some(rows), "{choice}");
        assert_eq!(start["parameters"], parameters, "{choice}");
        let stdout = succeed(&own);
        assert!(stdout.contains(told), "{choice}: {stdout}");
    }
    assert_eq!(run(&[&arguments[..], &["--missing", "guess"]].concat()).status.code(), Some(2));
    assert!(fail(&["train", "digits", "--missing", "mean"]).contains("--missing is for tables"));
    Ok(())
}

#[test]
fn a_target_of_numbers_is_learned_as_one() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let rows = (0..400).map(|row| {
        let (x, z) = (f64::from(row * 37 % 400) / 100.0, f64::from(row * 71 % 400) / 100.0);
        format!("{x},{z},{:.6}\n", 5e7 + 1e3 * (x * x - 2.0 * z + (3.0 * x).sin()))
    });
    let table: String = std::iter::once("x,z,price\n".to_owned()).chain(rows).collect();
    let file = write(directory.path(), "prices.csv", &table)?;
    let picture = directory.path().join("truth.png");
    for &device in devices() {
        let arguments =
            [&tabular(&file, "price")[..], &["--epochs", "60", "--scatter", text(&picture), "--device", device]]
                .concat();
        let all = events(&arguments);
        let test = &of_kind(&all, "done")[0]["test"];
        let value = |name: &str| test[name].as_f64().unwrap_or(f64::NAN);
        assert!(value("r2") > 0.97, "{device}: {test}");
        // In the unit of the price: R² says what part of the variance the squared error is.
        let variance = value("mse") / (1.0 - value("r2"));
        assert!((1e6..1e8).contains(&variance) && value("mae") < value("mse").sqrt(), "{device}: {test}");
        let validation = &of_kind(&all, "epoch").last().unwrap()["validation"];
        assert!(
            (validation["mse"].as_f64().unwrap_or(f64::NAN) / value("mse") - 1.0).abs() < 1e-6,
            "{validation} {test}"
        );
        let pixels = Picture::open(&picture)?;
        assert!(pixels.pixels.iter().filter(|pixel| pixel[2] > pixel[0].saturating_add(30)).count() > 500);
    }
    let told = succeed(&[&tabular(&file, "price")[..], &["--epochs", "2"]].concat());
    assert!(told.contains("'price' is learned as a number (regression)") && told.contains("the mean"), "{told}");
    assert!(!told.contains("predicted"), "{told}");
    Ok(())
}

#[test]
fn the_target_decides_and_the_user_overrides() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let rows = (0..90).map(|row| format!("{}.5,{}\n", row % 9, 3 + row % 3));
    let table: String = std::iter::once("x,quality\n".to_owned()).chain(rows).collect();
    let file = write(directory.path(), "wine.csv", &table)?;
    let arguments = [&tabular(&file, "quality")[..], &["--epochs", "2"]].concat();
    assert!(done(&arguments)["accuracy"].is_number());
    let told = succeed(&arguments);
    assert!(told.contains("one of 3 classes: 3, 4, 5; --task regression"), "{told}");
    let regression = [&arguments[..], &["--task", "regression"]].concat();
    let test = done(&regression);
    assert!(test["r2"].is_number() && test["accuracy"].is_null(), "{test}");
    assert!(fail(&[&arguments[..], &["--scatter", text(&directory.path().join("x.png"))]].concat()).contains("--task"));
    assert!(fail(&[&arguments[..], &["--scatter", "x.svg"]].concat()).contains(".png"));
    let words = write(directory.path(), "words.csv", "x,kind\n1,a\n2,b\n3,a\n4,b\n5,a\n")?;
    assert!(fail(&[&tabular(&words, "kind")[..], &["--task", "regression"]].concat()).contains("no number"));
    Ok(())
}

#[test]
fn another_file_may_be_the_test() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let train = write(directory.path(), "train.csv", &two_features(",", |row| format!("{row}%")))?;
    let test = write(directory.path(), "test.csv", "kind,b,a\nno,1,3%\nyes,2,55%\n")?;
    let arguments = tabular(&train, "kind");
    let own = [&arguments[..], &["--epochs", "40", "--test-data", text(&test)]].concat();
    let all = events(&own);
    assert_eq!([&all[0]["train_examples"], &all[0]["test_examples"]], [60, 2]);
    assert_eq!(of_kind(&all, "done")[0]["test"]["accuracy"], 1.0);
    for (content, expected) in [
        ("kind,b\nno,1\n", "no column 'a'"),
        ("kind,b,a\nmaybe,1,3%\n", "'maybe' is none of the classes: no, yes"),
        ("kind,b,a\nno,1,3\n", "line 2, column 'a': '3' is not a number"),
        ("kind,b,a\nno,,3%\n", "line 2, column 'b': the value is missing"),
    ] {
        let test = write(directory.path(), "test.csv", content)?;
        let message = fail(&[&arguments[..], &["--test-data", text(&test)]].concat());
        assert!(message.contains(expected) && message.contains("test.csv"), "{message}");
    }
    Ok(())
}

#[test]
fn a_run_that_goes_on_reads_its_table_as_before() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = write(directory.path(), "gaps.csv", &with_gaps())?;
    let checkpoint = directory.path().join("run");
    let run = ["--checkpoint", text(&checkpoint), "--seed", "4"];
    let first = [&tabular(&file, "kind")[..], &run, &["--missing", "class", "--epochs", "2"]].concat();
    succeed(&first);
    let start = events(&["train", "tabular", "--epochs", "4", "--resume", run[0], run[1], run[2], run[3]])[0].clone();
    assert_eq!(start["parameters"], 2497);
    let other = [&tabular(&file, "kind")[..], &run, &["--missing", "mean", "--resume"]].concat();
    assert!(fail(&other).contains("--missing class"));
    Ok(())
}

/// Programs get what became of each column; what is left out without being asked for is told on stderr too.
#[test]
fn columns_are_events_and_those_left_out_are_warnings() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let rows = (0..60).map(|row| format!("{row};name{row};{},5;;{};{}\n", row % 7, row % 3, ["a", "b"][row % 2]));
    let table = std::iter::once(";name;n;void;k;kind\n".to_owned()).chain(rows).collect::<String>();
    let file = write(directory.path(), "columns.csv", &table)?;
    let arguments = [&tabular(&file, "kind")[..], &["--drop", "k", "--steps", "2", "--json"]].concat();
    let output = run(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let all: Vec<Value> = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let kinds: Vec<&str> = all.iter().filter_map(|event| event["event"].as_str()).take(8).collect();
    assert_eq!(kinds, ["start", "column", "column", "column", "column", "column", "column", "program"]);
    let columns = of_kind(&all, "column");
    let found: Vec<[&str; 2]> =
        columns.iter().map(|column| ["name", "taken_as"].map(|field| column[field].as_str().unwrap_or("?"))).collect();
    let expected = [
        ["", "left_out"],
        ["name", "left_out"],
        ["n", "number"],
        ["void", "left_out"],
        ["k", "dropped"],
        ["kind", "target_classes"],
    ];
    assert_eq!(found, expected);
    assert!(columns[2]["note"].as_str().is_some_and(|note| note.contains("decimal comma")), "{}", columns[2]);
    let warnings: Vec<&str> = stderr.lines().collect();
    assert_eq!(warnings.len(), 3, "{stderr}");
    assert!(warnings[2].starts_with("warning: column 'void' is left out: it has no values"), "{stderr}");
    Ok(())
}

/// One of something is not spoken of as many, and letters that are two columns wide do not put rows out of line.
#[test]
fn messages_count_and_tables_align() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let rows = |kinds: [&str; 2]| -> String {
        let rows = (0..41).map(|row| format!("{},{}\n", row % 7, if row == 0 { "" } else { kinds[row % 2] }));
        std::iter::once("n,kind\n".to_owned()).chain(rows).collect()
    };
    let file = write(directory.path(), "cities.csv", &rows(["北京", "Rome"]))?;
    let told = succeed(&[&tabular(&file, "kind")[..], &["--missing", "drop", "--steps", "1"]].concat());
    assert!(told.contains("1 of 41 rows is left out, as it lacks"), "{told}");
    let lines: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("true \\ predicted")).take(3).collect();
    let widths: Vec<usize> = lines.iter().map(|line| console::measure_text_width(line)).collect();
    assert!(widths.len() == 3 && widths.iter().all(|width| *width == widths[0]), "{told}");
    let file = write(directory.path(), "short.csv", "a,b\n1,2\n3\n")?;
    assert!(fail(&tabular(&file, "b")).contains("line 3 has 1 field, but line 1 has 2"));
    Ok(())
}

#[test]
fn a_model_says_what_it_cannot_tell_apart() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let wave = |offset: f64, scale: f64| -> String {
        let values = (0..100).map(|step| format!("{:?}\n", offset + scale * (f64::from(step) / 5.0).sin()));
        std::iter::once("v\n".to_owned()).chain(values).collect()
    };
    let [near, far, huge] = [("near.csv", 0.0, 1.0), ("far.csv", 1e8, 1.0), ("huge.csv", 0.0, 1e30)]
        .map(|(name, offset, scale)| write(directory.path(), name, &wave(offset, scale)).unwrap());
    let model = directory.path().join("model.safetensors");
    succeed(&["train", "forecast", "--data", text(&near), "--steps", "2", "--save", text(&model)]);
    let blurred = fail(&["predict", text(&model), "--data", text(&far)]);
    assert!(blurred.contains("far.csv: the series 'v': its values are 1.4e8 standard deviations"), "{blurred}");
    let beyond = fail(&["predict", text(&model), "--data", text(&huge)]);
    assert!(beyond.contains("huge.csv: line 3 of the series 'v': 1.98") && beyond.contains("too far"), "{beyond}");
    let constant =
        write(directory.path(), "constant.csv", &"v\n".chars().chain("5\n".repeat(100).chars()).collect::<String>())?;
    let output = run(&["train", "forecast", "--data", text(&constant), "--steps", "2"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is constant in its training part"));
    let blank = write(directory.path(), "blank.csv", "v\n1\n\n3\n")?;
    for arguments in
        [vec!["train", "forecast", "--data", text(&blank)], vec!["predict", text(&model), "--data", text(&blank)]]
    {
        let message = fail(&arguments);
        assert!(
            message.contains("line 3, column 'v': the value is missing") && !message.contains("--missing"),
            "{message}"
        );
    }
    Ok(())
}

#[test]
fn rows_without_an_answer_are_predicted_and_not_scored() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = write(directory.path(), "t.csv", &two_features(",", |row| row.to_string()))?;
    let asked = write(directory.path(), "asked.csv", "a,b,kind\n3,1,no\n50,2,\n55,0,yes\n")?;
    let model = directory.path().join("model.safetensors");
    for missing in ["refuse", "drop", "class"] {
        succeed(
            &[&tabular(&file, "kind")[..], &["--epochs", "1", "--missing", missing, "--save", text(&model)]].concat(),
        );
        let all = events(&["predict", text(&model), "--data", text(&asked)]);
        assert_eq!(of_kind(&all, "prediction").len(), 3, "{missing}");
        assert_eq!(of_kind(&all, "done")[0]["scored"], 2, "{missing}");
    }
    assert!(succeed(&["predict", text(&model), "--data", text(&asked)]).contains("scores are of the 2 of 3 rows"));
    Ok(())
}

#[test]
fn numbers_of_any_size_are_drawn() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let picture = directory.path().join("truth.png");
    for (name, offset, scale) in [("far", 1e8, 0.01), ("tiny", 0.0, 1e-150)] {
        let rows = (0..100).map(|row| format!("{row},{:e}\n", offset + scale * f64::from(row * 7 % 100) / 100.0));
        let table: String = std::iter::once("x,y\n".to_owned()).chain(rows).collect();
        let file = write(directory.path(), "t.csv", &table)?;
        succeed(&[&tabular(&file, "y")[..], &["--epochs", "1", "--scatter", text(&picture)]].concat());
        let pixels = Picture::open(&picture)?;
        let width = pixels.dimensions().0 as usize;
        let blue = pixels.pixels.iter().enumerate().filter(|(_, pixel)| pixel[2] > pixel[0].saturating_add(30));
        let columns: std::collections::BTreeSet<usize> =
            blue.map(|(index, _)| index % width).filter(|x| *x < 800).collect();
        assert!(columns.len() > 100, "{name}: {} columns with points", columns.len());
    }
    Ok(())
}

#[test]
fn spirals_want_a_hidden_layer_and_are_drawn_and_asked() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let accuracy = |all: &[Value]| of_kind(all, "done")[0]["test"]["accuracy"].as_f64().unwrap_or_default();
    let linear = accuracy(&events(&["train", "spirals", "--model", "linear", "--epochs", "10"]));
    assert!(linear > 0.3 && linear < 0.65, "{linear}");
    let model = directory.path().join("spirals.safetensors");
    for &device in devices() {
        let all = events(&["train", "spirals", "--epochs", "15", "--device", device, "--save", text(&model)]);
        assert!(accuracy(&all) > 0.95, "{device}: {}", accuracy(&all));
        let map = of_kind(&all, "sample")[0]["text"].as_str().unwrap_or_default();
        assert_eq!(map.lines().map(|line| line.chars().count()).collect::<Vec<_>>(), [48; 24], "{map}");
        assert!([' ', '+', '#'].iter().all(|&mark| map.matches(mark).count() > 200), "{map}");
    }
    // The middle of each spiral.
    let middle = |spiral: f64| {
        let angle = std::f64::consts::TAU * (spiral / 3.0 + 0.65 * 0.5);
        format!("{},{},{spiral}\n", 0.5 * angle.cos(), 0.5 * angle.sin())
    };
    let points: String = (0..3).map(|spiral| middle(f64::from(spiral))).collect();
    let file = write(directory.path(), "points.csv", &format!("x,y,spiral\n{points}"))?;
    let all = events(&["predict", text(&model), "--data", text(&file)]);
    let classes: Vec<&str> = of_kind(&all, "prediction").iter().filter_map(|event| event["class"].as_str()).collect();
    assert_eq!(classes, ["0", "1", "2"]);
    assert_eq!(of_kind(&all, "done")[0]["test"]["accuracy"], 1.0);
    let wrong = write(directory.path(), "wrong.csv", "x,z\n1,2\n")?;
    let message = fail(&["predict", text(&model), "--data", text(&wrong)]);
    assert!(message.contains("has no column 'y'"), "{message}");
    let message = fail(&["train", "spirals", "--data", text(&file)]);
    assert!(message.contains("takes no --data"), "{message}");
    Ok(())
}
