//! What the page's JavaScript calls: the demos as classes whose methods are promises. A method is called when the one before it is done.

use js_sys::Date;
use wasm_bindgen::prelude::*;
use wgrad::Device;

use crate::digits::{self, Digits};
use crate::painting::Painting;
use crate::progress::Progress;
use crate::writing::{SONNETS, Size, Writing};

type Promised<T> = Result<T, JsError>;

/// The device that a page computes on.
#[wasm_bindgen]
pub struct Machine(Device);

#[wasm_bindgen]
impl Machine {
    /// The browser's GPU, or the CPU where it has none or is asked for.
    pub async fn open(cpu: bool) -> Promised<Self> {
        Ok(Self(if cpu { Device::cpu() } else { Device::auto_async().await? }))
    }

    /// What it is called.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// True where there is no GPU.
    #[wasm_bindgen(getter)]
    pub fn is_cpu(&self) -> bool {
        self.0.is_cpu()
    }
}

/// How far a training is.
#[wasm_bindgen]
pub struct Report(Progress);

#[wasm_bindgen]
impl Report {
    /// Steps so far.
    #[wasm_bindgen(getter)]
    pub fn steps(&self) -> f64 {
        self.0.steps as f64
    }

    /// The loss of the last one.
    #[wasm_bindgen(getter)]
    pub fn loss(&self) -> f64 {
        self.0.loss
    }
}

/// True for some milliseconds from now on, and at least once.
fn for_milliseconds(budget: f64) -> impl FnMut() -> bool {
    let end = Date::now() + budget;
    let mut is_first = true;
    move || std::mem::take(&mut is_first) || Date::now() < end
}

macro_rules! trains {
    ($($class:ident)*) => {
        $(
            #[wasm_bindgen]
            impl $class {
                /// Trains for some milliseconds.
                pub async fn train(&mut self, milliseconds: f64) -> Promised<Report> {
                    Ok(Report(self.0.train(for_milliseconds(milliseconds)).await?))
                }

                /// All parameters as a file of safetensors.
                pub async fn weights(&mut self) -> Promised<Vec<u8>> {
                    Ok(self.0.session().parameter_bytes_async().await?)
                }
            }
        )*
    };
}

trains!(DigitsDemo PaintingDemo WritingDemo);

/// See [`Digits`].
#[wasm_bindgen]
pub struct DigitsDemo(Digits);

#[wasm_bindgen]
impl DigitsDemo {
    /// A new network.
    pub async fn open(machine: &Machine, seed: u32) -> Promised<Self> {
        Ok(Self(Digits::open(&machine.0, seed.into()).await?))
    }

    /// See [`Digits::accuracy`].
    pub async fn accuracy(&mut self) -> Promised<f64> {
        Ok(self.0.accuracy().await?)
    }

    /// See [`Digits::guess`].
    pub async fn guess(&mut self, picture: Vec<f32>) -> Promised<Vec<f32>> {
        Ok(self.0.guess(&picture).await?)
    }

    /// See [`digits::picture`]; the strokes follow each other, and `ends` says where each ends.
    pub fn picture(points: &[f32], ends: &[u32]) -> Vec<f32> {
        let mut first = 0;
        let mut strokes = Vec::new();
        for &end in ends {
            let end = (end as usize).min(points.len());
            strokes.push(points.get(first..end).unwrap_or_default().to_vec());
            first = end;
        }
        digits::picture(&strokes)
    }
}

/// See [`Painting`].
#[wasm_bindgen]
pub struct PaintingDemo(Painting);

#[wasm_bindgen]
impl PaintingDemo {
    /// A new network for the pixels of a square canvas.
    pub async fn open(machine: &Machine, rgba: Vec<u8>, seed: u32) -> Promised<Self> {
        Ok(Self(Painting::open(&machine.0, &rgba, seed.into()).await?))
    }

    /// See [`Painting::paint`].
    pub async fn paint(&mut self) -> Promised<Vec<u8>> {
        Ok(self.0.paint().await?)
    }
}

/// See [`Writing`].
#[wasm_bindgen]
pub struct WritingDemo(Writing);

#[wasm_bindgen]
impl WritingDemo {
    /// A new network for a text, or for the sonnets; a small one for a GPU that is none.
    pub async fn open(machine: &Machine, text: Option<String>, small: bool, seed: u32) -> Promised<Self> {
        let size = if small { Size::SMALL } else { Size::FULL };
        Ok(Self(Writing::open(&machine.0, text.as_deref().unwrap_or(SONNETS), size, seed.into()).await?))
    }

    /// See [`Writing::write`].
    pub async fn write(&mut self, letters: usize, temperature: f32) -> Promised<String> {
        Ok(self.0.write(letters, temperature).await?)
    }
}
