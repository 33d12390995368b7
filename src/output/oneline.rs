//! Results alone, each on one line.

use super::Printer;
use super::colour::Colour;
use super::console::Console;
use super::dump::{self, json};
use super::event::{Event, Extent, Report, State};
use super::minimal::{is_output, part, status};
use super::settings::Settings;
use crate::value::{Map, Value};

pub struct Oneline {
    settings: Settings,
}

impl Oneline {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn report(&self, report: &Report, console: &mut Console) {
        let host = &report.label.host;
        let dumped = || {
            let shown = dump::abridged(&report.result, self.settings.verbosity);
            json(&Value::Map(shown), Some(0)).replace('\n', "")
        };
        let (word, colour) = match report.state {
            State::Ok => ("SUCCESS", Colour::Ok),
            State::Changed => ("CHANGED", Colour::Changed),
            State::Failed => {
                if is_output(report) {
                    console.show(&output(host, "FAILED", &report.result), Some(Colour::Error));
                } else if let Some(error) = &report.error {
                    let text = format!(
                        "An exception occurred during task execution. To see the full traceback, use -vvv. The error was: {}",
                        error.whole_message()
                    );
                    console.show(&text, Some(Colour::Error));
                }
                ("FAILED!", Colour::Error)
            }
            State::Unreachable => {
                let text = format!("{host} | UNREACHABLE!: {}", part(&report.result, "msg"));
                return console.show(&text, Some(Colour::Unreachable));
            }
            State::Skipped => {
                return console.show(&format!("{host} | SKIPPED"), Some(Colour::Skipped));
            }
        };
        let text = if report.state != State::Failed && is_output(report) {
            output(host, word, &report.result)
        } else {
            format!("{host} | {word} => {}", dumped())
        };
        console.show(&text, Some(colour));
    }
}

impl Printer for Oneline {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Result(report) if !matches!(report.extent, Extent::Item(_)) => {
                self.report(report, console);
            }
            _ => {}
        }
    }
}

fn output(host: &str, word: &str, result: &Map) -> String {
    let one_line = |key: &str| part(result, key).replace('\n', "\\n").replace('\r', "\\r");
    let stderr = match one_line("stderr") {
        text if text.is_empty() => text,
        text => format!(" (stderr) {text}"),
    };
    format!(
        "{host} | {word} | rc={} | (stdout) {}{stderr}",
        status(result),
        one_line("stdout")
    )
}
