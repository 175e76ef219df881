//! Training and measuring on streams: as on a data set in memory, bounded, resumed to the bit, and with errors that lose nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::HashSet;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread::{self, ThreadId};

use support::devices::devices;
use wgrad::data::{Dataset, Source, Stream};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::train::{Control, Event};

const EXAMPLES: usize = 105;
const BATCH: usize = 10;
const PER_EPOCH: u64 = 11;

fn data() -> Dataset {
    let mut random = HostRandom::new(5);
    let y: Vec<i32> = (0..EXAMPLES as i32).map(|example| example % 3).collect();
    let x = y.iter().flat_map(|&class| [0, 1, 2].map(|k| f32::from(u8::from(k == class)))).collect::<Vec<_>>();
    let x: Vec<f32> = x.into_iter().map(|centre| centre + 0.5 * random.normal() as f32).collect();
    let x = TensorData::from_vec(x, [EXAMPLES, 3]).unwrap();
    Dataset::new([("x", x), ("y", TensorData::from_vec(y, [EXAMPLES]).unwrap())]).unwrap()
}

/// Data in pieces of some examples, as far as `fails`; can seek to where a piece begins.
struct Pieces {
    data: Dataset,
    size: usize,
    next: usize,
    fails: Option<usize>,
    read: Arc<AtomicU64>,
    can_seek: bool,
}

impl Pieces {
    fn new(size: usize) -> Self {
        Self { data: data(), size, next: 0, fails: None, read: Arc::default(), can_seek: false }
    }
}

impl Source for Pieces {
    fn begin(&mut self, _epoch: u64) -> Result<()> {
        self.next = 0;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        let end = EXAMPLES.min(self.next + self.size);
        if self.next == end {
            return Ok(None);
        }
        if self.fails.is_some_and(|at| end > at) {
            return Err(Error::Data("the network is down".into()));
        }
        let piece = self.data.take(&(self.next..end).collect::<Vec<_>>())?;
        self.read.fetch_add((end - self.next) as u64, Ordering::Relaxed);
        self.next = end;
        Ok(Some(piece))
    }

    fn skip(&mut self, examples: u64) -> Result<u64> {
        if !self.can_seek {
            return Ok(0);
        }
        self.next = EXAMPLES.min(examples as usize / self.size * self.size);
        Ok(self.next as u64)
    }
}

fn trainer(device: &Device) -> Trainer {
    let model = Sequential::new([3]).dense(8).relu().dropout(0.1).dense(3);
    model.compile(device, Adam::new(0.02), CrossEntropy, [Accuracy]).unwrap().seed(3)
}

fn variables(trainer: &Trainer) -> Vec<(String, TensorData)> {
    let session = trainer.session().unwrap();
    let names = session.variables().iter().filter(|variable| !variable.name.starts_with("data/"));
    names.map(|variable| (variable.name.clone(), session.parameter(&variable.name).unwrap())).collect()
}

fn losses(history: &History) -> Vec<f64> {
    history.epochs.iter().map(|epoch| epoch.train_loss).collect()
}

#[test]
fn a_stream_in_order_trains_as_the_data_in_memory() {
    for device in devices() {
        let (whole, validation) = (data(), data());
        let mut resident = trainer(&device);
        let fit = Fit::epochs(4).batch_size(BATCH).shuffle(false).validate(&validation);
        let expected = resident.fit(&whole, fit).unwrap();
        for size in [1, 7, 10, 64, 1000] {
            let mut streamed = trainer(&device);
            let (mut stream, mut held_out) = (Stream::new(Pieces::new(size)), Stream::new(Pieces::new(13)));
            let mut totals = Vec::new();
            let mut watch = |event: &Event| {
                if let Event::Start { total_steps, .. } = event {
                    totals.push(*total_steps);
                }
                Ok(Control::Continue)
            };
            let fit = Fit::epochs(4).batch_size(BATCH).validate(&mut held_out).callback(&mut watch);
            let history = streamed.fit(&mut stream, fit).unwrap();
            assert_eq!(totals, [None], "nobody knows how long it is");
            assert_eq!(history.epochs.last().unwrap().step, 4 * PER_EPOCH);
            for (found, right) in history.epochs.iter().zip(&expected.epochs) {
                assert!((found.train_loss - right.train_loss).abs() < 1e-5, "{device:?}: {found:?}, not {right:?}");
                assert!((found.validation("loss").unwrap() - right.validation("loss").unwrap()).abs() < 1e-5);
                assert_eq!(found.validation("accuracy"), right.validation("accuracy"));
            }
        }
        // The last batch left out, and a run of a number of steps.
        let mut stream = Stream::new(Pieces::new(9));
        let fit = Fit::epochs(2).batch_size(BATCH).drop_last(true);
        assert_eq!(trainer(&device).fit(&mut stream, fit).unwrap().epochs[1].step, 2 * (PER_EPOCH - 1));
        let history = trainer(&device).fit(&mut stream, Fit::epochs(9).steps(15).batch_size(BATCH)).unwrap();
        assert_eq!(history.epochs.iter().map(|epoch| epoch.step).collect::<Vec<_>>(), [11, 15]);
        let exactly = trainer(&device).fit(&mut stream, Fit::epochs(9).steps(22).batch_size(BATCH)).unwrap();
        assert_eq!(exactly.epochs.len(), 2);
    }
}

#[test]
fn measuring_a_stream_is_measuring_its_examples() {
    for device in devices() {
        let mut trainer = trainer(&device).evaluation_batch(32);
        trainer.fit(&data(), Fit::epochs(2)).unwrap();
        let expected = trainer.evaluate(&data()).unwrap();
        for size in [1, 50] {
            let found = trainer.evaluate(&mut Stream::new(Pieces::new(size)).shuffle(20)).unwrap();
            assert!((found.loss - expected.loss).abs() < 1e-5, "{device:?}: {found} not {expected}");
            assert_eq!(found.metrics, expected.metrics);
            assert!(found.predictions.is_empty(), "they may be more than memory holds");
        }
        // A few examples at a time, where there is little memory.
        let mut trainer = trainer.evaluation_memory(0);
        let found = trainer.evaluate(&mut Stream::new(Pieces::new(50))).unwrap();
        assert!((found.loss - expected.loss).abs() < 1e-5 && found.metrics == expected.metrics, "{device:?}: {found}");
    }
}

/// Three epochs; killed after some steps.
fn run(device: &Device, stream: &mut Stream, directory: Option<&Path>, killed: Option<u64>) -> Result<Trainer> {
    let mut trainer = trainer(device);
    let mut kill = |event: &Event| match event {
        Event::Step { step, .. } if Some(*step) == killed => Err(Error::Data("killed".into())),
        _ => Ok(Control::Continue),
    };
    let mut fit = Fit::epochs(3).batch_size(BATCH).callback(&mut kill);
    if let Some(directory) = directory {
        fit = fit.checkpoints(Checkpoints::new(directory).every_steps(4).resume(true));
    }
    trainer.fit(stream, fit).map(|_| trainer)
}

#[test]
fn a_run_that_is_killed_in_an_epoch_continues_to_the_same_bits() {
    for device in devices() {
        for (buffer, can_seek) in [(0, false), (0, true), (16, false), (1000, false)] {
            let make = || {
                let pieces = Pieces { can_seek, ..Pieces::new(3) };
                (Arc::clone(&pieces.read), Stream::new(pieces).shuffle(buffer))
            };
            let whole = run(&device, &mut make().1, None, None).unwrap();
            for killed in [5, 11, 16, 30] {
                let directory = tempfile::tempdir().unwrap();
                assert!(run(&device, &mut make().1, Some(directory.path()), Some(killed)).is_err());
                let (read, mut stream) = make();
                let resumed = run(&device, &mut stream, Some(directory.path()), None).unwrap();
                assert_eq!(variables(&resumed), variables(&whole), "{device:?}: buffer {buffer}, killed at {killed}");
                let saved = killed / 4 * 4;
                let (epochs, batches) = (3 - saved / PER_EPOCH, saved % PER_EPOCH);
                let fewest = epochs * EXAMPLES as u64 - batches * BATCH as u64;
                let read = read.load(Ordering::Relaxed);
                assert_eq!(
                    read < epochs * EXAMPLES as u64,
                    can_seek && batches > 0,
                    "what it can skip, it does not read"
                );
                assert!(read >= fewest);
            }
        }
        // Another stream, or another order, is refused.
        let directory = tempfile::tempdir().unwrap();
        run(&device, &mut Stream::new(Pieces::new(3)), Some(directory.path()), Some(9)).err().unwrap();
        for mut other in [Stream::new(Pieces::new(3)).shuffle(5), Stream::new(Pieces::new(3)).named("other")] {
            let error = run(&device, &mut other, Some(directory.path()), None).err().unwrap().to_string();
            assert!(error.contains("it was made with"), "{error}");
        }
    }
}

#[test]
fn a_source_that_fails_ends_the_run_and_loses_nothing() {
    for device in devices() {
        let whole = run(&device, &mut Stream::new(Pieces::new(5)), None, None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut broken = Stream::new(Pieces { fails: Some(70), ..Pieces::new(5) });
        let error = run(&device, &mut broken, Some(directory.path()), None).err().unwrap().to_string();
        assert!(error.contains("epoch 1, batch 8: ") && error.contains("the network is down"), "{error}");
        // Its checkpoint is of the seven batches, though 4 are saved at a time.
        let file = Checkpoints::new(directory.path()).file();
        let (_, metadata) = wgrad::safetensors::read(file).unwrap();
        assert_eq!((metadata["step"].as_str(), metadata["batch"].as_str()), ("7", "7"));
        let resumed = run(&device, &mut Stream::new(Pieces::new(5)), Some(directory.path()), None).unwrap();
        assert_eq!(variables(&resumed), variables(&whole));

        let fails = |mut stream: Stream, part: &str| {
            let error = trainer(&device).fit(&mut stream, Fit::epochs(1).batch_size(BATCH)).unwrap_err().to_string();
            assert!(error.contains(part), "{error:?}; wanted {part:?}");
        };
        fails(Stream::from_fn(|_| Vec::<Result<Dataset>>::new()), "no examples");
        fails(Stream::from_fn(|_| (0..2).map(|k| if k == 0 { Ok(data()) } else { panic!("on purpose") })), "panicked");
        let narrow = || Dataset::new([("x", TensorData::zeros(F32, [2, 2])), ("y", TensorData::zeros(I32, [2]))]);
        fails(Stream::from_fn(move |_| [Ok(data()), narrow()]), "f32[3] before");
        let wrong =
            || Dataset::new([("x", TensorData::zeros(F32, [4, 3])), ("y", TensorData::from_vec(vec![7; 4], [4])?)]);
        fails(Stream::from_fn(move |_| [Ok(data()), wrong()]), "7");
        let lacking = || Dataset::new([("x", TensorData::zeros(F32, [4, 3]))]);
        fails(Stream::from_fn(move |_| [lacking()]), "'y'");
        let infinite = || {
            let x = TensorData::from_vec(vec![f32::INFINITY; 30], [10, 3])?;
            Dataset::new([("x", x), ("y", TensorData::zeros(I32, [10]))])
        };
        fails(Stream::from_fn(move |_| [infinite()]), "example 0 of its batch");
        let mut second = Stream::from_fn(|epoch| if epoch == 0 { vec![Ok(data())] } else { Vec::new() });
        let error = trainer(&device).fit(&mut second, Fit::epochs(5).batch_size(BATCH)).unwrap_err().to_string();
        assert!(error.contains("no batch in epoch 2"), "{error}");
    }
}

/// A source of any length is read a few batches ahead, and no more.
#[test]
fn memory_stays_bounded() {
    const AHEAD: u64 = 3;
    for device in devices() {
        let (read, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let most = Arc::new(AtomicU64::new(0));
        let mut stream = {
            let (read, done, most) = (Arc::clone(&read), Arc::clone(&done), Arc::clone(&most));
            Stream::from_fn(move |_| {
                let (read, done, most) = (Arc::clone(&read), Arc::clone(&done), Arc::clone(&most));
                // Endless: terabytes of it, if anyone asked.
                std::iter::repeat_with(move || {
                    let live = read.fetch_add(1, Ordering::SeqCst) + 1 - done.load(Ordering::SeqCst);
                    most.fetch_max(live, Ordering::SeqCst);
                    let x = TensorData::zeros(F32, [BATCH, 3]);
                    Dataset::new([("x", x), ("y", TensorData::zeros(I32, [BATCH]))])
                })
            })
            .ahead(AHEAD as usize)
        };
        let mut count = |event: &Event| {
            if let Event::Step { step, .. } = event {
                done.store(*step, Ordering::SeqCst);
            }
            Ok(Control::Continue)
        };
        trainer(&device).fit(&mut stream, Fit::epochs(1).steps(200).batch_size(BATCH).callback(&mut count)).unwrap();
        let most = most.load(Ordering::SeqCst);
        // Those that wait, one that is made, one that is submitted; and up to 17 whose losses have not arrived.
        assert!(most <= AHEAD + 2 + 17, "{device:?}: {most} batches at once");
        assert!(read.load(Ordering::SeqCst) <= 200 + AHEAD + 3);
    }
}

/// What was submitted is done, and told, while the next batch is waited for.
#[test]
fn a_slow_stream_holds_nothing_up() {
    for device in devices() {
        let (tell, told) = mpsc::channel();
        let mut told = Some(told);
        let mut stream = Stream::from_fn(move |_| {
            let told = told.take();
            (0..4).map(move |number| {
                if number > 0 {
                    // The loss of the batch before has to arrive first.
                    let told = told.as_ref().ok_or_else(|| Error::Data("a second epoch".into()))?;
                    let wait = std::time::Duration::from_secs(60);
                    let step: u64 = told.recv_timeout(wait).map_err(|_| Error::Data("it was held up".into()))?;
                    assert_eq!(step, number);
                }
                data().take(&(0..BATCH).collect::<Vec<_>>())
            })
        });
        let mut watch = |event: &Event| {
            if let Event::Step { step, .. } = event {
                let _ = tell.send(*step);
            }
            Ok(Control::Continue)
        };
        let history = trainer(&device).fit(&mut stream, Fit::epochs(1).batch_size(BATCH).callback(&mut watch)).unwrap();
        assert_eq!((history.epochs[0].step, losses(&history).len()), (4, 1));
    }
}

/// Awaited, a stream is read on another thread, a few batches ahead, and trains and measures to the same bits.
#[test]
fn an_awaited_run_reads_elsewhere() {
    /// Tells whether a thread ever read.
    struct Watched(Pieces, Arc<Mutex<HashSet<ThreadId>>>);

    impl Source for Watched {
        fn begin(&mut self, epoch: u64) -> Result<()> {
            self.1.lock().unwrap().insert(thread::current().id());
            self.0.begin(epoch)
        }

        fn next(&mut self) -> Result<Option<Dataset>> {
            self.1.lock().unwrap().insert(thread::current().id());
            self.0.next()
        }
    }

    for device in devices() {
        let threads = Arc::new(Mutex::new(HashSet::new()));
        let watched = |size| Stream::new(Watched(Pieces::new(size), Arc::clone(&threads)));
        let fit = || Fit::epochs(3).batch_size(BATCH);
        let (mut right, mut awaited) = (trainer(&device), trainer(&device));
        let history = right.fit(&mut Stream::new(Pieces::new(7)).shuffle(20), fit()).unwrap();
        let measured = right.evaluate(&mut Stream::new(Pieces::new(7))).unwrap();
        let (mut stream, mut held_out) = (watched(7).shuffle(20), watched(7));
        let found = pollster::block_on(awaited.fit_async(&mut stream, fit())).unwrap();
        assert_eq!(losses(&found), losses(&history));
        assert_eq!(variables(&awaited), variables(&right));
        assert_eq!(pollster::block_on(awaited.evaluate_async(&mut held_out)).unwrap().loss, measured.loss);
        let read_by = threads.lock().unwrap().clone();
        assert!(!read_by.is_empty() && !read_by.contains(&thread::current().id()), "{read_by:?}");

        // A run that is dropped leaves the stream to the next one, from its beginning.
        let mut dropped = trainer(&device);
        for polls in [1, 2, 5, 20] {
            let mut run = Box::pin(dropped.fit_async(&mut stream, fit()));
            let mut left = polls;
            pollster::block_on(std::future::poll_fn(|context| {
                left -= 1;
                match run.as_mut().poll(context) {
                    Poll::Pending if left > 0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            }));
        }
        let mut again = trainer(&device);
        assert_eq!(losses(&pollster::block_on(again.fit_async(&mut stream, fit())).unwrap()), losses(&history));
    }
}
