//! The text that Ansible's default callback prints: people and their scripts read it.

use std::path::Path;
use std::sync::Arc;

use super::colour::{Colour, Paint};
use super::console::{Console, Stream};
use super::dump::{self, Layout, dump};
use super::event::{Announced, Detail, Event, Extent, JobState, Label, Report, Role, State, Stats, Summary};
use super::settings::Settings;
use super::{Printer, diff, told};
use crate::playbook::short_name;
use crate::secrets::scrub;
use crate::value::{Map, Value};

pub struct Default {
    settings: Settings,
    /// The task whose banner was printed last.
    shown: Option<Arc<Announced>>,
}

impl Default {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            shown: None,
        }
    }

    fn marker(&self, check: bool) -> &'static str {
        if check && self.settings.check_markers {
            " [CHECK MODE]"
        } else {
            ""
        }
    }

    fn playbook(&self, file: &Path, check: bool, console: &mut Console) {
        if self.settings.verbosity > 1 {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            console.banner(&format!("PLAYBOOK: {name}"));
        }
        if check && self.settings.check_markers {
            console.banner("DRY RUN");
        }
    }

    fn play(&self, name: &str, check: bool, console: &mut Console) {
        let marker = self.marker(check);
        console.banner(&match name.trim() {
            "" => format!("PLAY{marker}"),
            name => format!("PLAY [{name}]{marker}"),
        });
    }

    /// Announced at once if everything is shown; else with the first result that is.
    fn task(&mut self, task: &Arc<Announced>, console: &mut Console) {
        if task.in_step && self.settings.skipped_hosts && self.settings.ok_hosts {
            self.banner(task, console);
        }
    }

    fn banner(&mut self, task: &Arc<Announced>, console: &mut Console) {
        let kind = match task.role {
            Role::Task => "TASK",
            Role::Handler => "RUNNING HANDLER",
        };
        let arguments = if self.settings.arguments && !task.arguments.is_empty() {
            let arguments = task.arguments.iter();
            let arguments: Vec<String> = arguments.map(|(name, value)| format!("{name}={value}")).collect();
            format!(" {}", arguments.join(", "))
        } else {
            String::new()
        };
        let marker = self.marker(task.check);
        console.banner(&format!("{kind} [{}{arguments}]{marker}", task.name.trim()));
        if self.settings.verbosity >= 2 {
            path(task, console);
        }
        self.shown = Some(Arc::clone(task));
    }

    fn ensure_banner(&mut self, task: &Arc<Announced>, console: &mut Console) {
        let same = |shown: &Arc<Announced>| shown.id == task.id && shown.place == task.place;
        if !self.shown.as_ref().is_some_and(same) {
            self.banner(task, console);
        }
    }

    fn report(&mut self, report: &Report, console: &mut Console) {
        // An inclusion shows what it includes.
        let succeeded = matches!(report.state, State::Ok | State::Changed);
        if succeeded && includes(&report.task) {
            if report.extent != Extent::Loop {
                self.ensure_banner(&report.task, console);
            }
            return;
        }
        if succeeded {
            self.diffs(report, console);
        }
        let hidden = match report.state {
            State::Ok => !self.settings.ok_hosts,
            State::Skipped => !self.settings.skipped_hosts,
            _ => false,
        };
        if hidden {
            return;
        }
        self.ensure_banner(&report.task, console);
        troubles(report, self.settings.failures, console);
        match report.state {
            State::Ok | State::Changed => self.succeeded(report, console),
            State::Skipped => self.skipped(report, console),
            State::Failed => self.failed(report, console),
            State::Unreachable => {
                let label = label(&report.label);
                let text = format!(
                    "fatal: [{label}]: UNREACHABLE! => {}",
                    self.dump(report, &report.result)
                );
                console.show_on(self.settings.failures, &text, Some(Colour::Unreachable));
            }
        }
        if report.ignored && !matches!(report.extent, Extent::Item(_)) {
            console.show("...ignoring", Some(Colour::Skipped));
        }
    }

    fn succeeded(&self, report: &Report, console: &mut Console) {
        let (word, colour) = match report.state {
            State::Changed => ("changed", Colour::Changed),
            _ => ("ok", Colour::Ok),
        };
        let item = match &report.extent {
            // The items have said it.
            Extent::Loop => return,
            Extent::Item(item) => format!(" => (item={item})"),
            Extent::Task => String::new(),
        };
        let details = self.details(report);
        console.show(
            &format!("{word}: [{}]{item}{details}", label(&report.label)),
            Some(colour),
        );
    }

    fn skipped(&self, report: &Report, console: &mut Console) {
        // An item's text has a space at its end.
        let item = match &report.extent {
            Extent::Item(item) => format!(" => (item={item}) "),
            _ => String::new(),
        };
        let mut details = self.details(report);
        let unknown = report.result.get("unknown") == Some(&Value::Bool(true));
        if let Some(message) = report.result.get("msg").filter(|_| unknown && details.is_empty()) {
            details = format!(" => {message}");
        }
        console.show(
            &format!("skipping: [{}]{item}{details}", report.label.host),
            Some(Colour::Skipped),
        );
    }

    fn failed(&self, report: &Report, console: &mut Console) {
        let result = dump::cleaned(&report.result, &report.task.action);
        // Only of `debug` is there anything left to say.
        if report.extent == Extent::Loop && result.contains_key("results") {
            return;
        }
        let label = label(&report.label);
        let dumped = self.dump(report, &result);
        let text = if let Extent::Item(item) = &report.extent {
            format!("failed: [{label}] (item={item}) => {dumped}")
        } else {
            if self.settings.path_on_failure && self.settings.verbosity < 2 {
                path(&report.task, console);
            }
            format!("fatal: [{label}]: FAILED! => {dumped}")
        };
        console.show_on(self.settings.failures, &text, Some(Colour::Error));
    }

    /// The result, for those who see it.
    fn details(&self, report: &Report) -> String {
        let wanted = match report.detail {
            Detail::Always => true,
            Detail::Asked => self.settings.verbosity > 0,
            Detail::Never => false,
        };
        if !wanted {
            return String::new();
        }
        let mut result = dump::cleaned(&report.result, &report.task.action);
        if report.extent == Extent::Loop {
            result.shift_remove("results");
        }
        format!(" => {}", self.dump(report, &result))
    }

    fn dump(&self, report: &Report, result: &Map) -> String {
        let layout = match report.detail {
            Detail::Always => Layout::Long,
            _ => Layout::Short,
        };
        dump(result, layout, &self.settings)
    }

    fn diffs(&mut self, report: &Report, console: &mut Console) {
        if report.diff.is_empty() || !report.changed() {
            return;
        }
        let text = diff::unified(&report.diff, self.settings.diff_context, console.painter());
        if !text.is_empty() {
            self.ensure_banner(&report.task, console);
            console.show(&text, None);
        }
    }

    fn retrying(&self, who: &Label, task: &str, left: u32, result: &Map, console: &mut Console) {
        let mut text = format!(
            "FAILED - RETRYING: [{}]: {task} ({left} retries left).",
            label(who)
        );
        if self.settings.verbosity > 2 {
            text.push_str("Result was: ");
            text.push_str(&dump(result, Layout::Short, &self.settings));
        }
        console.show(&text, Some(Colour::Debug));
    }

    fn recap(&self, summary: &Summary, console: &mut Console) {
        console.banner("PLAY RECAP");
        let mut sorted: Vec<_> = summary.hosts.iter().collect();
        sorted.sort_by_key(|(host, _)| *host);
        for (host, stats) in sorted {
            let painted = recap_line(host, stats, console.painter());
            console.show_on_screen(&painted, None);
            console.log(
                super::log::Level::Info,
                &recap_line(host, stats, &Paint::new(false)),
            );
        }
        console.show_on_screen("", None);
        if self.settings.custom_stats && !summary.custom.is_empty() {
            custom_stats(summary, console);
        }
        if self.settings.check && self.settings.check_markers {
            console.banner("DRY RUN");
        }
        let unknown: usize = summary.hosts.values().map(|stats| stats.unknown).sum();
        if unknown > 0 {
            let tasks = if unknown == 1 { "task" } else { "tasks" };
            let text = format!("unknown until applied: {unknown} {tasks}");
            console.show_on(Stream::Err, &text, Some(Colour::Skipped));
        }
    }
}

impl Printer for Default {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Playbook { file, check, .. } => self.playbook(file, *check, console),
            Event::Play { name, check, .. } => self.play(name, *check, console),
            Event::NoHostsMatched => console.show("skipping: no hosts matched", Some(Colour::Skipped)),
            Event::NoHostsLeft => console.banner("NO MORE HOSTS LEFT"),
            Event::Task { task, .. } => self.task(task, console),
            Event::Started { task, host } if self.settings.host_start => {
                let text = format!(" [started TASK: {} on {host}]", task.name);
                console.show(&text, Some(Colour::Ok));
            }
            Event::Result(report) => self.report(report, console),
            Event::Included {
                task,
                file,
                item,
                hosts,
            } => {
                self.ensure_banner(task, console);
                let item = item.map(|item| format!(" => (item={item})")).unwrap_or_default();
                let text = format!("included: {file} for {}{item}", hosts.join(", "));
                console.show(&text, Some(Colour::Included));
            }
            Event::Retrying {
                label,
                task,
                left,
                result,
            } => self.retrying(label, task, *left, result, console),
            Event::Job { host, job, state } => {
                let text = match state {
                    JobState::Running => {
                        format!("ASYNC POLL on {host}: jid={job} started=True finished=False")
                    }
                    JobState::Ok => format!("ASYNC OK on {host}: jid={job}"),
                    JobState::Failed => format!("ASYNC FAILED on {host}: jid={job}"),
                };
                console.show(&text, Some(Colour::Debug));
            }
            Event::Notified { handler, host } if self.settings.verbosity > 1 => {
                let text = format!("NOTIFIED HANDLER {handler} for {host}");
                console.show_on_screen(&text, Some(Colour::Verbose));
            }
            Event::Recap(summary) => self.recap(summary, console),
            _ => {}
        }
    }
}

/// What a result brings along: why it failed, and what it warns of.
pub fn troubles(report: &Report, failures: Stream, console: &mut Console) {
    for (key, say) in [
        ("warnings", Console::warn as fn(&mut Console, &str)),
        ("deprecations", Console::deprecate),
    ] {
        let list = report.result.get(key).and_then(Value::as_list);
        for entry in list.into_iter().flatten() {
            let text = entry.get("msg").unwrap_or(entry).to_string();
            say(console, &text);
        }
    }
    if let Some(error) = &report.error {
        console.error(failures, &scrub(&told::told(error)));
    }
}

fn includes(task: &Announced) -> bool {
    matches!(
        short_name(&task.action),
        "include_tasks" | "include_role" | "import_tasks" | "import_role"
    )
}

fn path(task: &Announced, console: &mut Console) {
    if !task.place.is_empty() {
        console.show(&format!("task path: {}", task.place), Some(Colour::Debug));
    }
}

fn label(label: &Label) -> String {
    let Some(delegate) = label
        .delegate
        .as_ref()
        .filter(|delegate| **delegate != label.host)
    else {
        return label.host.clone();
    };
    let address = label.address.as_ref().filter(|address| *address != delegate);
    let address = address.map(|address| format!("({address})")).unwrap_or_default();
    format!("{} -> {delegate}{address}", label.host)
}

fn recap_line(host: &str, stats: &Stats, paint: &Paint) -> String {
    let colour = if stats.failed + stats.unreachable > 0 {
        Colour::Error
    } else if stats.changed > 0 {
        Colour::Changed
    } else {
        Colour::Ok
    };
    let counts = [
        ("ok", stats.ok, Colour::Ok),
        ("changed", stats.changed, Colour::Changed),
        ("unreachable", stats.unreachable, Colour::Unreachable),
        ("failed", stats.failed, Colour::Error),
        ("skipped", stats.skipped, Colour::Skipped),
        ("rescued", stats.rescued, Colour::Ok),
        ("ignored", stats.ignored, Colour::Warning),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(name, count, colour)| {
            let text = format!("{name}={count:<4}");
            if count > 0 {
                paint.paint(&text, colour)
            } else {
                text
            }
        })
        .collect();
    let padding = " ".repeat(26usize.saturating_sub(host.chars().count()));
    format!("{}{padding} : {}", paint.paint(host, colour), counts.join(" "))
}

/// What `set_stats` has set.
fn custom_stats(summary: &Summary, console: &mut Console) {
    console.banner("CUSTOM STATS: ");
    let line = |map: &Map| dump::json(&Value::Map(map.clone()), Some(1)).replace('\n', "");
    let mut hosts: Vec<_> = summary.custom.iter().collect();
    hosts.sort_by_key(|(host, _)| *host);
    for (host, stats) in &hosts {
        if let Some(host) = host {
            console.show(&format!("\t{host}: {}", line(stats)), None);
        }
    }
    if let Some(stats) = summary.custom.get(&None) {
        console.show_on_screen("", None);
        console.show(&format!("\tRUN: {}", line(stats)), None);
    }
    console.show_on_screen("", None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recap_is_aligned() {
        let stats = Stats {
            ok: 12,
            changed: 3,
            ..Stats::default()
        };
        assert_eq!(
            recap_line("web1", &stats, &Paint::new(false)),
            "web1                       : ok=12   changed=3    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   "
        );
    }

    #[test]
    fn a_delegate_is_named_with_its_address() {
        let named = |delegate: &str, address: &str| {
            label(&Label {
                host: "a".into(),
                delegate: Some(delegate.into()),
                address: Some(address.into()),
            })
        };
        assert_eq!(named("b", "10.0.0.1"), "a -> b(10.0.0.1)");
        assert_eq!(named("b", "b"), "a -> b");
        assert_eq!(named("a", "a"), "a");
    }
}
