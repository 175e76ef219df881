//! The messages that the guide explains are those that the code has.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// What is in a string over several lines, on one.
fn joined(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |all, line| all + line.trim_start())
}

#[test]
fn messages_of_the_guide_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: Vec<String> =
        sources(&root.join("src")).iter().map(|path| joined(&fs::read_to_string(path).unwrap())).collect();
    let page = fs::read_to_string(root.join("docs/guide/troubleshooting.md")).unwrap();
    let messages: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(message, _)| message)
        .collect();
    assert!(messages.len() > 30, "{} messages", messages.len());
    for message in messages {
        for part in message.split('…').map(|part| part.trim_matches(|c: char| !c.is_alphanumeric())) {
            assert!(code.iter().any(|text| text.contains(part)), "{part:?} of {message:?} is in no message");
        }
    }
}
