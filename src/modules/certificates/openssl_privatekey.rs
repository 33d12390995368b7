//! `openssl_privatekey`: a private key in a file. After `community.crypto.openssl_privatekey`.
//!
//! A key is made anew only as `regenerate` allows. Deliberately no `passphrase` and `cipher`: a key that a server reads without
//! anybody there is protected by its file's mode, 0600 unless the task says otherwise.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::key::{CURVES, Format, Key, Kind};
use crate::modules::files::attributes::{self, FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, Writing, json_text};
use crate::modules::files::path::expand;
use crate::modules::files::steps::{Source, Step, afterwards, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::digest::digest_bytes;
use crate::system::{DigestAlgorithm, FileKind, Follow, Metadata, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

pub struct OpensslPrivatekey;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    state: String,
    r#type: String,
    size: usize,
    curve: Option<String>,
    format: String,
    format_mismatch: String,
    regenerate: String,
    force: bool,
    backup: bool,
    return_content: bool,
    #[serde(flatten)]
    file: FileArgs,
}

pub struct Change {
    path: PathBuf,
    writing: Option<Writing>,
    what: What,
    return_content: bool,
    /// Flags and label.
    afterwards: Vec<Step>,
}

enum What {
    Remove,
    Generate(Kind, Format),
    /// The same key in another format.
    Convert(Key),
    Attributes(Vec<Step>, Key),
}

const DIGESTS: &[(&str, DigestAlgorithm)] = &[
    ("md5", DigestAlgorithm::Md5),
    ("sha1", DigestAlgorithm::Sha1),
    ("sha224", DigestAlgorithm::Sha224),
    ("sha256", DigestAlgorithm::Sha256),
    ("sha384", DigestAlgorithm::Sha384),
    ("sha512", DigestAlgorithm::Sha512),
];

impl Module for OpensslPrivatekey {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "openssl_privatekey",
        summary: "keep a private key",
        args: with_file_args![
            Arg::path("path")
                .required()
                .doc("the file; 0600 unless `mode` is given"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there"),
            Arg::str("type")
                .choices(&["RSA", "ECC", "Ed25519", "X25519"])
                .default("RSA")
                .doc("kind of key"),
            Arg::int("size")
                .default("4096")
                .doc("bits of an RSA key: 2048, 3072, 4096, 8192"),
            Arg::str("curve")
                .choices(&["secp256r1", "secp384r1", "secp521r1", "secp256k1"])
                .doc("curve of an ECC key"),
            Arg::str("format")
                .choices(&["pkcs1", "pkcs8", "auto", "auto_ignore"])
                .default("auto_ignore")
                .doc("how the file says it; `auto_ignore` leaves that of a key that is there alone"),
            Arg::str("format_mismatch")
                .choices(&["regenerate", "convert"])
                .default("regenerate")
                .doc("what to do if only the format is another"),
            Arg::str("regenerate")
                .choices(&[
                    "never",
                    "fail",
                    "partial_idempotence",
                    "full_idempotence",
                    "always"
                ])
                .default("full_idempotence")
                .doc("when a key that is there may be replaced"),
            Arg::bool("force").default("no").doc("make a new one in any case"),
            BACKUP,
            Arg::bool("return_content")
                .default("no")
                .doc("have the key in the result; it is a secret"),
        ],
        returns: &[
            Return::new("filename", "str", "the file"),
            Return::new("type", "str", "kind of key").when("state is present"),
            Return::new("size", "int", "bits").when("state is present"),
            Return::new("curve", "str", "the curve").when("type is ECC"),
            Return::new("fingerprint", "dict", "of the public key, by digest").when("the key is there"),
            Return::new("privatekey", "str", "the key").when("return_content is true and the key is there"),
            Return::new("backup_file", "str", "what was there").when("backup is true and it was replaced"),
        ],
        example: "\
- community.crypto.openssl_privatekey:
    path: /etc/ssl/private/web.key
    type: ECC
    curve: secp256r1
    owner: www-data
",
        free_form: None,
        rules: &[Rule::If("type", "ECC", &["curve"])],
    };

    fn check(mut args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let path = expand(&args.path, system)?;
        let now = system.metadata(&path, Follow::Yes)?;
        if args.state == "absent" {
            return Ok(remove(path, now.is_some()));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        if system
            .metadata(folder, Follow::Yes)?
            .is_none_or(|folder| folder.kind != FileKind::Directory)
        {
            return Err(Error::new(format!(
                "The directory '{}' does not exist or the file is not a directory",
                folder.display()
            )));
        }
        let key = match &now {
            Some(_) => Key::from_pem(&String::from_utf8_lossy(&system.read(&path)?)),
            None => None,
        };
        args.file.mode.get_or_insert_with(|| "0600".to_owned());
        let wanted = args.file.resolve(system)?;
        let afterwards = afterwards(&args.file, &path, system)?;
        let what = args.what(now.is_some(), key)?;
        let (kind, what) = match what {
            Found::Right(key) => {
                let missing = now.as_ref().map(|now| wanted.missing(now)).unwrap_or_default();
                if attributes::nothing(missing) && afterwards.is_empty() {
                    let outcome = tell(Outcome::ok(), &path, key.kind, Some(&key), args.return_content);
                    return Ok(Plan::Same(outcome));
                }
                let step = Step::Attributes(path.clone(), missing, Follow::Yes);
                (key.kind, What::Attributes(vec![step], key))
            }
            Found::Wrong(what) => match &what {
                What::Generate(kind, _) => (*kind, what),
                What::Convert(key) => (key.kind, what),
                _ => return Err(Error::new("a key is either made or converted")),
            },
        };
        let shown = match &what {
            What::Attributes(_, key) | What::Convert(key) => Some(key),
            _ => None,
        };
        let mut predicted = tell(Outcome::changed(true), &path, kind, shown, args.return_content);
        predicted.diff.push(difference(&path, now.as_ref(), &what, kind));
        let writing = Writing {
            path: path.clone(),
            attributes: wanted.for_write(now.as_ref()),
            backup: args.backup,
            validate: None,
            unsafe_writes: wanted.unsafe_writes,
        };
        let change = Change {
            path,
            writing: Some(writing),
            what,
            return_content: args.return_content,
            afterwards,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let (steps, key) = match change.what {
            What::Remove => (vec![Step::Remove(change.path.clone())], None),
            What::Attributes(steps, key) => (steps, Some(key)),
            What::Generate(kind, format) => {
                (Vec::new(), Some(Key::generate(kind, format).map_err(Error::new)?))
            }
            What::Convert(key) => (Vec::new(), Some(key)),
        };
        let steps = match (&key, steps.is_empty(), change.writing) {
            (Some(key), true, Some(writing)) => {
                vec![Step::Write(writing, Source::Bytes(key.to_pem().into_bytes()))]
            }
            _ => steps,
        };
        let backup = perform(&steps, system)?;
        perform(&change.afterwards, system)?;
        let mut outcome = Outcome::changed(true);
        outcome = match &key {
            Some(key) => tell(outcome, &change.path, key.kind, Some(key), change.return_content),
            None => outcome.with("filename", change.path.display().to_string()),
        };
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        Ok(outcome)
    }
}

enum Found {
    Right(Key),
    Wrong(What),
}

impl Args {
    fn kind(&self) -> Result<Kind, Error> {
        Ok(match (self.r#type.as_str(), &self.curve) {
            ("ECC", Some(name)) => {
                let curve = CURVES.iter().position(|(known, _, _, _)| known == name);
                Kind::Ecc {
                    curve: curve.ok_or_else(|| Error::new(format!("curve {name} is not known")))?,
                }
            }
            ("Ed25519", _) => Kind::Ed25519,
            ("X25519", _) => Kind::X25519,
            _ if ![2048, 3072, 4096, 8192].contains(&self.size) => {
                return Err(Error::new(format!(
                    "size {}: RSA keys are made with 2048, 3072, 4096 or 8192 bits",
                    self.size
                )));
            }
            _ => Kind::Rsa { bits: self.size },
        })
    }

    /// Whether the key that is there will do.
    fn what(&self, there: bool, key: Option<Key>) -> Result<Found, Error> {
        let kind = self.kind()?;
        let format = match self.format.as_str() {
            "pkcs1" if kind.usual_format() == Format::Pkcs8 => {
                return Err(Error::new(format!(
                    "format pkcs1: keys of type {} are written as pkcs8 only",
                    kind.name()
                )));
            }
            "pkcs1" => Format::Traditional,
            "pkcs8" => Format::Pkcs8,
            _ => kind.usual_format(),
        };
        let new = Ok(Found::Wrong(What::Generate(kind, format)));
        if !there || self.force || self.regenerate == "always" {
            return new;
        }
        let refuse = |why: &str, least: &str| {
            Err(Error::new(format!(
                "{why}. Will not proceed. To force regeneration, call the module with `regenerate` set to {least}, or \
                 with `force=true`."
            )))
        };
        let Some(mut key) = key else {
            return match self.regenerate.as_str() {
                "full_idempotence" => new,
                _ => refuse(
                    "Unable to read the key. The key is protected with a passphrase, of a type that is not known here, or \
                     broken",
                    "`full_idempotence` or `always`",
                ),
            };
        };
        let may = matches!(
            self.regenerate.as_str(),
            "partial_idempotence" | "full_idempotence"
        );
        let least = "`partial_idempotence`, `full_idempotence` or `always`";
        if self.regenerate == "never" {
            return Ok(Found::Right(key));
        }
        if key.kind != kind {
            return if may {
                new
            } else {
                refuse("Key has wrong type and/or size", least)
            };
        }
        if self.format != "auto_ignore" && key.format != format {
            if self.format_mismatch == "convert" {
                key.format = format;
                return Ok(Found::Wrong(What::Convert(key)));
            }
            return if may {
                new
            } else {
                refuse("Key has wrong format", least)
            };
        }
        Ok(Found::Right(key))
    }
}

fn remove(path: PathBuf, there: bool) -> Plan<Change> {
    let outcome = Outcome::changed(there).with("filename", path.display().to_string());
    if !there {
        return Plan::Same(outcome);
    }
    let mut predicted = outcome;
    predicted.diff.push(Diff {
        before: json_text(&Map::from([("state".to_owned(), "present".into())])),
        after: json_text(&Map::from([("state".to_owned(), "absent".into())])),
        ..Diff::default()
    });
    Plan::Change {
        change: Change {
            path,
            writing: None,
            what: What::Remove,
            return_content: false,
            afterwards: Vec::new(),
        },
        predicted,
    }
}

/// What is told of a key; never the key itself.
fn difference(path: &Path, now: Option<&Metadata>, what: &What, kind: Kind) -> Diff {
    let (before, after) = match what {
        What::Attributes(..) => ("mode, owner or group differ".to_owned(), "as wanted".to_owned()),
        What::Convert(_) => (
            "the same key in another format".to_owned(),
            "as wanted".to_owned(),
        ),
        _ => (
            now.map_or_else(String::new, |_| "another key".to_owned()),
            format!("a new {} key of {} bits", kind.name(), kind.bits()),
        ),
    };
    let line = |text: String| if text.is_empty() { text } else { text + "\n" };
    Diff {
        before_header: path.display().to_string(),
        after_header: path.display().to_string(),
        before: line(before),
        after: line(after),
    }
}

fn tell(outcome: Outcome, path: &Path, kind: Kind, key: Option<&Key>, content: bool) -> Outcome {
    let mut outcome = outcome
        .with("filename", path.display().to_string())
        .with("type", kind.name())
        .with("size", i64::try_from(kind.bits()).unwrap_or_default());
    if let Some(curve) = kind.curve() {
        outcome = outcome.with("curve", curve);
    }
    if let Some(public) = key.and_then(Key::public) {
        outcome = outcome.with("fingerprint", fingerprints(&public));
    }
    if let Some(key) = key.filter(|_| content) {
        outcome = outcome.with("privatekey", key.to_pem());
    }
    outcome
}

/// `aa:bb:...` by each digest.
pub fn fingerprints(der: &[u8]) -> Value {
    let each = DIGESTS.iter().map(|(name, algorithm)| {
        let digest = digest_bytes(der, *algorithm);
        ((*name).to_owned(), Value::from(colons(&digest)))
    });
    Value::Map(each.collect())
}

/// Hexadecimal digits in pairs.
fn colons(hexadecimal: &str) -> String {
    let pairs = hexadecimal.as_bytes().chunks(2);
    let pairs: Vec<&str> = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn key(more: &str) -> String {
        format!(r#"{{"path":"/pki/k","type":"ECC","curve":"secp256r1"{more}}}"#)
    }

    fn machine() -> Fake {
        let fake = Fake::new();
        fake.directory("/pki");
        fake
    }

    #[test]
    fn made_once_and_replaced_only_for_a_reason() {
        let fake = machine();
        let made = check_agrees::<OpensslPrivatekey>(&fake, &key(""));
        assert!(fake.text("/pki/k").starts_with("-----BEGIN EC PRIVATE KEY-----"));
        let now = fake.metadata("/pki/k".as_ref(), Follow::Yes).unwrap().unwrap();
        assert_eq!(now.mode, 0o600);
        assert!(made.values["fingerprint"].get("sha256").is_some());
        let first = fake.text("/pki/k");
        check_agrees::<OpensslPrivatekey>(&fake, &key(r#","mode":"0640""#));
        assert_eq!(fake.text("/pki/k"), first, "only the mode is set");
        let other = r#"{"path":"/pki/k","type":"Ed25519"}"#;
        assert!(check::<OpensslPrivatekey>(&fake, other).changed);
        let outcome = check_agrees::<OpensslPrivatekey>(&fake, other);
        assert!(!format!("{:?}", outcome.diff).contains("PRIVATE"), "{outcome:?}");
        assert!(run::<OpensslPrivatekey>(&fake, &other.replace('}', r#","force":true}"#)).changed);
        check_agrees::<OpensslPrivatekey>(&fake, &key(r#","state":"absent""#));
    }

    #[test]
    fn regenerate_says_what_may_happen() {
        let fake = machine();
        run::<OpensslPrivatekey>(&fake, &key(""));
        let other = |how: &str| format!(r#"{{"path":"/pki/k","type":"X25519","regenerate":"{how}"}}"#);
        assert!(failure::<OpensslPrivatekey>(&fake, &other("fail")).contains("wrong type and/or size"));
        assert!(!run::<OpensslPrivatekey>(&fake, &other("never")).changed);
        fake.file("/pki/k", "rubbish");
        assert!(failure::<OpensslPrivatekey>(&fake, &other("never")).contains("Unable to read the key"));
        assert!(
            failure::<OpensslPrivatekey>(&fake, &other("partial_idempotence")).contains("Unable to read")
        );
        assert!(run::<OpensslPrivatekey>(&fake, &other("full_idempotence")).changed);
    }

    #[test]
    fn the_format_can_be_converted() {
        let fake = machine();
        run::<OpensslPrivatekey>(&fake, &key(""));
        assert!(!run::<OpensslPrivatekey>(&fake, &key("")).changed);
        let convert = key(r#","format":"pkcs8","format_mismatch":"convert""#);
        let before = run::<OpensslPrivatekey>(&fake, &key("")).values["fingerprint"].clone();
        let after = check_agrees::<OpensslPrivatekey>(&fake, &convert).values["fingerprint"].clone();
        assert_eq!(before, after);
        assert!(fake.text("/pki/k").starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn refuses_what_cannot_be() {
        let fake = machine();
        assert!(failure::<OpensslPrivatekey>(&fake, r#"{"path":"/pki/k","size":1000}"#).contains("2048"));
        assert!(
            failure::<OpensslPrivatekey>(&fake, r#"{"path":"/none/k"}"#).contains("'/none' does not exist")
        );
        assert!(failure::<OpensslPrivatekey>(&fake, r#"{"path":"/pki/k","type":"ECC"}"#).contains("curve"));
        let told =
            failure::<OpensslPrivatekey>(&fake, r#"{"path":"/pki/k","type":"Ed25519","format":"pkcs1"}"#);
        assert!(told.contains("pkcs8 only"), "{told}");
        assert!(
            failure::<OpensslPrivatekey>(&fake, r#"{"path":"/pki/k","passphrase":"x"}"#)
                .contains("passphrase")
        );
    }
}
