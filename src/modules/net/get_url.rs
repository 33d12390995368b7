//! `get_url`: a file from the web, fetched if it is not there or not the same.
//!
//! Whether it is the same is decided while it comes in: as long as the bytes are those of the file that is
//! there, nothing is kept of them. Nothing is fetched twice, and nothing is written by a check.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use url::Url;

use crate::modules::files::attributes::{self, FileArgs};
use crate::modules::files::content::{BACKUP, BACKUP_FILE, Writing};
use crate::modules::files::path::expand;
use crate::modules::files::steps::{Step, afterwards, perform};
use crate::modules::net::checksum::{Expected, Verified};
use crate::modules::net::web::{
    Fetched, Redirections, WebArgs, header, size_text, status_text, with_web_args,
};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Attributes, DigestAlgorithm, FileKind, Follow, Metadata, System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Compared at a time.
const PIECE: usize = 64 << 10;

pub struct GetUrl;

#[derive(Debug, Deserialize)]
pub struct Args {
    dest: String,
    backup: bool,
    force: bool,
    checksum: String,
    #[serde(flatten)]
    web: WebArgs,
    #[serde(flatten)]
    file: FileArgs,
}

/// The decision.
pub struct Change {
    path: PathBuf,
    kind: ChangeKind,
    values: Map,
    /// Flags and label.
    afterwards: Vec<Step>,
}

enum ChangeKind {
    Attributes(Attributes),
    Content {
        body: Box<dyn Read>,
        expected: Option<Expected>,
        writing: Writing,
    },
}

impl Module for GetUrl {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "get_url",
        summary: "download a file",
        args: with_web_args![
            timeout: "10", agent: "ansible-httpget",
            Arg::path("dest").required().doc("file, or folder to put it into"),
            BACKUP,
            Arg::bool("force").aliases(&["thirsty"]).default("no").doc("do not ask whether it has changed since"),
            Arg::str("checksum").default("").doc("ALGORITHM:DIGEST, or ALGORITHM:URL of a list"),
            Arg::path("tmp_dest").doc("accepted; the temporary file is always beside dest"),
            Arg::bool("use_netrc").default("yes").doc("accepted; .netrc is not read"),
            Arg::bool("decompress").default("yes").doc("accepted; compression is never asked for"),
        ],
        returns: &[
            Return::new("dest", "str", "the file"),
            Return::new("url", "str", "where it came from"),
            Return::new("status_code", "int", "the answer's status"),
            Return::new("checksum_src", "str", "SHA-1 of what was sent"),
            Return::new("checksum_dest", "str", "SHA-1 of what was there").when("there was something"),
            Return::new("md5sum", "str", "MD5 of the file").when("it was changed"),
            Return::new("msg", "str", "what the server said"),
            Return::new("elapsed", "int", "seconds until the answer"),
            Return::new(
                "size",
                "int",
                "bytes; also `mode`, `owner`, `group`, `uid`, `gid`, `state`, and `secontext` where there is SELinux",
            ),
            BACKUP_FILE,
        ],
        example: "- get_url:\n    url: https://example.com/app-1.2.tar.gz\n    dest: /srv/app.tar.gz\n    checksum: sha256:https://example.com/SHA256SUMS\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        Check {
            expected: Expected::of(&args.checksum, &args.web, system)?,
            path: expand(&args.dest, system)?,
            values: Map::from([("url".to_owned(), args.web.url.as_str().into())]),
            args,
            system,
        }
        .plan()
    }

    /// Only doing it tells what would be in the file.
    fn foresee(change: &Change) -> Foresight {
        match &change.kind {
            ChangeKind::Attributes(_) => Foresight::Apply,
            ChangeKind::Content { writing, .. } => Foresight::Effects(vec![Effect::Path {
                path: change.path.clone(),
                kind: FileKind::File,
                attributes: writing.attributes,
            }]),
        }
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut backup = None;
        match change.kind {
            ChangeKind::Attributes(missing) => system.set_attributes(&change.path, missing, Follow::Yes)?,
            ChangeKind::Content {
                body,
                expected,
                writing,
            } => {
                let mut body = Verified::new(body, expected);
                backup = writing.write(&mut body, system)?;
            }
        }
        perform(&change.afterwards, system)?;
        let mut outcome = attributes::describe(Outcome::changed(true), &change.path, system)?;
        outcome.values.extend(change.values);
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        Ok(outcome
            .with(
                "checksum_src",
                system.digest(&change.path, DigestAlgorithm::Sha1)?,
            )
            .with("md5sum", system.digest(&change.path, DigestAlgorithm::Md5)?))
    }
}

/// The last part of a URL's path, if it has one.
pub fn name_in(url: &str) -> Option<String> {
    Url::parse(url)
        .ok()?
        .path_segments()?
        .next_back()
        .filter(|name| !name.is_empty())
        .map(|name| {
            url::form_urlencoded::parse(format!("x={}", name.replace('+', "%2B")).as_bytes())
                .next()
                .map_or_else(|| name.to_owned(), |(_, name)| name.replace('/', "_"))
        })
}

/// The name that a server gives a file.
fn offered_name(disposition: &str) -> Option<String> {
    let (_, name) = disposition.split_once("filename=")?;
    let name = name.split(';').next()?.trim().trim_matches('"');
    let name = Path::new(name).file_name()?.to_str()?;
    Some(name.to_owned())
}

/// The decision in the making.
struct Check<'a> {
    args: Args,
    expected: Option<Expected>,
    path: PathBuf,
    values: Map,
    system: &'a dyn System,
}

impl Check<'_> {
    fn plan(mut self) -> Result<Plan<Change>, Error> {
        let mut now = self.system.metadata(&self.path, Follow::Yes)?;
        let folder =
            now.as_ref().is_some_and(|now| now.kind == FileKind::Directory) || self.args.dest.ends_with('/');
        let mut conditional = !self.args.force && !folder;
        if let (Some(now), Some(expected)) = (&now, &self.expected)
            && !folder
        {
            let same = self.system.digest(&self.path, expected.algorithm)? == expected.digest;
            if same && !self.args.force {
                return self.unchanged(&now.clone(), "file already exists");
            }
            conditional &= same;
        }
        let since = now.as_ref().filter(|_| conditional).map(|now| now.modified);
        let started = self.system.now();
        let fetched = self.fetch(since)?;
        let elapsed = self.system.now().duration_since(started).unwrap_or_default();
        self.add("elapsed", elapsed.as_secs().into());
        if fetched.response.status == 304
            && let Some(now) = now
        {
            self.add("status_code", 304.into());
            return self.unchanged(&now, &status_text(304));
        }
        if fetched.response.status != 200 {
            return Err(self.refusal(&fetched));
        }
        if folder {
            let name = header(&fetched.response, "content-disposition")
                .and_then(offered_name)
                .or_else(|| name_in(&fetched.url))
                .unwrap_or_else(|| "index.html".to_owned());
            self.path.push(name);
            now = self.system.metadata(&self.path, Follow::Yes)?;
        }
        self.require_parent()?;
        self.add("status_code", 200.into());
        self.add("msg", size_text(&fetched.response).into());
        let now = now.filter(|now| now.kind == FileKind::File);
        let body = match &now {
            None => fetched.response.body,
            Some(_) => match difference(&self.path, fetched.response.body, self.system)? {
                Some(body) => body,
                None => return self.same(now.as_ref()),
            },
        };
        self.changed(body, now.as_ref())
    }

    fn add(&mut self, key: &str, value: Value) {
        self.values.insert(key.to_owned(), value);
    }

    fn fetch(&self, since: Option<SystemTime>) -> Result<Fetched, Error> {
        let mut fetch = self.args.web.fetch("GET", Redirections::All, self.system)?;
        if let Some(since) = since.and_then(|since| jiff::Timestamp::try_from(since).ok()) {
            let date = since.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            fetch.header("If-Modified-Since", &date);
        }
        if self.args.force {
            fetch.header("Cache-Control", "no-cache");
        }
        fetch.send(self.system).map_err(|error| {
            Error::new(format!("Request failed: {error}"))
                .with("elapsed", 0)
                .with("dest", self.path.display().to_string())
                .with("url", self.args.web.url.as_str())
                .with("status_code", -1)
        })
    }

    fn refusal(&self, fetched: &Fetched) -> Error {
        let text = status_text(fetched.response.status);
        Error::new(format!("Request failed: {text}"))
            .with("dest", self.path.display().to_string())
            .with("url", self.args.web.url.as_str())
            .with("status_code", u32::from(fetched.response.status))
            .with("response", text)
            .with("elapsed", self.values.get("elapsed").cloned().unwrap_or_default())
    }

    fn require_parent(&self) -> Result<(), Error> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        let found = self.system.metadata(parent, Follow::Yes)?;
        if found.is_some_and(|found| found.kind == FileKind::Directory) {
            return Ok(());
        }
        Err(Error::new(format!(
            "Destination {} does not exist",
            parent.display()
        )))
    }

    fn same(self, now: Option<&Metadata>) -> Result<Plan<Change>, Error> {
        let message = self.values.get("msg").map(Value::to_string).unwrap_or_default();
        match now {
            Some(now) => self.unchanged(now, &message),
            None => Err(Error::new("the file went away while it was compared")),
        }
    }

    /// The content stays; owner and mode may not.
    fn unchanged(mut self, now: &Metadata, message: &str) -> Result<Plan<Change>, Error> {
        self.add("msg", message.into());
        let missing = self.args.file.resolve(self.system)?.missing(now);
        let afterwards = afterwards(&self.args.file, &self.path, self.system)?;
        let amiss = !attributes::nothing(missing) || !afterwards.is_empty();
        self.finish(amiss.then_some(ChangeKind::Attributes(missing)), afterwards)
    }

    fn changed(mut self, body: Box<dyn Read>, now: Option<&Metadata>) -> Result<Plan<Change>, Error> {
        let before = match now {
            // A link stays, what it points to is replaced.
            Some(_) => {
                self.path = self.system.canonicalize(&self.path)?;
                Value::from(self.system.digest(&self.path, DigestAlgorithm::Sha1)?)
            }
            None => Value::Null,
        };
        self.add("checksum_dest", before);
        let wanted = self.args.file.resolve(self.system)?;
        let writing = Writing {
            path: self.path.clone(),
            attributes: wanted.for_write(now),
            backup: self.args.backup,
            validate: None,
            unsafe_writes: wanted.unsafe_writes,
        };
        let expected = self.expected.take();
        let afterwards = afterwards(&self.args.file, &self.path, self.system)?;
        let content = ChangeKind::Content {
            body,
            expected,
            writing,
        };
        self.finish(Some(content), afterwards)
    }

    fn finish(mut self, kind: Option<ChangeKind>, afterwards: Vec<Step>) -> Result<Plan<Change>, Error> {
        self.add("dest", self.path.display().to_string().into());
        let mut outcome = attributes::describe(Outcome::changed(kind.is_some()), &self.path, self.system)?;
        outcome.values.extend(self.values.clone());
        Ok(match kind {
            None => Plan::Same(outcome),
            Some(kind) => Plan::Change {
                change: Change {
                    path: self.path,
                    kind,
                    values: self.values,
                    afterwards,
                },
                predicted: outcome,
            },
        })
    }
}

/// The whole new content, if it is not the file's: what they share is read from the file again.
fn difference(
    path: &Path,
    mut body: Box<dyn Read>,
    system: &dyn System,
) -> Result<Option<Box<dyn Read>>, Error> {
    let failed = |error| SystemError::path("compare with the download", path, error);
    let mut old = system.open(path)?;
    let mut shared: u64 = 0;
    loop {
        let new = piece(&mut body).map_err(failed)?;
        let mut now = Vec::with_capacity(new.len());
        let wanted = if new.is_empty() { 1 } else { new.len() as u64 };
        (&mut old).take(wanted).read_to_end(&mut now).map_err(failed)?;
        if new != now {
            let head = system.open(path)?.take(shared);
            return Ok(Some(Box::new(head.chain(Cursor::new(new)).chain(body))));
        }
        if new.is_empty() {
            return Ok(None);
        }
        shared += new.len() as u64;
    }
}

fn piece(body: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE);
    body.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::digest::digest_bytes;
    use crate::system::fake::{Answer, Fake};

    fn sha256(text: &str) -> String {
        digest_bytes(text.as_bytes(), DigestAlgorithm::Sha256)
    }

    #[test]
    fn fetches_what_is_not_there_or_differs() {
        let fake = Fake::new();
        fake.directory("/opt")
            .serve("http://r/tool-1.tgz?x=1", 200, "one");
        let args = r#"{"url":"http://r/tool-1.tgz?x=1","dest":"/opt","mode":"0600"}"#;
        let outcome = check_agrees::<GetUrl>(&fake, args);
        assert_eq!(outcome.values["dest"], "/opt/tool-1.tgz".into());
        assert_eq!(outcome.values["mode"], "0600".into());
        assert_eq!(outcome.values["msg"], "OK (unknown bytes)".into());
        for new in ["two", "onetwo", "on", ""] {
            fake.serve("http://r/tool-1.tgz?x=1", 200, new);
            check_agrees::<GetUrl>(&fake, args);
            assert_eq!(fake.text("/opt/tool-1.tgz"), new);
        }
    }

    #[test]
    fn long_files_are_told_apart_at_any_place() {
        let fake = Fake::new();
        let old = vec![7; 3 * PIECE];
        fake.file("/f", old.clone());
        let mut new = old;
        new[2 * PIECE + 5] = 8;
        let served = new.clone();
        fake.serve_with(move |_| {
            Some(Answer {
                status: 200,
                body: served.clone(),
                ..Answer::default()
            })
        });
        check_agrees::<GetUrl>(&fake, r#"{"url":"http://r/f","dest":"/f","backup":true}"#);
        assert_eq!(fake.read(Path::new("/f")).unwrap(), new);
    }

    #[test]
    fn asks_only_for_what_is_newer() {
        let fake = Fake::new();
        fake.file("/f", "old").serve_with(|request| {
            let since = request
                .headers
                .iter()
                .find(|(name, _)| name == "If-Modified-Since");
            let date = since.map(|(_, value)| value.as_str());
            let same = date == Some("Tue, 14 Nov 2023 22:13:20 GMT");
            Some(Answer {
                status: if same { 304 } else { 200 },
                body: b"new".to_vec(),
                ..Answer::default()
            })
        });
        let outcome = run::<GetUrl>(&fake, r#"{"url":"http://r/f","dest":"/f"}"#);
        assert_eq!(
            (outcome.changed, &outcome.values["status_code"]),
            (false, &304.into())
        );
        assert!(run::<GetUrl>(&fake, r#"{"url":"http://r/f","dest":"/f","force":true}"#).changed);
    }

    #[test]
    fn checksums_are_held_against_it() {
        let fake = Fake::new();
        fake.serve("http://r/f", 200, "good").serve(
            "http://r/SHA256SUMS",
            200,
            &format!("{}  other\n{} *./f\n", sha256("bad"), sha256("good")),
        );
        let wrong = format!(
            r#"{{"url":"http://r/f","dest":"/f","checksum":"sha256:{}"}}"#,
            sha256("bad")
        );
        let message = failure::<GetUrl>(&fake, &wrong);
        assert!(message.contains("did not match"), "{message}");
        check_agrees::<GetUrl>(
            &fake,
            r#"{"url":"http://r/f","dest":"/f","checksum":"sha256:http://r/SHA256SUMS"}"#,
        );
        let right = format!(
            r#"{{"url":"http://r/f","dest":"/f","checksum":"sha256:{}"}}"#,
            sha256("good")
        );
        let before = fake.requests().len();
        assert_eq!(
            run::<GetUrl>(&fake, &right).message(),
            Some("file already exists")
        );
        assert_eq!(
            fake.requests().len(),
            before,
            "what has the right digest is not asked for"
        );
        fake.file("/f", "spoilt");
        check_agrees::<GetUrl>(&fake, &right);
    }

    #[test]
    fn refuses_with_reasons() {
        let fake = Fake::new();
        fake.serve("http://r/no", 404, "").serve("http://r/f", 200, "x");
        for (args, message) in [
            (
                r#"{"url":"http://r/no","dest":"/f"}"#,
                "Request failed: HTTP Error 404: Not Found",
            ),
            (
                r#"{"url":"http://r/f","dest":"/no/f"}"#,
                "Destination /no does not exist",
            ),
            (
                r#"{"url":"http://r/f","dest":"/f","checksum":"abc"}"#,
                "The checksum parameter has to be in format <algorithm>:<checksum>",
            ),
            (
                r#"{"url":"http://r/f","dest":"/f","checksum":"sha256:xyz"}"#,
                "The checksum format is invalid",
            ),
            (
                r#"{"url":"http://r/f","dest":"/f","checksum":"sha256:http://r/no"}"#,
                "cannot fetch the checksums from http://r/no: HTTP Error 404: Not Found",
            ),
        ] {
            assert_eq!(failure::<GetUrl>(&fake, args), message);
        }
        assert!(check::<GetUrl>(&fake, r#"{"url":"http://down/","dest":"/f"}"#).failed);
    }

    #[test]
    fn names_that_servers_offer_stay_in_the_folder() {
        assert_eq!(
            offered_name("attachment; filename=\"../../etc/x\""),
            Some("x".to_owned())
        );
        assert_eq!(offered_name("inline"), None);
        assert_eq!(name_in("http://r/a/b%20c?d"), Some("b c".to_owned()));
        assert_eq!(name_in("http://r/"), None);
    }
}
