//! Which calls of `apt-get` bring about what is asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use url::Url;

use super::cache::{self, Fetch, Offer};
use super::dpkg::Database;
use super::{Args, Error, State, Upgrade, apt_get, diff};
use crate::modules::Plan;
use crate::modules::files::path;
use crate::modules::tool;
use crate::system::foresight::Subject;
use crate::system::{Attributes, Command, HttpRequest, System};
use crate::value::Value;
use crate::wire::message::Outcome;

/// Where downloaded packages are until the next `apt-get clean`.
const ARCHIVES: &str = "/var/cache/apt/archives";
/// A server that answers less often than this is not coming back.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(1);
/// As many as browsers follow at most, roughly.
const REDIRECT_LIMIT: usize = 10;

/// What is to be done.
#[derive(Debug, Default)]
pub struct Change {
    pub fetch: Option<Fetch>,
    /// The lists are all that was asked for: fetching them is a change.
    pub fetch_alone: bool,
    pub calls: Vec<Call>,
    /// Packages that it is about, and whether they would be there.
    pub packages: Vec<(String, bool)>,
}

#[derive(Debug)]
pub struct Call {
    pub command: Command,
    /// Whether its output says if it changed anything; else it has by being run.
    pub counts: bool,
    pub download: Option<Download>,
}

impl Call {
    fn new(command: Command) -> Self {
        Self {
            command,
            counts: true,
            download: None,
        }
    }
}

/// A package file to be fetched first.
#[derive(Debug)]
pub struct Download {
    url: Url,
    path: PathBuf,
}

impl Download {
    pub fn perform(&self, system: &dyn System) -> Result<(), Error> {
        let mut url = self.url.clone();
        for _ in 0..REDIRECT_LIMIT {
            let mut response = system.http(&HttpRequest {
                method: "GET".to_owned(),
                url: url.to_string(),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: DOWNLOAD_TIMEOUT,
                validate_certs: true,
                ca_path: None,
                client_cert: None,
                client_key: None,
                unix_socket: None,
                use_proxy: true,
            })?;
            let location = response
                .headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("location"));
            match (response.status, location) {
                (200, _) => {
                    return Ok(system.write(&self.path, &mut response.body, Attributes::default())?);
                }
                (300..=399, Some((_, location))) => {
                    url = url
                        .join(location)
                        .map_err(|error| Error::new(format!("{url} redirects to nowhere: {error}")))?;
                }
                (status, _) => {
                    return Err(Error::new(format!(
                        "cannot download {url}: the server answered {status}"
                    )));
                }
            }
        }
        Err(Error::new(format!(
            "cannot download {}: too many redirections",
            self.url
        )))
    }
}

/// Whether `apt-get` says that it did, or would do, anything.
pub fn changes(stdout: &str) -> bool {
    let summary = stdout
        .lines()
        .find(|line| line.contains(" upgraded, ") && line.contains(" newly installed, "));
    summary.is_some_and(|line| {
        // `not upgraded` counts what is left alone.
        let done = line.rsplit_once(" and ").map_or(line, |(done, _)| done);
        done.split(|c: char| !c.is_ascii_digit())
            .any(|number| !number.is_empty() && number != "0")
    }) || stdout.lines().any(|line| line.starts_with("Del "))
}

pub fn plan(args: &Args, system: &dyn System) -> Result<Plan<Change>, Error> {
    let fetch = Fetch::due(args, system)?;
    let mut calls = Vec::new();
    let mut packages = Vec::new();
    let mut names: Vec<String> = args.package.clone().unwrap_or_default();
    names.retain(|name| !name.is_empty());
    let everything = names == ["*"] && args.state == State::Latest;
    if args.upgrade != Upgrade::No || everything {
        let verb = match args.upgrade {
            Upgrade::Full | Upgrade::Dist => "dist-upgrade",
            _ => "upgrade",
        };
        let mut words = vec![verb];
        if verb == "upgrade" {
            words.push("--with-new-pkgs");
        }
        words.extend(removal_flags(args));
        calls.push(Call::new(apt_get(args, &words)));
    } else if let Some(deb) = &args.deb {
        calls.extend(install_file(args, deb, system)?);
    } else if !names.is_empty() {
        // As an earlier task of a check would have left it.
        let wanted = Value::Bool(args.state != State::Absent);
        names.retain(|name| system.foreseen(Subject::Package, name).as_ref() != Some(&wanted));
        let affected = affected(args, &names, fetch.is_some(), system)?;
        if !affected.is_empty() {
            calls.push(Call::new(packages_call(args, &affected)));
            let there = args.state != State::Absent;
            packages.extend(names.iter().map(|name| (name.clone(), there)));
        }
    } else {
        calls.extend(housekeeping(args, system)?);
    }
    let asked_for_more = args.package.is_some() || args.deb.is_some() || args.upgrade != Upgrade::No;
    let mut predicted = Outcome::ok();
    if fetch.is_none() {
        simulate(&mut calls, &mut predicted, system)?;
    }
    let fetch_alone = !asked_for_more && calls.is_empty();
    predicted.changed = !calls.is_empty() || (fetch.is_some() && fetch_alone);
    predicted = predicted
        .with("cache_updated", fetch.is_some())
        .with("cache_update_time", cache::time(system)?);
    if calls.is_empty() && fetch.is_none() {
        return Ok(Plan::Same(predicted));
    }
    let change = Change {
        fetch,
        fetch_alone,
        calls,
        packages,
    };
    Ok(Plan::Change { change, predicted })
}

/// Drops the calls that would do nothing, and notes what the others would do.
fn simulate(calls: &mut Vec<Call>, predicted: &mut Outcome, system: &dyn System) -> Result<(), Error> {
    let mut needed = Vec::new();
    for call in calls.drain(..) {
        if call.download.is_some() || !call.counts {
            needed.push(call);
            continue;
        }
        let mut trial = call.command.clone();
        trial.argv.insert(1, "--simulate".to_owned());
        let text = tool::text_of(system, &trial)?;
        if changes(&text) {
            predicted.diff.push(diff(&text));
            needed.push(call);
        }
    }
    *calls = needed;
    Ok(())
}

fn removal_flags(args: &Args) -> impl Iterator<Item = &'static str> {
    let autoremove = args.autoremove.then_some("--auto-remove");
    let purge = args.purge.then_some("--purge");
    autoremove.into_iter().chain(purge)
}

fn packages_call(args: &Args, names: &[String]) -> Command {
    let verb: &[&str] = match args.state {
        State::Present | State::Latest if args.only_upgrade => &["install", "--only-upgrade"],
        State::Present | State::Latest => &["install"],
        State::Fixed => &["install", "--fix-broken"],
        State::BuildDep => &["build-dep"],
        State::Absent => &["remove"],
    };
    let mut words = verb.to_vec();
    words.extend(removal_flags(args));
    let mut command = apt_get(args, &words);
    command.argv.push("--".to_owned());
    command.argv.extend(names.iter().cloned());
    command
}

/// The packages that are not as they should be, as `apt-get` is to be told of them.
fn affected(args: &Args, names: &[String], stale: bool, system: &dyn System) -> Result<Vec<String>, Error> {
    let database = Database::read(system)?;
    let mut wanted = Vec::new();
    for name in names {
        wanted.extend(Wanted::parse(name, args.state, &database, system)?);
    }
    if matches!(args.state, State::BuildDep | State::Fixed) {
        return Ok(wanted.iter().map(Wanted::word).collect());
    }
    if args.state == State::Absent {
        let there = |wanted: &&Wanted| {
            let found = database.find(&wanted.name, wanted.architecture.as_deref());
            found.is_some_and(|package| package.installed || (args.purge && package.configured))
        };
        return Ok(wanted.iter().filter(there).map(Wanted::word).collect());
    }
    // The lists are asked only about what dpkg alone cannot settle.
    wanted.retain(|wanted| args.state == State::Latest || !wanted.is_satisfied(&database));
    let unsettled: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
    let offers = cache::offers(&unsettled, system)?;
    let mut affected = Vec::new();
    for wanted in &wanted {
        match offers.get(&wanted.name) {
            Some(offer) => affected.extend(wanted.to_install(args, &database, offer, stale)?),
            None if stale => affected.push(wanted.word()),
            // Installed from a file, or no longer offered.
            None if wanted.is_satisfied(&database) => {}
            None => {
                return Err(Error::new(format!(
                    "No package matching '{}' is available",
                    wanted.name
                )));
            }
        }
    }
    Ok(affected)
}

/// One entry of the list of names.
struct Wanted {
    name: String,
    architecture: Option<String>,
    version: Option<Version>,
}

struct Version {
    text: String,
    pattern: GlobMatcher,
}

impl Wanted {
    /// A pattern in the name stands for as many packages as it matches.
    fn parse(text: &str, state: State, database: &Database, system: &dyn System) -> Result<Vec<Self>, Error> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name.trim(), Some(version.trim())),
            None => (text.trim(), None),
        };
        let glob = |text: &str| {
            Glob::new(text)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| Error::new(format!("`{text}` is not a pattern: {error}")))
        };
        let names = if name.contains('*') {
            let pattern = glob(name)?;
            if state == State::Absent {
                database.matching(&pattern).map(str::to_owned).collect()
            } else {
                let mut known = cache::names(system)?;
                known.retain(|name| pattern.is_match(name));
                known
            }
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
                let pattern = glob(text)?;
                Ok::<_, Error>(Version {
                    text: text.to_owned(),
                    pattern,
                })
            });
            Ok(Self {
                name,
                architecture,
                version: version.transpose()?,
            })
        };
        names.into_iter().map(entry).collect()
    }

    /// As `apt-get` spells it.
    fn word(&self) -> String {
        let mut word = self.name.clone();
        if let Some(architecture) = &self.architecture {
            word = format!("{word}:{architecture}");
        }
        if let Some(version) = &self.version {
            word = format!("{word}={}", version.text);
        }
        word
    }

    fn is_satisfied(&self, database: &Database) -> bool {
        match database.find(&self.name, self.architecture.as_deref()) {
            Some(package) if package.installed => self
                .version
                .as_ref()
                .is_none_or(|version| version.pattern.is_match(&package.version)),
            _ => self.version.is_none() && database.provides(&self.name),
        }
    }

    /// What to install of it, if anything. After stale lists have been fetched, there may be more.
    fn to_install(
        &self,
        args: &Args,
        database: &Database,
        offer: &Offer,
        stale: bool,
    ) -> Result<Option<String>, Error> {
        let installed = database
            .find(&self.name, self.architecture.as_deref())
            .filter(|package| package.installed);
        if args.only_upgrade && installed.is_none() {
            return Ok(None);
        }
        if stale {
            return Ok(Some(self.word()));
        }
        if let Some(version) = &self.version {
            if self.is_satisfied(database) {
                return Ok(None);
            }
            let offered = offer
                .versions
                .iter()
                .any(|offered| version.pattern.is_match(offered));
            if offered {
                return Ok(Some(self.word()));
            }
            return Err(Error::new(format!(
                "no available installation candidate for {} (offered: {})",
                self.word(),
                offer.versions.join(", ")
            )));
        }
        match (&offer.candidate, installed) {
            (Some(candidate), Some(package)) => {
                Ok((args.state == State::Latest && *candidate != package.version).then(|| self.word()))
            }
            (Some(_), None) => Ok(Some(self.word())),
            // A virtual package: apt-get says whom to choose from, if it cannot choose itself.
            (None, None) if !database.provides(&self.name) => Ok(Some(self.word())),
            (None, _) => Ok(None),
        }
    }
}

/// A .deb: installed unless that very version is.
fn install_file(args: &Args, deb: &str, system: &dyn System) -> Result<Option<Call>, Error> {
    let install = |path: &Path| {
        let mut command = apt_get(args, &["install"]);
        command.argv.extend(["--".to_owned(), path.display().to_string()]);
        Call::new(command)
    };
    if deb.contains("://") {
        let url = Url::parse(deb).map_err(|error| Error::new(format!("`{deb}` is no address: {error}")))?;
        let name = url.path_segments().and_then(|mut parts| parts.next_back());
        let name = name
            .filter(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension == "deb")
            })
            .unwrap_or("download.deb");
        let path = Path::new(ARCHIVES).join(name);
        let mut call = install(&path);
        call.download = Some(Download { url, path });
        return Ok(Some(call));
    }
    let path = path::expand(deb, system)?;
    let field = |field: &str| {
        let path = path.display().to_string();
        tool::text_of(system, &Command::new(["dpkg-deb", "-f", &path, field]))
            .map(|text| text.trim().to_owned())
    };
    let (name, version) = (field("Package")?, field("Version")?);
    let database = Database::read(system)?;
    let same = database
        .find(&name, None)
        .is_some_and(|package| package.installed && package.version == version);
    Ok((!same).then(|| install(&path)))
}

/// Without packages: the flags are the task.
fn housekeeping(args: &Args, system: &dyn System) -> Result<Vec<Call>, Error> {
    let mut calls = Vec::new();
    if args.clean {
        let archives = system.read_dir(Path::new(ARCHIVES))?;
        if archives
            .iter()
            .any(|path| path.extension().is_some_and(|extension| extension == "deb"))
        {
            calls.push(Call {
                counts: false,
                ..Call::new(apt_get(args, &["clean"]))
            });
        }
    }
    if args.autoclean {
        calls.push(Call::new(apt_get(args, &["autoclean"])));
    }
    if args.autoremove {
        let purge = args.purge.then_some("--purge");
        let words: Vec<&str> = ["autoremove"].into_iter().chain(purge).collect();
        calls.push(Call::new(apt_get(args, &words)));
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::super::dpkg::sample;
    use super::*;

    #[test]
    fn reads_the_summary() {
        assert!(!changes(
            "0 upgraded, 0 newly installed, 0 to remove and 130 not upgraded.\n"
        ));
        assert!(changes(
            "1 upgraded, 0 newly installed, 0 to remove and 130 not upgraded.\n"
        ));
        assert!(changes(
            "0 upgraded, 0 newly installed, 1 downgraded, 0 to remove and 1 not upgraded.\n"
        ));
        assert!(changes("Del foo 1.0 [12 kB]\n"));
        assert!(!changes(""));
    }

    #[test]
    fn knows_what_satisfies_a_name() {
        let database = sample();
        let satisfied = |name: &str, version: Option<&str>| {
            let version = version.map(|text| Version {
                text: text.to_owned(),
                pattern: Glob::new(text).unwrap().compile_matcher(),
            });
            let (name, architecture) = (name.to_owned(), None);
            Wanted {
                name,
                architecture,
                version,
            }
            .is_satisfied(&database)
        };
        assert!(satisfied("bash", None));
        assert!(satisfied("bash", Some("5.2.*")));
        assert!(!satisfied("bash", Some("5.1*")));
        assert!(satisfied("mail-transport-agent", None));
        assert!(!satisfied("docker.io", None));
        assert!(!satisfied("nginx", None));
    }
}
