//! The user-data that cloud-init was given for this boot.

use std::path::Path;

use serde_json::Value;

use super::error::SourceError;
use super::loaded::{Loaded, read, read_if_exists};
use super::metadata::find_addresses;
use crate::cloud_config::addresses::Addresses;
use crate::cloud_config::form;

/// The directory where cloud-init stores the user-data of this boot.
const DIRECTORY: &str = "var/lib/cloud/instance";

/// The file where cloud-init stores the metadata of the host.
const INSTANCE: &str = "run/cloud-init/instance-data.json";

/// Loads the user-data as it was given; if that is not a cloud-config (it may be in several parts), the one
/// that cloud-init made of it.
///
/// # Errors
///
/// - [`SourceError::Read`]: a file exists and cannot be read.
/// - [`SourceError::NoUserData`]: there is none.
pub(super) fn load(root: &Path) -> Result<Loaded, SourceError> {
    let directory = root.join(DIRECTORY);
    let mut document = None;
    for name in ["user-data.txt", "cloud-config.txt"] {
        let path = directory.join(name);
        let Some(bytes) = read_if_exists(&path)? else {
            continue;
        };
        let is_cloud_config = form::is_cloud_config(&bytes);
        if is_cloud_config || document.is_none() {
            document = Some((path, bytes));
        }
        if is_cloud_config {
            break;
        }
    }
    let Some((path, bytes)) = document else {
        return Err(SourceError::NoUserData(directory));
    };
    Ok(Loaded {
        name: path.display().to_string(),
        bytes: Some(bytes),
        addresses: instance_addresses(root),
        shared: true,
        ..Loaded::default()
    })
}

/// The addresses of the host in the metadata that the provider gave to cloud-init.
fn instance_addresses(root: &Path) -> Addresses {
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).ok();
    match read(&root.join(INSTANCE)).ok().and_then(parse) {
        Some(instance) => find_addresses(&[
            instance.pointer("/ds/meta_data"),
            instance.pointer("/v1"),
            instance.pointer("/ds"),
        ]),
        None => Addresses::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_data_is_used_as_it_was_given() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join(DIRECTORY);
        assert!(load(root.path()).is_err());
        std::fs::create_dir_all(&directory).expect("a directory");
        let put = |name: &str, text: &str| {
            std::fs::write(directory.join(name), text).expect("a file");
        };
        let loads = |name: &str| load(root.path()).expect("a file").name.ends_with(name);
        put("user-data.txt", "Content-Type: multipart/mixed\n");
        assert!(loads("user-data.txt"));
        put("cloud-config.txt", "#cloud-config\n");
        assert!(loads("cloud-config.txt"));
        put("user-data.txt", "#cloud-config-archive\n- content: x\n");
        assert!(loads("cloud-config.txt"));
        put("user-data.txt", "#cloud-config\na: 0123\n");
        assert!(loads("user-data.txt"));
    }
}
