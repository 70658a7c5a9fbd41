//! Where a document comes from, and what comes beside it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::addresses::{Addresses, Kind};
use super::form::{self, DOCUMENT_BYTES_MAX};
use super::merge::Metadata;
use crate::client::{Client, Request};
use crate::cluster::Address;

/// How often a URL is asked for. With the pauses in between that is about a minute: time for a network
/// to come up, and not so long that a boot hangs.
const ATTEMPTS_MAX: u32 = 15;

/// The first pause between two attempts; each is twice as long as the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Where cloud-init keeps what it was given for this boot.
const CLOUD_INIT: &str = "var/lib/cloud/instance";

/// Where cloud-init keeps what it knows of the machine.
const INSTANCE: &str = "run/cloud-init/instance-data.json";

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file; `-` for the standard input.
    File(String),
    /// A URL.
    Url(String),
    /// What Debian's cloud-init was given.
    CloudInit,
    /// A drive in OpenStack's form, mounted here.
    ConfigDrive(String),
    /// The URL on the kernel's command line, behind `cloud-config-url=`.
    ProcCmdline,
}

/// A document, and what came beside it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What to call it.
    pub name: String,
    /// The document; none if there is none and that is no error.
    pub bytes: Option<Vec<u8>>,
    /// What came beside it.
    pub metadata: Metadata,
    /// Addresses that came beside it, and win over the machine's variables.
    pub addresses: Addresses,
    /// Whether another tool handles what is not a cloud-config.
    pub shared: bool,
}

impl Source {
    /// Read it. `root` stands for `/` where the source is the machine's own.
    ///
    /// # Errors
    ///
    /// Why it cannot be had, as a sentence.
    pub fn load(&self, root: &Path) -> Result<Loaded, String> {
        match self {
            Self::File(name) => Ok(Loaded {
                name: name.clone(),
                bytes: Some(read(Path::new(name)).map_err(|error| format!("{name}: {error}"))?),
                ..Loaded::default()
            }),
            Self::Url(url) => from_url(url),
            Self::CloudInit => cloud_init(root),
            Self::ConfigDrive(folder) => config_drive(folder, root),
            Self::ProcCmdline => {
                let path = root.join("proc/cmdline");
                let line = read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                match url_of(&String::from_utf8_lossy(&line)) {
                    Some(url) => from_url(&url),
                    None => Ok(Loaded {
                        name: path.display().to_string(),
                        ..Loaded::default()
                    }),
                }
            }
        }
    }
}

/// Read as much as a document may have, and one byte more so that too much is noticed.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    match path == Path::new("-") {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// The URL on the kernel's command line; its words may have `-` or `_`.
fn url_of(line: &str) -> Option<String> {
    let value = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let ours = name.replace('_', "-") == "cloud-config-url" && !value.is_empty();
        ours.then(|| String::from(value))
    };
    // The last one wins, as in the kernel.
    line.split_whitespace().filter_map(value).next_back()
}

fn from_url(url: &str) -> Result<Loaded, String> {
    let (address, path) = parts(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let bytes = runtime.block_on(fetch(url, address, &path))?;
    Ok(Loaded {
        name: String::from(url),
        bytes: Some(bytes),
        ..Loaded::default()
    })
}

/// Where a URL is served, and what to ask for there.
fn parts(url: &str) -> Result<(Address, String), String> {
    const EXPECTED: &str = "expected http:// or https://";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!("{url}: {EXPECTED}"));
    };
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(format!("{url}: {EXPECTED}")),
    };
    // What stands behind `#` is for whoever reads the page.
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if let Some((_, host)) = host.rsplit_once('@') {
        // The password is not shown.
        return Err(format!(
            "{scheme}://...@{host}{path}: a name and password cannot be sent; leave them out of the URL"
        ));
    }
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{url:?} has a character in it that no URL has; write it as %20 and the like"
        ));
    }
    let base = format!("{scheme}://{host}");
    let address =
        Address::parse_with_port(&base, port).map_err(|error| format!("{base} {error}"))?;
    let path = match path.starts_with('/') {
        true => String::from(path),
        false => format!("/{path}"),
    };
    Ok((address, path))
}

/// Ask until there is an answer that another attempt would not change.
async fn fetch(url: &str, address: Address, path: &str) -> Result<Vec<u8>, String> {
    let client = Client::new(vec![address]);
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let why = match client.send(&Request::page(path)).await {
            Ok(answer) if answer.is_success() => return Ok(answer.body.to_vec()),
            Ok(answer) => {
                let why = format!("{url}: the answer's status is {}", answer.status);
                // The server is there and says no, unless it is only too busy.
                if (400..500).contains(&answer.status) && !matches!(answer.status, 408 | 429) {
                    return Err(why);
                }
                why
            }
            Err(error) => format!("{url}: {error}"),
        };
        if attempt == ATTEMPTS_MAX {
            return Err(format!("{why}; tried {attempt} times"));
        }
        eprintln!("etcd-cloudinit: {why}; trying again");
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
        attempt += 1;
    }
}

/// What cloud-init was given, as it was given; where that is no cloud-config by itself (it may be in
/// parts), what cloud-init made of it.
fn cloud_init(root: &Path) -> Result<Loaded, String> {
    let folder = root.join(CLOUD_INIT);
    let mut loaded = Loaded {
        shared: true,
        addresses: instance_addresses(root),
        ..Loaded::default()
    };
    let mut first = None;
    for name in ["user-data.txt", "cloud-config.txt"] {
        let path = folder.join(name);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let good = form::is_cloud_config(&bytes);
        if good || first.is_none() {
            first = Some((path, bytes));
        }
        if good {
            break;
        }
    }
    let Some((path, bytes)) = first else {
        return Err(format!(
            "{}: cloud-init has left nothing there",
            folder.display()
        ));
    };
    loaded.name = path.display().to_string();
    loaded.bytes = Some(bytes);
    Ok(loaded)
}

/// The machine's addresses as its provider told cloud-init.
fn instance_addresses(root: &Path) -> Addresses {
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).ok();
    match read(&root.join(INSTANCE)).ok().and_then(parse) {
        Some(instance) => addresses_of(&[
            instance.pointer("/ds/meta_data"),
            instance.pointer("/v1"),
            instance.pointer("/ds"),
        ]),
        None => Addresses::default(),
    }
}

/// The addresses in the first of some objects that has them. Providers write them in several ways.
fn addresses_of(objects: &[Option<&Value>]) -> Addresses {
    let mut addresses = Addresses::default();
    for (kind, names) in [
        (
            Kind::PrivateIpv4,
            ["local-ipv4", "local_ipv4", "private_ipv4"],
        ),
        (
            Kind::PublicIpv4,
            ["public-ipv4", "public_ipv4", "public-ip"],
        ),
        (
            Kind::PrivateIpv6,
            ["local-ipv6", "local_ipv6", "private_ipv6"],
        ),
        (Kind::PublicIpv6, ["public-ipv6", "public_ipv6", "ipv6"]),
    ] {
        let texts = objects
            .iter()
            .flatten()
            .flat_map(|object| names.iter().filter_map(|name| object.get(name)?.as_str()));
        for text in texts {
            // What is no address is not this machine's.
            if addresses.get(kind).is_none() {
                let _ = addresses.set(kind, text);
            }
        }
    }
    addresses
}

fn config_drive(folder: &str, root: &Path) -> Result<Loaded, String> {
    let below: PathBuf = root.join(folder.trim_start_matches('/'));
    let folder = match below.is_dir() {
        true => below,
        false => PathBuf::from(folder),
    };
    let latest = folder.join("openstack/latest");
    let mut loaded = Loaded::default();
    let path = latest.join("user_data");
    loaded.name = path.display().to_string();
    match read(&path) {
        Ok(bytes) => loaded.bytes = Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && latest.is_dir() => {}
        Err(error) => return Err(format!("{}: {error}", path.display())),
    }
    let path = latest.join("meta_data.json");
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    // As good as none, as some providers leave it.
    if bytes.is_empty() {
        return Ok(loaded);
    }
    let meta: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    loaded.metadata = metadata(&meta);
    loaded.addresses = addresses_of(&[Some(&meta)]);
    // What came beside a document counts without one, too.
    if loaded.bytes.is_none() && loaded.metadata != Metadata::default() {
        loaded.bytes = Some(Vec::new());
    }
    Ok(loaded)
}

fn metadata(meta: &Value) -> Metadata {
    let keys = meta.get("public_keys").and_then(Value::as_object);
    let keys = keys.into_iter().flat_map(|keys| keys.values());
    Metadata {
        hostname: meta
            .get("hostname")
            .and_then(Value::as_str)
            .map(String::from),
        ssh_authorized_keys: keys.filter_map(Value::as_str).map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_command_line_names_a_url() {
        assert_eq!(
            url_of("root=/dev/sda cloud-config-url=http://a/ cloud_config_url=http://b/c quiet\n"),
            Some(String::from("http://b/c"))
        );
        assert_eq!(url_of("cloud-config-url= quiet"), None);
    }

    #[test]
    fn only_what_can_be_fetched_is_tried() {
        for bad in [
            "https:///x",
            "http://",
            "ftp://example.com",
            "example.com/x",
            "http://a/b c",
            "http://a b/c",
            "http://a/\u{fc}",
            "http://a/b\n",
        ] {
            assert!(from_url(bad).is_err(), "{bad}");
        }
        let error = from_url("http://me:secret@a.example/x").map(|loaded| loaded.name);
        let error = error.expect_err("a password");
        assert!(
            !error.contains("secret") && error.contains("a.example/x"),
            "{error}"
        );
    }

    #[test]
    fn a_url_has_a_place_and_a_path() {
        for (url, place, path) in [
            ("HTTP://a.example", "http://a.example:80", "/"),
            ("Https://a.example?b=c", "https://a.example:443", "/?b=c"),
            (
                "http://[fd00::1]:8080/d?e#f",
                "http://[fd00::1]:8080",
                "/d?e",
            ),
        ] {
            let (address, asked) = parts(url).expect(url);
            assert_eq!((address.url().as_str(), asked.as_str()), (place, path));
        }
    }

    #[test]
    fn what_came_beside_a_document_is_understood() {
        let meta: Value = serde_json::from_str(
            r#"{"hostname": "h", "public_keys": {"k": "ssh-rsa A"}, "local-ipv4": "10.9.9.9", "public-ipv4": "x"}"#,
        )
        .expect("JSON");
        let read = metadata(&meta);
        assert_eq!(read.hostname.as_deref(), Some("h"));
        assert_eq!(read.ssh_authorized_keys, ["ssh-rsa A"]);
        let addresses = addresses_of(&[Some(&meta)]);
        assert_eq!(addresses.get(Kind::PrivateIpv4), "10.9.9.9".parse().ok());
        assert_eq!(addresses.get(Kind::PublicIpv4), None);
    }

    #[test]
    fn a_drive_without_a_document_still_names_the_machine() {
        let root = tempfile::tempdir().expect("a folder");
        let latest = root.path().join("drive/openstack/latest");
        std::fs::create_dir_all(&latest).expect("a folder");
        let load = || config_drive("/drive", root.path());
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

    #[test]
    fn cloud_inits_files_are_taken_as_they_were_given() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join(CLOUD_INIT);
        assert!(cloud_init(root.path()).is_err());
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(
            folder.join("user-data.txt"),
            "Content-Type: multipart/mixed\n",
        )
        .expect("a file");
        assert!(
            cloud_init(root.path())
                .expect("a file")
                .name
                .ends_with("user-data.txt")
        );
        std::fs::write(folder.join("cloud-config.txt"), "#cloud-config\n").expect("a file");
        assert!(
            cloud_init(root.path())
                .expect("a file")
                .name
                .ends_with("cloud-config.txt")
        );
        let archive = "#cloud-config-archive\n- content: x\n";
        std::fs::write(folder.join("user-data.txt"), archive).expect("a file");
        assert!(
            cloud_init(root.path())
                .expect("a file")
                .name
                .ends_with("cloud-config.txt")
        );
        std::fs::write(folder.join("user-data.txt"), "#cloud-config\na: 0123\n").expect("a file");
        assert!(
            cloud_init(root.path())
                .expect("a file")
                .name
                .ends_with("user-data.txt")
        );
    }
}
