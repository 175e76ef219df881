//! Hand-made programs on whatever adapter there is. Without one they say that they were skipped, unless `WGRAD_REQUIRE_GPU`
//! is set, where they fail.

use std::sync::Arc;

use super::*;
use crate::compiler::{BufferKind, BufferPlan, Dispatch, Location, Port, Program, Step, Work};
use crate::error::{Error, Origin};
use crate::scalar::Builder;
use crate::shader::slot::Expression;
use crate::shader::{Grid, Kernel, KernelFile};
use crate::tensor::{DType, TensorData, TensorType};

/// A device with all checks, if there is any.
fn device() -> Option<GpuDevice> {
    match GpuDevice::open(&Selection::Any, Checks::All) {
        Ok(device) => Some(device),
        Err(error) => {
            crate::shader::testing::skipped(&error.to_string());
            None
        }
    }
}

/// A map that computes a WGSL expression of `x`, four elements at a time.
fn map_kernel(expression: &str) -> Kernel {
    let module = format!(
        "alias ExpressionParams = array<vec4<i32>, 1>;
         @group(0) @binding(1) var<storage, read> source0: array<vec4<f32>>;
         @group(0) @binding(2) var<storage, read_write> result0: array<vec4<f32>>;
         fn evaluate(quad: u32) {{ let x = source0[quad]; result0[quad] = {expression}; }}"
    );
    Kernel::of(KernelFile::Map).slot(Expression(&module)).kernel(format!("map {expression}"), 1, 1).unwrap()
}

fn at(buffer: usize, offset: usize, floats: usize) -> Location {
    Location { buffer, offset, bytes: floats * 4 }
}

fn step(work: Work, from: Location, to: Location, dispatches: Vec<Dispatch>) -> Step {
    Step {
        work,
        label: "step".to_owned(),
        origin: Origin::caller(),
        reads: vec![from],
        writes: vec![to],
        types: vec![TensorType::new(DType::F32, [to.bytes / 4])],
        dispatches,
        flops: 0,
        bytes: 0,
    }
}

fn map_step(kernel: usize, from: Location, to: Location) -> Step {
    let quads = (to.bytes / 4).div_ceil(4);
    let grid = Grid::covering(quads, 64, 65_535).unwrap();
    let params = vec![grid.width, quads as u32, 0, 0, 0, 0, 0, 0];
    let expression = Builder::new(DType::F32).finish(vec![to.bytes / 4], Vec::new(), Vec::new());
    let work = Work::Map { expression, in_place: vec![None] };
    step(work, from, to, vec![Dispatch { kernel, params, grid, bindings: vec![from, to] }])
}

fn copy_step(from: Location, to: Location) -> Step {
    step(Work::Copy, from, to, Vec::new())
}

fn plan(kind: BufferKind, floats: usize) -> BufferPlan {
    BufferPlan { bytes: (floats * 4).next_multiple_of(256), kind }
}

fn port(name: &str, location: Location) -> Port {
    Port { name: name.to_owned(), ty: TensorType::new(DType::F32, [location.bytes / 4]), stored: DType::F32, location }
}

fn bytes(values: &[f32]) -> &[u8] {
    bytemuck::cast_slice(values)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

/// `y = 2x + 1`, and the counter in the store grows by the second input.
fn small_program() -> Program {
    let (x, w, y, sum, constant) = (at(0, 0, 5), at(0, 256, 5), at(1, 0, 5), at(2, 0, 5), at(3, 0, 5));
    Program {
        buffers: vec![
            plan(BufferKind::Input, 128),
            plan(BufferKind::Slot, 64),
            plan(BufferKind::Persistent(0), 64),
            plan(BufferKind::Constant(Arc::new(TensorData::from_vec(vec![10.0_f32; 5], [5]).unwrap())), 64),
            plan(BufferKind::Slot, 128),
        ],
        kernels: vec![map_kernel("x * 2.0 + 1.0"), map_kernel("result0[quad] + x")],
        steps: vec![
            map_step(0, x, y),
            map_step(1, w, sum),
            // Between two buffers, within one, and a kernel after both.
            copy_step(constant, at(4, 0, 5)),
            copy_step(at(4, 0, 5), at(4, 256, 5)),
            map_step(1, at(4, 256, 5), sum),
        ],
        inputs: vec![port("x", x), port("w", w)],
        outputs: vec![port("y", y), port("sum", sum)],
        ..Program::default()
    }
}

fn load(device: &GpuDevice, program: Program) -> (GpuStore, GpuProgram) {
    let mut store = GpuStore::new(device);
    assert_eq!(store.add(256).unwrap(), 0);
    let program = GpuProgram::load(device, Arc::new(program), &store).unwrap();
    (store, program)
}

#[test]
fn adapters_are_listed_in_a_stable_order() {
    let list = adapters();
    assert_eq!(list, adapters());
    for (index, info) in list.iter().enumerate() {
        assert_eq!(info.index, index);
        assert!(info.limits.storage_buffers >= 8, "{info:?}");
    }
    let first_software = list.iter().position(|info| info.kind == AdapterKind::Software).unwrap_or(list.len());
    assert!(list[first_software..].iter().all(|info| info.kind == AdapterKind::Software), "hardware comes first");
    for selection in [Selection::Index(1000), Selection::Name("no such name".to_owned())] {
        let error = GpuDevice::open(&selection, Checks::All).unwrap_err();
        assert!(matches!(error, Error::Device(_)), "{error}");
    }
    if let Some(info) = list.first() {
        let name = format!("{} {}", info.name.to_uppercase(), info.backend);
        let found = GpuDevice::open(&Selection::Name(name), Checks::Production).unwrap();
        assert_eq!(found.info(), info);
    }
}

#[test]
fn a_program_runs_and_its_store_stays() {
    let Some(device) = device() else { return };
    let (store, mut program) = load(&device, small_program());
    let outputs = [program.program().outputs[0].location, program.program().outputs[1].location];
    for run in 1..=5 {
        let x = [run as f32, 1.0, 2.0, 3.0, 4.0];
        let inputs: &[(usize, &[u8])] =
            if run == 1 { &[(0, bytes(&x)), (1, bytes(&[1.0; 5]))] } else { &[(0, bytes(&x))] };
        let ticket = program.run(inputs, &outputs).unwrap().unwrap();
        let values = ticket.wait().unwrap();
        assert_eq!(floats(&values[0]), x.map(|x| x * 2.0 + 1.0));
        assert_eq!(floats(&values[1]), [11.0 * run as f32; 5], "the second input is retained");
    }
    assert_eq!(floats(&store.read(0, 4, 8).unwrap()), [55.0; 2]);
    store.write(0, 0, bytes(&[7.0])).unwrap();
    assert_eq!(floats(&store.read(0, 0, 8).unwrap()), [7.0, 55.0]);
    store.write(0, 4, &[1, 2, 3]).unwrap();
    assert_eq!(store.read(0, 4, 3).unwrap(), [1, 2, 3], "bytes that are no complete word");
    assert_eq!(floats(&store.read(0, 8, 4).unwrap()), [55.0]);
    assert!(program.run(&[], &[]).unwrap().is_none());
}

#[test]
fn programs_of_a_device_share_pipelines() {
    let Some(device) = device() else { return };
    let _first = load(&device, small_program());
    assert_eq!(device.pipelines().len(), 2);
    let mut program = small_program();
    program.kernels[0].label = "another name for the same source".to_owned();
    program.kernels.push(map_kernel("x * 3.0"));
    let _second = load(&device, program);
    assert_eq!(device.pipelines().len(), 3);
    fn can_move_between_threads<T: Send>() {}
    can_move_between_threads::<(GpuDevice, GpuStore, GpuProgram, Ticket)>();
}

#[test]
fn many_runs_are_submitted_ahead_and_read_in_any_order() {
    let Some(device) = device() else { return };
    let (_store, mut program) = load(&device, small_program());
    let y = program.program().outputs[0].location;
    let start = |program: &mut GpuProgram, k: usize| {
        program.run(&[(0, bytes(&[k as f32; 5])), (1, bytes(&[0.0; 5]))], &[y]).unwrap().unwrap()
    };
    let mut tickets: Vec<(usize, Ticket)> = (0..20).map(|k| (k, start(&mut program, k))).collect();
    // Some are given up, before or after their values arrived.
    drop(tickets.remove(18));
    drop(tickets.remove(3));
    for (k, ticket) in tickets.into_iter().rev() {
        assert_eq!(floats(&ticket.wait().unwrap()[0]), [k as f32 * 2.0 + 1.0; 5]);
    }
    let ticket = start(&mut program, 30);
    assert_eq!(floats(&pollster::block_on(ticket).unwrap()[0]), [61.0; 5], "as a future");
    let mut ready = start(&mut program, 31);
    device.wait_idle().unwrap();
    assert!(ready.is_ready());
    assert_eq!(floats(&pollster::block_on(&mut ready).unwrap()[0]), [63.0; 5]);
    assert!(pollster::block_on(&mut ready).is_err(), "values are taken once");
}

#[test]
fn threads_share_a_device() {
    let Some(device) = device() else { return };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let device = &device;
            scope.spawn(move || {
                let (_store, mut program) = load(device, small_program());
                let y = program.program().outputs[0].location;
                for k in 0..10 {
                    let value = (thread * 100 + k) as f32;
                    let ticket = program.run(&[(0, bytes(&[value; 5]))], &[y]).unwrap().unwrap();
                    let values = if k % 2 == 0 { ticket.wait() } else { pollster::block_on(ticket) };
                    assert_eq!(floats(&values.unwrap()[0]), [value * 2.0 + 1.0; 5]);
                }
            });
        }
    });
}

#[test]
fn a_long_line_of_workgroups_is_folded() {
    let Some(device) = device() else { return };
    // 65,537 workgroups of 64 invocations, four elements each.
    let count = 65_536 * 256 + 4;
    let (input, slot) = (at(0, 0, 8), at(1, 0, count));
    let mut kernel = map_kernel("source0[0] + vec4<f32>(f32(quad))");
    kernel.source = kernel.source.replace("source0[quad]", "source0[0]").into();
    let program = Program {
        buffers: vec![plan(BufferKind::Input, 8), plan(BufferKind::Slot, count)],
        kernels: vec![kernel],
        steps: vec![map_step(0, input, slot)],
        inputs: vec![port("x", input)],
        outputs: vec![port("y", slot)],
        ..Program::default()
    };
    assert!(program.steps[0].dispatches[0].grid.height == 2);
    let (_store, mut program) = load(&device, program);
    let captures = [0, 255, 256, 32_768 * 256 - 4, 32_769 * 256, count - 4];
    let captures = captures.map(|index| Location { buffer: 1, offset: index / 4 * 16, bytes: 4 });
    let ticket = program.run(&[(0, bytes(&[1.0; 8]))], &captures).unwrap().unwrap();
    for (value, capture) in ticket.wait().unwrap().iter().zip(&captures) {
        assert_eq!(floats(value), [1.0 + (capture.offset / 16) as f32], "{capture:?}");
    }
}

#[test]
fn a_long_program_is_submitted_in_parts() {
    let Some(device) = device() else { return };
    let (x, sum) = (at(0, 0, 4), at(1, 0, 4));
    let program = Program {
        buffers: vec![plan(BufferKind::Input, 4), plan(BufferKind::Persistent(0), 4)],
        kernels: vec![map_kernel("result0[quad] + x")],
        steps: (0..1000).map(|_| map_step(0, x, sum)).collect(),
        inputs: vec![port("x", x)],
        ..Program::default()
    };
    let (store, mut program) = load(&device, program);
    program.run(&[(0, bytes(&[1.0, 2.0, 3.0, 4.0]))], &[]).unwrap();
    assert_eq!(floats(&store.read(0, 0, 16).unwrap()), [1000.0, 2000.0, 3000.0, 4000.0]);
}

#[test]
fn an_application_binds_its_own_buffers_and_records() {
    let Some(device) = device() else { return };
    let (mut store, _) = load(&device, Program::default());
    let buffer = |floats: u64, usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size: floats * 4, usage, mapped_at_creation: false };
        device.wgpu_device().create_buffer(&descriptor)
    };
    let (input, y, sum) = (buffer(8, store::USAGES), buffer(8, store::USAGES), buffer(8, store::USAGES));
    let mut plan = small_program();
    plan.buffers[2].kind = BufferKind::Persistent(1);
    assert_eq!(store.add_external(buffer(64, store::USAGES)).unwrap(), 1);
    assert!(store.add_external(buffer(64, wgpu::BufferUsages::STORAGE)).is_err());
    let mut program = GpuProgram::load(&device, Arc::new(plan), &store).unwrap();

    for (outcome, reason) in [
        (program.bind_input(0, buffer(4, store::USAGES)), "20 bytes"),
        (program.bind_input(0, buffer(8, wgpu::BufferUsages::COPY_DST)), "STORAGE"),
        (program.bind_input(2, buffer(8, store::USAGES)), "2 inputs"),
        (program.bind_output(0, buffer(8, wgpu::BufferUsages::STORAGE)), "COPY_DST"),
    ] {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    program.bind_input(0, input.clone()).unwrap();
    program.bind_output(0, y.clone()).unwrap();
    program.bind_output(1, sum.clone()).unwrap();
    program.write_inputs(&[(1, bytes(&[1.0; 5]))]).unwrap();
    device.wgpu_queue().write_buffer(&input, 0, bytes(&[1.0, 2.0, 3.0, 4.0, 5.0]));
    let mut encoder = device.wgpu_device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    program.record(&mut encoder, &[]).unwrap();
    program.record(&mut encoder, &[]).unwrap();
    device.wgpu_queue().submit([encoder.finish()]);
    let mut outputs = GpuStore::new(&device);
    outputs.add_external(y).unwrap();
    outputs.add_external(sum).unwrap();
    let read = outputs.start_read(&[(0, 0, 20), (1, 0, 20)]).unwrap().wait().unwrap();
    assert_eq!(floats(&read[0]), [3.0, 5.0, 7.0, 9.0, 11.0], "in the application's buffer");
    assert_eq!(floats(&read[1]), [22.0; 5], "copied from the store");
    let captured = program.run(&[], &[program.program().outputs[0].location]).unwrap().unwrap().wait().unwrap();
    assert_eq!(floats(&captured[0]), [3.0, 5.0, 7.0, 9.0, 11.0]);
}

#[test]
fn steps_are_timed() {
    let Some(device) = device() else { return };
    let (store, mut program) = load(&device, small_program());
    let times = program.profile(&[(0, bytes(&[1.0; 5])), (1, bytes(&[1.0; 5]))]).unwrap();
    assert_eq!(times.iter().map(|time| time.step).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(times.iter().all(|time| (0.0..10.0).contains(&time.seconds)), "{times:?}");
    assert!(times.iter().any(|time| time.seconds > 0.0), "{times:?}");
    assert_eq!(floats(&store.read(0, 0, 4).unwrap()), [11.0], "it is a run like any other");
}

#[test]
fn runs_are_timed_by_the_gpus_clock() {
    let Some(device) = device() else { return };
    let (store, mut program) = load(&device, small_program());
    let has_clock = device.wgpu_device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
    let start = std::time::Instant::now();
    let seconds = program.time_runs(&[(0, bytes(&[1.0; 5])), (1, bytes(&[1.0; 5]))], 3).unwrap();
    assert_eq!(seconds.is_some(), has_clock);
    if let Some(seconds) = seconds {
        assert!((0.0..start.elapsed().as_secs_f64() + 1e-3).contains(&seconds), "{seconds}");
        assert!(floats(&store.read(0, 0, 4).unwrap())[0].is_finite(), "they are runs like any other");
    }
}

#[test]
fn mistakes_are_errors_and_the_device_lives_on() {
    let Some(device) = device() else { return };
    let store = GpuStore::new(&device);
    let mut broken = small_program();
    broken.kernels[0].source = "@compute @workgroup_size(64) fn main() { let x: u32 = 1.5; }".into();
    let error = GpuProgram::load(&device, Arc::new(broken), &store).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Shader { .. }) && message.contains("map x * 2.0 + 1.0"), "{message}");
    assert!(message.contains("u32") && !message.contains("In Device"), "the compiler's own words: {message}");

    let error = GpuProgram::load(&device, Arc::new(small_program()), &store).unwrap_err();
    assert!(error.to_string().contains("the store has 0 buffers"), "{error}");

    let mut large = small_program();
    large.buffers[1].bytes = 1 << 50;
    let (mut store, _) = load(&device, Program::default());
    assert!(matches!(GpuProgram::load(&device, Arc::new(large), &store), Err(Error::Limit(_))));
    let mut wide = small_program();
    wide.steps[0].dispatches[0].grid.width = 1 << 20;
    assert!(matches!(GpuProgram::load(&device, Arc::new(wide), &store), Err(Error::Limit(_))));
    // One buffer read and written by one dispatch: WebGPU refuses it when it is recorded.
    let mut aliased = small_program();
    aliased.steps[0].dispatches[0].bindings[0] = at(1, 256, 5);
    aliased.buffers[1].bytes = 1024;
    let error = GpuProgram::load(&device, Arc::new(aliased), &store)
        .and_then(|mut program| program.run(&[], &[]).map(|_| ()))
        .unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error}");

    let mut nowhere = small_program();
    nowhere.steps[2].reads[0].buffer = 99;
    assert!(matches!(GpuProgram::load(&device, Arc::new(nowhere), &store), Err(Error::Argument(_))));

    assert!(store.write(0, 2, &[0; 4]).is_err());
    assert!(store.write(0, 252, &[0; 8]).is_err());
    assert!(store.read(0, usize::MAX - 3, 8).is_err());
    assert!(store.read(9, 0, 4).is_err());
    assert!(matches!(store.add(1 << 50), Err(Error::Limit(_))));
    let mut program = GpuProgram::load(&device, Arc::new(small_program()), &store).unwrap();
    assert!(matches!(program.run(&[(0, &[0; 4])], &[]), Err(Error::Data(_))));
    assert!(program.run(&[(5, &[0; 4])], &[]).is_err());
    assert!(program.run(&[], &[at(77, 0, 4)]).is_err());
    assert!(program.run(&[], &[at(1, 1 << 40, 4)]).is_err());
    assert!(program.run(&[], &[at(1, 0, 4)]).is_ok());
}

/// Software drivers do the work in the submission itself, so that the device is only said to be busy here.
#[test]
fn a_run_that_would_wait_can_be_refused() {
    let Some(device) = device() else { return };
    let (store, mut program) = load(&device, small_program());
    let inputs: [(usize, &[u8]); 2] = [(0, bytes(&[1.0; 5])), (1, bytes(&[1.0; 5]))];
    program.try_run(&inputs, &[]).unwrap();
    device.wait_idle().unwrap();
    // A software driver lets whoever submits wait for what is under way.
    let room = if device.info().kind == AdapterKind::Software { 1 } else { 3 };
    for runs in 0..room {
        device.occupy(runs);
        assert_eq!(device.pending().unwrap(), runs);
        program.try_run(&inputs, &[]).unwrap();
    }
    device.wait_idle().unwrap();
    assert_eq!(device.pending().unwrap(), 0);
    device.occupy(3);
    let before = store.read(0, 0, 20).unwrap();
    let y = program.program().outputs[0].location;
    for captures in [&[][..], &[y]] {
        assert!(matches!(program.try_run(&inputs, captures), Err(Error::Busy { pending: 3 })));
    }
    assert!(matches!(program.try_run(&[(0, &[0; 4])], &[]), Err(Error::Data(_))), "an error of the inputs comes first");
    assert_eq!(store.read(0, 0, 20).unwrap(), before, "nothing was done");
    assert_eq!(device.pending().unwrap(), 3);
    program.run(&inputs, &[]).unwrap();
    assert!(device.pending().unwrap() <= 3, "it waited for the oldest");
    device.occupy(0);
    program.try_run(&inputs, &[]).unwrap();
}

#[test]
fn a_program_tells_what_took_until_it_was_ready() {
    let Some(device) = device() else { return };
    let (store, program) = load(&device, small_program());
    let Startup { pipelines, first_dispatches, load, kernels, .. } = program.startup().clone();
    assert!(pipelines > 0.0 && first_dispatches > 0.0 && load >= pipelines + first_dispatches);
    let labels: Vec<&str> = kernels.iter().map(|kernel| kernel.label.as_str()).collect();
    assert_eq!(labels, ["map x * 2.0 + 1.0", "map result0[quad] + x"]);
    for kernel in &kernels {
        assert!(kernel.module > 0.0 && kernel.pipeline > 0.0 && kernel.bytes > 100, "{kernel:?}");
        assert_eq!(kernel.first_dispatch.is_some(), device.adapter().is_software);
    }
    let text = program.startup().to_string();
    assert!(text.contains("  map x * 2.0 + 1.0\n") && text.ends_with("  2 kernels\n"), "{text}");
    let again = GpuProgram::load(&device, Arc::new(small_program()), &store).unwrap();
    assert!(again.startup().kernels.is_empty(), "the device has them");
}

#[test]
fn a_lost_device_gives_errors() {
    let Some(device) = device() else { return };
    let (store, mut program) = load(&device, small_program());
    let y = program.program().outputs[0].location;
    let before = program.run(&[(0, bytes(&[1.0; 5]))], &[y]).unwrap().unwrap();
    device.wgpu_device().destroy();
    assert!(matches!(before.wait(), Err(Error::DeviceLost(_))), "what was submitted before is gone as well");
    let message = device.check().unwrap_err().to_string();
    for outcome in [
        program.run(&[(0, bytes(&[1.0; 5]))], &[y]).and_then(|ticket| ticket.unwrap().wait()).map(|_| ()),
        program.run(&[], &[]).map(|_| ()),
        program.try_run(&[], &[]).map(|_| ()),
        program.write_inputs(&[]),
        program.read(&[y]).map(|_| ()),
        program.time(1).map(|_| ()),
        program.time_runs(&[], 1).map(|_| ()),
        store.read(0, 0, 4).map(|_| ()),
        store.write(0, 0, &[0; 4]),
        program.profile(&[]).map(|_| ()),
        device.wait_idle(),
        device.pending().map(|_| ()),
        device.check(),
        GpuProgram::load(&device, Arc::new(small_program()), &store).map(|_| ()),
        GpuProgram::load(&device, Arc::default(), &store).map(|_| ()),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::DeviceLost(_)) && error.to_string() == message, "{error}");
    }
    // The adapter can be opened again.
    let again = GpuDevice::open(&Selection::Any, Checks::All).unwrap();
    load(&again, small_program()).1.run(&[], &[]).unwrap();
}

#[test]
fn an_embedders_device_serves_as_well() {
    let Some(opened) = device() else { return };
    let (_, adapter) = adapters::select(&Selection::Any).unwrap();
    // WebGPU's default limits, no features: what an application that only draws has.
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let device = GpuDevice::from_wgpu(&adapter, device, queue, Checks::Production).unwrap();
    assert_eq!(device.adapter().limits.storage_buffers, 8);
    assert_eq!(device.adapter().subgroups, None);
    assert_eq!(device.adapter().name, opened.adapter().name);
    let (_store, mut program) = load(&device, small_program());
    let y = program.program().outputs[0].location;
    let values = program.run(&[(0, bytes(&[1.0; 5]))], &[y]).unwrap().unwrap().wait().unwrap();
    assert_eq!(floats(&values[0]), [3.0; 5]);
    assert!(program.profile(&[]).unwrap().iter().all(|time| time.seconds > 0.0), "timed by the host");
    assert_eq!(program.time_runs(&[], 2).unwrap(), None, "it has no clock");
    device.wgpu_device().destroy();
    let outcome = program.run(&[], &[y]).and_then(|ticket| ticket.unwrap().wait());
    assert!(matches!(outcome, Err(Error::DeviceLost(_))), "{outcome:?}");
}
