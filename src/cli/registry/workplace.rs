//! What the verbs of care share: where they work, whom they ask, how the end is told.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::progress::Progress;
use super::{fail, load};
use crate::registry::config::{Config, Origin};
use crate::registry::control::message::{Event, Request};
use crate::registry::control::{Asked, ControlError, ask};

#[derive(Args)]
pub struct Workplace {
    /// The configuration file; without it, the environment and the defaults
    ///
    /// A server that runs on its data folder does the work; otherwise this process does, and no server can start
    /// until it is done.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON: an object a line
    #[arg(long)]
    pub json: bool,
}

impl Workplace {
    pub fn config(&self) -> Option<Config> {
        load(&Origin {
            file: self.config.clone(),
        })
    }

    /// Has something done whose whole answer comes at the end, and prints it.
    pub fn run<T: Serialize + DeserializeOwned>(
        &self,
        request: impl Fn(&Config) -> Request,
        text: impl Fn(&T) -> String,
    ) -> ExitCode {
        let Some(config) = self.config() else {
            return ExitCode::FAILURE;
        };
        match have(&config, &request(&config), None, |_| {}) {
            Ok(done) => self.tell(&done, text),
            Err(error) => fail(&error),
        }
    }

    /// Prints an answer.
    pub fn tell<T: Serialize>(&self, done: &T, text: impl Fn(&T) -> String) -> ExitCode {
        if self.json {
            println!("{}", serde_json::to_string(done).unwrap_or_default());
        } else {
            print!("{}", text(done));
        }
        ExitCode::SUCCESS
    }
}

/// Has something done; `on_item` takes what comes before the end.
pub fn have<T: DeserializeOwned>(
    config: &Config,
    request: &Request,
    content: Option<Box<dyn Read + Send + '_>>,
    mut on_item: impl FnMut(&serde_json::Value) + Send,
) -> Result<T, ControlError> {
    let mut progress = Progress::new();
    let mut on_event = |event: &Event| match event {
        Event::Progress { phase, done, total } => progress.show(phase, *done, *total),
        Event::Item { item } => progress.aside(|| on_item(item)),
        Event::Done { .. } | Event::Failed { .. } => {}
    };
    ask(Asked {
        root: &config.storage.root,
        request,
        audit: &config.access.audit,
        content,
        on_event: &mut on_event,
    })
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A length of time on a command line: `24h`, `30m`, `0`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::registry::config::duration(text)
}

/// Seconds since 1970 as a time.
pub fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "never".to_owned(), |time| time.to_string())
}
