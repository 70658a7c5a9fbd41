//! How the program behaves on the command line and towards the machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::case::{Blob, Case, Machine};
use crate::commands;
use crate::serve::Server;

fn case(text: &str) -> Case {
    let text = serde_json::json!({"name": "", "input": text, "validate": []});
    serde_json::from_value(text).expect("a case")
}

/// Run a document on a machine.
fn run(machine: &Machine, text: &str, options: &[&str]) -> Output {
    let input = machine.at("/tmp/input");
    fs::write(&input, text).expect("a file");
    let document = [String::from("--from-file"), input.display().to_string()];
    machine.run(&case(text), &document, options)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_usage_is_told_from_a_refused_document() {
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
fn a_report_is_for_people_or_for_programs() {
    let machine = Machine::new(&case(""));
    let text = "#cloud-config\ncoreos:\n  etcd:\n    nmae: x\nwrite_files:\n  - path: /a\n    permissions: rwx\n";
    let output = run(&machine, text, &["--validate"]);
    let file = machine.at("/tmp/input").display().to_string();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "{file}:4: warning: coreos.etcd has no key \"nmae\"; did you mean name?; left out\n\
             {file}:7: error: permissions are \"rwx\", expected octal digits such as 0644\n"
        )
    );
    assert_eq!(output.status.code(), Some(1));
    let output = run(&machine, text, &["--validate", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report[1]["line"], 7);
    assert_eq!(report[1]["severity"], "error");
    let output = run(&machine, "#cloud-config\na: b: c\n", &["--validate"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("{file}:2:5: error: ")));
}

#[test]
fn a_dry_run_and_a_refused_document_change_nothing() {
    let machine = Machine::new(&case(""));
    let good = "#cloud-config\nhostname: x\ncoreos:\n  etcd:\n    name: n\n  units:\n    - name: a.service\n      \
                command: start\n      mask: false\n    - name: b.service\n      mask: true\n";
    let bad = format!("{good}write_files:\n  - path: /etc/systemd\n    content: x\n");
    fs::write(machine.at("/tmp/input"), "").expect("a file");
    let content = |line: &String| !line.contains("/tmp/input");
    let before: Vec<String> = machine.manifest().into_iter().filter(content).collect();
    let output = run(&machine, good, &["--dry-run"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "run [\"hostnamectl\",\"set-hostname\",\"x\"]\n\
         mask b.service\n\
         write /run/systemd/system/etcd.service.d/20-cloudinit.conf (36 bytes, 0644)\n\
         run [\"systemctl\",\"daemon-reload\"]\n\
         run [\"systemctl\",\"start\",\"--no-block\",\"a.service\"]\n"
    );
    assert!(output.status.success());
    // A directory is in the way of the last file.
    let output = run(&machine, &bad, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("there is a directory"),
        "{}",
        said(&output)
    );
    assert_eq!(commands(&output), [[""; 0]; 0]);
    let after: Vec<String> = machine.manifest().into_iter().filter(content).collect();
    assert_eq!(after, before);
}

#[test]
fn only_the_chosen_sections_count() {
    let machine = Machine::new(&case(""));
    let text = "#cloud-config\nhostname: $private_ipv4\npackages: [x]\ncoreos:\n  etcd:\n    name: n\n  fleet:\n    \
                metadata: a=b\n";
    let output = run(&machine, text, &["--sections", "coreos.etcd"]);
    assert!(
        output.status.success() && said(&output).is_empty(),
        "{}",
        said(&output)
    );
    assert_eq!(commands(&output), [["systemctl", "daemon-reload"]]);
    assert!(!machine.at("/run/systemd/system/fleet.service.d").exists());
    let output = run(&machine, text, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("$private_ipv4 is not known"),
        "{}",
        said(&output)
    );
}

#[test]
fn no_link_of_the_other_root_leads_out_of_it() {
    let machine = Machine::new(&case(""));
    let outside = tempfile::tempdir().expect("a folder");
    machine.link("/srv", &outside.path().display().to_string());
    let output = run(
        &machine,
        "#cloud-config\nwrite_files:\n  - {path: /srv/x, content: y}\n",
        &[],
    );
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 0);
    let inside = machine.at(&outside.path().join("x").display().to_string());
    assert_eq!(fs::read(inside).expect("a file"), b"y");
}

/// A document with one hook.
const ONE_HOOK: &str =
    "#cloud-config\ncoreos:\n  exec-watch:\n    - {name: a, key: /k, command: \"true\"}\n";

#[test]
fn hooks_become_files_and_are_started() {
    let machine = Machine::new(&case(""));
    let text = "#cloud-config\ncoreos:\n  exec-watch:\n    - name: a\n      key: /k\n      command: [echo, \"yes\"]\n      \
                recursive: yes\n      on-failure: stop\n";
    let output = run(&machine, text, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        fs::read_to_string(machine.at("/etc/etcd/hooks.d/a.yaml")).expect("a file"),
        "key: /k\ncommand:\n- echo\n- yes\nrecursive: true\non-failure: stop\n"
    );
    assert_eq!(
        commands(&output),
        [["systemctl", "start", "--no-block", "etcd-hooks.service"]]
    );
    let bad = text.replace("stop", "perhaps");
    let output = run(&machine, &bad, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("input:4: error: hook a: "),
        "{}",
        said(&output)
    );
}

/// Two hooks of ours, then one, then none, beside files of others.
#[test]
fn hooks_that_are_no_longer_in_the_document_go() {
    let machine = Machine::new(&case(""));
    let hook = |name: &str| format!("    - {{name: {name}, key: /k, command: \"true\"}}\n");
    let document = |hooks: &[&str]| {
        let hooks: String = hooks.iter().map(|name| hook(name)).collect();
        format!("#cloud-config\ncoreos:\n  exec-watch:\n{hooks}")
    };
    let there = || {
        let entries = fs::read_dir(machine.at("/etc/etcd/hooks.d")).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    };
    let done = |text: &str, options: &[&str]| {
        let output = run(&machine, text, options);
        assert!(output.status.success(), "{}", said(&output));
        output
    };
    let start = ["systemctl", "start", "--no-block", "etcd-hooks.service"];
    done(&document(&["a", "b", "c"]), &[]);
    fs::write(machine.at("/etc/etcd/hooks.d/c.yaml"), "key: /mine\n").expect("a file");

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
        said(&output).contains("hooks.d/c.yaml was changed since"),
        "{}",
        said(&output)
    );
    assert_eq!(there(), ["a.yaml", "c.yaml"]);
    // Another time there is nothing to take away and nothing to say.
    let output = done(&document(&["a"]), &[]);
    assert_eq!(commands(&output), [start]);
    assert_eq!(said(&output), "");

    // A section that does not count leaves them, and so does a document that is none.
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
    // The file that is somebody's own goes on.
    assert_eq!(commands(&output), [stop]);
    assert_eq!(there(), ["c.yaml"]);
    assert!(!machine.at("/var/lib/etcd-cloudinit/hooks").exists());
}

#[test]
fn the_service_of_hooks_is_stopped_with_the_last_one() {
    let machine = Machine::new(&case(""));
    assert!(run(&machine, ONE_HOOK, &[]).status.success());
    let output = run(&machine, "#cloud-config\n", &[]);
    assert_eq!(
        commands(&output),
        [
            ["systemctl", "stop", "--no-block", "etcd-hook@a.service"],
            ["systemctl", "stop", "--no-block", "etcd-hooks.service"],
        ]
    );
    // What is written as a file now is the document's still.
    assert!(run(&machine, ONE_HOOK, &[]).status.success());
    let file = "#cloud-config\nwrite_files:\n  - {path: /etc/etcd//hooks.d/a.yaml, content: x}\n";
    let output = run(&machine, file, &[]);
    assert_eq!(commands(&output), [[""; 0]; 0]);
    assert!(machine.at("/etc/etcd/hooks.d/a.yaml").exists());
}

#[test]
fn a_url_is_asked_for_until_it_answers() {
    let page = Blob::Text(String::from(
        "#cloud-config\nwrite_files:\n  - {path: /x, content: y}\n",
    ));
    let server = Server::failing(BTreeMap::from([(String::from("/d?a=b"), page)]), 2);
    let machine = Machine::new(&case(""));
    let fetch = |path: &str| {
        let url = format!("{}{path}", server.url());
        machine.run(&case(""), &[String::from("--from-url"), url], &[])
    };
    let output = fetch("/d?a=b");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(machine.at("/x")).expect("a file"), b"y");
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
    // A server that says that there is no such page is asked once.
    let output = fetch("/other");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("status is 404"), "{}", said(&output));
    assert_eq!(server.requests.load(Ordering::SeqCst), 4);
}

/// Without a document there is nothing to do, but for what came beside it; hooks of another time stay.
#[test]
fn a_config_drive_without_a_document_names_the_machine() {
    let machine = Machine::new(&case(""));
    assert!(run(&machine, ONE_HOOK, &[]).status.success());
    let latest = machine.at("/drive/openstack/latest");
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
        let keys = machine.at("/home/core/.ssh/authorized_keys");
        let _ = fs::remove_file(&keys);
        let output = machine.run(&case(""), &document, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let named = [["hostnamectl", "set-hostname", "h"]];
        assert_eq!(commands(&output), named[..expected]);
        assert_eq!(keys.exists(), expected == 1);
        assert!(machine.at("/etc/etcd/hooks.d/a.yaml").exists());
    }
}

#[test]
fn cloud_init_is_asked_for_document_and_addresses() {
    let machine = Machine::new(&case(""));
    let put = |path: &str, text: &str| {
        fs::create_dir_all(machine.at(path).parent().expect("a folder")).expect("a folder");
        fs::write(machine.at(path), text).expect("a file");
    };
    let document = [String::from("--from-cloud-init")];
    let given = |text: &str| {
        put("/var/lib/cloud/instance/user-data.txt", text);
        machine.run(&case(""), &document, &["--sections", "coreos"])
    };
    assert_eq!(
        machine.run(&case(""), &document, &[]).status.code(),
        Some(1)
    );
    put(
        "/run/cloud-init/instance-data.json",
        "{\"ds\": {\"meta_data\": {\"local-ipv4\": \"10.1.2.3\"}}}",
    );
    assert!(given("#!/bin/sh\nexit 1\n").status.success());
    let output =
        given("#cloud-config\npackages: [x]\ncoreos: {etcd: {addr: \"$private_ipv4:4001\"}}\n");
    assert!(output.status.success(), "{}", said(&output));
    let drop_in = machine.at("/run/systemd/system/etcd.service.d/20-cloudinit.conf");
    assert!(
        fs::read_to_string(drop_in)
            .expect("a file")
            .contains("ETCD_ADDR=10.1.2.3:4001")
    );
}

/// In a container `/etc/hosts` is a mount of its own, which no file can be renamed over.
#[test]
fn a_file_that_is_mounted_is_written_over() {
    let machine = Machine::new(&case(""));
    let (hosts, document) = (machine.at("/etc/hosts"), machine.at("/tmp/input"));
    fs::write(&hosts, "below\n").expect("a file");
    let mounted = machine.at("/tmp/mounted");
    fs::write(mounted, "what was there before, longer\n").expect("a file");
    fs::write(&document, "#cloud-config\nmanage_etc_hosts: localhost\n").expect("a file");
    let script = "mount --bind \"$1/tmp/mounted\" \"$1/etc/hosts\" || exit 77\n\
                  \"$2\" --from-file \"$1/tmp/input\" --root \"$1\" && cat \"$1/etc/hosts\" && ls -A \"$1/etc\"";
    let Some(output) = in_a_namespace(&machine, script) else {
        return;
    };
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("something is mounted at /etc/hosts"),
        "{}",
        said(&output)
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("127.0.0.1 host1\n"), "{printed}");
    assert!(!printed.contains(".new"), "{printed}");
    assert_eq!(fs::read(&hosts).expect("a file"), b"below\n");
}

/// That nothing can be written at one place is found before anything is written at another, unless what is
/// there is right already.
#[test]
fn a_read_only_place_is_found_before_anything_is_touched() {
    let machine = Machine::new(&case(""));
    fs::create_dir(machine.at("/fixed")).expect("a folder");
    let document = "#cloud-config\nwrite_files:\n  - {path: /x, content: y}\n  - {path: /fixed/z, content: w}\n";
    fs::write(machine.at("/tmp/input"), document).expect("a file");
    let script = "touch \"$1/fixed/z\"; chmod 0644 \"$1/fixed/z\"; mount --bind \"$1/fixed\" \"$1/fixed\" || exit 77\n\
                  mount -o remount,bind,ro \"$1/fixed\" || exit 77\n\
                  \"$2\" --from-file \"$1/tmp/input\" --root \"$1\"; code=$?; ls -A \"$1\"; exit $code";
    let Some(output) = in_a_namespace(&machine, script) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let said_of = format!(
        "/fixed/z: {}: Read-only file system",
        machine.at("/fixed").display()
    );
    assert!(said(&output).contains(&said_of), "{}", said(&output));
    assert!(!machine.at("/x").exists());
    let script = script.replace("touch ", "printf w >");
    let output = in_a_namespace(&machine, &script).expect("it could be had before");
    assert!(output.status.success(), "{}", said(&output));
    assert!(machine.at("/x").exists());
}

/// Run a script where things can be mounted, with the machine's root and the program; none, said, if that
/// is not allowed here.
fn in_a_namespace(machine: &Machine, script: &str) -> Option<Output> {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .args([script, "sh"])
        .arg(machine.at("/"))
        .arg(env!("CARGO_BIN_EXE_etcd-cloudinit"))
        .output();
    let allowed = |output: &Output| output.status.success() || !refused(output);
    let output = output.ok().filter(allowed);
    if output.is_none() {
        eprintln!("skipped: nothing can be mounted here");
    }
    output
}

/// Whether no namespace was given, or nothing could be mounted in it.
fn refused(output: &Output) -> bool {
    output.status.code() == Some(77) || said(output).contains("unshare")
}

#[test]
fn keys_are_added_to_those_that_are_there() {
    let machine = Machine::new(&case(""));
    let file = machine.at("/home/core/.ssh/authorized_keys");
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(&file, "ssh-rsa OLD").expect("a file");
    let text = "#cloud-config\nssh_authorized_keys: [ssh-rsa NEW, ssh-rsa OLD]\n";
    for _ in 0..2 {
        let output = run(&machine, text, &[]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(
            fs::read_to_string(&file).expect("a file"),
            "ssh-rsa OLD\nssh-rsa NEW\n"
        );
    }
    let output = run(&machine, text, &["--ssh-user", "nobody-here"]);
    assert_eq!(output.status.code(), Some(1));
}

/// A user who led the keys elsewhere is told so, and nobody else goes without for it.
#[test]
fn keys_are_not_followed_below_a_home() {
    let machine = Machine::new(&case(""));
    fs::create_dir_all(machine.at("/home/core/.ssh")).expect("a folder");
    machine.link("/home/core/.ssh/authorized_keys", "/etc/machine-id");
    let text = "#cloud-config\nssh_authorized_keys: [ssh-rsa NEW]\nwrite_files:\n  - {path: /x, content: y}\n\
                users:\n  - {name: root, ssh_authorized_keys: [ssh-rsa ROOT]}\n";
    let output = run(&machine, text, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("the keys of core: /home/core/.ssh/authorized_keys is a link"),
        "{}",
        said(&output)
    );
    let link = fs::symlink_metadata(machine.at("/home/core/.ssh/authorized_keys"));
    assert!(link.expect("it is there").is_symlink());
    assert_eq!(fs::read(machine.at("/x")).expect("a file"), b"y");
    let keys = fs::read_to_string(machine.at("/root/.ssh/authorized_keys"));
    assert_eq!(keys.expect("keys"), "ssh-rsa ROOT\n");
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let machine = Machine::new(&case(""));
    let pipe = machine.at("/etc/environment");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let text = "#cloud-config\nwrite_files:\n  - {path: /etc/environment, content: y}\n";
    let output = run(&machine, text, &["--write-environment"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(pipe).expect("a file"), b"y");
}

/// Whoever writes a path last wins, once, and the one that loses is named.
#[test]
fn a_path_that_two_parts_write_is_written_once() {
    let machine = Machine::new(&case(""));
    let text = "#cloud-config\nmanage_etc_hosts: localhost\nwrite_files:\n  - {path: /etc//systemd/system/a.service, \
                content: lost}\n  - {path: /etc/hosts, content: mine}\n  - {path: /run/systemd/system/m.service, content: \
                x}\ncoreos:\n  units:\n    - {name: a.service, content: first, command: start}\n    - {name: a.service, \
                content: won, command: start}\n    - {name: m.service, mask: true, runtime: true}\nhostname: \
                h\n";
    let output = run(&machine, text, &["--validate"]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 4, "{report}");
    for (line, part) in lines.iter().zip([
        ":2: warning: /etc/hosts is written by manage_etc_hosts and by write_files,",
        ":4: warning: /etc/systemd/system/a.service is written by write_files and by unit a.service,",
        ":6: warning: /run/systemd/system/m.service is written by write_files and by unit m.service,",
        ":10: warning: unit a.service is on line 9 already;",
    ]) {
        assert!(line.contains(part), "{line}");
    }
    for reloads in [1, 0] {
        let output = run(&machine, text, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let commands = commands(&output);
        let count = |word: &str| {
            let has = |words: &&Vec<String>| words.iter().any(|one| one == word);
            commands.iter().filter(has).count()
        };
        assert_eq!((count("daemon-reload"), count("start")), (reloads, 1));
        let at = |path: &str| fs::read_to_string(machine.at(path)).expect("a file");
        assert_eq!(
            (at("/etc/systemd/system/a.service"), at("/etc/hosts")),
            (String::from("won"), String::from("mine"))
        );
    }
}

/// Runs at once on one machine: each waits for those before it, and none finds another's work half done.
#[test]
fn runs_at_once_do_not_collide() {
    let machine = Machine::new(&case(""));
    let content = "x".repeat(1000);
    let files = (0..30).map(|n| format!("  - {{path: /d/f{n}, content: {content}}}\n"));
    let text = format!("#cloud-config\nwrite_files:\n{}", files.collect::<String>());
    let input = machine.at("/tmp/input");
    fs::write(&input, text).expect("a file");
    let document = [String::from("--from-file"), input.display().to_string()];
    let run = || machine.run(&case(""), &document, &[]);
    let lock = fs::File::open(machine.at("/")).expect("the root");
    lock.lock().expect("the lock");
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        // Nobody touches anything before the lock is given back.
        assert!(!machine.at("/d").exists());
        drop(lock);
        let end = |run: std::thread::ScopedJoinHandle<'_, Output>| run.join().expect("a run");
        runs.into_iter().map(end).collect()
    });
    for output in &outputs {
        assert!(output.status.success(), "{}", said(output));
    }
    let names = fs::read_dir(machine.at("/d")).expect("a folder");
    assert_eq!(names.count(), 30);
}
