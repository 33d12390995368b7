//! `deb822_repository`: a source of packages, as apt's `.sources` files name them. After `ansible.builtin.deb822_repository`.
//!
//! Specification: sources.list(5), deb822-style format.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::attributes;
use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::packages::download;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::{Attributes, FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

const SOURCES: &str = "/etc/apt/sources.list.d";
const KEYRINGS: &str = "/etc/apt/keyrings";
const ARMOUR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

pub struct Deb822Repository;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    mode: String,
    state: String,
    signed_by: Option<String>,
    /// The other fields of the stanza, null where not given.
    #[serde(flatten)]
    fields: Map,
}

/// What is to be done, and the result.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for Deb822Repository {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "deb822_repository",
        summary: "keep a source of Debian packages",
        args: &[
            Arg::str("name")
                .required()
                .doc("what the source and its file are called"),
            Arg::bool("allow_downgrade_to_insecure").doc("a source that was signed may become unsigned"),
            Arg::bool("allow_insecure").doc("unsigned is enough"),
            Arg::bool("allow_weak").doc("weak signatures are enough"),
            Arg::strings("architectures").doc("`amd64`..."),
            Arg::bool("by_hash").doc("fetch indices by their hashes"),
            Arg::bool("check_date").doc("refuse a Release file from the future"),
            Arg::bool("check_valid_until").doc("refuse a Release file that has expired"),
            Arg::strings("components").doc("`main`..."),
            Arg::int("date_max_future").doc("seconds that it may be from the future"),
            Arg::bool("enabled").doc("whether it is used"),
            Arg::str("inrelease_path").doc("path of the InRelease file"),
            Arg::strings("languages").doc("translations to fetch"),
            Arg::bool("pdiffs").doc("fetch indices as differences"),
            Arg::str("signed_by").doc("keyring, URL of a key, key block or fingerprint"),
            Arg::strings("suites").doc("`bookworm`..."),
            Arg::strings("targets").doc("which files are fetched"),
            Arg::bool("trusted").doc("believe it whatever its signature"),
            Arg::strings("types")
                .choices(&["deb", "deb-src"])
                .default("deb")
                .doc("binaries, sources"),
            Arg::strings("uris").doc("where it is"),
            Arg::mode("mode").default("0644").doc("of the file"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it shall be there"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let mut work = Work {
            system,
            steps: Vec::new(),
            diffs: Vec::new(),
        };
        let slug = slug(&args.name);
        let dest = Path::new(SOURCES).join(format!("{slug}.sources"));
        let keyring = |extension: &str| Path::new(KEYRINGS).join(format!("{slug}.{extension}"));
        let (repo, key) = if args.state == "absent" {
            work.remove(&dest)?;
            work.remove(&keyring("asc"))?;
            work.remove(&keyring("gpg"))?;
            (Value::Null, Some(keyring("gpg")))
        } else {
            let mut fields = args.fields;
            fields.insert("name".to_owned(), args.name.into());
            let mut key = None;
            if let Some(signed_by) = args.signed_by {
                let value = match work.key(&signed_by, keyring)? {
                    Some(path) => {
                        let text = path.display().to_string();
                        key = Some(path);
                        text
                    }
                    None => signed_by,
                };
                fields.insert("signed_by".to_owned(), value.into());
            }
            let text = stanza(&fields);
            work.write(&dest, text.clone().into_bytes(), &args.mode)?;
            (text.into(), key)
        };
        let mut outcome = Outcome::changed(!work.steps.is_empty())
            .with("repo", repo)
            .with("dest", dest.display().to_string())
            .with("key_filename", key.map(|key| key.display().to_string()));
        outcome.diff = work.diffs;
        if work.steps.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            change: Change {
                steps: work.steps,
                outcome: outcome.clone(),
            },
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        Ok(change.outcome)
    }
}

struct Work<'a> {
    system: &'a dyn System,
    steps: Vec<Step>,
    diffs: Vec<Diff>,
}

impl Work<'_> {
    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        if self.system.metadata(path, Follow::No)?.is_some() {
            self.steps.push(Step::Remove(path.to_owned()));
        }
        Ok(())
    }

    fn write(&mut self, path: &Path, content: Vec<u8>, mode: &str) -> Result<(), Error> {
        let now = self.system.metadata(path, Follow::Yes)?;
        let old = match &now {
            Some(_) => self.system.read(path)?,
            None => Vec::new(),
        };
        let wanted = attributes::FileArgs {
            mode: Some(mode.to_owned()),
            ..attributes::FileArgs::default()
        }
        .resolve(self.system)?;
        if now.is_some() && old == content {
            let missing = now.map(|now| wanted.missing(&now)).unwrap_or_default();
            if !attributes::nothing(missing) {
                self.steps
                    .push(Step::Attributes(path.to_owned(), missing, Follow::Yes));
            }
            return Ok(());
        }
        let label = path.display().to_string();
        self.diffs.push(text_diff((&label, &old), (&label, &content)));
        let writing = Writing {
            path: path.to_owned(),
            attributes: wanted.for_write(now.as_ref()),
            ..Writing::default()
        };
        self.steps.push(Step::Write(writing, Source::Bytes(content)));
        Ok(())
    }

    /// The keyring that a `signed_by` names, fetched if it is a URL; none for a key block or a fingerprint.
    fn key(&mut self, signed_by: &str, keyring: impl Fn(&str) -> PathBuf) -> Result<Option<PathBuf>, Error> {
        let path = PathBuf::from(signed_by);
        let kind = if signed_by.contains('\n') {
            None
        } else {
            self.system.metadata(&path, Follow::Yes)?.map(|found| found.kind)
        };
        if kind == Some(FileKind::File) {
            return Ok(Some(path));
        }
        let known = ["http://", "https://"];
        if !known.iter().any(|scheme| signed_by.starts_with(scheme)) {
            return Ok(None);
        }
        let key = download::key(signed_by, true, self.system)
            .map_err(|error| Error::new(format!("Could not fetch signed_by key: {}", error.message)))?;
        let armoured = key.windows(ARMOUR.len()).any(|window| window == ARMOUR);
        let file = keyring(if armoured { "asc" } else { "gpg" });
        let folder = Path::new(KEYRINGS);
        if self.system.metadata(folder, Follow::Yes)?.is_none() {
            let attributes = Attributes {
                mode: Some(0o755),
                ..Attributes::default()
            };
            self.steps
                .push(Step::CreateDirectory(folder.to_owned(), attributes));
        }
        self.write(&file, key, "0644")?;
        Ok(Some(file))
    }
}

/// The file's name: lower case, blanks as hyphens, nothing but letters, digits and hyphens.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c == '_' || c.is_whitespace() {
            if !slug.ends_with('\u{0}') {
                slug.push('\u{0}');
            }
        } else if c.is_ascii_alphanumeric() || c == '-' {
            slug.push(c);
        }
    }
    slug.replace('\u{0}', "-")
}

/// The fields that are set, by name.
fn stanza(fields: &Map) -> String {
    let mut fields: Vec<(&String, &Value)> = fields
        .iter()
        .filter(|(_, value)| **value != Value::Null)
        .collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    let mut stanza = String::new();
    for (name, value) in fields {
        let text = match value {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::List(items) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
            other => other.to_string(),
        };
        stanza += &[&field_name(name), ":", &field_value(&text), "\n"].concat();
    }
    stanza
}

fn field_name(name: &str) -> String {
    match name {
        "name" => "X-Repolib-Name".to_owned(),
        "uris" => "URIs".to_owned(),
        other => other
            .split('_')
            .map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                first.to_uppercase() + rest
            })
            .collect::<Vec<_>>()
            .join("-"),
    }
}

/// One line, or lines below the name, an empty one written as a dot.
fn field_value(text: &str) -> String {
    if !text.contains('\n') {
        return format!(" {text}");
    }
    text.trim()
        .lines()
        .map(|line| match line.trim() {
            "" => "\n    .".to_owned(),
            line => format!("\n    {line}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure};
    use crate::system::fake::Fake;

    #[test]
    fn a_source_comes_and_goes() {
        let fake = Fake::new();
        fake.directory(SOURCES);
        let outcome = check_agrees::<Deb822Repository>(
            &fake,
            r#"{"name":"My  test_Repo!","uris":"http://deb.example.org","suites":["a","a-updates"],"components":"main",
                "date_max_future":10,"by_hash":true,"signed_by":"BEGIN\n\nend\n"}"#,
        );
        let file = "/etc/apt/sources.list.d/my-test-repo.sources";
        assert_eq!(outcome.values["dest"], file.into());
        insta::assert_snapshot!(fake.text(file), @r"
        By-Hash: yes
        Components: main
        Date-Max-Future: 10
        X-Repolib-Name: My  test_Repo!
        Signed-By:
            BEGIN
            .
            end
        Suites: a a-updates
        Types: deb
        URIs: http://deb.example.org
        ");
        check_agrees::<Deb822Repository>(&fake, r#"{"name":"my test repo","state":"absent"}"#);
        assert!(!fake.listing().contains(file));
    }

    #[test]
    fn a_key_is_fetched() {
        let fake = Fake::new();
        fake.directory(SOURCES)
            .serve(
                "https://example.org/key",
                200,
                "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
            )
            .serve("https://example.org/none", 404, "");
        let arguments = r#"{"name":"x","uris":"http://x","signed_by":"https://example.org/key"}"#;
        let outcome = check_agrees::<Deb822Repository>(&fake, arguments);
        assert_eq!(outcome.values["key_filename"], "/etc/apt/keyrings/x.asc".into());
        assert!(fake.text("/etc/apt/keyrings/x.asc").starts_with("-----BEGIN"));
        assert!(
            fake.text("/etc/apt/sources.list.d/x.sources")
                .contains("Signed-By: /etc/apt/keyrings/x.asc\n")
        );
        assert_eq!(
            failure::<Deb822Repository>(&fake, r#"{"name":"x","signed_by":"https://example.org/none"}"#),
            "Could not fetch signed_by key: HTTP Error 404: Not Found"
        );
    }
}
