//! The state of a machine as lines that can be compared: files, accounts, packages, units, programs.

use std::collections::BTreeMap;

use super::lab::Target;

/// What may differ after all has been undone, and why: a place with everything below it, or with a `/` at its
/// end what is below it only.
const VOLATILE: &[(&str, &str)] = &[
    ("/proc/", "not files"),
    ("/sys/", "not files"),
    ("/dev/", "the kernel's and the container's"),
    (
        "/run/",
        "lives as long as the machine runs; what matters of it is in the programs and units",
    ),
    ("/tmp/", "anybody's, at any time"),
    ("/var/tmp/", "anybody's, at any time"),
    ("/var/log/", "logs tell of what was"),
    ("/var/cache/", "may be removed at any time"),
    (
        "/var/lib/apt/",
        "lists of packages and the times they were fetched",
    ),
    (
        "/var/lib/dpkg/",
        "keeps backups and the order of events; the packages themselves are compared",
    ),
    (
        "/var/lib/systemd/",
        "times of timers, seeds, what the user has ever enabled",
    ),
    ("/var/lib/sudo/", "who was lectured when"),
    ("/etc/ld.so.cache", "rebuilt by packages, in whatever order"),
    ("/etc/passwd-", "the backup of before"),
    ("/etc/group-", "the backup of before"),
    ("/etc/shadow-", "the backup of before"),
    ("/etc/gshadow-", "the backup of before"),
    ("/etc/subuid-", "the backup of before"),
    ("/etc/subgid-", "the backup of before"),
    ("/etc/.pwd.lock", "made by whatever looks at passwords"),
    ("/home/deploy/.cache", "the agent, kept for the next run"),
    ("/home/deploy/.sudo_as_admin_successful", "sudo's own"),
    (
        "/root/.regdeploy",
        "the CA, kept for other sites, where the target is its own controller",
    ),
    (
        "/root/site",
        "the playbooks, where the target is its own controller",
    ),
    (
        "/var/lib/docker/",
        "docker's own business: its images are asked for instead",
    ),
    (
        "/var/lib/containerd/",
        "docker's own business: its images are asked for instead",
    ),
    (
        "/data/docker-registry/docker/",
        "docker's own business: its images are asked for instead",
    ),
    (
        "/data/docker-registry/registry/regdeploy/",
        "which process serves, and when it last looked after its storage",
    ),
];

/// Files: kind, mode, owner, target of a link, and a digest where one can be had quickly. `-xdev` with the
/// places that are file systems of their own keeps out what docker mounts.
const FILES: &str = r"
places='/ /var/lib /data'
find $places -xdev \( -path /proc -o -path /sys \) -prune -o -printf '%p\t%y %m %U:%G %l\n'
find /etc /opt /usr/local /lib/systemd/system /root /home /srv /var/lib /data -xdev \
	\( -path /var/lib/docker -o -path /data/docker-registry/docker -o -path /var/lib/containerd \) -prune \
	-o -type f -size -512k -exec sha256sum {} + | sed 's/^\([^ ]*\)  \(.*\)/\2\t\1/'
";

/// Everything else: one line each, under the word that says what it is.
const REST: &str = r"
getent passwd | sed 's/^/user\t/'
getent group | sed 's/^/group\t/'
dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Status}\n' | sed 's/^/package\t/'
[ ! -d /run/systemd/system ] || systemctl list-unit-files --no-legend | sed 's/  */ /g; s/^/unit\t/'
for process in /proc/[0-9]*; do readlink $process/exe; done |
	grep -E '/(dockerd|containerd|regdeploy[^/]*|agent-[0-9a-f]*)$' | sort -u | sed 's/^/program\t/'
";

/// Characters of a SHA-256.
const DIGEST: usize = 64;

/// Things by name; a file by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, String>);

impl Listing {
    pub fn of(target: &Target) -> Self {
        let mut things = BTreeMap::new();
        for line in target.root(FILES).lines() {
            let (path, facts) = line.split_once('\t').expect("a path and its facts");
            if !volatile(path) {
                let entry: &mut String = things.entry(path.to_owned()).or_default();
                // A mount point is met twice.
                if !entry.contains(facts) {
                    *entry = format!("{entry}{facts} ");
                }
            }
        }
        for line in target.root(REST).lines() {
            things.insert(line.to_owned(), String::new());
        }
        Self(things)
    }

    /// The same with every mention of one text replaced by another, in names and facts.
    pub fn replacing(&self, from: &str, to: &str) -> Self {
        let replace = |(name, facts): (&String, &String)| (name.replace(from, to), facts.replace(from, to));
        Self(self.0.iter().map(replace).collect())
    }

    /// The same without what `unwanted` says of names.
    pub fn without(&self, unwanted: impl Fn(&str) -> bool) -> Self {
        let wanted = self.0.iter().filter(|(name, _)| !unwanted(name));
        Self(
            wanted
                .map(|(name, facts)| (name.clone(), facts.clone()))
                .collect(),
        )
    }

    /// The same without the digests of the files whose paths begin like this.
    pub fn without_digests(&self, places: &[&str]) -> Self {
        let mut listing = self.clone();
        for (name, facts) in &mut listing.0 {
            if places.iter().any(|place| name.starts_with(place)) {
                let kept: Vec<&str> = facts.split(' ').filter(|fact| fact.len() != DIGEST).collect();
                *facts = kept.join(" ");
            }
        }
        listing
    }

    /// What is there now and was not, `+`, or the other way round, `-`.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let lines = |sign: char, all: &Self, known: &Self| -> Vec<String> {
            let new = all
                .0
                .iter()
                .filter(|(name, facts)| known.0.get(*name) != Some(*facts));
            new.map(|(name, facts)| format!("{sign}{name} {facts}").trim_end().to_owned())
                .collect()
        };
        let mut changes = lines('-', before, self);
        changes.extend(lines('+', self, before));
        changes
    }

    #[track_caller]
    pub fn equals(&self, before: &Self) {
        let changes = self.since(before);
        assert!(
            changes.is_empty(),
            "{} differ:\n{}",
            changes.len(),
            changes.join("\n")
        );
    }
}

fn volatile(path: &str) -> bool {
    VOLATILE.iter().any(|(place, _)| match path.strip_prefix(place) {
        Some(below) if place.ends_with('/') => !below.is_empty(),
        Some(below) => below.is_empty() || below.starts_with('/'),
        None => false,
    })
}
