//! The same playbooks through real ansible-core and through `regdeploy`: what is printed, the exit code and the files
//! that are left must be the same, but for what `known.txt` lists with its reason.
//!
//! [`scenario`] reads the cases (`cases/*.txt`, see the README beside them), [`generated`] makes more of them, [`engine`] runs
//! them, [`printed`] takes out what must differ, [`answer`] says where both differ. Real ansible-core needs about a
//! second for each case, so its answers are kept under `target/`.
//!
//! `DIFFERENTIAL=WORDS` runs only the cases whose `section/name` contains these words.

mod answer;
pub mod engine;
mod generated;
pub mod known;
pub mod printed;
mod scenario;
pub mod score;

use std::sync::atomic::{AtomicUsize, Ordering};

use answer::Verdict;
use engine::Engines;
use known::{Excuse, Known};
use scenario::Scenario;
use score::Score;

/// What the project has promised to compare at least.
const FEWEST_CASES: usize = 300;

#[test]
fn does_what_ansible_core_does() {
    let filter = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let scenarios: Vec<Scenario> = scenario::all()
        .into_iter()
        .chain(generated::all())
        .filter(|scenario| scenario.path().contains(&filter))
        .collect();
    let verdicts = compare(&scenarios, &Engines::install());

    let mut known = Known::parse(include_str!("known.txt"));
    let mut score = Score::new("differential");
    let mut complaints = Vec::new();
    for (scenario, verdicts) in scenarios.iter().zip(verdicts) {
        for Verdict { name, difference } in verdicts {
            let excuse = known.take(&name);
            score.count(&scenario.section, difference.is_none(), excuse.is_some());
            match (difference, excuse) {
                (Some(difference), None) => complaints.push(format!("==== {name}\n{difference}")),
                (None, Some(Excuse::Wanted)) => complaints.push(format!("==== {name}\nno longer differs")),
                (None, Some(Excuse::NotDone)) => println!("no longer differs: {name}"),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }
    println!("{score}");
    if filter.is_empty() {
        complaints.extend(
            known
                .rest()
                .map(|name| format!("==== {name}\nis in known.txt and no case")),
        );
        assert!(
            score.total() >= FEWEST_CASES,
            "there are no longer {FEWEST_CASES} cases"
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The verdicts on each scenario, in their order; as many at a time as there are processors.
fn compare(scenarios: &[Scenario], engines: &Engines) -> Vec<Vec<Verdict>> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut verdicts: Vec<(usize, Vec<Verdict>)> = std::thread::scope(|scope| {
        let worker = || {
            let mut verdicts = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(scenario) = scenarios.get(index) else {
                    return verdicts;
                };
                verdicts.push((index, engines.compare(scenario)));
            }
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running
            .into_iter()
            .flat_map(|running| running.join().expect("a worker that ends"))
            .collect()
    });
    verdicts.sort_by_key(|(index, _)| *index);
    verdicts.into_iter().map(|(_, verdicts)| verdicts).collect()
}
