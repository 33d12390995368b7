//! `package_facts`: what is installed, as `ansible_facts.packages`. After `ansible.builtin.package_facts`.
//!
//! The managers of Linux: dpkg's database is read as it is, the others are asked. An apt package's `origin` is empty: it is in no
//! database of the target, only in the lists of what could be downloaded.

use serde::Deserialize;

use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Command, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

const DPKG_STATUS: &str = "/var/lib/dpkg/status";
const RPM_FORMAT: &str = "%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%{EPOCH}\\t%{ARCH}\\n";

/// Name and reader of each, in the order in which they are looked for.
const MANAGERS: &[(&str, Reader)] = &[("apk", apk), ("apt", apt), ("pacman", pacman), ("rpm", rpm)];
/// Names that stand for one of them.
const ALIASES: &[(&str, &str)] = &[("dnf", "rpm"), ("dnf5", "rpm"), ("yum", "rpm"), ("zypper", "rpm")];

/// The packages of one manager, each with its `name`.
type Reader = fn(&dyn System) -> Result<Vec<Map>, Problem>;

/// Why a manager tells nothing.
enum Problem {
    Absent(String),
    Failed(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Failed(error.message)
    }
}

pub struct PackageFacts;

#[derive(Debug, Deserialize)]
pub struct Args {
    manager: Vec<String>,
    strategy: String,
}

impl Module for PackageFacts {
    type Args = Args;
    type Change = std::convert::Infallible;

    const SPEC: Spec = Spec {
        name: "package_facts",
        summary: "read what is installed into `ansible_facts.packages`",
        args: &[
            Arg::strings("manager")
                .default("auto")
                .doc("`apk`, `apt`, `pacman`, `rpm`; `auto`: whichever is there"),
            Arg::str("strategy")
                .choices(&["first", "all"])
                .default("first")
                .doc("of several managers, the first or all"),
        ],
        returns: &[Return::new(
            "ansible_facts",
            "dict",
            "`packages`: each name to a list of what is installed under it, with version, source and more",
        )],
        example: "- package_facts:\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let requested: Vec<String> = args.manager.iter().map(|name| name.to_lowercase()).collect();
        let wanted = wanted(&requested)?;
        let mut packages = Map::new();
        let mut warnings = Vec::new();
        let mut found = false;
        for (name, read) in &wanted {
            if found && args.strategy == "first" {
                break;
            }
            match read(system) {
                Ok(installed) if installed.is_empty() => {
                    warnings.push(format!("Found \"{name}\" but no associated packages"));
                }
                Ok(installed) => {
                    found = true;
                    add(&mut packages, installed, name);
                }
                Err(Problem::Failed(reason)) => {
                    warnings.push(format!("Failed to retrieve packages with {name}: {reason}"));
                    warnings.push(format!("Found \"{name}\" but no associated packages"));
                }
                Err(Problem::Absent(reason)) if requested.iter().any(|requested| requested == name) => {
                    warnings.push(format!(
                        "Requested package manager {name} was not usable by this module: {reason}"
                    ));
                }
                Err(Problem::Absent(_)) => {}
            }
        }
        if !found {
            let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
            return Err(Error::new(format!(
                "Could not detect a supported package manager from the following list: {}. Check warnings for details.",
                names.join(", ")
            ))
            .with("warnings", warnings));
        }
        let facts = Map::from_iter([("packages".to_owned(), Value::Map(packages))]);
        let mut outcome = Outcome::ok().with("ansible_facts", facts);
        if !warnings.is_empty() {
            outcome = outcome.with("warnings", warnings);
        }
        Ok(Plan::Same(outcome))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// The managers that names stand for, each once.
fn wanted(names: &[String]) -> Result<Vec<(&'static str, Reader)>, Error> {
    let mut wanted: Vec<(&'static str, Reader)> = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let name = ALIASES
            .iter()
            .find(|(alias, _)| alias == name)
            .map_or(name.as_str(), |(_, name)| name);
        let chosen: Vec<_> = MANAGERS
            .iter()
            .filter(|(manager, _)| name == "auto" || *manager == name)
            .collect();
        if chosen.is_empty() {
            unknown.push(name);
        }
        for manager in chosen {
            if !wanted.iter().any(|(known, _)| *known == manager.0) {
                wanted.push(*manager);
            }
        }
    }
    if unknown.is_empty() {
        return Ok(wanted);
    }
    Err(Error::new(format!(
        "Unsupported package managers requested: {}",
        unknown.join(", ")
    )))
}

/// Each name to the list of what is installed under it.
fn add(packages: &mut Map, installed: Vec<Map>, source: &str) {
    for mut package in installed {
        package.insert("source".to_owned(), source.into());
        let name = package["name"].to_string();
        let package = Value::Map(package);
        match packages.get_mut(&name) {
            Some(Value::List(known)) => known.push(package),
            _ => {
                packages.insert(name, Value::List(vec![package]));
            }
        }
    }
}

fn package<const N: usize>(fields: [(&str, &str); N]) -> Map {
    fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}

/// What a manager's program says.
fn ask(system: &dyn System, argv: &[&str]) -> Result<String, Problem> {
    let program = argv.first().copied().unwrap_or_default();
    if system.which(program).is_none() {
        return Err(Problem::Absent(format!("there is no executable {program}")));
    }
    let output = system
        .run(&Command::new(argv.iter().copied()).env("LC_ALL", "C"))
        .map_err(|error| Problem::Failed(error.to_string()))?;
    if output.success() {
        return Ok(output.stdout_text());
    }
    Err(Problem::Failed(format!(
        "Unable to list packages rc={} : {}",
        output.code,
        output.stderr_text().trim()
    )))
}

fn apt(system: &dyn System) -> Result<Vec<Map>, Problem> {
    let status = std::path::Path::new(DPKG_STATUS);
    if !matches!(system.metadata(status, Follow::Yes), Ok(Some(_))) {
        return Err(Problem::Absent(format!("there is no {DPKG_STATUS}")));
    }
    let bytes = system
        .read(status)
        .map_err(|error| Problem::Failed(error.to_string()))?;
    let native = ask(system, &["dpkg", "--print-architecture"]).unwrap_or_default();
    Ok(dpkg(&String::from_utf8_lossy(&bytes), native.trim()))
}

/// Packages of dpkg's status file; those of another architecture than the machine's carry it in their names.
fn dpkg(status: &str, native: &str) -> Vec<Map> {
    let mut installed = Vec::new();
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else {
            continue;
        };
        if !field("Status").is_some_and(|status| status.ends_with(" installed")) {
            continue;
        }
        let arch = field("Architecture").unwrap_or_default();
        let foreign = !native.is_empty() && arch != native && arch != "all";
        let name = if foreign {
            format!("{name}:{arch}")
        } else {
            name.to_owned()
        };
        installed.push(package([
            ("name", &name),
            ("version", version),
            ("arch", arch),
            ("category", field("Section").unwrap_or_default()),
            ("origin", ""),
        ]));
    }
    installed
}

fn rpm(system: &dyn System) -> Result<Vec<Map>, Problem> {
    let text = ask(system, &["rpm", "-qa", "--qf", RPM_FORMAT])?;
    let lines = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, version, release, epoch, arch] = fields.as_slice() else {
            return None;
        };
        // Python's words for what is not there.
        let or_none = |field: &'static str, value| {
            if value == "(none)" {
                (field, "None")
            } else {
                (field, value)
            }
        };
        Some(package([
            ("name", name),
            ("version", version),
            ("release", release),
            or_none("epoch", epoch),
            or_none("arch", arch),
        ]))
    });
    Ok(lines.collect())
}

fn apk(system: &dyn System) -> Result<Vec<Map>, Problem> {
    let text = ask(system, &["apk", "info", "-v"])?;
    let lines = text.lines().map(|line| {
        let mut parts = line.rsplitn(3, '-');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(release), Some(version), Some(name)) => {
                package([("name", name), ("version", version), ("release", release)])
            }
            _ => package([("name", line), ("version", ""), ("release", "")]),
        }
    });
    Ok(lines.collect())
}

fn pacman(system: &dyn System) -> Result<Vec<Map>, Problem> {
    let text = ask(system, &["pacman", "-Qi"])?;
    let mut installed = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
                .map(str::trim)
        };
        let (Some(name), Some(version)) = (field("Name"), field("Version")) else {
            continue;
        };
        let mut found = package([
            ("name", name),
            ("version", version),
            ("arch", field("Architecture").unwrap_or_default()),
        ]);
        let provides = field("Provides")
            .filter(|provides| *provides != "None")
            .map(|provides| {
                let names = provides.split_whitespace();
                names
                    .map(|name| name.split('=').next().unwrap_or(name).to_owned())
                    .collect::<Vec<_>>()
            });
        found.insert("provides".to_owned(), provides.map_or(Value::Null, Value::from));
        installed.push(found);
    }
    Ok(installed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    const STATUS: &str = "Package: bash\nStatus: install ok installed\nSection: shells\nArchitecture: amd64\n\
        Version: 5.2\nDescription: a shell\n with Version: none\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
        Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.36\n";

    #[test]
    fn dpkgs_database_is_read() {
        let fake = Fake::new();
        fake.file(DPKG_STATUS, STATUS).program("/usr/bin/dpkg").answer(
            "dpkg --print-architecture",
            0,
            "amd64\n",
        );
        let outcome = run::<PackageFacts>(&fake, "{}");
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"ansible_facts":{"packages":{"bash":[{"name":"bash","version":"5.2","arch":"amd64","category":"shells","origin":"","source":"apt"}],"libc6:i386":[{"name":"libc6:i386","version":"2.36","arch":"i386","category":"","origin":"","source":"apt"}]}}}"#);
    }

    #[test]
    fn programs_are_asked() {
        let fake = Fake::new();
        fake.program("/usr/bin/rpm")
            .program("/sbin/apk")
            .program("/usr/bin/pacman");
        let query = format!("rpm -qa --qf {RPM_FORMAT}");
        fake.answer(&query, 0, "bash\t5.2\t1.el9\t(none)\tx86_64\n")
            .answer("apk info -v", 0, "musl-utils-1.2.4-r2\n")
            .answer(
                "pacman -Qi",
                0,
                "Name            : sh\nVersion         : 5-1\nArchitecture    : any\nProvides        : a=1  b\n\n",
            );
        let outcome = run::<PackageFacts>(&fake, r#"{"manager":["dnf","apk","pacman"],"strategy":"all"}"#);
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"ansible_facts":{"packages":{"bash":[{"name":"bash","version":"5.2","release":"1.el9","epoch":"None","arch":"x86_64","source":"rpm"}],"musl-utils":[{"name":"musl-utils","version":"1.2.4","release":"r2","source":"apk"}],"sh":[{"name":"sh","version":"5-1","arch":"any","provides":["a","b"],"source":"pacman"}]}}}"#);
    }

    #[test]
    fn says_what_it_did_not_find() {
        let fake = Fake::new();
        let outcome = run::<PackageFacts>(&fake, r#"{"manager":"apk"}"#);
        assert!(outcome.failed);
        assert_eq!(
            outcome.values["warnings"],
            Value::from(vec![
                "Requested package manager apk was not usable by this module: there is no executable apk"
                    .to_owned()
            ])
        );
        assert_eq!(
            failure::<PackageFacts>(&fake, r#"{"manager":"brew"}"#),
            "Unsupported package managers requested: brew"
        );
    }
}
