//! An open device: the handles of wgpu, with the care that they need. Errors are caught where they arise, one thread polls at
//! a time, and the host never runs more than a few submissions ahead.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::adapters::AdapterKind;
use super::adapters::{self, GpuInfo, Selection};
use super::disk_cache;
use super::health::{Health, What};
use super::pipelines::{Pipelines, Recipe};
use super::readback::ReadbackPool;
use super::reports::{Reports, Scopes};
use super::side_by_side::Helpers;
use super::submission::{Poller, Submitted};
use super::warm::{Compiling, Observer};
use crate::device::table::{Identity, Known};
use crate::error::{Error, Result};
use crate::shader::{Adapter, Limit};
use crate::waiting::{block_on, elsewhere, may_wait};

/// Submissions that may wait for the GPU before the host waits for the oldest: enough to keep the GPU busy, few enough that
/// staging memory stays small.
const SUBMISSIONS_IN_FLIGHT: usize = 3;

/// Bytes written to buffers before they are submitted to the GPU, so that filling a large store does not need it twice.
const PENDING_WRITES: u64 = 64 << 20;

/// How shaders are compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checks {
    /// Without bounds checks: kernels prove their own, and tests run them with all checks.
    #[default]
    Production,
    /// With all checks that wgpu can add.
    All,
}

/// An open GPU. Clones are the same device.
#[derive(Clone)]
pub struct GpuDevice {
    shared: Arc<Shared>,
    /// What tuning found. Handles may differ in it.
    known: Arc<Known>,
    /// Who is told of kernels that are compiled. Handles may differ in it.
    observer: Option<Observer>,
}

struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: GpuInfo,
    adapter: Adapter,
    health: Health,
    checks: Checks,
    pipelines: Pipelines,
    readbacks: ReadbackPool,
    /// Held while polling: two threads that poll one device at once have been observed to hang on software drivers.
    polling: Mutex<()>,
    poller: Poller,
    in_flight: Mutex<VecDeque<Submitted>>,
    pending_writes: AtomicU64,
    reports: Reports,
    /// From which further devices can be opened, that make machine code: not for an application's device.
    own_adapter: Option<wgpu::Adapter>,
    /// Whether that was of any use so far.
    helps: AtomicBool,
}

impl fmt::Debug for GpuDevice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GpuDevice").field("info", self.info()).finish_non_exhaustive()
    }
}

impl GpuDevice {
    /// Opens an adapter with all that it can do.
    ///
    /// # Errors
    /// Where no adapter fits the selection, or the driver refuses.
    pub fn open(selection: &Selection, checks: Checks) -> Result<Self> {
        block_on(Self::open_async(selection.clone(), checks))
    }

    /// As [`open`](Self::open), without blocking. In a browser there is one adapter, the page's.
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(selection: Selection, checks: Checks) -> Result<Self> {
        if cfg!(target_family = "wasm") {
            let (index, adapter) = adapters::of_page(&selection).await?;
            return Self::opened(index, &adapter, checks, false).await;
        }
        elsewhere(move || {
            let (index, adapter) = adapters::select(&selection)?;
            let attempt = |adapter: &wgpu::Adapter| {
                let open = |matrices| pollster::block_on(Self::opened(index, adapter, checks, matrices));
                // A driver may list matrix instructions and not have them, which wgpu meets with a panic.
                catch_unwind(AssertUnwindSafe(|| open(true))).unwrap_or_else(|_| open(false))
            };
            // Some drivers tell of no memory left, and have it.
            let again = |error| adapters::without_budget(index).map_or(Err(error), |adapter| attempt(&adapter));
            attempt(&adapter).or_else(again)
        })
        .await?
    }

    /// With leave to use matrix instructions, where that is wanted and they are there.
    async fn opened(index: usize, adapter: &wgpu::Adapter, checks: Checks, matrices: bool) -> Result<Self> {
        let info = GpuInfo::of(index, adapter);
        let (required_features, experimental_features) = adapters::wanted_features(adapter, &info.features, matrices);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features,
            experimental_features,
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| Error::Device(format!("{} cannot be opened: {error}", adapter.get_info().name)))?;
        let health = Health::default();
        health.watch(&device, &info.name);
        Self::assemble(info, adapter, Some(adapter.clone()), (device, queue), health, checks)
    }

    /// The device of an application that has one already. What it may do follows from the features and limits that the
    /// application asked for: with `SUBGROUP`, `SHADER_F16` and `EXPERIMENTAL_COOPERATIVE_MATRIX`, products of f16 use matrix instructions. The application's callbacks stay in place. It should not poll the device on another
    /// thread while a value is being read.
    ///
    /// # Errors
    /// Where the device cannot run kernels.
    pub fn from_wgpu(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        checks: Checks,
    ) -> Result<Self> {
        Self::assemble(GpuInfo::of(0, adapter), adapter, None, (device, queue), Health::default(), checks)
    }

    fn assemble(
        info: GpuInfo,
        adapter: &wgpu::Adapter,
        own_adapter: Option<wgpu::Adapter>,
        (device, queue): (wgpu::Device, wgpu::Queue),
        health: Health,
        checks: Checks,
    ) -> Result<Self> {
        let limits = device.limits();
        if limits.max_compute_invocations_per_workgroup == 0 || limits.max_storage_buffers_per_shader_stage == 0 {
            return Err(Error::Device(format!("{} was opened without compute shaders", info.name)));
        }
        // Kernels that any program needs have these; WebGPU guarantees more.
        let least = [
            ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup, 64),
            ("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x, 64),
            ("max_compute_workgroups_per_dimension", limits.max_compute_workgroups_per_dimension, 1),
            ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage, 2),
            ("max_uniform_buffers_per_shader_stage", limits.max_uniform_buffers_per_shader_stage, 1),
            ("max_bindings_per_bind_group", limits.max_bindings_per_bind_group, 3),
            ("max_bind_groups", limits.max_bind_groups, 1),
        ];
        if let Some((name, found, needed)) = least.into_iter().find(|(_, found, needed)| found < needed) {
            return Err(Error::Limit(format!(
                "the device of {} was opened with `{name}` {found}, and kernels need {needed}; ask for more in `required_limits`",
                info.name
            )));
        }
        let details = adapter.get_info();
        // With all checks, kernels run at other speeds than what tables are about.
        let known = match checks {
            Checks::Production => Known::of_user(disk_cache::folder(), identity(&info)),
            Checks::All => Known::nothing(),
        };
        Ok(Self {
            known: Arc::new(known),
            observer: None,
            shared: Arc::new(Shared {
                adapter: adapters::compiler_adapter(&details, &device, &info.features, &adapter.limits(), checks),
                pipelines: Pipelines::new(&device, &details),
                info,
                device,
                queue,
                health,
                checks,
                readbacks: ReadbackPool::default(),
                polling: Mutex::default(),
                poller: Poller::default(),
                in_flight: Mutex::default(),
                pending_writes: AtomicU64::new(0),
                reports: Reports::default(),
                own_adapter,
                helps: AtomicBool::new(true),
            }),
        })
    }

    /// What tuning found for it.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// A handle to the same device with another table.
    pub(crate) fn with_known(&self, known: Known) -> Self {
        Self { known: Arc::new(known), ..self.clone() }
    }

    /// A handle to the same device that tells of kernels that are compiled.
    pub(crate) fn with_observer(&self, observer: Observer) -> Self {
        Self { observer: Some(observer), ..self.clone() }
    }

    /// Tells how far the compilation of kernels has come.
    pub(super) fn tell(&self, compiling: Compiling) {
        if let Some(observer) = &self.observer {
            observer(compiling);
        }
    }

    /// Further devices that make machine code of kernels, unless that is not possible or was of no use.
    pub(super) fn helpers(
        &self,
        kernels: impl IntoIterator<Item = (usize, Recipe)>,
        progress: impl Fn() + Clone + Send + 'static,
    ) -> Option<Helpers> {
        let adapter = self.shared.own_adapter.as_ref().filter(|_| self.shared.helps.load(Ordering::Relaxed))?;
        Helpers::start(adapter, &self.shared.device, kernels, progress)
    }

    /// Notes whether what helpers made was found by this device.
    pub(super) fn helped(&self, is_found: bool) {
        self.shared.helps.store(is_found, Ordering::Relaxed);
    }

    /// What tells its tables from those of others.
    pub(crate) fn identity(&self) -> Identity {
        identity(self.info())
    }

    /// What kernels may use: the compiler's view, without what tuning found.
    pub fn adapter(&self) -> &Adapter {
        &self.shared.adapter
    }

    /// What the list of adapters says of it.
    pub fn info(&self) -> &GpuInfo {
        &self.shared.info
    }

    /// The device underneath.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.shared.device
    }

    /// The queue underneath.
    pub fn wgpu_queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }

    /// How its shaders are compiled.
    pub fn checks(&self) -> Checks {
        self.shared.checks
    }

    /// An error where the device was lost, or wgpu reported an error outside of any call.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], or the first such error, from then on.
    pub fn check(&self) -> Result<()> {
        self.shared.health.check()?;
        if self.is_alive() { Ok(()) } else { Err(self.lost()) }
    }

    /// False where the device was lost. wgpu tells that to one callback, which an embedder may have, and to nobody else: calls on a
    /// lost device do nothing and report nothing. So this causes an error on purpose, which a live device reports. A browser reports
    /// later, and has the page's callback alone.
    fn is_alive(&self) -> bool {
        if cfg!(target_family = "wasm") {
            return true;
        }
        let scope = self.shared.device.push_error_scope(wgpu::ErrorFilter::Validation);
        drop(self.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 0,
            usage: wgpu::BufferUsages::empty(),
            mapped_at_creation: false,
        }));
        pollster::block_on(scope.pop()).is_some()
    }

    fn lost(&self) -> Error {
        self.shared.health.lose(&format!("{}; it was destroyed, or its driver gave it up", self.info().name))
    }

    /// Waits until the GPU has done everything that was submitted.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn wait_idle(&self) -> Result<()> {
        block_on(self.idle_async())
    }

    /// As [`wait_idle`](Self::wait_idle), without blocking.
    ///
    /// # Errors
    /// Where the device was lost.
    pub async fn idle_async(&self) -> Result<()> {
        let index = self.submit("waiting", Vec::new())?;
        lock(&self.shared.in_flight).clear();
        self.finished(&self.submitted(index)).await?;
        self.reported().await
    }

    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.shared.pipelines
    }

    pub(super) fn readbacks(&self) -> &ReadbackPool {
        &self.shared.readbacks
    }

    /// Does something with wgpu, and returns the first error that wgpu reports of it. `what` names it in the message. Where the device
    /// was lost meanwhile, that is the error.
    pub(super) fn guarded<T>(&self, what: &str, work: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        self.guarded_as(What::Task(what), work)
    }

    /// The same, of a task or of a kernel.
    pub(super) fn guarded_as<T>(&self, what: What<'_>, work: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        self.shared.health.check()?;
        let device = &self.shared.device;
        let scopes = Scopes::open(device);
        let result = work(device);
        let error = scopes.close(&self.shared.reports, what, &self.info().name);
        // What a lost device reports is a consequence.
        self.check()?;
        error.map_or(Ok(result), Err)
    }

    /// Waits until wgpu has told what came of everything so far: in a browser it does so later.
    pub(super) async fn reported(&self) -> Result<()> {
        self.shared.reports.all().await
    }

    /// A buffer of at least sixteen bytes. `label` says what for.
    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = bytes.max(16).next_multiple_of(16);
        self.adapter().allows(Limit::BufferBytes, size, &format!("a buffer for {label}"))?;
        let what = format!("{size} bytes for {label}");
        self.guarded(&what, |device| {
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        })
    }

    /// Writes before everything that is submitted later. `offset` is a multiple of four; where the number of bytes is
    /// none, the rest of the last word becomes zero.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.guarded("writing a buffer", |_| self.write_unguarded(buffer, offset, bytes))?;
        let pending = self.shared.pending_writes.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        // A browser has its own way with what is written.
        if pending > PENDING_WRITES && cfg!(not(target_family = "wasm")) {
            let index = self.submit("writing buffers", Vec::new())?;
            self.wait(&index)?;
        }
        Ok(())
    }

    /// The same, inside a scope of the caller's.
    pub(super) fn write_unguarded(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
        if !words.is_empty() {
            self.shared.queue.write_buffer(buffer, offset, words);
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.shared.queue.write_buffer(buffer, offset + words.len() as u64, &last);
        }
    }

    /// Submits, and lets wgpu free what earlier submissions needed.
    pub(super) fn submit(&self, what: &str, commands: Vec<wgpu::CommandBuffer>) -> Result<wgpu::SubmissionIndex> {
        let index = self.guarded(what, |_| self.submit_unguarded(commands))?;
        self.tidy()?;
        Ok(index)
    }

    /// The same, inside a scope of the caller's, who calls [`tidy`](Self::tidy) afterwards.
    pub(super) fn submit_unguarded(&self, commands: Vec<wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        self.shared.pending_writes.store(0, Ordering::Relaxed);
        self.shared.queue.submit(commands)
    }

    /// Runs that may be under way. A software driver computes on this host's processor, and lets whoever submits wait for what is under
    /// way: who must not wait submits when that is done.
    fn capacity(&self, may_wait: bool) -> usize {
        if !may_wait && self.info().kind == AdapterKind::Software { 1 } else { SUBMISSIONS_IN_FLIGHT }
    }

    /// Waits while too many runs are under way.
    pub(super) async fn throttle(&self) -> Result<()> {
        while self.running() >= self.capacity(may_wait()) {
            let oldest = lock(&self.shared.in_flight).front().cloned();
            if let Some(oldest) = oldest {
                self.finished(&oldest).await?;
            }
        }
        Ok(())
    }

    /// An error where [`throttle`](Self::throttle) would wait.
    pub(super) fn room(&self) -> Result<()> {
        match self.pending()? {
            pending if pending >= self.capacity(false) => Err(Error::Busy { pending }),
            _ => Ok(()),
        }
    }

    /// Runs that were submitted to the GPU and are not done, of all programs on this device. Three may be (one on a software driver, for who
    /// must not wait); whatever runs a further program waits for the oldest first. Waits for nothing.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn pending(&self) -> Result<usize> {
        self.tidy()?;
        self.check()?;
        Ok(self.running())
    }

    /// Makes it look as if `runs` runs were under way.
    #[cfg(test)]
    pub(super) fn occupy(&self, runs: usize) {
        let mut in_flight = lock(&self.shared.in_flight);
        in_flight.clear();
        for _ in 0..runs {
            in_flight.push_back(Submitted::new(self.submit_unguarded(Vec::new())));
        }
    }

    /// Runs that are not known to be done.
    fn running(&self) -> usize {
        let mut in_flight = lock(&self.shared.in_flight);
        in_flight.retain(|run| run.done.outcome().is_none());
        in_flight.len()
    }

    /// A submission whose end can be awaited.
    pub(super) fn submitted(&self, index: wgpu::SubmissionIndex) -> Submitted {
        let submitted = Submitted::new(index);
        let done = Arc::clone(&submitted.done);
        self.shared.queue.on_submitted_work_done(move || done.give(true));
        submitted
    }

    /// Counts a run that was just submitted as under way, until it is done.
    pub(super) fn under_way(&self, index: wgpu::SubmissionIndex) {
        let submitted = self.submitted(index);
        lock(&self.shared.in_flight).push_back(submitted);
    }

    /// Waits for the end of a submission.
    pub(super) async fn finished(&self, submitted: &Submitted) -> Result<()> {
        if submitted.done.outcome().is_none() {
            if let (true, Some(index)) = (may_wait(), &submitted.index) {
                self.wait(index)?;
                // What was waited for is done, whenever the callback that says so is called.
                submitted.done.give(true);
                return Ok(());
            }
            self.shared.poller.attend(self, submitted)?;
        }
        if submitted.done.given().await { Ok(()) } else { self.unfinished() }
    }

    /// Why something that was submitted did not come to its end.
    fn unfinished(&self) -> Result<()> {
        self.check()?;
        Err(Error::Device(format!("{} did not finish what it was given", self.info().name)))
    }

    /// The thread that looks after what tasks await.
    pub(super) fn poller(&self) -> &Poller {
        &self.shared.poller
    }

    /// Waits for a submission, on this thread; values that are read back from it have arrived then.
    pub(super) fn wait(&self, index: &wgpu::SubmissionIndex) -> Result<()> {
        let _one_at_a_time = lock(&self.shared.polling);
        self.poll(wgpu::PollType::Wait { submission_index: Some(index.clone()), timeout: None })
    }

    /// Notes what the GPU has finished, without waiting; nothing where another thread does so.
    pub(super) fn tidy(&self) -> Result<()> {
        match self.shared.polling.try_lock() {
            Ok(_one_at_a_time) => self.poll(wgpu::PollType::Poll),
            Err(TryLockError::Poisoned(_one_at_a_time)) => self.poll(wgpu::PollType::Poll),
            Err(TryLockError::WouldBlock) => self.shared.health.check(),
        }
    }

    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        // wgpu 30 panics where the driver reports, during a wait, that the device is lost.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.shared.device.poll(how)));
        match outcome {
            // Whoever called it guards what comes next.
            Ok(Ok(_)) => self.shared.health.check(),
            Ok(Err(_)) => self.unfinished(),
            Err(_) => Err(self.shared.health.lose(&format!("{}; it failed while it worked", self.info().name))),
        }
    }
}

fn identity(info: &GpuInfo) -> Identity {
    Identity { adapter: info.name.clone(), backend: info.backend.to_owned(), driver: info.driver.clone() }
}

/// A lock that a panic elsewhere does not break: what these locks protect is consistent at all times.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
