//! Every kernel file is valid as it lies on disk, with the modules that it imports as their defaults.

use super::reflect::validate;
use crate::shader::{compose, files};

#[test]
fn every_file_is_a_kernel_by_itself() {
    for (name, _) in files().iter().filter(|(name, _)| !name.starts_with("shared/")) {
        let source = compose(name, &[]).unwrap();
        let (module, _) = validate(name, &source);
        assert_eq!(module.entry_points.len(), 1, "{name}");
        assert_eq!(module.entry_points[0].name, "main", "{name}");
    }
}

#[test]
fn every_file_of_the_folder_is_listed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for (folder, prefix) in [(root.clone(), ""), (root.join("shared"), "shared/")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            if let Some(name) = file.strip_suffix(".wgsl") {
                let name = format!("{prefix}{name}");
                assert!(files().iter().any(|(listed, _)| *listed == name), "{name} is not listed");
            }
        }
    }
}
