//! Where nodes come from while something builds them that the user did not write.

use super::Graph;
use crate::error::{Place, interned};

impl Graph {
    /// Lets all nodes that are built come from one place.
    pub(crate) fn at<T>(&self, place: Place, build: impl FnOnce() -> T) -> T {
        let (outer, layer) = {
            let mut data = self.data();
            (data.place.replace(place), data.layer.take())
        };
        let built = build();
        let mut data = self.data();
        (data.place, data.layer) = (outer, layer);
        built
    }

    /// Whose graph this is: nodes that wgrad's own code builds for it come from this place, those of the user's functions from their
    /// lines.
    pub(crate) fn built_for(&self, place: Place) {
        self.data().user = Some(place);
    }

    /// Lets nodes that are built belong to a layer, as long as the result lives.
    #[must_use]
    pub(crate) fn in_layer(&self, name: &str) -> LayerScope {
        let outer = self.data().layer.replace(interned(name));
        LayerScope { graph: self.clone(), outer }
    }

    /// The place of a node that is built now.
    #[track_caller]
    pub(super) fn place_now(&self) -> Place {
        let caller = Place::caller();
        let data = self.data();
        match (data.place, data.user) {
            (Some(place), _) => place,
            (None, Some(user)) if is_own(caller.file()) => user,
            (None, _) => caller,
        }
    }
}

/// True for the sources of this crate.
fn is_own(file: &str) -> bool {
    file!().strip_suffix("graph/place.rs").is_some_and(|folder| file.starts_with(folder))
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
