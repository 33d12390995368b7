//! A look through the selected plays before the first connection: what is certain to fail, and what looks like a
//! mistake.
//!
//! [`walk`] follows roles, imports and those inclusions whose names are known; [`definitions`] gathers every name
//! that anything could define. What depends on values that only a run has is left to the run: one inclusion that
//! cannot be followed, and nothing is said of undefined variables, handlers and tags. A finding is an error only
//! where the task is certain to run and certain to fail then; everything else is a warning. Nothing is run, and
//! no host is asked.

mod arguments;
mod definitions;
mod tags;
mod task;
mod walk;

use std::collections::HashSet;

pub use self::arguments::refused;
use self::definitions::Definitions;
use self::walk::Walk;
use crate::diagnostic::{Diagnostic, Severity};
use crate::modules::Spec;
use crate::playbook::{Loader, Playbook, Selection};

/// What is known beside the playbooks.
pub struct Surroundings<'a> {
    pub loader: &'a Loader,
    pub selection: &'a Selection,
    /// Variables of the inventory and of the command line, and those that the engine itself provides.
    pub names: HashSet<String>,
    /// A module's or an action's table, by its short name.
    pub spec: fn(&str) -> Option<&'static Spec>,
}

/// Errors first, each finding once.
pub fn findings(playbooks: &[Playbook], around: &Surroundings) -> Vec<Diagnostic> {
    // What is noticed on the way is said again when the run reads it.
    let noticed = around.loader.take_warnings();
    let mut walk = Walk::new(around);
    for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
        walk.play(play);
    }
    drop(around.loader.take_warnings());
    around.loader.warn(noticed);
    let mut definitions = Definitions::of(&walk, around);
    let mut found = std::mem::take(&mut walk.findings);
    found.append(&mut definitions.reserved);
    for seen in &walk.tasks {
        found.extend(task::findings(seen, &definitions, around));
    }
    if !walk.open {
        found.extend(tags::findings(&walk, around.selection));
    }
    let mut said = HashSet::new();
    found.retain(|finding| {
        let place = finding.span.as_ref().map(ToString::to_string);
        said.insert((finding.message.clone(), place))
    });
    found.sort_by_key(|finding| finding.severity != Severity::Error);
    found
}

/// A finding as an error where it is `certain`, else as a warning.
fn graded(mut finding: Diagnostic, certain: bool) -> Diagnostic {
    finding.severity = if certain {
        Severity::Error
    } else {
        Severity::Warning
    };
    finding
}
