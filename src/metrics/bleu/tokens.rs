//! The tokenizer of mteval-v13a, by which BLEU scores of publications are comparable (Post 2018: "A Call for Clarity in Reporting BLEU Scores").

/// Splits a text into words, numbers and marks as sacrebleu's `13a` does.
pub(super) fn tokens_13a(text: &str) -> Vec<String> {
    let mut line = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    // In this order: &amp;lt; becomes <.
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, character);
    }
    let mut characters: Vec<char> = format!(" {line} ").chars().collect();
    characters = each(&characters, |&character| is_mark(character));
    // Periods and commas are marks unless they are within a number, and a dash is one behind a digit.
    characters =
        pairs(&characters, |first, second| (!first.is_ascii_digit() && is_point(second)).then_some([false, true]));
    characters =
        pairs(&characters, |first, second| (is_point(first) && !second.is_ascii_digit()).then_some([true, false]));
    characters = pairs(&characters, |first, second| (first.is_ascii_digit() && second == '-').then_some([false, true]));
    characters.into_iter().collect::<String>().split_whitespace().map(str::to_owned).collect()
}

/// A mark of ASCII that stands for itself: all but the apostrophe, the comma, the dash and the period.
fn is_mark(character: char) -> bool {
    matches!(character, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

fn is_point(character: char) -> bool {
    matches!(character, '.' | ',')
}

/// Spaces around each of some characters.
fn each(characters: &[char], chosen: impl Fn(&char) -> bool) -> Vec<char> {
    let spaced = |character: &char| if chosen(character) { vec![' ', *character, ' '] } else { vec![*character] };
    characters.iter().flat_map(spaced).collect()
}

/// Spaces within some pairs of neighbours, which do not overlap, and on the outer side of the member that is said to be a mark.
fn pairs(characters: &[char], chosen: impl Fn(char, char) -> Option<[bool; 2]>) -> Vec<char> {
    let mut found = Vec::with_capacity(characters.len() * 2);
    let mut rest = characters;
    while let Some((&first, others)) = rest.split_first() {
        match others.first().and_then(|&second| Some((second, chosen(first, second)?))) {
            Some((second, [before, behind])) => {
                found.extend(before.then_some(' '));
                found.extend([first, ' ', second]);
                found.extend(behind.then_some(' '));
                rest = &others[1..];
            }
            None => {
                found.push(first);
                rest = others;
            }
        }
    }
    found
}
