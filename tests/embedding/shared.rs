//! What an application and its sessions share on the device: buffers of any size, textures, and the weights of another session.

use std::sync::mpsc::channel;
use std::thread;

use super::{adapter, batch, gpus, mask, open, training};
use wgrad::prelude::*;
use wgrad::session::{PixelLayout, Snapshot};

/// `y = 2·x + 1`, and the sum of that.
fn affine(shape: &[usize]) -> Graph {
    let g = Graph::new();
    let y = g.input("x", shape, F32) * 2.0 + 1.0;
    g.output("sum", &y.sum_all());
    g.output("y", &y);
    g
}

fn buffer(device: &wgpu::Device, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("an application's"),
        size: bytes,
        usage,
        mapped_at_creation: false,
    })
}

#[test]
fn buffers_need_no_padding_and_few_usages() {
    use wgpu::BufferUsages as U;
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, wgpu::Limits::default());
    let queue = device.as_gpu().unwrap().wgpu_queue().clone();
    for elements in [1_usize, 3, 4, 5, 17, 1000] {
        let values: Vec<f32> = (0..elements).map(|k| k as f32 - 2.5).collect();
        let expected: Vec<f32> = values.iter().map(|x| 2.0 * x + 1.0).collect();
        let bytes = 4 * elements as u64;
        for (input, output) in [
            (U::STORAGE, U::COPY_DST),
            (U::COPY_SRC, U::COPY_DST | U::STORAGE),
            (U::STORAGE | U::COPY_SRC, U::COPY_DST | U::STORAGE | U::COPY_SRC),
        ] {
            for extra in [0, 4, 64] {
                let mut session = affine(&[elements]).compile(&device).unwrap();
                let from = buffer(&raw, bytes + extra, input | U::COPY_DST);
                queue.write_buffer(&from, 0, bytemuck::cast_slice(&values));
                let is_whole = bytes + extra >= bytes.next_multiple_of(16);
                let bound = session.bind_input("x", from);
                if input == U::STORAGE && !is_whole {
                    // It can be neither bound nor copied.
                    let error = bound.unwrap_err().to_string();
                    assert!(error.contains("COPY_SRC") && error.contains("\"x\""), "{error}");
                    continue;
                }
                bound.unwrap();
                let to = buffer(&raw, bytes + extra, output | U::COPY_SRC);
                session.bind_output("y", to.clone()).unwrap();
                session.step(&[]).unwrap();
                assert_eq!(session.read("y").unwrap().to_vec::<f32>().unwrap(), expected);
                assert_eq!(read(&raw, &queue, &to)[..elements], expected, "{elements} {input:?} {output:?} {extra}");
                // Other buffers instead, and the host again.
                let other = buffer(&raw, bytes.next_multiple_of(16), U::STORAGE | U::COPY_SRC | U::COPY_DST);
                session.bind_input("x", other).unwrap();
                session.step(&[]).unwrap();
                assert_eq!(read(&raw, &queue, &to)[..elements], vec![1.0; elements]);
            }
        }
        let mut session = affine(&[elements]).compile(&device).unwrap();
        let small = buffer(&raw, 4 * (elements as u64 - 1), U::COPY_SRC | U::COPY_DST | U::STORAGE);
        for error in [session.bind_input("x", small.clone()), session.bind_output("y", small)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("needs {bytes} bytes")), "{error}");
        }
    }
}

/// One buffer as input and output: what was read is written afterwards, whatever its size.
#[test]
fn a_buffer_is_input_and_output_at_once() {
    use wgpu::BufferUsages as U;
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, wgpu::Limits::default());
    let queue = device.as_gpu().unwrap().wgpu_queue().clone();
    for elements in [3_usize, 1001, 1024] {
        for output_first in [false, true] {
            let mut session = affine(&[elements]).compile(&device).unwrap();
            let both = buffer(&raw, 4 * elements as u64, U::STORAGE | U::COPY_SRC | U::COPY_DST);
            if output_first {
                session.bind_output("y", both.clone()).unwrap();
                session.bind_input("x", both.clone()).unwrap();
            } else {
                session.bind_input("x", both.clone()).unwrap();
                session.bind_output("y", both.clone()).unwrap();
            }
            (0..3).for_each(|_| session.step(&[]).unwrap());
            // 0, 1, 3, 7.
            assert_eq!(read(&raw, &queue, &both)[..elements], vec![7.0; elements]);
        }
    }
}

#[test]
fn an_input_is_bound_or_given() {
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, wgpu::Limits::default());
    let mut session = affine(&[4]).compile(&device).unwrap();
    let ones = TensorData::from_vec(vec![1.0_f32; 4], [4]).unwrap();
    session.bind_input("x", buffer(&raw, 16, wgpu::BufferUsages::STORAGE)).unwrap();
    let error = session.run(&[("x", &ones)]).unwrap_err().to_string();
    assert!(error.contains("was given too"), "{error}");
    assert_eq!(session.run(&[]).unwrap()["y"].to_vec::<f32>().unwrap(), [1.0; 4]);
    session.unbind_input("x").unwrap();
    assert_eq!(session.run(&[("x", &ones)]).unwrap()["y"].to_vec::<f32>().unwrap(), [3.0; 4]);
    assert!(session.run(&[]).is_err());
    let error = session.bind_input("q", buffer(&raw, 16, wgpu::BufferUsages::STORAGE)).unwrap_err().to_string();
    assert!(error.contains("[\"x\"]"), "{error}");
}

fn read(device: &wgpu::Device, queue: &wgpu::Queue, from: &wgpu::Buffer) -> Vec<f32> {
    let host = buffer(device, from.size(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(from, 0, &host, 0, from.size());
    queue.submit([encoder.finish()]);
    host.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = host.get_mapped_range(..).unwrap();
    bytemuck::pod_collect_to_vec(&view)
}

fn texture(
    device: &wgpu::Device,
    [height, width]: [usize; 2],
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("an application's"),
        size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

/// The bytes of a texture, row by row.
fn pixels(device: &wgpu::Device, queue: &wgpu::Queue, texture: &wgpu::Texture) -> Vec<u8> {
    let row = texture.width() * texture.format().block_copy_size(None).unwrap();
    let padded = row.next_multiple_of(256);
    let host = buffer(
        device,
        u64::from(padded * texture.height()),
        wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
    );
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &host, layout },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    host.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = host.get_mapped_range(..).unwrap();
    let view: &[u8] = &view;
    view.chunks(padded as usize).flat_map(|line| line[..row as usize].to_vec()).collect()
}

#[test]
fn pictures_are_inputs_and_outputs() {
    use wgpu::{TextureFormat as F, TextureUsages as U};
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, wgpu::Limits::default());
    let queue = device.as_gpu().unwrap().wgpu_queue().clone();
    let size @ [height, width] = [7, 13];
    let negative = |shape: &[usize]| {
        let g = Graph::new();
        g.output("y", &(1.0 - g.input("x", shape, F32)));
        g
    };
    let bytes: Vec<u8> = (0..height * width * 4).map(|k| (k * 37 % 256) as u8).collect();
    let floats: Vec<f32> = (0..height * width).map(|k| k as f32 / 8.0 - 3.0).collect();
    let with = |format: F, bytes: &[u8]| {
        let made = texture(&raw, size, format, U::TEXTURE_BINDING | U::COPY_DST);
        let row = format.block_copy_size(None).unwrap() * width as u32;
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
        queue.write_texture(made.as_image_copy(), bytes, layout, made.size());
        made
    };
    let drawn = |format: F| texture(&raw, size, format, U::STORAGE_BINDING | U::COPY_SRC);
    // Bytes in and out, in both layouts and with fewer channels than the texture has.
    for (shape, layout, channels) in [
        (vec![height, width, 4], PixelLayout::ChannelsLast, 4),
        (vec![1, height, width, 3], PixelLayout::ChannelsLast, 3),
        (vec![4, height, width], PixelLayout::ChannelsFirst, 4),
        (vec![1, 3, height, width], PixelLayout::ChannelsFirst, 3),
        (vec![1, 1, height, width], PixelLayout::ChannelsFirst, 1),
        (vec![height, width], PixelLayout::ChannelsLast, 1),
    ] {
        let mut session = negative(&shape).compile(&device).unwrap();
        let to = drawn(F::Rgba8Unorm);
        session.bind_input_texture("x", &with(F::Rgba8Unorm, &bytes), layout).unwrap();
        session.bind_output_texture("y", &to, layout).unwrap();
        session.step(&[]).unwrap();
        let found = session.read("y").unwrap().to_vec::<f32>().unwrap();
        for at in 0..height * width {
            for channel in 0..channels {
                let element = match layout {
                    PixelLayout::ChannelsLast => at * channels + channel,
                    PixelLayout::ChannelsFirst => channel * height * width + at,
                };
                let expected = 1.0 - f32::from(bytes[at * 4 + channel]) / 255.0;
                assert!((found[element] - expected).abs() < 1e-6, "{shape:?} {at} {channel}");
            }
        }
        let image = pixels(&raw, &queue, &to);
        for at in 0..height * width {
            let expected: [u8; 4] = std::array::from_fn(|channel| match (channels, channel) {
                (1, 0..3) => 255 - bytes[at * 4],
                (_, channel) if channel < channels => 255 - bytes[at * 4 + channel],
                _ => 255,
            });
            assert_eq!(image[at * 4..][..4], expected, "{shape:?}, pixel {at}");
        }
        // Among an application's commands, and in parts.
        let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        session.bind_input_texture("x", &with(F::Rgba8Unorm, &[255; 7 * 13 * 4]), layout).unwrap();
        session.record(&mut encoder, &[]).unwrap();
        queue.submit([encoder.finish()]);
        assert!(pixels(&raw, &queue, &to).chunks(4).all(|pixel| pixel[0] == 0));
    }
    // Floats in and out, exactly; the output's buffer is another after the texture was bound.
    let mut session = negative(&[height, width]).compile(&device).unwrap();
    let to = drawn(F::R32Float);
    session.bind_input_texture("x", &with(F::R32Float, bytemuck::cast_slice(&floats)), PixelLayout::default()).unwrap();
    session.bind_output_texture("y", &to, PixelLayout::default()).unwrap();
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let copy = buffer(&raw, (4 * height * width).next_multiple_of(16) as u64, storage);
    session.bind_output("y", copy.clone()).unwrap();
    session.step(&[]).unwrap();
    let expected: Vec<f32> = floats.iter().map(|x| 1.0 - x).collect();
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&pixels(&raw, &queue, &to)), expected);
    assert_eq!(read(&raw, &queue, &copy)[..height * width], expected);
    // What does not fit is said.
    let mut refused = |texture: &wgpu::Texture, parts: &[&str]| {
        let input = session.bind_input_texture("x", texture, PixelLayout::default());
        let error = input.and_then(|()| session.bind_output_texture("y", texture, PixelLayout::default()));
        let error = error.unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    refused(&texture(&raw, [7, 12], F::R32Float, U::TEXTURE_BINDING), &["12×7", "13×7", "\"x\""]);
    refused(&texture(&raw, size, F::R32Float, U::COPY_DST), &["TEXTURE_BINDING"]);
    refused(&texture(&raw, size, F::R32Uint, U::TEXTURE_BINDING), &["R32Uint", "no floats"]);
    refused(&texture(&raw, size, F::R32Float, U::TEXTURE_BINDING), &["STORAGE_BINDING", "\"y\""]);
    let mut cpu = negative(&[height, width]).compile(&Device::cpu()).unwrap();
    assert!(cpu.bind_input_texture("x", &to, PixelLayout::default()).is_err());
}

#[test]
fn weights_go_to_a_session_on_another_thread() {
    let evaluation = || {
        let g = Graph::new();
        let model = Sequential::new([4]).dense(5).tanh().dropout(0.3).dense(1);
        g.output("y", &model.forward(&g, &g.input("x", [3, 4], F32), Mode::Evaluation));
        g
    };
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let (sender, receiver) = channel::<(Snapshot, TensorData)>();
        let own = device.clone();
        let user = thread::spawn(move || {
            let mut session = evaluation().compile(&own).unwrap();
            let x = batch(9, [3, 4]);
            let mut taken = 0;
            for (snapshot, expected) in receiver {
                session.take(&snapshot).unwrap();
                assert_eq!(session.run(&[("x", &x)]).unwrap()["y"], expected);
                taken += 1;
            }
            taken
        });
        let mut trainer = training().compile(&device).unwrap();
        let mut right = evaluation().compile(&device).unwrap();
        for number in 0..20 {
            let (x, mask) = (batch(number, [3, 4]), mask(number));
            trainer.step(&[("x", &x), ("mask", &mask)]).unwrap();
            // Through the host, for comparison.
            for (name, value) in trainer.parameters().map(Result::unwrap) {
                right.set_parameter(name, &value).unwrap();
            }
            let expected = right.run(&[("x", &batch(9, [3, 4]))]).unwrap()["y"].clone();
            sender.send((trainer.snapshot().unwrap(), expected)).unwrap();
        }
        drop(sender);
        assert_eq!(user.join().unwrap(), 20);
        // What does not fit is said.
        let mut other = affine(&[3]).compile(&device).unwrap();
        other.take(&trainer.snapshot().unwrap()).unwrap();
        let error = trainer.take(&other.snapshot().unwrap()).unwrap_err().to_string();
        assert!(error.contains("has no \"0.weight\"") || error.contains("has no \"0.bias\""), "{error}");
        if !device.is_cpu() {
            let cpu = training().compile(&Device::cpu()).unwrap();
            assert!(trainer.take(&cpu.snapshot().unwrap()).is_err());
        }
    }
}
