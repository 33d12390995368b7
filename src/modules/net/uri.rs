//! `uri`: one request over HTTP(S) from the target, and what came back. How bodies are written is in [`body`](super::body).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::modules::files::attributes::{self, FileArgs};
use crate::modules::files::content::Writing;
use crate::modules::files::path::expand;
use crate::modules::files::steps::{afterwards, perform};
use crate::modules::net::body;
use crate::modules::net::web::{
    Fetch, Fetched, Redirections, WebArgs, header, read_body, size_text, status_text, with_web_args,
};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::digest::digest_bytes;
use crate::system::foresight::Foresight;
use crate::system::{DigestAlgorithm, FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Answers are held in memory, and have to fit into a result where they are returned.
const MAX_BODY: u64 = 16 << 20;

/// Answers whose type holds one of these are parsed.
const JSON_TYPES: [&str; 2] = ["json", "javascript"];

pub struct Uri;

#[derive(Debug, Deserialize)]
pub struct Args {
    method: String,
    body: Option<Value>,
    body_format: String,
    src: Option<String>,
    digest: Option<String>,
    status_code: Vec<Value>,
    return_content: bool,
    follow_redirects: String,
    dest: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    unix_socket: Option<String>,
    #[serde(flatten)]
    web: WebArgs,
    #[serde(flatten)]
    file: FileArgs,
}

#[derive(Debug)]
pub struct Change {
    fetch: Fetch,
    accepted: Vec<u16>,
    return_content: bool,
    dest: Option<PathBuf>,
    file: FileArgs,
}

impl Module for Uri {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "uri",
        summary: "talk to a web service",
        args: with_web_args![
            timeout: "30", agent: "ansible-httpget",
            Arg::str("method").default("GET").doc("the request's method"),
            Arg::raw("body").doc("what is sent"),
            Arg::str("body_format")
                .choices(&["raw", "json", "form-urlencoded", "form-multipart"])
                .default("raw")
                .doc("how a body that is no text is written"),
            Arg::path("src").doc("a file of the controller that is sent"),
            Arg::bool("remote_src").default("no").doc("src is on the target, and so are the files of a form"),
            Arg::str("digest").doc("set by the controller, not by playbooks"),
            Arg::list("status_code").default("200").doc("the statuses that are a success"),
            Arg::bool("return_content").default("no").doc("put the answer's body into the result"),
            Arg::str("follow_redirects")
                .choices(&["all", "none", "safe", "urllib2", "no", "yes"])
                .default("safe")
                .doc("which redirections are followed"),
            Arg::path("dest").doc("file or folder that the answer is written to"),
            Arg::path("creates").doc("skip if this is there"),
            Arg::path("removes").doc("skip if this is not there"),
            Arg::path("unix_socket").doc("talk over this socket"),
            Arg::bool("force").default("no").doc("accepted; nothing is ever taken from a cache"),
            Arg::bool("use_netrc").default("yes").doc("accepted; .netrc is not read"),
            Arg::bool("decompress").default("yes").doc("accepted; compression is never asked for"),
        ],
        returns: &[
            Return::new("status", "int", "the answer's status"),
            Return::new("url", "str", "where it came from, after redirections"),
            Return::new("redirected", "bool", "whether there were any"),
            Return::new("content", "str", "the body").when("return_content, or it failed"),
            Return::new("json", "dict", "the body").when("it is JSON"),
            Return::new("path", "str", "where the body was put").when("dest"),
            Return::new("elapsed", "int", "seconds that it took"),
            Return::new("msg", "str", "what the server said"),
            Return::new("cookies", "dict", "the cookies that it set, by name"),
            Return::new("cookies_string", "str", "the same, as a header `Cookie` has them"),
            Return::new("size", "int", "bytes; also `mode`, `owner`, `group`, `uid`, `gid`, `state`, and `secontext` where there is SELinux")
                .when("dest"),
        ],
        example: "- uri:\n    url: https://app.example/health\n    return_content: true\n  register: health\n  until: health.status == 200\n  retries: 10\n- uri:\n    url: https://app.example/api/users\n    method: POST\n    body_format: json\n    body: {name: ann}\n    status_code: [200, 201]\n",
        free_form: None,
        rules: &[Rule::Exclusive(&["body", "src"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let there = |path: &str| -> Result<bool, Error> {
            let path = expand(path, system)?;
            Ok(system.metadata(&path, Follow::Yes)?.is_some())
        };
        if let Some(creates) = &args.creates
            && there(creates)?
        {
            return Ok(Plan::Same(
                Outcome::ok().with("stdout", format!("skipped, since '{creates}' exists")),
            ));
        }
        if let Some(removes) = &args.removes
            && !there(removes)?
        {
            return Ok(Plan::Same(
                Outcome::ok().with("stdout", format!("skipped, since '{removes}' does not exist")),
            ));
        }
        let redirections = match args.follow_redirects.as_str() {
            "all" | "yes" => Redirections::All,
            "none" | "no" => Redirections::None,
            _ => Redirections::Safe,
        };
        let mut fetch = args
            .web
            .fetch(&args.method.to_uppercase(), redirections, system)?;
        fetch.request.unix_socket = args
            .unix_socket
            .as_deref()
            .map(|path| expand(path, system))
            .transpose()?;
        args.body(&mut fetch, system)?;
        let change = Change {
            fetch,
            accepted: statuses(&args.status_code)?,
            return_content: args.return_content,
            dest: args
                .dest
                .as_deref()
                .map(|dest| expand(dest, system))
                .transpose()?,
            file: args.file,
        };
        let skipped = Outcome::skipped("remote module (uri) does not support check mode");
        Ok(Plan::Unknown { change, skipped })
    }

    /// It asks, or does what no later task of the target sees.
    fn foresee(_: &Change) -> Foresight {
        Foresight::Effects(Vec::new())
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

impl Args {
    fn body(&self, fetch: &mut Fetch, system: &dyn System) -> Result<(), Error> {
        if let Some(src) = &self.src {
            fetch.request.body = match &self.digest {
                Some(digest) => body::held(digest, system)?,
                None => system.read(&expand(src, system)?)?,
            };
        }
        if let Some(given) = &self.body {
            let (bytes, kind) = body::written(given, &self.body_format, system)?;
            fetch.request.body = bytes;
            if self.body_format == "form-multipart" {
                // Only we know what divides the fields.
                let headers = &mut fetch.request.headers;
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            }
            if let Some(kind) = kind.filter(|_| !fetch.has_header("content-type")) {
                fetch.header("Content-Type", &kind);
            }
        }
        if !fetch.request.body.is_empty() && !fetch.has_header("content-type") {
            // As Python sends what it is told nothing of.
            fetch.header("Content-Type", body::FORM);
        }
        Ok(())
    }
}

fn statuses(values: &[Value]) -> Result<Vec<u16>, Error> {
    values
        .iter()
        .map(|value| {
            let text = value.to_string();
            text.trim()
                .parse()
                .map_err(|_| Error::new(format!("status_code must be a list of numbers, got: {text}")))
        })
        .collect()
}

impl Change {
    fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        let url = self.fetch.request.url.clone();
        let started = system.now();
        let elapsed = || system.now().duration_since(started).unwrap_or_default().as_secs();
        let fetched = match self.fetch.clone().send(system) {
            Ok(fetched) => fetched,
            Err(error) => {
                let why = format!("Request failed: {error}");
                return Err(self
                    .refused(-1, &why)
                    .with("status", -1)
                    .with("url", url)
                    .with("redirected", false)
                    .with("elapsed", elapsed()));
            }
        };
        let Fetched {
            mut response,
            url,
            redirected,
        } = fetched;
        let mut values = headers(&response.headers);
        values.extend(cookies(&response.headers));
        if let Some(location) = header(&response, "location")
            && let Some(whole) = Url::parse(&url).ok().and_then(|url| url.join(location).ok())
        {
            values.insert("location".to_owned(), whole.as_str().into());
        }
        let mut add = |key: &str, value: Value| {
            values.insert(key.to_owned(), value);
        };
        add("status", u32::from(response.status).into());
        add("url", url.as_str().into());
        add("redirected", redirected.into());
        let body = read_body(&mut response.body, MAX_BODY, &url)?;
        add("elapsed", elapsed().into());
        let text = String::from_utf8_lossy(&body).into_owned();
        let kind = header(&response, "content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        if JSON_TYPES.iter().any(|json| kind.contains(json))
            && let Ok(json) = serde_json::from_str::<Value>(&text)
        {
            add("json", json);
        }
        if self.return_content {
            add("content", text.into());
        }
        let why = if response.status < 300 {
            size_text(&response)
        } else {
            status_text(response.status)
        };
        if !self.accepted.contains(&response.status) {
            let mut error = self.refused(response.status.into(), &why);
            error.values = values;
            return Err(error);
        }
        add("msg", why.into());
        let mut outcome = Outcome::ok();
        if let Some(dest) = &self.dest {
            let path = destination(dest, &url, system)?;
            outcome.changed = self.save(&path, &body, system)?;
            outcome = attributes::describe(outcome, &path, system)?;
            values.insert("path".to_owned(), path.display().to_string().into());
        }
        outcome.values.extend(values);
        Ok(outcome)
    }

    fn refused(&self, status: i32, why: &str) -> Error {
        let accepted: Vec<String> = self.accepted.iter().map(u16::to_string).collect();
        Error::new(format!(
            "Status code was {status} and not [{}]: {why}",
            accepted.join(", ")
        ))
    }

    fn save(&self, path: &Path, body: &[u8], system: &dyn System) -> Result<bool, Error> {
        let wanted = self.file.resolve(system)?;
        let now = system.metadata(path, Follow::Yes)?;
        let sha1 = DigestAlgorithm::Sha1;
        if let Some(now) = &now
            && now.size == body.len() as u64
            && system.digest(path, sha1)? == digest_bytes(body, sha1)
        {
            let missing = wanted.missing(now);
            system.set_attributes(path, missing, Follow::Yes)?;
            let afterwards = afterwards(&self.file, path, system)?;
            perform(&afterwards, system)?;
            return Ok(!attributes::nothing(missing) || !afterwards.is_empty());
        }
        let writing = Writing {
            path: path.to_owned(),
            attributes: wanted.for_write(now.as_ref()),
            ..Writing::default()
        };
        writing.write(&mut &body[..], system)?;
        perform(&afterwards(&self.file, path, system)?, system)?;
        Ok(true)
    }
}

/// A folder gets a file that is called as the URL's last part.
fn destination(dest: &Path, url: &str, system: &dyn System) -> Result<PathBuf, Error> {
    let found = system.metadata(dest, Follow::Yes)?;
    if found.is_none_or(|found| found.kind != FileKind::Directory) {
        return Ok(dest.to_owned());
    }
    let name = crate::modules::net::get_url::name_in(url).unwrap_or_else(|| "index.html".to_owned());
    Ok(dest.join(name))
}

/// The cookies of an answer, by name and as a client sends them back.
fn cookies(headers: &[(String, String)]) -> Map {
    let mut cookies = Map::new();
    for (name, value) in headers {
        if let Some((cookie, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
            && name.eq_ignore_ascii_case("set-cookie")
        {
            cookies.insert(cookie.trim().to_owned(), value.trim().trim_matches('"').into());
        }
    }
    let pairs: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Map::from([
        ("cookies".to_owned(), cookies.into()),
        ("cookies_string".to_owned(), pairs.join("; ").into()),
    ])
}

/// Header names as keys of a result: `Content-Type` is `content_type`. What comes twice is joined.
fn headers(headers: &[(String, String)]) -> Map {
    let mut values = Map::new();
    for (name, value) in headers {
        let key = name.to_ascii_lowercase().replace('-', "_");
        let joined = match values.get(&key) {
            Some(first) => format!("{first}, {value}"),
            None => value.clone(),
        };
        values.insert(key, joined.into());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::{Answer, Fake};

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.into(),
        }
    }

    #[test]
    fn tells_what_came_back() {
        let fake = Fake::new();
        fake.serve_with(|_| {
            let headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", "8"),
                ("Docker-Version", "2"),
            ];
            Some(answer(200, &headers, "{\"a\": 1}"))
        });
        let outcome = run::<Uri>(&fake, r#"{"url":"http://r/v2/","return_content":true}"#);
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"content_type":"application/json","content_length":"8","docker_version":"2","cookies":{},"cookies_string":"","status":200,"url":"http://r/v2/","redirected":false,"elapsed":0,"json":{"a":1},"content":"{\"a\": 1}","msg":"OK (8 bytes)"}"#);
        assert!(!outcome.changed);
    }

    #[test]
    fn another_status_is_a_failure() {
        let fake = Fake::new();
        fake.serve("http://r/", 404, "no");
        assert_eq!(
            failure::<Uri>(&fake, r#"{"url":"http://r/"}"#),
            "Status code was 404 and not [200]: HTTP Error 404: Not Found"
        );
        assert!(!run::<Uri>(&fake, r#"{"url":"http://r/","status_code":[200,404]}"#).failed);
        assert!(!run::<Uri>(&fake, r#"{"url":"http://r/","status_code":"200, 404"}"#).failed);
        let outcome = run::<Uri>(&fake, r#"{"url":"http://down/"}"#);
        assert_eq!(outcome.values["status"], (-1).into());
        assert_eq!(
            outcome.message(),
            Some(
                "Status code was -1 and not [200]: Request failed: cannot reach http://down/: connection refused"
            )
        );
    }

    #[test]
    fn bodies_are_written_as_asked() {
        for (args, body, kind) in [
            (
                r#""body":{"a":[1]},"body_format":"json""#,
                r#"{"a": [1]}"#,
                Some("application/json"),
            ),
            (
                r#""body":{"a":"x y","b":["1","2"]},"body_format":"form-urlencoded""#,
                "a=x+y&b=1&b=2",
                Some("application/x-www-form-urlencoded"),
            ),
            (
                r#""body":"plain""#,
                "plain",
                Some("application/x-www-form-urlencoded"),
            ),
        ] {
            let fake = Fake::new();
            fake.serve("http://r/", 200, "");
            run::<Uri>(&fake, &format!(r#"{{"url":"http://r/","method":"post",{args}}}"#));
            let request = &fake.requests()[0];
            assert_eq!(
                (request.method.as_str(), request.body.as_slice()),
                ("POST", body.as_bytes())
            );
            let sent = request.headers.iter().find(|(name, _)| name == "Content-Type");
            assert_eq!(sent.map(|(_, value)| value.as_str()), kind);
        }
    }

    #[test]
    fn redirections_are_followed_and_credentials_stay_home() {
        let fake = Fake::new();
        fake.serve("http://r/end", 200, "")
            .serve("http://other/", 200, "")
            .serve_with(|request| {
                let to = match request.url.as_str() {
                    "http://r/start" => "/end",
                    "http://r/away" => "http://other/",
                    _ => return None,
                };
                Some(answer(302, &[("Location", to)], ""))
            });
        let outcome = run::<Uri>(&fake, r#"{"url":"http://r/start"}"#);
        assert_eq!(
            (&outcome.values["url"], &outcome.values["redirected"]),
            (&"http://r/end".into(), &true.into())
        );
        let refused = failure::<Uri>(&fake, r#"{"url":"http://r/start","follow_redirects":"none"}"#);
        assert_eq!(
            refused,
            "Status code was 302 and not [200]: HTTP Error 302: Found"
        );
        run::<Uri>(&fake, r#"{"url":"http://u:p@r/away","force_basic_auth":true}"#);
        let sent = |request: &crate::system::HttpRequest| {
            request.headers.iter().any(|(name, _)| name == "Authorization")
        };
        let requests = fake.requests();
        let (first, last) = (&requests[requests.len() - 2], &requests[requests.len() - 1]);
        assert!(sent(first) && !sent(last));
        assert_eq!(first.url, "http://r/away");
    }

    #[test]
    fn credentials_are_given_when_asked_for() {
        let fake = Fake::new();
        fake.serve_with(|request| {
            let given = request
                .headers
                .iter()
                .any(|(name, value)| name == "Authorization" && value == "Basic dTpw");
            Some(answer(if given { 200 } else { 401 }, &[], ""))
        });
        assert!(
            !run::<Uri>(
                &fake,
                r#"{"url":"http://r/","url_username":"u","url_password":"p"}"#
            )
            .failed
        );
        assert_eq!(fake.requests().len(), 2);
        assert!(
            run::<Uri>(
                &fake,
                r#"{"url":"http://r/","url_username":"u","url_password":"wrong"}"#
            )
            .failed
        );
    }

    #[test]
    fn answers_are_saved_once() {
        let fake = Fake::new();
        fake.directory("/srv").serve("http://r/x.txt", 200, "text");
        let args = r#"{"url":"http://r/x.txt","dest":"/srv","mode":"0600"}"#;
        let outcome = run::<Uri>(&fake, args);
        assert!(outcome.changed);
        assert_eq!(fake.text("/srv/x.txt"), "text");
        assert!(!run::<Uri>(&fake, args).changed);
    }

    #[test]
    fn nothing_is_asked_in_check_mode_or_if_skipped() {
        let fake = Fake::new();
        fake.file("/done", "");
        assert!(check::<Uri>(&fake, r#"{"url":"http://r/"}"#).skipped);
        let outcome = run::<Uri>(&fake, r#"{"url":"http://r/","creates":"/done"}"#);
        assert_eq!(outcome.values["stdout"], "skipped, since '/done' exists".into());
        assert!(fake.requests().is_empty());
        assert!(failure::<Uri>(&fake, r#"{"url":"not a url"}"#).starts_with("not a url is not a URL: "));
    }
}
