//! Tags of the command line that select nothing.

use std::collections::BTreeSet;

use super::walk::Walk;
use crate::diagnostic::Diagnostic;
use crate::playbook::Selection;

pub(super) fn findings(walk: &Walk, selection: &Selection) -> Vec<Diagnostic> {
    let all: BTreeSet<String> = walk
        .tasks
        .iter()
        .flat_map(|seen| seen.task.context.tags())
        .collect();
    let asked = selection.tags.iter().chain(&selection.skip);
    let mut found: Vec<Diagnostic> = asked
        .filter(|tag| !Selection::SPECIAL.contains(&tag.as_str()) && !all.contains(*tag))
        .map(|tag| {
            Diagnostic::warning(format!("no task has the tag `{tag}`"))
                .nearest(tag, all.iter().map(String::as_str))
        })
        .collect();
    found.extend(
        selection
            .tags
            .iter()
            .filter_map(|tag| hidden(walk, selection, tag)),
    );
    found
}

/// A tag whose tasks are all in inclusions that are not selected themselves: none of them runs.
fn hidden(walk: &Walk, selection: &Selection, tag: &str) -> Option<Diagnostic> {
    let selected = |tags: &[String]| selection.selects(tags);
    let mut with_tag = walk
        .tasks
        .iter()
        .filter(|seen| seen.task.context.tags().iter().any(|own| own == tag))
        .peekable();
    with_tag.peek()?;
    let mut first = None;
    for seen in with_tag {
        let outside = seen
            .inclusions
            .iter()
            .find(|task| !selected(&task.context.tags()));
        first.get_or_insert(outside?);
    }
    let inclusion = first?;
    Some(
        Diagnostic::warning(format!(
            "the tasks with the tag `{tag}` are included by a task that is not selected"
        ))
        .at(&inclusion.action_span)
        .hint("an include keeps its tags to itself: give it this tag, or `always`"),
    )
}
