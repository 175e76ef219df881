//! Where nodes come from while something builds them that the user did not write.

use super::Graph;
use crate::error::{Origin, interned};

impl Graph {
    /// Lets all nodes that are built come from one origin.
    pub(crate) fn at<T>(&self, origin: Origin, build: impl FnOnce() -> T) -> T {
        let (outer, layer) = {
            let mut data = self.data();
            (data.origin.replace(origin), data.layer.take())
        };
        let built = build();
        let mut data = self.data();
        (data.origin, data.layer) = (outer, layer);
        built
    }

    /// Whose graph this is: nodes that wgrad's own code builds for it come from this origin, those of the user's functions from
    /// their lines.
    pub(crate) fn built_for(&self, origin: Origin) {
        self.data().user = Some(origin);
    }

    /// Lets nodes that are built belong to a layer, as long as the result lives.
    #[must_use]
    pub(crate) fn in_layer(&self, name: &str) -> LayerScope {
        let outer = self.data().layer.replace(interned(name));
        LayerScope { graph: self.clone(), outer }
    }

    /// The origin of a node that is built now.
    #[track_caller]
    pub(super) fn origin_now(&self) -> Origin {
        let caller = Origin::caller();
        let data = self.data();
        match (data.origin, data.user) {
            (Some(origin), _) => origin,
            (None, Some(user)) if is_own(caller.file()) => user,
            (None, _) => caller,
        }
    }
}

/// True for the sources of this crate.
fn is_own(file: &str) -> bool {
    file!().strip_suffix("graph/origin.rs").is_some_and(|folder| file.starts_with(folder))
}

/// See [`Graph::in_layer`].
pub(crate) struct LayerScope {
    graph: Graph,
    outer: Option<&'static str>,
}

impl Drop for LayerScope {
    fn drop(&mut self) {
        self.graph.data().layer = self.outer;
    }
}
