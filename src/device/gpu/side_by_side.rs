//! Machine code side by side, on software drivers. Lavapipe makes a kernel's machine code when it is dispatched first, on the one thread
//! that runs a device's work. Other devices of the same adapter have threads of their own, and leave what they made in the driver's cache on
//! disk, where the first device finds it. So while the first device goes through its kernels from the front, some helpers take them from
//! the back. A helper that fails, or a driver without such a cache, costs nothing but the processor's time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::context::lock;
use super::pipelines::Recipe;
use super::trusted;
use crate::clock::Instant;

/// Helpers at most: a device is some threads and memory.
const MOST: usize = 7;

/// Kernels whose first dispatch is still to come, by their numbers; and those that helpers have done, in that order.
#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(usize, Recipe)>,
    done: VecDeque<Done>,
}

/// A kernel that a helper dispatched.
pub(super) struct Done {
    pub(super) number: usize,
    pub(super) seconds: f64,
}

/// The helpers at work. Dropped, it waits for what they have begun: a process that ends meanwhile would crash in the driver's compiler.
pub(super) struct Helpers {
    jobs: Arc<Mutex<Jobs>>,
    threads: Vec<JoinHandle<()>>,
}

impl Helpers {
    /// Begins with kernels by their numbers. `progress` is called after each that a helper has done.
    pub(super) fn start(
        adapter: &wgpu::Adapter,
        device: &wgpu::Device,
        kernels: impl IntoIterator<Item = (usize, Recipe)>,
        progress: impl Fn() + Clone + Send + 'static,
    ) -> Option<Self> {
        let waiting: VecDeque<_> = kernels.into_iter().collect();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let helpers = (processors - 1).min(MOST).min(waiting.len());
        let jobs = Arc::new(Mutex::new(Jobs { waiting, done: VecDeque::new() }));
        let (features, limits) = (device.features(), device.limits());
        let start = |_| {
            let (adapter, limits, jobs, progress) =
                (adapter.clone(), limits.clone(), Arc::clone(&jobs), progress.clone());
            let help = move || {
                // Whatever happens to a helper, the first device does without it.
                let _ = catch_unwind(AssertUnwindSafe(|| help(&adapter, features, limits, &jobs, &progress)));
            };
            thread::Builder::new().name("wgrad-compile".to_owned()).spawn(help).ok()
        };
        let threads: Vec<_> = (0..helpers).filter_map(start).collect();
        (!threads.is_empty()).then_some(Self { jobs, threads })
    }

    /// The next kernel for the first device to begin with, from the front.
    pub(super) fn next(&self) -> Option<usize> {
        lock(&self.jobs).waiting.pop_front().map(|(number, _)| number)
    }

    /// What helpers have done, the first of them first: its machine code has been on disk for the longest. Waits for the last ones once no
    /// kernel is waiting.
    pub(super) fn done(&mut self) -> Vec<Done> {
        for thread in self.threads.drain(..) {
            // What it panicked with was caught.
            let _ = thread.join();
        }
        lock(&self.jobs).done.drain(..).collect()
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        lock(&self.jobs).waiting.clear();
        self.done();
    }
}

/// Dispatches kernels from the back until none is left, or something fails.
fn help(
    adapter: &wgpu::Adapter,
    features: wgpu::Features,
    limits: wgpu::Limits,
    jobs: &Mutex<Jobs>,
    progress: &impl Fn(),
) {
    let experimental = features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let experimental_features =
        if experimental { trusted::matrix_instructions() } else { wgpu::ExperimentalFeatures::disabled() };
    // What a module is translated to depends on features and limits.
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("wgrad's compiling"),
        required_features: features,
        required_limits: limits,
        experimental_features,
        ..Default::default()
    };
    let Ok((device, queue)) = pollster::block_on(adapter.request_device(&descriptor)) else { return };
    loop {
        let Some((number, recipe)) = lock(jobs).waiting.pop_back() else { return };
        let begun = Instant::now();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let submission = queue.submit([recipe.empty_dispatch(&device)]);
        let is_done = device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }).is_ok();
        if pollster::block_on(scope.pop()).is_some() || !is_done {
            // The first device does it, and tells what is wrong.
            lock(jobs).waiting.push_back((number, recipe));
            return;
        }
        lock(jobs).done.push_back(Done { number, seconds: begun.elapsed().as_secs_f64() });
        progress();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::device::gpu::{Checks, GpuDevice, Selection};
    use crate::shader::slot::Expression;
    use crate::shader::{Kernel, KernelFile};

    fn recipes(device: &GpuDevice, count: usize) -> Vec<(usize, Recipe)> {
        let recipe = |number: usize| {
            let module = format!(
                "alias ExpressionParams = array<vec4<i32>, 1>;
                 @group(0) @binding(1) var<storage, read> source0: array<vec4<f32>>;
                 @group(0) @binding(2) var<storage, read_write> result0: array<vec4<f32>>;
                 fn evaluate(quad: u32) {{ result0[quad] = source0[quad] + {number}.0; }}"
            );
            let kernel = Kernel::of(KernelFile::Map).slot(Expression(&module)).kernel("map", 1, 1).unwrap();
            (number, Recipe::of(device, &kernel, 32))
        };
        (0..count).map(recipe).collect()
    }

    /// Helpers on these kernels, unless there is no GPU or one processor alone; and how often they told of progress.
    fn helpers(kernels: impl FnOnce(&GpuDevice) -> Vec<(usize, Recipe)>) -> Option<(Helpers, Arc<AtomicUsize>)> {
        let device = match GpuDevice::open(&Selection::Any, Checks::All) {
            Ok(device) => device,
            Err(error) => {
                crate::shader::testing::skipped(&error.to_string());
                return None;
            }
        };
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let progress = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        Some((device.helpers(kernels(&device), progress)?, told))
    }

    #[test]
    fn each_kernel_is_done_once() {
        let Some((mut helpers, told)) = helpers(|device| recipes(device, 9)) else { return };
        let mut found: Vec<usize> = std::iter::from_fn(|| helpers.next()).collect();
        let done = helpers.done();
        assert_eq!(done.len(), told.load(Ordering::Relaxed));
        assert!(done.iter().all(|done| done.seconds > 0.0));
        found.extend(done.iter().map(|done| done.number));
        found.extend(std::iter::from_fn(|| helpers.next()));
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn what_no_helper_can_do_comes_back() {
        let broken = |device: &GpuDevice| {
            let mut kernels = recipes(device, 1);
            kernels[0].1.source = "not a shader".into();
            kernels
        };
        let Some((mut helpers, told)) = helpers(broken) else { return };
        assert!(helpers.done().is_empty());
        assert_eq!((helpers.next(), helpers.next(), told.load(Ordering::Relaxed)), (Some(0), None, 0));
    }

    #[test]
    fn dropped_helpers_end() {
        let Some((helpers, told)) = helpers(|device| recipes(device, 200)) else { return };
        drop(helpers);
        let told_then = told.load(Ordering::Relaxed);
        assert_eq!(Arc::strong_count(&told), 1, "no thread has it any more");
        assert_eq!(told.load(Ordering::Relaxed), told_then);
    }
}
