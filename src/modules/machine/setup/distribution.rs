//! The distribution, from `/etc/os-release` (os-release(5)) and the files that say more than it.

use super::{put, read};
use crate::system::System;
use crate::value::Map;

/// `ID` to Ansible's name.
const NAMES: &[(&str, &str)] = &[
    ("almalinux", "AlmaLinux"),
    ("alpine", "Alpine"),
    ("amzn", "Amazon"),
    ("arch", "Archlinux"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("devuan", "Devuan"),
    ("fedora", "Fedora"),
    ("gentoo", "Gentoo"),
    ("kali", "Kali"),
    ("linuxmint", "Linux Mint"),
    ("ol", "OracleLinux"),
    ("opensuse-leap", "openSUSE Leap"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed"),
    ("pop", "Pop!_OS"),
    ("raspbian", "Debian"),
    ("rhel", "RedHat"),
    ("rocky", "Rocky"),
    ("sles", "SLES"),
    ("ubuntu", "Ubuntu"),
];

/// `ID` or one of `ID_LIKE` to the family.
const FAMILIES: &[(&str, &str)] = &[
    ("debian", "Debian"),
    ("ubuntu", "Debian"),
    ("devuan", "Debian"),
    ("rhel", "RedHat"),
    ("fedora", "RedHat"),
    ("centos", "RedHat"),
    ("amzn", "RedHat"),
    ("ol", "RedHat"),
    ("rocky", "RedHat"),
    ("almalinux", "RedHat"),
    ("suse", "Suse"),
    ("opensuse", "Suse"),
    ("sles", "Suse"),
    ("alpine", "Alpine"),
    ("arch", "Archlinux"),
    ("gentoo", "Gentoo"),
];

const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

pub fn gather(system: &dyn System, facts: &mut Map) {
    let found = OS_RELEASE
        .into_iter()
        .find_map(|path| Some((path, read(system, path)?)));
    let (path, text) = found.unwrap_or((OS_RELEASE[0], String::new()));
    let release = parse(&text);
    let debian = read(system, "/etc/debian_version");
    let redhat = read(system, "/etc/redhat-release");
    let distribution = Distribution::new(&release, debian.as_deref(), redhat.as_deref());
    put(facts, "distribution", distribution.name.as_str());
    put(facts, "distribution_version", distribution.version.as_str());
    let mut parts = distribution.version.split('.');
    put(
        facts,
        "distribution_major_version",
        parts.next().unwrap_or_default(),
    );
    if let Some(minor) = parts.next() {
        put(facts, "distribution_minor_version", minor);
    }
    put(facts, "distribution_release", distribution.release.as_str());
    put(facts, "distribution_file_parsed", !text.is_empty());
    put(facts, "distribution_file_path", path);
    put(facts, "distribution_file_variety", distribution.family.as_str());
    put(facts, "os_family", distribution.family.as_str());
    put(facts, "lsb", lsb(&release, &distribution));
}

/// The family alone, as `ansible_os_family` has it.
pub fn os_family(system: &dyn System) -> String {
    let mut facts = Map::new();
    gather(system, &mut facts);
    facts["os_family"].to_string()
}

#[derive(Debug, PartialEq, Eq)]
struct Distribution {
    name: String,
    version: String,
    release: String,
    family: String,
}

impl Distribution {
    fn new(release: &Map, debian: Option<&str>, redhat: Option<&str>) -> Self {
        let field = |key: &str| {
            release
                .get(key)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
        };
        let id = field("ID");
        let name = NAMES
            .iter()
            .find(|(known, _)| *known == id)
            .map_or_else(|| field("NAME").to_owned(), |(_, name)| (*name).to_owned());
        let family = std::iter::once(id)
            .chain(field("ID_LIKE").split_whitespace())
            .find_map(|word| FAMILIES.iter().find(|(known, _)| *known == word))
            .map_or_else(|| name.clone(), |(_, family)| (*family).to_owned());
        let mut version = field("VERSION_ID").to_owned();
        // os-release of Debian and CentOS leaves the point release out.
        let precise = match id {
            "debian" => debian.map(str::to_owned),
            "centos" => redhat.and_then(number),
            _ => None,
        };
        if let Some(precise) = precise.filter(|precise| precise.starts_with(|c: char| c.is_ascii_digit())) {
            version = precise;
        }
        let release = match field("VERSION_CODENAME") {
            "" => parenthesis(redhat.unwrap_or_else(|| field("VERSION"))).unwrap_or_default(),
            codename => codename.to_owned(),
        };
        Self {
            name: if name.is_empty() { "Linux".to_owned() } else { name },
            version: if version.is_empty() {
                "NA".to_owned()
            } else {
                version
            },
            release: if release.is_empty() {
                "NA".to_owned()
            } else {
                release
            },
            family: if family.is_empty() {
                "Linux".to_owned()
            } else {
                family
            },
        }
    }
}

/// `KEY=value` lines with a shell's quotes.
fn parse(text: &str) -> Map {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            let words = shell_words::split(value).ok()?;
            Some((key.to_owned(), words.join(" ").into()))
        })
        .collect()
}

/// The first number with dots: `CentOS Linux release 7.9.2009 (Core)`.
fn number(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    words
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

fn parenthesis(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('(')?;
    Some(rest.split_once(')')?.0.to_owned())
}

fn lsb(release: &Map, distribution: &Distribution) -> Map {
    let field = |key: &str| release.get(key).cloned().unwrap_or_default();
    let id = field("VERSION_ID");
    let major = id.as_str().and_then(|id| id.split('.').next()).map(str::to_owned);
    [
        ("codename", distribution.release.as_str().into()),
        ("description", field("PRETTY_NAME")),
        ("id", distribution.name.as_str().into()),
        ("major_release", major.into()),
        ("release", id),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(os_release: &str, debian: Option<&str>, redhat: Option<&str>) -> String {
        let found = Distribution::new(&parse(os_release), debian, redhat);
        format!(
            "{} {} {} {}",
            found.name, found.version, found.release, found.family
        )
    }

    #[test]
    fn knows_the_distributions() {
        assert_eq!(
            told(
                "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
                Some("12.11"),
                None
            ),
            "Debian 12.11 bookworm Debian"
        );
        assert_eq!(
            told(
                "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n",
                Some("trixie/sid"),
                None
            ),
            "Ubuntu 24.04 noble Debian"
        );
        assert_eq!(
            told(
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\nVERSION=\"9.3 (Blue Onyx)\"\n",
                None,
                None
            ),
            "Rocky 9.3 Blue Onyx RedHat"
        );
        assert_eq!(
            told(
                "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\n",
                None,
                Some("CentOS Linux release 7.9.2009 (Core)")
            ),
            "CentOS 7.9.2009 Core RedHat"
        );
        assert_eq!(
            told(
                "NAME=\"Wind OS\"\nID=wind\nID_LIKE=\"debian\"\nVERSION_ID=1\n",
                None,
                None
            ),
            "Wind OS 1 NA Debian"
        );
        assert_eq!(told("", None, None), "Linux NA NA Linux");
    }
}
