//! Where nodes come from while something builds them that the user did not write.

use super::{Graph, Tensor};
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

    /// Lets nodes that are built belong to a layer that was added at an origin: those of wgrad's own layers come from there, those of a
    /// user's from its lines.
    pub(crate) fn at_layer<T>(&self, origin: Origin, build: impl FnOnce() -> T) -> T {
        let outer = {
            let mut data = self.data();
            let layer = origin.layer();
            (data.origin.take(), data.user.replace(origin), std::mem::replace(&mut data.layer, layer))
        };
        let built = build();
        let mut data = self.data();
        (data.origin, data.user, data.layer) = outer;
        built
    }

    /// A mistake of whoever added the layer that is built, if one is: not of the layer's lines.
    #[track_caller]
    pub(crate) fn mistake_of_layer(&self, operator: &str, message: String) -> Tensor {
        let user = self.data().user;
        match user {
            Some(user) => self.at(user, || self.mistake(operator, message)),
            None => self.mistake(operator, message),
        }
    }

    /// Whose graph this is: nodes that wgrad's own code builds for it come from this origin, those of the user's functions from
    /// their lines.
    pub(crate) fn built_for(&self, origin: Origin) {
        self.data().user = Some(origin);
    }

    /// Lets nodes that are built belong to a layer of this name, as long as the result lives: plans, profiles and
    /// [`watch_non_finite`](crate::session::Session::watch_non_finite) name it.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1], F32);
    /// let y = {
    ///     let _layer = g.in_layer("encoder");
    ///     x.log()
    /// };
    /// g.output("y", &y);
    /// let mut session = g.compile(&Device::cpu())?;
    /// session.watch_non_finite(true)?;
    /// let error = session.run(&[("x", &TensorData::from_vec(vec![-1.0_f32], [1])?)]).map(|_| ()).unwrap_err();
    /// assert!(error.to_string().contains("in encoder"), "{error}");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn in_layer(&self, name: &str) -> LayerScope {
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
pub struct LayerScope {
    graph: Graph,
    outer: Option<&'static str>,
}

impl Drop for LayerScope {
    fn drop(&mut self) {
        self.graph.data().layer = self.outer;
    }
}
