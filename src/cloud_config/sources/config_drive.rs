//! A mounted config drive in the format of OpenStack.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::SourceError;
use super::loaded::{Loaded, read, read_if_exists};
use super::metadata::find_addresses;
use crate::cloud_config::merge::Metadata;

/// Loads the document and the metadata of a config drive, which may be mounted below `root`.
///
/// # Errors
///
/// - [`SourceError::Read`]: the directory is not a config drive, or a file cannot be read.
/// - [`SourceError::Json`]: the metadata is not JSON.
pub(super) fn load(directory: &str, root: &Path) -> Result<Loaded, SourceError> {
    let below: PathBuf = root.join(directory.trim_start_matches('/'));
    let directory = match below.is_dir() {
        true => below,
        false => PathBuf::from(directory),
    };
    let latest = directory.join("openstack/latest");
    let path = latest.join("user_data");
    let mut loaded = Loaded {
        name: path.display().to_string(),
        ..Loaded::default()
    };
    loaded.bytes = match latest.is_dir() {
        true => read_if_exists(&path)?,
        false => Some(read(&path)?),
    };
    let path = latest.join("meta_data.json");
    // Some providers leave the file empty.
    let Some(bytes) = read_if_exists(&path)?.filter(|bytes| !bytes.is_empty()) else {
        return Ok(loaded);
    };
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| SourceError::Json { path, error })?;
    loaded.metadata = to_metadata(&value);
    loaded.addresses = find_addresses(&[Some(&value)]);
    // Metadata is applied even without a document.
    if loaded.bytes.is_none() && loaded.metadata != Metadata::default() {
        loaded.bytes = Some(Vec::new());
    }
    Ok(loaded)
}

fn to_metadata(value: &Value) -> Metadata {
    let keys = value.get("public_keys").and_then(Value::as_object);
    let keys = keys.into_iter().flat_map(|keys| keys.values());
    Metadata {
        hostname: value
            .get("hostname")
            .and_then(Value::as_str)
            .map(String::from),
        ssh_authorized_keys: keys.filter_map(Value::as_str).map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::addresses::Kind;

    #[test]
    fn metadata_is_parsed() {
        let value: Value = serde_json::from_str(
            r#"{"hostname": "h", "public_keys": {"k": "ssh-rsa A"}, "local-ipv4": "10.9.9.9", "public-ipv4": "x"}"#,
        )
        .expect("JSON");
        let metadata = to_metadata(&value);
        assert_eq!(metadata.hostname.as_deref(), Some("h"));
        assert_eq!(metadata.ssh_authorized_keys, ["ssh-rsa A"]);
        let addresses = find_addresses(&[Some(&value)]);
        assert_eq!(addresses.get(Kind::PrivateIpv4), "10.9.9.9".parse().ok());
        assert_eq!(addresses.get(Kind::PublicIpv4), None);
    }

    #[test]
    fn a_drive_without_a_document_has_metadata() {
        let root = tempfile::tempdir().expect("a directory");
        let latest = root.path().join("drive/openstack/latest");
        let load = || load("/drive", root.path());
        assert!(load().is_err());
        std::fs::create_dir_all(&latest).expect("a directory");
        let put = |name: &str, text: &str| std::fs::write(latest.join(name), text).expect("a file");
        assert_eq!(load().expect("a drive").bytes, None);
        put("meta_data.json", "");
        assert_eq!(load().expect("a drive").bytes, None);
        put("meta_data.json", "{\"uuid\": \"x\"}");
        assert_eq!(load().expect("a drive").bytes, None);
        put("meta_data.json", "{\"hostname\": \"h\"}");
        let loaded = load().expect("a drive");
        assert_eq!(loaded.bytes.as_deref(), Some(&b""[..]));
        assert_eq!(loaded.metadata.hostname.as_deref(), Some("h"));
        put("meta_data.json", "{");
        assert!(load().is_err());
    }
}
