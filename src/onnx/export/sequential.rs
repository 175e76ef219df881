//! Models that are lists of layers, as ONNX files.

use std::path::Path;

use super::Export;
use crate::error::Result;
use crate::graph::Graph;
use crate::nn::{Layer, Mode, Sequential};
use crate::session::Session;

impl Sequential {
    /// Writes the model as an ONNX file for inference on batches of a size: the input is called `x`, the output `prediction`, and
    /// initializers have the parameters' names. Their values are those of a session, as a trainer has one; without, the first ones.
    ///
    /// ```
    /// use wgrad::onnx::Model;
    /// use wgrad::prelude::*;
    /// # let folder = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
    /// let model = Sequential::new([3]).dense(4).relu().dense(2);
    /// let mut trainer = model.clone().compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, [])?;
    /// let x = TensorData::zeros(F32, [8, 3]);
    /// trainer.predict(&x)?;
    /// let path = folder.path().join("model.onnx");
    /// model.export_onnx(&path, 8, trainer.session())?;
    /// assert_eq!(Model::load(&path)?.parameters().len(), 4);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Layers that do not fit; what ONNX does not have; a file that cannot be written.
    pub fn export_onnx(&self, path: impl AsRef<Path>, batch: usize, session: Option<&Session>) -> Result<()> {
        self.output_shape()?;
        let graph = Graph::new();
        let dims: Vec<usize> = std::iter::once(batch).chain(self.input_shape().iter().copied()).collect();
        let x = graph.input("x", dims, self.input_dtype());
        graph.output("prediction", &self.forward(&graph, &x, Mode::Evaluation));
        let export = Export::new(&graph);
        let export = match session {
            Some(session) => export.values_of(session),
            None => export,
        };
        export.save(path)
    }
}
