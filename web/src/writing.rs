//! A text, letter by letter: an LSTM learns what comes next, and writes.

use wgrad::data::{CharVocabulary, Dataset, streams};
use wgrad::nn::{Embedding, LSTM, Recurrent, RecurrentInputs};
use wgrad::prelude::*;
use wgrad::session::{Capture, Program};
use wgrad::train::carried_state;

use crate::progress::Progress;

/// Shakespeare's sonnets.
pub const SONNETS: &str = include_str!("../data/sonnets.txt");

/// How large a network is, and how much it reads in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Places in the text that are read side by side.
    pub batch: usize,
    /// Letters of each in a step.
    pub steps: usize,
    /// Numbers that a letter is.
    pub embedding: usize,
    /// Units of the LSTM.
    pub hidden: usize,
}

impl Size {
    /// What a GPU does many times a second.
    pub const FULL: Self = Self { batch: 32, steps: 48, embedding: 48, hidden: 128 };
    /// What a processor that plays a GPU has patience for.
    pub const SMALL: Self = Self { batch: 16, steps: 16, embedding: 24, hidden: 32 };
}

/// The state of what is being written, and its last letter, are variables: the host has nothing to say.
const LAST: &str = "last";

/// A network that learns a text and writes.
pub struct Writing {
    session: Session,
    write: Program,
    vocabulary: CharVocabulary,
    text: Dataset,
    size: Size,
    next: usize,
    progress: Progress,
}

/// Logits `[steps, batch, letters]` of what follows `x` `[steps, batch]`. The LSTM's states go on from run to run.
fn network(g: &Graph, x: &Tensor, letters: usize, size: Size, mode: Mode) -> Tensor {
    let batch = x.shape().get(1).copied().unwrap_or(1);
    let Size { embedding, hidden, .. } = size;
    let x = Embedding::new(g, "embedding", letters, embedding).forward(x);
    let [h, c] = ["h", "c"].map(|state| carried_state(g, &format!("lstm.{state}"), mode, [1, batch, hidden]));
    let inputs = RecurrentInputs::new().hidden(&h).cell(&c);
    let found = LSTM::with(g, "lstm", embedding, hidden, Recurrent::new()).forward_with(&x, &inputs, mode);
    g.assign(&h, &found.h_n.stop_gradient());
    g.assign(&c, &found.c_n.stop_gradient());
    nn::Linear::new(g, "head", hidden, letters).forward(&found.outputs)
}

impl Writing {
    /// A new network for a text.
    ///
    /// # Errors
    /// A text that is too short; of the device.
    pub async fn open(device: &Device, text: &str, size: Size, seed: u64) -> Result<Self> {
        let Size { batch, steps, .. } = size;
        let vocabulary = CharVocabulary::of(text);
        let letters = vocabulary.len();
        let text = streams(&vocabulary.encode(text)?, batch, steps)?;

        let g = Graph::new();
        let [x, y] = ["x", "y"].map(|name| g.input(name, [batch, steps], I32).transpose(0, 1));
        let logits = network(&g, &x, letters, size, Mode::Training).reshape([steps * batch, letters]);
        let loss = logits.cross_entropy(&y.reshape([steps * batch]));
        g.minimize(&loss, Adam::new(5e-3)).clip_norm(1.0).build();
        let mut session = Session::new_async(&g, device, seed).await?;

        let g = Graph::new();
        let last = carried_state(&g, LAST, Mode::Evaluation, [1, 1]);
        let logits = network(&g, &last.cast(I32), letters, size, Mode::Evaluation).reshape([1, letters]);
        // The largest of logits with Gumbel's noise, −log(−log u), is a draw by their softmax.
        let noise = (-g.random_uniform([1, letters], 1e-6, 1.0).log()).log();
        let temperature = g.input("temperature", [1], F32);
        let letter = (logits / temperature - noise).argmax(1);
        g.assign(&last, &letter.cast(F32).reshape([1, 1]));
        g.output("letter", &letter);
        let write = session.load_async(&g).await?;
        Ok(Self { session, write, vocabulary, text, size, next: 0, progress: Progress::default() })
    }

    /// Trains for as long as there is time for another step.
    ///
    /// # Errors
    /// Of the device.
    pub async fn train(&mut self, mut more: impl FnMut() -> bool) -> Result<Progress> {
        let mut steps = 0;
        while more() {
            // Where the text is at its end, the states are those of its end too: a few wrong letters at the next beginning.
            let first = self.next * self.size.batch % self.text.len();
            let batch = self.text.take(&(first..first + self.size.batch).collect::<Vec<usize>>())?;
            self.session.step_async(&[("x", batch.column("x")?), ("y", batch.column("y")?)]).await?;
            self.next += 1;
            steps += 1;
        }
        self.progress.after(steps, &mut self.session).await
    }

    /// Goes on with what it writes: some letters more. A higher temperature makes it bolder.
    ///
    /// # Errors
    /// Of the device.
    pub async fn write(&mut self, letters: usize, temperature: f32) -> Result<String> {
        let temperature = TensorData::from_vec(vec![temperature.max(0.01)], [1])?;
        let mut captures: Vec<Capture> = Vec::with_capacity(letters);
        for _ in 0..letters {
            let mut session = self.session.using(&self.write);
            captures.push(session.step_capture_async(&[("temperature", &temperature)], &["letter"]).await?);
        }
        let mut numbers = Vec::with_capacity(letters);
        for capture in captures {
            for letter in capture.arrive().await? {
                numbers.push(letter.item()? as i32);
            }
        }
        self.vocabulary.decode(&numbers)
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
    fn it_learns_to_write() -> Result<()> {
        let text = "the cat sat on the mat, and the dog sat on the log. ".repeat(80);
        pollster::block_on(async {
            let mut writing = Writing::open(&Device::cpu(), &text, Size::FULL, 0).await?;
            assert_eq!(writing.write(5, 1.0).await?.chars().count(), 5);
            let mut left = 60;
            let progress = writing
                .train(|| {
                    left -= 1;
                    left >= 0
                })
                .await?;
            assert!(progress.loss < 0.7, "{progress:?}");
            let written = writing.write(120, 0.5).await?;
            assert!(written.contains("the ") && written.contains("sat on"), "{written:?}");
            assert!(Writing::open(&Device::cpu(), "short", Size::SMALL, 0).await.is_err());
            Ok(())
        })
    }
}
