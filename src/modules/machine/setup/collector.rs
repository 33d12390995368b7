//! Which facts `gather_subset` asks for: the collectors by Ansible's names, and the part of ours that each is in.

use std::collections::BTreeSet;

use super::Error;

/// Parts that are gathered as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Basic,
    Hardware,
    Network,
    Virtual,
}

/// Facts that are asked for together.
#[derive(Debug)]
pub struct Collector {
    name: &'static str,
    /// Other names: those of single facts and of groups.
    ids: &'static [&'static str],
    pub part: Part,
    /// What the names of its facts begin with; empty for all that is left of its part.
    facts: &'static [&'static str],
    /// Gathered unless `!min` says no.
    minimal: bool,
}

const fn minimal(
    name: &'static str,
    ids: &'static [&'static str],
    facts: &'static [&'static str],
) -> Collector {
    Collector {
        name,
        ids,
        part: Part::Basic,
        facts,
        minimal: true,
    }
}

const fn more(
    name: &'static str,
    ids: &'static [&'static str],
    part: Part,
    facts: &'static [&'static str],
) -> Collector {
    Collector {
        name,
        ids,
        part,
        facts,
        minimal: false,
    }
}

/// Those of other programs (`facter`, `ohai`) have no facts here.
pub static COLLECTORS: &[Collector] = &[
    minimal("apparmor", &[], &["apparmor"]),
    minimal("caps", &[], &["system_capabilities"]),
    minimal("cmdline", &[], &["cmdline", "proc_cmdline"]),
    minimal("date_time", &[], &["date_time"]),
    minimal(
        "distribution",
        &[
            "distribution_major_version",
            "distribution_release",
            "distribution_version",
            "os_family",
        ],
        &["distribution", "os_family"],
    ),
    minimal("dns", &[], &["dns"]),
    minimal("env", &[], &["env"]),
    minimal("fips", &[], &["fips"]),
    minimal("local", &[], &["local"]),
    minimal("lsb", &[], &["lsb"]),
    minimal("pkg_mgr", &[], &["pkg_mgr"]),
    minimal(
        "platform",
        &["architecture", "kernel", "machine", "machine_id", "system"],
        &[
            "architecture",
            "domain",
            "fqdn",
            "hostname",
            "kernel",
            "machine",
            "nodename",
            "system",
            "userspace_",
        ],
    ),
    minimal("python", &[], &["python"]),
    minimal("selinux", &[], &["selinux"]),
    minimal("service_mgr", &[], &["service_mgr"]),
    minimal("ssh_pub_keys", &[], &["ssh_host_key_"]),
    minimal("user", &[], &["user_", "real_", "effective_"]),
    more("chroot", &["is_chroot"], Part::Basic, &["is_chroot"]),
    more("facter", &[], Part::Basic, &["facter"]),
    more("fibre_channel_wwn", &[], Part::Basic, &["fibre_channel_wwn"]),
    more("iscsi", &[], Part::Basic, &["iscsi_iqn"]),
    more("nvme", &[], Part::Basic, &["hostnqn"]),
    more("ohai", &[], Part::Basic, &["ohai"]),
    more("loadavg", &[], Part::Hardware, &["loadavg"]),
    more(
        "hardware",
        &[
            "devices",
            "mounts",
            "processor",
            "processor_cores",
            "processor_count",
        ],
        Part::Hardware,
        &[],
    ),
    more(
        "network",
        &[
            "all_ipv4_addresses",
            "all_ipv6_addresses",
            "default_ipv4",
            "default_ipv6",
            "interfaces",
        ],
        Part::Network,
        &[],
    ),
    more(
        "virtual",
        &[
            "virtualization_role",
            "virtualization_tech_guest",
            "virtualization_tech_host",
            "virtualization_type",
        ],
        Part::Virtual,
        &[],
    ),
];

/// The collectors that the words of `gather_subset` ask for, by their names.
pub fn wanted(words: &[String]) -> Result<BTreeSet<&'static str>, Error> {
    let all = || COLLECTORS.iter().map(|collector| collector.name);
    let minimum = || {
        COLLECTORS
            .iter()
            .filter(|collector| collector.minimal)
            .map(|collector| collector.name)
    };
    let mut added = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut explicit = BTreeSet::new();
    let mut without_minimum = false;
    for word in words.iter().map(String::as_str).filter(|word| !word.is_empty()) {
        match word {
            "all" => added.extend(all()),
            "min" | "any" => added.extend(minimum()),
            "!all" => refused.extend(all()),
            "!min" | "!any" => without_minimum = true,
            _ => {
                if let Some(name) = word.strip_prefix('!') {
                    // What does not exist is not missed.
                    refused.extend(named(name));
                } else {
                    let found = named(word).ok_or_else(|| unknown(word))?;
                    added.insert(found);
                    explicit.insert(found);
                }
            }
        }
    }
    // Only exclusions: from all.
    if added.is_empty() {
        added.extend(all());
    }
    // What is asked for by its own name is given even after `!all`.
    added.retain(|name| explicit.contains(name) || !refused.contains(name));
    if without_minimum {
        let minimum: BTreeSet<_> = minimum().collect();
        added.retain(|name| explicit.contains(name) || !minimum.contains(name));
    } else {
        added.extend(minimum());
    }
    Ok(added)
}

fn named(word: &str) -> Option<&'static str> {
    let found = COLLECTORS
        .iter()
        .find(|collector| collector.name == word || collector.ids.contains(&word));
    found.map(|collector| collector.name)
}

fn unknown(word: &str) -> Error {
    let mut names: Vec<&str> = COLLECTORS
        .iter()
        .flat_map(|collector| collector.ids.iter().copied().chain([collector.name]))
        .collect();
    names.sort_unstable();
    Error::new(format!(
        "Bad subset '{word}' given to Ansible. gather_subset options allowed: all, min, {}",
        names.join(", ")
    ))
}

/// The parts that these collectors need.
pub fn parts(wanted: &BTreeSet<&'static str>) -> BTreeSet<Part> {
    let needed = COLLECTORS
        .iter()
        .filter(|collector| wanted.contains(collector.name));
    needed.map(|collector| collector.part).collect()
}

/// Whether a fact of a part was asked for.
pub fn keeps(wanted: &BTreeSet<&'static str>, part: Part, fact: &str) -> bool {
    let mut own = COLLECTORS.iter().filter(|collector| collector.part == part);
    let collector = own.find(|collector| {
        collector.facts.is_empty() || collector.facts.iter().any(|start| fact.starts_with(start))
    });
    collector.is_none_or(|collector| wanted.contains(collector.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &[&str]) -> Vec<Part> {
        parts(&names(words)).into_iter().collect()
    }

    fn names(words: &[&str]) -> BTreeSet<&'static str> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        wanted(&words).unwrap()
    }

    #[test]
    fn chooses_parts_as_ansible_does() {
        use Part::{Basic, Hardware, Network, Virtual};
        assert_eq!(chosen(&["all"]), [Basic, Hardware, Network, Virtual]);
        assert_eq!(chosen(&["!all"]), [Basic]);
        assert_eq!(chosen(&["!all", "!min", "network"]), [Network]);
        assert_eq!(chosen(&["network"]), [Basic, Network]);
        assert_eq!(chosen(&["!hardware", "!loadavg"]), [Basic, Network, Virtual]);
        assert!(wanted(&["nonsense".to_owned()]).is_err());
        assert!(wanted(&["!nonsense".to_owned()]).is_ok());
    }

    #[test]
    fn gives_single_collectors() {
        let one = names(&["!all", "!min", "distribution_version"]);
        assert!(keeps(&one, Part::Basic, "distribution_release"));
        assert!(!keeps(&one, Part::Basic, "pkg_mgr"));
        assert!(!keeps(&names(&["!all"]), Part::Basic, "is_chroot"));
        assert!(!keeps(
            &names(&["!all", "!min", "loadavg"]),
            Part::Hardware,
            "mounts"
        ));
    }
}
