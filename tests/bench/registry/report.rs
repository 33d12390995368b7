//! The table that people read, and the JSON that says the same.

use std::fmt::Write as _;

use serde_json::json;

use super::peers::Peer;
use super::{Options, Outcome, Sample};

/// Head and all lines.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<22} {:<16} {:>12} {:>10} {:>14} {:>10} {:>9}\n",
        "work", "server", "rate", "x ours", "CPU ms each", "x ours", "peak MiB"
    );
    text.extend(outcomes.iter().map(lines));
    text
}

/// A line for each server. Ratios: how much faster ours is, and how much less CPU it takes.
pub fn lines(outcome: &Outcome) -> String {
    let mut text = String::new();
    let ours = ours(outcome);
    for (peer, sample) in &outcome.samples {
        let ratio = |figure: fn(&Sample) -> f64| match ours {
            Some(ours) if *peer != Peer::Regdeploy && figure(ours) > 0.0 => {
                format!("{:.2}", figure(sample) / figure(ours))
            }
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{:<22} {:<16} {:>12.2} {:>10} {:>14.4} {:>10} {:>9.1}",
            outcome.work.name,
            peer.name(),
            1.0 / sample.seconds,
            ratio(|sample| sample.seconds),
            sample.cpu * 1000.0,
            ratio(|sample| sample.cpu),
            sample.peak,
        );
    }
    text
}

fn ours(outcome: &Outcome) -> Option<&Sample> {
    let mut samples = outcome.samples.iter();
    samples.find_map(|(peer, sample)| (*peer == Peer::Regdeploy).then_some(sample))
}

pub fn json(options: &Options, outcomes: &[Outcome]) -> String {
    let works: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let ours = ours(outcome);
            let servers: serde_json::Map<_, _> = outcome
                .samples
                .iter()
                .map(|(peer, sample)| {
                    let figures = json!({
                        "per_second": 1.0 / sample.seconds,
                        "cpu_seconds_each": sample.cpu,
                        "peak_mebibytes": sample.peak,
                        // How much faster ours is, and how much less CPU time it takes.
                        "ours_is_faster": ours.map(|ours| sample.seconds / ours.seconds),
                        "ours_takes_less_cpu": ours.and_then(|ours| (ours.cpu > 0.0).then(|| sample.cpu / ours.cpu)),
                    });
                    (peer.name().to_owned(), figures)
                })
                .collect();
            json!({"work": outcome.work.name, "unit": outcome.work.unit, "servers": servers})
        })
        .collect();
    let text = json!({"mebibytes": options.mebibytes, "runs": options.runs, "works": works});
    format!("{text:#}\n")
}
