//! What is shown of a run: the executor says what happened ([`Event`]), printers show it.
//!
//! A printer is one file and one row of [`PRINTERS`]. One of them has standard output; others may stand beside it and
//! write files or a few lines of their own. All of them write through a [`Console`], which knows of colours, the
//! log file and the progress line.

mod censor;
mod colour;
mod console;
mod default;
mod diff;
mod dump;
mod event;
mod json;
mod junit;
mod log;
mod minimal;
mod oneline;
mod printers;
mod profile_tasks;
mod progress;
mod settings;
mod timer;
mod told;
mod tree;

use crate::configuration::Configuration;
use crate::diagnostic::{Diagnostic, Severity};
use crate::secrets::scrub;

pub use self::colour::{Colour, Paint, USES};
pub use self::console::{COLUMNS, Console, Stream};
pub use self::dump::json;
pub use self::event::{
    Announced, Detail, Event, Extent, JobState, Label, Report, Role, State, Stats, Summary,
};
pub use self::log::Log;
pub use self::printers::{Kind, PRINTERS, Row};
pub use self::progress::Line;
pub use self::settings::{Format, Settings};
pub use self::told::{absolute, told};

/// The printers that can be chosen, and what they print.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str)> {
    PRINTERS.iter().map(|row| (row.name, row.summary))
}

/// Shows events.
pub trait Printer: Send {
    fn show(&mut self, event: &Event<'_>, console: &mut Console);
}

/// Where a run's events go.
pub struct Output {
    console: Console,
    printers: Vec<Box<dyn Printer>>,
    settings: Settings,
}

impl Output {
    /// The printers that the configuration names; `named` stands for its printer of standard output.
    pub fn new(
        console: Console,
        settings: Settings,
        configuration: &Configuration,
        named: Option<&str>,
    ) -> Result<Self, Diagnostic> {
        let printers = printers::chosen(configuration, &settings, named)?;
        Ok(Self {
            console,
            printers,
            settings,
        })
    }

    pub fn show(&mut self, event: &Event<'_>) {
        censor::censored(event, &mut |event| self.show_censored(event));
    }

    fn show_censored(&mut self, event: &Event<'_>) {
        match event {
            Event::Warning(text) => self.console.warn(text),
            Event::Diagnostic(diagnostic) => self.diagnostic(diagnostic),
            Event::Chatter { verbosity, text } => self.chatter(*verbosity, text),
            Event::Playbook { file, plays, .. } => {
                self.printed(event);
                self.chatter(2, &format!("{plays} plays in {}", file.display()));
                return;
            }
            Event::Retry { file } => {
                let text = format!("\tto retry, use: --limit @{}", file.display());
                self.console.show(&text, None);
            }
            Event::Traffic {
                host,
                exchanges,
                sent,
                received,
            } => self.chatter(
                3,
                &format!("traffic: [{host}] {exchanges} exchanges, {sent} bytes sent, {received} received"),
            ),
            _ => {}
        }
        self.printed(event);
    }

    fn printed(&mut self, event: &Event<'_>) {
        if let Some(line) = self.console.line() {
            line.follow(event);
        }
        for printer in &mut self.printers {
            printer.show(event, &mut self.console);
        }
        if matches!(event, Event::Recap(_)) {
            self.console.flush();
        }
    }

    fn chatter(&mut self, verbosity: u8, text: &str) {
        if self.settings.verbosity >= verbosity {
            self.console
                .show_on(self.settings.chatter, text, Some(Colour::Verbose));
        }
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let text = scrub(&told::told(diagnostic)).into_owned();
        self.console.flush();
        match diagnostic.severity {
            Severity::Warning => self.console.warn(&text),
            Severity::Error => self.console.error(Stream::Err, &text),
        }
    }
}
