//! `--list-hosts`, `--list-tasks`, `--list-tags`: what would run, without running it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use super::play::{flattened, start_names};
use super::run::Run;
use super::scope;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Item, Play, Playbook, Task, What};
use crate::template;
use crate::value::Value;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listing {
    pub hosts: bool,
    pub tasks: bool,
    pub tags: bool,
}

impl Listing {
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// What the command line may refer to.
#[derive(Debug, Default)]
pub struct Known {
    pub tags: BTreeSet<String>,
    pub names: Vec<String>,
    /// There is more, to be included while the plays run.
    pub includes: bool,
}

/// The tags and names of all tasks that are known before anything runs.
pub fn known_words(playbooks: &[Playbook]) -> Known {
    let mut known = Known::default();
    for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
        known.tags.extend(play.context.tags());
        for list in [&play.pre_tasks, &play.role_tasks, &play.tasks, &play.post_tasks] {
            for task in flattened(list) {
                known.tags.extend(task.context.tags());
                known.names.extend(start_names(task));
                known.includes |= matches!(task.what, What::IncludeTasks | What::IncludeRole);
            }
        }
    }
    known
}

/// The listing of one playbook.
pub fn list(run: &Arc<Run>, playbook: &Playbook, wanted: Listing) -> Result<String, Diagnostic> {
    let mut out = format!("\nplaybook: {}\n", playbook.name);
    for (index, play) in playbook.plays.iter().enumerate() {
        let bare = scope::bare(&run.settings.extra_vars, &play.context);
        let text = |node| match template::evaluate(node, &bare) {
            Ok(Value::List(items)) => items
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(","),
            Ok(value) => value.to_string(),
            Err(_) => node.to_value().to_string(),
        };
        let pattern = text(&play.hosts);
        let name = play.get("name").map_or_else(|| pattern.clone(), text);
        let tags = play.context.tags();
        let _ = writeln!(
            out,
            "\n  play #{} ({pattern}): {name}\tTAGS: [{}]",
            index + 1,
            tags.join(", ")
        );
        if wanted.hosts {
            let hosts = run.select(&pattern, &play.hosts.span)?.hosts;
            let _ = writeln!(out, "    pattern: ['{pattern}']\n    hosts ({}):", hosts.len());
            for host in hosts {
                let _ = writeln!(out, "      {host}");
            }
        }
        if wanted.tasks || wanted.tags {
            tasks(run, play, wanted, &mut out);
        }
    }
    Ok(out)
}

fn tasks(run: &Run, play: &Play, wanted: Listing, out: &mut String) {
    let lists = [&play.pre_tasks, &play.role_tasks, &play.tasks, &play.post_tasks];
    let all: Vec<Item> = lists.into_iter().flatten().cloned().collect();
    let selected = run.selection(&all);
    let mut all_tags: Vec<String> = Vec::new();
    if wanted.tasks {
        out.push_str("    tasks:\n");
    }
    let shown = |task: &&Arc<Task>| !task.implicit && selected(task);
    for task in flattened(&all).into_iter().filter(shown) {
        let mut tags = task.context.tags();
        tags.sort_unstable();
        if wanted.tasks {
            let own = task.name().map(|node| node.to_value().to_string());
            let name = match (own, task.context.role()) {
                (Some(own), Some(role)) => format!("{} : {own}", role.role.full_name()),
                (Some(own), None) => own,
                (None, _) => task.action.clone(),
            };
            let _ = writeln!(out, "      {name}\tTAGS: [{}]", tags.join(", "));
        }
        all_tags.extend(tags);
    }
    if wanted.tags {
        all_tags.sort_unstable();
        all_tags.dedup();
        let _ = writeln!(out, "      TASK TAGS: [{}]", all_tags.join(", "));
    }
}
