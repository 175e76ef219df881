//! Barriers and subgroup operations that not all invocations reach together. naga lets them pass, as it does not follow variables; browsers
//! refuse them, and rightly so.
//!
//! A value *varies* where invocations may differ in it. This is followed through expressions, local variables, calls and results, but without
//! regard to which statement comes first, so it is a little stricter than WGSL's own rules.

use std::collections::HashMap;

use naga::{AddressSpace, Barrier, Binding, Block, BuiltIn, Expression, Function, Handle, LocalVariable, Module};
use naga::{Statement, StorageAccess};

/// Whose invocations must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Workgroup,
    Subgroup,
}

/// What breaks the rule; nothing where all is well.
pub fn problems(module: &Module) -> Vec<String> {
    let mut found = Vec::new();
    for scope in [Scope::Workgroup, Scope::Subgroup] {
        let mut known = HashMap::new();
        // A function comes behind those that it calls.
        for (handle, function) in module.functions.iter() {
            let facts = Analysis::of(module, scope, &known, function, function.arguments.iter().map(|_| None));
            known.insert(handle, facts);
        }
        for entry in &module.entry_points {
            let arguments = entry.function.arguments.iter().map(|argument| match argument.binding {
                Some(Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups)) => Some(0),
                Some(Binding::BuiltIn(BuiltIn::SubgroupId)) if scope == Scope::Subgroup => Some(0),
                _ => Some(ALWAYS),
            });
            let facts = Analysis::of(module, scope, &known, &entry.function, arguments);
            found.extend(facts.demands.into_iter().filter(|(_, when)| when & ALWAYS != 0).map(|(what, _)| what));
        }
    }
    found
}

/// When something varies: always, where the call does not reach all invocations, or where one of the function's arguments does (the
/// lowest bits).
type When = u64;

const ALWAYS: When = 1 << 63;
const CALLED_BY_SOME: When = 1 << 62;

/// What a caller must know of a function.
struct Facts {
    result: When,
    /// What it stores through each argument that is a pointer.
    through: Vec<When>,
    /// What all invocations must reach together, and when they do not.
    demands: Vec<(String, When)>,
}

/// When a part of the invocations has left a block before its end.
#[derive(Clone, Copy, Default)]
struct Left {
    breaks: When,
    continues: When,
    returns: When,
}

impl Left {
    fn or(self, other: Self) -> Self {
        Self {
            breaks: self.breaks | other.breaks,
            continues: self.continues | other.continues,
            returns: self.returns | other.returns,
        }
    }

    fn all(self) -> When {
        self.breaks | self.continues | self.returns
    }
}

struct Analysis<'a> {
    module: &'a Module,
    scope: Scope,
    known: &'a HashMap<Handle<Function>, Facts>,
    function: &'a Function,
    arguments: Vec<When>,
    locals: HashMap<Handle<LocalVariable>, When>,
    results: HashMap<Handle<Expression>, When>,
    facts: Facts,
}

impl<'a> Analysis<'a> {
    /// Of a function's arguments, when they vary; nothing where the caller knows.
    fn of(
        module: &'a Module,
        scope: Scope,
        known: &'a HashMap<Handle<Function>, Facts>,
        function: &'a Function,
        arguments: impl Iterator<Item = Option<When>>,
    ) -> Facts {
        let arguments: Vec<When> = arguments.zip(0..).map(|(when, index)| when.unwrap_or(1 << index)).collect();
        let facts = Facts { result: 0, through: vec![0; arguments.len()], demands: Vec::new() };
        let (locals, results) = (HashMap::new(), HashMap::new());
        let mut analysis = Self { module, scope, known, function, arguments, locals, results, facts };
        loop {
            let before = (analysis.locals.clone(), analysis.facts.through.clone());
            analysis.block(&function.body, CALLED_BY_SOME);
            if before == (analysis.locals.clone(), analysis.facts.through.clone()) {
                return analysis.facts;
            }
        }
    }

    /// Goes through statements that a part of the invocations reaches, under a condition.
    fn block(&mut self, block: &Block, mut some: When) -> Left {
        let mut left = Left::default();
        for statement in block {
            let now = match statement {
                Statement::Block(inner) => self.block(inner, some),
                Statement::If { condition, accept, reject } => {
                    let inner = some | self.varies(*condition);
                    self.block(accept, inner).or(self.block(reject, inner))
                }
                Statement::Switch { selector, cases } => {
                    let inner = some | self.varies(*selector);
                    let all = cases.iter().map(|case| self.block(&case.body, inner));
                    Left { breaks: 0, ..all.fold(Left::default(), Left::or) }
                }
                Statement::Loop { body, continuing, break_if } => {
                    let mut inner = some;
                    loop {
                        let condition = break_if.map_or(0, |condition| self.varies(condition));
                        let all = self.block(body, inner).or(self.block(continuing, inner));
                        // Who has left is missing in the next turn.
                        let next = inner | condition | all.breaks | all.returns;
                        if next == inner {
                            break Left { returns: all.returns, ..Left::default() };
                        }
                        inner = next;
                    }
                }
                Statement::Break => Left { breaks: some, ..Left::default() },
                Statement::Continue => Left { continues: some, ..Left::default() },
                Statement::Return { value } => {
                    self.facts.result |= some | value.map_or(0, |value| self.varies(value));
                    Left { returns: some, ..Left::default() }
                }
                other => {
                    self.simple(other, some);
                    Left::default()
                }
            };
            some |= now.all();
            left = left.or(now);
        }
        left
    }

    /// A statement without others in it.
    fn simple(&mut self, statement: &Statement, some: When) {
        match statement {
            Statement::Store { pointer, value } => {
                let when = some | self.varies(*value) | self.moves(*pointer);
                self.store(*pointer, when);
            }
            Statement::Call { function, arguments, result } => {
                let Some(called) = self.known.get(function) else { return };
                let given: Vec<When> = arguments.iter().map(|&argument| self.varies(argument)).collect();
                let here = |when: When| {
                    let of_arguments = given.iter().zip(0..).filter(|(_, index)| when & (1 << index) != 0);
                    let of_call = if when & CALLED_BY_SOME == 0 { 0 } else { some };
                    of_arguments.fold(when & ALWAYS | of_call, |all, (given, _)| all | given)
                };
                if let Some(result) = result {
                    *self.results.entry(*result).or_default() |= here(called.result);
                }
                for (what, when) in &called.demands {
                    self.demand(what, here(*when));
                }
                for (&argument, when) in arguments.iter().zip(&called.through) {
                    self.store(argument, here(*when));
                }
            }
            Statement::ControlBarrier(barrier) => {
                let is_small = barrier.contains(Barrier::SUB_GROUP);
                self.reach(if is_small { Scope::Subgroup } else { Scope::Workgroup }, "a barrier", some);
            }
            Statement::WorkGroupUniformLoad { .. } => self.reach(Scope::Workgroup, "workgroupUniformLoad", some),
            Statement::SubgroupBallot { .. }
            | Statement::SubgroupGather { .. }
            | Statement::SubgroupCollectiveOperation { .. }
            | Statement::CooperativeStore { .. } => {
                self.reach(Scope::Subgroup, "a subgroup operation", some);
            }
            // What holds others, or leaves, is `block`'s; the rest waits for nobody and changes no variable that is followed.
            Statement::Emit(_)
            | Statement::Block(_)
            | Statement::If { .. }
            | Statement::Switch { .. }
            | Statement::Loop { .. }
            | Statement::Break
            | Statement::Continue
            | Statement::Return { .. }
            | Statement::Kill
            | Statement::MemoryBarrier(_)
            | Statement::ImageStore { .. }
            | Statement::Atomic { .. }
            | Statement::ImageAtomic { .. }
            | Statement::RayQuery { .. }
            | Statement::RayPipelineFunction(_) => {}
        }
    }

    fn reach(&mut self, scope: Scope, what: &str, some: When) {
        if scope == self.scope {
            let name = self.function.name.as_deref().unwrap_or("main");
            self.demand(&format!("not all invocations of a {scope:?} reach {what} of {name} together"), some);
        }
    }

    fn demand(&mut self, what: &str, when: When) {
        match self.facts.demands.iter_mut().find(|(known, _)| known == what) {
            Some((_, known)) => *known |= when,
            None => self.facts.demands.push((what.to_owned(), when)),
        }
    }

    /// When the indices of a pointer vary.
    fn moves(&self, pointer: Handle<Expression>) -> When {
        match self.function.expressions[pointer] {
            Expression::Access { base, index } => self.varies(index) | self.moves(base),
            Expression::AccessIndex { base, .. } => self.moves(base),
            _ => 0,
        }
    }

    /// Something that varies is stored there.
    fn store(&mut self, pointer: Handle<Expression>, when: When) {
        match self.function.expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => self.store(base, when),
            Expression::LocalVariable(variable) => *self.locals.entry(variable).or_default() |= when,
            Expression::FunctionArgument(index) => {
                self.facts.through[index as usize] |= when;
                self.arguments[index as usize] |= when;
            }
            _ => {}
        }
    }

    fn varies(&self, expression: Handle<Expression>) -> When {
        match self.function.expressions[expression] {
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::Override(_)
            | Expression::ZeroValue(_)
            | Expression::ArrayLength(_)
            | Expression::WorkGroupUniformLoadResult { .. } => 0,
            Expression::FunctionArgument(index) => self.arguments[index as usize],
            Expression::LocalVariable(variable) => self.locals.get(&variable).copied().unwrap_or_default(),
            Expression::GlobalVariable(variable) => match self.module.global_variables[variable].space {
                AddressSpace::Uniform => 0,
                AddressSpace::Storage { access } if !access.contains(StorageAccess::STORE) => 0,
                _ => ALWAYS,
            },
            Expression::CallResult(_) => self.results.get(&expression).copied().unwrap_or_default(),
            Expression::Load { pointer: inner }
            | Expression::AccessIndex { base: inner, .. }
            | Expression::Splat { value: inner, .. }
            | Expression::Swizzle { vector: inner, .. }
            | Expression::Unary { expr: inner, .. }
            | Expression::As { expr: inner, .. }
            | Expression::Relational { argument: inner, .. } => self.varies(inner),
            Expression::Access { base, index } => self.varies(base) | self.varies(index),
            Expression::Binary { left, right, .. } => self.varies(left) | self.varies(right),
            Expression::Select { condition, accept, reject } => {
                self.varies(condition) | self.varies(accept) | self.varies(reject)
            }
            Expression::Compose { ref components, .. } => {
                components.iter().fold(0, |all, &component| all | self.varies(component))
            }
            Expression::Math { arg, arg1, arg2, arg3, .. } => {
                let all = [Some(arg), arg1, arg2, arg3];
                all.into_iter().flatten().fold(0, |all, argument| all | self.varies(argument))
            }
            _ => ALWAYS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::problems;

    /// How many problems the body of a kernel has.
    fn found(body: &str) -> usize {
        let source = format!(
            "@group(0) @binding(0) var<uniform> count: u32;
            @group(0) @binding(1) var<storage, read_write> data: array<u32>;
            fn together() {{ workgroupBarrier(); }}
            fn bounded(end: u32) {{ for (var i = 0u; i < end; i++) {{ together(); }} }}
            fn put(at: ptr<function, u32>, value: u32) {{ *at = value; }}
            fn larger(a: u32, b: u32) -> u32 {{ if a > b {{ return a; }} return b; }}
            @compute @workgroup_size(64)
            fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {{ {body} }}"
        );
        let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{error}"));
        problems(&module).len()
    }

    #[test]
    fn barriers_that_some_invocations_miss_are_found() {
        for body in [
            "if local < 3u { together(); }",
            "bounded(local);",
            "for (var i = local; i < count; i += 64u) { workgroupBarrier(); }",
            "var end = count; put(&end, local); bounded(end);",
            "if local == 0u { return; } workgroupBarrier();",
            "loop { if local > count { break; } workgroupBarrier(); }",
            "bounded(data[0]);",
            "bounded(larger(count, local));",
            "var end = 0u; for (var i = 0u; i < local; i++) { end++; } bounded(end);",
            "if subgroupAny(local > 5u) { together(); }",
            "for (var i = local; i < 7u; i++) { data[i] = subgroupShuffle(local, i); }",
        ] {
            assert_eq!(found(body), 1, "{body}");
        }
    }

    #[test]
    fn barriers_that_all_reach_are_fine() {
        for body in [
            "bounded(count);",
            "bounded(larger(count, group.x)); data[larger(local, 1u)] = 0u;",
            "if group.x > count { return; } for (var i = local; i < count; i += 64u) { data[i] = i; } together();",
            "var end = count; put(&end, group.y); bounded(end);",
            "loop { if local > count { break; } data[local]++; } workgroupBarrier();",
            "let value = subgroupShuffle(local, 3u); data[local] = value; storageBarrier();",
        ] {
            assert_eq!(found(body), 0, "{body}");
        }
    }
}
