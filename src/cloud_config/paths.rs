//! The files of the host that a plan writes, and the cleaning of paths.

/// The addresses of the host, for other programs.
pub const ENVIRONMENT: &str = "/etc/environment";

/// The host names.
pub const HOSTS: &str = "/etc/hosts";

/// The options of flannel.
pub const FLANNEL_OPTIONS: &str = "/run/flannel/options.env";

/// The record of the hooks that earlier runs wrote.
pub const HOOK_RECORD: &str = "/var/lib/etcd-cloudinit/hooks";

/// The extension of a hook's file.
pub const HOOK_EXTENSION: &str = ".yaml";

/// The drop-in that sets the variables of a service.
pub fn variables(service: &str) -> String {
    format!("/run/systemd/system/{service}.d/20-cloudinit.conf")
}

/// The file of a hook.
pub fn hook(name: &str) -> String {
    format!("/etc/etcd/hooks.d/{name}{HOOK_EXTENSION}")
}

/// An absolute path without `.` and `..`, which never leads above `/`.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (path, expected) in [
            ("relative/file", "/relative/file"),
            ("/a/../b/./file", "/b/file"),
            ("../../etc/climb", "/etc/climb"),
            ("//x//y", "/x/y"),
            ("", "/"),
            ("/..", "/"),
        ] {
            assert_eq!(clean(path), expected);
        }
    }
}
