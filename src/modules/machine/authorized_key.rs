//! `authorized_key`: the keys with which an account may be logged in to. After `ansible.posix.authorized_key`.
//!
//! Lines that are no keys stay where they are. Deliberately no judgement of keys and options: what sshd does not understand it passes
//! over. Specification: sshd(8), `AUTHORIZED_KEYS FILE FORMAT`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::file::missing_folders;
use crate::modules::files::path;
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::machine::text_file;
use crate::modules::net::web::{Redirections, WebArgs, read_body};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Attributes, FileKind, Follow, System, User};
use crate::wire::message::Outcome;

pub struct AuthorizedKey;

/// A list of keys has no more bytes than this.
const MAX_KEYS: u64 = 16 * 1024 * 1024;

/// What the second field of a key can be.
const TYPES: &[&str] = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-xmss-cert-v01@openssh.com",
    "ssh-xmss@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
];

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    user: String,
    key: String,
    path: Option<String>,
    manage_dir: bool,
    state: String,
    key_options: Option<String>,
    exclusive: bool,
    comment: Option<String>,
    validate_certs: bool,
    follow: bool,
}

#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for AuthorizedKey {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "authorized_key",
        summary: "keep the keys that let people log in to an account",
        args: &[
            Arg::str("user").required().doc("the account"),
            Arg::str("key")
                .required()
                .doc("one key or several, a line each; or where they are: an http, https or file URL on the target"),
            Arg::path("path").doc("the file; ~/.ssh/authorized_keys of the account unless given"),
            Arg::bool("manage_dir")
                .default("yes")
                .doc("make the file's folder, and give it to the account alone"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether the keys are there"),
            Arg::str("key_options").doc("what is put before each key, instead of what it comes with"),
            Arg::bool("exclusive").default("no").doc("whether all other lines go"),
            Arg::str("comment").doc("what is put behind each key, instead of what it comes with"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("refuse servers of a URL that cannot be verified"),
            Arg::bool("follow")
                .default("no")
                .doc("write through a link instead of replacing it"),
        ],
        returns: &[
            Return::new("keyfile", "str", "the file"),
            Return::new("key", "str", "as it was given; so are all other arguments, by their names"),
        ],
        example: "- authorized_key:\n    user: deploy\n    key: \"{{ lookup('file', 'deploy.pub') }}\"\n    exclusive: true\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let users = system.users()?;
        let user = users.iter().find(|user| user.name == args.user).ok_or_else(|| {
            Error::new(format!(
                "Failed to lookup user {0}: \"getpwnam(): name not found: '{0}'\"",
                args.user
            ))
        })?;
        let file = match &args.path {
            Some(path) => path::expand(path, system)?,
            None => user.home.join(".ssh/authorized_keys"),
        };
        let is_file = system
            .metadata(&file, Follow::Yes)?
            .is_some_and(|found| found.kind == FileKind::File);
        let before = if is_file {
            text_file::read(&file, system)?
        } else {
            String::new()
        };
        let mut lines = parse(&before);
        let changed = args.edit(&given(&args, system)?, &mut lines)?;
        let outcome = args.describe(&file);
        let outcome = Outcome { changed, ..outcome };
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        let after: String = lines.iter().map(Line::text).collect();
        let header = file.display().to_string();
        let diff = text_diff((&header, before.as_bytes()), (&header, after.as_bytes()));
        let steps = steps(&args, user, &file, after, system)?;
        let predicted = outcome.clone().with_diff(diff);
        Ok(Plan::Change {
            change: Change { steps, outcome },
            predicted,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        Ok(change.outcome)
    }
}

impl Args {
    /// Whether anything had to be changed.
    fn edit(&self, given: &str, lines: &mut Vec<Line>) -> Result<bool, Error> {
        let mut changed = false;
        let mut wanted = Vec::new();
        for text in given
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let Some(mut key) = Key::parse(text) else {
                return Err(Error::new(format!("invalid key specified: {text}")));
            };
            if let Some(options) = &self.key_options {
                key.options = options_of(options);
            }
            if let Some(comment) = &self.comment {
                key.comment.clone_from(comment);
            }
            let at = lines.iter().position(|line| line.is(&key.data));
            let same = at.is_some_and(|at| matches!(&lines[at], Line::Key(old) if old.equals(&key)));
            let present = self.state == "present";
            if let Some(at) = at.filter(|_| !present || !same) {
                lines.remove(at);
                changed = true;
            }
            wanted.push(key.data.clone());
            if present && !same {
                lines.push(Line::Key(key));
                changed = true;
            }
        }
        if self.exclusive && self.state == "present" {
            let before = lines.len();
            lines.retain(|line| wanted.iter().any(|data| line.is(data)));
            changed |= lines.len() != before;
        }
        Ok(changed)
    }

    fn describe(&self, file: &Path) -> Outcome {
        Outcome::ok()
            .with("user", self.user.as_str())
            .with("key", self.key.as_str())
            .with("path", self.path.clone())
            .with("manage_dir", self.manage_dir)
            .with("state", self.state.as_str())
            .with("key_options", self.key_options.clone())
            .with("exclusive", self.exclusive)
            .with("comment", self.comment.clone())
            .with("validate_certs", self.validate_certs)
            .with("follow", self.follow)
            .with("keyfile", file.display().to_string())
    }
}

/// The text of the keys, wherever it is.
fn given(args: &Args, system: &dyn System) -> Result<String, Error> {
    let key = &args.key;
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| Error::new(format!("what is at {key} is no text")))
    };
    if key.starts_with("http") {
        let failure = |why: String| Error::new(format!("Error getting key from: {key}")).with("reason", why);
        let web = WebArgs {
            validate_certs: args.validate_certs,
            ..WebArgs::of(key)
        };
        let mut fetched = web
            .fetch("GET", Redirections::Safe, system)?
            .send(system)
            .map_err(|error| failure(error.to_string()))?;
        if fetched.response.status != 200 {
            return Err(failure(format!("status {}", fetched.response.status)));
        }
        return text(read_body(&mut *fetched.response.body, MAX_KEYS, key)?);
    }
    let Some(path) = key.strip_prefix("file:") else {
        return Ok(key.clone());
    };
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    match system.metadata(&path, Follow::Yes)? {
        None => Err(Error::new(format!(
            "Path to a key file not found: {}",
            path.display()
        ))),
        Some(found) if found.kind != FileKind::File => Err(Error::new(format!(
            "Path to a key is a directory and must be a file: {}",
            path.display()
        ))),
        Some(_) => text(system.read(&path)?),
    }
}

/// What puts the text into the file, and gives file and folder to the account alone.
fn steps(
    args: &Args,
    user: &User,
    file: &Path,
    after: String,
    system: &dyn System,
) -> Result<Vec<Step>, Error> {
    let only = |mode| Attributes {
        mode: Some(mode),
        uid: Some(user.uid),
        gid: Some(user.gid),
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut steps = Vec::new();
    if args.manage_dir {
        steps.push(match system.metadata(folder, Follow::Yes)? {
            None => Step::CreateDirectory(folder.to_owned(), only(0o700)),
            Some(_) => Step::Attributes(folder.to_owned(), only(0o700), Follow::Yes),
        });
    } else {
        let missing = missing_folders(folder, system)?;
        steps.extend(
            missing
                .into_iter()
                .map(|folder| Step::CreateDirectory(folder, Attributes::default())),
        );
    }
    let there = system.metadata(file, Follow::No)?.is_some();
    let path = if args.follow && there {
        system.canonicalize(file)?
    } else {
        file.to_owned()
    };
    let writing = Writing {
        path,
        attributes: only(0o600),
        ..Writing::default()
    };
    steps.push(Step::Write(writing, Source::Bytes(after.into_bytes())));
    Ok(steps)
}

/// A line of the file.
#[derive(Debug)]
enum Line {
    Key(Key),
    /// A comment, or what is not understood; with its line end.
    Other(String),
}

impl Line {
    fn text(&self) -> String {
        match self {
            Self::Other(line) => line.clone(),
            Self::Key(key) => key.text(),
        }
    }

    fn is(&self, data: &str) -> bool {
        matches!(self, Self::Key(key) if key.data == data)
    }
}

type Options = Vec<(String, Option<String>)>;

#[derive(Debug)]
struct Key {
    options: Options,
    kind: String,
    data: String,
    comment: String,
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let line = line.replace(r"\#", "#");
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| TYPES.contains(word))?;
        if words[0] == "#" {
            return None;
        }
        Some(Self {
            options: options_of(&words[..at].join(" ")),
            kind: words[at].to_owned(),
            data: (*words.get(at + 1)?).to_owned(),
            comment: words[at + 2..].join(" "),
        })
    }

    fn text(&self) -> String {
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            })
            .collect();
        let space = if options.is_empty() { "" } else { " " };
        format!(
            "{}{space}{} {} {}\n",
            options.join(","),
            self.kind,
            self.data,
            self.comment
        )
    }

    /// Options may stand in any order.
    fn equals(&self, other: &Self) -> bool {
        let sorted = |key: &Self| {
            let mut options = key.options.clone();
            options.sort_by(|one, other| one.0.cmp(&other.0));
            options
        };
        (&self.kind, &self.data, &self.comment) == (&other.kind, &other.data, &other.comment)
            && sorted(self) == sorted(other)
    }
}

/// Options are separated by commas outside quotes.
fn options_of(text: &str) -> Options {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (None, ',') => {
                parts.push(String::new());
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (part, None),
        })
        .collect()
}

/// A key that is there twice counts once, at its last place.
fn parse(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.split_inclusive('\n') {
        let parsed = match Key::parse(line) {
            Some(key) => Line::Key(key),
            None => Line::Other(line.to_owned()),
        };
        lines.retain(|known| match (known, &parsed) {
            (Line::Key(known), Line::Key(key)) => known.data != key.data,
            (Line::Other(known), Line::Other(line)) => known != line,
            _ => true,
        });
        lines.push(parsed);
    }
    if let Some(Line::Other(last)) = lines.last_mut()
        && !last.ends_with('\n')
    {
        last.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const FILE: &str = "/home/ann/.ssh/authorized_keys";

    fn fake(text: &str) -> Fake {
        let fake = Fake::new();
        fake.directory("/home/ann");
        if !text.is_empty() {
            fake.file(FILE, text);
        }
        fake
    }

    #[test]
    fn a_new_account_gets_a_folder_of_its_own() {
        let fake = fake("");
        check_agrees::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"ssh-ed25519 AAAA ann@home"}"#);
        assert_eq!(fake.text(FILE), "ssh-ed25519 AAAA ann@home\n");
        let listing = fake.listing();
        assert!(listing.contains("/home/ann/.ssh 0700 1000:1000"), "{listing}");
        assert!(listing.contains("authorized_keys 0600 1000:1000"), "{listing}");
    }

    #[test]
    fn keys_are_added_changed_and_removed_among_others() {
        let fake = fake("# mine\nssh-rsa BBBB old comment\n\nno key\n");
        check_agrees::<AuthorizedKey>(
            &fake,
            "{\"user\":\"ann\",\"key\":\"ssh-rsa CCCC c\\n# no\\n\\nno-pty,from=\\\"a,b\\\" ssh-rsa BBBB new\"}",
        );
        assert_eq!(
            fake.text(FILE),
            "# mine\n\nno key\nssh-rsa CCCC c\nno-pty,from=\"a,b\" ssh-rsa BBBB new\n"
        );
        let other_order = r#"{"user":"ann","key":"from=\"a,b\",no-pty ssh-rsa BBBB new"}"#;
        assert!(!run::<AuthorizedKey>(&fake, other_order).changed);
        check_agrees::<AuthorizedKey>(
            &fake,
            r#"{"user":"ann","key":"ssh-rsa BBBB","key_options":"command=\"x y\"","comment":"c"}"#,
        );
        assert!(fake.text(FILE).ends_with("\ncommand=\"x y\" ssh-rsa BBBB c\n"));
        check_agrees::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"ssh-rsa BBBB","state":"absent"}"#);
        assert_eq!(fake.text(FILE), "# mine\n\nno key\nssh-rsa CCCC c\n");
    }

    #[test]
    fn exclusive_keys_are_alone() {
        let fake = fake("# mine\nssh-rsa BBBB b\nssh-rsa CCCC c");
        check_agrees::<AuthorizedKey>(
            &fake,
            "{\"user\":\"ann\",\"key\":\"ssh-rsa CCCC c\\nssh-rsa DDDD d\",\"exclusive\":true}",
        );
        assert_eq!(fake.text(FILE), "ssh-rsa CCCC c\nssh-rsa DDDD d\n");
    }

    #[test]
    fn keys_come_from_elsewhere() {
        let fake = fake("");
        fake.serve(
            "https://example.org/ann.keys",
            200,
            "ssh-rsa AAAA\nssh-rsa BBBB b\n",
        )
        .file("/srv/ann.pub", "ssh-rsa CCCC\n");
        check_agrees::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"https://example.org/ann.keys"}"#);
        check_agrees::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"file:///srv/ann.pub"}"#);
        assert_eq!(fake.text(FILE), "ssh-rsa AAAA \nssh-rsa BBBB b\nssh-rsa CCCC \n");
        assert_eq!(
            failure::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"https://example.org/none"}"#),
            "Error getting key from: https://example.org/none"
        );
        assert_eq!(
            failure::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"file:///none"}"#),
            "Path to a key file not found: /none"
        );
    }

    #[test]
    fn links_are_replaced_or_followed() {
        let fake = fake("");
        fake.file("/srv/keys", "").link(FILE, "/srv/keys");
        let follow = r#"{"user":"ann","key":"ssh-rsa AAAA a","follow":true,"manage_dir":false}"#;
        check_agrees::<AuthorizedKey>(&fake, follow);
        assert_eq!(fake.text("/srv/keys"), "ssh-rsa AAAA a\n");
        check_agrees::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"ssh-rsa BBBB b"}"#);
        assert_eq!(fake.text("/srv/keys"), "ssh-rsa AAAA a\n");
        assert!(fake.listing().contains("authorized_keys 0600 1000:1000 file"));
    }

    #[test]
    fn refusals() {
        let fake = fake("");
        assert_eq!(
            failure::<AuthorizedKey>(&fake, r#"{"user":"bob","key":"ssh-rsa A"}"#),
            "Failed to lookup user bob: \"getpwnam(): name not found: 'bob'\""
        );
        assert_eq!(
            failure::<AuthorizedKey>(&fake, r#"{"user":"ann","key":"nonsense"}"#),
            "invalid key specified: nonsense"
        );
    }
}
