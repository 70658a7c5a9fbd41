//! `etcd-cloudinit`: what was typed, and one run of it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use super::addresses::{Addresses, Kind, NoAddress};
use super::apply::Host;
use super::document::Sections;
use super::report::{Place, Report};
use super::sources::{Loaded, Source};
use super::{Outcome, Surroundings, prepare};
use crate::config::argv;

/// The document was refused, or not everything could be done.
const REFUSED: u8 = 1;

/// The command line makes no sense.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  etcd-cloudinit --validate --from-file user-data.yaml
      Say what is wrong with a document: FILE:LINE: error|warning: what, and what was expected.
  etcd-cloudinit --from-file user-data.yaml --dry-run
      Show what would be done on this machine.
  etcd-cloudinit --from-cloud-init --sections coreos
      What the packaged unit does where cloud-init handles the rest.
  etcd-cloudinit --from-url http://10.0.0.1/user-data --detect-addresses
      Fetch the document, and take $private_ipv4 and the like from the interfaces.
  etcd-cloudinit --from-file user-data.yaml --root /mnt/image
      Write all files below /mnt/image, run nothing, and print each command that was left out as a JSON
      array on a line of its own.

Exit status: 0 done, or nothing to mend; 1 refused, or something to mend; 2 wrong usage.";

/// Run `etcd-cloudinit` with these arguments, its own name first.
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
            Err(why) => fail(&why, USAGE),
        },
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // Whoever closed the pipe has read enough.
            let _ = error.print();
            match asked {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(USAGE),
            }
        }
    }
}

fn fail(why: &str, status: u8) -> ExitCode {
    eprintln!("etcd-cloudinit: {why}");
    ExitCode::from(status)
}

/// The whole command line.
pub fn command() -> Command {
    let source = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .help_heading("Where the document comes from")
    };
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new("etcd-cloudinit")
        .about("Set up this machine as a cloud-config says.")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXAMPLES)
        .args([
            source("from-file")
                .value_name("FILE")
                .help("A file, or - for the standard input"),
            source("from-url")
                .value_name("URL")
                .help("A URL, asked for until it answers"),
            source("from-cloud-init")
                .action(ArgAction::SetTrue)
                .help("What cloud-init was given for this boot"),
            source("from-configdrive")
                .value_name("DIR")
                .help("A config drive that is mounted there"),
            source("from-proc-cmdline")
                .action(ArgAction::SetTrue)
                .help("The URL behind cloud-config-url= on the kernel's command line"),
        ])
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
            flag("validate").help("Only say what is wrong with the document"),
            flag("dry-run")
                .help("Only show what would be done")
                .conflicts_with("validate"),
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Take DIR for /, and print commands rather than run them"),
            Arg::new("sections")
                .long("sections")
                .value_name("NAME,...")
                .value_delimiter(',')
                .help("Only these sections, such as coreos, write_files or coreos.units"),
            flag("detect-addresses").help("Take addresses that nobody names from the interfaces"),
            flag("write-environment").help("Write the addresses to /etc/environment"),
            Arg::new("ssh-user")
                .long("ssh-user")
                .value_name("USER")
                .default_value("core")
                .help("Who gets the keys at the top of the document"),
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("How --validate prints"),
        ])
}

/// What was typed.
struct Options {
    source: Source,
    validate: bool,
    dry_run: bool,
    root: PathBuf,
    sections: Sections,
    detect: bool,
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
        } else if let Some(folder) = text("from-configdrive") {
            Source::ConfigDrive(folder)
        } else if matches.get_flag("from-cloud-init") {
            Source::CloudInit
        } else {
            Source::ProcCmdline
        };
        let sections = match matches.get_many::<String>("sections") {
            Some(names) => Sections::named(names.map(String::as_str))
                .map_err(|why| format!("--sections: {why}"))?,
            None => Sections::default(),
        };
        let root = match matches.get_one::<PathBuf>("root") {
            Some(root) if !root.is_dir() => {
                return Err(format!("--root: {} is no directory", root.display()));
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
            detect: matches.get_flag("detect-addresses"),
            write_environment: matches.get_flag("write-environment"),
            ssh_user: text("ssh-user").unwrap_or_default(),
            json: text("output").as_deref() == Some("json"),
        })
    }

    fn run(&self) -> ExitCode {
        let loaded = match self.source.load(&self.root) {
            Ok(loaded) => loaded,
            Err(why) => return fail(&why, REFUSED),
        };
        let Some(bytes) = &loaded.bytes else {
            eprintln!(
                "etcd-cloudinit: {}: there is no document; nothing to do",
                loaded.name
            );
            return ExitCode::SUCCESS;
        };
        if loaded.shared && bytes.starts_with(b"#!") {
            eprintln!(
                "etcd-cloudinit: {}: a script is cloud-init's own; nothing to do",
                loaded.name
            );
            return ExitCode::SUCCESS;
        }
        let mut out = std::io::stdout();
        let mut report = Report::default();
        let mut host = Host::new(&self.root, self.dry_run, &mut out);
        if !self.validate
            && let Err(error) = host.alone()
        {
            return fail(&error.to_string(), REFUSED);
        }
        let surroundings = self.surroundings(&host, &loaded, &mut report);
        let prepared = prepare(bytes, &surroundings, &mut report);
        if self.validate {
            return self.print(&loaded.name, &report);
        }
        eprint!("{}", report.text(&loaded.name));
        match prepared {
            Some(Outcome::Nothing) => ExitCode::SUCCESS,
            Some(Outcome::Plan(plan)) => match host.apply(&plan) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error.to_string(), REFUSED),
            },
            None => fail(
                &format!("{} is refused, and nothing was changed", loaded.name),
                REFUSED,
            ),
        }
    }

    fn surroundings(&self, host: &Host<'_>, loaded: &Loaded, report: &mut Report) -> Surroundings {
        // A document is looked at for whichever machine it may be for: what is known only there is
        // taken for granted.
        if self.validate {
            return Surroundings {
                sections: self.sections.clone(),
                ssh_user: self.ssh_user.clone(),
                addresses: examples(),
                metadata: loaded.metadata.clone(),
                ..Surroundings::default()
            };
        }
        Surroundings {
            sections: self.sections.clone(),
            ssh_user: self.ssh_user.clone(),
            addresses: self.addresses(host, loaded, report),
            machine: host.machine(),
            metadata: loaded.metadata.clone(),
            environment: self
                .write_environment
                .then(|| host.text("/etc/environment").unwrap_or_default()),
        }
    }

    /// A config drive's own addresses, then those of the environment, of `/etc/environment`, of
    /// cloud-init, and of the interfaces if they may be asked.
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
        all = all.or(known(Addresses::from_variables(of_environment), report));
        all = all.or(known(Addresses::from_variables(of_file), report));
        all = all.or(loaded.addresses);
        if self.detect {
            all = all.or(Addresses::among(super::interfaces::addresses()));
        }
        all
    }

    fn print(&self, name: &str, report: &Report) -> ExitCode {
        let text = match self.json {
            true => format!("{}\n", report.json(name)),
            false => report.text(name),
        };
        let printed = std::io::stdout().write_all(text.as_bytes());
        match report.is_clean() && printed.is_ok() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(REFUSED),
        }
    }
}

/// Whoever asks for an address whose variable is none is told that it is unknown, and here why.
fn known((addresses, bad): (Addresses, Vec<NoAddress>), report: &mut Report) -> Addresses {
    for error in bad {
        report.note(Place::default(), error.to_string());
    }
    addresses
}

/// Addresses that are kept for documentation (RFC 5737, RFC 3849).
fn examples() -> Addresses {
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
    fn the_command_line_is_sound() {
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
