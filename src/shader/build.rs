//! Building dispatches from WGSL of one's own, for operators from other crates.
//!
//! A kernel is a file of plain WGSL, valid by itself: `main` is the entry point; binding 0 of group 0 is the uniform parameters, whose
//! first word is the grid's width; storage buffers follow from binding 1 on, in the order in which the builder names them. Lines
//! `#import shared/name` are replaced by the modules of [`files`](super::files), once each.

use std::borrow::Cow;

use super::compose::compose_source;
use super::files::{Element, Slot};
use super::kernel::{Access, Bound, DispatchPlan, Kernel, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// Workgroups that every adapter allows in one dimension of a dispatch.
const IN_A_LINE: usize = 65_535;

/// A dispatch of WGSL of one's own, under construction. What is wrong is told when it is finished.
///
/// ```
/// use wgrad::shader::{Bound, DispatchPlan, KernelPlan};
/// const DOUBLE: &str = "
/// #import shared/numbers
/// struct Params { grid_width: u32, count: u32 }
/// const WIDTH = 64u;
/// @group(0) @binding(0) var<uniform> params: Params;
/// @group(0) @binding(1) var<storage, read> source: array<f32>;
/// @group(0) @binding(2) var<storage, read_write> result: array<f32>;
/// @compute @workgroup_size(WIDTH)
/// fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
///     let index = (group.y * params.grid_width + group.x) * WIDTH + local;
///     if index < params.count {
///         result[index] = larger(2.0 * source[index], 0.0);
///     }
/// }";
/// let dispatch = DispatchPlan::wgsl("double", DOUBLE)
///     .constant("WIDTH", 128)
///     .params([1000])
///     .reads(Bound::Input(0))
///     .writes(Bound::Output(0))
///     .folded_workgroups(1000_usize.div_ceil(128))?;
/// assert!(dispatch.kernel.source.contains("const WIDTH = 128u;"));
/// let plan = KernelPlan::from(dispatch);
/// assert_eq!(plan.describe(), "double ×8");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DispatchBuilder<'a> {
    label: String,
    source: Cow<'a, str>,
    modules: Vec<(&'a str, Cow<'a, str>)>,
    params: Vec<u32>,
    bindings: Vec<Access>,
    bound: Vec<Bound>,
    subgroups: bool,
    problem: Option<String>,
}

impl DispatchPlan {
    /// A dispatch of a kernel from its WGSL. The label is what profiles and messages call it: the kernel, and which variant.
    pub fn wgsl<'a>(label: impl Into<String>, source: &'a str) -> DispatchBuilder<'a> {
        DispatchBuilder {
            label: label.into(),
            source: source.into(),
            modules: Vec::new(),
            params: Vec::new(),
            bindings: Vec::new(),
            bound: Vec::new(),
            subgroups: false,
            problem: None,
        }
    }
}

impl<'a> DispatchBuilder<'a> {
    fn wrong(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// Gives a constant of the source another value: the line `const NAME = …;` of an u32 is replaced.
    pub fn constant(mut self, name: &str, value: u32) -> Self {
        let is_it = |line: &str| {
            let rest = line.trim_start().strip_prefix("const ").and_then(|rest| rest.trim_start().strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with([' ', '=', ':']))
        };
        if !self.source.lines().any(is_it) {
            self.wrong(format!("the source has no line that begins with \"const {name}\""));
            return self;
        }
        let lines = self.source.lines().map(|line| {
            if is_it(line) { Cow::Owned(format!("const {name} = {value}u;")) } else { Cow::Borrowed(line) }
        });
        self.source = lines.collect::<Vec<_>>().join("\n").into();
        self
    }

    /// A module that the source imports by this name: one of its own, or another text for one of [`files`](super::files).
    pub fn module(mut self, name: &'a str, text: impl Into<Cow<'a, str>>) -> Self {
        self.modules.push((name, text.into()));
        self
    }

    /// The next words of the uniform parameters, which follow the grid's width.
    pub fn params(mut self, words: impl IntoIterator<Item = usize>) -> Self {
        for word in words {
            match u32::try_from(word) {
                Ok(word) => self.params.push(word),
                Err(_) => self.wrong(format!("the parameter {word} does not fit 32 bits")),
            }
        }
        self
    }

    /// A float as the next word of the uniform parameters.
    pub fn param_f32(mut self, value: f32) -> Self {
        self.params.push(value.to_bits());
        self
    }

    /// The next storage binding: `var<storage, read>`. Inputs of a routine are read alone.
    pub fn reads(self, bound: Bound) -> Self {
        self.binds(bound, Access::Read)
    }

    /// The next storage binding: `var<storage, read_write>`. What an output or scratch memory holds before it is written is not defined.
    pub fn writes(mut self, bound: Bound) -> Self {
        if let Bound::Input(input) = bound {
            self.wrong(format!("input {input} is bound for writing, and can only be read"));
        }
        self.binds(bound, Access::ReadWrite)
    }

    fn binds(mut self, bound: Bound, access: Access) -> Self {
        self.bindings.push(access);
        self.bound.push(bound);
        self
    }

    /// The last bindings and parameters, of a routine that [accepts an epilogue](crate::graph::Routine::accepts_epilogue): the kernel
    /// imports `finish/element` and passes each element of its only output to `finish(value, index, at)` once, with its row-major index
    /// and its batch, row and column, instead of storing it. The last member of its parameters is `finish: FinishParams`.
    pub fn finishes(mut self, shapes: &RoutineShapes<'_>) -> Self {
        if shapes.epilogue.is_none() && shapes.outputs.len() != 1 {
            self.wrong(format!("an epilogue takes one output, not {}", shapes.outputs.len()));
            return self;
        }
        let epilogue = shapes.last_step();
        let dtype = shapes.outputs.first().map_or(DType::F32, |output| output.dtype);
        let element = match Element::of(dtype.compute()) {
            Ok(element) => element.text(),
            Err(problem) => {
                self.wrong(problem);
                return self;
            }
        };
        let emitted = epilogue.emit(self.bound.len() + 1);
        // Its parameters are vectors of four words, and the grid's width comes first.
        while !(self.params.len() + 1).is_multiple_of(4) {
            self.params.push(0);
        }
        self.params.extend(&emitted.params);
        for &input in &emitted.inputs {
            self = self.binds(Bound::Input(shapes.inputs.len() + input), Access::Read);
        }
        for output in 0..epilogue.expression.outputs.len() {
            self = self.binds(Bound::Output(output), Access::ReadWrite);
        }
        if !self.source.lines().any(|line| line.trim_end() == "#import finish/element") {
            self.wrong("a kernel that finishes its results imports finish/element".to_owned());
        }
        self.module("element/f32", element).module("finish/element", emitted.module)
    }

    /// The kernel needs subgroup operations, which [`Adapter::subgroups`](super::Adapter::subgroups) tells of.
    pub fn subgroups(mut self) -> Self {
        self.subgroups = true;
        self
    }

    /// The dispatch with at most 65,535 workgroups, which are one line: a workgroup's number is `workgroup_id.x`.
    ///
    /// # Errors
    /// More workgroups; an import that is not there; what the builder was told and cannot be.
    pub fn workgroups(self, count: usize) -> Result<DispatchPlan, String> {
        if count > IN_A_LINE {
            return Err(format!(
                "{}: {count} workgroups are more than the {IN_A_LINE} of a line; let the kernel unfold its number and say \
                 folded_workgroups",
                self.label
            ));
        }
        self.dispatch(count, false)
    }

    /// The dispatch with any number of workgroups. They are numbered in one line, which is folded into rows where it is longer than the
    /// device allows: a workgroup's number is `workgroup_id.y * params.grid_width + workgroup_id.x`, and the kernel has nothing to
    /// do where that is beyond the last.
    ///
    /// # Errors
    /// An import that is not there; what the builder was told and cannot be.
    pub fn folded_workgroups(self, count: usize) -> Result<DispatchPlan, String> {
        self.dispatch(count, true)
    }

    fn dispatch(self, workgroups: usize, folds: bool) -> Result<DispatchPlan, String> {
        let told = |problem: String| format!("{}: {problem}", self.label);
        if let Some(problem) = self.problem {
            return Err(told(problem));
        }
        let source = compose_source(&self.source, &self.modules).map_err(told)?.into();
        let kernel = Kernel {
            label: self.label,
            source,
            bindings: self.bindings,
            subgroups: self.subgroups,
            folds,
            iterations: None,
            is_trusted: false,
        };
        Ok(DispatchPlan { kernel, params: self.params, bound: self.bound, workgroups })
    }
}

impl From<DispatchPlan> for KernelPlan {
    fn from(dispatch: DispatchPlan) -> Self {
        Self { dispatches: vec![dispatch], scratch: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#import shared/numbers\nconst WIDTH = 64u;\nconst WIDTHS = 1u;\n#import own/part\n";

    fn source() -> DispatchBuilder<'static> {
        DispatchPlan::wgsl("kernel", SOURCE)
    }

    #[test]
    fn modules_and_constants_are_replaced_once_each() {
        let text = "#import shared/numbers\nfn own() {}\n";
        let dispatch = source().constant("WIDTH", 8).module("own/part", text).workgroups(1).unwrap();
        let composed = &dispatch.kernel.source;
        assert_eq!(composed.matches("fn larger(").count(), 1);
        assert!(composed.contains("const WIDTH = 8u;\nconst WIDTHS = 1u;\nfn own() {}"), "{composed}");
    }

    #[test]
    fn what_cannot_be_is_told() {
        let part = "fn own() {}\n";
        let complaint = |builder: DispatchBuilder<'_>| builder.workgroups(1).unwrap_err();
        assert!(complaint(source()).contains("kernel: no shader module \"own/part\""), "{}", complaint(source()));
        let whole = || source().module("own/part", part);
        assert!(complaint(whole().module("own/other", part)).contains("nothing imports \"own/other\""));
        assert!(complaint(whole().constant("WIDE", 1)).contains("const WIDE"));
        assert!(complaint(whole().params([1 << 40])).contains("32 bits"));
        assert!(complaint(whole().writes(Bound::Input(0))).contains("only be read"));
        assert!(whole().workgroups(65_536).unwrap_err().contains("folded_workgroups"));
        assert!(whole().folded_workgroups(65_536).is_ok());
    }
}
