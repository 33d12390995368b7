//! `package`: packages by whatever manages them on the target. After ansible.builtin.package.
//!
//! The target is looked at: `apt-get`, `dnf`/`yum`, `zypper`, `apk` or `pacman`, in this order; `use` names one. Every argument but
//! `use` goes to the module of that name as it is, and is judged by that module's table: what it does not know is refused.

use serde::Deserialize;

use crate::modules::packages::apk::Apk;
use crate::modules::packages::apt::Apt;
use crate::modules::packages::dnf::Dnf;
use crate::modules::packages::pacman::Pacman;
use crate::modules::packages::zypper::Zypper;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Package;

#[derive(Debug, Deserialize)]
pub struct Args {
    r#use: String,
    /// What the module gets, null where not given.
    #[serde(flatten)]
    rest: Map,
}

pub enum Change {
    Apk(<Apk as Module>::Change),
    Apt(<Apt as Module>::Change),
    Dnf(<Dnf as Module>::Change),
    Pacman(<Pacman as Module>::Change),
    Zypper(<Zypper as Module>::Change),
}

type Check = fn(&Map, &dyn System) -> Result<Plan<Change>, Error>;

/// A module, the programs by which a target shows that it is the one, and its check.
struct Manager {
    module: &'static str,
    programs: &'static [&'static str],
    check: Check,
}

/// First match wins: a distribution's own before what it may also carry.
const MANAGERS: &[Manager] = &[
    Manager {
        module: "apt",
        programs: &["apt-get"],
        check: |given, system| delegate::<Apt>(given, system, Change::Apt),
    },
    Manager {
        module: "dnf",
        programs: &["dnf5", "dnf", "microdnf", "yum"],
        check: |given, system| delegate::<Dnf>(given, system, Change::Dnf),
    },
    Manager {
        module: "zypper",
        programs: &["zypper"],
        check: |given, system| delegate::<Zypper>(given, system, Change::Zypper),
    },
    Manager {
        module: "apk",
        programs: &["apk"],
        check: |given, system| delegate::<Apk>(given, system, Change::Apk),
    },
    Manager {
        module: "pacman",
        programs: &["pacman"],
        check: |given, system| delegate::<Pacman>(given, system, Change::Pacman),
    },
];

impl Module for Package {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "package",
        summary: "Install and remove packages, whatever the distribution",
        args: &[
            Arg::str("use")
                .default("auto")
                .doc("The module to use; `auto`: the target is looked at."),
            Arg::raw("allow-downgrade").doc("apt"),
            Arg::raw("allow-downgrades").doc("apt"),
            Arg::raw("allow-unauthenticated").doc("apt"),
            Arg::raw("allow_change_held_packages").doc("apt"),
            Arg::raw("allow_downgrade").doc("apt, dnf"),
            Arg::raw("allow_downgrades").doc("apt"),
            Arg::raw("allow_unauthenticated").doc("apt"),
            Arg::raw("allow_vendor_change").doc("zypper"),
            Arg::raw("allowerasing").doc("dnf"),
            Arg::raw("auto_import_keys").doc("zypper"),
            Arg::raw("auto_install_module_deps").doc("apt"),
            Arg::raw("autoclean").doc("apt"),
            Arg::raw("autoremove").doc("apt, dnf"),
            Arg::raw("available").doc("apk"),
            Arg::raw("best").doc("dnf"),
            Arg::raw("bugfix").doc("dnf"),
            Arg::raw("cache_valid_time").doc("apt"),
            Arg::raw("cacheonly").doc("dnf"),
            Arg::raw("clean").doc("apt"),
            Arg::raw("clean_deps").doc("zypper"),
            Arg::raw("conf_file").doc("dnf"),
            Arg::raw("deb").doc("apt"),
            Arg::raw("default-release").doc("apt"),
            Arg::raw("default_release").doc("apt"),
            Arg::raw("disable_excludes").doc("dnf"),
            Arg::raw("disable_gpg_check").doc("dnf, zypper"),
            Arg::raw("disable_plugin").doc("dnf"),
            Arg::raw("disable_recommends").doc("zypper"),
            Arg::raw("disablerepo").doc("dnf"),
            Arg::raw("download_dir").doc("dnf"),
            Arg::raw("download_only").doc("dnf"),
            Arg::raw("dpkg_options").doc("apt"),
            Arg::raw("enable_plugin").doc("dnf"),
            Arg::raw("enablerepo").doc("dnf"),
            Arg::raw("exclude").doc("dnf"),
            Arg::raw("executable").doc("pacman"),
            Arg::raw("expire-cache").doc("dnf"),
            Arg::raw("extra_args").doc("pacman, zypper"),
            Arg::raw("extra_args_precommand").doc("zypper"),
            Arg::raw("fail_on_autoremove").doc("apt"),
            Arg::raw("force").doc("apt, pacman, zypper"),
            Arg::raw("force_apt_get").doc("apt"),
            Arg::raw("force_resolution").doc("zypper"),
            Arg::raw("install-recommends").doc("apt"),
            Arg::raw("install_recommends").doc("apt"),
            Arg::raw("install_repoquery").doc("dnf"),
            Arg::raw("install_weak_deps").doc("dnf"),
            Arg::raw("installroot").doc("dnf"),
            Arg::raw("list").doc("dnf"),
            Arg::raw("lock_timeout").doc("apt, dnf"),
            Arg::raw("name").doc("apk, apt, dnf, pacman, zypper"),
            Arg::raw("no_cache").doc("apk"),
            Arg::raw("nobest").doc("dnf"),
            Arg::raw("oldpackage").doc("zypper"),
            Arg::raw("only_upgrade").doc("apt"),
            Arg::raw("package").doc("apt, pacman"),
            Arg::raw("pkg").doc("apt, dnf, pacman, zypper"),
            Arg::raw("policy_rc_d").doc("apt"),
            Arg::raw("purge").doc("apt"),
            Arg::raw("quiet").doc("zypper"),
            Arg::raw("reason").doc("pacman"),
            Arg::raw("reason_for").doc("pacman"),
            Arg::raw("refresh").doc("zypper"),
            Arg::raw("releasever").doc("dnf"),
            Arg::raw("remove_nosave").doc("pacman"),
            Arg::raw("replacefiles").doc("zypper"),
            Arg::raw("repository").doc("apk"),
            Arg::raw("security").doc("dnf"),
            Arg::raw("simple_errors").doc("zypper"),
            Arg::raw("skip_broken").doc("dnf"),
            Arg::raw("skip_post_errors").doc("zypper"),
            Arg::raw("sslverify").doc("dnf"),
            Arg::raw("state").doc("apk, apt, dnf, pacman, zypper"),
            Arg::raw("type").doc("zypper"),
            Arg::raw("update-cache").doc("apt"),
            Arg::raw("update_cache").doc("apk, apt, dnf, pacman, zypper"),
            Arg::raw("update_cache_extra_args").doc("pacman"),
            Arg::raw("update_cache_retries").doc("apt"),
            Arg::raw("update_cache_retry_max_delay").doc("apt"),
            Arg::raw("update_only").doc("dnf"),
            Arg::raw("upgrade").doc("apk, apt, pacman"),
            Arg::raw("upgrade_extra_args").doc("pacman"),
            Arg::raw("use_backend").doc("dnf"),
            Arg::raw("validate_certs").doc("dnf"),
            Arg::raw("world").doc("apk"),
        ],
        returns: &[Return::new("...", "", "as of the module that was used")],
        example: "\
- package:
    name: [git, curl]
    state: present

- package:
    name: nginx
    state: latest
    update_cache: true
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let module = args.r#use.rsplit('.').next().unwrap_or(&args.r#use);
        let module = match module {
            "yum" | "dnf4" | "dnf5" => "dnf",
            other => other,
        };
        let present = |manager: &&Manager| manager.programs.iter().any(|name| system.which(name).is_some());
        let names: Vec<&str> = MANAGERS.iter().map(|manager| manager.module).collect();
        let manager =
            if module == "auto" {
                MANAGERS.iter().find(present).ok_or_else(|| {
                    let programs: Vec<&str> = MANAGERS
                        .iter()
                        .flat_map(|manager| manager.programs)
                        .copied()
                        .collect();
                    Error::new(format!(
                        "Could not find a package manager: the target has none of {}",
                        programs.join(", ")
                    ))
                })?
            } else {
                MANAGERS.iter().find(|manager| manager.module == module).ok_or_else(|| {
                Error::new(format!(
                    "Could not find a matching action for the \"{module}\" package manager: there are {}",
                    names.join(", ")
                ))
            })?
            };
        let given = args.rest.into_iter().filter(|(_, value)| *value != Value::Null);
        (manager.check)(&given.collect(), system)
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Apk(change) => Apk::apply(change, system),
            Change::Apt(change) => Apt::apply(change, system),
            Change::Dnf(change) => Dnf::apply(change, system),
            Change::Pacman(change) => Pacman::apply(change, system),
            Change::Zypper(change) => Zypper::apply(change, system),
        }
    }

    fn foresee(change: &Change) -> Foresight {
        match change {
            Change::Apk(change) => Apk::foresee(change),
            Change::Apt(change) => Apt::foresee(change),
            Change::Dnf(change) => Dnf::foresee(change),
            Change::Pacman(change) => Pacman::foresee(change),
            Change::Zypper(change) => Zypper::foresee(change),
        }
    }
}

/// Another module's `check`.
fn delegate<M: Module>(
    given: &Map,
    system: &dyn System,
    wrap: fn(M::Change) -> Change,
) -> Result<Plan<Change>, Error> {
    let mut given = given.clone();
    // Elsewhere these are names of states; apt has them not.
    if M::SPEC.name == "apt" {
        let state = match given.get("state").and_then(Value::as_str) {
            Some("installed") => Some("present"),
            Some("removed") => Some("absent"),
            _ => None,
        };
        if let Some(state) = state {
            given.insert("state".to_owned(), state.into());
        }
    }
    let resolved = M::SPEC
        .resolve(&given)
        .map_err(|error| Error::new(error.message))?;
    let args = Value::Map(resolved).deserialize_into().map_err(|error| {
        Error::new(format!(
            "the arguments of {} are malformed: {error}",
            M::SPEC.name
        ))
    })?;
    Ok(M::check(args, system)?.map(wrap))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    /// Name to the modules that know it.
    fn known() -> BTreeMap<&'static str, Vec<&'static str>> {
        let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for spec in [&Apk::SPEC, &Apt::SPEC, &Dnf::SPEC, &Pacman::SPEC, &Zypper::SPEC] {
            for arg in spec.args {
                for name in arg
                    .aliases
                    .iter()
                    .chain([&arg.name])
                    .filter(|name| **name != "use")
                {
                    known.entry(name).or_default().push(spec.name);
                }
            }
        }
        known
    }

    #[test]
    fn every_argument_of_every_manager_is_passed_on() {
        let lines: Vec<String> = known()
            .into_iter()
            .map(|(name, modules)| format!("Arg::raw(\"{name}\").doc(\"{}\"),", modules.join(", ")))
            .collect();
        let ours: Vec<String> = Package::SPEC.args[1..]
            .iter()
            .map(|arg| format!("Arg::raw(\"{}\").doc(\"{}\"),", arg.name, arg.doc))
            .collect();
        assert_eq!(ours.join("\n"), lines.join("\n"));
    }

    #[test]
    fn arguments_are_judged_by_the_module_that_gets_them() {
        let fake = Fake::new();
        assert!(failure::<Package>(&fake, r#"{"name":"x"}"#).starts_with("Could not find a package manager"));
        fake.program("/usr/bin/apt-get").program("/usr/bin/zypper");
        assert!(
            failure::<Package>(&fake, r#"{"name":"x","enablerepo":"y"}"#)
                .starts_with("Unsupported parameters for (apt) module: enablerepo.")
        );
        assert_eq!(
            failure::<Package>(
                &fake,
                r#"{"name":"x","use":"community.general.zypper","state":"fixed"}"#
            ),
            "value of state must be one of: absent, installed, latest, present, removed, dist-upgrade, got: fixed"
        );
        assert!(
            failure::<Package>(&fake, r#"{"name":"x","use":"brew"}"#).contains("\"brew\" package manager")
        );
        fake.directory("/var/lib/apt/lists").answer_with(|_, command| {
            let text = match command.argv[0].as_str() {
                "dpkg-query" => "bash\tamd64\tii \t5.2\t\n",
                _ => return None,
            };
            Some(crate::system::CommandOutput {
                stdout: text.into(),
                ..crate::system::CommandOutput::default()
            })
        });
        let arguments =
            r#"{"name":"bash","state":"installed","cache_valid_time":99999999999,"update_cache":"yes"}"#;
        let outcome = run::<Package>(&fake, arguments);
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
        assert_eq!(outcome.values["cache_updated"], false.into());
    }
}
