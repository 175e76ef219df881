//! Composing WGSL: `#import name` lines are replaced by the module of that name, once each.
//!
//! The files under `shaders/` are plain WGSL but for those lines. A shared module on disk is its own default; a variant
//! replaces whole modules by generated text, so what an editor shows is real code.

use crate::tensor::DType;

/// All shader files: modules by their name, kernels by their file name without `.wgsl`.
pub fn files() -> &'static [(&'static str, &'static str)] {
    macro_rules! shaders {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))),*]
        };
    }
    shaders![
        "shared/lanes",
        "shared/numbers",
        "shared/exponential",
        "shared/logarithm",
        "shared/trigonometry",
        "shared/arctangent",
        "shared/power",
        "shared/remainder",
        "shared/functions",
        "shared/activations",
        "shared/random",
        "shared/half",
        "shared/expression",
        "shared/element",
        "shared/finish",
        "shared/tile",
        "shared/widen",
        "shared/lhs",
        "shared/lhs_quads",
        "shared/lhs_quads_half",
        "shared/rhs",
        "shared/rhs_pairs",
        "shared/rhs_quads",
        "shared/rhs_quads_half",
        "shared/finish_quads",
        "shared/product",
        "shared/storing",
        "shared/storing_quads",
        "shared/tiles",
        "shared/row_sums",
        "shared/row_sums_stored",
        "shared/row_sums_tiles",
        "shared/joined_rows",
        "shared/joined_rows_stored",
        "shared/staging",
        "shared/loading",
        "shared/loading_quads",
        "shared/window",
        "shared/convolution",
        "shared/convolution_source",
        "shared/convolution_result",
        "shared/convolution_storing",
        "shared/convolution_storing_quads",
        "shared/convolution_staging",
        "shared/operand",
        "shared/not_a_number",
        "shared/all_numbers",
        "shared/better",
        "shared/fold",
        "shared/fold_last",
        "shared/fold_product",
        "shared/fold_extreme",
        "shared/fold_index",
        "shared/fold_log_sum_exp",
        "shared/tree",
        "shared/running",
        "shared/cell",
        "shared/recurrence",
        "shared/recurrence_kind",
        "shared/state_product",
        "shared/state_product_lanes",
        "shared/step_barrier",
        "shared/step_barrier_subgroup",
        "shared/carry",
        "shared/carry_chunks",
        "shared/sort_key",
        "shared/sort_key_i32",
        "shared/sort_key_u32",
        "shared/sort_key_index",
        "shared/network",
        "shared/sorting",
        "shared/scatter",
        "shared/pool_axes",
        "shared/windows",
        "map",
        "reduce",
        "reduce_rows",
        "reduce_split",
        "reduce_partials",
        "matmul",
        "matmul_small",
        "matmul_direct",
        "matmul_software",
        "matmul_sum",
        "matmul_sum_quads",
        "convolution_software",
        "convolution_direct",
        "recurrence",
        "recurrence_backward",
        "scan",
        "scan_blocks",
        "scan_carries",
        "sort",
        "sort_rank",
        "sort_blocks",
        "sort_step",
        "sort_merge",
        "sort_gather",
        "scatter",
        "scatter_sorted",
        "pool_max",
        "pool_max_gather",
        "pool_max_scatter",
        "pool_sum",
        "pool_sum_gradient",
        "resample",
    ]
}

/// The complete WGSL of a kernel file, with some modules replaced.
///
/// # Errors
/// Where the file or an imported module does not exist.
pub fn compose(file: &str, replaced: &[(&str, &str)]) -> Result<String, String> {
    let mut text = String::new();
    let mut included = Vec::new();
    include(file, replaced, &mut included, &mut text)?;
    Ok(text)
}

/// The complete WGSL of a source of one's own, which imports modules of [`files`], and of its own that are among the replaced ones.
///
/// # Errors
/// Where an imported module does not exist, or nothing imports one that is given.
pub(crate) fn compose_source(source: &str, replaced: &[(&str, &str)]) -> Result<String, String> {
    let mut text = String::new();
    let mut included = Vec::new();
    lines(source, replaced, &mut included, &mut text)?;
    match replaced.iter().find(|(name, _)| !included.iter().any(|other| other == name)) {
        Some((name, _)) => Err(format!("nothing imports {name:?}")),
        None => Ok(text),
    }
}

/// A module of constants: the replacement of `shared/tile`.
pub(crate) fn constants(numbers: &[(&str, usize)], flags: &[(&str, bool)]) -> String {
    let numbers = numbers.iter().map(|(name, value)| format!("const {name} = {value}u;\n"));
    let flags = flags.iter().map(|(name, value)| format!("const {name} = {value};\n"));
    numbers.chain(flags).collect()
}

/// The replacement of `shared/element`: the types of a routine's values, and of what it passes to its last step.
///
/// # Errors
/// Where a type has no arithmetic on a GPU.
pub(crate) fn element_types(value: DType, element: DType) -> Result<String, String> {
    let name = |dtype: DType| match dtype {
        DType::F32 => Ok("f32"),
        DType::I32 => Ok("i32"),
        DType::U32 | DType::Bool => Ok("u32"),
        dtype => Err(format!("does not compute in {dtype} on a GPU")),
    };
    Ok(format!("alias Value = {};\nalias Element = {};\n", name(value)?, name(element)?))
}

/// A module as it is on disk, to replace its sibling.
///
/// # Errors
/// Where there is none of that name.
pub(crate) fn module(name: &str) -> Result<&'static str, String> {
    let found = files().iter().find(|(file, _)| *file == name);
    found.map(|(_, text)| *text).ok_or_else(|| format!("no shader module {name:?}"))
}

fn include(name: &str, replaced: &[(&str, &str)], included: &mut Vec<String>, text: &mut String) -> Result<(), String> {
    if included.iter().any(|other| other == name) {
        return Ok(());
    }
    included.push(name.to_owned());
    let source = match replaced.iter().find(|(module, _)| *module == name) {
        Some((_, source)) => *source,
        None => module(name)?,
    };
    lines(source, replaced, included, text)
}

fn lines(source: &str, replaced: &[(&str, &str)], included: &mut Vec<String>, text: &mut String) -> Result<(), String> {
    for line in source.lines() {
        match line.strip_prefix("#import ") {
            Some(module) => include(module.trim(), replaced, included, text)?,
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok(())
}
