//! Events without secrets: the one way from the run to its printers.

use std::sync::Arc;

use super::event::{Announced, Event, Extent, Report, Summary};
use crate::diagnostic::Diagnostic;
use crate::secrets::{any, scrub, scrub_value};
use crate::value::{Map, Value};
use crate::wire::message::Diff;

/// Passes an event on as it may be shown.
pub fn censored(event: &Event<'_>, show: &mut dyn FnMut(&Event<'_>)) {
    if !any() {
        return show(event);
    }
    match event {
        Event::Play { name, check, tasks } => show(&Event::Play {
            name: &scrub(name),
            check: *check,
            tasks: *tasks,
        }),
        Event::Task { task, hosts } => show(&Event::Task {
            task: &announced(task),
            hosts: *hosts,
        }),
        Event::Started { task, host } => show(&Event::Started {
            task: &announced(task),
            host,
        }),
        Event::Result(report) => show(&Event::Result(&without_secrets(report))),
        Event::Included {
            task,
            file,
            item,
            hosts,
        } => show(&Event::Included {
            task: &announced(task),
            file: &scrub(file),
            item: item.map(scrub).as_deref(),
            hosts,
        }),
        Event::Retrying {
            label,
            task,
            left,
            result,
        } => show(&Event::Retrying {
            label,
            task: &scrub(task),
            left: *left,
            result: &map(result),
        }),
        Event::Notified { handler, host } => show(&Event::Notified {
            handler: &scrub(handler),
            host,
        }),
        Event::Meta { text } => show(&Event::Meta { text: &scrub(text) }),
        Event::Warning(text) => show(&Event::Warning(&scrub(text))),
        Event::Chatter { verbosity, text } => show(&Event::Chatter {
            verbosity: *verbosity,
            text: &scrub(text),
        }),
        Event::Recap(summary) => show(&Event::Recap(&Summary {
            hosts: summary.hosts.clone(),
            custom: summary
                .custom
                .iter()
                .map(|(host, stats)| (host.clone(), map(stats)))
                .collect(),
        })),
        // Diagnostics see to it themselves; the others hold names of hosts and numbers.
        Event::Diagnostic(_)
        | Event::NoHostsMatched
        | Event::NoHostsLeft
        | Event::Job { .. }
        | Event::Playbook { .. }
        | Event::Retry { .. }
        | Event::Traffic { .. } => show(event),
    }
}

fn map(map: &Map) -> Map {
    let scrubbed = |value| scrub_value(value).into_owned();
    map.iter()
        .map(|(name, value): (_, &Value)| (name.clone(), scrubbed(value)))
        .collect()
}

fn announced(task: &Arc<Announced>) -> Arc<Announced> {
    let arguments = task.arguments.iter();
    Arc::new(Announced {
        name: scrub(&task.name).into_owned(),
        arguments: arguments
            .map(|(name, value)| (name.clone(), scrub(value).into_owned()))
            .collect(),
        ..task.as_ref().clone()
    })
}

fn without_secrets(report: &Report) -> Report {
    let diff = report.diff.iter().map(|diff| Diff {
        before_header: scrub(&diff.before_header).into_owned(),
        after_header: scrub(&diff.after_header).into_owned(),
        before: scrub(&diff.before).into_owned(),
        after: scrub(&diff.after).into_owned(),
    });
    Report {
        task: announced(&report.task),
        extent: match &report.extent {
            Extent::Item(label) => Extent::Item(scrub(label).into_owned()),
            other => other.clone(),
        },
        result: map(&report.result),
        diff: diff.collect(),
        // A printer may show parts of it, and what is a secret cannot be told from half of one.
        error: report.error.as_ref().map(|error| Diagnostic {
            message: scrub(&error.message).into_owned(),
            hints: error.hints.iter().map(|hint| scrub(hint).into_owned()).collect(),
            ..error.clone()
        }),
        ..report.clone()
    }
}
