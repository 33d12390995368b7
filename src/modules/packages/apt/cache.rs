//! The package lists: how old they are, fetching them, and what they offer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::running::Running;
use super::{Args, Error, apt_get, quiet};
use crate::modules::tool;
use crate::system::{Command, FileKind, Follow, System};

/// Touched by apt's own hook after each successful update, where that hook is installed.
const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";
const LISTS: &str = "/var/lib/apt/lists";

/// Where what is to be fetched is named.
const SOURCES: &[&str] = &["/etc/apt/sources.list", "/etc/apt/sources.list.d"];
/// What apt says, and succeeds nevertheless, where a server did not answer.
const INCOMPLETE: &str = "Some index files failed to download";
/// What it says to who may not: trying again does not help.
const REFUSED: &str = "(13: Permission denied)";

/// How to fetch the lists.
#[derive(Debug)]
pub struct Fetch {
    command: Command,
    attempts: u32,
    /// Seconds between two attempts at most.
    max_delay: u64,
}

impl Fetch {
    /// Needed only if they are older than the task allows.
    pub fn due(args: &Args, system: &dyn System) -> Result<Option<Self>, Error> {
        let wanted = args.update_cache.unwrap_or(args.cache_valid_time > 0);
        if !wanted {
            return Ok(None);
        }
        let fresh_until = modified(system)? + Duration::from_secs(args.cache_valid_time);
        if args.cache_valid_time > 0 && fresh_until > system.now() {
            return Ok(None);
        }
        Ok(Some(Self {
            command: apt_get(args, &["update"]),
            attempts: args.update_cache_retries.max(1),
            max_delay: args.update_cache_retry_max_delay,
        }))
    }
}

/// Fetches the lists; the pauses between attempts double.
pub fn fetch(fetch: &Fetch, running: &mut Running, system: &dyn System) -> Result<(), Error> {
    for attempt in 1.. {
        let error = match running.run(&fetch.command, system) {
            Ok(output) if !output.stderr_text().contains(INCOMPLETE) => return Ok(()),
            Ok(output) => tool::failure(&fetch.command, &output),
            Err(error) => error,
        };
        if attempt >= fetch.attempts || error.message.contains(REFUSED) {
            return Err(Error {
                message: format!(
                    "Failed to update apt cache after {attempt} retries: {}",
                    error.message
                ),
                values: error.values,
            });
        }
        let delay = 1_u64.checked_shl(attempt - 1).unwrap_or(u64::MAX);
        system.sleep(Duration::from_secs(delay.min(fetch.max_delay)));
    }
    Ok(())
}

/// Whether sources have been added or changed since the lists were fetched.
pub fn sources_are_newer(system: &dyn System) -> Result<bool, Error> {
    let fetched = modified(system)?;
    for path in SOURCES.iter().map(Path::new) {
        let Some(metadata) = system.metadata(path, Follow::Yes)? else {
            continue;
        };
        if metadata.modified > fetched {
            return Ok(true);
        }
        if metadata.kind == FileKind::Directory {
            for name in system.read_dir(path)? {
                let file = system.metadata(&path.join(name), Follow::Yes)?;
                if file.is_some_and(|file| file.modified > fetched) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// When the lists were last fetched, in seconds since 1970.
pub fn time(system: &dyn System) -> Result<u64, Error> {
    let since = modified(system)?.duration_since(SystemTime::UNIX_EPOCH);
    Ok(since.map_or(0, |since| since.as_secs()))
}

fn modified(system: &dyn System) -> Result<SystemTime, Error> {
    for path in [STAMP, LISTS] {
        if let Some(metadata) = system.metadata(Path::new(path), Follow::Yes)? {
            return Ok(metadata.modified);
        }
    }
    Ok(SystemTime::UNIX_EPOCH)
}

/// What the lists offer of one package.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The version that apt would install; none for a virtual package.
    pub candidate: Option<String>,
    pub versions: Vec<String>,
}

/// What the lists offer of these packages; those that they do not know are left out.
pub fn offers(
    names: &[&str],
    release: Option<&str>,
    system: &dyn System,
) -> Result<BTreeMap<String, Offer>, Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let release = release.map(|release| format!("APT::Default-Release={release}"));
    let option = release.as_deref().map(|release| ["-o", release]);
    let argv = ["apt-cache"]
        .into_iter()
        .chain(option.into_iter().flatten())
        .chain(["policy", "--"])
        .chain(names.iter().copied());
    Ok(parse_policy(&tool::text_of(system, &quiet(Command::new(argv)))?))
}

/// Every name that the lists know, for patterns.
pub fn names(system: &dyn System) -> Result<Vec<String>, Error> {
    let text = tool::text_of(system, &quiet(Command::new(["apt-cache", "pkgnames"])))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn parse_policy(text: &str) -> BTreeMap<String, Offer> {
    let mut offers = BTreeMap::new();
    let mut current: Option<&mut Offer> = None;
    let mut in_table = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            let name = line.trim_end_matches(':').to_owned();
            current = Some(offers.entry(name).or_default());
            in_table = false;
            continue;
        }
        let Some(offer) = current.as_deref_mut() else {
            continue;
        };
        let words = line.trim();
        if let Some(version) = words.strip_prefix("Candidate: ") {
            offer.candidate = (version != "(none)").then(|| version.to_owned());
        } else if words == "Version table:" {
            in_table = true;
        } else if in_table && !line.starts_with("        ") {
            // ` *** 1.2-3 500` or `     1.2-3 500`; deeper lines are the sources.
            let version = words.trim_start_matches("*** ").split(' ').next();
            offer.versions.extend(version.map(str::to_owned));
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_policy_of_several_packages() {
        let offers = parse_policy(
            "bash:\n  Installed: 5.2.15-2+b8\n  Candidate: 5.2.15-2+b9\n  Version table:\n     \
             5.2.15-2+b9 500\n        500 http://deb.example bookworm/main amd64 Packages\n \
             *** 5.2.15-2+b8 100\n        100 /var/lib/dpkg/status\n\
             mail-transport-agent:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n",
        );
        assert_eq!(offers["bash"].candidate.as_deref(), Some("5.2.15-2+b9"));
        assert_eq!(offers["bash"].versions, ["5.2.15-2+b9", "5.2.15-2+b8"]);
        assert_eq!(offers["mail-transport-agent"], Offer::default());
    }
}
