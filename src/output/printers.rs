//! The table of printers, and which of them a run has.

use super::settings::Settings;
use super::{Printer, default, json, junit, minimal, oneline, profile_tasks, timer, tree};
use crate::configuration::Configuration;
use crate::configuration::table::{CALLBACKS_ENABLED, DEFAULT_STDOUT_CALLBACK};
use crate::diagnostic::Diagnostic;

/// Whether a printer has standard output to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of these, by `stdout_callback`.
    Stdout,
    /// Any number of these, by `callbacks_enabled`.
    Beside,
}

/// One printer.
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    pub summary: &'static str,
    make: fn(&Configuration, &Settings) -> Box<dyn Printer>,
}

/// Every printer.
pub static PRINTERS: &[Row] = &[
    Row {
        name: "default",
        kind: Kind::Stdout,
        summary: "what `ansible-playbook` prints",
        make: |_, settings| Box::new(default::Default::new(settings.clone())),
    },
    Row {
        name: "yaml",
        kind: Kind::Stdout,
        summary: "the same with results as YAML, as `callback_result_format = yaml` has them",
        make: |_, settings| Box::new(default::Default::new(settings.clone().yaml())),
    },
    Row {
        name: "json",
        kind: Kind::Stdout,
        summary: "one JSON document at the end: plays, tasks, the result of each host, the recap",
        make: |_, settings| Box::new(json::Json::new(settings.clone())),
    },
    Row {
        name: "minimal",
        kind: Kind::Stdout,
        summary: "results alone, as `ansible` prints them",
        make: |_, settings| Box::new(minimal::Minimal::new(settings.clone())),
    },
    Row {
        name: "oneline",
        kind: Kind::Stdout,
        summary: "results alone, each on one line",
        make: |_, settings| Box::new(oneline::Oneline::new(settings.clone())),
    },
    Row {
        name: "null",
        kind: Kind::Stdout,
        summary: "nothing but warnings and errors",
        make: |_, _| Box::new(Null),
    },
    Row {
        name: "junit",
        kind: Kind::Beside,
        summary: "a JUnit file for each playbook, in `JUNIT_OUTPUT_DIR`",
        make: |configuration, settings| Box::new(junit::Junit::new(configuration, settings.clone())),
    },
    Row {
        name: "profile_tasks",
        kind: Kind::Beside,
        summary: "the time below each heading, and the slowest tasks at the end",
        make: |configuration, settings| Box::new(profile_tasks::ProfileTasks::new(configuration, settings)),
    },
    Row {
        name: "timer",
        kind: Kind::Beside,
        summary: "how long it took, at the end",
        make: |_, _| Box::new(timer::Timer::new()),
    },
    Row {
        name: "tree",
        kind: Kind::Beside,
        summary: "the last result of each host as JSON, in `ANSIBLE_CALLBACK_TREE_DIR`",
        make: |configuration, settings| Box::new(tree::Tree::new(configuration, settings.clone())),
    },
];

/// The collections in whose names printers are known.
const COLLECTIONS: &[&str] = &[
    "ansible.builtin.",
    "ansible.legacy.",
    "ansible.posix.",
    "community.general.",
];

/// The printer of this name, with its collection or without.
fn find(name: &str, kind: Kind) -> Option<&'static Row> {
    let short = COLLECTIONS.iter().find_map(|prefix| name.strip_prefix(prefix));
    let short = short.unwrap_or(name);
    PRINTERS.iter().find(|row| row.name == short && row.kind == kind)
}

/// The printers that the configuration names, that of standard output first.
pub fn chosen(
    configuration: &Configuration,
    settings: &Settings,
    named: Option<&str>,
) -> Result<Vec<Box<dyn Printer>>, Diagnostic> {
    let name = named
        .or(configuration.text(&DEFAULT_STDOUT_CALLBACK))
        .unwrap_or("default");
    let unknown = |name: &str, kind: Kind| {
        let known = PRINTERS.iter().filter(|row| row.kind == kind).map(|row| row.name);
        let listed: Vec<&str> = known.clone().collect();
        Diagnostic::error(format!("there is no printer `{name}`"))
            .nearest(name, known)
            .hint(format!("there are {}", listed.join(", ")))
    };
    let mut rows = vec![find(name, Kind::Stdout).ok_or_else(|| unknown(name, Kind::Stdout))?];
    for name in configuration.list(&CALLBACKS_ENABLED) {
        // What has standard output is there already, or is not to be.
        if find(&name, Kind::Stdout).is_none() {
            rows.push(find(&name, Kind::Beside).ok_or_else(|| unknown(&name, Kind::Beside))?);
        }
    }
    Ok(rows
        .iter()
        .map(|row| (row.make)(configuration, settings))
        .collect())
}

/// Shows nothing.
struct Null;

impl Printer for Null {
    fn show(&mut self, _: &super::Event<'_>, _: &mut super::Console) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printer_has_a_name_of_its_own() {
        for row in PRINTERS {
            assert!(
                std::ptr::eq(find(row.name, row.kind).unwrap(), row),
                "{}",
                row.name
            );
        }
        assert_eq!(find("ansible.posix.json", Kind::Stdout).unwrap().name, "json");
        assert!(find("json", Kind::Beside).is_none());
    }

    #[test]
    fn an_unknown_printer_is_refused() {
        let configuration = Configuration::default();
        let error = chosen(&configuration, &Settings::default(), Some("jsn"))
            .err()
            .unwrap();
        insta::assert_snapshot!(error.render(false), @r"
        error: there is no printer `jsn`
         |
         = help: did you mean `json`?
         = help: there are default, yaml, json, minimal, oneline, null
        ");
    }
}
