//! The text that Ansible's default callback prints.

use std::io::Write;

use super::Printer;
use super::colour::{Colour, Paint};
use super::diff;
use super::event::{Event, JobState, Label, Report, State, Stats};
use crate::diagnostic::{Diagnostic, Severity};
use crate::playbook::short_name;
use crate::value::{Map, Value};

/// A banner's text and its stars have this many columns together, whatever the terminal: the text is the same in
/// a pipe.
const WIDTH: usize = 79;

/// Keys of a result that are shown only to those who ask for details.
const DETAILS: &[&str] = &[
    "invocation",
    "diff",
    "exception",
    "warnings",
    "deprecations",
    "results",
];

/// Keys of every result and of loops that `debug` does not show.
const BESIDES: &[&str] = &[
    "changed",
    "skipped",
    "skip_reason",
    "ansible_loop",
    "ansible_loop_var",
    "ansible_index_var",
];

/// Prints to two streams: results to one, warnings and diagnostics to the other.
pub struct Human<O, E> {
    out: O,
    err: E,
    paint: Paint,
    err_paint: Paint,
    verbosity: u8,
    diff: bool,
}

impl<O: Write + Send, E: Write + Send> Human<O, E> {
    pub fn new(out: O, err: E, paint: Paint, err_paint: Paint, verbosity: u8, diff: bool) -> Self {
        Self {
            out,
            err,
            paint,
            err_paint,
            verbosity,
            diff,
        }
    }

    /// A closed pipe ends the output, not the run.
    fn line(&mut self, text: &str, colour: Option<Colour>) {
        let text = match colour {
            Some(colour) => self.paint.paint(text, colour),
            None => text.to_owned(),
        };
        let _ = writeln!(self.out, "{text}");
    }

    fn banner(&mut self, text: &str) {
        let stars = WIDTH.saturating_sub(text.chars().count()).max(3);
        self.line(&format!("\n{text} {}", "*".repeat(stars)), None);
    }

    fn report(&mut self, report: &Report) {
        if let Some(diagnostic) = &report.diagnostic {
            self.diagnostic(diagnostic);
        }
        self.warnings(&report.result);
        self.diffs(report);
        let label = label(&report.label);
        let item = report
            .item
            .as_ref()
            .map(|item| format!(" => (item={item})"))
            .unwrap_or_default();
        let verbose = report.always || self.verbosity > 0;
        match report.state {
            State::Ok | State::Changed => {
                let (word, colour) = match report.state {
                    State::Changed => ("changed", Colour::Changed),
                    _ => ("ok", Colour::Ok),
                };
                let details = if verbose {
                    format!(" => {}", self.dump(report))
                } else {
                    String::new()
                };
                self.line(&format!("{word}: [{label}]{item}{details}"), Some(colour));
            }
            State::Skipped => {
                let details = if self.verbosity > 0 {
                    format!(" => {}", self.dump(report))
                } else {
                    String::new()
                };
                // Ansible's own text: an item has a space at the end, a host has none.
                let end = if report.item.is_some() { " " } else { "" };
                self.line(
                    &format!("skipping: [{label}]{item}{details}{end}"),
                    Some(Colour::Skipped),
                );
            }
            State::Failed if report.item.is_some() => {
                let item = report.item.as_deref().unwrap_or_default();
                self.line(
                    &format!("failed: [{label}] (item={item}) => {}", self.dump(report)),
                    Some(Colour::Error),
                );
            }
            State::Failed => {
                self.line(
                    &format!("fatal: [{label}]: FAILED! => {}", self.dump(report)),
                    Some(Colour::Error),
                );
            }
            State::Unreachable => {
                self.line(
                    &format!("fatal: [{label}]: UNREACHABLE! => {}", self.dump(report)),
                    Some(Colour::Unreachable),
                );
            }
        }
        if report.ignored {
            self.line("...ignoring", Some(Colour::Skipped));
        }
    }

    fn warnings(&mut self, result: &Value) {
        let Some(warnings) = result.get("warnings").and_then(Value::as_list) else {
            return;
        };
        for warning in warnings {
            self.diagnostic(&Diagnostic::warning(warning.to_string()));
        }
    }

    fn diffs(&mut self, report: &Report) {
        if !self.diff {
            return;
        }
        for diff in &report.diff {
            let text = diff::unified(diff, self.paint);
            if !text.is_empty() {
                let _ = write!(self.out, "{text}");
            }
        }
    }

    /// The result as JSON: on one line, or indented for `debug` and for those who asked for much.
    fn dump(&self, report: &Report) -> String {
        let Value::Map(result) = &report.result else {
            return report.result.to_string();
        };
        let action = short_name(&report.action);
        let of_loop: Vec<&str> = ["ansible_loop_var", "ansible_index_var"]
            .iter()
            .filter_map(|name| result.get(*name)?.as_str())
            .collect();
        let hidden = |key: &str| match action {
            // Only what was asked for.
            "debug" => BESIDES.contains(&key) || of_loop.contains(&key),
            "setup" => key == "ansible_facts",
            _ => false,
        };
        let shown: Map = result
            .iter()
            .filter(|(key, _)| self.verbosity >= 3 || !DETAILS.contains(&key.as_str()))
            .filter(|(key, _)| key.as_str() != "failed" && !hidden(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let indented = report.always || self.verbosity >= 3;
        json(&Value::Map(shown), indented)
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let text = diagnostic.render(self.err_paint.0);
        let _ = writeln!(self.err, "{text}");
    }

    fn recap(&mut self, hosts: &indexmap::IndexMap<String, Stats>) {
        self.banner("PLAY RECAP");
        let mut sorted: Vec<_> = hosts.iter().collect();
        sorted.sort_by_key(|(host, _)| *host);
        for (host, stats) in sorted {
            let text = recap_line(host, stats, self.paint);
            let _ = writeln!(self.out, "{text}");
        }
        let _ = writeln!(self.out);
        let _ = self.out.flush();
    }
}

impl<O: Write + Send, E: Write + Send> Printer for Human<O, E> {
    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Playbook { name, plays } if self.verbosity >= 2 => {
                let file = name.rsplit('/').next().unwrap_or(name);
                self.banner(&format!("PLAYBOOK: {file}"));
                self.line(&format!("{plays} plays in {name}"), Some(Colour::Verbose));
            }
            Event::Playbook { .. } => {}
            Event::Play { name: "" } => self.banner("PLAY"),
            Event::Play { name } => self.banner(&format!("PLAY [{name}]")),
            Event::NoHostsMatched => self.line("skipping: no hosts matched", Some(Colour::Skipped)),
            Event::NoHostsLeft => self.banner("NO MORE HOSTS LEFT"),
            Event::Task { name, place, handler } => {
                let kind = if *handler { "RUNNING HANDLER" } else { "TASK" };
                self.banner(&format!("{kind} [{name}]"));
                if self.verbosity >= 2 && !place.is_empty() {
                    self.line(&format!("task path: {place}"), Some(Colour::Verbose));
                }
            }
            Event::Result(report) => self.report(report),
            Event::Included { file, item, hosts } => {
                let item = item.map(|item| format!(" => (item={item})")).unwrap_or_default();
                self.line(
                    &format!("included: {file} for {}{item}", hosts.join(", ")),
                    Some(Colour::Skipped),
                );
            }
            Event::Retrying {
                label: host,
                task,
                left,
            } => {
                self.line(
                    &format!(
                        "FAILED - RETRYING: [{}]: {task} ({left} retries left).",
                        label(host)
                    ),
                    Some(Colour::Verbose),
                );
            }
            Event::Meta { text } if self.verbosity >= 2 => {
                self.line(&format!("META: {text}"), Some(Colour::Verbose));
            }
            Event::Meta { .. } => {}
            Event::Job {
                label: host,
                job,
                state,
            } => {
                let host = label(host);
                let (text, colour) = match state {
                    JobState::Running => (
                        format!("ASYNC POLL on {host}: jid={job} started=True finished=False"),
                        Colour::Verbose,
                    ),
                    JobState::Ok => (format!("ASYNC OK on {host}: jid={job}"), Colour::Verbose),
                    JobState::Failed => (format!("ASYNC FAILED on {host}: jid={job}"), Colour::Verbose),
                };
                self.line(&text, Some(colour));
            }
            Event::Warning(text) => {
                self.diagnostic(&Diagnostic::warning(*text));
            }
            Event::Diagnostic(diagnostic) => {
                let _ = self.out.flush();
                debug_assert!(matches!(diagnostic.severity, Severity::Error | Severity::Warning));
                self.diagnostic(diagnostic);
            }
            Event::Traffic {
                host,
                exchanges,
                sent,
                received,
            } if self.verbosity >= 3 => {
                let text = format!(
                    "traffic: [{host}] {exchanges} exchanges, {sent} bytes sent, {received} received"
                );
                self.line(&text, Some(Colour::Verbose));
            }
            Event::Traffic { .. } => {}
            Event::Recap(hosts) => self.recap(hosts),
        }
    }
}

fn label(label: &Label) -> String {
    match &label.delegate {
        Some(delegate) if *delegate != label.host => format!("{} -> {delegate}", label.host),
        _ => label.host.clone(),
    }
}

fn recap_line(host: &str, stats: &Stats, paint: Paint) -> String {
    let colour = if stats.failed + stats.unreachable > 0 {
        Colour::Error
    } else if stats.changed > 0 {
        Colour::Changed
    } else {
        Colour::Ok
    };
    let counts = [
        ("ok", stats.ok, Colour::Ok),
        ("changed", stats.changed, Colour::Changed),
        ("unreachable", stats.unreachable, Colour::Unreachable),
        ("failed", stats.failed, Colour::Error),
        ("skipped", stats.skipped, Colour::Skipped),
        ("rescued", stats.rescued, Colour::Ok),
        ("ignored", stats.ignored, Colour::Warning),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(name, count, colour)| {
            let text = format!("{name}={count:<4}");
            if count > 0 {
                paint.paint(&text, colour)
            } else {
                text
            }
        })
        .collect();
    let name = format!("{host:<26}");
    format!("{} : {}", paint.paint(&name, colour), counts.join(" "))
}

/// JSON with Python's separators, keys sorted.
pub fn json(value: &Value, indented: bool) -> String {
    let mut out = String::new();
    write_json(value, indented.then_some(0), &mut out);
    out
}

fn write_json(value: &Value, indent: Option<usize>, out: &mut String) {
    let (open, close, count) = match value {
        Value::List(items) => ('[', ']', items.len()),
        Value::Map(map) => ('{', '}', map.len()),
        scalar => {
            out.push_str(&serde_json::to_string(scalar).unwrap_or_default());
            return;
        }
    };
    out.push(open);
    let inner = indent.map(|level| level + 4);
    let separate = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(if inner.is_some() { "," } else { ", " });
        }
        if let Some(level) = inner {
            out.push('\n');
            out.push_str(&" ".repeat(level));
        }
    };
    match value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                write_json(item, inner, out);
            }
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (index, (key, item)) in entries.into_iter().enumerate() {
                separate(out, index);
                out.push_str(&serde_json::to_string(key).unwrap_or_default());
                out.push_str(": ");
                write_json(item, inner, out);
            }
        }
        _ => {}
    }
    if let (Some(level), true) = (indent, count > 0) {
        out.push('\n');
        out.push_str(&" ".repeat(level));
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recap_is_aligned() {
        let stats = Stats {
            ok: 12,
            changed: 3,
            ..Stats::default()
        };
        assert_eq!(
            recap_line("web1", &stats, Paint(false)),
            "web1                       : ok=12   changed=3    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   "
        );
    }

    #[test]
    fn json_as_python_writes_it() {
        let value: Value = serde_json::from_str(r#"{"b":[1,{}],"a":"x"}"#).unwrap();
        assert_eq!(json(&value, false), r#"{"a": "x", "b": [1, {}]}"#);
        assert_eq!(
            json(&value, true),
            "{\n    \"a\": \"x\",\n    \"b\": [\n        1,\n        {}\n    ]\n}"
        );
    }
}
