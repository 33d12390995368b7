//! Against a registry of a hundred lines that does what it must, or one thing wrong.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use url::Url;

use super::RegistryProbe;
use super::artifact::digest;
use crate::modules::testing::{check, failure, run};
use crate::system::HttpRequest;
use crate::system::fake::{Answer, Fake};

const ARGS: &str = r#"{"url":"http://r:5000/","repository":"a/probe","push":true}"#;

/// What the registry does otherwise than it should: the answer to this method and this part of a path.
type Quirk = (&'static str, &'static str, Answer);

#[derive(Default)]
struct Registry {
    /// By path below the repository.
    stored: RefCell<BTreeMap<String, Vec<u8>>>,
    quirks: RefCell<Vec<Quirk>>,
    /// The only `Authorization` that is let in, and the challenge to all others.
    guard: RefCell<Option<(String, String)>>,
    uploads: Cell<usize>,
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let headers = headers
        .iter()
        .chain(&[("Docker-Distribution-API-Version", "registry/2.0")]);
    Answer {
        status,
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.into(),
    }
}

fn problem(status: u16, code: &str) -> Answer {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"because"}}]}}"#);
    answer(status, &[], body)
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(given, _)| given == name);
    found.map(|(_, value)| value.as_str())
}

impl Registry {
    /// On a machine that reaches it as `r:5000`.
    fn new() -> (Rc<Self>, Fake) {
        let registry = Rc::new(Self::default());
        let fake = Fake::new();
        let serving = Rc::clone(&registry);
        fake.serve_with(move |request| serving.serve(request));
        (registry, fake)
    }

    fn with(quirk: Quirk) -> (Rc<Self>, Fake) {
        let (registry, fake) = Self::new();
        registry.quirks.borrow_mut().push(quirk);
        (registry, fake)
    }

    fn serve(&self, request: &HttpRequest) -> Option<Answer> {
        let url = Url::parse(&request.url).unwrap();
        if url.host_str() != Some("r") {
            return None;
        }
        if let Some((wanted, challenge)) = &*self.guard.borrow()
            && header(request, "Authorization") != Some(wanted)
        {
            return Some(answer(401, &[("WWW-Authenticate", challenge)], ""));
        }
        let quirks = self.quirks.borrow();
        let quirk = quirks
            .iter()
            .find(|(method, part, _)| *method == request.method && url.path().contains(part));
        if let Some((_, _, answer)) = quirk {
            return Some(answer.clone());
        }
        if url.path() == "/v2/" {
            return Some(answer(200, &[], "{}"));
        }
        let path = url.path().strip_prefix("/v2/a/probe/").unwrap();
        Some(self.repository(&request.method, path, &url, &request.body))
    }

    fn repository(&self, method: &str, path: &str, url: &Url, body: &[u8]) -> Answer {
        let mut stored = self.stored.borrow_mut();
        match method {
            "POST" => {
                self.uploads.set(self.uploads.get() + 1);
                answer(202, &[("Location", "/v2/a/probe/blobs/uploads/1?state=x")], "")
            }
            "PUT" if path == "blobs/uploads/1" => {
                let query: BTreeMap<_, _> = url.query_pairs().collect();
                assert_eq!(query["state"], "x", "the Location's parameters are kept");
                assert_eq!(query["digest"], digest(body));
                stored.insert(format!("blobs/{}", query["digest"]), body.to_vec());
                answer(201, &[("Docker-Content-Digest", &digest(body))], "")
            }
            "PUT" => {
                stored.insert(path.to_owned(), body.to_vec());
                stored.insert(format!("manifests/{}", digest(body)), body.to_vec());
                answer(201, &[("Docker-Content-Digest", &digest(body))], "")
            }
            "GET" => match stored.get(path) {
                Some(bytes) => answer(200, &[("Docker-Content-Digest", &digest(bytes))], bytes.clone()),
                None => problem(404, "BLOB_UNKNOWN"),
            },
            "DELETE" => match stored.remove(path) {
                Some(bytes) => {
                    stored.retain(|_, other| *other != bytes);
                    answer(202, &[], "")
                }
                None => problem(404, "BLOB_UNKNOWN"),
            },
            other => panic!("no client does {other}"),
        }
    }
}

#[test]
fn what_works_is_left_as_it_was() {
    let (registry, fake) = Registry::new();
    let outcome = run::<RegistryProbe>(&fake, ARGS);
    let json = serde_json::to_string(&outcome).unwrap();
    insta::assert_snapshot!(json, @r#"{"changed":false,"failed":false,"skipped":false,"values":{"url":"http://r:5000","api_version":"registry/2.0","pushed":true,"repository":"a/probe","tag":"probe-ab19248ff2b316e9","digest":"sha256:cb4fa1a5ad03fb15b7ef0a465bcb81718f2749ebbb492191b6b9b6f5f575755c","deleted":true,"msg":"the registry at http://r:5000 gives back what is pushed to a/probe"}}"#);
    assert_eq!(registry.uploads.get(), 2);
    assert!(registry.stored.borrow().is_empty());
    assert_eq!(fake.requests().len(), 12);
}

#[test]
fn without_push_only_the_api_is_asked_for() {
    let (_, fake) = Registry::new();
    let outcome = run::<RegistryProbe>(&fake, r#"{"url":"http://r:5000","timeout":5}"#);
    assert_eq!(outcome.message(), Some("the registry at http://r:5000 answers"));
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].timeout.as_secs(), 5);
}

#[test]
fn nothing_is_asked_in_check_mode() {
    let (_, fake) = Registry::new();
    let outcome = check::<RegistryProbe>(&fake, ARGS);
    assert!(outcome.skipped && outcome.message().is_some());
    assert!(fake.requests().is_empty());
}

#[test]
fn deleting_may_be_denied() {
    for status in [401, 403, 405] {
        let (registry, fake) = Registry::with(("DELETE", "/manifests/", problem(status, "UNSUPPORTED")));
        for _ in 0..2 {
            let outcome = run::<RegistryProbe>(&fake, ARGS);
            assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
            assert_eq!(outcome.values["deleted"], false.into());
        }
        // Tag, manifest, two blobs: the second time the same.
        assert_eq!(registry.stored.borrow().len(), 4);
    }
}

#[test]
fn failures_name_the_step() {
    let text = |status, body: &str| answer(status, &[], body);
    for (quirk, expected) in [
        (
            ("GET", "/v2/", text(503, "<html>")),
            "cannot ask for the API: GET http://r:5000/v2/ answered 503 Service Unavailable",
        ),
        (
            (
                "GET",
                "/v2/",
                Answer {
                    status: 200,
                    ..Answer::default()
                },
            ),
            "http://r:5000/v2/ answers, but is no registry: its header Docker-Distribution-API-Version is missing, not registry/2.0",
        ),
        (
            ("GET", "/v2/", text(401, "")),
            "cannot ask for the API: GET http://r:5000/v2/ answered 401 Unauthorized; give username and password",
        ),
        (
            ("POST", "/uploads/", problem(403, "DENIED")),
            "cannot start the upload of the config: POST http://r:5000/v2/a/probe/blobs/uploads/ answered 403 Forbidden (DENIED: because)",
        ),
        (
            ("POST", "/uploads/", text(202, "")),
            "cannot upload the config: http://r:5000/v2/a/probe/blobs/uploads/ answered without the Location to send it to",
        ),
        (
            ("PUT", "/manifests/", problem(400, "MANIFEST_INVALID")),
            "cannot push the manifest: PUT http://r:5000/v2/a/probe/manifests/TAG answered 400 Bad Request (MANIFEST_INVALID: because)",
        ),
        (
            (
                "PUT",
                "/uploads/",
                answer(201, &[("docker-content-digest", "sha256:0")], ""),
            ),
            "the config that was uploaded at http://r:5000/v2/a/probe/blobs/uploads/1?state=x&digest=CONFIG is sha256:0, not CONFIG",
        ),
        (
            ("GET", "/manifests/", text(200, "other")),
            "the manifest that was pulled at http://r:5000/v2/a/probe/manifests/TAG is OTHER, not MANIFEST",
        ),
        (
            ("GET", "/blobs/", problem(404, "BLOB_UNKNOWN")),
            "cannot pull the config: GET http://r:5000/v2/a/probe/blobs/CONFIG answered 404 Not Found (BLOB_UNKNOWN: because)",
        ),
        (
            ("DELETE", "/blobs/", text(500, "")),
            "cannot delete the config: DELETE http://r:5000/v2/a/probe/blobs/CONFIG answered 500 Internal Server Error",
        ),
    ] {
        let (_, fake) = Registry::with(quirk);
        let artifact = super::Artifact::new("fake", "http://r:5000");
        let config = &artifact.blobs[0].digest;
        let message = failure::<RegistryProbe>(&fake, ARGS)
            .replace(&config.replace(':', "%3A"), "CONFIG")
            .replace(config, "CONFIG")
            .replace(&artifact.manifest.digest, "MANIFEST")
            .replace(&digest(b"other"), "OTHER")
            .replace(&artifact.tag, "TAG");
        assert_eq!(message, expected);
    }
}

#[test]
fn a_failure_has_its_parts_in_the_result() {
    let (_, fake) = Registry::with(("POST", "/uploads/", problem(429, "TOOMANYREQUESTS")));
    let values = run::<RegistryProbe>(&fake, ARGS).values;
    assert_eq!(values["step"], "start the upload of the config".into());
    assert_eq!(
        (&values["status"], &values["code"]),
        (&429.into(), &"TOOMANYREQUESTS".into())
    );
    assert_eq!(
        failure::<RegistryProbe>(&fake, r#"{"url":"http://down"}"#),
        "cannot ask for the API: GET http://down/v2/: connection refused"
    );
}

#[test]
fn names_and_arguments_are_checked() {
    let fake = Fake::new();
    for (args, message) in [
        (
            r#"{"url":"http://r","push":true}"#,
            "push is True but all of the following are missing: repository",
        ),
        (
            r#"{"url":"http://r","push":true,"repository":"../x"}"#,
            "../x is no name of a repository: lower-case words, with `/`, `.`, `_` or `-` between them",
        ),
        (
            r#"{"url":"http://r","username":"u"}"#,
            "parameters are required together: username, password",
        ),
    ] {
        assert_eq!(failure::<RegistryProbe>(&fake, args), message);
    }
}

#[test]
fn passwords_are_given_when_asked_for() {
    let args = r#"{"url":"http://r:5000","repository":"a/probe","push":true,"username":"u","password":"p"}"#;
    let (registry, fake) = Registry::new();
    *registry.guard.borrow_mut() = Some(("Basic dTpw".to_owned(), "Basic realm=\"r\"".to_owned()));
    let outcome = run::<RegistryProbe>(&fake, args);
    assert!(!outcome.failed, "{outcome:?}");
    assert_eq!(fake.requests().len(), 13, "asked for once");
    *registry.guard.borrow_mut() = Some(("Basic other".to_owned(), "Basic realm=\"r\"".to_owned()));
    assert_eq!(
        failure::<RegistryProbe>(&fake, args),
        "cannot ask for the API: GET http://r:5000/v2/ answered 401 Unauthorized"
    );
}

#[test]
fn tokens_are_fetched_where_the_registry_says() {
    let args = r#"{"url":"http://r:5000","repository":"a/probe","push":true,"username":"u","password":"p"}"#;
    let (registry, fake) = Registry::new();
    let challenge = r#"Bearer realm="http://auth/token",service="r",scope="repository:a/probe:pull,push""#;
    *registry.guard.borrow_mut() = Some(("Bearer t1".to_owned(), challenge.to_owned()));
    fake.serve_with(|request| {
        let url = Url::parse(&request.url)
            .ok()
            .filter(|url| url.host_str() == Some("auth"))?;
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(
            query[1],
            ("scope".to_owned(), "repository:a/probe:pull,push".to_owned())
        );
        assert_eq!(header(request, "Authorization"), Some("Basic dTpw"));
        Some(answer(
            200,
            &[],
            r#"{"token":"t1","access_token":"t1","expires_in":60}"#,
        ))
    });
    let outcome = run::<RegistryProbe>(&fake, args);
    assert!(!outcome.failed, "{outcome:?}");
    let realms = |request: &&HttpRequest| request.url.starts_with("http://auth/");
    assert_eq!(fake.requests().iter().filter(realms).count(), 1);
}

#[test]
fn a_password_is_not_sent_in_the_clear() {
    let fake = Fake::new();
    fake.serve_with(|_| {
        let challenge = [("WWW-Authenticate", "Bearer realm=\"http://auth/token\"")];
        Some(answer(401, &challenge, ""))
    });
    let args = r#"{"url":"https://r","username":"u","password":"p"}"#;
    assert_eq!(
        failure::<RegistryProbe>(&fake, args),
        "cannot get a token for https://r/v2/ from http://auth/token: a password is not sent in the clear"
    );
    assert_eq!(fake.requests().len(), 1);
}
