//! One body for what blocks and what is awaited.
//!
//! Everything that takes time on a GPU is written once, as an `async fn`. Its blocking form polls it by [`block_on`], which tells the
//! futures at its bottom that they may wait in their place: they do, on this thread, and it is done after one poll. Elsewhere these
//! futures are woken, and nothing blocks. A browser's page cannot wait at all: what is not there at once is an error of the blocking form.

mod ahead;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::{Error, Result};

pub(crate) use ahead::Ahead;

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// True where a future that is polled may hold its thread up.
pub(crate) fn may_wait() -> bool {
    MAY_WAIT.get()
}

/// Puts back what a call changed, also where it panics.
struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        MAY_WAIT.set(self.0);
    }
}

/// Runs something whose waits may hold the thread up.
fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let _restored = Restored(MAY_WAIT.replace(cfg!(not(target_family = "wasm"))));
    work()
}

/// Runs a future of this crate to its end.
///
/// # Errors
/// Of the future; in a browser, what the page would have to wait for.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    waiting(|| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(Error::Device(
            "a page cannot wait for the GPU; await the form of this call whose name ends in `_async`".to_owned(),
        )),
    })
}

/// Lets other tasks go on, where the thread is not held up anyway.
pub(crate) async fn yielded() {
    let mut is_done = may_wait();
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_done, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Does work that takes the processor's time: in its place where that may be, else on a thread of its own, whose end is awaited. A
/// browser's page has but one thread, and does it in its place.
///
/// # Errors
/// Where no thread can be started.
pub(crate) async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if may_wait() || cfg!(target_family = "wasm") {
        return Ok(work());
    }
    let signal = Arc::new(Signal::default());
    let told = Told(Arc::clone(&signal));
    let result = Arc::new(Mutex::new(None));
    let filled = Arc::clone(&result);
    let thread = std::thread::Builder::new().name("wgrad".to_owned()).spawn(move || {
        let _told = told;
        let result = waiting(work);
        *lock(&filled) = Some(result);
    });
    thread.map_err(|error| Error::Device(format!("no thread could be started: {error}")))?;
    // Whoever polls goes on first, however fast the thread is.
    yielded().await;
    signal.given().await;
    lock(&result).take().ok_or_else(|| Error::Device("what was done on another thread failed".to_owned()))
}

/// Gives its signal when it is dropped, whatever happens before.
struct Told(Arc<Signal>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.give(true);
    }
}

/// Something that happens once, with a yes or a no; told to threads that wait and to tasks that are woken.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<bool>,
    wakers: Vec<Waker>,
}

impl Signal {
    /// The first word counts.
    pub(crate) fn give(&self, outcome: bool) {
        let wakers = {
            let mut state = lock(&self.state);
            state.outcome.get_or_insert(outcome);
            std::mem::take(&mut state.wakers)
        };
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn outcome(&self) -> Option<bool> {
        lock(&self.state).outcome
    }

    /// The outcome; if there is none, the task is woken when it comes.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.state);
        if let Some(outcome) = state.outcome {
            return Poll::Ready(outcome);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Resolves with the outcome.
    pub(crate) async fn given(&self) -> bool {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Waits for the outcome, but no longer than this.
    pub(crate) fn wait_briefly(&self, longest: Duration) {
        let state = lock(&self.state);
        if state.outcome.is_none() {
            drop(self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_waits_in_its_place() {
        assert!(!may_wait());
        let inside = block_on(async {
            let outer = std::thread::current().id();
            Ok(may_wait() && elsewhere(move || std::thread::current().id() == outer).await?)
        });
        assert!(inside.unwrap());
        assert!(!may_wait());
        // What nobody brings about is an error, not a hang.
        assert!(block_on(async { Ok(Signal::default().given().await) }).is_err());
    }

    #[test]
    fn what_is_awaited_goes_on_elsewhere() {
        let here = std::thread::current().id();
        let there = pollster::block_on(elsewhere(move || (std::thread::current().id() != here, may_wait()))).unwrap();
        assert_eq!(there, (true, true));
        let failed = pollster::block_on(elsewhere(|| std::panic::resume_unwind(Box::new(()))));
        assert!(matches!(failed, Err::<(), _>(Error::Device(_))));
    }
}
