//! `apt_key`: a key that apt trusts. After ansible.builtin.apt_key.
//!
//! `apt-key` of the target does it, where there still is one; `deb822_repository` with `signed_by` is what came after it. Which keys
//! are in a file is read here.

use serde::Deserialize;

use super::foreseen::Packages;
use super::{download, openpgp};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::value::Value;
use crate::wire::message::Outcome;

/// A keyserver that does not answer is asked so many times.
const ATTEMPTS: u32 = 5;

pub struct AptKey;

#[derive(Debug, Deserialize)]
pub struct Args {
    id: Option<String>,
    url: Option<String>,
    data: Option<String>,
    file: Option<String>,
    keyring: Option<String>,
    keyserver: Option<String>,
    state: String,
    validate_certs: bool,
}

/// The call to make, and what is to be found afterwards.
#[derive(Debug)]
pub struct Change {
    command: Command,
    attempts: u32,
    list: Command,
    id: Id,
    present: bool,
    outcome: Outcome,
}

impl Module for AptKey {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "apt_key",
        summary: "let apt trust a key, or no longer",
        args: &[
            Arg::str("id").doc("the key's id: 8, 16 or more hexadecimal digits"),
            Arg::str("url").doc("where the key is on the web"),
            Arg::str("data").doc("the key itself"),
            Arg::path("file").doc("where the key is on the target"),
            Arg::path("keyring").doc("the keyring to work on"),
            Arg::str("keyserver").doc("the server to ask for the key with this `id`"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it shall be trusted"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("verify the certificate of `url`'s server"),
        ],
        returns: &[
            Return::new("before", "list of str", "ids of the keys that were trusted"),
            Return::new("after", "list of str", "ids of the keys that are trusted now").when("changed"),
            Return::new("fp", "str", "the key's id, its last 16 digits"),
            Return::new("id", "str", "the id as it was given or found"),
            Return::new("key_id", "str", "the id in full, in capitals"),
            Return::new("short_id", "str", "its last 8 digits"),
        ],
        example: "\
- apt_key:
    url: https://packages.example.org/key.asc
    keyring: /etc/apt/trusted.gpg.d/example.gpg

- apt_key: {id: 9B967AFD, state: absent}
",
        free_form: None,
        rules: &[Rule::Exclusive(&["data", "file", "keyserver", "url"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if system.which("apt-key").is_none() {
            return Err(Error::new(
                "Failed to find required executable \"apt-key\": it is no longer part of apt. Apt-key has been deprecated. See the \
                 deb822_repository as an alternative.",
            ));
        }
        tool::require(system, "gpg", "let apt-key work (package gnupg)")?;
        let mut data = args.data.clone().map(String::into_bytes);
        let present = args.state == "present";
        // With an id, the key is fetched only where it is not there.
        if let (Some(url), None) = (&args.url, &args.id) {
            data = Some(fetch(url, &args, system)?);
        }
        let given = match (&args.id, &args.file, &data) {
            (Some(id), ..) => id.clone(),
            (None, _, _) if args.keyserver.is_some() => {
                return Err(Error::new("Missing key_id, required with keyserver."));
            }
            (None, Some(file), _) => first_key(&system.read(std::path::Path::new(file))?, file)?,
            (None, None, Some(data)) => first_key(data, "inline data")?,
            (None, None, None) => return Err(Error::new("Invalid key_id").with("id", Value::Null)),
        };
        let id = Id::parse(&given).ok_or_else(|| Error::new("Invalid key_id").with("id", given.as_str()))?;
        let list = apt_key(&args, &["adv", "--list-public-keys", "--keyid-format=long"]);
        let before = listed(&list, &id, system)?;
        let outcome = Outcome::ok()
            .with("id", given.as_str())
            .with("short_id", id.short())
            .with("fp", id.long())
            .with("key_id", id.full.as_str())
            .with("before", before.clone());
        if id.is_in(&before) == present {
            return Ok(Plan::Same(outcome));
        }
        let mut attempts = 1;
        let command = if !present {
            apt_key(&args, &["del", id.short()])
        } else if let Some(file) = &args.file {
            apt_key(&args, &["add", file])
        } else if let Some(server) = &args.keyserver {
            attempts = ATTEMPTS;
            let proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
                .into_iter()
                .find_map(|name| system.env(name));
            let proxy = proxy.map(|proxy| format!("http-proxy={proxy}"));
            let options = proxy.iter().flat_map(|proxy| ["--keyserver-options", proxy]);
            let words = ["adv", "--no-tty", "--keyserver", server];
            let words: Vec<&str> = words
                .into_iter()
                .chain(options)
                .chain(["--recv", &id.full])
                .collect();
            apt_key(&args, &words)
        } else {
            let bytes = match (data, &args.url) {
                (Some(data), _) => data,
                (None, Some(url)) => fetch(url, &args, system)?,
                (None, None) => {
                    return Err(Error::new(
                        "there is no key to add: give data, file, keyserver or url beside the id",
                    ));
                }
            };
            let mut command = apt_key(&args, &["add", "-"]);
            command.stdin = bytes;
            command
        };
        let change = Change {
            command,
            attempts,
            list,
            id,
            present,
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change,
            predicted: Outcome {
                changed: true,
                ..outcome
            },
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut result = tool::run(system, &change.command);
        for _ in 1..change.attempts {
            if result.is_ok() {
                break;
            }
            result = tool::run(system, &change.command);
        }
        result?;
        let after = listed(&change.list, &change.id, system)?;
        if change.id.is_in(&after) != change.present {
            let what = if change.present {
                "failed to add the key"
            } else {
                "the key was not removed"
            };
            return Err(Error::new(format!(
                "apt-key did not return an error, but {what} (check that the id is correct and *not* a subkey)"
            )));
        }
        Ok(Outcome {
            changed: true,
            ..change.outcome
        }
        .with("after", after))
    }

    fn foresee(_change: &Change) -> Foresight {
        Packages::default().foresight()
    }
}

fn fetch(url: &str, args: &Args, system: &dyn System) -> Result<Vec<u8>, Error> {
    download::key(url, args.validate_certs, system)
        .map_err(|error| Error::new(format!("Failed to download key at {url}: {}", error.message)))
}

fn first_key(bytes: &[u8], from: &str) -> Result<String, Error> {
    let keys = openpgp::keys(bytes);
    let first = keys.iter().find(|key| !key.is_subkey);
    first
        .map(|key| key.id().to_owned())
        .ok_or_else(|| Error::new(format!("Unable to extract key from '{from}'")))
}

/// A key's id as it is asked for.
#[derive(Debug)]
struct Id {
    full: String,
}

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let full = text.trim().to_uppercase();
        let full = full.strip_prefix("0X").unwrap_or(&full).to_owned();
        let digits = full.bytes().all(|byte| byte.is_ascii_hexdigit());
        (digits && (full.len() == 8 || full.len() >= 16)).then_some(Self { full })
    }

    fn short(&self) -> &str {
        &self.full[self.full.len() - 8..]
    }

    fn long(&self) -> &str {
        &self.full[self.full.len().saturating_sub(16)..]
    }

    fn is_in(&self, keys: &[String]) -> bool {
        keys.iter().any(|key| key == self.long())
    }
}

fn apt_key(args: &Args, words: &[&str]) -> Command {
    let keyring = args
        .keyring
        .as_ref()
        .map(|keyring| ["--keyring", keyring.as_str()]);
    let argv = ["apt-key"]
        .into_iter()
        .chain(keyring.into_iter().flatten())
        .chain(words.iter().copied());
    Command::new(argv)
        .env("LANG", "C")
        .env("LC_ALL", "C")
        .env("APT_KEY_DONT_WARN_ON_DANGEROUS_USAGE", "1")
}

/// Ids of the keys that are trusted and have not expired, as long as the one that is asked for.
fn listed(list: &Command, id: &Id, system: &dyn System) -> Result<Vec<String>, Error> {
    let text = tool::text_of(system, list).map_err(|error| Error {
        message: format!("Unable to list public keys: {}", error.message),
        ..error
    })?;
    let key = |line: &str| {
        let is_key = (line.starts_with("pub") || line.starts_with("sub")) && !line.contains("expired");
        let (_, key) = line
            .split_whitespace()
            .nth(1)
            .filter(|_| is_key)?
            .split_once('/')?;
        let short = id.full.len() == 8;
        Some(key[if short { key.len().saturating_sub(8) } else { 0 }..].to_owned())
    };
    Ok(text.lines().filter_map(key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    const LISTED: &str =
        "/etc/apt/trusted.gpg\n--------------------\npub   ed25519/436DACE89B967AFD 2026-11-21 [SC]\n";

    /// apt-key, whose keyring is a file that is there or not.
    fn target() -> Fake {
        let fake = Fake::new();
        for program in ["apt-key", "gpg"] {
            fake.program(&format!("/usr/bin/{program}"));
        }
        fake.directory("/ring")
            .serve("https://example.org/key", 200, openpgp::SAMPLE)
            .answer_with(|fake, command| {
                let has = |word: &str| command.argv.iter().any(|known| known == word);
                let mut stdout = String::new();
                if has("add") || has("--recv") {
                    fake.file("/ring/key", command.stdin.clone());
                } else if has("del") {
                    crate::system::System::remove_file(fake, std::path::Path::new("/ring/key")).unwrap();
                } else if fake.listing().contains("/ring/key") {
                    LISTED.clone_into(&mut stdout);
                }
                Some(CommandOutput {
                    stdout: stdout.into(),
                    ..CommandOutput::default()
                })
            });
        fake
    }

    #[test]
    fn a_key_comes_and_goes() {
        let fake = target();
        let arguments = r#"{"url":"https://example.org/key","keyring":"/etc/apt/k.gpg"}"#;
        assert!(check::<AptKey>(&fake, arguments).changed);
        let outcome = run::<AptKey>(&fake, arguments);
        assert!(outcome.changed, "{outcome:?}");
        assert_eq!(outcome.values["fp"], "436DACE89B967AFD".into());
        assert_eq!(fake.text("/ring/key"), openpgp::SAMPLE);
        assert!(
            fake.ran()
                .contains(&"apt-key --keyring /etc/apt/k.gpg add -".to_owned())
        );
        assert!(!run::<AptKey>(&fake, arguments).changed);
        let requests = fake.requests().len();
        // The id is there: the server is not even asked.
        assert!(!run::<AptKey>(&fake, r#"{"url":"https://example.org/key","id":"0x9b967afd"}"#).changed);
        assert_eq!(fake.requests().len(), requests);
        assert!(run::<AptKey>(&fake, r#"{"id":"436DACE89B967AFD","state":"absent"}"#).changed);
        assert!(fake.ran().contains(&"apt-key del 9B967AFD".to_owned()));
        let server = r#"{"id":"436DACE89B967AFD","keyserver":"keys.example.org"}"#;
        assert!(run::<AptKey>(&fake, server).changed);
        assert!(fake.ran().contains(
            &"apt-key adv --no-tty --keyserver keys.example.org --recv 436DACE89B967AFD".to_owned()
        ));
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        let fake = target();
        for (arguments, message) in [
            (r#"{"id":"xyz"}"#, "Invalid key_id"),
            (r#"{"keyserver":"x"}"#, "Missing key_id, required with keyserver."),
            (
                r#"{"data":"nonsense"}"#,
                "Unable to extract key from 'inline data'",
            ),
        ] {
            assert_eq!(failure::<AptKey>(&fake, arguments), message);
        }
        assert!(failure::<AptKey>(&Fake::new(), r#"{"id":"9B967AFD"}"#).contains("deb822_repository"));
    }
}
