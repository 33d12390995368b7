//! One JSON document at the end: plays, their tasks, the result of each host, the recap.
//!
//! The structure is that of Ansible's `json` callback.

use std::sync::Arc;

use jiff::Timestamp;

use super::Printer;
use super::console::Console;
use super::dump;
use super::event::{Announced, Event, Extent, Report, State, Stats, Summary};
use super::settings::Settings;
use crate::value::{Map, Value};

pub struct Json {
    settings: Settings,
    plays: Vec<Play>,
    /// Counts plays and tasks, for their ids.
    count: u64,
}

struct Play {
    name: String,
    id: String,
    span: Span,
    tasks: Vec<Task>,
}

struct Task {
    announced: Arc<Announced>,
    id: String,
    span: Span,
    /// Where hosts do not run it together: whose it is.
    host: Option<String>,
    hosts: Map,
}

/// From when to when.
struct Span {
    start: Timestamp,
    end: Option<Timestamp>,
}

impl Span {
    fn now() -> Self {
        Self {
            start: Timestamp::now(),
            end: None,
        }
    }

    fn value(&self) -> Value {
        let time = |time: Timestamp| Value::from(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string());
        let mut map = Map::from_iter([("start".to_owned(), time(self.start))]);
        if let Some(end) = self.end {
            map.insert("end".to_owned(), time(end));
        }
        Value::Map(map)
    }
}

impl Json {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            plays: Vec::new(),
            count: 0,
        }
    }

    /// In the form of the ids that readers of these documents know.
    fn next_id(&mut self) -> String {
        self.count += 1;
        format!("00000000-0000-0000-0000-{:012x}", self.count)
    }

    fn play(&mut self, name: &str) {
        let play = Play {
            name: name.to_owned(),
            id: self.next_id(),
            span: Span::now(),
            tasks: Vec::new(),
        };
        self.plays.push(play);
    }

    fn task(&mut self, announced: &Arc<Announced>, host: Option<&str>) {
        let id = self.next_id();
        if let Some(play) = self.plays.last_mut() {
            play.tasks.push(Task {
                announced: Arc::clone(announced),
                id,
                span: Span::now(),
                host: host.map(str::to_owned),
                hosts: Map::new(),
            });
        }
    }

    fn report(&mut self, report: &Report) {
        let mut result = report.result.clone();
        result
            .retain(|key, _| !matches!(key.as_str(), "failed" | "skipped") && !key.starts_with("_ansible_"));
        match report.state {
            State::Failed => result.insert("failed".to_owned(), Value::Bool(true)),
            State::Skipped => result.insert("skipped".to_owned(), Value::Bool(true)),
            _ => None,
        };
        result.insert("action".to_owned(), Value::from(report.task.action.as_str()));
        let host = &report.label.host;
        let Some(play) = self.plays.last_mut() else {
            return;
        };
        let mine = |task: &&mut Task| {
            task.announced.id == report.task.id && task.host.as_ref().is_none_or(|own| own == host)
        };
        if let Some(task) = play.tasks.iter_mut().rev().find(mine) {
            let end = Some(Timestamp::now());
            task.span.end = end;
            play.span.end = end;
            task.hosts.insert(host.clone(), Value::Map(result));
        }
    }

    fn document(&mut self, summary: &Summary) -> Value {
        let plays: Vec<Value> = self.plays.drain(..).map(Play::value).collect();
        let stats = summary.hosts.iter();
        let stats: Map = stats.map(|(host, stats)| (host.clone(), counts(stats))).collect();
        let mut custom = Map::new();
        let mut global = Map::new();
        if self.settings.custom_stats {
            for (host, map) in &summary.custom {
                match host {
                    Some(host) => {
                        custom.insert(host.clone(), Value::Map(map.clone()));
                    }
                    None => global.clone_from(map),
                }
            }
        }
        object([
            ("plays", Value::List(plays)),
            ("stats", Value::Map(stats)),
            ("custom_stats", Value::Map(custom)),
            ("global_custom_stats", Value::Map(global)),
        ])
    }
}

impl Play {
    fn value(self) -> Value {
        let about = object([
            ("name", self.name.into()),
            ("id", self.id.into()),
            ("duration", self.span.value()),
        ]);
        let tasks = self.tasks.into_iter().map(|task| {
            let mut about = Map::from_iter([
                ("name".to_owned(), Value::from(task.announced.name.as_str())),
                ("id".to_owned(), Value::from(task.id)),
                ("duration".to_owned(), task.span.value()),
            ]);
            if !task.announced.place.is_empty() {
                about.insert("path".to_owned(), Value::from(task.announced.place.as_str()));
            }
            object([("task", Value::Map(about)), ("hosts", Value::Map(task.hosts))])
        });
        object([("play", about), ("tasks", Value::List(tasks.collect()))])
    }
}

impl Printer for Json {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Play { name, .. } => self.play(name),
            Event::Task { task, .. } if task.in_step => self.task(task, None),
            Event::Started { task, host } if !task.in_step => self.task(task, Some(host)),
            Event::Result(report) if !matches!(report.extent, Extent::Item(_)) => self.report(report),
            Event::Recap(summary) => {
                let document = self.document(summary);
                console.show(&dump::json(&document, Some(4)), None);
            }
            _ => {}
        }
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect(),
    )
}

fn counts(stats: &Stats) -> Value {
    object([
        ("ok", stats.ok.into()),
        ("failures", stats.failed.into()),
        ("unreachable", stats.unreachable.into()),
        ("changed", stats.changed.into()),
        ("skipped", stats.skipped.into()),
        ("rescued", stats.rescued.into()),
        ("ignored", stats.ignored.into()),
    ])
}
