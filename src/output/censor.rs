//! Events without secrets: the one way from the run to its printers.

use super::event::{Event, Report};
use crate::secrets::{any, scrub, scrub_value};
use crate::wire::message::Diff;

/// Passes an event on as it may be shown.
pub fn censored(event: &Event<'_>, show: &mut dyn FnMut(&Event<'_>)) {
    if !any() {
        return show(event);
    }
    match event {
        Event::Play { name } => show(&Event::Play { name: &scrub(name) }),
        Event::Task { name, place, handler } => show(&Event::Task {
            name: &scrub(name),
            place,
            handler: *handler,
        }),
        Event::Result(report) => show(&Event::Result(&without_secrets(report))),
        Event::Included { file, item, hosts } => show(&Event::Included {
            file: &scrub(file),
            item: item.map(scrub).as_deref(),
            hosts,
        }),
        Event::Retrying { label, task, left } => show(&Event::Retrying {
            label,
            task: &scrub(task),
            left: *left,
        }),
        Event::Meta { text } => show(&Event::Meta { text: &scrub(text) }),
        Event::Warning(text) => show(&Event::Warning(&scrub(text))),
        // Diagnostics see to it themselves; the others hold names of hosts and numbers.
        Event::Diagnostic(_)
        | Event::NoHostsMatched
        | Event::NoHostsLeft
        | Event::Job { .. }
        | Event::Playbook { .. }
        | Event::Traffic { .. }
        | Event::Recap(_) => show(event),
    }
}

fn without_secrets(report: &Report) -> Report {
    let diff = report.diff.iter().map(|diff| Diff {
        before_header: scrub(&diff.before_header).into_owned(),
        after_header: scrub(&diff.after_header).into_owned(),
        before: scrub(&diff.before).into_owned(),
        after: scrub(&diff.after).into_owned(),
    });
    Report {
        item: report.item.as_deref().map(|item| scrub(item).into_owned()),
        result: scrub_value(&report.result).into_owned(),
        diff: diff.collect(),
        ..report.clone()
    }
}
