//! The language that `train translate` learns where no data is given: made up, with a grammar that is far from English.
//!
//! Places come first and the verb last; adjectives and numbers follow their nouns; there are no articles, but an ending for what is known
//! already; numbers above ten begin with their units. Endings of nouns and verbs have to be turned into words, and English words have to agree
//! with each other. The generator is the library's own, so that it is the same language everywhere.

use std::collections::HashSet;

use wgrad::scalar::threefry::HostRandom;

use super::corpus::Pairs;

/// What sentences are drawn from.
const SEED: u64 = 0x6c75_6e65;

/// A thing: its word, and English for one and for more of them.
const NOUNS: [[&str; 3]; 22] = [
    ["mira", "sailor", "sailors"],
    ["tolu", "child", "children"],
    ["veska", "woman", "women"],
    ["darun", "man", "men"],
    ["kipi", "bird", "birds"],
    ["lunto", "wolf", "wolves"],
    ["sabe", "horse", "horses"],
    ["orin", "owl", "owls"],
    ["felka", "fisherman", "fishermen"],
    ["nuri", "queen", "queens"],
    ["bodan", "house", "houses"],
    ["tesh", "tree", "trees"],
    ["aruk", "apple", "apples"],
    ["polen", "boat", "boats"],
    ["rinka", "lamp", "lamps"],
    ["gavo", "letter", "letters"],
    ["shemi", "song", "songs"],
    ["umbal", "umbrella", "umbrellas"],
    ["kora", "stone", "stones"],
    ["dilu", "knife", "knives"],
    ["wenti", "story", "stories"],
    ["maglo", "bridge", "bridges"],
];

/// Nouns that can do something; the others are done something with.
const DOERS: usize = 10;

const ADJECTIVES: [[&str; 2]; 14] = [
    ["hal", "old"],
    ["vin", "young"],
    ["gro", "big"],
    ["pit", "small"],
    ["rud", "red"],
    ["blau", "blue"],
    ["ned", "angry"],
    ["lim", "happy"],
    ["ost", "quiet"],
    ["zar", "strange"],
    ["fro", "cold"],
    ["ami", "beautiful"],
    ["esk", "empty"],
    ["tark", "heavy"],
];

/// What is done: the stem, and English in its plain form, of the third person and of the past.
const VERBS: [[&str; 4]; 14] = [
    ["sol", "see", "sees", "saw"],
    ["mek", "find", "finds", "found"],
    ["tar", "carry", "carries", "carried"],
    ["lov", "love", "loves", "loved"],
    ["kut", "paint", "paints", "painted"],
    ["bri", "bring", "brings", "brought"],
    ["vend", "sell", "sells", "sold"],
    ["huk", "watch", "watches", "watched"],
    ["pol", "buy", "buys", "bought"],
    ["nes", "hide", "hides", "hid"],
    ["dum", "forget", "forgets", "forgot"],
    ["gis", "draw", "draws", "drew"],
    ["fal", "lose", "loses", "lost"],
    ["rek", "remember", "remembers", "remembered"],
];

const PLACES: [[&str; 2]; 10] = [
    ["valu", "in the valley"],
    ["merinu", "by the sea"],
    ["hortu", "in the garden"],
    ["toru", "on the tower"],
    ["silvu", "in the forest"],
    ["ripu", "at the river"],
    ["viku", "behind the village"],
    ["montu", "on the mountain"],
    ["marku", "at the market"],
    ["kelu", "under the moon"],
];

const UNITS: [[&str; 2]; 9] = [
    ["un", "one"],
    ["dva", "two"],
    ["tri", "three"],
    ["kvar", "four"],
    ["pen", "five"],
    ["ses", "six"],
    ["sep", "seven"],
    ["okt", "eight"],
    ["nev", "nine"],
];

const TENS: [[&str; 2]; 8] = [
    ["dvadek", "twenty"],
    ["tridek", "thirty"],
    ["kvardek", "forty"],
    ["pendek", "fifty"],
    ["sesdek", "sixty"],
    ["sepdek", "seventy"],
    ["oktdek", "eighty"],
    ["nevdek", "ninety"],
];

/// Sentences with their translations, none of them twice; the first ones are always the same.
pub fn pairs(count: usize) -> Pairs {
    let mut speaker = Speaker { random: HostRandom::new(SEED) };
    let (mut pairs, mut known) = (Pairs::default(), HashSet::with_capacity(count));
    while pairs.len() < count {
        let [source, target] = speaker.sentence();
        if known.insert(source.clone()) {
            pairs.sources.push(source);
            pairs.targets.push(target);
        }
    }
    pairs
}

struct Speaker {
    random: HostRandom,
}

/// Somebody or something in both languages.
struct Phrase {
    source: Vec<String>,
    target: Vec<String>,
    is_plural: bool,
}

impl Speaker {
    fn below(&mut self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    fn pick<const N: usize>(&mut self, from: &[[&'static str; N]]) -> [&'static str; N] {
        from[self.below(from.len())]
    }

    fn sentence(&mut self) -> [String; 2] {
        let subject = self.phrase(0..DOERS);
        let of = if self.below(3) == 0 { 0..DOERS } else { DOERS..NOUNS.len() };
        let object = self.phrase(of);
        let place = (self.below(2) == 0).then(|| self.pick(&PLACES));
        let [stem, plain, third, past] = self.pick(&VERBS);
        let is_negated = self.below(4) == 0;
        let (ending, english) = match (self.below(3), is_negated) {
            (0, false) => ("as", if subject.is_plural { plain } else { third }.to_owned()),
            (0, true) => ("as", format!("{} not {plain}", if subject.is_plural { "do" } else { "does" })),
            (1, false) => ("is", past.to_owned()),
            (1, true) => ("is", format!("did not {plain}")),
            (_, false) => ("os", format!("will {plain}")),
            (_, true) => ("os", format!("will not {plain}")),
        };
        let mut source: Vec<String> = place.iter().map(|[word, _]| (*word).to_owned()).collect();
        source.extend(object.source);
        source.extend(subject.source);
        source.extend(is_negated.then(|| "ne".to_owned()));
        source.push(format!("{stem}{ending}"));
        let mut target = subject.target;
        target.push(english);
        target.extend(object.target);
        target.extend(place.iter().map(|[_, english]| (*english).to_owned()));
        [source, target].map(|words| format!("{}.", words.join(" ")))
    }

    fn phrase(&mut self, of: std::ops::Range<usize>) -> Phrase {
        let [word, one, more] = NOUNS[of.start + self.below(of.len())];
        let adjective = (self.below(2) == 0).then(|| self.pick(&ADJECTIVES));
        let number = (self.below(3) == 0).then(|| self.number());
        let (is_known, several) = (self.below(2) == 0, self.below(2) == 0);
        let is_plural = number.as_ref().map_or(several, |(_, _, is_plural)| *is_plural);
        let noun = format!("{word}{}{}", if is_plural { "ni" } else { "" }, if is_known { "lo" } else { "" });
        let mut source = vec![noun];
        source.extend(adjective.map(|[word, _]| word.to_owned()));
        let mut target = Vec::new();
        target.extend(is_known.then(|| "the".to_owned()));
        let described: Vec<&str> =
            adjective.iter().map(|[_, english]| *english).chain([if is_plural { more } else { one }]).collect();
        match number {
            Some((words, english, _)) => {
                source.extend(words);
                target.push(english);
            }
            None if !is_known && !is_plural => {
                let vowel = described.first().is_some_and(|word| word.starts_with(['a', 'e', 'i', 'o', 'u']));
                target.push(if vowel { "an" } else { "a" }.to_owned());
            }
            None => {}
        }
        target.extend(described.into_iter().map(str::to_owned));
        Phrase { source, target, is_plural }
    }

    /// A number's words, its English, and whether it is more than one.
    fn number(&mut self) -> (Vec<String>, String, bool) {
        let [unit, unit_english] = self.pick(&UNITS);
        if self.below(2) == 0 {
            return (vec![unit.to_owned()], unit_english.to_owned(), unit_english != "one");
        }
        let [tens, tens_english] = self.pick(&TENS);
        let words = [unit, "ke", tens].map(str::to_owned).to_vec();
        (words, format!("{tens_english}-{unit_english}"), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_the_same_and_differ() {
        let (few, many) = (pairs(50), pairs(3000));
        assert_eq!(few.sources[..], many.sources[..50]);
        assert_eq!(few.targets[..], many.targets[..50]);
        assert_eq!(many.sources.iter().collect::<HashSet<_>>().len(), 3000);
        // Each sentence has one translation, so what is asked for can be known.
        for (source, target) in many.iter() {
            assert!(source.ends_with('.') && target.ends_with('.') && source.is_ascii(), "{source}: {target}");
            assert!(!target.contains(" a a") && !target.contains(" an s"), "{target}");
        }
        assert!(many.targets.iter().any(|target| target.contains(" did not ")));
    }
}
