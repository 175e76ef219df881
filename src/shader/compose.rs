//! Composing WGSL: `#import name` lines are replaced by the module of that name, once each.
//!
//! The files under `shaders/` are plain WGSL but for those lines. A shared module on disk is its own default; a variant
//! replaces whole modules by generated text, so what an editor shows is real code.

/// All shader files: modules by their name, kernels by their file name without `.wgsl`.
pub fn files() -> &'static [(&'static str, &'static str)] {
    macro_rules! shaders {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))),*]
        };
    }
    shaders![
        "shared/lanes",
        "shared/functions",
        "shared/random",
        "shared/half",
        "shared/expression",
        "shared/element",
        "shared/finish",
        "shared/tile",
        "shared/product",
        "shared/operand",
        "shared/not_a_number",
        "shared/all_numbers",
        "shared/better",
        "shared/fold",
        "shared/fold_product",
        "shared/fold_extreme",
        "shared/fold_place",
        "shared/fold_log_sum_exp",
        "shared/tree",
        "map",
        "reduce",
        "reduce_split",
        "reduce_partials",
        "matmul_direct",
        "matmul_software",
        "matmul_sum",
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

/// A module of constants: the replacement of `shared/tile`.
pub(crate) fn constants(numbers: &[(&str, usize)], flags: &[(&str, bool)]) -> String {
    let numbers = numbers.iter().map(|(name, value)| format!("const {name} = {value}u;\n"));
    let flags = flags.iter().map(|(name, value)| format!("const {name} = {value};\n"));
    numbers.chain(flags).collect()
}

fn include(name: &str, replaced: &[(&str, &str)], included: &mut Vec<String>, text: &mut String) -> Result<(), String> {
    if included.iter().any(|other| other == name) {
        return Ok(());
    }
    included.push(name.to_owned());
    let source = replaced
        .iter()
        .find(|(module, _)| *module == name)
        .map(|(_, source)| *source)
        .or_else(|| files().iter().find(|(file, _)| *file == name).map(|(_, source)| *source))
        .ok_or_else(|| format!("no shader module {name:?}"))?;
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
