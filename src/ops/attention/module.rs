//! A score as what fills the slot `score` of the kernels.

use std::fmt::Write;

use super::known::expressed;
use super::score::Leaf;
use super::{Attention, AttentionPass, Sizes};
use crate::scalar::{Affine, Builder, Functions};
use crate::shader::Operand;
use crate::tensor::DType;

/// A block's index, and the first and the last of its queries and keys.
const BLOCK: &str = "batch: i32, head: i32, queries: vec2<i32>, keys: vec2<i32>";

/// The functions of a score, whose buffers are bound from a binding on; behind them seed and step, where weights are left out.
pub(super) fn functions(attention: &Attention, sizes: &Sizes, buffers: &[&Operand], first_binding: usize) -> String {
    let score = &attention.score;
    let declared = score.declared();
    let mut functions = Functions::default();
    for (index, buffer) in buffers.iter().enumerate() {
        let kind = match buffer.ty.dtype {
            DType::I32 => "i32",
            DType::U32 => "u32",
            _ => "f32",
        };
        functions.add_text(&format!(
            "@group(0) @binding({}) var<storage, read> buffer{index}: array<{kind}>;\n\
             fn buffer{index}_at(at: vec4<i32>) -> {kind} {{\n    return buffer{index}[buffer_address({index}u, at)];\n}}\n",
            first_binding + index
        ));
    }
    let read = |input: usize| match Leaf::of(input) {
        Leaf::Score => "score".to_owned(),
        Leaf::Batch => "at.x".to_owned(),
        Leaf::Head => "at.y".to_owned(),
        Leaf::Query => "at.z".to_owned(),
        Leaf::Key => "at.w".to_owned(),
        Leaf::Upstream => "upstream".to_owned(),
        Leaf::Buffer(index) => format!("buffer{index}_at(at)"),
    };
    let last = Leaf::Buffer(declared.len()).index();
    let inputs: Vec<DType> = (0..last).map(|input| score.dtype(Leaf::of(input), DType::F32)).collect();
    let mut load = |builder: &mut Builder, leaf: Leaf| {
        builder.load(leaf.index(), score.dtype(leaf, DType::F32), Affine::constant(0, 0))
    };
    for (pass, signature) in [
        (AttentionPass::Forward, "new_score(score: f32, at: vec4<i32>)"),
        (AttentionPass::Backward, "score_gradient(score: f32, at: vec4<i32>, upstream: f32)"),
    ] {
        let (builder, outputs) = score.written(pass, DType::F32, &mut load);
        let outputs = outputs.into_iter().take(1).map(|id| (id, DType::F32)).collect();
        functions.add_scalar(signature, "", &builder.finish(Vec::new(), inputs.clone(), outputs), read);
    }
    let mut builder = Builder::new(DType::F32);
    let factor = match attention.dropout {
        Some(dropout) => {
            // Seed and step.
            let state = [0, 1].map(|word| builder.load(last + word, DType::U32, Affine::constant(0, 0)));
            dropout.express(&mut builder, DType::F32, sizes, &mut load, state)
        }
        None => builder.number(1.0),
    };
    let with_state = inputs.into_iter().chain([DType::U32; 2]).collect();
    let factor = builder.finish(Vec::new(), with_state, vec![(factor, DType::F32)]);
    functions.add_scalar("weight_factor(at: vec4<i32>)", "", &factor, |input| {
        if input < last {
            read(input)
        } else {
            format!("buffer{}_at(vec4<i32>({}, 0, 0, 0))", declared.len(), input - last)
        }
    });
    // Of integers that vary along one side of a block at most, the range is found by reading them.
    let has_range = |leaf: Leaf| match leaf {
        Leaf::Buffer(index) => {
            let shape = &buffers[index].ty.shape;
            declared[index].is_integer && (shape[2] == 1 || shape[3] == 1)
        }
        _ => true,
    };
    let known = expressed(score, sizes, &has_range);
    let mut prelude = String::new();
    for (index, buffer) in buffers.iter().enumerate().take(declared.len()) {
        if (0..2).any(|end| known.reads(2 * Leaf::Buffer(index).index() + end)) {
            functions.add_text(&range(index, [buffer.ty.shape[2], buffer.ty.shape[3]]));
            let _ = writeln!(prelude, "    let range{index} = range_of_buffer{index}(batch, head, queries, keys);");
        }
    }
    functions.add_scalar(&format!("known_of_block({BLOCK})"), &prelude, &known, |input| {
        let end = ["x", "y"][input % 2];
        match Leaf::of(input / 2) {
            Leaf::Batch => "batch".to_owned(),
            Leaf::Head => "head".to_owned(),
            Leaf::Query => format!("queries.{end}"),
            Leaf::Key => format!("keys.{end}"),
            Leaf::Buffer(index) => format!("range{index}.{end}"),
            // Of no range.
            Leaf::Score | Leaf::Upstream => "0".to_owned(),
        }
    });
    functions.module()
}

/// The least and the greatest value of a buffer of integers in a block: along the queries or the keys, whichever has more than one.
fn range(index: usize, [queries, keys]: [usize; 2]) -> String {
    let mut text = format!(
        "fn range_of_buffer{index}({BLOCK}) -> vec2<i32> {{\n\
         \x20   var range = vec2<i32>(buffer{index}_at(vec4<i32>(batch, head, queries.x, keys.x)));\n"
    );
    if queries > 1 || keys > 1 {
        let (side, at) = if queries > 1 { ("queries", "item, keys.x") } else { ("keys", "queries.x, item") };
        let _ = write!(
            text,
            "    for (var item = {side}.x + 1; item <= {side}.y; item++) {{\n\
             \x20       let value = buffer{index}_at(vec4<i32>(batch, head, {at}));\n\
             \x20       range = vec2<i32>(min(range.x, value), max(range.y, value));\n    }}\n"
        );
    }
    text.push_str("    return range;\n}\n");
    text
}
