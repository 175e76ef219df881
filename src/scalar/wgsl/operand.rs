//! What a reduction folds: what fills the slot `operand`.
//!
//! A fold walks along the reduced axes. Its coordinates move on by additions and carries, as digits do, so that its loop has no division;
//! those of its line are found once.

use std::fmt::Write;
use std::ops::Range;

use super::{Emitted, Emitter, Style, scalar_type};
use crate::scalar::expression::{ScalarExpr, ScalarNode};
use crate::tensor::DType;

/// `fn part(line: Line, at: Reduced) -> Partial`, the fold of one element or of four neighbours, and how a fold walks ([`Emitter::walk`]);
/// with the alias `ExpressionParams`. Its inputs are bound from binding 1 on. What is read in fours is reduced along its last axis, a
/// multiple of four.
pub(crate) fn emit_operand(expression: &ScalarExpr, borders: [usize; 2], in_fours: bool) -> Emitted {
    let mut emitter = Emitter::new(expression, if in_fours { Style::Fours } else { Style::Element }, 1);
    let walk = emitter.walk(borders, in_fours);
    emitter.coordinates(borders, in_fours);
    let (id, _) = expression.outputs[0];
    let is_bool = expression.types[id.index()] == DType::Bool;
    let value = |emitter: &Emitter<'_>| {
        let value = &emitter.names[id.index()];
        if is_bool { format!("Value({value})") } else { value.clone() }
    };
    if in_fours {
        emitter.load_fours();
        let last = expression.dims.len() - 1;
        let (params, start) = (emitter.params.len(), emitter.body.len());
        for (number, lane) in ["x", "y", "z", "w"].into_iter().enumerate() {
            // Each lane has the same words of the parameters.
            emitter.params.truncate(params);
            emitter.names.clear();
            emitter.lane = lane;
            let _ = writeln!(emitter.body, "    var {lane}: Partial;\n    {{\n    let c{last} = first + {number};");
            emitter.nodes();
            let value = value(&emitter);
            let _ = writeln!(emitter.body, "    {lane} = lift({value}, 4u * at.index + {number}u);\n    }}");
        }
        let lanes = emitter.body.split_off(start);
        let _ = writeln!(emitter.body, "    let first = c{last};\n{lanes}    return join(join(x, y), join(z, w));");
    } else {
        emitter.nodes();
        let value = value(&emitter);
        let _ = writeln!(emitter.body, "    return lift({value}, at.index);");
    }
    let body = std::mem::take(&mut emitter.body);
    let part = format!("{walk}fn part(line: Line, at: Reduced) -> Partial {{\n{body}}}\n");
    emitter.finish("ExpressionParams", &format!("#import fold/sum\n{part}"))
}

/// True where four neighbours along the last axis, which is reduced, are neighbours in memory, too.
pub(crate) fn is_read_in_fours(expression: &ScalarExpr, borders: [usize; 2]) -> bool {
    let (rank, inner) = (expression.dims.len(), expression.dims.last().copied().unwrap_or(0));
    let emitter = Emitter::new(expression, Style::Fours, 1);
    borders[0] < rank
        && borders[1] == rank
        && inner > 0
        && inner.is_multiple_of(4)
        && expression.nodes.iter().any(|node| match node {
            ScalarNode::Load { input, at } => emitter.is_loaded_together(*input, at),
            _ => false,
        })
}

impl Emitter<'_> {
    /// The types and functions by which a fold walks: `Line`, the coordinates that it keeps to, from the index of its line; `Reduced`, an
    /// index along the reduced axes with their coordinates; and that some indices on.
    pub(super) fn walk(&mut self, borders: [usize; 2], in_fours: bool) -> String {
        let rank = self.expression.dims.len();
        let (before, reduced, behind) = (0..borders[0], borders[0]..borders[1], borders[1]..rank);
        let body = std::mem::take(&mut self.body);
        self.split(before.clone(), "outer", false);
        self.split(behind.clone(), "column", false);
        let fixed: Vec<usize> = before.chain(behind).collect();
        let mut text = structure("Line", "outer: u32", &fixed, "i32");
        let names = arguments("outer", &fixed, |axis| format!("c{axis}"));
        let _ = writeln!(
            text,
            "fn line_at(outer: u32, column: u32) -> Line {{\n{}    return Line({names});\n}}",
            self.body
        );
        self.body.clear();

        // One axis alone is the index.
        let axes: Vec<usize> = if reduced.len() > 1 { reduced.clone().collect() } else { Vec::new() };
        text.push_str(&structure("Reduced", "index: u32", &axes, "u32"));
        if !axes.is_empty() {
            self.split(reduced, "index", in_fours);
        }
        let names = arguments("index", &axes, |axis| format!("u32(c{axis})"));
        let _ =
            writeln!(text, "fn reduced_at(index: u32) -> Reduced {{\n{}    return Reduced({names});\n}}", self.body);
        self.body.clear();

        for (number, &axis) in axes.iter().enumerate().rev() {
            let carry = axes.get(number + 1).map_or(String::new(), |next| format!(" + carry{next}"));
            let _ = writeln!(self.body, "    var c{axis} = at.c{axis} + by.c{axis}{carry};");
            if number > 0 {
                let extent = self.extent(axis, in_fours);
                let _ = writeln!(self.body, "    let carry{axis} = select(0u, 1u, c{axis} >= {extent});");
                let _ = writeln!(self.body, "    c{axis} -= carry{axis} * {extent};");
            }
        }
        let names = arguments("at.index + by.index", &axes, |axis| format!("c{axis}"));
        let _ = writeln!(
            text,
            "fn reduced_moved(at: Reduced, by: Reduced) -> Reduced {{\n{}    return Reduced({names});\n}}",
            self.body
        );
        self.body = body;
        text
    }

    /// The coordinates at a line and an index along the reduced axes; of the first of four neighbours, where those are read.
    pub(super) fn coordinates(&mut self, borders: [usize; 2], in_fours: bool) {
        let rank = self.expression.dims.len();
        let reduced: Range<usize> = borders[0]..borders[1];
        for axis in (0..borders[0]).chain(borders[1]..rank) {
            let _ = writeln!(self.body, "    let c{axis} = line.c{axis};");
        }
        for axis in reduced.clone() {
            let own = if reduced.len() > 1 { format!("at.c{axis}") } else { "at.index".to_owned() };
            let own = if in_fours && axis + 1 == rank { format!("4u * {own}") } else { own };
            let _ = writeln!(self.body, "    let c{axis} = i32({own});");
        }
    }

    /// Loads what four neighbours read together.
    fn load_fours(&mut self) {
        let expression = self.expression;
        for (index, node) in expression.nodes.iter().enumerate() {
            let ScalarNode::Load { input, at } = node else { continue };
            if !self.is_loaded_together(*input, at) {
                continue;
            }
            let address = self.address(at, false, false);
            let source = self.source(*input);
            let text = if self.vectors[*input] {
                format!("{source}[u32({address}) / 4u]")
            } else {
                format!("{source}_quad({address})")
            };
            let kind = scalar_type(expression.inputs[*input]);
            let _ = writeln!(self.body, "    let four{index}: vec4<{kind}> = {text};");
        }
    }
}

fn structure(name: &str, first: &str, axes: &[usize], kind: &str) -> String {
    let members: String = axes.iter().map(|axis| format!("    c{axis}: {kind},\n")).collect();
    format!("struct {name} {{\n    {first},\n{members}}}\n")
}

fn arguments(first: &str, axes: &[usize], name: impl Fn(usize) -> String) -> String {
    std::iter::once(first.to_owned()).chain(axes.iter().map(|&axis| name(axis))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Affine, Builder};

    #[test]
    fn what_a_fold_repeats_has_no_division() {
        let dims = [2, 4, 5, 3, 8];
        let mut builder = Builder::new(DType::F32);
        let value = builder.load(0, DType::F32, Affine::new(0, [480, 120, 24, 8, 1]));
        let expression = builder.finish(dims.to_vec(), vec![DType::F32], vec![(value, DType::F32)]);
        for (borders, in_fours) in [([1, 3], false), ([2, 5], false), ([2, 5], true)] {
            let module = emit_operand(&expression, borders, in_fours).module;
            let of = |name: &str| {
                let (_, from_here) = module.split_once(&format!("fn {name}(")).unwrap();
                from_here.split("\n}").next().unwrap().to_owned()
            };
            // A vector's index is a shift.
            for name in ["part", "reduced_moved"] {
                let body = of(name).replace(" / 4u]", "");
                assert!(!body.contains('%') && !body.contains(" / ") && !body.contains("/="), "{name}: {body}");
            }
            assert!(of("reduced_at").contains('%'));
        }
    }
}
