//! Handwritten digits: a network of two hidden layers, which says what a visitor has drawn while it learns.

use wgrad::data::{Csv, Dataset, Target};
use wgrad::nn::{Augment, Dropout};
use wgrad::prelude::*;
use wgrad::session::Program;

use crate::progress::Progress;

/// The set of the command line's demo.
const FILE: &[u8] = include_bytes!("../../cli/data/digits.csv");

/// Pixels along an edge, and grey levels from 0 to this.
const SIDE: usize = 8;
const WHITE: f32 = 16.0;

/// The finer grid on which strokes are drawn first: a pixel's grey level is how many of its points are ink. The data was made in this way.
const FINE: usize = 32;

/// The width of a stroke, in points of that grid.
const STROKE: f32 = 3.4;

const CLASSES: usize = 10;
const BATCH: usize = 64;

/// A network that learns digits.
pub struct Digits {
    session: Session,
    judge: Program,
    guess: Program,
    train: Dataset,
    test: Dataset,
    epoch: u64,
    order: Vec<usize>,
    progress: Progress,
}

/// Logits `[batch, 10]` of pictures `[batch, 1, 8, 8]`, white being 1.
fn network(g: &Graph, pictures: &Tensor, mode: Mode) -> Tensor {
    let batch = pictures.shape().first().copied().unwrap_or(1);
    // There are few examples: each is seen a little different every time.
    let augment = Augment::new().rotation(10.0).scale(0.9, 1.1).gaussian_noise(0.1);
    let x = augment.apply(pictures, mode).reshape([batch, SIDE * SIDE]);
    let x = nn::Linear::new(g, "fc1", SIDE * SIDE, 128).forward(&x).relu();
    let x = Dropout::new(0.1).forward(&x, mode);
    let x = nn::Linear::new(g, "fc2", 128, 64).forward(&x).relu();
    nn::Linear::new(g, "fc3", 64, CLASSES).forward(&x)
}

/// Pictures of some number of examples, as the data has them.
fn levels(g: &Graph, batch: usize) -> Tensor {
    g.input("x", [batch, SIDE, SIDE], U8).cast(F32).reshape([batch, 1, SIDE, SIDE]) / f64::from(WHITE)
}

/// The network's training and its test parts.
fn examples() -> Result<(Dataset, Dataset)> {
    let data = Csv::new().from_bytes(FILE, "digits.csv")?.dataset("target", Target::Classes)?;
    let data = data.map_column("x", |x| x.cast(U8)?.reshape([x.shape()[0], SIDE, SIDE]))?;
    data.stratified_split("y", 0.8, 0)
}

impl Digits {
    /// A new network.
    ///
    /// # Errors
    /// Of the device.
    pub async fn open(device: &Device, seed: u64) -> Result<Self> {
        let (train, test) = examples()?;
        let g = Graph::new();
        let logits = network(&g, &levels(&g, BATCH), Mode::Training);
        let loss = logits.cross_entropy(&g.input("y", [BATCH], I32));
        g.minimize(&loss, Adam::new(2e-3)).build();
        let mut session = Session::new_async(&g, device, seed).await?;

        let g = Graph::new();
        let found = network(&g, &levels(&g, test.len()), Mode::Evaluation).argmax(1);
        g.output("accuracy", &found.eq(g.input("y", [test.len()], I32)).cast(F32).mean_all());
        let judge = session.load_async(&g).await?;

        let g = Graph::new();
        let drawn = g.input("x", [1, 1, SIDE, SIDE], F32);
        g.output("scores", &network(&g, &drawn, Mode::Evaluation).softmax(1));
        let guess = session.load_async(&g).await?;
        Ok(Self { session, judge, guess, train, test, epoch: 0, order: Vec::new(), progress: Progress::default() })
    }

    /// Trains for as long as there is time for another step.
    ///
    /// # Errors
    /// Of the device.
    pub async fn train(&mut self, mut more: impl FnMut() -> bool) -> Result<Progress> {
        let mut steps = 0;
        while more() {
            if self.order.len() < BATCH {
                self.order = self.train.epoch_order(self.session.seed(), self.epoch);
                self.epoch += 1;
            }
            let batch = self.train.take(&self.order.split_off(self.order.len() - BATCH))?;
            self.session.step_async(&[("x", batch.column("x")?), ("y", batch.column("y")?)]).await?;
            steps += 1;
        }
        self.progress.after(steps, &mut self.session).await
    }

    /// The share of the test part that it gets right.
    ///
    /// # Errors
    /// Of the device.
    pub async fn accuracy(&mut self) -> Result<f64> {
        let inputs = [("x", self.test.column("x")?), ("y", self.test.column("y")?)];
        self.session.using(&self.judge).run_async(&inputs).await?["accuracy"].item()
    }

    /// How sure it is of each class for a picture `[8 · 8]`, white being 1.
    ///
    /// # Errors
    /// Another size; of the device.
    pub async fn guess(&mut self, picture: &[f32]) -> Result<Vec<f32>> {
        let picture = TensorData::from_slice(picture, [1, 1, SIDE, SIDE])?;
        self.session.using(&self.guess).run_async(&[("x", &picture)]).await?["scores"].to_vec()
    }

    /// The session, for its parameters.
    pub const fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// Strokes as a picture of the data's kind: `[8 · 8]`, white being 1. Each stroke is a list of x and y by turns; where it lies and how
/// large it is does not matter. Without any points, the picture is empty.
pub fn picture(strokes: &[Vec<f32>]) -> Vec<f32> {
    let points = || strokes.iter().flat_map(|stroke| stroke.chunks_exact(2)).map(|point| [point[0], point[1]]);
    let [mut low, mut high] = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
    for point in points() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    if points().next().is_none() {
        return vec![0.0; SIDE * SIDE];
    }
    // As high as the grid, or as wide; in its middle.
    let extent = (high[0] - low[0]).max(high[1] - low[1]).max(f32::MIN_POSITIVE);
    let room = FINE as f32 - STROKE;
    let scale = if extent.is_finite() && extent > 1e-3 { room / extent } else { 0.0 };
    let on_grid = |point: &[f32]| {
        [0, 1].map(|axis| (point[axis] - f32::midpoint(low[axis], high[axis])) * scale + FINE as f32 / 2.0)
    };
    let mut levels = vec![0.0; SIDE * SIDE];
    for row in 0..FINE {
        for column in 0..FINE {
            let here = [column as f32 + 0.5, row as f32 + 0.5];
            let is_ink = strokes.iter().any(|stroke| {
                let points: Vec<[f32; 2]> = stroke.chunks_exact(2).map(on_grid).collect();
                let last = points.last().map(|&last| [last, last]);
                points
                    .windows(2)
                    .map(|pair| [pair[0], pair[1]])
                    .chain(last)
                    .any(|line| distance(here, line) < STROKE / 2.0)
            });
            if is_ink {
                levels[row / (FINE / SIDE) * SIDE + column / (FINE / SIDE)] += 1.0 / WHITE;
            }
        }
    }
    levels
}

/// How far a point is from a line between two.
fn distance(from: [f32; 2], [start, end]: [[f32; 2]; 2]) -> f32 {
    let [dx, dy] = [end[0] - start[0], end[1] - start[1]];
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((from[0] - start[0]) * dx + (from[1] - start[1]) * dy) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    (from[0] - start[0] - along * dx).hypot(from[1] - start[1] - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_become_pictures() {
        assert_eq!(picture(&[]), [0.0; 64]);
        let bar = picture(&[vec![100.0, 20.0, 100.0, 220.0]]);
        for (index, level) in bar.iter().enumerate() {
            assert_eq!(*level > 0.0, (3..=4).contains(&(index % SIDE)), "{bar:?}");
        }
        // Neither place nor size matters, and a dot is one.
        assert_eq!(bar, picture(&[vec![3.0, 1.0, 3.0, 2.0, 3.0, 9.0]]));
        let dot = picture(&[vec![5.0, 5.0]]);
        assert!(dot.iter().filter(|level| **level > 0.0).count() == 4);
    }

    #[test]
    fn it_learns_and_reads_what_is_drawn() -> Result<()> {
        pollster::block_on(async {
            let mut digits = Digits::open(&Device::cpu(), 0).await?;
            let mut left = 22 * 25;
            let progress = digits
                .train(|| {
                    left -= 1;
                    left >= 0
                })
                .await?;
            assert_eq!(progress.steps, 550);
            let accuracy = digits.accuracy().await?;
            assert!(accuracy > 0.95, "{accuracy}");
            let oval = (0..=40).map(|k| (k as f32 * 0.157).sin_cos()).flat_map(|(x, y)| [32.0 * x, 50.0 * y]).collect();
            let seven = vec![0.0, 0.0, 50.0, 0.0, 20.0, 80.0];
            for (strokes, wanted) in [(vec![oval], 0), (vec![seven, vec![10.0, 40.0, 48.0, 40.0]], 7)] {
                let scores = digits.guess(&picture(&strokes)).await?;
                let best = (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
                assert_eq!(best, Some(wanted), "{scores:?}");
            }
            Ok(())
        })
    }
}
