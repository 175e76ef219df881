//! The one error type of the library. Each variant says what was wrong, what was expected, and where.

mod origin;

use std::path::PathBuf;

pub(crate) use origin::interned;
pub use origin::{Origin, omit_lines};

/// A number of things in a message: `1 row`, `2 rows`, `3 classes`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = match noun.ends_with('s') {
        _ if count == 1 => "",
        true => "es",
        false => "s",
    };
    format!("{count} {noun}{ending}")
}

/// The result of everything in wgrad that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. The library never panics on bad input; it returns one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error made while building a graph: shapes that do not fit, a dtype mixed up, a name used twice.
    #[error("{operator}: {message}{}", .origin.in_parentheses())]
    Graph {
        /// The operator that refused its inputs.
        operator: String,
        /// What was wrong and what was expected.
        message: String,
        /// The user's line that built the node, and its layer.
        origin: Origin,
    },
    /// Something larger than the device can hold or bind; found when a program is compiled.
    #[error("device limit: {0}")]
    Limit(String),
    /// An argument outside what the function accepts.
    #[error("{0}")]
    Argument(String),
    /// Data of the wrong shape, type or content.
    #[error("{0}")]
    Data(String),
    /// A file that could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried: "cannot read", "cannot write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file whose content is not what its format says: truncated, corrupt, or of another model.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// No device, or one that refused.
    #[error("device: {0}")]
    Device(String),
    /// The GPU is gone: it was destroyed, or its driver gave it up. Every call on that device returns this from then on, and what was
    /// only in its memory is lost; a new [`Device`](crate::Device) can be opened, and a checkpoint be resumed on it.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The device has as many runs under way as it may have: what tries instead of waiting refuses. Nothing was done.
    #[error("the device is busy: {pending} runs are under way")]
    Busy {
        /// Runs under way.
        pending: usize,
    },
    /// Memory that the device, or the host, does not have.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// A kernel that the device's compiler refuses.
    #[error("kernel {kernel} does not compile on {device}: {message}")]
    Shader {
        /// The kernel.
        kernel: String,
        /// The device.
        device: String,
        /// What the compiler said.
        message: String,
    },
    /// The caller asked to stop (a callback, Ctrl-C); everything done before is retained.
    #[error("stopped: {0}")]
    Stopped(String),
}

impl Error {
    /// An error in the graph, with the user's line.
    pub fn graph(operator: impl Into<String>, message: impl Into<String>, origin: Origin) -> Self {
        Self::Graph { operator: operator.into(), message: message.into(), origin }
    }

    /// A file that could not be read or written.
    pub fn file(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }

    /// A file with the wrong content.
    pub fn format(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Format { path: path.into(), message: message.into() }
    }
}

/// Lets a graph error be stored and returned again by every later `compile`.
impl Clone for Error {
    fn clone(&self) -> Self {
        match self {
            Self::Graph { operator, message, origin } => {
                Self::Graph { operator: operator.clone(), message: message.clone(), origin: *origin }
            }
            Self::Limit(message) => Self::Limit(message.clone()),
            Self::Argument(message) => Self::Argument(message.clone()),
            Self::Data(message) => Self::Data(message.clone()),
            Self::File { action, path, source } => Self::File {
                action,
                path: path.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            Self::Format { path, message } => Self::Format { path: path.clone(), message: message.clone() },
            Self::Device(message) => Self::Device(message.clone()),
            Self::Busy { pending } => Self::Busy { pending: *pending },
            Self::DeviceLost(message) => Self::DeviceLost(message.clone()),
            Self::OutOfMemory(message) => Self::OutOfMemory(message.clone()),
            Self::Shader { kernel, device, message } => {
                Self::Shader { kernel: kernel.clone(), device: device.clone(), message: message.clone() }
            }
            Self::Stopped(message) => Self::Stopped(message.clone()),
        }
    }
}
