//! Compiled kernels on disk, where the backend lets them be stored (Vulkan). A cache is a convenience: that it cannot be read or
//! written is never an error.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Instant;

use super::context::lock;
use super::trusted;

/// Set to store nothing on disk.
const DISABLED: &str = "WGRAD_NO_PIPELINE_CACHE";
const MAGIC: &[u8; 8] = b"wgradpc1";
/// Caches only grow; one that is larger than this is begun anew.
const LARGEST: usize = 128 << 20;
/// Writing costs time in proportion to the whole, so it is not done after each of many small programs.
const BETWEEN_WRITES: Duration = Duration::from_secs(5);

pub(super) struct DiskCache {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    unsaved: Mutex<Unsaved>,
}

#[derive(Default)]
struct Unsaved {
    is_dirty: bool,
    written: Option<Instant>,
}

impl DiskCache {
    /// The cache of a device, with what an earlier run left for its adapter.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) || std::env::var_os(DISABLED).is_some() {
            return None;
        }
        let path = folder()?.join(wgpu::util::pipeline_cache_key(info)?);
        let data = read(&path);
        Some(Self { cache: trusted::pipeline_cache(device, data.as_deref()), path, unsaved: Mutex::default() })
    }

    pub(super) fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Notes that kernels were compiled, and writes them unless that was done a moment ago.
    pub(super) fn grown(&self) {
        let mut unsaved = lock(&self.unsaved);
        unsaved.is_dirty = true;
        if unsaved.written.is_none_or(|written| written.elapsed() > BETWEEN_WRITES) {
            self.save(&mut unsaved);
        }
    }

    fn save(&self, unsaved: &mut Unsaved) {
        if let Some(data) = self.cache.get_data() {
            // Best effort: see the module's comment.
            let _ = write(&self.path, &data);
        }
        *unsaved = Unsaved { is_dirty: false, written: Some(Instant::now()) };
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        let mut unsaved = lock(&self.unsaved);
        if unsaved.is_dirty {
            self.save(&mut unsaved);
        }
    }
}

/// The folder for what wgrad stores from run to run, if the system has one.
pub(super) fn folder() -> Option<PathBuf> {
    directory(|name| std::env::var_os(name))
}

/// `$XDG_CACHE_HOME/wgrad`, `~/.cache/wgrad`, or Windows' folder for such files.
fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
    Some(base.or_else(|| path("LOCALAPPDATA"))?.join("wgrad"))
}

/// What was written, unless it is damaged: wgpu compares only a header, and drivers trust the rest.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (header, data) = bytes.split_at_checked(16)?;
    let is_whole = header[..8] == *MAGIC && header[8..] == checksum(data).to_le_bytes();
    (is_whole && data.len() <= LARGEST).then(|| data.to_vec())
}

fn write(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory)?;
    crate::file::replace(path, None, |file| {
        file.write_all(MAGIC)?;
        file.write_all(&checksum(data).to_le_bytes())?;
        file.write_all(data)
    })
}

/// FNV-1a over words of eight bytes: finds what truncation and bad disks do; not meant against malice.
fn checksum(data: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    let (words, rest) = data.as_chunks::<8>();
    let hash = step(0xcbf2_9ce4_8422_2325, data.len() as u64);
    let hash = words.iter().fold(hash, |hash, &word| step(hash, u64::from_le_bytes(word)));
    rest.iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_comes_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/cache");
        assert_eq!(read(&path), None);
        let data: Vec<u8> = (0..1003_u32).map(|k| (k * 7) as u8).collect();
        write(&path, &data).unwrap();
        assert_eq!(read(&path), Some(data.clone()));
        let bytes = std::fs::read(&path).unwrap();
        for damage in [0, 3, 12, 16, 500, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[damage] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(read(&path), None, "byte {damage}");
            std::fs::write(&path, &bytes[..damage]).unwrap();
            assert_eq!(read(&path), None, "{damage} bytes");
        }
    }

    #[test]
    fn the_folder_is_the_users_cache() {
        let with = |pairs: &'static [(&str, &str)]| {
            directory(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("HOME", "/home/a")]), Some("/home/a/.cache/wgrad".into()));
        assert_eq!(with(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]), Some("/c/wgrad".into()));
        assert_eq!(with(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "relative")]), Some("/home/a/.cache/wgrad".into()));
    }
}
