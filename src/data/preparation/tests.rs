//! What is learned from the training rows, and done to all.

use super::super::column::{Column, Values};
use super::*;
use crate::tensor::TensorData;

fn read(text: &str) -> Result<Table> {
    Csv::new().keep_missing().from_bytes(text.as_bytes(), "t")
}

fn all(table: &Table) -> Vec<usize> {
    (0..table.len()).collect()
}

fn message<T>(result: Result<T>) -> String {
    result.err().map_or_else(String::new, |error| error.to_string())
}

fn column(x: &TensorData, feature: usize) -> Vec<f64> {
    let width = x.shape()[1];
    x.to_f64_vec().into_iter().skip(feature).step_by(width).collect()
}

const GAPS: &str = "n,c,y\n1,a,0\n?,b,1\n2,b,0\n2,NA,1\n7,a,0\n,b,1\n";

#[test]
fn what_is_missing_is_filled_from_the_training_rows() -> Result<()> {
    let table = read(GAPS)?;
    // Of the training rows 0, 2, 4: 1, 2, 7 and a, b, a. scikit-learn's SimpleImputer gives the same.
    for (missing, fill, label) in [
        (Missing::Mean, 10.0 / 3.0, [1.0, 0.0]),
        (Missing::Median, 2.0, [1.0, 0.0]),
        (Missing::Frequent, 1.0, [1.0, 0.0]),
    ] {
        let preparation = PreparationOptions::new("y").missing(missing).fit(&table, &[0, 2, 4])?;
        let x = preparation.features_of(&table)?;
        assert_eq!(x.shape().dims(), [6, 3]);
        let (mean, std) = (10.0 / 3.0, (62.0_f64 / 9.0).sqrt());
        for (own, value) in column(&x, 0).into_iter().zip([1.0, fill, 2.0, 2.0, 7.0, fill]) {
            approx::assert_relative_eq!(own, (value - mean) / std, epsilon = 1e-6);
        }
        assert_eq!([column(&x, 1)[3], column(&x, 2)[3]], label);
    }
    let preparation = PreparationOptions::new("y").missing(Missing::Class).fit(&table, &[0, 2, 4])?;
    let x = preparation.features_of(&table)?;
    assert_eq!(x.shape().dims(), [6, 5]);
    assert_eq!(column(&x, 1), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let described: Vec<String> = preparation.describe().into_iter().map(|column| column.note).collect();
    let expected = [
        "number; 2 missing, told by a feature",
        "category, 2 labels; 1 missing, a label of their own",
        "target, 2 classes",
    ];
    assert_eq!(described, expected);
    let complete = read("n,c,y\n1,a,0\n2,b,1\n7,a,0\n")?;
    let whole = PreparationOptions::new("y").missing(Missing::Class).fit(&complete, &[0, 1, 2])?;
    assert_eq!(whole.features(), 3);
    assert_eq!(column(&whole.features_of(&table)?, 0)[1], 0.0);
    assert_eq!([column(&x, 0)[1], column(&x, 2)[3], column(&x, 3)[3], column(&x, 4)[3]], [0.0, 0.0, 0.0, 1.0]);
    Ok(())
}

#[test]
fn missing_values_are_refused_or_dropped() -> Result<()> {
    let table = read(GAPS)?;
    let refused = message(PreparationOptions::new("y").rows(&table));
    assert!(
        refused.starts_with(
            "line 3, column 'n': the value is missing; in all 6 rows, missing are 2 in column 'n', 1 in column 'c'"
        ),
        "{refused}"
    );
    assert!(message(PreparationOptions::new("y").fit(&table, &all(&table))).contains("missing"));
    let drop = PreparationOptions::new("y").missing(Missing::Drop);
    assert_eq!(drop.rows(&table)?, [0, 2, 4]);
    assert_eq!(drop.clone().leave_out(["n"]).rows(&table)?, [0, 1, 2, 4, 5]);
    // Rows without a target are nobody's to learn from.
    let table = read("n,y\n1,0\n2,?\n3,1\n?,0\n")?;
    assert_eq!(PreparationOptions::new("y").missing(Missing::Mean).rows(&table)?, [0, 2, 3]);
    assert!(PreparationOptions::new("y").rows(&table).is_err());
    let fitted = PreparationOptions::new("y").missing(Missing::Drop).fit(&table, &[0, 2])?;
    assert_eq!(fitted.usable_rows(&table)?, [0, 2]);
    assert!(message(fitted.features_of(&table)).contains("line 5, column 'n': the value is missing"));
    assert!(!fitted.has_targets(&table));
    Ok(())
}

/// The features of a table that is prepared by itself.
fn prepared_of(target: &str, table: &Table) -> Result<Vec<f64>> {
    Ok(PreparationOptions::new(target).fit(table, &all(table))?.features_of(table)?.to_f64_vec())
}

#[test]
fn any_scale_is_learned_and_what_is_too_far_is_refused() -> Result<()> {
    let near = prepared_of("c", &read("v,c\n1,x\n2,y\n4,x\n")?)?;
    for scale in ["e-300", "e-165", "e-45", "e45", "e300"] {
        let far = prepared_of("c", &read(&format!("v,c\n1{scale},x\n2{scale},y\n4{scale},x\n"))?)?;
        near.iter().zip(&far).for_each(|(a, b)| approx::assert_relative_eq!(*a, *b, max_relative = 1e-6));
    }
    let table = read("v,c\n1,x\n2,y\n4,x\n")?;
    let preparation = PreparationOptions::new("c").fit(&table, &all(&table))?;
    let far = message(preparation.features_of(&read("v,c\n1,x\n1e30,y\n")?));
    assert!(far.starts_with("line 3, column 'v': 1e30 is 8.0e29 standard deviations"), "{far}");
    let blurred = message(preparation.features_of(&read("v,c\n100000000.1,x\n100000000.9,y\n")?));
    assert!(blurred.starts_with("column 'v': its values are 8.0e7 standard deviations"), "{blurred}");
    let number = PreparationOptions::new("v").goal(Goal::Regression).fit(&table, &all(&table))?;
    assert!(message(number.targets_of(&read("v,c\n1,x\n-1e30,y\n")?)).contains("line 3, column 'v': -1e30 is"));
    let constant = read("v,w,c\n7,1e18,x\n7,1000000000000000128,y\n7,1e18,x\n")?;
    let told = PreparationOptions::new("c").fit(&constant, &all(&constant))?;
    let told: Vec<String> = told.describe().into_iter().map(|column| column.note).collect();
    assert!(told[0].contains("the same value in all training rows"), "{told:?}");
    assert!(told[1].contains("differ by less than f64 can tell"), "{told:?}");
    Ok(())
}

#[test]
fn rows_without_an_answer_are_predicted() -> Result<()> {
    let table = read("n,y\n1,0\n2,1\n3,0\n")?;
    let partly = read("n,y\n1,0\n2,?\n?,1\n")?;
    let rows = |missing: Missing| -> Result<Vec<usize>> {
        PreparationOptions::new("y").missing(missing).fit(&table, &all(&table))?.answerable_rows(&partly)
    };
    assert_eq!((rows(Missing::Drop)?, rows(Missing::Class)?), (vec![0, 1], vec![0, 1, 2]));
    assert!(message(rows(Missing::Refuse)).starts_with("line 4, column 'n': the value is missing"));
    let own = PreparationOptions::new("y").fit(&table, &all(&table))?;
    assert_eq!(own.rows_with_target(&partly)?, [0, 2]);
    assert!(own.rows_with_target(&own.table_from_bytes(b"n\n1\n", "t")?)?.is_empty());
    Ok(())
}

#[test]
fn features_are_standardized_in_f64() -> Result<()> {
    let text = |offset: u64| -> String {
        let rows =
            (0..40).map(|row| format!("{},{}\n", offset + row * 7 % 40, ["lo", "hi"][usize::from(row * 7 % 40 >= 20)]));
        std::iter::once("t,kind\n".to_owned()).chain(rows).collect()
    };
    let near = read(&text(0))?;
    let far = read(&text(1_700_000_000))?;
    let prepared = |table: &Table| -> Result<TensorData> {
        PreparationOptions::new("kind").fit(table, &all(table))?.features_of(table)
    };
    for (a, b) in prepared(&near)?.to_f64_vec().into_iter().zip(prepared(&far)?.to_f64_vec()) {
        approx::assert_relative_eq!(a, b, epsilon = 1e-6);
    }
    // A target too, and back again.
    let number = PreparationOptions::new("t").goal(Goal::Regression).fit(&far, &all(&far))?;
    let y = number.targets_of(&far)?;
    for (row, value) in y.to_f64_vec().into_iter().enumerate() {
        let truth = 1_700_000_000.0 + (row * 7 % 40) as f64;
        approx::assert_abs_diff_eq!(number.restored(value), truth, epsilon = 1e-4);
    }
    let huge = read("v,c\n1e200,x\n-1e200,y\n")?;
    assert_eq!(prepared_of("c", &huge)?, [1.0, -1.0]);
    assert!(
        message(PreparationOptions::new("v").goal(Goal::Regression).fit(&huge, &[0, 1])).contains("squares of errors")
    );
    let far = PreparationOptions::new("c").fit(&read("v,c\n1e-30,x\n2e-30,y\n1e300,y\n")?, &[0, 1])?;
    assert!(message(far.features_of(&read("v,c\n1e300,x\n")?)).contains("line 2, column 'v'"));
    Ok(())
}

#[test]
fn the_target_says_what_is_learned() -> Result<()> {
    let kind = |cells: &[&str], goal: Goal| {
        let rows: String = cells.iter().map(|cell| format!("1,{cell}\n")).collect();
        PreparationOptions::new("y").goal(goal).target(&read(&format!("x,y\n{rows}"))?)
    };
    let few = ["1", "2", "3"].repeat(3);
    assert_eq!(kind(&few, Goal::Detect)?, Target::Classes);
    assert_eq!(kind(&few, Goal::Regression)?, Target::Number);
    assert_eq!(kind(&["1", "2", "3", "4"], Goal::Detect)?, Target::Number);
    assert_eq!(kind(&["1", "2", "3", "4"], Goal::Classification)?, Target::Classes);
    assert_eq!(kind(&["0.5", "1.5", "2"].repeat(9), Goal::Detect)?, Target::Number);
    assert_eq!(kind(&["0.5", "1.5"], Goal::Detect)?, Target::Binary);
    assert_eq!(kind(&["a", "b", "c"], Goal::Detect)?, Target::Classes);
    assert!(message(kind(&["a", "b"], Goal::Regression)).contains("no number to be predicted: it holds 'a', 'b'"));
    assert!(message(kind(&["a", "a"], Goal::Detect)).contains("same value everywhere"));
    assert!(message(kind(&["?", ""], Goal::Detect)).contains("empty"));
    let many: Vec<String> = (0..300).map(|row| row.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(message(kind(&many, Goal::Classification)).contains("300 different values"));
    Ok(())
}

#[test]
fn columns_that_say_nothing_are_left_out_and_told() -> Result<()> {
    let rows: String =
        (0..60).map(|row| format!("{row},name{row},{},,{},{}\n", row % 7, row % 3, ["a", "b"][row % 2])).collect();
    let table = read(&format!(",name,n,void,k,kind\n{rows}"))?;
    let preparation = PreparationOptions::new("kind").leave_out(["k"]).fit(&table, &all(&table))?;
    let expected = [
        ("", TakenAs::LeftOut, "left out: it numbers the rows and has no name"),
        ("name", TakenAs::LeftOut, "left out: 60 different words in 60 rows are no categories"),
        ("n", TakenAs::Number, "number"),
        ("void", TakenAs::LeftOut, "left out: it has no values"),
        ("k", TakenAs::Dropped, "left out: as asked"),
        ("kind", TakenAs::TargetClasses, "target, 2 classes"),
    ];
    let expected = expected.map(|(name, taken_as, note)| DescribedColumn { name, taken_as, note: note.to_owned() });
    assert_eq!(preparation.describe(), expected);
    assert_eq!(preparation.features(), 1);
    let asked =
        Csv::new().categorical(["name", "n"]).from_bytes(format!(",name,n,void,k,kind\n{rows}").as_bytes(), "t")?;
    let asked = PreparationOptions::new("kind").fit(&asked, &all(&asked))?;
    assert_eq!(asked.features(), 60 + 7 + 1);
    assert!(
        message(PreparationOptions::new("kind").leave_out(["kind"]).fit(&table, &[0, 1])).contains("is the target")
    );
    assert!(
        message(PreparationOptions::new("kind").leave_out(["n", "k"]).fit(&table, &[0, 1]))
            .contains("no column besides")
    );
    let words: String = (0..4004).map(|row| format!("w{},{}\n", row % 2002 % 1001, row % 2)).collect();
    let words = read(&format!("word,y\n{words}"))?;
    assert!(message(PreparationOptions::new("y").fit(&words, &[0, 1])).contains("1001 different words"));
    Ok(())
}

#[test]
fn other_tables_are_taken_in_the_same_way_also_after_saving() -> Result<()> {
    let table = read("a,c,kind\n1,x,no\n2,y,yes\n4,x,no\n9,z,yes\n")?;
    for options in [
        PreparationOptions::new("kind"),
        PreparationOptions::new("kind").missing(Missing::Class),
        PreparationOptions::new("kind").missing(Missing::Frequent).leave_out(["a"]),
        PreparationOptions::new("a").goal(Goal::Regression).missing(Missing::Median),
    ] {
        let preparation = options.fit(&table, &[0, 1, 2])?;
        let again = Preparation::from_json(&preparation.to_json())?;
        assert_eq!(again, preparation);
        assert_eq!(again.dataset(&table)?, preparation.dataset(&table)?);
        // z is in no training row.
        assert_eq!(preparation.unknown(&table)?, [("c", 1)]);
    }
    let preparation = PreparationOptions::new("kind").fit(&table, &[0, 1, 2])?;
    let last = preparation.features_of(&table)?.to_f64_vec()[9..].to_vec();
    assert_eq!(last[1..], [0.0, 0.0]);
    let new = read("a,c,kind\n1,x,maybe\n")?;
    assert_eq!(message(preparation.dataset(&new)), "line 2, column 'kind': 'maybe' is none of the classes: no, yes");
    let numbered = read("a,y\n1,1\n2,2\n3,3\n4,1\n5,2\n6,3\n7,1\n8,2\n9,3\n")?;
    let numbered = PreparationOptions::new("y").fit(&numbered, &all(&numbered))?;
    assert_eq!(numbered.targets_of(&numbered.table_from_bytes(b"a,y\n1,2.0\n", "t")?)?.to_f64_vec(), [1.0]);
    assert!(
        message(preparation.features_of(&Table::new(vec![Column::named("a", Values::of_numbers([1.0]))])?))
            .contains("no column 'c'")
    );
    Ok(())
}

#[test]
fn what_is_no_preparation_is_refused() -> Result<()> {
    let table = read("a,c,kind\n1,x,no\n2,y,yes\n")?;
    let json = PreparationOptions::new("kind").fit(&table, &[0, 1])?.to_json();
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"target\":2", "\"target\":0"),
        ("\"mean\"", "\"meen\""),
        ("\"std\":0.5", "\"std\":0"),
        ("\"role\":\"number\"", "\"role\":\"numbers\""),
        ("\"format\":\"point\"", "\"format\":\"pint\""),
        ("\"refuse\"", "\"refuses\""),
        ("[\"x\",\"y\"]", "[\"y\",\"x\"]"),
        ("[\"no\",\"yes\"]", "[\"no\"]"),
        ("}", ""),
    ] {
        assert!(json.contains(from), "{from} in {json}");
        assert!(Preparation::from_json(&json.replacen(from, to, 1)).is_err(), "{to}");
    }
    Ok(())
}
