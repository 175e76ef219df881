//! A session in one file, for training loops of one's own.

use std::path::Path;

use super::counters;
use super::named::{self, Matching};
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::safetensors;
use crate::session::Session;

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
        self.device().check()?;
        let saved = self.variables().iter().filter(|variable| is_saved(&variable.role));
        let tensors = saved
            .map(|variable| Ok((variable.name.clone(), self.parameter(&variable.name)?)))
            .collect::<Result<Vec<_>>>()?;
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("step", self.steps().to_string()),
            ("seed", self.seed().to_string()),
            ("optimizers", counters::to_json(self)),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
        safetensors::write(path, &tensors, &metadata)
    }

    /// Takes up what [`save`](Self::save) wrote. All programs are loaded before.
    ///
    /// # Errors
    /// A file that cannot be read, that is damaged, or that is of another model, of other optimizers, or of another seed.
    pub fn restore(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (tensors, metadata, verified) = safetensors::read_verified(path)?;
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
