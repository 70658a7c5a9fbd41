//! `etcdctl config get` and `etcdctl config set`: the settings of the cluster.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::{Map, Number, Value};

use super::session::Session;
use super::{Exit, Global, Output, args, members, output, session, table};
use crate::client::{Body, Request};
use crate::membership::api::PeerPage;

/// The settings, with their meaning.
const SETTINGS: [(&str, &str); 3] = [
    (
        "activeSize",
        "maximum number of members; further hosts are standbys",
    ),
    (
        "removeDelay",
        "seconds of absence after which a standby replaces a member",
    ),
    ("syncInterval", "seconds between two checks of a standby"),
];

/// The command line.
pub(super) fn command() -> Command {
    let setting = || {
        Arg::new("setting")
            .value_name("SETTING")
            .value_parser(PossibleValuesParser::new(SETTINGS.map(|(name, _)| name)))
            .help("Name of the setting.")
    };
    Command::new("config")
        .about("Print or change the settings of the cluster.")
        .subcommand_required(true)
        .after_help("Example: etcdctl config get")
        .subcommands([
            Command::new("get")
                .about("Print all settings, or the value of one.")
                .after_help("Examples:\n  etcdctl config get\n  etcdctl config get activeSize")
                .args([setting(), args::rest()]),
            Command::new("set")
                .about("Change a setting.")
                .override_usage("etcdctl config set SETTING VALUE")
                .after_help("Example: etcdctl config set activeSize 5")
                .args([
                    setting().required(true),
                    Arg::new("value")
                        .value_name("VALUE")
                        .required(true)
                        .value_parser(parse_number)
                        .help("New value, a number; a value below the minimum is raised to it."),
                    args::rest(),
                ]),
        ])
}

fn parse_number(text: &str) -> Result<Number, String> {
    let number = match text.parse::<u64>() {
        Ok(whole) => Some(Number::from(whole)),
        Err(_) => text
            .parse()
            .ok()
            .filter(|n: &f64| *n >= 0.0)
            .and_then(Number::from_f64),
    };
    number.ok_or_else(|| String::from("expected a number, 0 or more"))
}

/// Print or change settings.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let Some((verb, matches)) = matches.subcommand() else {
            return Err(Exit::usage("config: expected get or set"));
        };
        let page = PeerPage::settings_path();
        let setting = args::text(matches, "setting");
        if verb == "get" {
            return send(session, &Request::page(&page), setting).await;
        }
        let mut change = Map::new();
        if let (Some(setting), Some(value)) = (setting, matches.get_one::<Number>("value")) {
            change.insert(String::from(setting), Value::Number(value.clone()));
        }
        let request = Request {
            method: Method::PUT,
            body: Some(Body::Json(Value::Object(change).to_string().into())),
            ..Request::page(&page)
        };
        send(session, &request, None).await
    })
}

/// Send a request for the settings or for a change, and print the settings in the response.
async fn send(session: &Session, request: &Request, setting: Option<&str>) -> Result<(), Exit> {
    let all = members::list(session).await?;
    let answer = members::peer_client(session, &all)?.send(request).await?;
    if answer.status == 404 {
        return Err(Exit::refused(
            "the cluster does not support settings; only etcd 0.4 and oxetcd do",
        ));
    }
    if !answer.is_success() {
        return Err(Exit::from_answer(&answer));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let Ok(settings) = serde_json::from_str::<Map<String, Value>>(&text) else {
        return Err(Exit::refused(format!(
            "{}: not a valid list of settings: {text}",
            answer.member
        )));
    };
    let value = |name: &str| {
        settings
            .get(name)
            .map_or_else(String::new, Value::to_string)
    };
    let text = match (session.output, setting) {
        (Output::Json, _) => format!("{}\n", text.trim_end()),
        (Output::Simple | Output::Extended, Some(name)) => format!("{}\n", value(name)),
        (Output::Simple | Output::Extended, None) => {
            let rows = SETTINGS
                .map(|(name, meaning)| [String::from(name), value(name), String::from(meaning)]);
            table::aligned(["SETTING", "VALUE", "MEANING"], &rows)
        }
    };
    output::print(&text)?;
    Ok(())
}
