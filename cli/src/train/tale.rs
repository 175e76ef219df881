//! The text that `train char-lm` reads where no other is given: endless small tales, made by a grammar.
//!
//! It is there to be learned: words, quotation marks that close, pronouns that agree with who is spoken of, numbers that go up, things
//! that come back at the end of a tale. The generator is the library's own, so that it is the same text everywhere.

use wgrad::scalar::threefry::HostRandom;

/// Characters that it has at least.
const LENGTH: usize = 300_000;

/// What the text is drawn from.
const SEED: u64 = 0x7761_6c65;

/// Someone in a tale.
struct Person {
    name: &'static str,
    trade: &'static str,
    pronouns: [&'static str; 3],
}

const HE: [&str; 3] = ["he", "him", "his"];
const SHE: [&str; 3] = ["she", "her", "her"];

const fn person(name: &'static str, trade: &'static str, pronouns: [&'static str; 3]) -> Person {
    Person { name, trade, pronouns }
}

const PEOPLE: [Person; 14] = [
    person("Anna", "miller", SHE),
    person("Bertram", "fisherman", HE),
    person("Clara", "weaver", SHE),
    person("Dorian", "smith", HE),
    person("Edda", "ferrywoman", SHE),
    person("Florian", "shepherd", HE),
    person("Greta", "baker", SHE),
    person("Henrik", "clockmaker", HE),
    person("Ida", "gardener", SHE),
    person("Jonas", "charcoal burner", HE),
    person("Katrin", "potter", SHE),
    person("Ludwig", "bell ringer", HE),
    person("Marta", "beekeeper", SHE),
    person("Nikolai", "carpenter", HE),
];

const PLACES: [&str; 12] = [
    "by the river",
    "at the edge of the forest",
    "under the old bridge",
    "on the hill above the village",
    "beside the silent lake",
    "in the valley of the three winds",
    "near the harbour",
    "behind the abandoned mill",
    "at the crossroads",
    "in the shadow of the mountain",
    "on the road to the city",
    "between the two towers",
];

const THINGS: [&str; 16] = [
    "silver key",
    "wooden box",
    "broken lantern",
    "letter without a name",
    "golden ring",
    "small brass bell",
    "map of the islands",
    "red umbrella",
    "loaf of bread",
    "jar of honey",
    "pair of boots",
    "book of songs",
    "glass eye",
    "copper kettle",
    "old violin",
    "coil of rope",
];

const BEASTS: [&str; 10] =
    ["fox", "raven", "grey wolf", "hare", "owl", "white horse", "black cat", "heron", "hedgehog", "stray dog"];

const SEASONS: [(&str, [&str; 3]); 4] = [
    ("spring", ["the snow was melting", "the first swallows had come", "the meadows were green again"]),
    ("summer", ["the nights were short", "the wheat stood high", "not a drop of rain had fallen for weeks"]),
    ("autumn", ["the leaves were falling", "fog lay over the fields", "the apples were ripe"]),
    ("winter", ["the lake was frozen", "snow lay on every roof", "the wolves came close to the houses"]),
];

const MOODS: [&str; 10] = [
    "quietly",
    "with a laugh",
    "after a while",
    "angrily",
    "in a low voice",
    "at last",
    "kindly",
    "sadly",
    "at once",
    "slowly",
];

const SAYINGS: [&str; 14] = [
    "Nothing is lost that somebody remembers",
    "Who asks twice is told the truth once",
    "The longest road begins at your own door",
    "Even a small lamp is seen from far away at night",
    "A promise weighs more than a stone",
    "Water finds its way, and so shall we",
    "What is given freely comes back doubled",
    "You cannot hurry the bread",
    "Every door has a key, but not every key has a door",
    "The wind does not ask where the seed wants to go",
    "It is better to be late than to be lost",
    "He who counts the stars forgets the supper",
    "One winter does not make an old man",
    "A friend is a roof in the rain",
];

const NUMBERS: [&str; 9] = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

const COINS: [&str; 4] = ["copper pennies", "silver coins", "golden crowns", "old shillings"];

/// The text.
pub fn text() -> String {
    let mut teller = Teller { random: HostRandom::new(SEED) };
    let mut text = String::with_capacity(LENGTH + 2000);
    let mut number = 1;
    while text.len() < LENGTH {
        let tale = teller.tale(number);
        text.push_str(&tale);
        number += 1;
    }
    text
}

struct Teller {
    random: HostRandom,
}

impl Teller {
    fn below(&mut self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let index = self.below(from.len());
        from[index]
    }

    fn person(&mut self, except: Option<&str>) -> &'static Person {
        let index = self.below(PEOPLE.len());
        let found = &PEOPLE[index];
        if except == Some(found.name) { &PEOPLE[(index + 1) % PEOPLE.len()] } else { found }
    }

    /// A tale, from its heading to the empty line after it.
    fn tale(&mut self, number: usize) -> String {
        let hero = self.person(None);
        let friend = self.person(Some(hero.name));
        let thing = self.pick(&THINGS);
        let place = self.pick(&PLACES);
        let mut lines = vec![format!("{number}. {} and the {thing}", hero.name), String::new()];
        let mut first = vec![self.opening(hero, place), self.weather()];
        first.push(self.finding(hero, thing));
        lines.push(first.join(" "));
        for _ in 0..1 + self.below(3) {
            let kind = self.below(4);
            lines.push(match kind {
                0 => self.talk(hero, friend, thing),
                1 => self.bargain(hero, friend, thing),
                2 => self.beast(hero, thing),
                _ => self.journey(hero, friend),
            });
        }
        lines.push(self.ending(hero, friend, thing, place));
        lines.push(String::new());
        lines.push(String::new());
        lines.join("\n")
    }

    fn opening(&mut self, hero: &Person, place: &str) -> String {
        let Person { name, trade, pronouns: [he, _, his] } = hero;
        let years = self.pick(&NUMBERS);
        match self.below(4) {
            0 => format!("Once there was a {trade} called {name}, who lived {place}."),
            1 => format!("In those days {name} the {trade} had a house {place}, and {he} lived there alone."),
            2 => format!("{name} was a {trade}, as {his} father had been, and {his} house stood {place}."),
            _ => format!("For {years} years {name} had worked as a {trade} {place}, and {he} knew everybody there."),
        }
    }

    fn weather(&mut self) -> String {
        let season = self.below(SEASONS.len());
        let (name, signs) = &SEASONS[season];
        let sign = self.pick(signs);
        match self.below(3) {
            0 => format!("It was {name}, and {sign}."),
            1 => format!("One evening in {name}, when {sign}, somebody knocked at the door."),
            _ => format!("That {name} everyone said that {sign} too early."),
        }
    }

    fn finding(&mut self, hero: &Person, thing: &str) -> String {
        let Person { name, pronouns: [he, him, his], .. } = hero;
        match self.below(4) {
            0 => format!("There {he} found a {thing} that nobody had lost."),
            1 => format!("An old woman gave {him} a {thing} and went away without a word."),
            2 => format!("When {name} opened {his} eyes, a {thing} lay on the table."),
            _ => format!("On the market {he} bought a {thing}, although {he} did not need one."),
        }
    }

    fn talk(&mut self, hero: &Person, friend: &Person, thing: &str) -> String {
        let (mood, other, saying) = (self.pick(&MOODS), self.pick(&MOODS), self.pick(&SAYINGS));
        let (name, [he, ..]) = (hero.name, hero.pronouns);
        let (second, [she, ..]) = (friend.name, friend.pronouns);
        let answer = match self.below(3) {
            0 => format!("\"{saying},\" answered {second} {other}."),
            1 => format!("{second} looked at the {thing}. \"{saying},\" {she} said {other}."),
            _ => format!("But {second} only shook the head and said {other}: \"{saying}.\""),
        };
        match self.below(3) {
            0 => format!("\"What shall I do with a {thing}?\" asked {name} {mood}. {answer}"),
            1 => format!(
                "{name} showed it to {second} the {}. \"Is this yours?\" {he} asked {mood}. {answer}",
                friend.trade
            ),
            _ => format!("\"I cannot sleep,\" said {name} {mood}, \"since I have this {thing}.\" {answer}"),
        }
    }

    fn bargain(&mut self, hero: &Person, friend: &Person, thing: &str) -> String {
        let start = self.below(NUMBERS.len() - 3);
        let coins = self.pick(&COINS);
        let (name, [he, ..]) = (hero.name, hero.pronouns);
        let (second, [she, ..]) = (friend.name, friend.pronouns);
        let offers = &NUMBERS[start..start + 3];
        let end = if self.below(2) == 0 {
            format!("So the {thing} was sold, and {name} went home with {} {coins}.", offers[2])
        } else {
            format!("But {he} would not sell it, not for {} {coins} either.", offers[2])
        };
        format!(
            "\"I give you {} {coins} for the {thing},\" said {second}. {name} said nothing. \"Then {},\" {she} said, \"or {}.\" {end}",
            offers[0], offers[1], offers[2]
        )
    }

    fn beast(&mut self, hero: &Person, thing: &str) -> String {
        let (beast, saying, times) = (self.pick(&BEASTS), self.pick(&SAYINGS), self.pick(&NUMBERS));
        let Person { name, pronouns: [he, him, _], .. } = hero;
        match self.below(3) {
            0 => format!(
                "In the night a {beast} came to the window and looked at {him}. \"Leave the {thing} where it was,\" said the {beast}, \"and follow me.\""
            ),
            1 => format!(
                "A {beast} ran before {him} and turned round {times} times. \"{saying},\" said the {beast}, and {name} believed it."
            ),
            _ => format!(
                "{name} shared the bread with a {beast}. In the morning the {beast} had gone, but {he} was not sorry."
            ),
        }
    }

    fn journey(&mut self, hero: &Person, friend: &Person) -> String {
        let (first, second) = (self.pick(&PLACES), self.pick(&PLACES));
        let days = self.below(NUMBERS.len() - 1);
        let (name, [he, _, his]) = (hero.name, hero.pronouns);
        let (before, after) = (NUMBERS[days], NUMBERS[days + 1]);
        match self.below(3) {
            0 => format!(
                "{name} walked for {before} days, and on the day after that {he} came to a house {first}. Nobody was in."
            ),
            1 => format!(
                "They went together, {name} and {}, first to a chapel {first}, then to an inn {second}.",
                friend.name
            ),
            _ => format!(
                "After {before} days {he} was hungry, and after {after} days {he} was tired. {name} sat down {first} and thought of {his} mother."
            ),
        }
    }

    fn ending(&mut self, hero: &Person, friend: &Person, thing: &str, place: &str) -> String {
        let saying = self.pick(&SAYINGS);
        let (name, [he, him, his]) = (hero.name, hero.pronouns);
        let second = friend.name;
        match self.below(5) {
            0 => format!("In the end {name} gave the {thing} to {second}, and they were friends until they died."),
            1 => format!(
                "The {thing} still hangs over {his} door {place}. \"{saying},\" says {name} when somebody asks {him}."
            ),
            2 => format!("{name} threw the {thing} into the water, and from that day on {he} slept well."),
            3 => format!(
                "Nobody has seen the {thing} again. But {second} and {name} were married before the year was out."
            ),
            _ => format!("And if {he} has not given the {thing} away, {name} has it still."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_long_the_same_and_in_order() {
        let text = text();
        assert_eq!(text, super::text());
        assert!(text.len() >= LENGTH && text.starts_with("1. "));
        assert_eq!(text.matches('"').count() % 2, 0);
        assert!(text.is_ascii());
        let titles: std::collections::BTreeSet<&str> = text.lines().filter(|line| line.contains(" and the ")).collect();
        assert!(titles.len() > 200, "{}", titles.len());
    }
}
