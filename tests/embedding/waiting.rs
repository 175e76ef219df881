//! Who waits for the device, and when: steps that refuse instead, and kernels that are ready before the first step.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::{batch, gpus, mask, training, variables};
use wgrad::prelude::*;

#[test]
fn steps_that_are_tried_are_those_that_are_made() {
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let mut session = training().compile(&device).unwrap();
        let mut right = training().compile(&device).unwrap();
        let mut taken = 0;
        for number in 0..40 {
            let (x, mask) = (batch(number, [3, 4]), mask(number));
            let inputs = [("x", &x), ("mask", &mask)];
            match session.try_step(&inputs) {
                Ok(()) => {
                    taken += 1;
                    right.step(&inputs).unwrap();
                }
                Err(Error::Busy { pending }) => assert!((1..=3).contains(&pending), "{pending} runs"),
                Err(error) => panic!("{error}"),
            }
            assert!(session.pending().unwrap() <= 3);
            assert_eq!(session.steps(), taken, "what was refused is not counted");
        }
        assert!(taken >= 1, "{taken} steps");
        device.wait_idle().unwrap();
        assert_eq!(session.pending().unwrap(), 0);
        assert_eq!(variables(&session), variables(&right));
    }
}

#[test]
fn the_first_step_is_as_fast_as_others() {
    for device in gpus() {
        // A number that no cache has seen makes every kernel a new one.
        let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        // Numbers with more digits would be parameters of the same kernel.
        let unseen = 1.0 + f64::from(nanoseconds % 1024) / 1024.0;
        let g = Graph::new();
        let x = g.input("x", [16, 24], F32);
        let mut y = x;
        for layer in 0..2 {
            y = nn::Linear::new(&g, &format!("fc{layer}"), 24, 24).forward(&y);
            y = (y * (unseen + layer as f64 * 2.0)).tanh().softmax(-1) + layer as f64 * unseen;
        }
        g.minimize(&y.square().mean_all(), Adam::new(1e-3)).build();
        let told = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&told);
        let observed = device.on_compiling(move |compiling| noted.lock().unwrap().push(compiling));
        let begun = Instant::now();
        let mut session = g.compile(&observed).unwrap();
        let compiled = begun.elapsed();
        let told = told.lock().unwrap().clone();
        let last = told.last().unwrap();
        assert!(last.done == last.all && last.all >= 6, "{told:?}");
        assert!(told.iter().all(|compiling| compiling.all == last.all && compiling.done <= compiling.all), "{told:?}");
        let x = batch(1, [16, 24]);
        let mut times: Vec<Duration> = (0..12)
            .map(|_| {
                let begun = Instant::now();
                session.step(&[("x", &x)]).unwrap();
                device.wait_idle().unwrap();
                begun.elapsed()
            })
            .collect();
        let first = times.remove(0);
        times.sort_unstable();
        let usual = times[times.len() / 2];
        assert!(
            first < usual * 4 + Duration::from_millis(20),
            "the first step took {first:?}, others {usual:?}, compiling {compiled:?}"
        );
        // A program with the same kernels compiles none.
        let again = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&again);
        g.compile(&device.on_compiling(move |_| *counted.lock().unwrap() += 1)).unwrap();
        assert_eq!(*again.lock().unwrap(), 0);
    }
}
