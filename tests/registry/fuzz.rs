//! The router, the manifest parser and the HTTP server, given what nobody should send.
//!
//! Random bytes, and a corpus of real requests and manifests that is mutated. Every run has another seed, which
//! it prints; `REGDEPLOY_SEED` repeats one, and `REGDEPLOY_FUZZ` says how many inputs are tried.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hyper::Method;
use regdeploy::registry::manifest::{Manifest, MediaType, acceptable};
use regdeploy::registry::range;
use regdeploy::registry::route::{Endpoint, Page, Start, route};
use url::form_urlencoded;

use super::dice::{Dice, count};
use super::server::Server;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

/// Requests that are understood, to start from.
const REQUESTS: &[&str] = &[
    "GET /",
    "GET /v2/",
    "GET /v2/_catalog?n=5&last=a%2Fb",
    "GET /v2/library/a-b/c__d/tags/list?n=0&last=v1",
    "GET /v2/a/manifests/latest",
    "HEAD /v2/a.b/c/manifests/sha256:HEX",
    "PUT /v2/a/manifests/sha256:HEX?tag=v1&tag=v2&tag=%76%33",
    "DELETE /v2/a/manifests/v1",
    "GET /v2/a/blobs/sha256:HEX?ns=docker.io",
    "DELETE /v2/a/blobs/sha512:HEXHEX",
    "POST /v2/a/blobs/uploads/",
    "POST /v2/a/blobs/uploads?digest-algorithm=sha512",
    "POST /v2/a/blobs/uploads/?digest=sha256:HEX",
    "POST /v2/a/blobs/uploads/?mount=sha256:HEX&from=b/c",
    "PATCH /v2/a/blobs/uploads/ID",
    "PUT /v2/a/blobs/uploads/ID?digest=sha256%3AHEX&_state=x",
    "GET /v2/a/blobs/uploads/ID",
    "DELETE /v2/a/blobs/uploads/ID",
    "GET /v2/a/referrers/sha256:HEX?artifactType=application%2Fx&n=3",
];

/// What mutations put in: the router's own words, and what has broken others.
const WORDS: &[&str] = &[
    "/",
    "//",
    "..",
    "/../",
    ".",
    "%2e%2e",
    "%2f",
    "%252f",
    "%00",
    "%",
    "%zz",
    "%c0%ae",
    "?",
    "&",
    "=",
    "#",
    "/v2/",
    "v2",
    "blobs",
    "uploads",
    "manifests",
    "tags",
    "list",
    "referrers",
    "_catalog",
    "_uploads",
    "sha256:",
    "sha512:",
    "HEX",
    "ID",
    "digest=",
    "mount=",
    "from=",
    "n=",
    "last=",
    "tag=",
    "18446744073709551616",
    "-1",
    "A",
    "é",
    "\u{202e}",
    "\\",
    ":",
    "__",
    "---",
    "latest",
];

fn mutated(dice: &mut Dice, corpus: &[&str], words: &[&str]) -> Vec<u8> {
    let mut input = dice.pick(corpus).as_bytes().to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 => {
                let word = dice.pick(words).as_bytes().to_vec();
                input.splice(at..at, word);
            }
            1 => input.truncate(at),
            2 => {
                let end = (at + dice.below(9)).min(input.len());
                input.drain(at..end);
            }
            3 if at < input.len() => input[at] = dice.byte(),
            4 => {
                // The tail of another one.
                let other = dice.pick(corpus).as_bytes();
                let from = dice.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + dice.below(20)).min(input.len());
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
        }
    }
    input
}

/// The request that asks for an endpoint of the protocol.
fn request_of(endpoint: &Endpoint) -> Option<(Method, String, String)> {
    fn page(page: &Page) -> Vec<(&str, String)> {
        let count = page.count.map(|count| ("n", count.to_string()));
        let last = page.last.clone().map(|last| ("last", last));
        count.into_iter().chain(last).collect()
    }
    let (method, path, pairs) = match endpoint {
        Endpoint::Root => (Method::GET, "/".to_owned(), Vec::new()),
        Endpoint::Base => (Method::GET, "/v2/".to_owned(), Vec::new()),
        Endpoint::Token => (Method::GET, "/v2/token".to_owned(), Vec::new()),
        Endpoint::PostToken => (Method::POST, "/v2/token".to_owned(), Vec::new()),
        Endpoint::TokenKeys => (Method::GET, "/v2/token/keys".to_owned(), Vec::new()),
        Endpoint::Catalog(wanted) => (Method::GET, "/v2/_catalog".to_owned(), page(wanted)),
        Endpoint::Tags(name, wanted) => (Method::GET, format!("/v2/{name}/tags/list"), page(wanted)),
        Endpoint::GetManifest(name, reference) => (
            Method::GET,
            format!("/v2/{name}/manifests/{reference}"),
            Vec::new(),
        ),
        Endpoint::PutManifest(name, reference, tags) => (
            Method::PUT,
            format!("/v2/{name}/manifests/{reference}"),
            tags.iter().map(|tag| ("tag", tag.to_string())).collect(),
        ),
        Endpoint::DeleteManifest(name, reference) => (
            Method::DELETE,
            format!("/v2/{name}/manifests/{reference}"),
            Vec::new(),
        ),
        Endpoint::GetBlob(name, digest) => (Method::GET, format!("/v2/{name}/blobs/{digest}"), Vec::new()),
        Endpoint::DeleteBlob(name, digest) => {
            (Method::DELETE, format!("/v2/{name}/blobs/{digest}"), Vec::new())
        }
        Endpoint::StartUpload(name, start) => (
            Method::POST,
            format!("/v2/{name}/blobs/uploads/"),
            match start {
                Start::Session(None) => Vec::new(),
                Start::Session(Some(algorithm)) => vec![("digest-algorithm", algorithm.name().to_owned())],
                Start::Monolithic(digest) => vec![("digest", digest.to_string())],
                Start::Mount { digest, from } => {
                    let from = from.iter().map(|from| ("from", from.to_string()));
                    std::iter::once(("mount", digest.to_string()))
                        .chain(from)
                        .collect()
                }
            },
        ),
        Endpoint::UploadStatus(name, id) => {
            (Method::GET, format!("/v2/{name}/blobs/uploads/{id}"), Vec::new())
        }
        Endpoint::AppendUpload(name, id) => (
            Method::PATCH,
            format!("/v2/{name}/blobs/uploads/{id}"),
            Vec::new(),
        ),
        Endpoint::FinishUpload(name, id, digest) => (
            Method::PUT,
            format!("/v2/{name}/blobs/uploads/{id}"),
            vec![("digest", digest.to_string())],
        ),
        Endpoint::CancelUpload(name, id) => (
            Method::DELETE,
            format!("/v2/{name}/blobs/uploads/{id}"),
            Vec::new(),
        ),
        Endpoint::Referrers(name, digest, filter) => {
            let of_type = filter
                .artifact_type
                .clone()
                .map(|wanted| ("artifactType", wanted));
            let pairs = of_type.into_iter().chain(page(&filter.page)).collect();
            (Method::GET, format!("/v2/{name}/referrers/{digest}"), pairs)
        }
        // Pages for people and for machines are no part of it.
        _ => return None,
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    Some((method, path, query.finish()))
}

#[test]
fn router() {
    let mut dice = Dice::new("router");
    let corpus: Vec<String> = REQUESTS.iter().map(|text| filled(text)).collect();
    let corpus: Vec<&str> = corpus.iter().map(String::as_str).collect();
    let mut accepted = 0_usize;
    for _ in 0..count("REGDEPLOY_FUZZ", 60_000) {
        let input = if dice.below(10) == 0 {
            (0..dice.below(60)).map(|_| dice.byte()).collect()
        } else {
            mutated(&mut dice, &corpus, WORDS)
        };
        let input = filled(&String::from_utf8_lossy(&input));
        let (method, target) = input.split_once(' ').unwrap_or(("GET", &input));
        let Ok(method) = method.parse::<Method>() else {
            continue;
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let Ok(endpoint) = route(&method, path, query) else {
            continue;
        };
        accepted += 1;
        let Some((method, path, query)) = request_of(&endpoint) else {
            continue;
        };
        // What it is understood as can be said, and then means the same.
        let again = route(&method, &path, Some(&query));
        assert_eq!(again.as_ref().ok(), Some(&endpoint), "{input:?}");
        let segments = path.split('/').skip(2);
        assert!(
            segments
                .clone()
                .all(|segment| segment != ".." && segment != "." && !segment.contains('\\')),
            "{input:?} -> {path}"
        );
        assert!(
            path.bytes().all(|byte| byte.is_ascii_graphic()),
            "{input:?} -> {path}"
        );
    }
    assert!(
        accepted > 1_000,
        "the fuzzer reaches what is accepted: {accepted}"
    );
}

fn filled(text: &str) -> String {
    text.replace("HEX", HEX).replace("ID", ID)
}

const MANIFESTS: &[&str] = &[
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:HEX","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:HEX","size":5,"urls":["https://x"]}],"subject":{"mediaType":"m","digest":"sha256:HEX","size":1},"artifactType":"a/b","annotations":{"k":"v"}}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:HEX","size":7,"platform":{"architecture":"amd64","os":"linux"}}],"annotations":{}}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":null}"#,
    r#"{"schemaVersion":2,"config":{"digest":"sha512:HEXHEX"},"layers":null}"#,
    r#"{"schemaVersion":1,"name":"x","fsLayers":[],"signatures":[{}]}"#,
];

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[[[[[[[[[",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "-0",
    "1e999",
    "\\u0000",
    "\\ud800",
    "\"layers\":[]",
    "\"manifests\":[]",
    "\"config\":null",
    "\"mediaType\":\"\"",
    "sha256:HEX",
    "\u{feff}",
    " ",
    "\n",
    "18446744073709551616",
];

#[test]
fn manifests() {
    let mut dice = Dice::new("manifests");
    let (mut accepted, mut refused) = (0_usize, 0_usize);
    for _ in 0..count("REGDEPLOY_FUZZ", 30_000) {
        let input = if dice.below(20) == 0 {
            (0..dice.below(200)).map(|_| dice.byte()).collect()
        } else {
            mutated(&mut dice, MANIFESTS, PIECES)
        };
        // Without this most mutations would break a digest and nothing else.
        let input = match String::from_utf8(input) {
            Ok(text) => filled(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let Ok(manifest) = Manifest::parse(&input) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        // The same document in another spelling is the same manifest.
        // (Numbers that nobody reads may be larger than a value can hold.)
        let Ok(document) = serde_json::from_slice::<serde_json::Value>(&input) else {
            continue;
        };
        let again = Manifest::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{manifest:?}"));
        // What is pushed as its own type is taken by it, and by no other.
        for media_type in MediaType::ALL {
            let pushed = Manifest::parse_pushed(&input, Some(media_type.as_str()));
            assert!(pushed.is_err() || media_type == manifest.media_type);
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} and {refused}");
}

/// No depth ends the process: what is not looked into is passed over, what is has a limit.
#[test]
fn deep_documents_end() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let passed_over = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{deep}}}"#);
        assert!(Manifest::parse(passed_over.as_bytes()).is_ok());
        let annotation = format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"x":{deep}}}}}"#);
        assert!(Manifest::parse(annotation.as_bytes()).is_err());
        assert!(Manifest::parse(deep.as_bytes()).is_err());
    }
}

#[test]
fn headers() {
    let mut dice = Dice::new("headers");
    let ranges = [
        "bytes=0-9",
        "bytes=-5",
        "bytes=5-",
        "0-99",
        "bytes 5-9/10",
        "bytes=0-1,3-4",
    ];
    let accepts = [
        "*/*",
        "application/*;q=0.1",
        "application/vnd.oci.image.index.v1+json, text/html;q=0",
    ];
    let pieces = [
        "bytes",
        "=",
        "-",
        ",",
        ";",
        "q=0",
        "q=",
        "/",
        "*",
        "18446744073709551615",
        "18446744073709551616",
        " ",
    ];
    for _ in 0..count("REGDEPLOY_FUZZ", 30_000) {
        let text = String::from_utf8_lossy(&mutated(&mut dice, &ranges, &pieces)).into_owned();
        let length = dice.next() >> dice.below(64);
        if let range::Wanted::Part { start, end } = range::wanted(&text, length) {
            assert!(start < end && end <= length, "{text:?} of {length}");
        }
        if let Some((start, end)) = range::chunk(&text) {
            assert!(start < end, "{text:?}");
        }
        let text = String::from_utf8_lossy(&mutated(&mut dice, &accepts, &pieces)).into_owned();
        for media_type in MediaType::ALL {
            acceptable(text.split('\n'), media_type);
        }
    }
}

/// Bytes on a socket: whatever comes, the server answers others.
#[test]
fn server() {
    let mut dice = Dice::new("server");
    let server = Server::start();
    let heads: Vec<String> = REQUESTS
        .iter()
        .map(|text| {
            let headers = "host: x\r\ncontent-length: 4\r\ncontent-range: 0-3\r\nrange: bytes=0-1\r\naccept: */*\r\n\r\nbody";
            format!("{} HTTP/1.1\r\n{headers}", filled(text))
        })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let pieces = [
        "\r\n",
        "\n",
        "\r",
        ": ",
        "transfer-encoding: chunked\r\n",
        "content-length: 0\r\n",
        "content-length: 99999999999999999999\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "HTTP/1.0",
        "HTTP/2.0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "expect: 100-continue\r\n",
        "\0",
        "upgrade: h2c\r\n",
    ];
    for _ in 0..count("REGDEPLOY_FUZZ_REQUESTS", 300) {
        let input = mutated(&mut dice, &heads, &pieces);
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(&input);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let timed_out = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        let shown = String::from_utf8_lossy(&input);
        assert!(!timed_out, "no end of the answer to {shown:?}");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{shown:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 500"), "{shown:?}");
    }
    server.get("/v2/").expect(200);
}
