//! The care that a running server takes by itself: each work at its interval, over restarts too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Event, Request};
use super::perform::Workplace;
use super::told::By;
use crate::registry::config::Config;
use crate::registry::content::collect::now;
use crate::registry::content::{collect, scrub};
use crate::registry::server::background::Life;

/// How often one looks whether something is due.
const LOOK: Duration = Duration::from_secs(30);
/// How long a server that has just started is left alone, whatever is due: others may wait for it, and how long it
/// takes to start does not depend on what it holds.
const CALM: Duration = Duration::from_mins(1);
/// Where the times of the last runs are.
const FILE: &str = "schedule.json";

/// What is done by itself, with its interval and the request that does it.
fn works(config: &Config) -> Vec<(&'static str, Duration, Request)> {
    let (care, retention) = (&config.maintenance, &config.retention);
    let mut works = Vec::new();
    if care.purging.enabled {
        let (age, dry_run) = (care.purging.age, care.purging.dry_run);
        works.push((
            "uploadpurging",
            care.purging.interval,
            Request::Purge { age, dry_run },
        ));
    }
    // Before the collection, which takes what this lets go.
    if retention.enabled {
        let rules = retention.rules.clone();
        works.push((
            "retention",
            retention.interval,
            Request::Retain { rules, apply: true },
        ));
    }
    if care.collection.enabled {
        let options = collect::Options {
            grace: care.collection.grace,
            untagged: care.collection.untagged,
            dry_run: false,
        };
        works.push((
            "collection",
            care.collection.interval,
            Request::Collect { options },
        ));
    }
    if care.scrub.enabled {
        let options = scrub::Options {
            rate: care.scrub.rate,
            restart: false,
            dry_run: false,
        };
        works.push(("scrub", care.scrub.interval, Request::Scrub { options }));
    }
    works
}

/// Runs what is due until the server drains.
pub async fn keep(mut life: Life, workplace: Arc<Workplace>) {
    let scrubs = tokio::spawn(keep_some(life.clone(), Arc::clone(&workplace), |name| {
        name == "scrub"
    }));
    // A scrub may take days; the others do not wait for it.
    let others = tokio::spawn(keep_some(life.clone(), Arc::clone(&workplace), |name| {
        name != "scrub"
    }));
    life.draining().await;
    workplace.stop();
    for kept in [scrubs, others] {
        if let Err(error) = kept.await {
            tracing::error!(%error, "scheduled care has failed");
        }
    }
}

async fn keep_some(mut life: Life, workplace: Arc<Workplace>, mine: fn(&str) -> bool) {
    let began = Instant::now();
    loop {
        for (name, interval, request) in works(&life.config()) {
            let file = workplace.folder().join(FILE);
            let last = ran(&file).get(name).copied().unwrap_or(0);
            if !mine(name)
                || began.elapsed() < interval.min(CALM)
                || now() < last.saturating_add(interval.as_secs())
            {
                continue;
            }
            let workplace = Arc::clone(&workplace);
            let done = tokio::task::spawn_blocking(move || run(name, &request, &workplace, &file)).await;
            if let Err(error) = done {
                tracing::error!(%error, work = name, "scheduled care has failed");
            }
        }
        let shortest = works(&life.config())
            .iter()
            .map(|(_, interval, _)| *interval)
            .min();
        if !life
            .sleep(shortest.unwrap_or(LOOK).clamp(Duration::from_millis(200), LOOK))
            .await
        {
            return;
        }
    }
}

fn run(name: &'static str, request: &Request, workplace: &Workplace, file: &Path) {
    workplace.perform(request, &By::schedule(), &mut io::empty(), &mut |event| {
        match event {
            Event::Done { result } => {
                tracing::info!(work = name, %result, "scheduled care is done");
                // It ends with its last event: what was cut short is due again.
                if let Err(error) = note(file, name) {
                    tracing::warn!(%error, work = name, "when it ran last is not written down");
                }
            }
            Event::Failed { message } => tracing::warn!(work = name, message, "scheduled care has not ended"),
            Event::Progress { .. } | Event::Item { .. } => {}
        }
        true
    });
}

fn ran(file: &Path) -> BTreeMap<String, u64> {
    // Without it everything is due.
    let text = fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn note(file: &Path, name: &str) -> io::Result<()> {
    let mut times = ran(file);
    times.insert(name.to_owned(), now());
    let temporary = file.with_extension(name);
    fs::write(&temporary, serde_json::to_vec(&times)?)?;
    fs::rename(&temporary, file)
}
