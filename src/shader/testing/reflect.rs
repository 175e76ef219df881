//! What naga says of a kernel: valid WGSL, no barrier that some invocations miss, bindings and sizes as the plan has them, and text for
//! every back end.

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};

use super::uniformity::problems;
use crate::shader::{Access, Adapter, DispatchPlan, KernelPlan};

/// Fails where a kernel of the plan is not valid, does not fit its bindings and parameters, breaks a limit of the adapter,
/// or cannot be written for a back end.
#[track_caller]
pub(crate) fn check(plan: &KernelPlan, adapter: &Adapter) {
    for dispatch in &plan.dispatches {
        let kernel = &dispatch.kernel;
        let (module, info) = validate(&kernel.label, &kernel.source);
        bindings(&module, dispatch);
        limits(&module, dispatch, adapter);
        write(&module, &info, &kernel.label);
    }
}

/// Parses and validates.
pub(super) fn validate(label: &str, source: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(source)));
    let problems = problems(&module);
    assert!(problems.is_empty(), "{label}: {problems:?}");
    (module, info)
}

fn bindings(module: &Module, dispatch: &DispatchPlan) {
    let label = &dispatch.kernel.label;
    let mut found = vec![None; dispatch.kernel.bindings.len()];
    let mut uniform = None;
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        assert_eq!(binding.group, 0, "{label}");
        match variable.space {
            AddressSpace::Uniform => {
                assert_eq!(binding.binding, 0, "{label}");
                uniform = Some(module.types[variable.ty].inner.size(module.to_ctx()));
            }
            AddressSpace::Storage { access } => {
                let index = binding.binding as usize - 1;
                assert!(index < found.len(), "{label}: the plan has no binding {}", binding.binding);
                assert_eq!(found[index], None, "{label}: binding {} is declared twice", binding.binding);
                let writes = access.contains(StorageAccess::STORE);
                found[index] = Some(if writes { Access::ReadWrite } else { Access::Read });
            }
            _ => panic!("{label}: {variable:?}"),
        }
    }
    let declared: Vec<Access> =
        found.into_iter().map(|access| access.unwrap_or_else(|| panic!("{label}: a hole"))).collect();
    assert_eq!(declared, dispatch.kernel.bindings, "{label}");
    assert_eq!(dispatch.bound.len(), declared.len(), "{label}: bound");
    let uniform = uniform.unwrap_or_else(|| panic!("{label}: no parameters"));
    assert_eq!(4 * (dispatch.params.len() as u32 + 1), uniform, "{label}: parameters");
    assert_eq!(uniform % 16, 0, "{label}");
}

fn limits(module: &Module, dispatch: &DispatchPlan, adapter: &Adapter) {
    let label = &dispatch.kernel.label;
    let size: u32 = module.entry_points[0].workgroup_size.iter().product();
    assert!(size as usize <= adapter.limits.workgroup_invocations, "{label}: {size} invocations");
    let bytes: u32 = module
        .global_variables
        .iter()
        .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
        .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16))
        .sum();
    assert!(bytes as usize <= adapter.limits.workgroup_bytes, "{label}: {bytes} bytes of workgroup memory");
    let shuffles = dispatch.kernel.source.contains("subgroup");
    let uses = shuffles
        && dispatch.kernel.source.lines().any(|line| line.contains("subgroup") && !line.trim().starts_with("//"));
    assert_eq!(uses, dispatch.kernel.subgroups, "{label}: subgroups");
}

/// As wgpu-hal would for Vulkan, DX12 and Metal.
pub(super) fn write(module: &Module, info: &ModuleInfo, label: &str) {
    for policy in [BoundsCheckPolicy::Unchecked, BoundsCheckPolicy::Restrict] {
        let checked = policy == BoundsCheckPolicy::Restrict;
        let options = spv::Options {
            lang_version: (1, 3),
            bounds_check_policies: BoundsCheckPolicies { index: policy, buffer: policy, ..Default::default() },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: checked,
            ..Default::default()
        };
        spv::write_vec(module, info, &options, None).unwrap_or_else(|error| panic!("{label} as SPIR-V: {error}"));
    }
    let of_matrices = |ty: &naga::Type| matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. });
    if !module.types.iter().any(|(_, ty)| of_matrices(ty)) {
        write_hlsl(module, info, label);
    }
    let options = msl::Options {
        lang_version: (2, 3),
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: true,
        ..Default::default()
    };
    msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|error| panic!("{label} as MSL: {error}"));
}

/// DX12 has no matrix instructions.
fn write_hlsl(module: &Module, info: &ModuleInfo, label: &str) {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_0,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        restrict_indexing: true,
        force_loop_bounding: true,
        ..Default::default()
    };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
        .write(module, info, None)
        .unwrap_or_else(|error| panic!("{label} as HLSL: {error}"));
    // Metal's fast form overflows; the scalar functions have one of their own.
    assert!(!text.contains("tanh("), "{label}: a built-in tanh");
}
