//! `known_hosts`: the keys by which ssh knows servers. After `ansible.builtin.known_hosts`.
//!
//! Lines are found as `ssh-keygen -F` does, without the program; no `.old` file is left behind when a host is removed. Specification:
//! sshd(8), `SSH_KNOWN_HOSTS FILE FORMAT`.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::path;
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// What the salt of a hashed name is long.
const SALT: usize = 20;
const HASHED: &str = "|1|";

pub struct KnownHosts;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    key: Option<String>,
    path: String,
    hash_host: bool,
    state: String,
}

/// The new file, and the result.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for KnownHosts {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "known_hosts",
        summary: "keep a server's key in a known_hosts file",
        args: &[
            Arg::str("name")
                .aliases(&["host"])
                .required()
                .doc("the server; `[name]:port` for another port than 22"),
            Arg::str("key").doc("the line: name, type and key"),
            Arg::path("path").default("~/.ssh/known_hosts").doc("the file"),
            Arg::bool("hash_host").default("no").doc("hide the name"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it shall be there"),
        ],
        returns: &[
            Return::new("path", "str", "the file"),
            Return::new("key", "str", "as it was given; so are the other arguments"),
            Return::new("diff", "dict", "the file before and after"),
        ],
        example: "- known_hosts:\n    name: git.example.com\n    key: git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjOaPmrsHTS2b3wMMZN9JVYQ3X0QwZ8cDTcHIWmGkGk\n    hash_host: true\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let path = path::expand(&args.path, system)?;
        let host = args.name.to_lowercase();
        let key = args.wanted_key(&host)?;
        let exists = system.metadata(&path, Follow::Yes)?.is_some();
        let text = if exists { system.read(&path)? } else { Vec::new() };
        let before = String::from_utf8_lossy(&text).into_owned();
        let after = edited(&before, &host, key.as_deref(), args.state == "present");
        let label = path.display().to_string();
        let header = if exists { label.as_str() } else { "/dev/null" };
        let diff = text_diff((header, before.as_bytes()), (&label, after.as_bytes()));
        // Told whether it is asked for or not, as it always was.
        let told = Map::from_iter(
            [
                ("before_header", &diff.before_header),
                ("after_header", &diff.after_header),
                ("before", &diff.before),
                ("after", &diff.after),
            ]
            .map(|(key, text)| (key.to_owned(), Value::from(text.as_str()))),
        );
        let outcome = Outcome::changed(before != after)
            .with("name", args.name)
            .with("key", args.key)
            .with("path", label.as_str())
            .with("hash_host", args.hash_host)
            .with("state", args.state)
            .with("diff", told)
            .with_diff(diff);
        if before == after {
            return Ok(Plan::Same(outcome));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        if system.metadata(folder, Follow::Yes)?.is_none() {
            return Err(Error::new(format!(
                "Failed to write to file '{label}': there is no folder {}",
                folder.display()
            )));
        }
        let writing = Writing {
            path: real(path, exists, system)?,
            ..Writing::default()
        };
        let change = Change {
            steps: vec![Step::Write(writing, Source::Bytes(after.into_bytes()))],
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        Ok(change.outcome)
    }
}

/// Through links, so that they stay.
fn real(path: PathBuf, exists: bool, system: &dyn System) -> Result<PathBuf, Error> {
    Ok(if exists { system.canonicalize(&path)? } else { path })
}

impl Args {
    /// The line to look for, ended by a newline; none to mean every key of the host.
    fn wanted_key(&self, host: &str) -> Result<Option<String>, Error> {
        let Some(key) = self.key.as_deref().filter(|key| !key.is_empty()) else {
            if self.state == "present" {
                return Err(Error::new("No key specified when adding a host"));
            }
            return Ok(None);
        };
        let key = if self.hash_host {
            hidden(host, key)?
        } else {
            key.to_owned()
        };
        if host.contains(',') {
            return Err(Error::new(
                "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
            ));
        }
        if !key
            .lines()
            .any(|line| Line::parse(line).is_some_and(|line| line.names(host)))
        {
            return Err(Error::new(
                "Host parameter does not match hashed host field in supplied key",
            ));
        }
        Ok(Some(key.trim_end_matches('\n').to_owned() + "\n"))
    }
}

/// The file's text as it shall be.
fn edited(before: &str, host: &str, key: Option<&str>, present: bool) -> String {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let of_host = |line: &&str| Line::parse(line).is_some_and(|line| line.names(host));
    let Some(key) = key else {
        return lines.into_iter().filter(|line| !of_host(line)).collect();
    };
    let found = search(&lines, host, key);
    if present && matches!(found, Found::Same(_)) {
        return before.to_owned();
    }
    let dropped = match found {
        Found::Same(at) | Found::Other(at) => Some(at),
        Found::Nothing => None,
    };
    let mut after: String = lines
        .into_iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != dropped)
        .map(|(_, line)| line)
        .collect();
    if present {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.push_str(key);
    }
    after
}

/// What the file has for a host and a key.
enum Found {
    /// That very key.
    Same(usize),
    /// Another key of its type.
    Other(usize),
    Nothing,
}

fn search(lines: &[&str], host: &str, key: &str) -> Found {
    let Some(wanted) = Line::parse(key) else {
        return Found::Nothing;
    };
    for (at, line) in lines.iter().enumerate() {
        let Some(line) = Line::parse(line).filter(|line| line.names(host)) else {
            continue;
        };
        let both_hidden = line.hosts.starts_with(HASHED) && wanted.hosts.starts_with(HASHED);
        let same_hosts = line.hosts == wanted.hosts || (both_hidden && line.marker.is_none());
        if same_hosts && (line.marker, line.kind, line.key) == (wanted.marker, wanted.kind, wanted.key) {
            return Found::Same(at);
        }
        if line.marker.is_none() && line.kind == wanted.kind {
            return Found::Other(at);
        }
    }
    Found::Nothing
}

/// A line's fields.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// `@cert-authority` or `@revoked`.
    marker: Option<&'a str>,
    hosts: &'a str,
    kind: &'a str,
    key: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        if words.peek()?.starts_with('#') {
            return None;
        }
        let marker = words.next_if(|word| word.starts_with('@'));
        Some(Self {
            marker,
            hosts: words.next()?,
            kind: words.next()?,
            key: words.next()?,
        })
    }

    /// Whether the line is for this host.
    fn names(&self, host: &str) -> bool {
        if let Some(hidden) = self.hosts.strip_prefix(HASHED) {
            let Some((salt, digest)) = hidden.split_once('|') else {
                return false;
            };
            return BASE64
                .decode(salt)
                .is_ok_and(|salt| BASE64.encode(hash(&salt, host)) == digest);
        }
        let mut named = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                Some(denied) if matches(denied, host) => return false,
                None if matches(pattern, host) => named = true,
                _ => {}
            }
        }
        named
    }
}

/// `*` stands for any characters, `?` for one; brackets are those of `[name]:port`.
fn matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let mut parts = pattern.chars();
    match parts.next() {
        None => host.is_empty(),
        Some('*') => (0..=host.len())
            .filter(|at| host.is_char_boundary(*at))
            .any(|at| matches(parts.as_str(), &host[at..])),
        Some(wanted) => {
            let mut rest = host.chars();
            rest.next().is_some_and(|c| wanted == '?' || wanted == c)
                && matches(parts.as_str(), rest.as_str())
        }
    }
}

fn hash(salt: &[u8], host: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    hmac::sign(&key, host.as_bytes())
}

/// The line with its name hashed, under a new salt.
fn hidden(host: &str, key: &str) -> Result<String, Error> {
    let mut salt = [0; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::new("the system gives no random numbers"))?;
    let name = format!(
        "{HASHED}{}|{}",
        BASE64.encode(salt),
        BASE64.encode(hash(&salt, host))
    );
    let mut words: Vec<&str> = key.split_whitespace().collect();
    let at = usize::from(words.first().is_some_and(|word| word.starts_with('@')));
    if let Some(word) = words.get_mut(at) {
        *word = &name;
    }
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const KNOWN: &str = "# comment\none,10.0.0.1 ssh-rsa AAAA\n*.example.org,!bad.example.org ssh-rsa BBBB\n";

    fn arguments(name: &str, rest: &str) -> String {
        format!(r#"{{"name":"{name}","path":"/etc/known",{rest}}}"#)
    }

    #[test]
    fn keys_come_change_and_go() {
        let fake = Fake::new();
        fake.file("/etc/known", KNOWN);
        check_agrees::<KnownHosts>(&fake, &arguments("Two", r#""key":"two ssh-rsa CCCC comment""#));
        assert!(
            fake.text("/etc/known")
                .ends_with("BBBB\ntwo ssh-rsa CCCC comment\n")
        );
        check_agrees::<KnownHosts>(&fake, &arguments("two", r#""key":"two ssh-rsa DDDD""#));
        check_agrees::<KnownHosts>(&fake, &arguments("two", r#""key":"two ssh-ed25519 EEEE""#));
        assert!(
            fake.text("/etc/known")
                .ends_with("BBBB\ntwo ssh-rsa DDDD\ntwo ssh-ed25519 EEEE\n")
        );
        let one = arguments("two", r#""key":"two ssh-rsa DDDD","state":"absent""#);
        check_agrees::<KnownHosts>(&fake, &one);
        check_agrees::<KnownHosts>(&fake, &arguments("10.0.0.1", r#""state":"absent""#));
        assert_eq!(
            fake.text("/etc/known"),
            "# comment\n*.example.org,!bad.example.org ssh-rsa BBBB\ntwo ssh-ed25519 EEEE\n"
        );
    }

    #[test]
    fn names_are_hidden_and_found_again() {
        let fake = Fake::new();
        fake.directory("/etc");
        let hidden = arguments(
            "[one]:2222",
            r#""key":"[one]:2222 ssh-rsa AAAA","hash_host":true"#,
        );
        // Each run has a salt of its own, so that no run can say what another would write.
        assert!(run::<KnownHosts>(&fake, &hidden).changed);
        assert!(!run::<KnownHosts>(&fake, &hidden).changed);
        let text = fake.text("/etc/known");
        assert!(
            text.starts_with("|1|") && text.ends_with("= ssh-rsa AAAA\n"),
            "{text}"
        );
        check_agrees::<KnownHosts>(&fake, &arguments("[one]:2222", r#""state":"absent""#));
        assert_eq!(fake.text("/etc/known"), "");
    }

    #[test]
    fn patterns_name_hosts() {
        let line = Line::parse(KNOWN.lines().nth(2).unwrap()).unwrap();
        assert!(line.names("a.example.org") && !line.names("bad.example.org") && !line.names("example.org"));
        let authority = Line::parse("@cert-authority *.x ssh-rsa AAAA").unwrap();
        assert_eq!(
            (authority.marker, authority.names("a.x")),
            (Some("@cert-authority"), true)
        );
    }

    #[test]
    fn refusals() {
        let fake = Fake::new();
        for (arguments, message) in [
            (
                arguments("one", r#""state":"present""#),
                "No key specified when adding a host",
            ),
            (
                arguments("one", r#""key":"two ssh-rsa AAAA""#),
                "Host parameter does not match hashed host field in supplied key",
            ),
            (
                arguments("one,two", r#""key":"one,two ssh-rsa AAAA""#),
                "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
            ),
        ] {
            assert_eq!(failure::<KnownHosts>(&fake, &arguments), message);
        }
        let outcome = run::<KnownHosts>(&fake, &arguments("one", r#""state":"absent""#));
        assert!(!outcome.changed && !outcome.failed);
    }
}
