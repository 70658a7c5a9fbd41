//! The example documents in `cloud-config/` are valid.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The document for hosts with cloud-init.
const WITH_CLOUD_INIT: &str = "beside-cloud-init.yaml";

#[test]
fn all_examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cloud-config");
    let readme = fs::read_to_string(folder.join("README.md")).expect("text");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.ends_with(".yaml") {
            continue;
        }
        seen += 1;
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md does not name {name}"
        );
        let mut program = Command::new(env!("CARGO_BIN_EXE_etcd-cloudinit"));
        program.arg("--validate").arg("--from-file").arg(&path);
        if name == WITH_CLOUD_INIT {
            program.args(["--sections", "coreos"]);
        }
        let output = program.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
    assert_eq!(seen, 7);
}
