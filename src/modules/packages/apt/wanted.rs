//! Entries of the list of names, and which of them are not as they should be.

use std::cmp::Ordering;

use globset::{Glob, GlobMatcher};

use super::cache::{self, Offer};
use super::dpkg::Database;
use super::{Args, Error, State, version};
use crate::system::System;

/// The packages that `apt-get` is to be told of.
#[derive(Debug, Default)]
pub struct Affected {
    pub words: Vec<String>,
    /// With what is known now, they would change; else only fetching the lists tells.
    pub expected: bool,
    /// Not to be simulated: earlier tasks of a check have the say in it, or sources whose lists are not fetched yet.
    pub beyond: bool,
}

/// Which of the names are to be worked on. `stale`: the lists are fetched first, and may then offer more.
pub fn affected(args: &Args, names: &[String], stale: bool, system: &dyn System) -> Result<Affected, Error> {
    let mut database = Database::read(system)?;
    let mut wanted = Vec::new();
    for name in names {
        wanted.extend(Wanted::parse(name, system)?);
    }
    for entry in &wanted {
        database.foresee(&entry.name, system);
    }
    let mut affected = Affected::default();
    if matches!(args.state, State::BuildDep | State::Fixed) {
        affected.words = wanted.iter().map(Wanted::word).collect();
        affected.expected = !stale;
        return Ok(affected);
    }
    if args.state == State::Absent {
        wanted.retain(|entry| entry.is_to_go(args, &database));
        affected.expected = !wanted.is_empty();
        affected.beyond = wanted.iter().any(|entry| database.is_foreseen(&entry.name));
        affected.words = wanted.iter().map(Wanted::qualified).collect();
        return Ok(affected);
    }
    // The lists are asked only about what dpkg alone cannot settle.
    wanted.retain(|entry| args.state == State::Latest || !entry.is_settled(&database));
    let unsettled: Vec<&str> = wanted.iter().map(|entry| entry.name.as_str()).collect();
    let offers = cache::offers(&unsettled, args.default_release.as_deref(), system)?;
    let outdated = stale || cache::sources_are_newer(system)?;
    for entry in &wanted {
        if args.only_upgrade && entry.installed(&database).is_none() {
            continue;
        }
        let need = match offers.get(&entry.name) {
            Some(offer) => match entry.need(args, &database, offer) {
                Some(need) => need,
                None if outdated => {
                    affected.beyond = true;
                    Need::Install(entry.word())
                }
                None => return Err(entry.not_offered(offer)),
            },
            // Installed from a file, or no longer offered.
            None if entry.is_satisfied(&database) => Need::Nothing,
            None if outdated => {
                affected.beyond = true;
                Need::Install(entry.word())
            }
            None => {
                return Err(Error::new(format!(
                    "No package matching '{}' is available",
                    entry.name
                )));
            }
        };
        match need {
            Need::Install(word) => {
                affected.expected = true;
                affected.beyond |= database.is_foreseen(&entry.name);
                affected.words.push(word);
            }
            // What the lists do not know yet.
            Need::Nothing if stale => affected.words.push(entry.word()),
            Need::Nothing => {}
        }
    }
    Ok(affected)
}

enum Need {
    Nothing,
    Install(String),
}

struct Wanted {
    name: String,
    architecture: Option<String>,
    version: Option<Version>,
}

struct Version {
    text: String,
    is: Relation,
}

enum Relation {
    Matching(GlobMatcher),
    AtLeast,
}

impl Version {
    fn admits(&self, version: &str) -> bool {
        match &self.is {
            Relation::Matching(pattern) => pattern.is_match(version),
            Relation::AtLeast => version::compare(version, &self.text) != Ordering::Less,
        }
    }
}

fn glob(text: &str) -> Result<GlobMatcher, Error> {
    // Braces mean nothing in a pattern of the shell's `case`.
    let text = text.replace('{', "[{]").replace('}', "[}]");
    Glob::new(&text)
        .map(|glob| glob.compile_matcher())
        .map_err(|error| Error::new(format!("`{text}` is not a pattern: {error}")))
}

impl Wanted {
    /// A pattern in the name stands for as many packages as it matches.
    fn parse(text: &str, system: &dyn System) -> Result<Vec<Self>, Error> {
        if text.matches('=').count() > 1 {
            return Err(Error::new(format!("invalid package spec: {text}")));
        }
        let (name, version, at_least) = match text.split_once('=') {
            Some((name, version)) => match name.strip_suffix('>') {
                Some(name) => (name.trim(), Some(version.trim()), true),
                None => (name.trim(), Some(version.trim()), false),
            },
            None => (text.trim(), None, false),
        };
        let names = if name.contains(['*', '?', '[', ']', '!']) {
            let pattern = glob(name)?;
            let mut known = cache::names(system)?;
            known.retain(|name| pattern.is_match(name));
            if known.is_empty() {
                return Err(Error::new(format!("No package(s) matching '{name}' available")));
            }
            known.sort_unstable();
            known
        } else {
            vec![name.to_owned()]
        };
        let entry = |name: String| {
            let (name, architecture) = match name.split_once(':') {
                Some((name, "any" | "native")) => (name.to_owned(), None),
                Some((name, architecture)) => (name.to_owned(), Some(architecture.to_owned())),
                None => (name, None),
            };
            let version = version.map(|text| {
                let is = if at_least {
                    Relation::AtLeast
                } else {
                    Relation::Matching(glob(text)?)
                };
                let text = text.to_owned();
                Ok::<_, Error>(Version { text, is })
            });
            Ok(Self {
                name,
                architecture,
                version: version.transpose()?,
            })
        };
        names.into_iter().map(entry).collect()
    }

    /// As `apt-get` spells it: with a version if one was named.
    fn word(&self) -> String {
        match &self.version {
            Some(Version {
                text,
                is: Relation::Matching(_),
            }) => self.word_at(text),
            _ => self.qualified(),
        }
    }

    fn word_at(&self, version: &str) -> String {
        format!("{}={version}", self.qualified())
    }

    fn qualified(&self) -> String {
        match &self.architecture {
            Some(architecture) => format!("{}:{architecture}", self.name),
            None => self.name.clone(),
        }
    }

    /// The version that is installed.
    fn installed<'a>(&self, database: &'a Database) -> Option<&'a str> {
        let found = database.find(&self.name, self.architecture.as_deref());
        let found = found.filter(|package| package.installed);
        found.map(|package| package.version.as_str())
    }

    fn is_satisfied(&self, database: &Database) -> bool {
        match self.installed(database) {
            Some(installed) => self
                .version
                .as_ref()
                .is_none_or(|version| version.admits(installed)),
            None => self.version.is_none() && database.provides(&self.name),
        }
    }

    /// Satisfied, whatever the lists offer. A pattern may admit a higher version than the one that is there.
    fn is_settled(&self, database: &Database) -> bool {
        let exact = self
            .version
            .as_ref()
            .is_none_or(|version| !version.text.contains(['*', '?', '[']));
        exact && self.is_satisfied(database)
    }

    fn is_to_go(&self, args: &Args, database: &Database) -> bool {
        let found = database.find(&self.name, self.architecture.as_deref());
        let named = |version: &str| self.version.as_ref().is_none_or(|wanted| wanted.admits(version));
        found.is_some_and(|package| {
            (package.installed && named(&package.version)) || (args.purge && package.configured)
        })
    }

    fn not_offered(&self, offer: &Offer) -> Error {
        let version = self
            .version
            .as_ref()
            .map_or_else(String::new, |version| match version.is {
                Relation::Matching(_) => format!("={}", version.text),
                Relation::AtLeast => format!(">={}", version.text),
            });
        Error::new(format!(
            "no available installation candidate for {}{version} (offered: {})",
            self.name,
            offer.versions.join(", ")
        ))
    }

    /// What to install of it, if anything; none if the version is not offered.
    fn need(&self, args: &Args, database: &Database, offer: &Offer) -> Option<Need> {
        let installed = self.installed(database);
        if let Some(version) = &self.version {
            // The highest comes first.
            let best = offer.versions.iter().find(|offered| version.admits(offered));
            let enough = matches!(version.is, Relation::AtLeast) && args.state != State::Latest;
            return match (best, installed) {
                (Some(best), Some(installed)) if best == installed => Some(Need::Nothing),
                (_, Some(installed)) if enough && version.admits(installed) => Some(Need::Nothing),
                (Some(best), _) => Some(Need::Install(self.word_at(best))),
                (None, Some(installed)) if version.admits(installed) => Some(Need::Nothing),
                (None, _) => None,
            };
        }
        Some(match (&offer.candidate, installed) {
            (Some(candidate), Some(installed)) if args.state == State::Latest && candidate != installed => {
                // Foreseen without its version: as high as there is.
                if installed.is_empty() {
                    Need::Nothing
                } else {
                    Need::Install(self.word())
                }
            }
            (Some(_), None) => Need::Install(self.word()),
            // A virtual package: apt-get says whom to choose from, if it cannot choose itself.
            (None, None) if !database.provides(&self.name) => Need::Install(self.word()),
            _ => Need::Nothing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::dpkg::sample;
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn knows_what_satisfies_a_name() {
        let database = sample();
        let satisfied = |text: &str| {
            let wanted = Wanted::parse(text, &Fake::new()).unwrap();
            wanted.iter().all(|entry| entry.is_satisfied(&database))
        };
        assert!(satisfied("bash"));
        assert!(satisfied("bash=5.2.*"));
        assert!(!satisfied("bash=5.1*"));
        assert!(satisfied("bash>=5.2.15"));
        assert!(!satisfied("bash >= 5.3"));
        assert!(satisfied("mail-transport-agent"));
        assert!(!satisfied("docker.io"));
        assert!(!satisfied("nginx"));
    }
}
