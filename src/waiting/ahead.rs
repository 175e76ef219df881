//! What a thread prepares ahead of those who take it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;

use super::{lock, may_wait, waiting};
use crate::error::{Error, Result};

/// Items in the order in which a thread makes them, of which some are made ahead. A browser's page has but one thread, and each is made
/// where it is asked for.
pub(crate) struct Ahead<T> {
    source: Source<T>,
}

enum Source<T> {
    Thread(Arc<Queue<T>>, Option<JoinHandle<()>>),
    Here(Box<dyn FnMut() -> Option<T>>),
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    /// The thread makes no more.
    is_over: bool,
    /// Nobody wants more.
    is_closed: bool,
    waker: Option<Waker>,
}

impl<T> Queue<T> {
    /// Changes the state, and wakes whoever waits for an item.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let (result, waker) = {
            let mut state = lock(&self.state);
            (change(&mut state), state.waker.take())
        };
        self.changed.notify_all();
        waker.into_iter().for_each(Waker::wake);
        result
    }

    /// The next item, if it is there; `Some(None)` where no more come. Else the waker is woken when that changes.
    fn take(&self, waker: Option<&Waker>) -> Option<Option<T>> {
        let mut state = lock(&self.state);
        let next = state.items.pop_front();
        if next.is_none() && !state.is_over {
            state.waker = waker.cloned();
            return None;
        }
        drop(state);
        // There is room for another.
        self.changed.notify_all();
        Some(next)
    }

    /// Puts an item in, once there is room; false where nobody wants it.
    fn put(&self, item: T, most: usize) -> bool {
        let mut state = lock(&self.state);
        while !state.is_closed && state.items.len() >= most {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.change(|state| {
            state.items.push_back(item);
            !state.is_closed
        })
    }
}

/// Tells the end of the thread, whatever it is.
struct Over<T>(Arc<Queue<T>>);

impl<T> Drop for Over<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_over = true);
    }
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to make items, `most` ahead, until there are no more.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn new(name: &str, most: usize, mut make: impl FnMut() -> Option<T> + Send + 'static) -> Result<Self> {
        if cfg!(target_family = "wasm") {
            return Ok(Self { source: Source::Here(Box::new(make)) });
        }
        let state = State { items: VecDeque::new(), is_over: false, is_closed: false, waker: None };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let over = Over(Arc::clone(&queue));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            waiting(|| while make().is_some_and(|item| over.0.put(item, most)) {});
        });
        let thread = thread.map_err(|error| Error::Device(format!("no thread could be started: {error}")))?;
        Ok(Self { source: Source::Thread(queue, Some(thread)) })
    }

    /// The next item, if it is there; `Some(None)` where no more come.
    pub(crate) fn ready(&mut self) -> Option<Option<T>> {
        match &mut self.source {
            Source::Here(make) => Some(make()),
            Source::Thread(queue, _) => queue.take(None),
        }
    }

    /// The next item; `None` where no more come.
    pub(crate) async fn next(&mut self) -> Option<T> {
        if may_wait()
            && let Source::Thread(queue, _) = &self.source
        {
            let mut state = lock(&queue.state);
            while state.items.is_empty() && !state.is_over {
                state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        poll_fn(|context| {
            let next = match &mut self.source {
                Source::Here(make) => Some(make()),
                Source::Thread(queue, _) => queue.take(Some(context.waker())),
            };
            next.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        let Source::Thread(queue, thread) = &mut self.source else { return };
        queue.change(|state| state.is_closed = true);
        // Who may wait sees the thread's end, and that nothing of it goes on. What it panicked with was told.
        if let Some(thread) = thread.take().filter(|_| may_wait()) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::block_on;

    #[test]
    fn items_come_in_order_and_end() {
        let of = |count: u32| {
            let mut next = 0;
            let make = move || {
                next += 1;
                (next <= count).then_some(next)
            };
            Ahead::new("test", 2, make).unwrap()
        };
        let mut waited = of(100);
        let found = block_on(async {
            let mut found = Vec::new();
            while let Some(item) = waited.next().await {
                found.push(item);
            }
            Ok(found)
        });
        assert!(found.unwrap().into_iter().eq(1..=100));
        let mut awaited = of(100);
        let sum = pollster::block_on(async {
            let mut sum = 0;
            while let Some(item) = awaited.next().await {
                sum += item;
            }
            sum
        });
        assert_eq!(sum, 5050);
        // Who takes none holds no thread up for ever.
        let dropped = async {
            drop(of(100));
            Ok(())
        };
        block_on(dropped).unwrap();
    }

    #[test]
    fn a_panic_is_an_end() {
        let mut failed = Ahead::<u32>::new("test", 1, || std::panic::resume_unwind(Box::new(()))).unwrap();
        assert_eq!(pollster::block_on(failed.next()), None);
    }
}
