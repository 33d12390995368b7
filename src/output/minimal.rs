//! Results alone, each on several lines: what `ansible` prints.

use super::Printer;
use super::colour::Colour;
use super::console::{Console, Stream};
use super::default::troubles;
use super::diff;
use super::dump::{self, Layout, dump};
use super::event::{Event, Extent, Report, State};
use super::settings::Settings;
use crate::playbook::short_name;
use crate::value::{Map, Value};

/// Whose results are their output.
const COMMANDS: &[&str] = &["command", "shell", "raw", "script", "win_command", "win_shell"];

pub struct Minimal {
    settings: Settings,
}

impl Minimal {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn report(&self, report: &Report, console: &mut Console) {
        let host = &report.label.host;
        if !report.diff.is_empty() && matches!(report.state, State::Ok | State::Changed) {
            let text = diff::unified(&report.diff, self.settings.diff_context, console.painter());
            console.show(&text, None);
        }
        troubles(report, Stream::Out, console);
        let (word, colour, mark) = match report.state {
            State::Ok => ("SUCCESS", Colour::Ok, ""),
            State::Changed => ("CHANGED", Colour::Changed, ""),
            State::Failed => ("FAILED", Colour::Error, "!"),
            State::Unreachable => ("UNREACHABLE", Colour::Unreachable, "!"),
            State::Skipped => {
                return console.show(&format!("{host} | SKIPPED"), Some(Colour::Skipped));
            }
        };
        let text = if report.state != State::Unreachable && is_output(report) {
            output(host, word, &report.result)
        } else {
            let result = match report.state {
                State::Ok | State::Changed => dump::cleaned(&report.result, &report.task.action),
                _ => report.result.clone(),
            };
            format!(
                "{host} | {word}{mark} => {}",
                dump(&result, Layout::Long, &self.settings)
            )
        };
        console.show(&text, Some(colour));
    }
}

impl Printer for Minimal {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Result(report) if !matches!(report.extent, Extent::Item(_)) => {
                self.report(report, console);
            }
            _ => {}
        }
    }
}

/// Whether what a result says is what a command has printed.
pub fn is_output(report: &Report) -> bool {
    COMMANDS.contains(&short_name(&report.task.action)) && !report.result.contains_key("ansible_job_id")
}

/// A key of a command's result as text, empty if it is not there.
pub fn part(result: &Map, key: &str) -> String {
    result.get(key).map(Value::to_string).unwrap_or_default()
}

/// The exit status of a command's result.
pub fn status(result: &Map) -> String {
    result.get("rc").map_or("-1".to_owned(), Value::to_string)
}

fn output(host: &str, word: &str, result: &Map) -> String {
    format!(
        "{host} | {word} | rc={} >>\n{}{}{}\n",
        status(result),
        part(result, "stdout"),
        part(result, "stderr"),
        part(result, "msg")
    )
}
