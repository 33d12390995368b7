//! `dnf` (also `yum`): packages of RHEL and its kin. After ansible.builtin.dnf.
//!
//! What is installed is asked of `rpm`; what `dnf` (or, where there is none, `yum`) would do is asked of itself by `--assumeno`, and
//! read from the table that it prints. Streams of modules (`@nodejs:18/minimal`) are named as dnf names them.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

mod calls;
mod list;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod version;

use serde::Deserialize;

use self::calls::Dnfs;
use super::foreseen::Packages;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::wire::message::Outcome;

pub struct Dnf;

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    pub name: Vec<String>,
    pub state: Option<State>,
    pub enablerepo: Vec<String>,
    pub disablerepo: Vec<String>,
    pub enable_plugin: Vec<String>,
    pub disable_plugin: Vec<String>,
    pub exclude: Vec<String>,
    pub disable_excludes: Option<String>,
    pub disable_gpg_check: bool,
    pub update_cache: bool,
    pub update_only: bool,
    pub skip_broken: bool,
    pub allow_downgrade: bool,
    pub allowerasing: bool,
    pub best: Option<bool>,
    pub nobest: Option<bool>,
    pub bugfix: bool,
    pub security: bool,
    pub install_weak_deps: bool,
    pub autoremove: bool,
    pub cacheonly: bool,
    pub sslverify: bool,
    pub validate_certs: bool,
    pub releasever: Option<String>,
    pub installroot: String,
    pub conf_file: Option<String>,
    pub download_only: bool,
    pub download_dir: Option<String>,
    pub lock_timeout: i64,
    pub list: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Present,
    Installed,
    Latest,
    Absent,
    Removed,
}

/// The calls to make, in order.
#[derive(Debug)]
pub struct Change {
    program: Dnfs,
    /// Metadata that is only refreshed is no change.
    refresh: Option<Command>,
    calls: Vec<Command>,
    packages: Packages,
}

impl Module for Dnf {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "dnf",
        summary: "Install and remove packages on RHEL and Fedora",
        args: &[
            Arg::strings("name")
                .aliases(&["pkg"])
                .default("[]")
                .doc("Names, `name-version`, `name >= version`, files, addresses, `@groups`, `@module:stream/profile`; `*` for all."),
            Arg::str("state")
                .choices(&["absent", "present", "installed", "removed", "latest"])
                .doc("present, or absent where `autoremove` is given, unless told."),
            Arg::strings("enablerepo")
                .default("[]")
                .doc("Repositories to enable for this task."),
            Arg::strings("disablerepo")
                .default("[]")
                .doc("Repositories to disable for this task."),
            Arg::strings("enable_plugin")
                .default("[]")
                .doc("Plugins to enable for this task."),
            Arg::strings("disable_plugin")
                .default("[]")
                .doc("Plugins to disable for this task."),
            Arg::strings("exclude")
                .default("[]")
                .doc("Packages to leave alone."),
            Arg::str("disable_excludes")
                .doc("`all`, `main` or a repository whose excludes do not count."),
            Arg::bool("disable_gpg_check")
                .default("no")
                .doc("Do not verify signatures."),
            Arg::bool("update_cache")
                .aliases(&["expire-cache"])
                .default("no")
                .doc("Fetch the repositories' metadata first."),
            Arg::bool("update_only")
                .default("no")
                .doc("Upgrade what is installed, install nothing new."),
            Arg::bool("skip_broken")
                .default("no")
                .doc("Leave out what has broken dependencies."),
            Arg::bool("allow_downgrade")
                .default("no")
                .doc("Install a lower version."),
            Arg::bool("allowerasing")
                .default("no")
                .doc("Remove what is in the way."),
            Arg::bool("best").doc("The best candidate or failure."),
            Arg::bool("nobest").doc("Take less than the best candidate."),
            Arg::bool("bugfix")
                .default("no")
                .doc("With `latest`: upgrades that mend errors alone."),
            Arg::bool("security")
                .default("no")
                .doc("With `latest`: upgrades for security's sake alone."),
            Arg::bool("install_weak_deps")
                .default("yes")
                .doc("Whether recommended packages come along."),
            Arg::bool("autoremove")
                .default("no")
                .doc("Remove dependencies that nothing needs any more."),
            Arg::bool("cacheonly")
                .default("no")
                .doc("Work from the metadata that is there."),
            Arg::bool("sslverify")
                .default("yes")
                .doc("Verify repositories' certificates."),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("Verify certificates where a package is fetched from its address."),
            Arg::str("releasever").doc("The release to take packages for."),
            Arg::str("installroot")
                .default("/")
                .doc("The root of the system to install into."),
            Arg::str("conf_file").doc("Another configuration file."),
            Arg::bool("download_only")
                .default("no")
                .doc("Download and do not install."),
            Arg::str("download_dir").doc("Where `download_only` puts packages."),
            Arg::int("lock_timeout")
                .default("30")
                .doc("Seconds to wait for another program's lock."),
            Arg::str("list")
                .doc("Tell `installed`, `updates`, `available`, `repos` or what matches a name, and change nothing."),
            Arg::bool("install_repoquery")
                .default("yes")
                .doc("Accepted and not needed."),
            Arg::str("use_backend")
                .choices(&["auto", "dnf", "dnf4", "dnf5", "yum", "yum4"])
                .default("auto")
                .doc("Accepted and not needed: the target is looked at."),
        ],
        returns: &[
            Return::new(
                "results",
                "list of str",
                "`Installed: NAME` and `Removed: NAME`; with `list`, a dict for each package",
            ),
            Return::new("rc", "int", "0, or 1 on failure"),
            Return::new("failures", "list of str", "what could not be done").when("failure"),
        ],
        example: "\
- dnf:
    name: [nginx, 'httpd >= 2.4', '@Development tools']
    state: present

- dnf: {name: '*', state: latest, security: true}
",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["name", "list"]),
            Rule::Exclusive(&["best", "nobest"]),
            Rule::OneOf(&["name", "autoremove", "update_cache", "list"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let program = Dnfs::find(&args, system)?;
        if let Some(what) = &args.list {
            let results = list::list(&program, &args, what, system)?;
            return Ok(Plan::Same(Outcome::ok().with("msg", "").with("results", results)));
        }
        plan::plan(&args, program, system)
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let program = &change.program;
        if let Some(refresh) = &change.refresh {
            program.run(refresh, system)?;
        }
        let mut outcome = Outcome::ok();
        let mut results = Vec::new();
        for call in &change.calls {
            let text = program.run(call, system)?;
            outcome.changed |= !table::says_nothing_to_do(&text);
            results.extend(table::results(&table::rows(&text)));
        }
        let message = match (outcome.changed, &change.refresh) {
            (true, _) => "",
            (false, Some(_)) if change.calls.is_empty() => "Cache updated",
            (false, _) => "Nothing to do",
        };
        Ok(outcome
            .with("rc", 0)
            .with("msg", message)
            .with("results", results))
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}
