//! Files as people have them.

use proptest::prelude::*;

use super::super::{Missing, Preparation, PreparationOptions, Target, Values};
use super::*;

fn table(text: &str) -> Result<Table, String> {
    Csv::new().parse(text.as_bytes())
}

fn names(text: &str) -> Result<Vec<String>, String> {
    Ok(table(text)?.columns.into_iter().map(|column| column.name).collect())
}

fn message(text: &str) -> String {
    table(text).err().unwrap_or_default()
}

fn numbers(text: &str, column: usize) -> Vec<f64> {
    table(text).unwrap().columns[column].values.numbers().unwrap()
}

#[test]
fn a_header_is_recognised() {
    for (text, expected) in [
        ("a,b\n1,2\n", &["a", "b"][..]),
        ("1,2\n3,4\n", &["0", "1"]),
        ("5.1,setosa\n4.9,setosa\n", &["0", "1"]),
        ("\u{feff}name;kind\r\nx;y\r\nz;y\r\n", &["name", "kind"]),
        ("b,x\nb,y\n", &["0", "1"]),
        ("\"Month, year\"\t\"Count\"\n1949\t112", &["Month, year", "Count"]),
        // pandas's index, and a comma at the end of each line.
        (",a,b,kind\n0,0.5,0,no\n1,0.25,1,yes\n", &["", "a", "b", "kind"]),
        (",kind,colour\n0,x,red\n1,y,blue\n", &["", "kind", "colour"]),
        ("a,kind,\n0.5,no,\n0.25,yes,\n", &["a", "kind", ""]),
        // Names that are numbers.
        (",0,1,2,kind\n0,5.1,3.5,1.4,x\n1,4.9,3.0,1.4,y\n", &["", "0", "1", "2", "kind"]),
        ("0,1,2\n5.1,3.5,1.4\n4.9,3.0,1.4\n", &["0", "1", "2"]),
        ("1,2,3,target\n5.1,3.5,1.4,1\n4.9,3.0,1.4,0\n", &["1", "2", "3", "target"]),
        ("country,1990,1991\nFR,1.5,2.5\nDE,3.5,4.5\n", &["country", "1990", "1991"]),
        ("name,2020,2021,2022\nFR,15,2.5,3\nFR,35,4.5,6\n", &["name", "2020", "2021", "2022"]),
        ("12%,a\n13%,b\n14%,b\n", &["0", "1"]),
        ("a;b\n0,5;1,5\n1,5;2,5\n", &["a", "b"]),
        ("date,v\n2020-01-01,1\n2020-01-02,2\n", &["date", "v"]),
        // Data, though it looks a little like names.
        ("Bob,23,1.5\nAnn,34,2.5\nEve,29,3.5\n", &["0", "1", "2"]),
        ("2019,2020\n2021,2022\n", &["0", "1"]),
        ("?,1,x\n2,3,y\n", &["0", "1", "2"]),
        ("M,1,15\nF,2,7\nM,3,9\n", &["0", "1", "2"]),
    ] {
        let found = Csv::new()
            .keep_missing()
            .parse(text.as_bytes())
            .map(|table| table.columns.into_iter().map(|column| column.name).collect::<Vec<String>>());
        assert_eq!(found, Ok(expected.iter().map(|name| (*name).to_owned()).collect()), "{text:?}");
    }
    assert_eq!(names("0,1,2\n5.1,3.5,1.4\n").map(|_| numbers("0,1,2\n5.1,3.5,1.4\n", 0)), Ok(vec![5.1]));
    let absent = Csv::new().header(Header::Absent).parse(b"a,b\nc,d\n").map(|table| (table.len(), table.header_line()));
    assert_eq!(absent, Ok((2, None)));
    assert_eq!(table("\n\na,b\n1,2\n").map(|table| table.header_line()), Ok(Some(3)));
    assert!(message("a,a\n1,2\n3,4\n").is_empty());
    assert!(table("a,a\n1,2\n3,4\n").is_ok_and(|table| {
        table.position("a").is_err_and(|error| error.to_string().contains("0, 1"))
            && table.position("1").is_ok_and(|index| index == 1)
    }));
}

#[test]
fn columns_are_numbers_or_sorted_categories() {
    let columns = table("n,c\n 1e3 , dog \n-.5,\"a \"\"cat\"\"\"\n2,dog\n").map(|table| table.columns);
    let categories =
        Values::Categories { codes: vec![Some(1), Some(0), Some(1)], labels: vec!["a \"cat\"".into(), "dog".into()] };
    let numbers = Values::of_numbers([1000.0, -0.5, 2.0]);
    let expected =
        [("n", numbers), ("c", categories)].map(|(name, values)| Column { name: name.into(), values, remark: None });
    assert_eq!(columns, Ok(expected.to_vec()));
    let forced =
        Csv::new().categorical(["0"]).parse(b"2,1\n10,2\nNA,3\n").map(|table| table.columns[0].values.classes());
    assert_eq!(forced.unwrap().unwrap(), (vec![1, 0, 2], vec!["10".into(), "2".into(), "NA".into()]));
}

#[test]
fn numbers_are_read_as_people_write_them() {
    for (text, expected) in [
        ("a,kind\n\"0,000\",no\n\"0,370\",yes\n\"1,110\",no\n", &[0.0, 0.37, 1.11][..]),
        ("a;kind\n0,000;no\n0,370;yes\n1,110;no\n", &[0.0, 0.37, 1.11]),
        ("0,370;1,5\n0,5;2,5\n", &[0.37, 0.5]),
        ("a,kind\n0%,no\n12.5%,yes\n", &[0.0, 12.5]),
        ("a,kind\n1\u{a0}000,no\n1\u{a0}001,yes\n", &[1000.0, 1001.0]),
        ("a,kind\n\u{2212}1,no\n+2e3,yes\n", &[-1.0, 2000.0]),
        ("a,kind\n0x0,no\n0x1f,yes\n", &[0.0, 31.0]),
        ("a,kind\n\"1,234\",no\n\"12,345,678\",yes\n", &[1234.0, 12_345_678.0]),
        ("a,kind\n€1.50,no\n€20,yes\n", &[1.5, 20.0]),
        // 1,234 could be either; other columns say which.
        ("a;b\n1,234;0,5\n2,345;1,5\n", &[1.234, 2.345]),
        ("a,b\n\"1,234\",0.5\n\"2,345\",1.5\n", &[1234.0, 2345.0]),
        ("a;b\n1,234;0.5\n2,345;1.5\n", &[1234.0, 2345.0]),
        ("a;b\n1,234;x\n2,345;y\n", &[1.234, 2.345]),
        ("a,b\n\"1,234\",x\n\"2,345\",y\n", &[1234.0, 2345.0]),
        ("a;b\n1.234;0,5\n2.345;1,5\n", &[1234.0, 2345.0]),
        ("a,b\n1.234,x\n2.345,y\n", &[1.234, 2.345]),
    ] {
        assert_eq!(numbers(text, 0), expected, "{text}");
    }
    let described = |text: &str| table(text).unwrap().columns[0].describe();
    assert_eq!(described("a;b\n1,234;x\n2;y\n"), "number with decimal comma ('1,234' is taken for 1.234)");
    assert_eq!(
        described("a;b\n1.234;0,5\n2;1,5\n"),
        "number with decimal comma, thousands set apart by points ('1.234' is taken for 1234)"
    );
    assert_eq!(described("a,b\n1.234,x\n2,y\n"), "number");
}

#[test]
fn a_column_of_numbers_is_never_categories_without_a_word() {
    let rows = |odd: &str| (0..100).map(|row| format!("{row}\n")).collect::<String>() + odd + "\n";
    for odd in ["n/k", "12%", "1.5.2", "x"] {
        let text = rows(&format!("\"{odd}\""));
        let expected = format!("line 102, column 'a': '{odd}' is not a number, while 100 other values are; ");
        assert!(message(&format!("a\n{text}")).starts_with(&expected), "{}", message(&format!("a\n{text}")));
    }
    let few = table("a,b\nx,1\n7,2\ny,3\nz,4\n").map(|table| table.columns[0].describe());
    assert_eq!(few, Ok("category with 4 classes (though 1 of 4 values is a number)".into()));
    assert!(message("d,b\n2020-01-01,1\n2020-01-02,2\nsoon,3\n").contains("line 4, column 'd': 'soon' is not a date"));
}

#[test]
fn mistakes_have_a_line_and_a_column() {
    let missing = |text: &str| message(text).split(';').next().unwrap_or_default().to_owned();
    assert_eq!(missing("a,b\n1,2\n3,?\n"), "line 3, column 'b': the value is missing");
    assert_eq!(missing("a,b\n1,2\n3,\n"), "line 3, column 'b': the value is missing");
    assert_eq!(missing("a,b\r\n1,2\r\n\r\n3,\r\n"), "line 4, column 'b': the value is missing");
    assert_eq!(missing("a,b\r1,2\r3,\r"), "line 3, column 'b': the value is missing");
    assert!(message("a,b\n1,?\n,2\n,3\n").contains("in all 3 rows, missing are 2 in column 'a', 1 in column 'b'"));
    assert_eq!(message("a,b\n1,2\n3\n"), "line 3 has 1 field, but line 1 has 2");
    assert!(message("a,b\n1,2\nx,4\n5,6\n").starts_with("line 3, column 'a': 'x' is not a number, while 2 other"));
    assert_eq!(message("a,b\n1,\"2\n3,4\n"), "line 2: a quote is opened and never closed");
    assert_eq!(message("a,b\n"), "the table has no rows");
    assert_eq!(message(""), "the table has no rows");
    assert!(Csv::new().parse(b"a,b\n1,\xff\n").is_err_and(|message| message == "line 2: not UTF-8 text"));
    assert!(Csv::new().categorical(["z"]).parse(b"a,b\n1,2\n").is_err());
}

#[test]
fn a_blank_line_is_a_value_where_there_is_one_column() {
    assert!(message("a\n1\n\n3\n").starts_with("line 3, column 'a': the value is missing"));
    assert!(
        message("a\r\n1\r\n \r\n3\r\n\r\n\r\n").starts_with("line 3, column 'a': the value is missing; in all 3 rows")
    );
    assert!(message("a\n1\n\"\"\n3\n").starts_with("line 3, column 'a'"));
    let parsed = Csv::new().keep_missing().parse(b"\na\nx\n\n\"y\n\nz\"\n\n");
    let (values, line) = parsed.map(|table| (table.columns[0].values.clone(), table.line(2))).unwrap();
    assert_eq!(
        values,
        Values::Categories { codes: vec![Some(0), None, Some(1)], labels: vec!["x".into(), "y\n\nz".into()] }
    );
    assert_eq!(line, 5);
    assert_eq!(numbers("a,b\n1,2\n\n3,4\n\n", 0), [1.0, 3.0]);
    assert_eq!(numbers("a\n1\n2\n\n\n", 0), [1.0, 2.0]);
}

#[test]
fn missing_values_are_known_by_many_names() {
    let values = |text: &str| Csv::new().keep_missing().parse(text.as_bytes()).unwrap().columns[0].values.clone();
    for mark in ["", "?", "NA", "N/A", "nan", "NULL", "#N/A", "<NA>", "-", "--", ".", "None", "\\N", "unknown"] {
        let expected = Values::Numbers { values: vec![Some(1.0), None, Some(2.0)], format: Format::default() };
        assert_eq!(values(&format!("a,b\n1,x\n{mark},x\n2,x\n")), expected, "{mark}");
    }
    let words = values("a,b\nx,1\nnone,2\nNA,3\n-,4\n");
    assert_eq!(words.missing(), 1);
    assert_eq!(values("a,b\nNA,1\n,2\n"), Values::Numbers { values: vec![None, None], format: Format::default() });
    // A column without any value says nothing, and is in nobody's way.
    assert_eq!(message("a,b,\n1,2,\n3,4,\n"), "");
}

#[test]
fn a_file_like_one_before_is_read_in_its_format() -> Result<()> {
    let first = "a;b;kind;\n1,234;x;no;\n0,5;y;yes;\n2;x;no;\n3;y;yes;\n";
    let table = Csv::new().from_bytes(first.as_bytes(), "t")?;
    let preparation = PreparationOptions::new("kind").missing(Missing::Mean).fit(&table, &[0, 1, 2, 3])?;
    let read = |text: &str| preparation.table_from_bytes(text.as_bytes(), "new");
    for text in
        ["a;b;kind;\n1,234;x;no;\n", "b;kind;a\nx;no;1,234\n", "b;more;a\nx;7;1,234\n", "1,234;x;no;\n", "1,234;x;\n"]
    {
        let own = read(text)?;
        assert_eq!(
            preparation.features_of(&own)?.as_slice::<f32>()?,
            &preparation.features_of(&table)?.as_slice::<f32>()?[..3]
        );
        assert_eq!(preparation.has_targets(&own), text.contains("no"), "{text}");
    }
    let wrong = |text: &str| read(text).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(wrong("a;c\n1;x\n").contains("no column 'b'"), "{}", wrong("a;c\n1;x\n"));
    assert!(wrong("a;b\n1.5;x\n").contains("line 2, column 'a': '1.5' is not a number"));
    assert!(wrong("1;2;3;4;5\n").contains("no column"));
    assert!(wrong("a;b\n").contains("no rows"));
    let nameless = Csv::new().from_bytes(b"1,2,0\n3,4,1\n5,6,0\n", "t")?;
    let nameless = PreparationOptions::new("-1").fit(&nameless, &[0, 1, 2])?;
    assert_eq!(nameless.table_from_bytes(b"1,2\n", "t")?.columns.len(), 2);
    assert!(nameless.table_from_bytes(b"1\n", "t").is_err());
    assert!(Preparation::from_json("{}").is_err());
    Ok(())
}

#[test]
fn dates_of_a_file_are_in_one_order() {
    let described = |text: &str| table(text).unwrap().columns.iter().map(Column::describe).collect::<Vec<String>>();
    // The second column says how the first is to be read.
    let both = described("a,b\n12/10/2020,26/06/2020\n09/12/2020,21/12/2020\n");
    assert_eq!(both[1], "date (day-month-year), as seconds since 1970");
    assert_eq!(both[0], format!("{} ('12/10/2020' is taken for 2020-10-12, as in the file's other dates)", both[1]));
    let alone = described("a,b\n06/03/2020,1\n03/03/2020,2\n");
    assert!(
        alone[0].contains("month-day-year") && alone[0].contains("'06/03/2020' is taken for 2020-06-03"),
        "{alone:?}"
    );
    assert_eq!(
        message("a,b\n12/10/2020,26/06/2020\n12/31/2020,21/12/2020\n"),
        "column 'a' has dates as month-day-year ('12/31/2020' in line 3), but column 'b' has dates as day-month-year \
         ('26/06/2020' in line 2): a file writes its dates in one order"
    );
    let one = Csv::new().only(["a"]).parse(b"a,b\n12/31/2020,26/06/2020\n");
    assert!(one.is_ok());
    // Points are a notation of their own.
    assert!(table("a,b\n12/31/2020,26.06.2020\n").is_ok());
}

#[test]
fn fields_stand_between_what_programs_write() {
    for text in [
        "a|b\n1|x\n2|y\n",
        "sep=;\na;b\n1;x\n2;y\n",
        "\u{feff}\"sep=|\"\r\na|b\r\n1|x\r\n2|y\r\n",
        "SEP=^\na^b\n1^x\n2^y\n",
    ] {
        assert_eq!((names(text), numbers(text, 0)), (Ok(vec!["a".into(), "b".into()]), vec![1.0, 2.0]), "{text}");
    }
    assert!(message("sep=;\na;b\n1;x\n2\n").starts_with("line 4 has 1 field, but line 2 has 2"));
    assert!(message("a b kind\n0.5 1 yes\n2 3 no\n").contains("between spaces; what is read are commas"));
    assert!(message("a^b\n0.5^1\n2^3\n").contains("between carets"));
    // Words, times and numbers have spaces within.
    for text in ["a\nbig dog\nold cat\n", "t\n2020-01-01 12:00\n2020-01-02 12:00\n", "v\n1 234\n5 678\n"] {
        assert_eq!(table(text).map(|table| table.columns.len()), Ok(1), "{text}");
    }
    assert!(
        message("# made by me\na,b\n1,2\n").ends_with("line 1 begins with '#', and comments are no part of a table")
    );
    let wide: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(Csv::new().parse(&wide).is_err_and(|message| message.contains("UTF-16")));
    assert_eq!(message("a,kind\n1,x\n2,y\0z\n3,longer words\n"), "line 3: a NUL byte, which is no text");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"a1,;\"\n\r\t .-%x:\xff\xe2".to_vec()), 0..60)) {
        let _ = Csv::new().from_bytes(&bytes, "f").map(|table| table.dataset("0", Target::Classes));
        if let Ok(table) = Csv::new().keep_missing().from_bytes(&bytes, "f") {
            let all: Vec<usize> = (0..table.len()).collect();
            for missing in Missing::ALL {
                let prepared = PreparationOptions::new("0").missing(missing).fit(&table, &all);
                let _ = prepared.map(|prepared| (prepared.dataset(&table), prepared.table_from_bytes(&bytes, "f")));
            }
        }
    }
}
