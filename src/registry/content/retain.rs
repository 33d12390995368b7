//! Retention: which tags and untagged manifests the configured rules let go, and why each other one stays.
//!
//! A repository's plan is made while nobody else changes the repository, and carried out before anybody does:
//! what is planned is what happens. The data of what goes is the collector's.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::collect::{Graph, now};
use super::{CareError, Registry, Watch};
use crate::registry::config::Rule;
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::storage::paths;

/// What becomes of one tag or untagged manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    pub repository: String,
    /// A tag, or the digest of an untagged manifest.
    pub reference: String,
    /// When it was pushed, in seconds since 1970.
    pub pushed: u64,
    pub kept: bool,
    pub why: String,
}

/// How much stays and goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    pub applied: bool,
    pub repositories: u64,
    pub kept_tags: u64,
    pub deleted_tags: u64,
    pub deleted_manifests: u64,
}

impl Registry {
    /// Tells the fate of every tag, and of every manifest without one that a rule is about. With `apply` what is
    /// told to go has gone.
    pub fn retain(
        &self,
        rules: &[Rule],
        apply: bool,
        watch: &dyn Watch,
        tell: &mut dyn FnMut(Fate),
    ) -> Result<Retained, CareError> {
        let mut retained = Retained {
            applied: apply,
            ..Retained::default()
        };
        self.each_repository(&mut |name| {
            watch.step("repositories", retained.repositories, None)?;
            retained.repositories += 1;
            let mut plan = self.plan(rules, name, watch)?;
            if apply && plan.lets_something_go() {
                plan = self.alone(name, || {
                    let plan = self.plan(rules, name, watch)?;
                    self.carry_out(name, &plan)?;
                    Ok::<_, CareError>(plan)
                })?;
            }
            for (tag, fate) in plan.tags {
                retained.kept_tags += u64::from(fate.kept);
                retained.deleted_tags += u64::from(!fate.kept);
                tell(fate.of(name, tag.to_string()));
            }
            for (digest, fate) in plan.untagged {
                retained.deleted_manifests += u64::from(!fate.kept);
                tell(fate.of(name, digest.to_string()));
            }
            Ok(())
        })?;
        Ok(retained)
    }

    fn plan(&self, rules: &[Rule], name: &RepositoryName, watch: &dyn Watch) -> Result<Plan, CareError> {
        let now = now();
        let mut tags = Vec::new();
        self.each_tag(name, &mut |tag, digest| {
            let link = self.storage.stat(&paths::tag_current(name, &tag))?;
            let pushed = link.map_or(now, |link| link.modified);
            tags.push((tag, digest, pushed));
            Ok(())
        })?;
        // The latest first; of the same second, the last name.
        tags.sort_by(|a, b| (b.2, &b.0).cmp(&(a.2, &a.0)));
        let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.is_about(name.as_str())).collect();
        let mut ranks = vec![0; rules.len()];
        let mut plan = Plan::default();
        let mut tagged = HashSet::new();
        for (tag, digest, pushed) in tags {
            let governing = rules.iter().position(|rule| rule.governs(tag.as_str()));
            let (kept, why) = match governing {
                None => (true, "no rule is about it".to_owned()),
                Some(number) => verdict(
                    rules[number],
                    tag.as_str(),
                    &mut ranks[number],
                    now - pushed.min(now),
                ),
            };
            if kept {
                tagged.extend(digest);
            }
            plan.tags.push((tag, Standing { pushed, kept, why }));
        }
        if let Some(after) = rules.iter().find_map(|rule| rule.untagged_after) {
            let graph = Graph::read(self, name, self.revisions(name)?, watch)?;
            for digest in graph.unkept(&tagged) {
                let link = self.storage.stat(&paths::revision_link(name, &digest))?;
                let pushed = link.map_or(now, |link| link.modified);
                let kept = now - pushed.min(now) < after.as_secs();
                let why = if kept {
                    format!("untagged, and younger than {}", days(after.as_secs()))
                } else {
                    format!("untagged, and older than {}", days(after.as_secs()))
                };
                plan.untagged.push((digest, Standing { pushed, kept, why }));
            }
        }
        Ok(plan)
    }

    /// Under the repository's lock.
    fn carry_out(&self, name: &RepositoryName, plan: &Plan) -> Result<(), CareError> {
        for (digest, _) in plan.untagged.iter().filter(|(_, fate)| !fate.kept) {
            self.storage.discard(&paths::revision(name, digest))?;
        }
        for (tag, _) in plan.tags.iter().filter(|(_, fate)| !fate.kept) {
            self.storage.discard(&paths::tag(name, tag))?;
        }
        for algorithm in Algorithm::ALL {
            self.storage.settle(&paths::revisions(name, algorithm))?;
        }
        Ok(self.storage.settle(&paths::tags(name))?)
    }
}

/// A repository's plan.
#[derive(Default)]
struct Plan {
    tags: Vec<(Tag, Standing)>,
    untagged: Vec<(Digest, Standing)>,
}

impl Plan {
    fn lets_something_go(&self) -> bool {
        let tags = self.tags.iter().map(|(_, fate)| fate);
        let untagged = self.untagged.iter().map(|(_, fate)| fate);
        tags.chain(untagged).any(|fate| !fate.kept)
    }
}

struct Standing {
    pushed: u64,
    kept: bool,
    why: String,
}

impl Standing {
    fn of(self, name: &RepositoryName, reference: String) -> Fate {
        Fate {
            repository: name.to_string(),
            reference,
            pushed: self.pushed,
            kept: self.kept,
            why: self.why,
        }
    }
}

/// Whether a rule keeps a tag of this age. `rank` counts the tags that the rule is about, the latest first;
/// protected ones are not counted.
fn verdict(rule: &Rule, tag: &str, rank: &mut usize, age: u64) -> (bool, String) {
    if let Some(pattern) = rule.protection(tag) {
        return (true, format!("protected by `{pattern}`"));
    }
    *rank += 1;
    match (rule.keep_last, rule.keep_younger) {
        (Some(last), _) if *rank <= last => (true, format!("number {rank} of the latest {last}")),
        (_, Some(younger)) if age < younger.as_secs() => {
            (true, format!("younger than {}", days(younger.as_secs())))
        }
        (Some(last), None) => (false, format!("number {rank}, and the latest {last} are kept")),
        (Some(last), Some(younger)) => (
            false,
            format!(
                "number {rank} of which {last} are kept, and older than {}",
                days(younger.as_secs())
            ),
        ),
        (None, Some(younger)) => (false, format!("older than {}", days(younger.as_secs()))),
        (None, None) => (true, "its rule is about untagged manifests only".to_owned()),
    }
}

/// A length of time as people say it.
fn days(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
