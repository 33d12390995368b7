//! `rpm_key`: a key that rpm trusts. After `ansible.builtin.rpm_key`.
//!
//! Keys are read here; no gpg is needed. rpm holds them as packages called `gpg-pubkey`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::foreseen::{self, Foreseen, Packages};
use super::{download, openpgp};
use crate::modules::files::content::beside;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Attributes, Command, FileKind, Follow, System};
use crate::wire::message::Outcome;

pub struct RpmKey;

#[derive(Debug, Deserialize)]
pub struct Args {
    key: String,
    state: String,
    fingerprint: Option<Vec<String>>,
    validate_certs: bool,
}

/// What is to be done, and the key's id.
#[derive(Debug)]
pub struct Change {
    id: String,
    work: Work,
}

#[derive(Debug)]
enum Work {
    ImportFile(PathBuf),
    /// Fetched: written beside rpm's own temporary files for the call.
    ImportBytes(Vec<u8>),
    Erase,
}

impl Module for RpmKey {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "rpm_key",
        summary: "let rpm trust a key, or no longer",
        args: &[
            Arg::str("key")
                .required()
                .doc("a URL, a file on the target or, to remove it, a key's id"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it shall be trusted"),
            Arg::strings("fingerprint").doc("import the key only if these are its fingerprints"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("verify the server's certificate"),
        ],
        returns: &[
            Return::new("id", "str", "the id of the key that was imported or removed").when("changed"),
        ],
        example: "\
- rpm_key:
    key: https://packages.example.org/RPM-GPG-KEY
    fingerprint: 714A 3344 F4CE 39D6 AD6C C811 436D ACE8 9B96 7AFD

- rpm_key: {key: 9B967AFD, state: absent}
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "rpm", "manage keys (is this RHEL, Fedora or SUSE?)")?;
        let (id, import) = if args.key.contains("://") {
            let bytes = download::key(&args.key, args.validate_certs, system).map_err(|error| {
                Error::new(format!(
                    "failed to fetch key at {} , error was: {}",
                    args.key, error.message
                ))
            })?;
            let keys = openpgp::keys(&bytes);
            if keys.is_empty() {
                return Err(Error::new(format!("Not a public key: {}", args.key)));
            }
            (keys[0].id().to_owned(), Some((keys, Work::ImportBytes(bytes))))
        } else if is_id(&args.key) {
            let id = args.key.trim().to_uppercase();
            (id.strip_prefix("0X").unwrap_or(&id).to_owned(), None)
        } else {
            let path = Path::new(&args.key);
            let kind = system.metadata(path, Follow::Yes)?.map(|metadata| metadata.kind);
            if kind != Some(FileKind::File) {
                return Err(Error::new(format!("Not a valid key {}", args.key)));
            }
            let keys = openpgp::keys(&system.read(path)?);
            if keys.is_empty() {
                return Err(Error::new(format!("Not a public key: {}", args.key)));
            }
            (
                keys[0].id().to_owned(),
                Some((keys, Work::ImportFile(path.to_owned()))),
            )
        };
        let known = match foreseen::of(&foreseen_name(&id), system) {
            Some(state) => state != Foreseen::Removed,
            None => trusted(system)?.iter().any(|key| key.contains(&id)),
        };
        if known == (args.state == "present") {
            return Ok(Plan::Same(Outcome::ok()));
        }
        let work = if args.state == "absent" {
            Work::Erase
        } else {
            let Some((keys, import)) = import else {
                return Err(Error::new("When importing a key, a valid file must be given"));
            };
            let wanted: Vec<String> = args
                .fingerprint
                .iter()
                .flatten()
                .map(|text| text.replace(' ', "").to_uppercase())
                .collect();
            let found: Vec<String> = keys.into_iter().map(|key| key.fingerprint).collect();
            if !wanted.iter().all(|wanted| found.contains(wanted)) {
                return Err(Error::new(format!(
                    "The specified fingerprint, '{}', does not match any key fingerprints in '{}'",
                    wanted.join(", "),
                    found.join(", ")
                )));
            }
            import
        };
        Ok(Plan::Change {
            predicted: Outcome::changed(true).with("id", id.as_str()),
            change: Change { id, work },
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change.work {
            Work::ImportFile(path) => import(&path, system)?,
            Work::ImportBytes(bytes) => {
                let path = beside(Path::new("/var/tmp/key"), "rpm-key", system);
                let private = Attributes {
                    mode: Some(0o600),
                    ..Attributes::default()
                };
                system.write(&path, &mut bytes.as_slice(), private)?;
                let imported = import(&path, system);
                system.remove_file(&path)?;
                imported?;
            }
            Work::Erase => {
                let package = format!("gpg-pubkey-{}", short(&change.id).to_lowercase());
                tool::run(
                    system,
                    &Command::new(["rpm", "--erase", "--allmatches", &package]),
                )?;
            }
        }
        Ok(Outcome::changed(true).with("id", change.id))
    }

    fn foresee(change: &Change) -> Foresight {
        let gone = matches!(change.work, Work::Erase);
        Packages::of(&[foreseen_name(&change.id)], !gone).foresight()
    }
}

fn short(id: &str) -> &str {
    &id[id.len().saturating_sub(8)..]
}

/// What later tasks of a check ask for.
fn foreseen_name(id: &str) -> String {
    format!("gpg-pubkey {}", short(id))
}

fn import(path: &Path, system: &dyn System) -> Result<(), Error> {
    let path = path.display().to_string();
    tool::run(system, &Command::new(["rpm", "--import", &path])).map(|_| ())
}

/// Eight hexadecimal digits at least, as a key's id begins.
fn is_id(text: &str) -> bool {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    digits.len() >= 8 && digits.bytes().take(8).all(|byte| byte.is_ascii_hexdigit())
}

/// Fingerprints of all keys that rpm holds.
fn trusted(system: &dyn System) -> Result<Vec<String>, Error> {
    let command = Command::new(["rpm", "-q", "gpg-pubkey", "--qf", "%{description}\\n"]);
    let output = system.run(&command)?;
    // Without any key the package is not installed.
    if !output.success() {
        return Ok(Vec::new());
    }
    let keys = openpgp::keys(&output.stdout);
    Ok(keys.into_iter().map(|key| key.fingerprint).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn target(trusts: bool) -> Fake {
        let fake = Fake::new();
        fake.program("/usr/bin/rpm")
            .directory("/var/tmp")
            .file("/root/key.asc", openpgp::SAMPLE)
            .serve("https://example.org/key", 200, openpgp::SAMPLE)
            .serve("https://example.org/page", 200, "<html>")
            .answer_with(move |fake, command| {
                let asked = command.argv[1] == "-q";
                if command.argv[1] == "--import" {
                    assert_eq!(fake.text(&command.argv[2]), openpgp::SAMPLE);
                }
                Some(CommandOutput {
                    code: i32::from(asked && !trusts),
                    stdout: if asked { openpgp::SAMPLE.into() } else { Vec::new() },
                    ..CommandOutput::default()
                })
            });
        fake
    }

    #[test]
    fn keys_come_from_files_and_from_the_web() {
        for key in ["/root/key.asc", "https://example.org/key"] {
            let fake = target(false);
            let before = fake.listing();
            let print = "714a 3344 F4CE 39D6 AD6C  C811 436D ACE8 9B96 7AFD";
            let arguments = format!(r#"{{"key":"{key}","fingerprint":"{print}"}}"#);
            assert!(check::<RpmKey>(&fake, &arguments).changed);
            assert!(run::<RpmKey>(&fake, &arguments).changed);
            assert_eq!(fake.listing(), before, "nothing is left behind");
            assert!(!run::<RpmKey>(&target(true), &arguments).changed);
        }
    }

    #[test]
    fn a_key_goes_by_its_id() {
        let fake = target(true);
        assert!(run::<RpmKey>(&fake, r#"{"key":"0x436dace89b967afd","state":"absent"}"#).changed);
        assert_eq!(
            fake.ran().last().unwrap(),
            "rpm --erase --allmatches gpg-pubkey-9b967afd"
        );
        assert!(!run::<RpmKey>(&target(false), r#"{"key":"9B967AFD","state":"absent"}"#).changed);
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        let fake = target(false);
        for (arguments, message) in [
            (r#"{"key":"/none"}"#, "Not a valid key /none"),
            (
                r#"{"key":"9B967AFD"}"#,
                "When importing a key, a valid file must be given",
            ),
            (
                r#"{"key":"https://example.org/page"}"#,
                "Not a public key: https://example.org/page",
            ),
            (
                r#"{"key":"/root/key.asc","fingerprint":"00FF"}"#,
                "The specified fingerprint, '00FF', does not match any key fingerprints in \
                 '714A3344F4CE39D6AD6CC811436DACE89B967AFD, B5E98C3FE7F9CE0D4D3C10A5C8FCD3AA905648DA'",
            ),
        ] {
            assert_eq!(failure::<RpmKey>(&fake, arguments), message);
        }
    }
}
