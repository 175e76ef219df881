//! Work on rows: what fills the slot `row_work`.

use std::fmt::Write;

use super::{Emitted, Emitter, Style, scalar_type};
use crate::scalar::{RowWork, ScalarExpr};

/// The functions of a kernel of rows, which compute one element at a time or four neighbours. Inputs are bound from binding 1 on, outputs
/// after them. Rows that are computed in fours have a last dimension that is a multiple of four.
pub(crate) fn emit_rows(work: &RowWork, quads: bool) -> Emitted {
    let RowWork { expression, folds, of_rows, .. } = work;
    let (count, all) = (folds.len(), expression.outputs.len());
    let mut parts = Parts::new(work, quads);
    let passes = parts.pass_of_folds.iter().max().map_or(1, |last| last + 1);
    let mut text = parts.walk();
    let _ = writeln!(text, "const PASSES = {passes}u;\nconst STORES_ELEMENTS = {};", all > count + of_rows);
    for (pass, signature) in
        [(0, "first_part(line: Line, at: Reduced)"), (1, "second_part(line: Line, at: Reduced, first: Element)")]
    {
        let body = parts.fold(pass);
        let _ = writeln!(text, "fn {signature} -> Partial {{\n{body}}}");
    }
    let body = parts.stores(count..count + of_rows, false);
    let _ = writeln!(text, "fn store_row(line: Line, at: Reduced, first: Element, second: Element) {{\n{body}}}");
    let body = parts.stores(count + of_rows..all, true);
    let _ = writeln!(text, "fn store_elements(line: Line, at: Reduced, first: Element, second: Element) {{\n{body}}}");
    parts.finish(&text)
}

/// The parts of an expression, whose emitters share parameters and bindings.
struct Parts<'a> {
    work: &'a RowWork,
    quads: bool,
    pass_of_folds: Vec<usize>,
    vectors: Vec<bool>,
    accumulators: Vec<String>,
    params: Vec<u32>,
    bound: Vec<usize>,
    outputs: Vec<&'static str>,
}

impl<'a> Parts<'a> {
    fn new(work: &'a RowWork, quads: bool) -> Self {
        let component = |k: usize| if work.folds.len() == 1 { "" } else { [".x", ".y", ".z", ".w"][k % 4] };
        let pass_of_folds = work.pass_of_folds();
        let accumulators = pass_of_folds.iter().enumerate().map(|(k, &pass)| {
            let total = format!("{}{}", if pass == 0 { "first" } else { "second" }, component(k));
            if quads { format!("vec4<f32>({total})") } else { total }
        });
        let vectors = Emitter::new(&work.expression, Self::style(quads), 1).vectors;
        Self {
            work,
            quads,
            vectors,
            accumulators: accumulators.collect(),
            pass_of_folds,
            params: Vec::new(),
            bound: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn style(quads: bool) -> Style {
        if quads { Style::RowQuad } else { Style::Element }
    }

    /// How a kernel walks along rows.
    fn walk(&mut self) -> String {
        let expression = &self.work.expression;
        let mut emitter = Emitter::new(expression, Self::style(self.quads), 1);
        emitter.params = std::mem::take(&mut self.params);
        let text = emitter.walk([self.work.border, expression.dims.len()], self.quads);
        self.params = emitter.params;
        text
    }

    /// Computes what some outputs are of, at an element or four, and then does `then` with their texts.
    fn part(&mut self, expression: &ScalarExpr, then: impl FnOnce(&mut String, Vec<String>)) -> String {
        let mut emitter = Emitter::new(expression, Self::style(self.quads), 1);
        emitter.vectors.clone_from(&self.vectors);
        emitter.accumulators.clone_from(&self.accumulators);
        emitter.params = std::mem::take(&mut self.params);
        emitter.bound = std::mem::take(&mut self.bound);
        emitter.coordinates([self.work.border, expression.dims.len()], self.quads);
        emitter.nodes();
        let values = expression.outputs.iter().map(|(id, _)| emitter.names[id.index()].clone()).collect();
        let mut body = std::mem::take(&mut emitter.body);
        self.params = std::mem::take(&mut emitter.params);
        self.bound = std::mem::take(&mut emitter.bound);
        then(&mut body, values);
        body
    }

    /// What is folded in a pass: the totals of the others stay as they are, which is nothing.
    fn fold(&mut self, pass: usize) -> String {
        let folds: Vec<usize> = (0..self.work.folds.len()).filter(|&k| self.pass_of_folds[k] == pass).collect();
        if folds.is_empty() {
            return "    return first_part(line, at);\n".to_owned();
        }
        let expression = self.work.part(folds.iter().copied());
        let (count, quads) = (self.work.folds.len(), self.quads);
        self.part(&expression, |body, values| {
            let lifted = |lane: &str| {
                let of_fold =
                    |k: usize| folds.iter().position(|&fold| fold == k).map(|at| format!("{}{lane}", values[at]));
                match count {
                    1 => format!("lift({}, at.index)", of_fold(0).unwrap_or_default()),
                    _ => {
                        let width = if count == 2 { 2 } else { 4 };
                        let all = (0..width).map(|k| of_fold(k).unwrap_or_else(|| "0.0".to_owned()));
                        format!("lift(Value({}), at.index)", all.collect::<Vec<_>>().join(", "))
                    }
                }
            };
            let _ = if quads {
                let [x, y, z, w] = [".x", ".y", ".z", ".w"].map(lifted);
                writeln!(body, "    return join(join({x}, {y}), join({z}, {w}));")
            } else {
                writeln!(body, "    return {};", lifted(""))
            };
        })
    }

    /// What is stored of a row, or of elements.
    fn stores(&mut self, outputs: std::ops::Range<usize>, of_elements: bool) -> String {
        if outputs.is_empty() {
            return String::new();
        }
        let expression = self.work.part(outputs);
        let quads = self.quads;
        let first = self.outputs.len();
        for &(_, stored) in &expression.outputs {
            self.outputs.push(match (scalar_type(stored), quads && of_elements) {
                (kind, false) => kind,
                ("i32", true) => "vec4<i32>",
                ("u32", true) => "vec4<u32>",
                (_, true) => "vec4<f32>",
            });
        }
        let index = if of_elements { "line.outer * params.steps + at.index" } else { "line.outer" };
        let lane = if quads && !of_elements { ".x" } else { "" };
        self.part(&expression, |body, values| {
            for (output, value) in values.iter().enumerate() {
                let output = first + output;
                let _ = writeln!(body, "    result{output}[{index}] = ({value}){lane};");
            }
        })
    }

    fn finish(self, text: &str) -> Emitted {
        let mut emitter = Emitter::new(&self.work.expression, Self::style(self.quads), 1);
        emitter.vectors = self.vectors;
        emitter.params = self.params;
        emitter.bound = self.bound;
        emitter.outputs = self.outputs;
        emitter.finish("ExpressionParams", &format!("#import fold/sum\n{text}"))
    }
}
