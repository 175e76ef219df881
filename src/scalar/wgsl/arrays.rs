//! Expressions as functions of WGSL: from arrays of numbers to an array.

use std::fmt::Write;

use super::{Emitter, Style, calls, scalar_type};
use crate::scalar::ScalarExpr;

/// Functions of a module, each an expression of constant loads.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    text: String,
}

impl Functions {
    /// Adds `fn name(argument: array<f32, n>, …) -> array<f32, outputs>`. `read` gives the text by which an input of the expression is
    /// read, as `state[1]`. Arrays have one element at least.
    pub(crate) fn add(
        &mut self,
        name: &str,
        arguments: &[(&str, usize)],
        expression: &ScalarExpr,
        read: impl Fn(usize) -> String,
    ) {
        let (body, results) = written(expression, read);
        let arguments: Vec<String> =
            arguments.iter().map(|(name, count)| format!("{name}: array<f32, {}>", (*count).max(1))).collect();
        let results = if results.is_empty() { vec!["0.0".to_owned()] } else { results };
        let kind = format!("array<f32, {}>", results.len());
        let _ = writeln!(
            self.text,
            "fn {name}({}) -> {kind} {{\n{body}    return {kind}({});\n}}",
            arguments.join(", "),
            results.join(", ")
        );
    }

    /// Adds `fn name(arguments) -> type` of an expression with one output. `prelude` are lines before it.
    pub(crate) fn add_scalar(
        &mut self,
        signature: &str,
        prelude: &str,
        expression: &ScalarExpr,
        read: impl Fn(usize) -> String,
    ) {
        let (body, results) = written(expression, read);
        let kind = expression.outputs.first().map_or("f32", |&(_, dtype)| scalar_type(dtype));
        let result = results.first().map_or("0.0", String::as_str);
        let _ = writeln!(self.text, "fn {signature} -> {kind} {{\n{prelude}{body}    return {result};\n}}");
    }

    /// Adds text of another kind.
    pub(crate) fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The functions, after the modules that they import.
    pub(crate) fn module(self) -> String {
        format!("#import lanes/one\n{}{}", calls::imports(&self.text), self.text)
    }
}

/// The lines that compute an expression, and the names of its outputs.
fn written(expression: &ScalarExpr, read: impl Fn(usize) -> String) -> (String, Vec<String>) {
    let mut emitter = Emitter::new(expression, Style::Function, 0);
    emitter.reads = (0..expression.inputs.len()).map(read).collect();
    emitter.nodes();
    let results = expression.outputs.iter().map(|(id, _)| emitter.names[id.index()].clone()).collect();
    (emitter.body, results)
}
