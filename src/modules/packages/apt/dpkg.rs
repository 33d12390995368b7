//! What is installed, from one call of `dpkg-query`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Error;
use crate::modules::packages::foreseen::{self, Foreseen};
use crate::modules::tool;
use crate::system::{Command, Follow, System};

/// Which packages are there as others' dependencies only.
const EXTENDED_STATES: &str = "/var/lib/apt/extended_states";

const FORMAT: &str = "${Package}\\t${Architecture}\\t${db:Status-Abbrev}\\t${Version}\\t${Provides}\\n";

/// One package that dpkg knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub architecture: String,
    pub version: String,
    pub installed: bool,
    /// Removed, its configuration files left behind.
    pub configured: bool,
}

/// dpkg's whole database.
#[derive(Debug, Default)]
pub struct Database {
    packages: BTreeMap<String, Vec<Package>>,
    /// Virtual package to those that are installed and provide it.
    provided: BTreeMap<String, Vec<String>>,
    /// What earlier tasks of a check have the say in.
    foreseen: BTreeSet<String>,
}

impl Database {
    pub fn read(system: &dyn System) -> Result<Self, Error> {
        let text = tool::text_of(system, &Command::new(["dpkg-query", "-W", "-f", FORMAT]))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut database = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let &[name, architecture, status, version, provides] = fields.as_slice() else {
                continue;
            };
            let found = Package {
                architecture: architecture.to_owned(),
                version: version.to_owned(),
                installed: status.as_bytes().get(1) == Some(&b'i'),
                configured: status.as_bytes().get(1) == Some(&b'c'),
            };
            if found.installed {
                for provided in provides
                    .split(',')
                    .filter_map(|part| part.split_whitespace().next())
                {
                    let providers = database.provided.entry(provided.to_owned()).or_default();
                    providers.push(name.to_owned());
                }
            }
            database.packages.entry(name.to_owned()).or_default().push(found);
        }
        database
    }

    /// The package, of that architecture if one is named; an installed one before a removed one.
    pub fn find(&self, name: &str, architecture: Option<&str>) -> Option<&Package> {
        let matches = |package: &&Package| architecture.is_none_or(|wanted| package.architecture == wanted);
        let of_name = self.packages.get(name)?;
        of_name
            .iter()
            .filter(matches)
            .find(|package| package.installed)
            .or_else(|| of_name.iter().find(matches))
    }

    /// Whether something that is installed stands in for a virtual package of that name.
    pub fn provides(&self, name: &str) -> bool {
        self.provided.contains_key(name)
    }

    /// Puts in what an earlier task of this check would have made of the package.
    pub fn foresee(&mut self, name: &str, system: &dyn System) {
        let Some(state) = foreseen::of(name, system) else {
            return;
        };
        let now = self.find(name, None).cloned();
        let package = match state {
            Foreseen::Installed(version) => Package {
                architecture: now.map_or_else(String::new, |now| now.architecture),
                version: version.unwrap_or_default(),
                installed: true,
                configured: false,
            },
            Foreseen::Removed => Package {
                architecture: String::new(),
                version: String::new(),
                installed: false,
                configured: false,
            },
        };
        self.packages.insert(name.to_owned(), vec![package]);
        self.foreseen.insert(name.to_owned());
    }

    pub fn is_foreseen(&self, name: &str) -> bool {
        self.foreseen.contains(name)
    }
}

/// Those of the names that are there only because others need them.
pub fn automatic(names: &[String], system: &dyn System) -> Result<Vec<String>, Error> {
    let path = Path::new(EXTENDED_STATES);
    if system.metadata(path, Follow::Yes)?.is_none() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&system.read(path)?).into_owned();
    let automatic: BTreeSet<&str> = text
        .split("\n\n")
        .filter(|stanza| stanza.lines().any(|line| line == "Auto-Installed: 1"))
        .filter_map(|stanza| stanza.lines().find_map(|line| line.strip_prefix("Package: ")))
        .collect();
    let bare = |name: &&String| automatic.contains(name.split(['=', '>', ':']).next().unwrap_or(name).trim());
    Ok(names
        .iter()
        .filter(bare)
        .map(|name| name.split(['=', '>']).next().unwrap_or(name).trim().to_owned())
        .collect())
}

#[cfg(test)]
pub(super) const SAMPLE: &str = "bash\tamd64\tii \t5.2.15-2+b8\t\n\
    docker.io\tamd64\trc \t20.10\t\n\
    libc6\tamd64\tii \t2.36-9\tlibc6-2.36 (= 2.36)\n\
    libc6\ti386\tun \t\t\n\
    exim4\tall\tii \t4.96\tmail-transport-agent, default-mta\n";

#[cfg(test)]
pub(super) fn sample() -> Database {
    Database::parse(SAMPLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_installed_from_removed_and_virtual() {
        let database = sample();
        assert!(database.find("bash", None).unwrap().installed);
        assert!(database.find("docker.io", None).unwrap().configured);
        assert!(database.find("libc6", None).unwrap().installed);
        assert!(!database.find("libc6", Some("i386")).unwrap().installed);
        assert!(database.provides("mail-transport-agent"));
        assert!(database.provides("libc6-2.36"));
        assert!(database.find("mail-transport-agent", None).is_none());
    }
}
