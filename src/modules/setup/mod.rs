//! `setup`: the facts. After ansible.builtin.setup, under the same names.
//!
//! Each file here is a topic: pure parsers of what the kernel and the distribution say, and one function
//! that reads their sources through [`System`]. A source that is missing leaves its facts out; gathering never
//! fails for it. Deliberately no Python, Facter, Ohai, LVM, iSCSI or `NVMe` facts.

mod account;
mod clock;
mod distribution;
mod hardware;
mod host;
mod local;
mod network;
mod virtualization;

use std::collections::BTreeSet;
use std::path::Path;

use globset::Glob;
use serde::Deserialize;

use super::{Arg, Error, Module, Plan, Spec};
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

/// Parts that can be asked for; each is cheap or dear as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subset {
    Min,
    Hardware,
    Network,
    Virtual,
}

/// Ansible's names of parts, and the one of ours that each is in. Those of external programs give nothing.
const SUBSETS: &[(&str, Option<Subset>)] = &[
    ("all_ipv4_addresses", Some(Subset::Network)),
    ("all_ipv6_addresses", Some(Subset::Network)),
    ("apparmor", Some(Subset::Min)),
    ("architecture", Some(Subset::Min)),
    ("caps", Some(Subset::Min)),
    ("chroot", Some(Subset::Min)),
    ("cmdline", Some(Subset::Min)),
    ("date_time", Some(Subset::Min)),
    ("default_ipv4", Some(Subset::Network)),
    ("default_ipv6", Some(Subset::Network)),
    ("devices", Some(Subset::Hardware)),
    ("distribution", Some(Subset::Min)),
    ("distribution_major_version", Some(Subset::Min)),
    ("distribution_release", Some(Subset::Min)),
    ("distribution_version", Some(Subset::Min)),
    ("dns", Some(Subset::Min)),
    ("env", Some(Subset::Min)),
    ("facter", None),
    ("fips", Some(Subset::Min)),
    ("hardware", Some(Subset::Hardware)),
    ("interfaces", Some(Subset::Network)),
    ("is_chroot", Some(Subset::Min)),
    ("iscsi", None),
    ("kernel", Some(Subset::Min)),
    ("loadavg", Some(Subset::Hardware)),
    ("local", Some(Subset::Min)),
    ("lsb", Some(Subset::Min)),
    ("machine", Some(Subset::Min)),
    ("machine_id", Some(Subset::Min)),
    ("mounts", Some(Subset::Hardware)),
    ("network", Some(Subset::Network)),
    ("nvme", None),
    ("ohai", None),
    ("os_family", Some(Subset::Min)),
    ("pkg_mgr", Some(Subset::Min)),
    ("platform", Some(Subset::Min)),
    ("processor", Some(Subset::Hardware)),
    ("processor_cores", Some(Subset::Hardware)),
    ("processor_count", Some(Subset::Hardware)),
    ("python", None),
    ("selinux", Some(Subset::Min)),
    ("service_mgr", Some(Subset::Min)),
    ("ssh_pub_keys", Some(Subset::Min)),
    ("system", Some(Subset::Min)),
    ("user", Some(Subset::Min)),
    ("virtual", Some(Subset::Virtual)),
    ("virtualization_role", Some(Subset::Virtual)),
    ("virtualization_type", Some(Subset::Virtual)),
];

const ALL: [Subset; 4] = [Subset::Min, Subset::Hardware, Subset::Network, Subset::Virtual];

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
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let subsets = subsets(&args.gather_subset)?;
        let mut facts = Map::new();
        for subset in &subsets {
            match subset {
                Subset::Min => {
                    host::gather(system, &mut facts);
                    distribution::gather(system, &mut facts);
                    account::gather(system, &mut facts);
                    clock::gather(system, &mut facts);
                    facts.insert("local".to_owned(), local::gather(&args.fact_path, system));
                }
                Subset::Hardware => hardware::gather(system, args.gather_timeout, &mut facts),
                Subset::Network => network::gather(system, &mut facts),
                Subset::Virtual => virtualization::gather(system, &mut facts),
            }
        }
        let facts = select(facts, &args.filter)?;
        let mut named: Map = facts
            .into_iter()
            .map(|(name, value)| (format!("ansible_{name}"), value))
            .collect();
        named.sort_keys();
        named.insert("gather_subset".to_owned(), args.gather_subset.into());
        named.insert("module_setup".to_owned(), true.into());
        Ok(Plan::Same(Outcome::ok().with("ansible_facts", named)))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

fn subsets(words: &[String]) -> Result<BTreeSet<Subset>, Error> {
    let mut wanted = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut explicit = BTreeSet::new();
    let mut min = true;
    for word in words.iter().map(String::as_str).filter(|word| !word.is_empty()) {
        let (set, name) = match word.strip_prefix('!') {
            Some(name) => (&mut refused, name),
            None => (&mut wanted, word),
        };
        match name {
            "all" if word.starts_with('!') => set.extend(ALL.into_iter().skip(1)),
            "all" => set.extend(ALL),
            "min" if word.starts_with('!') => min = false,
            "min" => {
                set.insert(Subset::Min);
            }
            _ => {
                let known = SUBSETS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                    let names: Vec<&str> = SUBSETS.iter().map(|(name, _)| *name).collect();
                    Error::new(format!(
                        "Bad subset '{name}' given to Ansible. gather_subset options allowed: all, min, {}",
                        names.join(", ")
                    ))
                })?;
                set.extend(known.1);
                if !word.starts_with('!') {
                    explicit.extend(known.1);
                }
            }
        }
    }
    // Only exclusions: from all.
    if wanted.is_empty() {
        wanted.extend(ALL);
    }
    // What is asked for by its own name is given even after `!all`.
    wanted.retain(|subset| explicit.contains(subset) || !refused.contains(subset));
    if min {
        wanted.insert(Subset::Min);
    }
    Ok(wanted)
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

    fn chosen(words: &[&str]) -> Vec<Subset> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        subsets(&words).unwrap().into_iter().collect()
    }

    #[test]
    fn chooses_parts_as_ansible_does() {
        assert_eq!(chosen(&["all"]), ALL);
        assert_eq!(chosen(&["!all"]), [Subset::Min]);
        assert_eq!(chosen(&["!all", "!min", "network"]), [Subset::Network]);
        assert_eq!(chosen(&["network"]), [Subset::Min, Subset::Network]);
        assert_eq!(
            chosen(&["!hardware"]),
            [Subset::Min, Subset::Network, Subset::Virtual]
        );
        assert!(subsets(&["nonsense".to_owned()]).is_err());
    }

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
