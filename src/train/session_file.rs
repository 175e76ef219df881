//! A session in one file, for training loops of one's own.

use std::path::Path;

use super::counters;
use super::named::{self, Matching};
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::safetensors::{self, Metadata, Tensors};
use crate::session::Session;
use crate::tensor::TensorData;
use crate::waiting::block_on;

/// Version of the metadata; others are refused.
const FORMAT: &str = "wgrad-session-1";

fn is_saved(role: &Role) -> bool {
    matches!(role, Role::Parameter | Role::Buffer | Role::State(_))
}

impl Session {
    /// Writes parameters, buffers and states of optimizers as safetensors, with the count of steps, and each optimizer's steps and
    /// learning rate: whole or not at all. A session of the same programs that [`restore`](Self::restore)s it continues bit for
    /// bit.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// # let directory = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
    /// # let path = directory.path().join("session.safetensors");
    /// let g = Graph::new();
    /// let x = g.input("x", [4, 2], F32);
    /// let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&x).square().mean_all();
    /// g.minimize(&loss, Adam::new(0.1)).build();
    /// let mut session = g.compile(&Device::cpu())?;
    /// let x = TensorData::from_f64(F32, &[0.5; 8], [4, 2])?;
    /// session.step(&[("x", &x)])?;
    /// session.save(&path)?;
    /// let mut again = g.compile(&Device::cpu())?;
    /// again.restore(&path)?;
    /// session.step(&[("x", &x)])?;
    /// again.step(&[("x", &x)])?;
    /// assert_eq!(session.parameter("fc.weight")?, again.parameter("fc.weight")?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be written; a device that fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let (tensors, metadata) = block_on(self.state())?;
        safetensors::write(path, &tensors, &metadata)
    }

    /// What [`save`](Self::save) would write, as bytes, for [`restore_bytes`](Self::restore_bytes).
    ///
    /// # Errors
    /// A device that fails.
    pub fn state_bytes(&self) -> Result<Vec<u8>> {
        block_on(self.state_bytes_async())
    }

    /// As [`state_bytes`](Self::state_bytes), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn state_bytes_async(&self) -> Result<Vec<u8>> {
        let (tensors, metadata) = self.state().await?;
        safetensors::to_bytes(&tensors, &metadata)
    }

    async fn state(&self) -> Result<(Vec<(String, TensorData)>, Vec<(String, String)>)> {
        self.device().check()?;
        let tensors = self.values_async(|variable| is_saved(&variable.role)).await?;
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("step", self.steps().to_string()),
            ("seed", self.seed().to_string()),
            ("optimizers", counters::to_json(self)),
        ];
        Ok((tensors, metadata.map(|(key, value)| (key.to_owned(), value)).into()))
    }

    /// Takes up what [`save`](Self::save) wrote. All programs are loaded before.
    ///
    /// # Errors
    /// A file that cannot be read, that is damaged, or that is of another model, of other optimizers, or of another seed.
    pub fn restore(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.take_up(path, safetensors::read_verified(path)?)
    }

    /// Takes up what [`state_bytes`](Self::state_bytes) returned. All programs are loaded before.
    ///
    /// # Errors
    /// As of [`restore`](Self::restore).
    pub fn restore_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let name = Path::new("a session in memory");
        self.take_up(name, safetensors::from_bytes_verified(bytes, name)?)
    }

    fn take_up(&mut self, path: &Path, file: (Tensors, Metadata, bool)) -> Result<()> {
        let (tensors, metadata, verified) = file;
        let wrong = |message: String| Error::format(path, message);
        let field = |name: &str| {
            metadata.get(name).ok_or_else(|| wrong(format!("it was not saved by a session: it has no {name:?}")))
        };
        if field("format")? != FORMAT {
            return Err(wrong(format!("its format is {:?}, not {FORMAT:?}", field("format")?)));
        }
        if !verified {
            return Err(wrong("damaged: it has no checksum".to_owned()));
        }
        let number = |name: &str| -> Result<u64> {
            field(name)?.parse().map_err(|_| wrong(format!("its {name} is not a number")))
        };
        let (step, seed) = (number("step")?, number("seed")?);
        if seed != self.seed() {
            return Err(wrong(format!("it was made with seed {seed}, this session has seed {}", self.seed())));
        }
        let optimizers = field("optimizers")?;
        counters::from_json(optimizers).map_err(|error| wrong(error.to_string()))?;
        named::restore(path, self, &tensors, Matching::Strict, is_saved)?;
        self.set_steps(step);
        counters::restore(self, optimizers).map_err(|error| wrong(error.to_string()))
    }
}
