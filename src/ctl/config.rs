//! `etcdctl config get` and `etcdctl config set`: the settings all members share.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::{Map, Number, Value};

use super::session::Session;
use super::{Exit, Global, Output, args, member, output, roster, session, table};
use crate::client::{Body, Request};

/// Their names, and what they mean.
const SETTINGS: [(&str, &str); 3] = [
    (
        "activeSize",
        "how many machines are members, the others stand by",
    ),
    (
        "removeDelay",
        "seconds after which a dead member loses its place",
    ),
    (
        "syncInterval",
        "seconds between two looks of a standby at the cluster",
    ),
];

/// The page on the peer port.
const PAGE: &str = "/v2/admin/config";

/// The command line.
pub(super) fn command() -> Command {
    let setting = || {
        Arg::new("setting")
            .value_name("SETTING")
            .value_parser(PossibleValuesParser::new(SETTINGS.map(|(name, _)| name)))
            .help("Which one")
    };
    Command::new("config")
        .about("Print or change the settings of the cluster")
        .subcommand_required(true)
        .after_help("Example: etcdctl config get")
        .subcommands([
            Command::new("get")
                .about("Print all settings, or the value of one")
                .after_help("Examples:\n  etcdctl config get\n  etcdctl config get activeSize")
                .args([setting(), args::rest()]),
            Command::new("set")
                .about("Change a setting")
                .override_usage("etcdctl config set SETTING VALUE")
                .after_help("Example: etcdctl config set activeSize 5")
                .args([
                    setting().required(true),
                    Arg::new("value")
                        .value_name("VALUE")
                        .required(true)
                        .value_parser(number)
                        .help("A number; one that is too small is raised to the smallest"),
                    args::rest(),
                ]),
        ])
}

fn number(text: &str) -> Result<Number, String> {
    let number = match text.parse::<u64>() {
        Ok(whole) => Some(Number::from(whole)),
        Err(_) => text
            .parse()
            .ok()
            .filter(|n: &f64| *n >= 0.0)
            .and_then(Number::from_f64),
    };
    number.ok_or_else(|| String::from("expected a number that is not negative"))
}

/// Print or change settings.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let Some((verb, matches)) = matches.subcommand() else {
            return Err(Exit::usage("get or set?"));
        };
        let setting = args::text(matches, "setting");
        if verb == "get" {
            return show(session, &Request::page(PAGE), setting).await;
        }
        let mut change = Map::new();
        if let (Some(setting), Some(value)) = (setting, matches.get_one::<Number>("value")) {
            change.insert(String::from(setting), Value::Number(value.clone()));
        }
        let request = Request {
            method: Method::PUT,
            body: Some(Body::Json(Value::Object(change).to_string().into())),
            ..Request::page(PAGE)
        };
        show(session, &request, None).await
    })
}

/// Ask for the settings, or for other ones, and print what they are then.
async fn show(session: &Session, request: &Request, setting: Option<&str>) -> Result<(), Exit> {
    let members = roster::members(session).await?;
    let answer = roster::peers(session, &members)?.send(request).await?;
    if answer.status == 404 {
        return Err(Exit::refused(
            "this cluster has no such settings: they are etcd 0.4's and this project's",
        ));
    }
    if !answer.is_success() {
        return Err(member::said(&answer));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let Ok(settings) = serde_json::from_str::<Map<String, Value>>(&text) else {
        return Err(Exit::refused(format!(
            "{}: these are no settings: {text}",
            answer.member
        )));
    };
    let shown = |name: &str| {
        settings
            .get(name)
            .map_or_else(String::new, Value::to_string)
    };
    let text = match (session.output, setting) {
        (Output::Json, _) => format!("{}\n", text.trim_end()),
        (Output::Simple | Output::Extended, Some(name)) => format!("{}\n", shown(name)),
        (Output::Simple | Output::Extended, None) => {
            let rows = SETTINGS
                .map(|(name, meaning)| [String::from(name), shown(name), String::from(meaning)]);
            table::aligned(["SETTING", "VALUE", "MEANING"], &rows)
        }
    };
    output::print(&text)?;
    Ok(())
}
