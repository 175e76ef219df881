//! Files that are almost right: bytes flipped, cut, spliced and blown up. Whatever is in a file, its reader ends soon, in what it reads
//! or in an error, without a panic and without much memory.
//!
//! A short run of each reader is among the ordinary tests; the long ones are ignored there, and are run with optimised code:
//! `cargo test --release --test readers -- --ignored`. `WGRAD_MUTATIONS` says how many files of each kind, `WGRAD_FIRST` where
//! their numbers begin, and `WGRAD_MUTATION` picks one, which is then written to the directory for temporary files.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test binary uses a part, and tests fail by panicking"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::HostRandom;

/// More than any reading of a small file takes.
const LONGEST: Duration = Duration::from_secs(20);

/// Memory of the whole process beyond what it has at the beginning.
const MOST_MEMORY: u64 = 512 << 20;

/// One of `len` indices; 0 where there is none.
pub fn index(random: &mut HostRandom, len: usize) -> usize {
    if len == 0 { 0 } else { random.below(len as u64) as usize }
}

/// Changes bytes of a file, some of them to those of another.
pub fn mutate_bytes(bytes: &mut Vec<u8>, other: &[u8], random: &mut HostRandom) {
    for _ in 0..=random.below(4) {
        let at = index(random, bytes.len());
        let end = (at + random.below(24) as usize).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copied = bytes[at..end].to_vec();
                bytes.splice(at..at, copied);
            }
            3 => {
                let from = index(random, other.len());
                let part = &other[from..(from + 40).min(other.len())];
                bytes.splice(at..end, part.iter().copied());
            }
            // Varints of all lengths: fields, extents and lengths that are far too large.
            4 => {
                let mut varint = vec![0xff; random.below(10) as usize];
                varint.push(random.below(128) as u8);
                bytes.splice(at..(at + 1).min(bytes.len()), varint);
            }
            5 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
}

/// Changes a file of text: its bytes, or its numbers and signs to those that something may not be ready for.
pub fn mutate_text(bytes: &mut Vec<u8>, other: &[u8], random: &mut HostRandom) {
    const STRANGE: [&str; 20] = [
        "-1",
        "0",
        "1e308",
        "1e999",
        "-0.0",
        "nan",
        "inf",
        "99999999999999999999",
        "18446744073709551615",
        "4294967296",
        "2147483648",
        "1000000",
        "\"",
        "[",
        "]]",
        "{",
        ",",
        "\n",
        "\u{2212}5",
        "",
    ];
    if random.below(2) == 0 {
        return mutate_bytes(bytes, other, random);
    }
    for _ in 0..=random.below(3) {
        let at = index(random, bytes.len());
        let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        // The next number, or the next character.
        let start = (at..bytes.len()).find(|&k| is_number(&bytes[k])).unwrap_or(at);
        let length = bytes[start..].iter().take_while(|byte| is_number(byte)).count().max(1);
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, STRANGE[index(random, STRANGE.len())].bytes());
    }
}

/// The largest memory that the process has had, where the system says it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Ends the process where one reading does not end: it cannot be stopped.
fn watch(name: &'static str, current: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = (u64::MAX, Instant::now());
        while Arc::strong_count(&current) > 1 {
            std::thread::sleep(Duration::from_millis(200));
            let number = current.load(Ordering::Relaxed);
            if number != last.0 {
                last = (number, Instant::now());
            } else if number != u64::MAX && last.1.elapsed() > LONGEST + Duration::from_secs(1) {
                eprintln!("{name}: WGRAD_MUTATION={number} does not end");
                std::process::exit(1);
            }
        }
    });
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

/// How many files a long run has.
pub fn many(usual: u64) -> u64 {
    variable("WGRAD_MUTATIONS").unwrap_or(usual)
}

/// Makes files and has each read. A run that reads none, or refuses none, has not tried anything.
pub fn survive<E>(
    name: &'static str,
    count: u64,
    mut make: impl FnMut(&mut HostRandom) -> Vec<u8>,
    mut read: impl FnMut(&[u8], &mut HostRandom) -> Result<(), E>,
) {
    let before = peak();
    let current = Arc::new(AtomicU64::new(u64::MAX));
    watch(name, Arc::clone(&current));
    let only = variable("WGRAD_MUTATION");
    let first = variable("WGRAD_FIRST").unwrap_or(0);
    let (mut accepted, mut refused, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    for number in only.map_or(first..first + count, |number| number..number + 1) {
        let mut random = HostRandom::new(number);
        let bytes = make(&mut random);
        if only.is_some() {
            let path = std::env::temp_dir().join(format!("mutation_{name}_{number}"));
            std::fs::write(&path, &bytes).unwrap();
            eprintln!("the file is {}", path.display());
        }
        current.store(number, Ordering::Relaxed);
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| read(&bytes, &mut random)));
        let took = start.elapsed();
        slowest = slowest.max(took);
        assert!(took < LONGEST, "{name}: WGRAD_MUTATION={number} takes {took:?}");
        match done {
            Ok(Ok(())) => accepted += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("{name}: WGRAD_MUTATION={number} panics"),
        }
        if let (Some(before), Some(now)) = (before, peak().filter(|_| number % 64 == 0)) {
            assert!(
                now.saturating_sub(before) < MOST_MEMORY,
                "{name}: about WGRAD_MUTATION={number}, memory grew to {now} bytes"
            );
        }
    }
    let grown = before.zip(peak()).map_or(0, |(before, now)| now.saturating_sub(before) >> 20);
    eprintln!("{name}: {accepted} were read, {refused} refused; {grown} MiB more, the slowest took {slowest:?}");
    assert!(
        only.is_some() || accepted > count / 200 && refused > count / 200,
        "{name}: {accepted} were read, {refused} refused"
    );
}
