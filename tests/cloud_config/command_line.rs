//! The command line of `etcd-cloudinit`, and its effects on the host.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::case::{Blob, Case, Host};
use crate::commands;
use crate::http_server::Server;

fn case(text: &str) -> Case {
    let text = serde_json::json!({"name": "", "input": text, "validate": []});
    serde_json::from_value(text).expect("a case")
}

/// Run a document on a host.
fn run(host: &Host, text: &str, options: &[&str]) -> Output {
    let input = host.path("/tmp/input");
    fs::write(&input, text).expect("a file");
    let document = [String::from("--from-file"), input.display().to_string()];
    host.run(&case(text), &document, options)
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn usage_errors_and_refused_documents_have_different_exit_statuses() {
    let program = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_etcd-cloudinit"));
        program
            .args(arguments)
            .output()
            .expect("the program runs")
            .status
            .code()
    };
    assert_eq!(program(&[]), Some(2));
    assert_eq!(
        program(&["--from-file", "x", "--from-url", "http://y/"]),
        Some(2)
    );
    assert_eq!(
        program(&["--from-file", "/", "--sections", "coreoss"]),
        Some(2)
    );
    assert_eq!(
        program(&["--from-file", "x", "--root", "/no/such/directory"]),
        Some(2)
    );
    assert_eq!(program(&["--no-such-option"]), Some(2));
    assert_eq!(
        program(&["--from-file", "/no/such/file", "--validate"]),
        Some(1)
    );
    assert_eq!(program(&["--help"]), Some(0));
    assert_eq!(program(&["-version"]), Some(0));
}

#[test]
fn a_report_is_text_or_json() {
    let host = Host::new(&case(""));
    let text = "#cloud-config\ncoreos:\n  etcd:\n    nmae: x\nwrite_files:\n  - path: /a\n    permissions: rwx\n";
    let output = run(&host, text, &["--validate"]);
    let file = host.path("/tmp/input").display().to_string();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "{file}:4: warning: unknown key \"nmae\" in coreos.etcd; did you mean name?; ignored\n\
             {file}:7: error: permissions are \"rwx\", expected octal digits such as 0644\n"
        )
    );
    assert_eq!(output.status.code(), Some(1));
    let output = run(&host, text, &["--validate", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report[1]["line"], 7);
    assert_eq!(report[1]["severity"], "error");
    let output = run(&host, "#cloud-config\na: b: c\n", &["--validate"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("{file}:2:5: error: ")));
}

#[test]
fn a_dry_run_and_a_refused_document_change_nothing() {
    let host = Host::new(&case(""));
    let good = "#cloud-config\nhostname: x\ncoreos:\n  etcd:\n    name: n\n  units:\n    - name: a.service\n      \
                command: start\n      mask: false\n    - name: b.service\n      mask: true\n";
    let bad = format!("{good}write_files:\n  - path: /etc/systemd\n    content: x\n");
    fs::write(host.path("/tmp/input"), "").expect("a file");
    let content = |line: &String| !line.contains("/tmp/input");
    let before: Vec<String> = host.manifest().into_iter().filter(content).collect();
    let output = run(&host, good, &["--dry-run"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "run [\"hostnamectl\",\"set-hostname\",\"x\"]\n\
         mask b.service\n\
         write /run/systemd/system/etcd.service.d/20-cloudinit.conf (36 bytes, 0644)\n\
         run [\"systemctl\",\"daemon-reload\"]\n\
         run [\"systemctl\",\"start\",\"--no-block\",\"a.service\"]\n"
    );
    assert!(output.status.success());
    // The path of the last file is a directory.
    let output = run(&host, &bad, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr_of(&output).contains("cannot write /etc/systemd: it is a directory"),
        "{}",
        stderr_of(&output)
    );
    assert_eq!(commands(&output), [[""; 0]; 0]);
    let after: Vec<String> = host.manifest().into_iter().filter(content).collect();
    assert_eq!(after, before);
}

#[test]
fn only_selected_sections_are_applied() {
    let host = Host::new(&case(""));
    let text = "#cloud-config\nhostname: $private_ipv4\npackages: [x]\ncoreos:\n  etcd:\n    name: n\n  fleet:\n    \
                metadata: a=b\n";
    let output = run(&host, text, &["--sections", "coreos.etcd"]);
    assert!(
        output.status.success() && stderr_of(&output).is_empty(),
        "{}",
        stderr_of(&output)
    );
    assert_eq!(commands(&output), [["systemctl", "daemon-reload"]]);
    assert!(!host.path("/run/systemd/system/fleet.service.d").exists());
    let output = run(&host, text, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr_of(&output).contains("$private_ipv4 is not known"),
        "{}",
        stderr_of(&output)
    );
}

#[test]
fn links_do_not_lead_out_of_the_root() {
    let host = Host::new(&case(""));
    let outside = tempfile::tempdir().expect("a folder");
    host.link("/srv", &outside.path().display().to_string());
    let output = run(
        &host,
        "#cloud-config\nwrite_files:\n  - {path: /srv/x, content: y}\n",
        &[],
    );
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 0);
    let inside = host.path(&outside.path().join("x").display().to_string());
    assert_eq!(fs::read(inside).expect("a file"), b"y");
}

/// A document with one hook.
const ONE_HOOK: &str =
    "#cloud-config\ncoreos:\n  exec-watch:\n    - {name: a, key: /k, command: \"true\"}\n";

#[test]
fn hooks_become_files_and_are_started() {
    let host = Host::new(&case(""));
    let text = "#cloud-config\ncoreos:\n  exec-watch:\n    - name: a\n      key: /k\n      command: [echo, \"yes\"]\n      \
                recursive: yes\n      on-failure: stop\n";
    let output = run(&host, text, &[]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(
        fs::read_to_string(host.path("/etc/etcd/hooks.d/a.yaml")).expect("a file"),
        "key: /k\ncommand:\n- echo\n- yes\nrecursive: true\non-failure: stop\n"
    );
    assert_eq!(
        commands(&output),
        [["systemctl", "start", "--no-block", "etcd-hooks.service"]]
    );
    let bad = text.replace("stop", "perhaps");
    let output = run(&host, &bad, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr_of(&output).contains("input:4: error: hook a: "),
        "{}",
        stderr_of(&output)
    );
}

/// Two hooks in the document, then one, then none; files of others are left alone.
#[test]
fn hooks_that_left_the_document_are_removed() {
    let host = Host::new(&case(""));
    let hook = |name: &str| format!("    - {{name: {name}, key: /k, command: \"true\"}}\n");
    let document = |hooks: &[&str]| {
        let hooks: String = hooks.iter().map(|name| hook(name)).collect();
        format!("#cloud-config\ncoreos:\n  exec-watch:\n{hooks}")
    };
    let there = || {
        let entries = fs::read_dir(host.path("/etc/etcd/hooks.d")).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    };
    let done = |text: &str, options: &[&str]| {
        let output = run(&host, text, options);
        assert!(output.status.success(), "{}", stderr_of(&output));
        output
    };
    let start = ["systemctl", "start", "--no-block", "etcd-hooks.service"];
    done(&document(&["a", "b", "c"]), &[]);
    fs::write(host.path("/etc/etcd/hooks.d/c.yaml"), "key: /mine\n").expect("a file");

    let output = done(&document(&["a"]), &["--dry-run"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("remove /etc/etcd/hooks.d/b.yaml\n"),
        "{printed}"
    );
    assert!(!printed.contains("c.yaml"), "{printed}");
    assert_eq!(there(), ["a.yaml", "b.yaml", "c.yaml"]);

    let output = done(&document(&["a"]), &[]);
    let stop = ["systemctl", "stop", "--no-block", "etcd-hook@b.service"];
    assert_eq!(commands(&output), [stop, start]);
    assert!(
        stderr_of(&output).contains("hooks.d/c.yaml was changed since"),
        "{}",
        stderr_of(&output)
    );
    assert_eq!(there(), ["a.yaml", "c.yaml"]);
    // The next run removes and reports nothing.
    let output = done(&document(&["a"]), &[]);
    assert_eq!(commands(&output), [start]);
    assert_eq!(stderr_of(&output), "");

    // Unselected sections leave the hooks alone, and so does an empty document.
    let empty = "#cloud-config\ncoreos: {etcd: {name: n}}\n";
    for (text, options) in [
        (empty, ["--sections", "coreos.etcd"].as_slice()),
        (empty, &["--sections", "write_files"]),
        ("{\"ignition\": {\"version\": \"3.0.0\"}}", &[]),
    ] {
        done(text, options);
        assert_eq!(there(), ["a.yaml", "c.yaml"]);
    }
    let output = done("#cloud-config\n", &[]);
    let stop = ["systemctl", "stop", "--no-block", "etcd-hook@a.service"];
    // The file that was not written by us stays.
    assert_eq!(commands(&output), [stop]);
    assert_eq!(there(), ["c.yaml"]);
    assert!(!host.path("/var/lib/etcd-cloudinit/hooks").exists());
}

#[test]
fn the_hook_service_stops_with_the_last_hook() {
    let host = Host::new(&case(""));
    assert!(run(&host, ONE_HOOK, &[]).status.success());
    let output = run(&host, "#cloud-config\n", &[]);
    assert_eq!(
        commands(&output),
        [
            ["systemctl", "stop", "--no-block", "etcd-hook@a.service"],
            ["systemctl", "stop", "--no-block", "etcd-hooks.service"],
        ]
    );
    // A hook that is written as a file now still belongs to the document.
    assert!(run(&host, ONE_HOOK, &[]).status.success());
    let file = "#cloud-config\nwrite_files:\n  - {path: /etc/etcd//hooks.d/a.yaml, content: x}\n";
    let output = run(&host, file, &[]);
    assert_eq!(commands(&output), [[""; 0]; 0]);
    assert!(host.path("/etc/etcd/hooks.d/a.yaml").exists());
}

#[test]
fn a_url_is_requested_until_it_answers() {
    let page = Blob::Text(String::from(
        "#cloud-config\nwrite_files:\n  - {path: /x, content: y}\n",
    ));
    let server = Server::failing(BTreeMap::from([(String::from("/d?a=b"), page)]), 2);
    let host = Host::new(&case(""));
    let fetch = |path: &str| {
        let url = format!("{}{path}", server.url());
        host.run(&case(""), &[String::from("--from-url"), url], &[])
    };
    let output = fetch("/d?a=b");
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(fs::read(host.path("/x")).expect("a file"), b"y");
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
    // After a 404 there is no second request.
    let output = fetch("/other");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr_of(&output).contains("status is 404"),
        "{}",
        stderr_of(&output)
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 4);
}

/// Without a document, only the metadata of the drive is applied; earlier hooks stay.
#[test]
fn a_config_drive_without_a_document_sets_the_host_name() {
    let host = Host::new(&case(""));
    assert!(run(&host, ONE_HOOK, &[]).status.success());
    let latest = host.path("/drive/openstack/latest");
    fs::create_dir_all(&latest).expect("a folder");
    let document = [String::from("--from-configdrive"), String::from("/drive")];
    let meta = "{\"hostname\": \"h\", \"public_keys\": {\"k\": \"ssh-rsa A\"}}";
    for (user_data, meta, expected) in [
        (None, "", 0),
        (None, meta, 1),
        (Some(""), "", 0),
        (Some(""), meta, 1),
    ] {
        if let Some(text) = user_data {
            fs::write(latest.join("user_data"), text).expect("a file");
        }
        fs::write(latest.join("meta_data.json"), meta).expect("a file");
        let keys = host.path("/home/core/.ssh/authorized_keys");
        let _ = fs::remove_file(&keys);
        let output = host.run(&case(""), &document, &[]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        let named = [["hostnamectl", "set-hostname", "h"]];
        assert_eq!(commands(&output), named[..expected]);
        assert_eq!(keys.exists(), expected == 1);
        assert!(host.path("/etc/etcd/hooks.d/a.yaml").exists());
    }
}

#[test]
fn document_and_addresses_come_from_cloud_init() {
    let host = Host::new(&case(""));
    let put = |path: &str, text: &str| {
        fs::create_dir_all(host.path(path).parent().expect("a folder")).expect("a folder");
        fs::write(host.path(path), text).expect("a file");
    };
    let document = [String::from("--from-cloud-init")];
    let given = |text: &str| {
        put("/var/lib/cloud/instance/user-data.txt", text);
        host.run(&case(""), &document, &["--sections", "coreos"])
    };
    assert_eq!(host.run(&case(""), &document, &[]).status.code(), Some(1));
    put(
        "/run/cloud-init/instance-data.json",
        "{\"ds\": {\"meta_data\": {\"local-ipv4\": \"10.1.2.3\"}}}",
    );
    assert!(given("#!/bin/sh\nexit 1\n").status.success());
    let output =
        given("#cloud-config\npackages: [x]\ncoreos: {etcd: {addr: \"$private_ipv4:4001\"}}\n");
    assert!(output.status.success(), "{}", stderr_of(&output));
    let drop_in = host.path("/run/systemd/system/etcd.service.d/20-cloudinit.conf");
    assert!(
        fs::read_to_string(drop_in)
            .expect("a file")
            .contains("ETCD_ADDR=10.1.2.3:4001")
    );
}

/// In a container `/etc/hosts` is a mount point, which a rename cannot replace.
#[test]
fn a_mounted_file_is_overwritten() {
    let host = Host::new(&case(""));
    let (hosts, document) = (host.path("/etc/hosts"), host.path("/tmp/input"));
    fs::write(&hosts, "below\n").expect("a file");
    let mounted = host.path("/tmp/mounted");
    fs::write(mounted, "what was there before, longer\n").expect("a file");
    fs::write(&document, "#cloud-config\nmanage_etc_hosts: localhost\n").expect("a file");
    let script = "mount --bind \"$1/tmp/mounted\" \"$1/etc/hosts\" || exit 77\n\
                  \"$2\" --from-file \"$1/tmp/input\" --root \"$1\" && cat \"$1/etc/hosts\" && ls -A \"$1/etc\"";
    let Some(output) = in_a_namespace(&host, script) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(
        stderr_of(&output).contains("/etc/hosts is a mount point; overwritten in place"),
        "{}",
        stderr_of(&output)
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("127.0.0.1 host1\n"), "{printed}");
    assert!(!printed.contains(".new"), "{printed}");
    assert_eq!(fs::read(&hosts).expect("a file"), b"below\n");
}

/// A read-only path is found before any file is written, unless its content is right already.
#[test]
fn a_read_only_path_is_found_before_any_write() {
    let host = Host::new(&case(""));
    fs::create_dir(host.path("/fixed")).expect("a folder");
    let document = "#cloud-config\nwrite_files:\n  - {path: /x, content: y}\n  - {path: /fixed/z, content: w}\n";
    fs::write(host.path("/tmp/input"), document).expect("a file");
    let script = "touch \"$1/fixed/z\"; chmod 0644 \"$1/fixed/z\"; mount --bind \"$1/fixed\" \"$1/fixed\" || exit 77\n\
                  mount -o remount,bind,ro \"$1/fixed\" || exit 77\n\
                  \"$2\" --from-file \"$1/tmp/input\" --root \"$1\"; code=$?; ls -A \"$1\"; exit $code";
    let Some(output) = in_a_namespace(&host, script) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let said_of = format!(
        "/fixed/z: {}: Read-only file system",
        host.path("/fixed").display()
    );
    assert!(
        stderr_of(&output).contains(&said_of),
        "{}",
        stderr_of(&output)
    );
    assert!(!host.path("/x").exists());
    let script = script.replace("touch ", "printf w >");
    let output = in_a_namespace(&host, &script).expect("it could be had before");
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(host.path("/x").exists());
}

/// Run a script in a mount namespace, with the host's root and the program. None, with a message, if that is not
/// permitted.
fn in_a_namespace(host: &Host, script: &str) -> Option<Output> {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .args([script, "sh"])
        .arg(host.path("/"))
        .arg(env!("CARGO_BIN_EXE_etcd-cloudinit"))
        .output();
    let allowed = |output: &Output| output.status.success() || !refused(output);
    let output = output.ok().filter(allowed);
    if output.is_none() {
        eprintln!("skipped: nothing can be mounted here");
    }
    output
}

/// Whether the namespace or the mount was not permitted.
fn refused(output: &Output) -> bool {
    output.status.code() == Some(77) || stderr_of(output).contains("unshare")
}

#[test]
fn keys_are_added_to_existing_ones() {
    let host = Host::new(&case(""));
    let file = host.path("/home/core/.ssh/authorized_keys");
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(&file, "ssh-rsa OLD").expect("a file");
    let text = "#cloud-config\nssh_authorized_keys: [ssh-rsa NEW, ssh-rsa OLD]\n";
    for _ in 0..2 {
        let output = run(&host, text, &[]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        assert_eq!(
            fs::read_to_string(&file).expect("a file"),
            "ssh-rsa OLD\nssh-rsa NEW\n"
        );
    }
    let output = run(&host, text, &["--ssh-user", "nobody-here"]);
    assert_eq!(output.status.code(), Some(1));
}

/// A symbolic link at the keys of a user is reported, and all others are applied.
#[test]
fn links_below_a_home_are_not_followed() {
    let host = Host::new(&case(""));
    fs::create_dir_all(host.path("/home/core/.ssh")).expect("a folder");
    host.link("/home/core/.ssh/authorized_keys", "/etc/machine-id");
    let text = "#cloud-config\nssh_authorized_keys: [ssh-rsa NEW]\nwrite_files:\n  - {path: /x, content: y}\n\
                users:\n  - {name: root, ssh_authorized_keys: [ssh-rsa ROOT]}\n";
    let output = run(&host, text, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr_of(&output).contains(
            "cannot add SSH keys of core: /home/core/.ssh/authorized_keys is a symbolic link"
        ),
        "{}",
        stderr_of(&output)
    );
    let link = fs::symlink_metadata(host.path("/home/core/.ssh/authorized_keys"));
    assert!(link.expect("it is there").is_symlink());
    assert_eq!(fs::read(host.path("/x")).expect("a file"), b"y");
    let keys = fs::read_to_string(host.path("/root/.ssh/authorized_keys"));
    assert_eq!(keys.expect("keys"), "ssh-rsa ROOT\n");
}

#[test]
fn a_named_pipe_does_not_block() {
    let host = Host::new(&case(""));
    let pipe = host.path("/etc/environment");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let text = "#cloud-config\nwrite_files:\n  - {path: /etc/environment, content: y}\n";
    let output = run(&host, text, &["--write-environment"]);
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert_eq!(fs::read(pipe).expect("a file"), b"y");
}

/// The last writer of a path wins, and the other one is reported.
#[test]
fn a_path_with_two_writers_is_written_once() {
    let host = Host::new(&case(""));
    let text = "#cloud-config\nmanage_etc_hosts: localhost\nwrite_files:\n  - {path: /etc//systemd/system/a.service, \
                content: lost}\n  - {path: /etc/hosts, content: mine}\n  - {path: /run/systemd/system/m.service, content: \
                x}\ncoreos:\n  units:\n    - {name: a.service, content: first, command: start}\n    - {name: a.service, \
                content: won, command: start}\n    - {name: m.service, mask: true, runtime: true}\nhostname: \
                h\n";
    let output = run(&host, text, &["--validate"]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 4, "{report}");
    for (line, part) in lines.iter().zip([
        ":2: warning: /etc/hosts is written by manage_etc_hosts and by write_files;",
        ":4: warning: /etc/systemd/system/a.service is written by write_files and by unit a.service;",
        ":6: warning: /run/systemd/system/m.service is written by write_files and by unit m.service;",
        ":10: warning: duplicate unit a.service, first on line 9:",
    ]) {
        assert!(line.contains(part), "{line}");
    }
    for reloads in [1, 0] {
        let output = run(&host, text, &[]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        let commands = commands(&output);
        let count = |word: &str| {
            let has = |words: &&Vec<String>| words.iter().any(|one| one == word);
            commands.iter().filter(has).count()
        };
        assert_eq!((count("daemon-reload"), count("start")), (reloads, 1));
        let at = |path: &str| fs::read_to_string(host.path(path)).expect("a file");
        assert_eq!(
            (at("/etc/systemd/system/a.service"), at("/etc/hosts")),
            (String::from("won"), String::from("mine"))
        );
    }
}

/// Parallel runs on one host: each waits for the lock and finds no partial work of another.
#[test]
fn parallel_runs_do_not_conflict() {
    let host = Host::new(&case(""));
    let content = "x".repeat(1000);
    let files = (0..30).map(|n| format!("  - {{path: /d/f{n}, content: {content}}}\n"));
    let text = format!("#cloud-config\nwrite_files:\n{}", files.collect::<String>());
    let input = host.path("/tmp/input");
    fs::write(&input, text).expect("a file");
    let document = [String::from("--from-file"), input.display().to_string()];
    let run = || host.run(&case(""), &document, &[]);
    let lock = fs::File::open(host.path("/")).expect("the root");
    lock.lock().expect("the lock");
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        // Nothing changes before the lock is released.
        assert!(!host.path("/d").exists());
        drop(lock);
        let end = |run: std::thread::ScopedJoinHandle<'_, Output>| run.join().expect("a run");
        runs.into_iter().map(end).collect()
    });
    for output in &outputs {
        assert!(output.status.success(), "{}", stderr_of(output));
    }
    let names = fs::read_dir(host.path("/d")).expect("a folder");
    assert_eq!(names.count(), 30);
}
