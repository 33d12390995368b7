//! `regdeploy-registry stats`: everything in numbers.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::workplace::{Workplace, size};
use crate::registry::content::stats::Stats;
use crate::registry::control::message::Request;

/// Count repositories, tags, manifests, blobs and bytes.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    /// How many of the largest repositories to name
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    largest: usize,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    arguments.workplace.run(
        |_| Request::Stats {
            largest: arguments.largest,
        },
        counted,
    )
}

fn counted(stats: &Stats) -> String {
    let mut text = format!(
        "repositories  {}\ntags          {}\nmanifests     {}\nblobs         {}, {}\n",
        stats.repositories,
        stats.tags,
        stats.manifests,
        stats.blobs,
        size(stats.bytes)
    );
    let _ = writeln!(text, "unshared      {}", size(stats.logical_bytes));
    let _ = writeln!(
        text,
        "uploads       {}, {}",
        stats.uploads,
        size(stats.upload_bytes)
    );
    if let (Some(free), Some(total)) = (stats.free_bytes, stats.total_bytes) {
        let _ = writeln!(text, "disk          {} free of {}", size(free), size(total));
    }
    for largest in &stats.largest {
        let _ = writeln!(
            text,
            "  {:>12}  {}: {} tags, {} manifests, {} blobs",
            size(largest.bytes),
            largest.name,
            largest.tags,
            largest.manifests,
            largest.blobs
        );
    }
    text
}
