//! Loads the document and what comes with it.

mod cloud_init;
mod config_drive;
mod error;
mod loaded;
mod metadata;
mod url;

use std::path::Path;

pub use error::SourceError;
pub use loaded::Loaded;

use loaded::read;

/// The source of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file; `-` for the standard input.
    File(String),
    /// A URL.
    Url(String),
    /// The user-data that cloud-init was given for this boot.
    CloudInit,
    /// The mount point of a config drive in the format of OpenStack.
    ConfigDrive(String),
    /// The URL after `cloud-config-url=` on the kernel's command line.
    ProcCmdline,
}

impl Source {
    /// Loads the document. Files of the host are read below `root`.
    ///
    /// # Errors
    ///
    /// - [`SourceError::Read`], [`SourceError::Json`]: a file cannot be read, or metadata is not JSON.
    /// - [`SourceError::NoUserData`]: cloud-init has stored no user-data.
    /// - [`SourceError::Scheme`], [`SourceError::Credentials`], [`SourceError::Character`],
    ///   [`SourceError::Address`]: the URL cannot be used.
    /// - [`SourceError::Runtime`], [`SourceError::Fetch`], [`SourceError::Status`],
    ///   [`SourceError::GaveUp`]: the URL cannot be fetched.
    pub fn load(&self, root: &Path) -> Result<Loaded, SourceError> {
        match self {
            Self::File(name) => Ok(Loaded {
                name: name.clone(),
                bytes: Some(read(Path::new(name))?),
                ..Loaded::default()
            }),
            Self::Url(url) => url::load(url),
            Self::CloudInit => cloud_init::load(root),
            Self::ConfigDrive(directory) => config_drive::load(directory, root),
            Self::ProcCmdline => {
                let path = root.join("proc/cmdline");
                match url_parameter(&String::from_utf8_lossy(&read(&path)?)) {
                    Some(url) => url::load(&url),
                    None => Ok(Loaded {
                        name: path.display().to_string(),
                        ..Loaded::default()
                    }),
                }
            }
        }
    }
}

/// The URL on the kernel's command line; the name of the parameter may have `-` or `_`.
fn url_parameter(line: &str) -> Option<String> {
    let value = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let is_url = name.replace('_', "-") == "cloud-config-url" && !value.is_empty();
        is_url.then(|| String::from(value))
    };
    // As in the kernel, the last one is used.
    line.split_whitespace().filter_map(value).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_command_line_names_a_url() {
        assert_eq!(
            url_parameter(
                "root=/dev/sda cloud-config-url=http://a/ cloud_config_url=http://b/c quiet\n"
            ),
            Some(String::from("http://b/c"))
        );
        assert_eq!(url_parameter("cloud-config-url= quiet"), None);
    }
}
