//! Where a node of a graph comes from: a line of the user's source, and the layer of the model.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// An origin in the user's source code: the line that built a graph node, and the layer that the node is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    location: &'static Location<'static>,
    layer: Option<&'static str>,
}

/// Whether lines are left out.
static WITHOUT_LINES: AtomicBool = AtomicBool::new(false);

/// Leaves source lines out of all messages and listings of this process, and shows layers alone: for programs whose users did not write
/// their source.
pub fn omit_lines() {
    WITHOUT_LINES.store(true, Ordering::Relaxed);
}

impl Origin {
    /// The caller's origin, where the chain of functions up to it is `#[track_caller]`.
    #[track_caller]
    pub fn caller() -> Self {
        Self { location: Location::caller(), layer: None }
    }

    /// The same in a layer of the model.
    #[must_use]
    pub fn in_layer(self, name: &str) -> Self {
        Self { layer: Some(interned(name)), ..self }
    }

    /// The same in a layer, where none is known yet.
    pub(crate) fn or_layer(self, layer: Option<&'static str>) -> Self {
        Self { layer: self.layer.or(layer), ..self }
    }

    /// The source file.
    pub fn file(&self) -> &'static str {
        self.location.file()
    }

    /// The line in it.
    pub fn line(&self) -> u32 {
        self.location.line()
    }

    /// The layer: its name or number in the model, and for layers of a [`Sequential`](crate::nn::Sequential) what it is, as in
    /// `2.dense(10)`. `None` outside of layers.
    pub fn layer(&self) -> Option<&'static str> {
        self.layer
    }

    /// As the end of a message.
    pub(super) fn in_parentheses(&self) -> String {
        match (WITHOUT_LINES.load(Ordering::Relaxed), self.layer) {
            (true, None) => String::new(),
            (true, Some(layer)) => format!(" (in {layer})"),
            (false, _) => format!(" (at {self})"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (WITHOUT_LINES.load(Ordering::Relaxed), self.layer) {
            (true, layer) => formatter.write_str(layer.unwrap_or_default()),
            (false, None) => write!(formatter, "{}:{}", self.file(), self.line()),
            (false, Some(layer)) => write!(formatter, "{}:{} in {layer}", self.file(), self.line()),
        }
    }
}

/// The one copy of a name. Names of layers are few and recur, so none is ever freed, and origins stay small and `Copy`.
pub(crate) fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    // A panic elsewhere leaves complete names behind.
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let copy: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(copy);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_line_and_may_have_a_layer() {
        let (origin, line) = (Origin::caller(), line!());
        assert_eq!(origin.to_string(), format!("{}:{line}", file!()));
        let layer = origin.in_layer(&["2.", "relu"].concat());
        assert_eq!(layer.to_string(), format!("{}:{line} in 2.relu", file!()));
        assert_eq!((layer.file(), layer.line(), layer.layer()), (file!(), line, Some("2.relu")));
        assert_eq!(layer.or_layer(Some("other")), layer);
        assert!(std::ptr::eq(interned("2.relu"), interned(&["2.re", "lu"].concat())));
    }
}
