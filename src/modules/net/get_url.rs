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
use crate::modules::net::web::{
    Fetched, Redirections, WebArgs, header, read_body, size_text, status_text, with_web_args,
};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::digest::Hasher;
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Attributes, DigestAlgorithm, FileKind, Follow, Metadata, System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// A list of checksums is no larger.
const MAX_CHECKSUMS: u64 = 4 << 20;

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
    file: FileArgs,
}

enum ChangeKind {
    Attributes(Attributes),
    Content {
        body: Box<dyn Read>,
        expected: Option<Expected>,
        writing: Writing,
    },
}

/// The digest that the file has to have.
#[derive(Debug, Clone)]
struct Expected {
    algorithm: DigestAlgorithm,
    digest: String,
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
            Return::new("checksum_dest", "str", "SHA-1 of what was there"),
            BACKUP_FILE,
        ],
        example: "- get_url:\n    url: https://example.com/app-1.2.tar.gz\n    dest: /srv/app.tar.gz\n    checksum: sha256:https://example.com/SHA256SUMS\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        Check {
            expected: args.expected(system)?,
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
        let mut outcome = attributes::describe(Outcome::changed(true), &change.path, system)?;
        outcome.values.extend(change.values);
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        let sha1 = system.digest(&change.path, DigestAlgorithm::Sha1)?;
        Ok(change.file.warn(
            outcome
                .with("checksum_src", sha1.as_str())
                .with("checksum_dest", sha1),
        ))
    }
}

impl Args {
    fn expected(&self, system: &dyn System) -> Result<Option<Expected>, Error> {
        if self.checksum.is_empty() {
            return Ok(None);
        }
        let wrong = || Error::new("The checksum parameter has to be in format <algorithm>:<checksum>");
        let (name, digest) = self.checksum.split_once(':').ok_or_else(wrong)?;
        let algorithm = DigestAlgorithm::by_name(name.trim()).ok_or_else(wrong)?;
        let digest = digest.trim();
        let digest = if digest.contains("://") {
            self.listed(digest, system)?
        } else {
            digest.to_ascii_lowercase()
        };
        if digest.is_empty() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::new("The checksum format is invalid"));
        }
        Ok(Some(Expected { algorithm, digest }))
    }

    /// The file's line in a published list.
    fn listed(&self, url: &str, system: &dyn System) -> Result<String, Error> {
        let web = WebArgs {
            url: url.to_owned(),
            ..self.web.clone()
        };
        let mut fetched = web.fetch("GET", Redirections::All, system)?.send(system)?;
        if fetched.response.status != 200 {
            return Err(Error::new(format!(
                "cannot fetch the checksums from {url}: {}",
                status_text(fetched.response.status)
            )));
        }
        let text = read_body(&mut fetched.response.body, MAX_CHECKSUMS, url)?;
        let text = String::from_utf8_lossy(&text);
        let name = name_in(&self.web.url).unwrap_or_default();
        find_listed(&text, &name)
            .ok_or_else(|| Error::new(format!("Unable to find a checksum for file '{name}' in '{url}'")))
    }
}

/// `DIGEST  NAME` lines, as `sha256sum` writes them; a lone digest is the file's.
fn find_listed(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if let (Some(only), None) = (lines.next(), lines.next())
        && !only.trim().contains(char::is_whitespace)
    {
        return Some(only.trim().to_ascii_lowercase());
    }
    text.lines().find_map(|line| {
        let (digest, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim_start().trim_start_matches('*').trim_end();
        let file = file.strip_prefix("./").unwrap_or(file);
        (file == name).then(|| digest.to_ascii_lowercase())
    })
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
        let fetched = self.fetch(since)?;
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
        self.finish((!attributes::nothing(missing)).then_some(ChangeKind::Attributes(missing)))
    }

    fn changed(mut self, body: Box<dyn Read>, now: Option<&Metadata>) -> Result<Plan<Change>, Error> {
        if now.is_some() {
            // A link stays, what it points to is replaced.
            self.path = self.system.canonicalize(&self.path)?;
        }
        let wanted = self.args.file.resolve(self.system)?;
        let writing = Writing {
            path: self.path.clone(),
            attributes: wanted.for_write(now),
            backup: self.args.backup,
            validate: None,
            unsafe_writes: wanted.unsafe_writes,
        };
        let expected = self.expected.take();
        self.finish(Some(ChangeKind::Content {
            body,
            expected,
            writing,
        }))
    }

    fn finish(mut self, kind: Option<ChangeKind>) -> Result<Plan<Change>, Error> {
        self.add("dest", self.path.display().to_string().into());
        let mut outcome = attributes::describe(Outcome::changed(kind.is_some()), &self.path, self.system)?;
        outcome.values.extend(self.values.clone());
        let outcome = self.args.file.warn(outcome);
        Ok(match kind {
            None => Plan::Same(outcome),
            Some(kind) => Plan::Change {
                change: Change {
                    path: self.path,
                    kind,
                    values: self.values,
                    file: self.args.file,
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

/// A stream that fails at its end if it was not the expected one: what is written from it never gets its
/// name then.
struct Verified {
    body: Box<dyn Read>,
    hasher: Option<(Hasher, Expected)>,
}

impl Verified {
    fn new(body: Box<dyn Read>, expected: Option<Expected>) -> Self {
        let hasher = expected.map(|expected| (Hasher::new(expected.algorithm), expected));
        Self { body, hasher }
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.body.read(buffer)?;
        if length > 0 {
            if let Some((hasher, _)) = &mut self.hasher {
                hasher.update(&buffer[..length]);
            }
        } else if !buffer.is_empty()
            && let Some((hasher, expected)) = self.hasher.take()
        {
            let found = hasher.finish();
            if found != expected.digest {
                return Err(io::Error::other(format!(
                    "The checksum for the download did not match {}; it was {found}.",
                    expected.digest
                )));
            }
        }
        Ok(length)
    }
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
