//! Names under which the executable is another command: a link is all that a switch takes.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::configuration::Configuration;

/// What the executable is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The program itself: its first word may be a verb.
    Itself,
    /// One verb, whose word is left out.
    Verb(&'static str),
    /// Known, and without a counterpart; what to do instead.
    Refused(&'static str),
}

/// The verb that has no word: running playbooks.
pub const PLAY: &str = "play";

/// Every name that means something. Any other is the program itself.
pub const NAMES: &[(&str, Role)] = &[
    ("regdeploy", Role::Itself),
    ("regdeploy-registry", Role::Verb("registry")),
    ("ansible-playbook", Role::Verb(PLAY)),
    ("ansible", Role::Verb("adhoc")),
    ("ansible-inventory", Role::Verb("inventory")),
    ("ansible-vault", Role::Verb("vault")),
    ("ansible-config", Role::Verb("config")),
    ("ansible-doc", Role::Verb("doc")),
    (
        "ansible-console",
        Role::Refused("run single tasks with `ansible` or `regdeploy adhoc`"),
    ),
    (
        "ansible-galaxy",
        Role::Refused("install roles and collections with Ansible's own, or keep them beside the playbook"),
    ),
    (
        "ansible-pull",
        Role::Refused("clone the repository, then run `ansible-playbook -c local` in it"),
    ),
];

/// The name that the program was called by, and what it is under it.
pub fn role(program: Option<&OsString>) -> (String, Role) {
    let name = program
        .map(Path::new)
        .and_then(Path::file_name)
        .map_or_else(|| "regdeploy".into(), OsStr::to_string_lossy);
    // Debian's packages carry versions in their names: `ansible-playbook-2.19`.
    let known = NAMES.iter().find(|(known, _)| {
        name.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("-2"))
    });
    match known {
        Some((_, role)) => (name.into_owned(), *role),
        None => ("regdeploy".to_owned(), Role::Itself),
    }
}

/// Whether the program was called by one of the names that Ansible's commands have.
pub fn is_of_ansible(program: Option<&OsString>) -> bool {
    role(program).0.starts_with("ansible")
}

/// What a command that has one of Ansible's names says of its version: scripts look for the first line.
pub fn version(name: &str, configuration: &Configuration) -> String {
    let file = configuration.file.as_ref().or(configuration.own_file.as_ref());
    let file = file.map_or_else(|| "None".to_owned(), |file| file.display().to_string());
    let executable = std::env::current_exe().unwrap_or_default();
    format!(
        "{name} [core {}]\n  config file = {file}\n  executable location = {}\n  regdeploy version = {}\n",
        crate::executor::LANGUAGE_VERSION,
        executable.display(),
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_whatever_the_path() {
        for (program, expected) in [
            ("regdeploy", Role::Itself),
            ("/usr/bin/ansible-playbook", Role::Verb(PLAY)),
            ("./ansible", Role::Verb("adhoc")),
            ("ansible-2.19", Role::Verb("adhoc")),
            ("ansible-inventory", Role::Verb("inventory")),
            ("ansible-vault", Role::Verb("vault")),
            ("ansible-config", Role::Verb("config")),
            ("ansible-doc", Role::Verb("doc")),
            ("/x/regdeploy-registry", Role::Verb("registry")),
            ("something-else", Role::Itself),
            ("ansible-lint", Role::Itself),
        ] {
            assert_eq!(role(Some(&program.into())).1, expected, "{program}");
        }
        for name in ["ansible-console", "ansible-galaxy", "ansible-pull"] {
            assert!(matches!(role(Some(&name.into())).1, Role::Refused(_)), "{name}");
        }
        assert_eq!(role(None), ("regdeploy".to_owned(), Role::Itself));
    }

    #[test]
    fn versions_begin_as_ansibles_do() {
        let version = version("ansible", &Configuration::default());
        assert!(version.starts_with("ansible [core 2."), "{version}");
        assert!(version.contains("\n  config file = None\n"), "{version}");
    }
}
