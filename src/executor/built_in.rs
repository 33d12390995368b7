//! The tables of what the run does itself: inclusions, imports and `meta`. They have no results to register.

use crate::modules::{Arg, Spec};
use crate::playbook::Meta;
use crate::playbook::arguments::RAW;

/// All of them.
pub const SPECS: &[&Spec] = &[
    &META,
    &INCLUDE_TASKS,
    &IMPORT_TASKS,
    &IMPORT_PLAYBOOK,
    &INCLUDE_ROLE,
    &IMPORT_ROLE,
];

/// The table that goes by this name.
pub fn find(name: &str) -> Option<&'static Spec> {
    SPECS.iter().copied().find(|spec| spec.name == name)
}

const COMMANDS: [&str; Meta::TABLE.len()] = {
    let mut names = [""; Meta::TABLE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Meta::TABLE[at].0;
        at += 1;
    }
    names
};

const META: Spec = Spec {
    name: "meta",
    summary: "tell the run itself what to do",
    args: &[Arg::str(RAW).required().choices(&COMMANDS).doc(
        "`flush_handlers` runs the handlers that were notified so far; `noop` does nothing; `end_host` ends the play for this \
         host, `end_batch` for the hosts of this batch (`serial`), `end_play` for all; `end_role` passes over the rest of the \
         role; `clear_facts` forgets the facts of the play's hosts; `clear_host_errors` has hosts that failed take part again \
         in the next play; `refresh_inventory` reads the inventory again; `reset_connection` closes the connection, so that \
         the next task logs in anew",
    )],
    returns: &[],
    example: "- meta: flush_handlers\n\
              - meta: end_host\n  when: ansible_facts.distribution != 'Debian'\n",
    free_form: Some(RAW),
    rules: &[],
};

const FILE: Arg = Arg::path("file").doc("the same, as an argument");
const APPLY: Arg =
    Arg::dict("apply").doc("keywords that all tasks that come in inherit: tags, become, when...");

const INCLUDE_TASKS: Spec = Spec {
    name: "include_tasks",
    summary: "run the tasks of a file, chosen while the play runs",
    args: &[
        Arg::path(RAW)
            .doc("the file, looked up beside the one that includes it, then in the role's `tasks/`"),
        FILE,
        APPLY,
    ],
    returns: &[],
    example: "- include_tasks: '{{ ansible_facts.os_family }}.yml'\n\
              - include_tasks:\n    file: setup.yml\n    apply:\n      tags: setup\n  loop: [one, two]\n",
    free_form: Some(RAW),
    rules: &[],
};

const IMPORT_TASKS: Spec = Spec {
    name: "import_tasks",
    summary: "put the tasks of a file in this place, before the play runs",
    args: &[
        Arg::path(RAW).doc("the file; templates in its name know no facts and no hosts"),
        FILE,
    ],
    returns: &[],
    example: "- import_tasks: packages.yml\n  tags: packages\n",
    free_form: Some(RAW),
    rules: &[],
};

const IMPORT_PLAYBOOK: Spec = Spec {
    name: "import_playbook",
    summary: "put the plays of a playbook in this place; stands where a play does",
    args: &[Arg::path(RAW).doc("the playbook, relative to this one")],
    returns: &[],
    example: "- import_playbook: web.yml\n  vars:\n    stage: test\n",
    free_form: Some(RAW),
    rules: &[],
};

const ROLE: Arg = Arg::str("name")
    .aliases(&["role"])
    .required()
    .doc("the role: its folder's name, or a path");
const TASKS_FROM: Arg = Arg::str("tasks_from")
    .default("main")
    .doc("the file in its `tasks/`");
const VARS_FROM: Arg = Arg::str("vars_from")
    .default("main")
    .doc("the file in its `vars/`");
const DEFAULTS_FROM: Arg = Arg::str("defaults_from")
    .default("main")
    .doc("the file in its `defaults/`");
const HANDLERS_FROM: Arg = Arg::str("handlers_from")
    .default("main")
    .doc("the file in its `handlers/`");
const DUPLICATES: Arg = Arg::bool("allow_duplicates")
    .default("yes")
    .doc("run it although it has been run before");
const VALIDATE: Arg = Arg::bool("rolespec_validate")
    .default("yes")
    .doc("begin with its argument spec, if it has one");

const INCLUDE_ROLE: Spec = Spec {
    name: "include_role",
    summary: "run a role, chosen while the play runs",
    args: &[
        ROLE,
        TASKS_FROM,
        VARS_FROM,
        DEFAULTS_FROM,
        HANDLERS_FROM,
        APPLY,
        Arg::bool("public")
            .default("no")
            .doc("its variables are known to the rest of the play"),
        DUPLICATES,
        VALIDATE,
    ],
    returns: &[],
    example: "- include_role:\n    name: database\n    tasks_from: backup\n  when: backups | bool\n",
    free_form: None,
    rules: &[],
};

const IMPORT_ROLE: Spec = Spec {
    name: "import_role",
    summary: "put a role in this place, before the play runs",
    args: &[
        ROLE,
        TASKS_FROM,
        VARS_FROM,
        DEFAULTS_FROM,
        HANDLERS_FROM,
        Arg::bool("public")
            .default("yes")
            .doc("its variables are known to the whole play"),
        DUPLICATES,
        VALIDATE,
    ],
    returns: &[],
    example: "- import_role:\n    name: database\n  vars:\n    database_port: 5433\n",
    free_form: None,
    rules: &[],
};

#[test]
fn every_command_of_meta_is_explained() {
    for (name, _) in Meta::TABLE {
        assert!(META.args[0].doc.contains(&format!("`{name}`")), "{name}");
    }
}
