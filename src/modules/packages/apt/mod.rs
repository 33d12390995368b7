//! `apt`: packages of Debian and its kin. After ansible.builtin.apt.
//!
//! What is installed is asked of `dpkg-query`, what could be of `apt-cache policy`; what would happen is
//! asked of `apt-get --simulate`, so that prediction and deed come from the same program. When the package
//! lists are to be fetched first, what happens after that cannot be known: the prediction then rests on
//! what is known before. Deliberately no aptitude: apt-get does what it would.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

mod cache;
mod deb;
mod dpkg;
mod plan;
mod running;
#[cfg(test)]
mod tests;
mod version;
mod wanted;

use serde::Deserialize;

use self::plan::Change;
use crate::modules::packages::download;
use crate::modules::packages::foreseen::Packages;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::wire::message::{Diff, Outcome};

/// Where downloaded packages are until the next `apt-get clean`.
const ARCHIVES: &str = "/var/cache/apt/archives";

pub struct Apt;

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    pub package: Option<Vec<String>>,
    pub state: State,
    pub update_cache: Option<bool>,
    pub update_cache_retries: u32,
    pub update_cache_retry_max_delay: u64,
    pub cache_valid_time: u64,
    pub purge: bool,
    pub default_release: Option<String>,
    pub install_recommends: Option<bool>,
    pub force: bool,
    pub allow_unauthenticated: bool,
    pub allow_downgrade: bool,
    pub allow_change_held_packages: bool,
    pub upgrade: Upgrade,
    pub dpkg_options: String,
    pub deb: Option<String>,
    pub autoremove: bool,
    pub autoclean: bool,
    pub clean: bool,
    pub only_upgrade: bool,
    pub fail_on_autoremove: bool,
    pub policy_rc_d: Option<i64>,
    pub lock_timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Present,
    Absent,
    Latest,
    BuildDep,
    Fixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upgrade {
    No,
    Yes,
    Safe,
    Full,
    Dist,
}

impl Module for Apt {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "apt",
        summary: "Install and remove packages on Debian and Ubuntu",
        args: &[
            Arg::strings("package").aliases(&["name", "pkg"]).doc(
                "Names, `name=version`, `name>=version`, `name:architecture`; `*` in names and versions.",
            ),
            Arg::str("state")
                .choices(&["present", "absent", "latest", "build-dep", "fixed"])
                .default("present")
                .doc("What they are to be; `fixed` repairs broken dependencies first."),
            Arg::bool("update_cache")
                .aliases(&["update-cache"])
                .doc("Fetch the package lists first."),
            Arg::int("update_cache_retries")
                .default("5")
                .doc("Attempts at fetching the lists."),
            Arg::int("update_cache_retry_max_delay")
                .default("12")
                .doc("Seconds between two attempts at most; the pause doubles each time."),
            Arg::int("cache_valid_time")
                .default("0")
                .doc("Seconds for which fetched lists are good; implies `update_cache`."),
            Arg::bool("purge")
                .default("no")
                .doc("Remove configuration files too."),
            Arg::str("default_release")
                .aliases(&["default-release"])
                .doc("The release to take packages from."),
            Arg::bool("install_recommends")
                .aliases(&["install-recommends"])
                .doc("Whether recommended packages come along; apt's own setting unless given."),
            Arg::bool("force")
                .default("no")
                .doc("Install what is not authenticated, and downgrade."),
            Arg::bool("allow_unauthenticated")
                .aliases(&["allow-unauthenticated"])
                .default("no")
                .doc("Install what cannot be authenticated."),
            Arg::bool("allow_downgrade")
                .aliases(&["allow-downgrade", "allow_downgrades", "allow-downgrades"])
                .default("no")
                .doc("Install a version lower than the one that is there."),
            Arg::bool("allow_change_held_packages")
                .default("no")
                .doc("Change packages that are on hold."),
            Arg::str("upgrade")
                .choices(&["no", "yes", "safe", "full", "dist"])
                .default("no")
                .doc("Upgrade everything: `yes`/`safe` remove nothing, `full`/`dist` may."),
            Arg::str("dpkg_options")
                .default("force-confdef,force-confold")
                .doc("Options for dpkg, separated by commas."),
            Arg::path("deb").doc("A .deb file on the target, or its address; several with commas."),
            Arg::bool("autoremove")
                .default("no")
                .doc("Remove dependencies that nothing needs any more."),
            Arg::bool("autoclean")
                .default("no")
                .doc("Drop downloaded files that are out of date, where no packages are named."),
            Arg::bool("clean").default("no").doc("Drop all downloaded files."),
            Arg::bool("only_upgrade")
                .default("no")
                .doc("Upgrade what is installed, install nothing new."),
            Arg::bool("force_apt_get")
                .default("no")
                .doc("Accepted: apt-get is what is used."),
            Arg::bool("fail_on_autoremove")
                .default("no")
                .doc("Fail where something would be removed."),
            Arg::int("policy_rc_d")
                .doc("What `/usr/sbin/policy-rc.d` answers meanwhile; 101 starts no service."),
            Arg::bool("auto_install_module_deps")
                .default("yes")
                .doc("Accepted: nothing has to be installed for this module."),
            Arg::int("lock_timeout")
                .default("60")
                .doc("Seconds to wait for another program's lock."),
        ],
        returns: &[
            Return::new("cache_updated", "bool", "whether the package lists were fetched"),
            Return::new(
                "cache_update_time",
                "int",
                "when they were last fetched, in seconds since 1970",
            ),
            Return::new("stdout", "str", "what apt-get said").when("something was done"),
            Return::new("stderr", "str", "its errors and warnings").when("something was done"),
        ],
        example: "\
- apt:
    name: [nginx, curl]
    update_cache: true
    cache_valid_time: 3600

- apt:
    name: postgresql=15*
    policy_rc_d: 101

- apt: {upgrade: dist, autoremove: true}
",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["deb", "package", "upgrade"]),
            Rule::OneOf(&[
                "autoremove",
                "autoclean",
                "clean",
                "deb",
                "package",
                "update_cache",
                "upgrade",
                "cache_valid_time",
            ]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "apt-get", "manage packages (is this Debian or Ubuntu?)")?;
        plan::plan(&args, system)
    }

    fn apply(mut change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut outcome = Outcome::ok();
        let running = &mut change.running;
        if let Some(fetch) = &change.fetch {
            cache::fetch(fetch, running, system)?;
        }
        let mut stdout = String::new();
        let mut stderr = String::new();
        for call in &change.calls {
            for deb::Download { url, path } in &call.downloads {
                download::file(url, path, true, system).map_err(|error| Error {
                    message: format!("Failure downloading {url}, {}", error.message),
                    ..error
                })?;
            }
            let output = running.change(&call.command, system)?;
            let text = output.stdout_text();
            outcome.changed |= !call.counts || plan::changes(&text);
            stdout.push_str(&text);
            stderr.push_str(&output.stderr_text());
        }
        if !change.manual.is_empty() {
            let words = ["apt-mark", "manual", "--"].map(str::to_owned);
            let command = quiet(Command::new(words.into_iter().chain(change.manual)));
            running.run(&command, system)?;
        }
        // Fetching the lists is the change only where nothing else was asked for.
        outcome.changed |= change.calls.is_empty() && change.fetch.is_some() && change.fetch_alone;
        if !running.warnings.is_empty() {
            outcome = outcome.with("warnings", std::mem::take(&mut running.warnings));
        }
        Ok(outcome
            .with("cache_updated", change.fetch.is_some())
            .with("cache_update_time", cache::time(system)?)
            .with("stdout_lines", tool::lines(&stdout))
            .with("stderr_lines", tool::lines(&stderr))
            .with("stdout", stdout)
            .with("stderr", stderr))
    }

    fn foresee(change: &Change) -> Foresight {
        let mut packages = Packages::default();
        for call in &change.calls {
            packages.extend(&call.packages);
        }
        packages.foresight()
    }
}

/// `apt-get` with what every call of it needs: no questions. It waits for no locks: it would not say so, [`running`] does.
fn apt_get(args: &Args, words: &[&str]) -> Command {
    let mut argv = vec!["apt-get".to_owned(), "-y".to_owned()];
    argv.extend(["-o", "DPkg::Lock::Timeout=0"].map(str::to_owned));
    for option in args.dpkg_options.split(',').filter(|option| !option.is_empty()) {
        argv.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
    }
    argv.extend(words.iter().map(|word| (*word).to_owned()));
    let mut command = quiet(Command::new(argv));
    if args.force || args.allow_unauthenticated {
        command.argv.push("--allow-unauthenticated".to_owned());
    }
    if args.force || args.allow_downgrade {
        command.argv.push("--allow-downgrades".to_owned());
    }
    if args.allow_change_held_packages {
        command.argv.push("--allow-change-held-packages".to_owned());
    }
    if let Some(release) = &args.default_release {
        command.argv.extend(["-t".to_owned(), release.clone()]);
    }
    match args.install_recommends {
        Some(true) => command
            .argv
            .extend(["-o".to_owned(), "APT::Install-Recommends=yes".to_owned()]),
        Some(false) => command.argv.push("--no-install-recommends".to_owned()),
        None => {}
    }
    command
}

/// Output that can be read by a program, and a front end that asks nothing.
fn quiet(command: Command) -> Command {
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBIAN_PRIORITY", "critical")
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .env("LC_MESSAGES", "C.UTF-8")
}

/// What `apt-get --simulate` says it would do, as a diff's one side.
fn diff(simulated: &str) -> Diff {
    let wanted = |line: &&str| {
        ["Inst ", "Remv ", "Purg "]
            .iter()
            .any(|verb| line.starts_with(verb))
    };
    let after: String = simulated
        .lines()
        .filter(wanted)
        .flat_map(|line| [line, "\n"])
        .collect();
    Diff {
        before_header: "packages".to_owned(),
        after_header: "packages".to_owned(),
        before: String::new(),
        after,
    }
}
