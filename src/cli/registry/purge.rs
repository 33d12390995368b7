//! `regdeploy-registry purge`: uploads that nobody goes on with.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::workplace::{Workplace, duration, size};
use crate::registry::content::purge::Purged;
use crate::registry::control::message::Request;

/// Remove uploads that nobody goes on with.
///
/// The age is that of the last byte that has come. An upload that a request is writing to stays.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    /// How long nothing has come [default: storage.maintenance.uploadpurging.age]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    age: Option<Duration>,
    /// Say what would be removed, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    arguments.workplace.run(
        |config| Request::Purge {
            age: arguments.age.unwrap_or(config.maintenance.purging.age),
            dry_run: arguments.dry_run,
        },
        |done: &Purged| {
            format!(
                "{} {} uploads ({}), left {}\n",
                if done.dry_run { "would remove" } else { "removed" },
                done.uploads,
                size(done.bytes),
                done.left
            )
        },
    )
}
