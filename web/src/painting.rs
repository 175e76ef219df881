//! A picture as a function: a network of sines is asked for the colour at a point, and learns a picture pixel by pixel.
//!
//! The layers are those of Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020).

use wgrad::nn::Dense;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::session::Program;

use crate::progress::Progress;

/// Units of a hidden layer, and how many such layers there are.
const WIDTH: usize = 64;
const HIDDEN: usize = 3;

/// Frequencies of the first layer's sines are up to this, where the picture is 2 wide.
const FREQUENCY: f64 = 20.0;

/// Points in a step. Without a GPU there are fewer, so that a step is within a frame or two.
const POINTS: usize = 1024;
const POINTS_ON_CPU: usize = 512;

/// A network that learns a picture.
pub struct Painting {
    session: Session,
    paint: Program,
    /// Pixels along an edge.
    side: usize,
    /// Red, green and blue from 0 to 1, `[side · side, 3]`.
    pixels: Vec<f32>,
    points: usize,
    random: HostRandom,
    progress: Progress,
}

/// Colours `[n, 3]` of points `[n, 2]` from −1 to 1.
fn network(g: &Graph, points: &Tensor) -> Tensor {
    let uniform = |bound: f64| Initializer::Uniform { low: -bound, high: bound };
    let mut x = points.clone();
    let mut width = 2;
    for layer in 0..HIDDEN {
        let (bound, frequency) =
            if layer == 0 { (1.0 / width as f64, FREQUENCY) } else { ((6.0 / width as f64).sqrt(), 1.0) };
        let dense = Dense::new(WIDTH).initializer(uniform(bound));
        x = (dense.build(g, &format!("sine{}", layer + 1), width).forward(&x) * frequency).sin();
        width = WIDTH;
    }
    nn::Linear::new(g, "colour", width, 3).forward(&x).sigmoid()
}

impl Painting {
    /// A new network for a square picture, given as red, green, blue and a fourth byte that does not matter, pixel by pixel.
    ///
    /// # Errors
    /// Bytes that are no square of pixels; of the device.
    pub async fn open(device: &Device, rgba: &[u8], seed: u64) -> Result<Self> {
        let side = (rgba.len() / 4).isqrt();
        if side == 0 || side * side * 4 != rgba.len() {
            return Err(Error::Data(format!("{} bytes are no square of pixels with four bytes each", rgba.len())));
        }
        let pixels =
            rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]).map(|&level| f32::from(level) / 255.0).collect();
        let points = if device.is_cpu() { POINTS_ON_CPU } else { POINTS };

        let g = Graph::new();
        let colours = network(&g, &g.input("points", [points, 2], F32));
        let loss = colours.mse(&g.input("colours", [points, 3], F32));
        g.minimize(&loss, Adam::new(1e-3)).build();
        let mut session = Session::new_async(&g, device, seed).await?;

        let g = Graph::new();
        let along = |axis: isize| {
            let index = g.coordinate([side, side], axis).cast(F32).reshape([side * side]);
            (index + 0.5) * (2.0 / side as f64) - 1.0
        };
        let points_of_all = along(1).stack(&[&along(0)], 1);
        g.output("colours", &network(&g, &points_of_all));
        let paint = session.load_async(&g).await?;
        let random = HostRandom::new(seed);
        Ok(Self { session, paint, side, pixels, points, random, progress: Progress::default() })
    }

    /// Trains for as long as there is time for another step.
    ///
    /// # Errors
    /// Of the device.
    pub async fn train(&mut self, mut more: impl FnMut() -> bool) -> Result<Progress> {
        let mut steps = 0;
        while more() {
            let mut points = Vec::with_capacity(2 * self.points);
            let mut colours = Vec::with_capacity(3 * self.points);
            for _ in 0..self.points {
                let index = self.random.below((self.side * self.side) as u64) as usize;
                let middle = |pixel: usize| (pixel as f32 + 0.5) * (2.0 / self.side as f32) - 1.0;
                points.extend([middle(index % self.side), middle(index / self.side)]);
                colours.extend_from_slice(&self.pixels[3 * index..3 * index + 3]);
            }
            let points = TensorData::from_vec(points, [self.points, 2])?;
            let colours = TensorData::from_vec(colours, [self.points, 3])?;
            self.session.step_async(&[("points", &points), ("colours", &colours)]).await?;
            steps += 1;
        }
        self.progress.after(steps, &mut self.session).await
    }

    /// What it has learned of the picture, in the form in which that was given.
    ///
    /// # Errors
    /// Of the device.
    pub async fn paint(&mut self) -> Result<Vec<u8>> {
        let outputs = self.session.using(&self.paint).run_async(&[]).await?;
        let colours = outputs["colours"].as_slice::<f32>()?;
        let byte = |level: f32| (level * 255.0).round() as u8;
        Ok(colours.chunks_exact(3).flat_map(|c| [byte(c[0]), byte(c[1]), byte(c[2]), 255]).collect())
    }

    /// The session, for its parameters.
    pub const fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_a_picture() -> Result<()> {
        const SIDE: usize = 16;
        let shade = |index: usize| [(index % SIDE * 16) as u8, (index / SIDE * 16) as u8, 128, 255];
        let rgba: Vec<u8> = (0..SIDE * SIDE).flat_map(shade).collect();
        pollster::block_on(async {
            let mut painting = Painting::open(&Device::cpu(), &rgba, 0).await?;
            let mut left = 200;
            let progress = painting
                .train(|| {
                    left -= 1;
                    left >= 0
                })
                .await?;
            assert!(progress.loss < 0.002, "{progress:?}");
            let painted = painting.paint().await?;
            assert_eq!(painted.len(), rgba.len());
            let error: u32 = painted.iter().zip(&rgba).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            assert!(error < 8 * rgba.len() as u32, "{error}");
            assert!(Painting::open(&Device::cpu(), &rgba[4..], 0).await.is_err());
            Ok(())
        })
    }
}
