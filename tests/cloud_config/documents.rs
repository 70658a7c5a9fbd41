//! The documents in `cloud-config/` have no errors and no warnings.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The document for hosts where cloud-init applies the other sections.
const BESIDE: &str = "beside-cloud-init.yaml";

#[test]
fn each_document_is_clean() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cloud-config");
    let readme = fs::read_to_string(directory.join("README.md")).expect("text");
    let mut seen = 0;
    for entry in fs::read_dir(&directory).expect("a directory") {
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
            "README.md does not mention {name}"
        );
        let mut program = Command::new(env!("CARGO_BIN_EXE_etcd-cloudinit"));
        program.arg("--validate").arg("--from-file").arg(&path);
        if name == BESIDE {
            program.args(["--sections", "coreos"]);
        }
        let output = program.output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.is_empty(), "{text}");
    }
    assert_eq!(seen, 7);
}
