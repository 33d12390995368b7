//! From method, path and query to an [`Endpoint`]: the whole surface of the server in ONE table, with no I/O.
//!
//! Repository names span path segments, so a path is read from its right end. What is not a valid name,
//! tag, digest or upload id never gets past this module. Nothing but these is copied.

use std::borrow::Cow;

use hyper::Method;
use hyper::header;
use url::form_urlencoded;

use super::digest::{Algorithm, Digest, DigestError};
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
    /// `/v2/token`
    Token,
    PostToken,
    /// `/v2/token/keys`
    TokenKeys,
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
    /// Data follows, in as many requests as the client likes; by a digest of this algorithm, if it says so.
    Session(Option<Algorithm>),
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
    /// Needs nothing at all.
    Open,
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
            Self::Root
            | Self::Base
            | Self::Token
            | Self::PostToken
            | Self::TokenKeys
            | Self::Catalog(_)
            | Self::Probe(_)
            | Self::Metrics => None,
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
            Self::Root
            | Self::Token
            | Self::PostToken
            | Self::TokenKeys
            | Self::Probe(_)
            | Self::Metrics
            | Self::Page(page::Wanted::Style | page::Wanted::Script) => Action::Open,
            Self::Base => Action::Base,
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

/// Where a resource lies.
enum Place {
    /// Exactly here.
    At(&'static str),
    /// Behind a repository's name.
    Behind(&'static str),
    /// Behind a repository's name, and one more segment says which it is.
    Member(&'static str),
    /// Anything from here on; the rest says what.
    Below(&'static str),
}
use Place::{At, Behind, Below, Member};

/// Makes an endpoint of what the path and the query say.
type Reader = fn(&Words<'_>) -> Result<Endpoint, ApiError>;

struct Route {
    place: Place,
    /// HEAD is answered wherever GET is.
    methods: &'static [(Method, Reader)],
}

/// Every resource and what can be done to it. The first place that fits is the one: `blobs/uploads` comes
/// before `blobs`, of which it would else be a member.
#[rustfmt::skip]
static ROUTES: &[Route] = &[
    Route { place: At("/"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Root)),
    ] },
    Route { place: At("/v2/"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Base)),
    ] },
    Route { place: At("/v2"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Base)),
    ] },
    Route { place: At("/v2/token"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Token)),
        (Method::POST, |_| Ok(Endpoint::PostToken)),
    ] },
    Route { place: At("/v2/token/keys"), methods: &[
        (Method::GET, |_| Ok(Endpoint::TokenKeys)),
    ] },
    Route { place: At("/v2/_catalog"), methods: &[
        (Method::GET, |words| Ok(Endpoint::Catalog(words.query.page()?))),
    ] },
    Route { place: Member("/manifests/"), methods: &[
        (Method::GET, |words| Ok(Endpoint::GetManifest(words.repository()?, words.reference()?))),
        (Method::PUT, |words| Ok(Endpoint::PutManifest(words.repository()?, words.reference()?, words.query.tags()?))),
        (Method::DELETE, |words| Ok(Endpoint::DeleteManifest(words.repository()?, words.reference()?))),
    ] },
    Route { place: Behind("/blobs/uploads/"), methods: &[
        (Method::POST, |words| Ok(Endpoint::StartUpload(words.repository()?, words.query.start()?))),
    ] },
    Route { place: Behind("/blobs/uploads"), methods: &[
        (Method::POST, |words| Ok(Endpoint::StartUpload(words.repository()?, words.query.start()?))),
    ] },
    Route { place: Member("/blobs/uploads/"), methods: &[
        (Method::GET, |words| Ok(Endpoint::UploadStatus(words.repository()?, words.upload()?))),
        (Method::PATCH, |words| Ok(Endpoint::AppendUpload(words.repository()?, words.upload()?))),
        (Method::PUT, |words| Ok(Endpoint::FinishUpload(words.repository()?, words.upload()?, words.query.digest()?))),
        (Method::DELETE, |words| Ok(Endpoint::CancelUpload(words.repository()?, words.upload()?))),
    ] },
    Route { place: Member("/blobs/"), methods: &[
        (Method::GET, |words| Ok(Endpoint::GetBlob(words.repository()?, words.digest()?))),
        (Method::DELETE, |words| Ok(Endpoint::DeleteBlob(words.repository()?, words.digest()?))),
    ] },
    Route { place: Behind("/tags/list"), methods: &[
        (Method::GET, |words| Ok(Endpoint::Tags(words.repository()?, words.query.page()?))),
    ] },
    Route { place: Member("/referrers/"), methods: &[
        (Method::GET, |words| Ok(Endpoint::Referrers(words.repository()?, words.digest()?, words.query.referrers()?))),
    ] },
    Route { place: At("/healthz"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Probe(Probe::Alive))),
    ] },
    Route { place: At("/readyz"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Probe(Probe::Ready))),
    ] },
    Route { place: At("/debug/health"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Probe(Probe::Debug))),
    ] },
    Route { place: At("/metrics"), methods: &[
        (Method::GET, |_| Ok(Endpoint::Metrics)),
    ] },
    Route { place: Below("/ui"), methods: &[
        (Method::GET, |words| words.page()),
    ] },
];

/// Reads a request line.
pub fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Endpoint, ApiError> {
    let path = percent_decoded(path).ok_or(Problem::NoSuchEndpoint)?;
    let (route, name, member) = ROUTES
        .iter()
        .find_map(|route| {
            let (name, member) = route.place.find(&path)?;
            Some((route, name, member))
        })
        .ok_or(Problem::NoSuchEndpoint)?;
    let asked = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let found = route.methods.iter().find(|(method, _)| method == asked);
    let (_, reader) = found.ok_or_else(|| not_allowed(route.methods))?;
    reader(&Words {
        name,
        member,
        query: Query(query.unwrap_or("")),
    })
}

impl Place {
    /// The repository's name and the member that a path has, if it lies here.
    fn find<'a>(&self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let named = |head: &'a str| head.strip_prefix("/v2/");
        match *self {
            At(here) => (path == here).then_some(("", "")),
            Behind(tail) => Some((named(path.strip_suffix(tail)?)?, "")),
            Member(tail) => {
                let (head, member) = path.split_at(path.rfind('/')? + 1);
                Some((named(head.strip_suffix(tail)?)?, member))
            }
            Below(top) => {
                let rest = path.strip_prefix(top)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(("", rest))
            }
        }
    }
}

fn not_allowed(methods: &[(Method, Reader)]) -> ApiError {
    let mut allowed = Vec::new();
    for (method, _) in methods {
        allowed.push(method.as_str());
        if method == Method::GET {
            allowed.push(Method::HEAD.as_str());
        }
    }
    let allowed = allowed.join(", ");
    Problem::Unsupported
        .detail(format!("this endpoint answers {allowed}"))
        .header(header::ALLOW, &allowed)
}

/// What a path names, still as text.
struct Words<'a> {
    name: &'a str,
    member: &'a str,
    query: Query<'a>,
}

impl Words<'_> {
    fn repository(&self) -> Result<RepositoryName, ApiError> {
        let name = self.name.parse();
        name.map_err(|error: NameError| Problem::NameInvalid.detail(error.to_string()))
    }

    fn digest(&self) -> Result<Digest, ApiError> {
        digest(self.member)
    }

    fn reference(&self) -> Result<Reference, ApiError> {
        self.member.parse().map_err(|error: NameError| match error {
            NameError::Digest(_) => Problem::DigestInvalid.detail(error.to_string()),
            _ => Problem::TagInvalid.detail(error.to_string()),
        })
    }

    fn page(&self) -> Result<Endpoint, ApiError> {
        let wanted = page::parse(self.member, |key| self.query.get(key));
        Ok(Endpoint::Page(wanted.ok_or(Problem::NoSuchEndpoint)?))
    }

    fn upload(&self) -> Result<UploadId, ApiError> {
        let id = self.member.parse();
        id.map_err(|error: NameError| Problem::UploadUnknown.detail(error.to_string()))
    }
}

fn digest(text: &str) -> Result<Digest, ApiError> {
    let digest = text.parse();
    digest.map_err(|error: DigestError| Problem::DigestInvalid.detail(error.to_string()))
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

    /// The same, where it says something.
    fn filled(&self, key: &str) -> Option<String> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// The digest that the upload shall have.
    fn digest(&self) -> Result<Digest, ApiError> {
        let text = self
            .get("digest")
            .ok_or_else(|| Problem::DigestInvalid.detail("the query parameter `digest` is missing"))?;
        digest(&text)
    }

    fn start(&self) -> Result<Start, ApiError> {
        if let Some(text) = self.get("mount") {
            let digest = digest(&text)?;
            // A source that can not exist is a source that does not have the blob.
            let from = self.get("from").map(|from| from.parse().map_err(|_| ()));
            Ok(match from {
                None => Start::Mount { digest, from: None },
                Some(Ok(from)) => Start::Mount {
                    digest,
                    from: Some(from),
                },
                Some(Err(())) => Start::Session(None),
            })
        } else if let Some(text) = self.get("digest") {
            Ok(Start::Monolithic(digest(&text)?))
        } else {
            Ok(Start::Session(self.algorithm()?))
        }
    }

    /// The algorithm that the digest of an upload will be of, where the client tells it beforehand.
    fn algorithm(&self) -> Result<Option<Algorithm>, ApiError> {
        let Some(name) = self.filled("digest-algorithm") else {
            return Ok(None);
        };
        match Algorithm::from_name(&name) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(Problem::DigestInvalid.detail(DigestError::Algorithm.to_string())),
        }
    }

    fn referrers(&self) -> Result<ReferrersFilter, ApiError> {
        Ok(ReferrersFilter {
            artifact_type: self.filled("artifactType"),
            page: self.page()?,
        })
    }

    fn page(&self) -> Result<Page, ApiError> {
        let count = match self.filled("n") {
            None => None,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                // More digits than a number holds is just a huge number, and clamped like any other.
                Some(text.parse().unwrap_or(usize::MAX))
            }
            Some(text) => return Err(Problem::PageInvalid.detail(text)),
        };
        let last = self.filled("last");
        Ok(Page { count, last })
    }

    /// Each tag once, in the order in which they are named first.
    fn tags(&self) -> Result<Vec<Tag>, ApiError> {
        let mut tags = Vec::new();
        let named = form_urlencoded::parse(self.0.as_bytes()).filter(|(name, _)| name == "tag");
        for (at, (_, text)) in named.enumerate() {
            if at >= MAX_TAGS_PER_PUSH {
                let limit = format!("at most {MAX_TAGS_PER_PUSH} tags in one push");
                return Err(Problem::TooManyTags.detail(limit));
            }
            let tag = text.parse();
            let tag = tag.map_err(|error: NameError| Problem::TagInvalid.detail(error.to_string()))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }
}

/// Undoes `%XX`; none where the result is no text or an escape is broken.
fn percent_decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
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
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("GET", "/v2/token?scope=x", "Token"),
            ("POST", "/v2/token", "PostToken"),
            ("PUT", "/v2/token", "405 UNSUPPORTED"),
            ("GET", "/v2/token/keys", "TokenKeys"),
            (
                "GET",
                "/v2/token/tags/list",
                r#"Tags("token", Page { count: None, last: None })"#,
            ),
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
            ("GET", "/v2/_catalog?n=-1", "400 UNSUPPORTED"),
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
            ("GET", "/v2/a/manifests/.x", "400 MANIFEST_INVALID"),
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
            (
                "POST",
                "/v2/a/blobs/uploads/",
                r#"StartUpload("a", Session(None))"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads",
                r#"StartUpload("a", Session(None))"#,
            ),
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
                r#"StartUpload("a", Session(None))"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?digest-algorithm=sha512",
                r#"StartUpload("a", Session(Some(Sha512)))"#,
            ),
            (
                "POST",
                "/v2/a/blobs/uploads/?digest-algorithm=md5",
                "400 DIGEST_INVALID",
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
}
