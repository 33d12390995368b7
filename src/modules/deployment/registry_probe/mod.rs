//! `registry_probe`: does a registry answer, and does it give back what it was given? A module of our own.
//!
//! It speaks the protocol as any client does and knows nothing of the registry's insides; run on the
//! controller (`delegate_to: localhost`) it proves the way from there. Nothing is changed: what is pushed is
//! taken away again, or, where the registry denies that, is the same the next time.
//!
//! Specification: OCI distribution specification 1.1.

mod artifact;
mod challenge;
mod session;
#[cfg(test)]
mod tests;

use regex::Regex;
use serde::Deserialize;
use url::Url;

use self::artifact::{Artifact, MANIFEST_TYPE, Piece, digest};
use self::session::{Answer, Ask, Session};
use crate::modules::net::web::WebArgs;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::wire::message::{Outcome, Secret};

const API_HEADER: &str = "Docker-Distribution-API-Version";
const API_VERSION: &str = "registry/2.0";

/// From the specification.
const REPOSITORY: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";

pub struct RegistryProbe;

#[derive(Debug, Deserialize)]
pub struct Args {
    url: String,
    ca_path: Option<String>,
    validate_certs: bool,
    use_proxy: bool,
    username: Option<String>,
    password: Option<Secret>,
    repository: Option<String>,
    push: bool,
    timeout: f64,
}

impl Module for RegistryProbe {
    type Args = Args;
    type Change = Args;
    const SPEC: Spec = Spec {
        name: "registry_probe",
        summary: "ask a registry whether it works, by pushing and pulling if wanted",
        args: &[
            Arg::str("url")
                .required()
                .doc("where the registry is, without /v2/"),
            Arg::path("ca_path").doc("PEM file of authorities to trust as well"),
            Arg::bool("validate_certs")
                .default("yes")
                .doc("refuse a server that cannot be verified"),
            Arg::bool("use_proxy")
                .default("yes")
                .doc("honour http_proxy and its kin"),
            Arg::str("username").doc("given if the registry asks for it"),
            Arg::str("password")
                .secret()
                .doc("given if the registry asks for it"),
            Arg::str("repository").doc("where the artifact is pushed to"),
            Arg::bool("push")
                .default("no")
                .doc("push a small artifact, pull it back, delete it"),
            Arg::float("timeout")
                .default("30")
                .doc("seconds of silence until a step fails"),
        ],
        returns: &[
            Return::new("msg", "str", "what was found"),
            Return::new("url", "str", "the registry"),
            Return::new("api_version", "str", "what it says of its interface"),
            Return::new("pushed", "bool", "whether an artifact was pushed and pulled"),
            Return::new("repository", "str", "where it was pushed to").when("push is true"),
            Return::new("tag", "str", "its tag").when("push is true"),
            Return::new("digest", "str", "the digest of its manifest").when("push is true"),
            Return::new("deleted", "bool", "whether it could be deleted").when("push is true"),
            Return::new("step", "str", "what it was doing").when("it failed"),
            Return::new("status", "int", "what was answered").when("it failed by an answer"),
        ],
        example: "- registry_probe:\n    url: https://registry.example.org:5000\n    ca_path: /etc/ssl/registry-ca.pem\n    push: true\n    repository: probe/alive\n",
        free_form: None,
        rules: &[
            Rule::If("push", "True", &["repository"]),
            Rule::Together(&["username", "password"]),
        ],
    };

    fn check(args: Args, _system: &dyn System) -> Result<Plan<Args>, Error> {
        if let Some(name) = args.repository.as_deref()
            && !Regex::new(REPOSITORY).is_ok_and(|valid| valid.is_match(name))
        {
            return Err(Error::new(format!(
                "{name} is no name of a repository: lower-case words, with `/`, `.`, `_` or `-` between them"
            )));
        }
        Ok(Plan::Unknown {
            change: args,
            skipped: Outcome::skipped("remote module (registry_probe) does not support check mode"),
        })
    }

    /// It asks, or does what no later task of the target sees.
    fn foresee(_: &Args) -> Foresight {
        Foresight::Effects(Vec::new())
    }

    fn apply(args: Args, system: &dyn System) -> Result<Outcome, Error> {
        let base = args.url.trim_end_matches('/').to_owned();
        let repository = args.repository.clone().filter(|_| args.push);
        let mut session = args.session(system);
        let version = answers(&mut session, &base)?;
        let outcome = Outcome::ok()
            .with("url", base.as_str())
            .with("api_version", version)
            .with("pushed", repository.is_some());
        let Some(repository) = repository else {
            return Ok(outcome.with("msg", format!("the registry at {base} answers")));
        };
        let artifact = Artifact::new(&system.hostname()?, &base);
        let mut probe = Probe {
            session,
            folder: format!("{base}/v2/{repository}"),
            artifact: &artifact,
        };
        // A failure on the way leaves what was pushed: the next probe, pushing the same, takes it away.
        probe.push()?;
        probe.pull()?;
        let deleted = probe.delete()?;
        Ok(outcome
            .with("repository", repository.as_str())
            .with("tag", artifact.tag.as_str())
            .with("digest", artifact.manifest.digest.as_str())
            .with("deleted", deleted)
            .with(
                "msg",
                format!("the registry at {base} gives back what is pushed to {repository}"),
            ))
    }
}

impl Args {
    fn session(self, system: &dyn System) -> Session<'_> {
        let web = WebArgs {
            http_agent: concat!("regdeploy/", env!("CARGO_PKG_VERSION")).to_owned(),
            validate_certs: self.validate_certs,
            ca_path: self.ca_path,
            use_proxy: self.use_proxy,
            timeout: self.timeout,
            ..WebArgs::of(&self.url)
        };
        Session::new(system, web, self.username.zip(self.password))
    }
}

/// Whether something at the address is a registry; returns what it calls its version.
fn answers(session: &mut Session, base: &str) -> Result<String, Error> {
    let answer = session.ask(&Ask {
        step: "ask for the API".to_owned(),
        method: "GET",
        url: format!("{base}/v2/"),
        headers: Vec::new(),
        body: &[],
        accepted: &[200],
    })?;
    match answer.header(API_HEADER) {
        Some(version) if version.split([',', ' ']).any(|word| word == API_VERSION) => Ok(version.to_owned()),
        other => Err(Error::new(format!(
            "{} answers, but is no registry: its header {API_HEADER} is {}, not {API_VERSION}",
            answer.url,
            other.unwrap_or("missing")
        ))
        .with("step", "ask for the API")
        .with("url", answer.url.as_str())
        .with("status", u32::from(answer.status))),
    }
}

/// One round through a repository.
struct Probe<'a> {
    session: Session<'a>,
    /// The repository's URL.
    folder: String,
    artifact: &'a Artifact,
}

impl Probe<'_> {
    fn push(&mut self) -> Result<(), Error> {
        for blob in &self.artifact.blobs {
            let started = self.session.ask(&Ask {
                step: format!("start the upload of the {}", blob.name),
                method: "POST",
                url: format!("{}/blobs/uploads/", self.folder),
                headers: Vec::new(),
                body: &[],
                accepted: &[202],
            })?;
            let url = upload_url(&started, blob)?;
            let done = self.session.ask(&Ask {
                step: format!("upload the {}", blob.name),
                method: "PUT",
                url,
                headers: vec![("Content-Type", "application/octet-stream")],
                body: &blob.bytes,
                accepted: &[201],
            })?;
            compare(&done, blob, "uploaded")?;
        }
        let (manifest, tag) = (&self.artifact.manifest, &self.artifact.tag);
        let done = self.session.ask(&Ask {
            step: "push the manifest".to_owned(),
            method: "PUT",
            url: format!("{}/manifests/{tag}", self.folder),
            headers: vec![("Content-Type", manifest.media_type)],
            body: &manifest.bytes,
            accepted: &[201],
        })?;
        compare(&done, manifest, "pushed")
    }

    fn pull(&mut self) -> Result<(), Error> {
        let manifest = (
            &self.artifact.manifest,
            format!("manifests/{}", self.artifact.tag),
        );
        let blobs = self.artifact.blobs.iter();
        let blobs = blobs.map(|blob| (blob, format!("blobs/{}", blob.digest)));
        for (piece, path) in [manifest].into_iter().chain(blobs) {
            let answer = self.session.ask(&Ask {
                step: format!("pull the {}", piece.name),
                method: "GET",
                url: format!("{}/{path}", self.folder),
                headers: vec![("Accept", accepted_type(piece))],
                body: &[],
                accepted: &[200],
            })?;
            compare(&answer, piece, "pulled")?;
            let found = digest(&answer.body);
            if found != piece.digest {
                return Err(different(&answer, piece, "pulled", &found));
            }
        }
        Ok(())
    }

    /// Whether all was taken away; a registry may deny it.
    fn delete(&mut self) -> Result<bool, Error> {
        let manifest = (&self.artifact.manifest, "manifests");
        let blobs = self.artifact.blobs.iter().map(|blob| (blob, "blobs"));
        for (piece, kind) in [manifest].into_iter().chain(blobs) {
            let answer = self.session.ask(&Ask {
                step: format!("delete the {}", piece.name),
                method: "DELETE",
                // By digest, so that the tag goes too.
                url: format!("{}/{kind}/{}", self.folder, piece.digest),
                headers: Vec::new(),
                body: &[],
                // 404: another probe was faster. 401, 403, 405: deleting is denied, to this user or to all.
                accepted: &[200, 202, 204, 404, 401, 403, 405],
            })?;
            if matches!(answer.status, 401 | 403 | 405) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn accepted_type(piece: &Piece) -> &'static str {
    if piece.media_type == MANIFEST_TYPE {
        MANIFEST_TYPE
    } else {
        "*/*"
    }
}

/// Where a blob is to be sent.
fn upload_url(started: &Answer, blob: &Piece) -> Result<String, Error> {
    let wrong = |why: String| {
        Error::new(format!("cannot upload the {}: {} {why}", blob.name, started.url))
            .with("step", format!("upload the {}", blob.name))
            .with("url", started.url.as_str())
            .with("status", u32::from(started.status))
    };
    let location = started
        .header("location")
        .ok_or_else(|| wrong("answered without the Location to send it to".to_owned()))?;
    let mut url = Url::parse(&started.url)
        .and_then(|base| base.join(location))
        .map_err(|error| wrong(format!("answered with the Location {location}: {error}")))?;
    url.query_pairs_mut().append_pair("digest", &blob.digest);
    Ok(url.into())
}

/// The digest that an answer tells, if it does.
fn compare(answer: &Answer, piece: &Piece, what: &str) -> Result<(), Error> {
    match answer.header("docker-content-digest") {
        Some(told) if told != piece.digest => Err(different(answer, piece, what, told)),
        _ => Ok(()),
    }
}

fn different(answer: &Answer, piece: &Piece, what: &str, found: &str) -> Error {
    Error::new(format!(
        "the {} that was {what} at {} is {found}, not {}",
        piece.name, answer.url, piece.digest
    ))
    .with("url", answer.url.as_str())
    .with("status", u32::from(answer.status))
    .with("digest", found)
    .with("expected_digest", piece.digest.as_str())
}
