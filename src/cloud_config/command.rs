//! The command line of `etcd-cloudinit`, and one run of the program.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use super::addresses::{Addresses, InvalidAddress, Kind};
use super::apply::Host;
use super::document::Sections;
use super::prepare::{Context, Outcome, prepare};
use super::report::{Position, Report};
use super::sources::{Loaded, Source};
use crate::config::argv;

/// The exit status if the document was rejected or not applied completely.
const REJECTED: u8 = 1;

/// The exit status of a wrong command line.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  etcd-cloudinit --validate --from-file user-data.yaml
      Check a document. Each finding is printed as FILE:LINE: error|warning|note: MESSAGE.
  etcd-cloudinit --from-file user-data.yaml --dry-run
      Print the changes that would be made to this host.
  etcd-cloudinit --from-cloud-init --sections coreos
      Apply the coreos section and leave the rest to cloud-init, as etcd-cloudinit.service does.
  etcd-cloudinit --from-url http://10.0.0.1/user-data --detect-addresses
      Fetch the document, and set $private_ipv4 and $public_ipv4 from the network interfaces.
  etcd-cloudinit --from-file user-data.yaml --root /mnt/image
      Write the files below /mnt/image. Commands are not run but printed, each as a JSON array on one line.

Exit status:
  0  The document was applied; with --validate, there are no errors and no warnings.
  1  The document was rejected or not applied completely; with --validate, there are errors or warnings.
  2  The command line is invalid.";

/// Runs `etcd-cloudinit` with these arguments, beginning with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut command = command();
    command.build();
    let arguments = match argv::normalize(&command, arguments) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error.to_string(), USAGE),
    };
    match command.try_get_matches_from(arguments) {
        Ok(matches) => match Options::new(&matches) {
            Ok(options) => options.run(),
            Err(message) => fail(&message, USAGE),
        },
        Err(error) => {
            let is_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // The reader may have closed the pipe.
            let _ = error.print();
            match is_help {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(USAGE),
            }
        }
    }
}

fn fail(message: &str, status: u8) -> ExitCode {
    eprintln!("etcd-cloudinit: {message}");
    ExitCode::from(status)
}

/// The definition of the command line.
pub fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new("etcd-cloudinit")
        .about("Apply a cloud-config to this host.")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXAMPLES)
        .args(source_arguments())
        .group(
            ArgGroup::new("source")
                .args([
                    "from-file",
                    "from-url",
                    "from-cloud-init",
                    "from-configdrive",
                    "from-proc-cmdline",
                ])
                .required(true),
        )
        .args([
            flag("validate").help("Check the document and change nothing"),
            flag("dry-run")
                .help("Print the changes that would be made and change nothing")
                .conflicts_with("validate"),
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Use DIR as the root directory, and print commands instead of running them"),
            Arg::new("sections")
                .long("sections")
                .value_name("NAME,...")
                .value_delimiter(',')
                .help("Apply only these sections, such as coreos, write_files or coreos.units"),
            flag("detect-addresses")
                .help("Set addresses that are not given otherwise from the network interfaces"),
            flag("write-environment").help("Write the addresses of the host to /etc/environment"),
            Arg::new("ssh-user")
                .long("ssh-user")
                .value_name("USER")
                .default_value("core")
                .help("User who gets the ssh_authorized_keys at the top level of the document"),
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("Output format of --validate"),
        ])
}

/// The arguments that select the source of the document, of which exactly one is required.
fn source_arguments() -> [Arg; 5] {
    let source = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .help_heading("Source of the document")
    };
    [
        source("from-file")
            .value_name("FILE")
            .help("Read the document from a file, or from standard input if FILE is -"),
        source("from-url")
            .value_name("URL")
            .help("Fetch the document from a URL, with retries for about a minute"),
        source("from-cloud-init")
            .action(ArgAction::SetTrue)
            .help("Use the user-data that cloud-init was given for this boot"),
        source("from-configdrive")
            .value_name("DIR")
            .help("Read the document and metadata from the config drive mounted at DIR"),
        source("from-proc-cmdline").action(ArgAction::SetTrue).help(
            "Fetch the document from the URL given by cloud-config-url= on the kernel command line",
        ),
    ]
}

/// The options of a run.
struct Options {
    source: Source,
    validate: bool,
    dry_run: bool,
    root: PathBuf,
    sections: Sections,
    detect_addresses: bool,
    write_environment: bool,
    ssh_user: String,
    json: bool,
}

impl Options {
    fn new(matches: &ArgMatches) -> Result<Self, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let source = if let Some(file) = text("from-file") {
            Source::File(file)
        } else if let Some(url) = text("from-url") {
            Source::Url(url)
        } else if let Some(directory) = text("from-configdrive") {
            Source::ConfigDrive(directory)
        } else if matches.get_flag("from-cloud-init") {
            Source::CloudInit
        } else {
            Source::ProcCmdline
        };
        let sections = match matches.get_many::<String>("sections") {
            Some(names) => Sections::from_names(names.map(String::as_str))
                .map_err(|error| format!("--sections: {error}"))?,
            None => Sections::default(),
        };
        let root = match matches.get_one::<PathBuf>("root") {
            Some(root) if !root.is_dir() => {
                return Err(format!("--root: {} is not a directory", root.display()));
            }
            Some(root) => std::path::absolute(root).map_err(|error| format!("--root: {error}"))?,
            None => PathBuf::from("/"),
        };
        Ok(Self {
            source,
            validate: matches.get_flag("validate"),
            dry_run: matches.get_flag("dry-run"),
            root,
            sections,
            detect_addresses: matches.get_flag("detect-addresses"),
            write_environment: matches.get_flag("write-environment"),
            ssh_user: text("ssh-user").unwrap_or_default(),
            json: text("output").as_deref() == Some("json"),
        })
    }

    fn run(&self) -> ExitCode {
        let loaded = match self.source.load(&self.root) {
            Ok(loaded) => loaded,
            Err(error) => return fail(&error.to_string(), REJECTED),
        };
        let Some(bytes) = &loaded.bytes else {
            eprintln!(
                "etcd-cloudinit: {}: no document, nothing to apply",
                loaded.name
            );
            return ExitCode::SUCCESS;
        };
        if loaded.shared && bytes.starts_with(b"#!") {
            eprintln!(
                "etcd-cloudinit: {}: a script, which cloud-init runs itself; nothing to apply",
                loaded.name
            );
            return ExitCode::SUCCESS;
        }
        let mut out = std::io::stdout();
        let mut report = Report::default();
        let mut host = Host::new(&self.root, self.dry_run, &mut out);
        if !self.validate
            && let Err(error) = host.lock()
        {
            return fail(&error.to_string(), REJECTED);
        }
        let context = self.context(&host, &loaded, &mut report);
        let outcome = prepare(bytes, &context, &mut report);
        if self.validate {
            return self.print(&loaded.name, &report);
        }
        eprint!("{}", report.to_text(&loaded.name));
        match outcome {
            Some(Outcome::Nothing) => ExitCode::SUCCESS,
            Some(Outcome::Plan(plan)) => match host.apply(&plan) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error.to_string(), REJECTED),
            },
            None => fail(
                &format!("{} was rejected; nothing was changed", loaded.name),
                REJECTED,
            ),
        }
    }

    fn context(&self, host: &Host<'_>, loaded: &Loaded, report: &mut Report) -> Context {
        // The document may be for another host, so its state is not checked.
        if self.validate {
            return Context {
                sections: self.sections.clone(),
                ssh_user: self.ssh_user.clone(),
                addresses: example_addresses(),
                metadata: loaded.metadata.clone(),
                ..Context::default()
            };
        }
        Context {
            sections: self.sections.clone(),
            ssh_user: self.ssh_user.clone(),
            addresses: self.addresses(host, loaded, report),
            host: host.state(),
            metadata: loaded.metadata.clone(),
            environment: self
                .write_environment
                .then(|| host.text("/etc/environment").unwrap_or_default()),
        }
    }

    /// The addresses of the config drive, of the environment, of `/etc/environment`, of cloud-init and, with
    /// `--detect-addresses`, of the interfaces, in order of precedence.
    fn addresses(&self, host: &Host<'_>, loaded: &Loaded, report: &mut Report) -> Addresses {
        let file = host.text("/etc/environment").unwrap_or_default();
        let of_file = |name: &str| {
            let value = |line: &str| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| String::from(value.trim().trim_matches(['"', '\''])))
            };
            file.lines().filter_map(value).next_back().map(Cow::Owned)
        };
        let of_environment = |name: &str| std::env::var(name).ok().map(Cow::Owned);
        let mut all = Addresses::default();
        if !loaded.shared {
            all = loaded.addresses;
        }
        all = all.or(note_invalid(
            Addresses::from_variables(of_environment),
            report,
        ));
        all = all.or(note_invalid(Addresses::from_variables(of_file), report));
        all = all.or(loaded.addresses);
        if self.detect_addresses {
            all = all.or(Addresses::from_list(super::interfaces::list_addresses()));
        }
        all
    }

    fn print(&self, name: &str, report: &Report) -> ExitCode {
        let text = match self.json {
            true => format!("{}\n", report.to_json(name)),
            false => report.to_text(name),
        };
        let printed = std::io::stdout().write_all(text.as_bytes());
        match report.is_clean() && printed.is_ok() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(REJECTED),
        }
    }
}

/// Reports the variables that are not an address as notes: a document that refers to one is rejected.
fn note_invalid(
    (addresses, errors): (Addresses, Vec<InvalidAddress>),
    report: &mut Report,
) -> Addresses {
    for error in errors {
        report.note(Position::default(), error.to_string());
    }
    addresses
}

/// Addresses reserved for documentation (RFC 5737, RFC 3849).
fn example_addresses() -> Addresses {
    let mut addresses = Addresses::default();
    for (kind, text) in
        Kind::ALL
            .into_iter()
            .zip(["192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8::2"])
    {
        let _ = addresses.set(kind, text);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn long_options_may_have_one_dash() {
        let mut command = command();
        command.build();
        let normalize = |line: &str| {
            let words = format!("etcd-cloudinit {line}");
            let words = words.split(' ').map(OsString::from);
            let words = argv::normalize(&command, words).expect("no switch has a value");
            let words: Vec<_> = words[1..]
                .iter()
                .map(|word| word.to_string_lossy())
                .collect();
            words.join(" ")
        };
        for (line, wanted) in [
            ("-from-file=/x -validate", "--from-file=/x --validate"),
            ("-o json --from-file -", "--output=json --from-file=-"),
            ("-ojson -help", "-ojson --help"),
        ] {
            assert_eq!(normalize(line), wanted);
        }
    }
}
