//! Expressions as WGSL: the generated modules of map and reduce kernels and of epilogues.
//!
//! Shapes, strides and offsets go into the kernel's uniform parameters, so that one pipeline serves all tensors with the
//! same kind of access; only what changes the code (which strides are 0 or 1, whether lanes are aligned) is in the text.

mod arrays;
mod calls;
mod finish;
mod guards;
mod operand;
mod rows;

use std::fmt::Write;
use std::ops::Range;

pub(crate) use arrays::Functions;
#[cfg(test)]
pub(crate) use calls::generated_imports;
pub use finish::Epilogue;
pub(crate) use operand::{emit_operand, is_read_in_fours};
pub(crate) use rows::emit_rows;

use super::affine::Affine;
use super::expression::{ScalarExpr, ScalarNode};
use crate::tensor::DType;

/// A generated module, with what must be bound and passed to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The WGSL.
    pub module: String,
    /// Words of its part of the uniform parameters; a multiple of four.
    pub params: Vec<u32>,
    /// The expression's inputs that are bound, in the order of their bindings.
    pub inputs: Vec<usize>,
}

/// The slot `expression` of a map: `fn evaluate(quad: u32)`, which computes and stores four neighbouring elements.
/// `in_place[k]` names the input that output k overwrites. Outputs are bound after the inputs, from binding 1 on.
pub(crate) fn emit_map(expression: &ScalarExpr, in_place: &[Option<usize>]) -> Emitted {
    let mut emitter = Emitter::new(expression, Style::Map, 1);
    emitter.in_place = in_place.to_vec();
    emitter.quads();
    emitter.nodes();
    emitter.store_quads();
    let body = std::mem::take(&mut emitter.body);
    emitter.finish("ExpressionParams", &format!("fn evaluate(quad: u32) {{\n{body}}}\n"))
}

fn pack_half(value: &str, convert: &str) -> String {
    format!(
        "vec2<u32>({convert}({value}.x) | ({convert}({value}.y) << 16u), {convert}({value}.z) | ({convert}({value}.w) << 16u))"
    )
}

/// The WGSL type of one element in registers.
fn scalar_type(dtype: DType) -> &'static str {
    match dtype.compute() {
        DType::I32 => "i32",
        DType::U32 => "u32",
        DType::Bool => "bool",
        _ => "f32",
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Four lanes, stores included.
    Map,
    /// One element, returned.
    Element,
    /// The same for each of four neighbours, which are loaded together.
    Fours,
    /// One element, from a value that is passed, stored.
    Finish,
    /// The same of four neighbouring elements.
    FinishQuad,
    /// Four neighbours of a row.
    RowQuad,
    /// Numbers that are passed to a function.
    Function,
}

impl Style {
    /// True for the last step of a routine.
    fn is_finish(self) -> bool {
        matches!(self, Self::Finish | Self::FinishQuad)
    }
}

struct Emitter<'a> {
    expression: &'a ScalarExpr,
    style: Style,
    params: Vec<u32>,
    body: String,
    /// The name of each node's value.
    names: Vec<String>,
    /// Inputs in binding order.
    bound: Vec<usize>,
    /// Whether each input is declared as vectors of four.
    vectors: Vec<bool>,
    in_place: Vec<Option<usize>>,
    /// Of a function: the text by which each input is read.
    reads: Vec<String>,
    /// The texts of accumulators.
    accumulators: Vec<String>,
    outputs: Vec<&'static str>,
    first_binding: usize,
    /// Of four neighbours: which one is computed.
    lane: &'static str,
    /// In quads: whether the four lanes share all but the innermost coordinate.
    aligned: bool,
}

impl<'a> Emitter<'a> {
    fn new(expression: &'a ScalarExpr, style: Style, first_binding: usize) -> Self {
        let inner = expression.dims.last().copied().unwrap_or(1);
        let aligned = expression.dims.len() <= 1 || inner.is_multiple_of(4);
        let mut emitter = Self {
            expression,
            style,
            params: Vec::new(),
            body: String::new(),
            names: Vec::new(),
            bound: Vec::new(),
            vectors: Vec::new(),
            in_place: Vec::new(),
            reads: Vec::new(),
            accumulators: vec!["value".to_owned()],
            outputs: Vec::new(),
            first_binding,
            lane: "x",
            aligned,
        };
        emitter.vectors = (0..expression.inputs.len()).map(|input| emitter.reads_vectors(input)).collect();
        emitter
    }

    fn is_lanes(&self) -> bool {
        matches!(self.style, Style::Map | Style::FinishQuad | Style::RowQuad)
    }

    /// True where four neighbours are loaded together.
    fn loads_fours(&self) -> bool {
        self.is_lanes() || self.style == Style::Fours
    }

    /// True where every load of an input takes four neighbouring, aligned elements of 32 bits.
    fn reads_vectors(&self, input: usize) -> bool {
        self.loads_fours()
            && self.expression.inputs[input].size() == 4
            && !self.expression.gathers(input)
            && self.expression.nodes.iter().all(|node| match node {
                ScalarNode::Load { input: read, at } if *read == input => self.is_quad(at),
                _ => true,
            })
    }

    /// True where the four lanes read neighbouring elements from a multiple of four on.
    fn is_quad(&self, at: &Affine) -> bool {
        let Some((inner, outer)) = at.strides.split_last() else { return false };
        self.aligned && *inner == 1 && at.offset % 4 == 0 && outer.iter().all(|stride| stride % 4 == 0)
    }

    /// A word of the parameters, as an i32 expression.
    fn param(&mut self, value: i64) -> String {
        if self.style == Style::Function {
            // A word of the kernel's own parameters that is 0.
            return format!("i32(params.zero ^ {}u)", value as u32);
        }
        let name = if self.style.is_finish() { "finish" } else { "expression" };
        self.params.push(value as i32 as u32);
        let k = self.params.len() - 1;
        format!("params.{name}[{}].{}", k / 4, ["x", "y", "z", "w"][k % 4])
    }

    /// Coordinates `c0, c1, …` from the three groups' indices in `at`.
    fn decompose(&mut self, borders: [usize; 2]) {
        let rank = self.expression.dims.len();
        let groups = [0..borders[0], borders[0]..borders[1], borders[1]..rank];
        for (group, part) in groups.into_iter().zip(["x", "y", "z"]) {
            self.split(group, &format!("at.{part}"), false);
        }
    }

    /// Coordinates of neighbouring axes from an index, of fours along the last axis where `in_fours`.
    fn split(&mut self, axes: Range<usize>, index: &str, in_fours: bool) {
        let axes: Vec<usize> = axes.collect();
        let Some((&first, rest)) = axes.split_first() else { return };
        if rest.is_empty() {
            let _ = writeln!(self.body, "    let c{first} = i32({index});");
            return;
        }
        let _ = writeln!(self.body, "    var rest{first} = {index};");
        for &axis in rest.iter().rev() {
            let extent = self.extent(axis, in_fours);
            let _ = writeln!(self.body, "    let c{axis} = i32(rest{first} % {extent});");
            let _ = writeln!(self.body, "    rest{first} /= {extent};");
        }
        let _ = writeln!(self.body, "    let c{first} = i32(rest{first});");
    }

    /// The extent of an axis, as an u32 expression; that of the last one in fours where those are counted.
    fn extent(&mut self, axis: usize, in_fours: bool) -> String {
        let is_last = axis + 1 == self.expression.dims.len();
        let extent = self.expression.dims[axis] / if in_fours && is_last { 4 } else { 1 };
        format!("u32({})", self.param(extent as i64))
    }

    /// Coordinates of four neighbouring points: scalars where the lanes share them, else vectors. The innermost is the first
    /// lane's where aligned.
    fn quads(&mut self) {
        let dims = self.expression.dims.clone();
        let last = self.param(self.expression.len() as i64 - 1);
        let _ = writeln!(self.body, "    let first = i32(quad * 4u);");
        let _ =
            writeln!(self.body, "    let points = min(vec4<i32>(first) + vec4<i32>(0, 1, 2, 3), vec4<i32>({last}));");
        let start = if self.aligned { "first" } else { "points" };
        if dims.len() <= 1 {
            let _ = writeln!(self.body, "    let c0 = first;");
            return;
        }
        let kind = if self.aligned { "u32" } else { "vec4<u32>" };
        let signed = if self.aligned { "i32" } else { "vec4<i32>" };
        let _ = writeln!(self.body, "    var rest = {kind}({start});");
        for axis in (1..dims.len()).rev() {
            let extent = self.param(dims[axis] as i64);
            let _ = writeln!(self.body, "    let c{axis} = {signed}(rest % {kind}(u32({extent})));");
            let _ = writeln!(self.body, "    rest /= {kind}(u32({extent}));");
        }
        let _ = writeln!(self.body, "    let c0 = {signed}(rest);");
    }

    /// Stores each output's four neighbouring elements at the index `quad`.
    fn store_quads(&mut self) {
        let expression = self.expression;
        for (output, &(id, stored)) in expression.outputs.iter().enumerate() {
            let value = self.names[id.index()].clone();
            let (element, packed) = match stored {
                DType::F16 => ("vec2<u32>", pack_half(&value, "f32_to_f16")),
                DType::BF16 => ("vec2<u32>", pack_half(&value, "f32_to_bf16")),
                DType::Bool | DType::U8 => {
                    let words = if stored == DType::Bool { format!("vec4<u32>({value})") } else { value };
                    ("u32", format!("dot({words}, vec4<u32>(1u, 256u, 65536u, 16777216u))"))
                }
                DType::I32 => ("vec4<i32>", value),
                DType::U32 => ("vec4<u32>", value),
                _ => ("vec4<f32>", value),
            };
            let _ = writeln!(self.body, "    result{output}[quad] = {packed};");
            self.declare_output(output, element);
        }
    }

    /// The address at the coordinates, without the innermost step where `outer_only`.
    fn address(&mut self, at: &Affine, vector: bool, outer_only: bool) -> String {
        let mut text = String::new();
        let rank = at.strides.len();
        for (axis, &stride) in at.strides.iter().enumerate() {
            if stride == 0 || (outer_only && axis + 1 == rank) {
                continue;
            }
            if !text.is_empty() {
                text.push_str(" + ");
            }
            if stride == 1 {
                let _ = write!(text, "c{axis}");
            } else {
                let stride = self.param(stride);
                let _ = write!(text, "{stride} * c{axis}");
            }
        }
        let offset = self.param(at.offset);
        match (text.is_empty(), vector) {
            (true, false) => offset,
            (true, true) => format!("vec4<i32>({offset})"),
            (false, _) => format!("({text} + {offset})"),
        }
    }

    /// The name by which an input is read; inputs are bound on first use.
    fn source(&mut self, input: usize) -> String {
        if let Some(output) = self.in_place.iter().position(|&other| other == Some(input)) {
            return format!("result{output}");
        }
        if !self.bound.contains(&input) {
            self.bound.push(input);
        }
        let prefix = if self.style.is_finish() { "extra" } else { "source" };
        format!("{prefix}{input}")
    }

    /// One element of an input.
    fn element(&mut self, input: usize, address: &str) -> String {
        let source = self.source(input);
        match self.expression.inputs[input] {
            DType::F16 | DType::BF16 | DType::Bool | DType::U8 => format!("{source}_at({address})"),
            _ => format!("{source}[u32({address})]"),
        }
    }

    fn four(&mut self, input: usize, addresses: &str) -> String {
        let kind = scalar_type(self.expression.inputs[input]);
        let parts: Vec<String> =
            ["x", "y", "z", "w"].iter().map(|lane| self.element(input, &format!("{addresses}.{lane}"))).collect();
        format!("vec4<{kind}>({})", parts.join(", "))
    }

    fn load(&mut self, index: usize, input: usize, at: &Affine) -> String {
        if self.style == Style::Function {
            return self.reads.get(input).cloned().unwrap_or_default();
        }
        if self.style == Style::Fours && self.is_loaded_together(input, at) {
            return format!("four{index}.{}", self.lane);
        }
        if !self.is_lanes() {
            let address = self.address(at, false, false);
            return self.element(input, &address);
        }
        if self.in_place.contains(&Some(input)) {
            let source = self.source(input);
            return format!("{source}[quad]");
        }
        let kind = scalar_type(self.expression.inputs[input]);
        if at.is_constant() {
            let address = self.param(at.offset);
            return format!("vec4<{kind}>({})", self.element(input, &address));
        }
        let inner = at.strides.last().copied().unwrap_or(0);
        if self.vectors[input] {
            let address = self.address(at, false, false);
            let source = self.source(input);
            return format!("{source}[u32({address}) / 4u]");
        }
        if self.is_quad(at) && self.expression.inputs[input].size() < 4 {
            let address = self.address(at, false, false);
            let source = self.source(input);
            return format!("{source}_quad({address})");
        }
        if self.aligned && at.strides.len() > 1 && inner == 0 {
            let address = self.address(at, false, true);
            return format!("vec4<{kind}>({})", self.element(input, &address));
        }
        let addresses = self.addresses(at);
        let _ = writeln!(self.body, "    let a{index} = {addresses};");
        self.four(input, &format!("a{index}"))
    }

    /// True where a load is one of four neighbours: of vectors, or of packed words.
    fn is_loaded_together(&self, input: usize, at: &Affine) -> bool {
        self.vectors[input] || self.is_quad(at) && self.expression.inputs[input].size() < 4
    }

    /// Four addresses, as a vector.
    fn addresses(&mut self, at: &Affine) -> String {
        if self.expression.dims.len() <= 1 {
            let (offset, stride) = (self.param(at.offset), at.strides.first().copied().unwrap_or(0));
            let stride = self.param(stride);
            return format!("vec4<i32>({offset}) + points * {stride}");
        }
        if self.aligned {
            let inner = at.strides.last().copied().unwrap_or(0);
            let base = self.address(at, false, false);
            let step = self.param(inner);
            return format!("vec4<i32>({base}) + vec4<i32>(0, 1, 2, 3) * {step}");
        }
        self.address(at, true, false)
    }

    fn nodes(&mut self) {
        let expression = self.expression;
        for (index, node) in expression.nodes.iter().enumerate() {
            let dtype = expression.types[index];
            let text = match node {
                ScalarNode::Constant(constant) => {
                    let literal = self.literal(*constant);
                    self.names.push(literal);
                    continue;
                }
                ScalarNode::Accumulator(number) => {
                    let value = &self.accumulators[*number];
                    // Truth values are reduced as numbers.
                    self.names.push(if dtype == DType::Bool { format!("({value} != 0u)") } else { value.clone() });
                    continue;
                }
                ScalarNode::Index(at) if self.is_lanes() => self.addresses(at),
                ScalarNode::Index(at) => self.address(at, false, false),
                ScalarNode::Load { input, at } => self.load(index, *input, at),
                ScalarNode::Gather { input, address } => {
                    let address = self.names[address.index()].clone();
                    if self.is_lanes() { self.four(*input, &address) } else { self.element(*input, &address) }
                }
                ScalarNode::Call { function, arguments } => self.call(*function, arguments),
            };
            let kind =
                if self.is_lanes() { format!("vec4<{}>", scalar_type(dtype)) } else { scalar_type(dtype).to_owned() };
            let _ = writeln!(self.body, "    let v{index}: {kind} = {text};");
            self.names.push(format!("v{index}"));
        }
    }

    fn declare_output(&mut self, output: usize, element: &'static str) {
        assert_eq!(self.outputs.len(), output);
        self.outputs.push(element);
    }

    /// The whole module: imports, parameters' type, bindings, accessors, and the function.
    fn finish(mut self, alias: &str, function: &str) -> Emitted {
        while self.params.is_empty() || !self.params.len().is_multiple_of(4) {
            self.params.push(0);
        }
        let mut module = format!("#import lanes/{}\n", if self.is_lanes() { "four" } else { "one" });
        module.push_str(&calls::imports(function));
        if function.contains("16(") || self.bound.iter().any(|&input| self.expression.inputs[input].size() == 2) {
            module.push_str("#import shared/half\n");
        }
        if !self.is_lanes() {
            module.push_str("#import element/f32\n");
        }
        let _ = writeln!(module, "alias {alias} = array<vec4<i32>, {}>;", self.params.len() / 4);
        let prefix = if self.style.is_finish() { "extra" } else { "source" };
        let mut binding = self.first_binding;
        for &input in &self.bound {
            let stored = self.expression.inputs[input];
            let scalar = if stored.size() < 4 { "u32" } else { scalar_type(stored) };
            let element = if self.vectors[input] { format!("vec4<{scalar}>") } else { scalar.to_owned() };
            let _ =
                writeln!(module, "@group(0) @binding({binding}) var<storage, read> {prefix}{input}: array<{element}>;");
            binding += 1;
            accessors(&mut module, &format!("{prefix}{input}"), stored, self.loads_fours());
        }
        for (output, element) in self.outputs.iter().enumerate() {
            let _ = writeln!(
                module,
                "@group(0) @binding({binding}) var<storage, read_write> result{output}: array<{element}>;"
            );
            binding += 1;
        }
        module.push_str(function);
        Emitted { module, params: self.params, inputs: self.bound }
    }
}

/// Functions that read one element, or four neighbours, out of packed words.
fn accessors(module: &mut String, source: &str, stored: DType, quads: bool) {
    let (kind, shift, mask, width, wrap): (_, _, _, _, fn(&str) -> String) = match stored {
        DType::F16 => ("f32", 1, "0xffffu", 16, |word| format!("f16_to_f32({word})")),
        DType::BF16 => ("f32", 1, "0xffffu", 16, |word| format!("bf16_to_f32({word})")),
        DType::U8 => ("u32", 2, "0xffu", 8, |word| word.to_owned()),
        DType::Bool => ("bool", 2, "0xffu", 8, |word| format!("({word} != 0u)")),
        _ => return,
    };
    let lanes = if shift == 1 { "1u" } else { "3u" };
    let word = format!("((word >> ((u32(address) & {lanes}) * {width}u)) & {mask})");
    let _ = writeln!(
        module,
        "fn {source}_at(address: i32) -> {kind} {{\n    let word = {source}[u32(address) >> {shift}u];\n    return {};\n}}",
        wrap(&word)
    );
    if !quads {
        return;
    }
    let parts: Vec<String> = (0..4)
        .map(|lane| {
            let (name, position) = if shift == 1 { (lane / 2, lane % 2) } else { (0, lane) };
            wrap(&format!("((word{name} >> {}u) & {mask})", position * width))
        })
        .collect();
    let second =
        if shift == 1 { format!("    let word1 = {source}[(u32(address) >> 1u) + 1u];\n") } else { String::new() };
    let _ = writeln!(
        module,
        "fn {source}_quad(address: i32) -> vec4<{kind}> {{\n    let word0 = {source}[u32(address) >> {shift}u];\n{second}    return vec4<{kind}>({});\n}}",
        parts.join(", ")
    );
}
