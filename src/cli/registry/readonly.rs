//! `regdeploy-registry readonly`: a running server takes no pushes and deletes, or takes them again.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::workplace::Workplace;
use crate::registry::control::message::{ReadOnly, Request};

/// Refuse pushes and deletes while the server runs, or take them again.
///
/// It lasts until the server ends; `storage.maintenance.readonly.enabled` is for good. Without a word, it is said
/// how things stand.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    word: Option<Word>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    On,
    Off,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    arguments.workplace.run(
        |_| Request::ReadOnly {
            on: arguments.word.map(|word| word == Word::On),
        },
        |now: &ReadOnly| format!("{}\n", if now.read_only { "on" } else { "off" }),
    )
}
