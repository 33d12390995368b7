//! `regdeploy-registry gc`: the collector, and why it keeps something.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::workplace::{Workplace, duration, size, time};
use crate::registry::content::collect::{Collected, Explained, Kept, Options, Tally};
use crate::registry::control::message::Request;

/// Remove what no manifest refers to, while pushes go on.
///
/// What is found unreferenced is condemned, and removed by a later run once the grace is over; whoever uses it in
/// between pardons it. So the first run after a deletion removes nothing yet. With `--grace 0`, what is
/// unreferenced goes at once: safe only while nobody pushes.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    /// How long something stays that was found unreferenced [default: storage.maintenance.collection.grace]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    grace: Option<Duration>,
    /// Remove manifests, too, that no tag keeps: not by an index, and not by `subject`
    #[arg(long)]
    untagged: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Say why something is kept, and do nothing
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["grace", "untagged", "dry_run"])]
    explain: Option<String>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    if let Some(digest) = &arguments.explain {
        let request = |_: &_| Request::Explain {
            digest: digest.clone(),
        };
        return arguments.workplace.run(request, explained);
    }
    arguments.workplace.run(
        |config| Request::Collect {
            options: Options {
                grace: arguments.grace.unwrap_or(config.maintenance.collection.grace),
                untagged: arguments.untagged || config.maintenance.collection.untagged,
                dry_run: arguments.dry_run,
            },
        },
        collected,
    )
}

fn collected(done: &Collected) -> String {
    let would = |word: &str, dry: &str| if done.dry_run { dry } else { word }.to_owned();
    let mut text = format!(
        "looked at {} repositories, {} manifests, {} blobs\n",
        done.repositories, done.manifests, done.blobs
    );
    for (word, tally) in [
        (would("removed", "would remove"), &done.removed),
        (would("condemned", "would condemn"), &done.condemned),
        ("waiting for their grace to end:".to_owned(), &done.waiting),
    ] {
        let _ = writeln!(text, "{word} {}", counted(tally));
    }
    for (count, what) in [
        (done.emptied, "repositories in which nothing was left"),
        (done.forgotten, "entries of tags for manifests that are gone"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{} {count} {what}", would("removed", "would remove"));
        }
    }
    for manifest in &done.unreadable {
        let _ = writeln!(
            text,
            "kept all blobs of its repository for the sake of {manifest}"
        );
    }
    text
}

fn counted(tally: &Tally) -> String {
    format!(
        "{} manifests, {} links, {} blobs ({})",
        tally.manifests,
        tally.links,
        tally.blobs,
        size(tally.bytes)
    )
}

fn explained(why: &Explained) -> String {
    let mut text = match why.size {
        Some(bytes) => format!("{} has {}\n", why.digest, size(bytes)),
        None => format!("{} has no data here\n", why.digest),
    };
    let condemned = |since: &Option<u64>| {
        since.map_or_else(String::new, |since| format!(", condemned since {}", time(since)))
    };
    for kept in &why.kept_by {
        let _ = match kept {
            Kept::Manifest {
                repository,
                tags,
                manifests,
                condemned_since,
            } => writeln!(
                text,
                "  a manifest of {repository}, tagged {}; kept by {}{}",
                listed(tags),
                listed(manifests),
                condemned(condemned_since)
            ),
            Kept::Named {
                repository,
                manifest,
                tags,
            } => writeln!(
                text,
                "  named by {repository}@{manifest}, tagged {}",
                listed(tags)
            ),
            Kept::Waiting {
                repository,
                condemned_since,
            } => writeln!(
                text,
                "  an upload to {repository} that no manifest there names{}",
                condemned(condemned_since)
            ),
            Kept::Unreadable {
                repository,
                manifest,
                why,
            } => writeln!(
                text,
                "  may be named by {repository}@{manifest}, which cannot be read: {why}"
            ),
        };
    }
    if why.kept_by.is_empty() && why.size.is_some() {
        let _ = writeln!(text, "  nothing keeps it{}", condemned(&why.condemned_since));
    }
    text
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "by none".to_owned()
    } else {
        names.join(", ")
    }
}
