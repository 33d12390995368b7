//! The static check, before anything runs.

use std::collections::HashSet;

use crate::check;
use crate::configuration::table;
use crate::diagnostic::{Diagnostic, Severity};
use crate::executor::{self, MAGIC_VARIABLES, Run};
use crate::output::Event;
use crate::playbook::Playbook;

/// Shows what is found. False where nothing may run: something is certain to fail, or the configuration wants no
/// findings at all.
pub fn passes(run: &Run, playbooks: &[Playbook]) -> bool {
    let setting = run.settings.configuration.text(&table::STATIC_CHECK);
    if setting == Some("off") {
        return true;
    }
    let mut names: HashSet<String> = run.defined_names(playbooks);
    names.extend(MAGIC_VARIABLES.iter().map(|name| (*name).to_owned()));
    let findings = check::findings(
        playbooks,
        &check::Surroundings {
            loader: &run.loader,
            selection: &run.settings.selection,
            names,
            spec: executor::spec,
        },
    );
    for finding in &findings {
        run.show(&Event::Diagnostic(finding));
    }
    let strict = setting == Some("error");
    !findings
        .iter()
        .any(|finding| strict || finding.severity == Severity::Error)
}

/// A task to start at that there is none of: nothing would run, and nothing would say why. What is included
/// while the plays run is not known yet, so playbooks that include are given the benefit of the doubt.
pub fn unknown_start(run: &Run, playbooks: &[Playbook]) -> Option<Diagnostic> {
    let wanted = run.settings.start_at_task.as_deref()?;
    let known = executor::known_words(playbooks);
    let found = known.names.iter().any(|task| executor::names_task(wanted, task));
    (!found && !known.includes).then(|| {
        Diagnostic::warning(format!("no task is called `{wanted}`: nothing runs"))
            .nearest(wanted, known.names.iter().map(String::as_str))
    })
}
