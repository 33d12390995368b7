//! `setup`: the facts. After ansible.builtin.setup, under the same names.
//!
//! Each file here is a topic: pure parsers of what the kernel and the distribution say, and one function
//! that reads their sources through [`System`]. A source that is missing leaves its facts out; gathering never
//! fails for it. Deliberately nothing of Facter, Ohai and LVM; Python is looked at, not run.

mod account;
mod clock;
mod collector;
mod devices;
mod distribution;
mod hardware;
mod host;
mod local;
mod network;
mod software;
mod virtualization;

use std::path::Path;

use globset::Glob;
use serde::Deserialize;

use self::collector::Part;
pub use self::distribution::os_family;
pub use self::host::full_name;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Setup;

#[derive(Debug, Deserialize)]
pub struct Args {
    gather_subset: Vec<String>,
    filter: Vec<String>,
    fact_path: String,
    gather_timeout: u64,
}

impl Module for Setup {
    type Args = Args;
    type Change = std::convert::Infallible;

    const SPEC: Spec = Spec {
        name: "setup",
        summary: "Gather facts about the target",
        args: &[
            Arg::strings("gather_subset")
                .default("all")
                .doc("all, min, hardware, network, virtual...; `!` excludes."),
            Arg::strings("filter")
                .default("")
                .doc("Patterns of names to keep."),
            Arg::path("fact_path")
                .default("/etc/ansible/facts.d")
                .doc("Folder of local facts, *.fact."),
            Arg::int("gather_timeout")
                .default("10")
                .doc("Seconds for what may hang, such as file systems."),
        ],
        returns: &[Return::new(
            "ansible_facts",
            "dict",
            "the facts, their names beginning with `ansible_`",
        )],
        example: "- setup:\n    gather_subset: [min, network]\n    filter: [ansible_default_ipv4]\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let wanted = collector::wanted(&args.gather_subset)?;
        let mut facts = Map::new();
        for part in collector::parts(&wanted) {
            let mut found = Map::new();
            match part {
                Part::Basic => {
                    host::gather(system, &mut found);
                    distribution::gather(system, &mut found);
                    account::gather(system, &mut found);
                    clock::gather(system, &mut found);
                    software::gather(system, &mut found);
                    found.insert("local".to_owned(), local::gather(&args.fact_path, system));
                }
                Part::Hardware => hardware::gather(system, args.gather_timeout, &mut found),
                Part::Network => network::gather(system, &mut found),
                Part::Virtual => virtualization::gather(system, &mut found),
            }
            facts.extend(
                found
                    .into_iter()
                    .filter(|(name, _)| collector::keeps(&wanted, part, name)),
            );
        }
        let facts = select(facts, &args.filter)?;
        let mut named: Map = facts
            .into_iter()
            .map(|(name, value)| (format!("ansible_{name}"), value))
            .collect();
        named.sort_keys();
        let about = Map::from_iter([
            ("gather_subset".to_owned(), args.gather_subset.into()),
            ("module_setup".to_owned(), true.into()),
        ]);
        named.extend(select(about, &args.filter)?);
        Ok(Plan::Same(Outcome::ok().with("ansible_facts", named)))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// The facts whose name, with its prefix or without, matches one of the patterns.
fn select(facts: Map, patterns: &[String]) -> Result<Map, Error> {
    let patterns: Vec<_> = patterns
        .iter()
        .filter(|pattern| !pattern.is_empty())
        .map(|pattern| {
            Glob::new(pattern)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| Error::new(format!("filter `{pattern}` is not a pattern: {error}")))
        })
        .collect::<Result<_, _>>()?;
    if patterns.is_empty() {
        return Ok(facts);
    }
    Ok(facts
        .into_iter()
        .filter(|(name, _)| {
            patterns
                .iter()
                .any(|pattern| pattern.is_match(name) || pattern.is_match(format!("ansible_{name}")))
        })
        .collect())
}

/// A file's text, trimmed; none if it is missing, unreadable or empty.
fn read(system: &dyn System, path: impl AsRef<Path>) -> Option<String> {
    let bytes = system.read(path.as_ref()).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// What a program prints, trimmed; none if it is missing or fails.
fn ask(system: &dyn System, argv: &[&str]) -> Option<String> {
    let output = system.run(&Command::new(argv.iter().copied())).ok()?;
    output.success().then(|| output.stdout_text().trim().to_owned())
}

fn exists(system: &dyn System, path: &str) -> bool {
    let found = system.metadata(path.as_ref(), crate::system::Follow::Yes);
    matches!(found, Ok(Some(_)))
}

fn put(facts: &mut Map, name: &str, value: impl Into<Value>) {
    facts.insert(name.to_owned(), value.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_with_the_prefix_and_without() {
        let facts = || Map::from([("fqdn".to_owned(), Value::Null), ("dns".to_owned(), Value::Null)]);
        let names = |pattern: &str| {
            select(facts(), &[pattern.to_owned()])
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(names("ansible_fq*"), ["fqdn"]);
        assert_eq!(names("dns"), ["dns"]);
        assert_eq!(names(""), ["fqdn", "dns"]);
    }

    /// The machine that the tests run on must at least have what every role relies on.
    #[test]
    fn gathers_from_a_real_machine() {
        let system = crate::system::local::Local::new(std::collections::BTreeMap::new());
        let args = Args {
            gather_subset: vec!["all".to_owned()],
            filter: Vec::new(),
            fact_path: "/nonexistent".to_owned(),
            gather_timeout: 10,
        };
        let Ok(Plan::Same(outcome)) = Setup::check(args, &system) else {
            panic!("setup failed");
        };
        let facts = outcome.values["ansible_facts"].as_map().unwrap();
        for name in [
            "architecture",
            "date_time",
            "distribution",
            "env",
            "fqdn",
            "hostname",
            "interfaces",
            "kernel",
            "memtotal_mb",
            "mounts",
            "os_family",
            "pkg_mgr",
            "processor_vcpus",
            "service_mgr",
            "system",
            "user_id",
            "virtualization_type",
        ] {
            assert!(
                facts.contains_key(&format!("ansible_{name}")),
                "{name} is missing"
            );
        }
    }
}
