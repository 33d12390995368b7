//! From method, path and query to an [`Endpoint`]: the whole surface of the server, with no I/O.
//!
//! Repository names span path segments, so a path is read from its right end. What is not a valid name,
//! tag, digest or upload id never gets past this module.

use hyper::Method;
use hyper::header;
use url::form_urlencoded;

use super::digest::Digest;
use super::error::{ApiError, Problem};
use super::health::Probe;
use super::name::{NameError, Reference, RepositoryName, Tag, UploadId};
use super::page;

/// One request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/`: nothing is here, but people and load balancers ask.
    Root,
    /// `/v2/`
    Base,
    Catalog(Page),
    Tags(RepositoryName, Page),
    GetManifest(RepositoryName, Reference),
    PutManifest(RepositoryName, Reference, Vec<Tag>),
    DeleteManifest(RepositoryName, Reference),
    GetBlob(RepositoryName, Digest),
    DeleteBlob(RepositoryName, Digest),
    StartUpload(RepositoryName, Start),
    UploadStatus(RepositoryName, UploadId),
    AppendUpload(RepositoryName, UploadId),
    FinishUpload(RepositoryName, UploadId, Digest),
    CancelUpload(RepositoryName, UploadId),
    Referrers(RepositoryName, Digest, ReferrersFilter),
    /// `/healthz` and its like
    Probe(Probe),
    /// `/metrics`
    Metrics,
    /// `/ui/`
    Page(page::Wanted),
}

/// Part of a listing: up to `count` entries that come after `last`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    pub count: Option<usize>,
    pub last: Option<String>,
}

/// The three ways in which an upload starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Session,
    /// The body is the whole blob.
    Monolithic(Digest),
    /// Take the blob from `from`; without it, from wherever this registry has it, which is optional.
    Mount {
        digest: Digest,
        from: Option<RepositoryName>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferrersFilter {
    pub artifact_type: Option<String>,
    pub page: Page,
}

/// What an endpoint does to a repository: what access rules speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Needs nothing beyond being let in.
    Base,
    Catalog,
    Pull,
    Push,
    Delete,
}

impl Endpoint {
    /// The repository that it is about.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Root | Self::Base | Self::Catalog(_) | Self::Probe(_) | Self::Metrics => None,
            Self::Page(wanted) => wanted.repository(),
            Self::Tags(name, ..)
            | Self::GetManifest(name, ..)
            | Self::PutManifest(name, ..)
            | Self::DeleteManifest(name, ..)
            | Self::GetBlob(name, ..)
            | Self::DeleteBlob(name, ..)
            | Self::StartUpload(name, ..)
            | Self::UploadStatus(name, ..)
            | Self::AppendUpload(name, ..)
            | Self::FinishUpload(name, ..)
            | Self::CancelUpload(name, ..)
            | Self::Referrers(name, ..) => Some(name),
        }
    }

    pub fn action(&self) -> Action {
        match self {
            Self::Root | Self::Base | Self::Probe(_) | Self::Metrics => Action::Base,
            Self::Page(page::Wanted::Style | page::Wanted::Script) => Action::Base,
            Self::Catalog(_) | Self::Page(page::Wanted::Repositories { .. }) => Action::Catalog,
            Self::Page(_)
            | Self::Tags(..)
            | Self::GetManifest(..)
            | Self::GetBlob(..)
            | Self::Referrers(..) => Action::Pull,
            // Cancelling one's own upload is part of pushing: podman does it after a refused mount.
            Self::PutManifest(..)
            | Self::StartUpload(..)
            | Self::UploadStatus(..)
            | Self::AppendUpload(..)
            | Self::FinishUpload(..)
            | Self::CancelUpload(..) => Action::Push,
            Self::DeleteManifest(..) | Self::DeleteBlob(..) => Action::Delete,
        }
    }
}

/// Reads a request line.
pub fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Endpoint, ApiError> {
    let path = percent_decoded(path).ok_or(Problem::NoSuchEndpoint)?;
    let query = Query(query.unwrap_or(""));
    if path == "/" {
        return only_get(method, || Ok(Endpoint::Root));
    }
    let Some(rest) = path.strip_prefix("/v2") else {
        return beside(method, &path, &query);
    };
    match rest {
        "" | "/" => return only_get(method, || Ok(Endpoint::Base)),
        "/_catalog" => return only_get(method, || Ok(Endpoint::Catalog(query.page()?))),
        _ => {}
    }
    let rest = rest.strip_prefix('/').ok_or(Problem::NoSuchEndpoint)?;
    let (head, last) = rest.rsplit_once('/').ok_or(Problem::NoSuchEndpoint)?;
    // Longest ending first: `blobs/uploads/<id>` would else be a blob of a repository `.../blobs`.
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return if last.is_empty() {
            start(method, name, &query)
        } else {
            upload(method, name, last, &query)
        };
    }
    let (name, collection) = head.rsplit_once('/').ok_or(Problem::NoSuchEndpoint)?;
    match (collection, last) {
        ("tags", "list") => only_get(method, || Ok(Endpoint::Tags(repository(name)?, query.page()?))),
        ("manifests", reference) => manifest(method, name, reference, &query),
        ("blobs", "uploads") => start(method, name, &query),
        ("blobs", digest) => blob(method, name, digest),
        ("referrers", digest) => only_get(method, || {
            let filter = ReferrersFilter {
                artifact_type: query.get("artifactType"),
                page: query.page()?,
            };
            Ok(Endpoint::Referrers(
                repository(name)?,
                parse_digest(digest)?,
                filter,
            ))
        }),
        _ => Err(Problem::NoSuchEndpoint.into()),
    }
}

/// What is no part of the protocol.
fn beside(method: &Method, path: &str, query: &Query) -> Result<Endpoint, ApiError> {
    let page = || page::parse(path.strip_prefix("/ui")?, |key| query.get(key)).map(Endpoint::Page);
    let endpoint = match path {
        "/metrics" => Some(Endpoint::Metrics),
        _ => Probe::at(path).map(Endpoint::Probe).or_else(page),
    };
    match endpoint {
        Some(endpoint) => only_get(method, || Ok(endpoint)),
        None => Err(Problem::NoSuchEndpoint.into()),
    }
}

fn manifest(method: &Method, name: &str, reference: &str, query: &Query) -> Result<Endpoint, ApiError> {
    let name = repository(name)?;
    let reference = reference.parse().map_err(|error: NameError| match error {
        NameError::Digest(_) => Problem::DigestInvalid.detail(error.to_string()),
        _ => Problem::TagInvalid.detail(error.to_string()),
    })?;
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::GetManifest(name, reference)),
        Method::PUT => Ok(Endpoint::PutManifest(name, reference, query.tags()?)),
        Method::DELETE => Ok(Endpoint::DeleteManifest(name, reference)),
        _ => Err(not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

fn blob(method: &Method, name: &str, digest: &str) -> Result<Endpoint, ApiError> {
    let name = repository(name)?;
    let digest = parse_digest(digest)?;
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::GetBlob(name, digest)),
        Method::DELETE => Ok(Endpoint::DeleteBlob(name, digest)),
        _ => Err(not_allowed("GET, HEAD, DELETE")),
    }
}

fn start(method: &Method, name: &str, query: &Query) -> Result<Endpoint, ApiError> {
    if method != Method::POST {
        return Err(not_allowed("POST"));
    }
    let digest_of = |key| query.get(key).map(|text| parse_digest(&text)).transpose();
    let start = if let Some(digest) = digest_of("mount")? {
        // A source that can not exist is a source that does not have the blob.
        let from = query.get("from").map(|from| from.parse().map_err(|_| ()));
        match from {
            None => Start::Mount { digest, from: None },
            Some(Ok(from)) => Start::Mount {
                digest,
                from: Some(from),
            },
            Some(Err(())) => Start::Session,
        }
    } else if let Some(digest) = digest_of("digest")? {
        Start::Monolithic(digest)
    } else {
        Start::Session
    };
    Ok(Endpoint::StartUpload(repository(name)?, start))
}

fn upload(method: &Method, name: &str, id: &str, query: &Query) -> Result<Endpoint, ApiError> {
    let name = repository(name)?;
    let id: UploadId = id
        .parse()
        .map_err(|error: NameError| Problem::UploadUnknown.detail(error.to_string()))?;
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::UploadStatus(name, id)),
        Method::PATCH => Ok(Endpoint::AppendUpload(name, id)),
        Method::PUT => {
            let digest = query
                .get("digest")
                .ok_or_else(|| Problem::DigestInvalid.detail("the query parameter `digest` is missing"))?;
            Ok(Endpoint::FinishUpload(name, id, parse_digest(&digest)?))
        }
        Method::DELETE => Ok(Endpoint::CancelUpload(name, id)),
        _ => Err(not_allowed("GET, HEAD, PATCH, PUT, DELETE")),
    }
}

fn only_get(
    method: &Method,
    endpoint: impl FnOnce() -> Result<Endpoint, ApiError>,
) -> Result<Endpoint, ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        endpoint()
    } else {
        Err(not_allowed("GET, HEAD"))
    }
}

fn not_allowed(methods: &str) -> ApiError {
    Problem::Unsupported
        .detail(format!("this endpoint answers {methods}"))
        .header(header::ALLOW, methods)
}

fn repository(name: &str) -> Result<RepositoryName, ApiError> {
    name.parse()
        .map_err(|error: NameError| Problem::NameInvalid.detail(error.to_string()))
}

fn parse_digest(digest: &str) -> Result<Digest, ApiError> {
    digest
        .parse()
        .map_err(|error: super::digest::DigestError| Problem::DigestInvalid.detail(error.to_string()))
}

/// The query string, read on demand.
struct Query<'a>(&'a str);

/// Tags that one manifest push may carry: distribution-spec asks for at least ten.
const MAX_TAGS_PER_PUSH: usize = 64;

impl Query<'_> {
    fn get(&self, key: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    }

    fn page(&self) -> Result<Page, ApiError> {
        let count = match self.get("n") {
            None => None,
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                // More digits than a number holds is just a huge number, and clamped like any other.
                Some(text.parse().unwrap_or(usize::MAX))
            }
            Some(text) => return Err(Problem::PageInvalid.detail(text)),
        };
        let last = self.get("last").filter(|last| !last.is_empty());
        Ok(Page { count, last })
    }

    fn tags(&self) -> Result<Vec<Tag>, ApiError> {
        let tags: Vec<Tag> = form_urlencoded::parse(self.0.as_bytes())
            .filter(|(name, _)| name == "tag")
            .map(|(_, value)| value.parse())
            .collect::<Result<_, NameError>>()
            .map_err(|error| Problem::TagInvalid.detail(error.to_string()))?;
        if tags.len() > MAX_TAGS_PER_PUSH {
            return Err(Problem::TagInvalid.detail(format!("at most {MAX_TAGS_PER_PUSH} tags in one push")));
        }
        Ok(tags)
    }
}

/// Undoes `%XX`; none where the result is no text or an escape is broken.
fn percent_decoded(path: &str) -> Option<String> {
    if !path.contains('%') {
        return Some(path.to_owned());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut nibble = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (nibble()?, nibble()?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::digest::Algorithm;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

    fn shown(method: &str, uri: &str) -> String {
        let uri = uri.replace("HEX", HEX).replace("ID", ID);
        let (path, query) = uri
            .split_once('?')
            .map_or((uri.as_str(), None), |(p, q)| (p, Some(q)));
        match route(&method.parse().unwrap(), path, query) {
            Ok(endpoint) => format!("{endpoint:?}").replace(HEX, "HEX").replace(ID, "ID"),
            Err(error) => format!("{} {}", error.problem.status().as_u16(), error.problem.code()),
        }
    }

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "a table with a row for each form of request"
    )]
    fn the_table() {
        for (method, uri, expected) in [
            ("GET", "/", "Root"),
            ("GET", "/v2", "Base"),
            ("HEAD", "/v2/", "Base"),
            ("POST", "/v2/", "405 UNSUPPORTED"),
            ("GET", "/v3/", "404 UNSUPPORTED"),
            ("GET", "/healthz", "Probe(Alive)"),
            ("PUT", "/metrics", "405 UNSUPPORTED"),
            (
                "GET",
                "/ui/r/a/b:v1",
                r#"Page(Image { name: "a/b", reference: Tag("v1") })"#,
            ),
            ("GET", "/ui/r/../b", "404 UNSUPPORTED"),
            (
                "GET",
                "/v2/_catalog?n=5&last=a%2Fb",
                r#"Catalog(Page { count: Some(5), last: Some("a/b") })"#,
            ),
            ("GET", "/v2/_catalog?n=-1", "400 PAGINATION_NUMBER_INVALID"),
            (
                "GET",
                "/v2/a/tags/list?n=99999999999999999999999",
                r#"Tags("a", Page { count: Some(18446744073709551615), last: None })"#,
            ),
            (
                "GET",
                "/v2/a/b/c/manifests/v1",
                r#"GetManifest("a/b/c", Tag("v1"))"#,
            ),
            (
                "GET",
                "/v2/a/manifests/sha256:HEX",
                r#"GetManifest("a", Digest(sha256:HEX))"#,
            ),
            (
                "GET",
                "/v2/a/manifests/sha256%3AHEX",
                r#"GetManifest("a", Digest(sha256:HEX))"#,
            ),
            (
                "GET",
                "/v2/a/manifests/manifests/manifests/x",
                r#"GetManifest("a/manifests/manifests", Tag("x"))"#,
            ),
            ("GET", "/v2/a/manifests/.x", "400 TAG_INVALID"),
            ("GET", "/v2/a/manifests/md5:00", "400 DIGEST_INVALID"),
            ("GET", "/v2/A/manifests/x", "400 NAME_INVALID"),
            ("GET", "/v2/../../etc/manifests/x", "400 NAME_INVALID"),
            ("GET", "/v2/%2e%2e/manifests/x", "400 NAME_INVALID"),
            ("PATCH", "/v2/a/manifests/x", "405 UNSUPPORTED"),
            (
                "PUT",
                "/v2/a/manifests/x?tag=y&tag=z",
                r#"PutManifest("a", Tag("x"), ["y", "z"])"#,
            ),
            ("DELETE", "/v2/a/manifests/x", r#"DeleteManifest("a", Tag("x"))"#),
            ("HEAD", "/v2/a/blobs/sha256:HEX", r#"GetBlob("a", sha256:HEX)"#),
            (
                "DELETE",
                "/v2/a/blobs/sha256:HEX",
                r#"DeleteBlob("a", sha256:HEX)"#,
            ),
            ("GET", "/v2/a/blobs/sha1:HEX", "400 DIGEST_INVALID"),
            ("POST", "/v2/a/blobs/uploads/", r#"StartUpload("a", Session)"#),
            ("POST", "/v2/a/blobs/uploads", r#"StartUpload("a", Session)"#),
            ("GET", "/v2/a/blobs/uploads/", "405 UNSUPPORTED"),
            (
                "POST",
                "/v2/a/blobs/uploads/?digest=sha256:HEX",
                r#"StartUpload("a", Monolithic(sha256:HEX))"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?digest=sha256:12",
                "400 DIGEST_INVALID",
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?mount=sha256:HEX&from=b/c",
                r#"StartUpload("a", Mount { digest: sha256:HEX, from: Some("b/c") })"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?mount=sha256:HEX",
                r#"StartUpload("a", Mount { digest: sha256:HEX, from: None })"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?mount=sha256:HEX&from=../x",
                r#"StartUpload("a", Session)"#,
            ),
            ("PATCH", "/v2/a/blobs/uploads/ID", r#"AppendUpload("a", "ID")"#),
            (
                "PUT",
                "/v2/a/blobs/uploads/ID?digest=sha256:HEX",
                r#"FinishUpload("a", "ID", sha256:HEX)"#,
            ),
            ("PUT", "/v2/a/blobs/uploads/ID", "400 DIGEST_INVALID"),
            ("GET", "/v2/a/blobs/uploads/x", "404 BLOB_UPLOAD_UNKNOWN"),
            ("DELETE", "/v2/a/blobs/uploads/ID", r#"CancelUpload("a", "ID")"#),
            ("GET", "/v2/a/referrers/x", "400 DIGEST_INVALID"),
            (
                "GET",
                "/v2/a/referrers/sha256:HEX?artifactType=a%2Fb",
                r#"Referrers("a", sha256:HEX, ReferrersFilter { artifact_type: Some("a/b"), page: Page { count: None, last: None } })"#,
            ),
            ("GET", "/v2/a/%ff/list", "404 UNSUPPORTED"),
            ("GET", "/v2/a/%4", "404 UNSUPPORTED"),
        ] {
            assert_eq!(shown(method, uri), expected, "{method} {uri}");
        }
    }

    /// Random paths out of the router's own words: it never panics, and whatever it accepts is clean.
    #[test]
    fn fuzz() {
        let words = [
            "/",
            "/",
            "/",
            "v2",
            "/v2/",
            "a",
            "..",
            ".",
            "_",
            "%2e",
            "%",
            "%zz",
            "blobs",
            "uploads",
            "manifests",
            "tags",
            "list",
            "referrers",
            "_catalog",
            "sha256:",
            HEX,
            ID,
            "\0",
            "é",
            "A",
            "latest",
        ];
        let methods = [
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ];
        let mut accepted = 0;
        for round in 0..40_000_u32 {
            let dice = Digest::of(Algorithm::Sha256, &round.to_le_bytes());
            let mut numbers = dice
                .hex()
                .as_bytes()
                .chunks(2)
                .map(|pair| usize::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            let method = &methods[numbers.next().unwrap() % methods.len()];
            let length = numbers.next().unwrap() % 12;
            let path: String = numbers.take(length).map(|n| words[n % words.len()]).collect();
            let path = format!("/v2/a{path}");
            if let Ok(endpoint) = route(method, &path, None) {
                accepted += 1;
                let shown = format!("{endpoint:?}");
                // A tag may hold two dots; no path segment may be them.
                let segments = shown.split(['/', '"']);
                assert!(
                    segments.clone().all(|s| s != ".." && s != "."),
                    "{path} -> {shown}"
                );
                assert!(!shown.contains("\\0"), "{path} -> {shown}");
            }
        }
        assert!(accepted > 0, "the fuzzer reaches the accepting paths");
    }
}
