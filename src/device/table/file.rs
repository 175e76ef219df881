//! What tuning found, on disk: a JSON file for each adapter, driver and version of wgrad. A table is a convenience: one that cannot be
//! read is as good as none, and never stops a run.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::clock::Instant;

use serde_json::{Map, Value, json};

use crate::checksum;
use crate::error::{Error, Result};
use crate::file;
use crate::shader::{PlanId, WorkKey};

/// Files of another layout are not read.
const FORMAT: u64 = 2;

/// The text before the digits of the checksum. Quotes within texts are escaped, so it occurs nowhere else.
const CHECKSUM: &str = "\"crc32\": \"";

/// A lock that is older was left by a process that ended.
const STALE: Duration = Duration::from_secs(10);

/// The fastest plan for a piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedEntry {
    /// What was asked for.
    pub key: WorkKey,
    /// The fastest plan.
    pub plan: PlanId,
    /// The work, for people.
    pub step: String,
    /// The kernels that would be taken without tuning.
    pub default: String,
    /// The fastest kernels.
    pub winner: String,
    /// Seconds that the default took.
    pub default_seconds: f64,
    /// Seconds that the winner took.
    pub winner_seconds: f64,
}

/// Entries by what was asked for.
pub(super) type Entries = BTreeMap<WorkKey, TunedEntry>;

impl TunedEntry {
    fn to_json(&self) -> Value {
        json!({
            "plan": self.plan.to_string(), "step": self.step, "default": self.default, "winner": self.winner,
            "default_s": self.default_seconds, "winner_s": self.winner_seconds,
        })
    }

    fn of_json(key: &str, value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let seconds = |name: &str| value[name].as_f64().filter(|seconds| *seconds >= 0.0);
        Some(Self {
            key: WorkKey::parse(key)?,
            plan: PlanId::parse(value["plan"].as_str()?)?,
            step: text("step")?,
            default: text("default")?,
            winner: text("winner")?,
            default_seconds: seconds("default_s")?,
            winner_seconds: seconds("winner_s")?,
        })
    }
}

/// Whose kernels a table is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) adapter: String,
    pub(crate) backend: String,
    /// With its version.
    pub(crate) driver: String,
}

impl Identity {
    fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("adapter", self.adapter.as_str()),
            ("backend", &self.backend),
            ("driver", &self.driver),
            ("wgrad", env!("CARGO_PKG_VERSION")),
        ]
    }

    /// The adapter's name as far as file systems like it, and a digest of everything.
    pub(super) fn file_name(&self) -> String {
        let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.adapter.chars().map(letters).take(48).collect();
        let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
        let digest = WorkKey::of(self.fields()).to_string();
        format!("{}-{}.json", parts.join("-"), &digest[..16])
    }
}

/// A table's file.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

impl TableFile {
    /// What is in it: nothing where there is no file.
    pub(super) fn read(&self) -> Result<Entries> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entries::new()),
            Err(error) => return Err(Error::file("cannot read", &self.path, error)),
        };
        let wrong = |message: String| Error::format(&self.path, message);
        let table: Value =
            serde_json::from_str(&text).map_err(|error| wrong(format!("is no table of tuned kernels: {error}")))?;
        if table["format"].as_u64() != Some(FORMAT) {
            return Err(wrong("is no table of tuned kernels of this format".to_owned()));
        }
        match checksum::compare(text.as_bytes(), CHECKSUM) {
            Some((found, saved)) if found == saved => {}
            Some(_) => return Err(wrong("is damaged: its checksum is not that of its content".to_owned())),
            None => return Err(wrong("is damaged: it has no checksum".to_owned())),
        }
        for (name, expected) in self.identity.fields() {
            if table[name].as_str() != Some(expected) {
                return Err(wrong(format!("is a table for another {name}: {}, not {expected:?}", table[name])));
            }
        }
        let entries = table["entries"].as_object().ok_or_else(|| wrong("has no entries".to_owned()))?;
        let entry = |(key, value): (&String, &Value)| {
            let entry = TunedEntry::of_json(key, value).ok_or_else(|| wrong(format!("entry {key:?} is incomplete")))?;
            Ok((entry.key, entry))
        };
        entries.iter().map(entry).collect()
    }

    /// Adds entries to what is in the file by now; they replace older ones.
    pub(super) fn merge(&self, added: &Entries) -> Result<Entries> {
        let cannot = |error| Error::file("cannot write", &self.path, error);
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let _lock = Lock::wait(&self.path);
        // What cannot be read is replaced.
        let mut entries = self.read().unwrap_or_default();
        entries.extend(added.iter().map(|(key, entry)| (*key, entry.clone())));
        let mut table: Map<String, Value> =
            self.identity.fields().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        table.insert("format".to_owned(), json!(FORMAT));
        table.insert("crc32".to_owned(), json!(checksum::BLANK));
        let listed: Map<String, Value> =
            entries.iter().map(|(key, entry)| (key.to_string(), entry.to_json())).collect();
        table.insert("entries".to_owned(), Value::Object(listed));
        let mut text = serde_json::to_vec_pretty(&table).map_err(|error| cannot(error.into()))?;
        checksum::seal(&mut text, CHECKSUM);
        file::write(&self.path, &text)?;
        Ok(entries)
    }

    /// Removes the file, if there is one.
    pub(super) fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("cannot remove", &self.path, error)),
            _ => Ok(()),
        }
    }
}

/// Prevents other processes from writing the same table, between their reading and their writing.
struct Lock(Option<PathBuf>);

impl Lock {
    /// Waits a while; who waits in vain continues without, since a lost entry is no harm.
    fn wait(table: &Path) -> Self {
        let path = table.with_extension("lock");
        let begun = Instant::now();
        while begun.elapsed() < 2 * STALE {
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Self(Some(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(_) => return Self(None),
            }
            let written = std::fs::metadata(&path).and_then(|data| data.modified());
            if written.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > STALE)) {
                let _ = std::fs::remove_file(&path);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(None)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/support/mutated_files.rs"]
mod mutated_files;

#[cfg(test)]
use crate::scalar::threefry::HostRandom;

#[cfg(test)]
mod tests {
    use super::mutated_files::{many, mutate_text, survive};
    use super::*;

    fn file(folder: &Path) -> TableFile {
        let identity =
            Identity { adapter: "Some GPU (R) 1".into(), backend: "vulkan".into(), driver: "one 1.0".into() };
        TableFile { path: folder.join("tables").join(identity.file_name()), identity }
    }

    fn entry(number: u32) -> TunedEntry {
        let digest = format!("{number:032x}");
        TunedEntry {
            key: WorkKey::parse(&digest).unwrap(),
            plan: PlanId::parse(&digest).unwrap(),
            step: format!("matmul {number}"),
            default: "a".into(),
            winner: "b".into(),
            default_seconds: 0.1 + f64::from(number),
            winner_seconds: 1e-7,
        }
    }

    fn entries(numbers: impl IntoIterator<Item = u32>) -> Entries {
        numbers.into_iter().map(entry).map(|entry| (entry.key, entry)).collect()
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        assert!(file.read().unwrap().is_empty());
        file.merge(&entries(0..3)).unwrap();
        assert_eq!(file.read().unwrap(), entries(0..3));
        let name = file.path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("some-gpu-r-1-") && name.ends_with(".json"), "{name}");
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(file.read().unwrap().is_empty());
    }

    #[test]
    fn newer_entries_replace_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        file.merge(&entries(0..3)).unwrap();
        let mut newer = entry(1);
        newer.winner_seconds = 5.0;
        let merged = file.merge(&[(newer.key, newer.clone())].into_iter().collect()).unwrap();
        assert_eq!(merged.len(), 3);
        assert_eq!(file.read().unwrap()[&newer.key], newer);
    }

    #[test]
    fn who_writes_at_once_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for number in 0..8 {
                        file.merge(&entries([thread * 8 + number])).unwrap();
                    }
                });
            }
        });
        assert_eq!(file.read().unwrap(), entries(0..64));
        assert_eq!(std::fs::read_dir(file.path.parent().unwrap()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn what_is_no_table_of_this_device_is_refused_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        file.merge(&entries(0..1)).unwrap();
        let good = std::fs::read_to_string(&file.path).unwrap();
        let wrong = [
            String::new(),
            "[]".to_owned(),
            good[..good.len() / 2].to_owned(),
            good.replace("one 1.0", "one 1.1"),
            good.replace("\"format\": 2", "\"format\": 1"),
            good.replace("\"winner_s\": 1e-7", "\"winner_s\": 2e-7"),
            good.replace("\"crc32\"", "\"crc33\""),
            good.replace("\"winner_s\": 1e-7", "\"winner_s\": \"fast\""),
            good.replace("\"entries\"", "\"others\""),
        ];
        for text in wrong {
            assert_ne!(text, good);
            std::fs::write(&file.path, &text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
            file.merge(&entries(5..6)).unwrap();
            assert_eq!(file.read().unwrap(), entries(5..6));
        }
        std::fs::write(&file.path, [0xff, 0xfe, 0]).unwrap();
        assert!(file.read().is_err());
        for bit in 0..good.len() * 8 {
            let mut damaged = good.clone().into_bytes();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file.path, damaged).unwrap();
            assert!(file.read().is_err(), "bit {bit}");
        }
    }

    fn mutate(count: u64) {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path());
        file.merge(&entries(0..4)).unwrap();
        let original = std::fs::read(&file.path).unwrap();
        let make = |random: &mut HostRandom| {
            let mut bytes = original.clone();
            mutate_text(&mut bytes, &original, random);
            // Half of them with the checksum of what they hold, so that what comes after it is tried too.
            if random.below(2) == 0
                && let Some(start) = checksum::position(&bytes, CHECKSUM)
            {
                bytes[start..start + checksum::BLANK.len()].copy_from_slice(checksum::BLANK.as_bytes());
                checksum::seal(&mut bytes, CHECKSUM);
            }
            bytes
        };
        survive("tuning tables", count, make, |bytes, _| {
            std::fs::write(&file.path, bytes).unwrap();
            file.read().map(|_| ())
        });
    }

    #[test]
    fn mutated_tables() {
        mutate(1_000);
    }

    #[test]
    #[ignore = "takes minutes; tests/support/mutated_files.rs says how to run it"]
    fn many_mutated_tables() {
        mutate(many(100_000));
    }
}
