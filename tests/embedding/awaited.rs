//! What is awaited: it gives what the blocking forms give, and holds nobody up.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::{batch, gpus, mask, training, variables};
use wgrad::data::{Dataset, Stream};
use wgrad::prelude::*;

/// Wakes a thread, and counts how often.
struct Woken(Thread, AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// Runs a future as an executor does that knows nothing of the device: it polls once, and again only when it is woken. Returns the result
/// and the number of polls.
fn awaited<T>(future: impl Future<Output = T>) -> (T, usize) {
    let woken = Arc::new(Woken(thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    let mut seen = 0;
    for polls in 1.. {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (result, polls);
        }
        while woken.1.load(Ordering::SeqCst) == seen {
            thread::park();
        }
        seen = woken.1.load(Ordering::SeqCst);
    }
    unreachable!("it is polled until it is done")
}

#[test]
fn what_is_awaited_is_what_is_waited_for() {
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let mut right = training().compile(&device).unwrap();
        let (session, polls) = awaited(training().compile_async(&device));
        let mut session = session.unwrap();
        assert!(polls > 1, "compiling is done on another thread");
        for number in 0..12 {
            let (x, mask) = (batch(number, [3, 4]), mask(number));
            let inputs = [("x", &x), ("mask", &mask)];
            right.step(&inputs).unwrap();
            awaited(session.step_async(&inputs)).0.unwrap();
        }
        assert_eq!(awaited(session.read_async("loss")).0.unwrap(), right.read("loss").unwrap());
        let (x, mask) = (batch(20, [3, 4]), mask(20));
        let inputs = [("x", &x), ("mask", &mask)];
        assert_eq!(awaited(session.run_async(&inputs)).0.unwrap(), right.run(&inputs).unwrap());
        let capture = awaited(session.step_capture_async(&inputs, &["loss"])).0.unwrap();
        let expected = right.step_capture(&inputs, &["loss"]).unwrap().wait().unwrap();
        assert_eq!(awaited(capture.arrive()).0.unwrap(), expected);
        assert_eq!(variables(&session), variables(&right));
        let name = session.variables()[0].name.clone();
        assert_eq!(awaited(session.parameter_async(&name)).0.unwrap(), right.parameter(&name).unwrap());
        assert_eq!(awaited(session.parameter_bytes_async()).0.unwrap(), right.parameter_bytes().unwrap());
        let state = awaited(session.state_bytes_async()).0.unwrap();
        assert_eq!(state, right.state_bytes().unwrap());
        // A state goes on with the same bits.
        let mut again = training().compile(&device).unwrap();
        again.restore_bytes(&state).unwrap();
        session.step(&inputs).unwrap();
        again.step(&inputs).unwrap();
        assert_eq!(variables(&session), variables(&again));
        awaited(device.idle_async()).0.unwrap();
        assert_eq!(session.pending().unwrap(), 0);
    }
}

#[test]
fn trainers_are_awaited_too() {
    let rows = 40;
    let data = Dataset::new([("x", batch(3, [rows, 4])), ("y", batch(4, [rows, 1]))]).unwrap();
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let trainer = || {
            let model = Sequential::new([4]).dense(8).tanh().dropout(0.2).dense(1);
            model.compile(&device, Adam::new(0.01), wgrad::loss::Mse, []).unwrap()
        };
        let (mut right, mut tried) = (trainer(), trainer());
        let fit = || Fit::epochs(2).batch_size(16).validate(&data);
        let expected = right.fit(&data, fit()).unwrap();
        let history = awaited(tried.fit_async(&data, fit())).0.unwrap();
        let losses = |history: &History| history.epochs.iter().map(|epoch| epoch.train_loss).collect::<Vec<_>>();
        assert_eq!(losses(&history), losses(&expected));
        let stream = || {
            let data = data.clone();
            Stream::from_fn(move |_| [Ok(data.clone())]).shuffle(10)
        };
        let expected = right.fit(&mut stream(), Fit::epochs(1).batch_size(16)).unwrap();
        let history = awaited(tried.fit_async(&mut stream(), Fit::epochs(1).batch_size(16))).0.unwrap();
        assert_eq!(losses(&history), losses(&expected));
        let x = data.column("x").unwrap();
        assert_eq!(awaited(tried.predict_async(x)).0.unwrap(), right.predict(x).unwrap());
        assert_eq!(awaited(tried.evaluate_async(&data)).0.unwrap(), right.evaluate(&data).unwrap());
        assert_eq!(awaited(tried.evaluate_async(&mut stream())).0.unwrap(), right.evaluate(&mut stream()).unwrap());
    }
}

#[test]
fn a_future_that_is_dropped_leaves_the_session_as_it_was() {
    for device in gpus() {
        let (mut session, mut right) = (training().compile(&device).unwrap(), training().compile(&device).unwrap());
        let inputs = [batch(1, [3, 4]), mask(1)];
        let inputs = [("x", &inputs[0]), ("mask", &inputs[1])];
        for _ in 0..3 {
            session.step(&inputs).unwrap();
            right.step(&inputs).unwrap();
            let nothing = &mut Context::from_waker(Waker::noop());
            // A driver may be that fast.
            let _ = pin!(session.read_async("loss")).poll(nothing);
            let g = Graph::new();
            g.output("y", &(g.input("x", [5], F32).exp() * 3.0));
            assert!(pin!(session.load_async(&g)).poll(nothing).is_pending());
            assert_eq!(session.programs().count(), 1);
        }
        assert_eq!(variables(&session), variables(&right));
    }
}

/// Where the host computes, others go on between steps: awaiting many is not one long poll.
#[test]
fn steps_on_the_cpu_let_others_go_on() {
    let mut session = training().compile(&Device::cpu()).unwrap();
    let (x, mask) = (batch(1, [3, 4]), mask(1));
    let steps = async {
        for _ in 0..10 {
            session.step_async(&[("x", &x), ("mask", &mask)]).await.unwrap();
        }
    };
    assert!(awaited(steps).1 > 10);
    let model = Sequential::new([4]).dense(1);
    let mut trainer = model.compile(&Device::cpu(), SGD::new(0.1), wgrad::loss::Mse, []).unwrap();
    let data = Dataset::new([("x", batch(2, [30, 4])), ("y", batch(3, [30, 1]))]).unwrap();
    let (history, polls) = awaited(trainer.fit_async(&data, Fit::epochs(4).batch_size(3)));
    assert_eq!(history.unwrap().epochs.len(), 4);
    assert!(polls > 40, "{polls} polls for 40 steps");
}
