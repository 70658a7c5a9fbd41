//! Scenarios: steps in order, some of which continue in the background.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::etcdctl::Run;
use crate::exchange::{Exchange, Request};
use crate::expect;
use crate::server::Server;

/// Timeout of an answer that does not wait for an event.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Timeout of the response head of a request in the background.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// Default timeout of an `await` step, in seconds.
const AWAIT_MAX: f64 = 5.0;

/// Timeout until a command in the background watches; some commands never do.
const WATCH_MAX: Duration = Duration::from_secs(5);

/// Interval of checks for its watch.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Factor for the recorded waits before an interrupt.
const INTERRUPT_FACTOR: u32 = 3;

/// A file of recorded scenarios.
pub struct File {
    /// The name of what its server needs.
    pub needs: Option<String>,
    pub scenarios: Vec<Scenario>,
}

/// A scenario.
pub struct Scenario {
    name: String,
    prefix: String,
    steps: Vec<Value>,
}

/// The state of a scenario that is played.
struct Player<'a> {
    server: &'a Server,
    /// The store index at the start.
    base: u64,
    /// The counters at the start.
    counters: BTreeMap<String, u64>,
    waiting: HashMap<String, (Exchange, String)>,
    commands: HashMap<String, Run>,
}

impl File {
    /// Read and parse a file of scenarios.
    pub fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = std::fs::read_to_string(path).expect("a file");
        let document: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let scenarios = document["scenarios"].as_array().expect("scenarios");
        let text_of = |value: &Value| value.as_str().expect("a text").to_owned();
        let scenario = |scenario: &Value| Scenario {
            name: format!("{name}: {}", text_of(&scenario["name"])),
            prefix: text_of(&scenario["prefix"]),
            steps: scenario["steps"].as_array().expect("steps").clone(),
        };
        Self {
            needs: document["needs"].as_str().map(str::to_owned),
            scenarios: scenarios.iter().map(scenario).collect(),
        }
    }
}

impl Scenario {
    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Total of its waits, in seconds.
    pub fn waits(&self) -> f64 {
        let seconds = |step: &Value| {
            let within = step["expect"]["pending"]
                .as_bool()
                .and(step["within"].as_f64());
            step["sleep"].as_f64().or(within).unwrap_or(0.0)
        };
        self.steps.iter().map(seconds).sum()
    }

    /// Play it. Returns a line for each difference.
    pub fn play(&self, server: &Server) -> Vec<String> {
        let wipe = format!("DELETE /v2/keys{}?recursive=true", self.prefix);
        fetch(&server.client, &wipe);
        let mut player = Player {
            server,
            base: index(server),
            counters: self
                .steps
                .iter()
                .find_map(|step| Some(counters(server, step["delta"].as_str()?)))
                .unwrap_or_default(),
            waiting: HashMap::new(),
            commands: HashMap::new(),
        };
        let mut failures = Vec::new();
        for (number, step) in (1..).zip(&self.steps) {
            for difference in player.step(step) {
                let what = if step["do"].is_null() {
                    &step["ctl"]
                } else {
                    &step["do"]
                };
                failures.push(format!("{} #{number} {what}: {difference}", self.name));
            }
        }
        fetch(&server.client, &wipe);
        failures
    }
}

impl Player<'_> {
    fn step(&mut self, step: &Value) -> Vec<String> {
        if let Some(seconds) = step["sleep"].as_f64() {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            return Vec::new();
        }
        if step["ctl"].is_array() {
            return self.command(step);
        }
        let command = step["await"].as_str().or(step["interrupt"].as_str());
        if let Some(name) = command.filter(|name| self.commands.contains_key(*name)) {
            return self.end(name, step);
        }
        if let Some(path) = step["delta"].as_str() {
            return self.check_growth(path, step);
        }
        if let Some(name) = step["await"].as_str() {
            let (exchange, target) = &self.waiting[name];
            exchange.wait(Duration::from_secs_f64(
                step["within"].as_f64().unwrap_or(AWAIT_MAX),
            ));
            return expect::differences(step, target, exchange.answer().as_ref(), &|text| {
                self.fill(text)
            });
        }
        let to = if step["on"] == "peer" {
            &self.server.peer
        } else {
            &self.server.client
        };
        for _ in 1..step["times"].as_u64().unwrap_or(1) {
            Exchange::start(to, self.request(step)).wait(ANSWER_MAX);
        }
        let request = self.request(step);
        let target = request.target.clone();
        let exchange = Exchange::start(to, request);
        if let Some(name) = step["bg"].as_str() {
            exchange.wait_for_head(HEAD_MAX);
            self.waiting.insert(name.to_owned(), (exchange, target));
            return Vec::new();
        }
        exchange.wait(ANSWER_MAX);
        expect::differences(step, &target, exchange.answer().as_ref(), &|text| {
            self.fill(text)
        })
    }

    /// Run `etcdctl`, possibly in the background.
    fn command(&mut self, step: &Value) -> Vec<String> {
        let mut arguments = Vec::new();
        if step["raw"] != true {
            arguments.extend(["-C".to_owned(), format!("http://{}", self.server.client)]);
            arguments.extend(self.texts(&step["pre"]));
        }
        arguments.extend(self.texts(&step["ctl"]));
        let stdin = self.fill(step["stdin"].as_str().unwrap_or_default());
        let variables: Vec<(String, String)> = step["env"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), self.fill(value.as_str().expect("a text"))))
            .collect();
        let before = watchers(self.server);
        let mut run = Run::start(&arguments, &stdin, &variables);
        if let Some(name) = step["bg"].as_str() {
            let started = Instant::now();
            while watchers(self.server) <= before && started.elapsed() < WATCH_MAX {
                std::thread::sleep(POLL_INTERVAL);
            }
            self.commands.insert(name.to_owned(), run);
            return Vec::new();
        }
        run.wait(ANSWER_MAX);
        expect::command_differences(step, &run.outcome(), &|text| self.fill(text))
    }

    /// Check a command in the background after an interrupt or its exit.
    fn end(&mut self, name: &str, step: &Value) -> Vec<String> {
        let mut run = self.commands.remove(name).expect("it was started");
        if step["interrupt"].is_string() {
            // Longer than recorded, since a busy host may take longer.
            let after = step["after"].as_f64().unwrap_or(0.3);
            std::thread::sleep(Duration::from_secs_f64(after) * INTERRUPT_FACTOR);
            run.interrupt();
        }
        let within = step["within"].as_f64().unwrap_or(AWAIT_MAX);
        run.wait(Duration::from_secs_f64(within));
        let outcome = run.outcome();
        // It may be checked again.
        self.commands.insert(name.to_owned(), run);
        expect::command_differences(step, &outcome, &|text| self.fill(text))
    }

    fn texts(&self, list: &Value) -> Vec<String> {
        let texts = list.as_array().into_iter().flatten();
        texts
            .map(|text| self.fill(text.as_str().expect("a text")))
            .collect()
    }

    fn request(&self, step: &Value) -> Request {
        let line = self.fill(step["do"].as_str().expect("a request"));
        let (method, target) = line.split_once(' ').expect("a method and a path");
        let mut form = form_urlencoded::Serializer::new(String::new());
        let mut add = |name: &str, value: &Value| {
            form.append_pair(name, &self.fill(value.as_str().expect("a value")));
        };
        let fields = &step["form"];
        for (name, value) in fields.as_object().into_iter().flatten() {
            add(name, value);
        }
        for pair in fields.as_array().into_iter().flatten() {
            add(pair[0].as_str().expect("a name"), &pair[1]);
        }
        let form = (!fields.is_null()).then(|| form.finish());
        let body = form.or_else(|| step["body"].as_str().map(|body| self.fill(body)));
        let mut headers = BTreeMap::new();
        if body.is_some() {
            headers.insert("Content-Type", Some("application/x-www-form-urlencoded"));
        }
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            headers.insert(name.as_str(), value.as_str());
        }
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), self.fill(value?))));
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.collect(),
            body: body.map(String::into_bytes),
        }
    }

    /// Check the growth of the counters, without those of reads, which the server does too.
    fn check_growth(&self, path: &str, step: &Value) -> Vec<String> {
        let now = counters(self.server, path);
        let grown = now.into_iter().map(|(name, count)| {
            let before = self.counters.get(&name).copied().unwrap_or(0);
            (name, count.saturating_sub(before))
        });
        let grown: BTreeMap<_, _> = grown
            .filter(|(name, count)| *count != 0 && !name.starts_with("gets"))
            .collect();
        let wanted = step["expect"]["body"].as_str().expect("counters");
        let wanted: BTreeMap<String, u64> = serde_json::from_str(wanted).expect("counters");
        if grown == wanted {
            return Vec::new();
        }
        vec![format!("counters: expected {wanted:?}, got {grown:?}")]
    }

    /// Replace the holes `<+N>`, `<pad +N>`, `<client>`, `<peer>` and `<name>` by live values.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            let (before, hole) = rest.split_at(at);
            filled.push_str(before);
            let end = hole.find('>').unwrap_or(0);
            match self.live(hole.get(1..end).unwrap_or_default()) {
                Some(live) => {
                    filled.push_str(&live);
                    rest = &hole[end + 1..];
                }
                None => {
                    filled.push('<');
                    rest = &hole[1..];
                }
            }
        }
        filled + rest
    }

    fn live(&self, hole: &str) -> Option<String> {
        match hole {
            "client" => return Some(self.server.client.clone()),
            "peer" => return Some(self.server.peer.clone()),
            "name" => return Some(self.server.name.clone()),
            _ => {}
        }
        let index = |offset: &str| {
            let offset = offset
                .starts_with(['+', '-'])
                .then(|| offset.parse::<i64>().ok())??;
            self.base.checked_add_signed(offset)
        };
        match hole.strip_prefix("pad ") {
            Some(offset) => index(offset).map(|index| format!("{index:0>20}")),
            None => index(hole).map(|index| index.to_string()),
        }
    }
}

fn fetch(to: &str, line: &str) -> Option<crate::exchange::Answer> {
    let (method, target) = line.split_once(' ')?;
    let request = Request {
        method: method.to_owned(),
        ..Request::get(target)
    };
    let exchange = Exchange::start(to, request);
    exchange.wait(ANSWER_MAX);
    exchange.answer()
}

fn index(server: &Server) -> u64 {
    let answer = fetch(&server.client, "GET /v2/keys/").expect("an answer");
    answer
        .header("X-Etcd-Index")
        .and_then(|index| index.parse().ok())
        .expect("an index")
}

/// Current number of watchers.
fn watchers(server: &Server) -> u64 {
    let counters = counters(server, "/v2/stats/store");
    counters.get("watchers").copied().unwrap_or(0)
}

fn counters(server: &Server, path: &str) -> BTreeMap<String, u64> {
    let answer = fetch(&server.client, &format!("GET {path}")).expect("an answer");
    serde_json::from_str(&answer.body).expect("counters")
}
