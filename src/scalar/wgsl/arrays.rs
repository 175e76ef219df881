//! Expressions as functions of WGSL: from arrays of numbers to an array.

use std::fmt::Write;

use super::{Emitter, Style, calls};
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
        let mut emitter = Emitter::new(expression, Style::Function, 0);
        emitter.reads = (0..expression.inputs.len()).map(read).collect();
        emitter.nodes();
        let arguments: Vec<String> =
            arguments.iter().map(|(name, count)| format!("{name}: array<f32, {}>", (*count).max(1))).collect();
        let results: Vec<&str> = expression.outputs.iter().map(|(id, _)| emitter.names[id.index()].as_str()).collect();
        let results = if results.is_empty() { vec!["0.0"] } else { results };
        let kind = format!("array<f32, {}>", results.len());
        let _ = writeln!(
            self.text,
            "fn {name}({}) -> {kind} {{\n{}    return {kind}({});\n}}",
            arguments.join(", "),
            emitter.body,
            results.join(", ")
        );
    }

    /// The functions, after the modules that they import.
    pub(crate) fn module(self) -> String {
        format!("#import shared/lanes\n{}{}", calls::imports(&self.text), self.text)
    }
}
