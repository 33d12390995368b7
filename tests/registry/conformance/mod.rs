//! What distribution-spec's conformance suite (1.1, and 1.2-dev where it is optional) asks of a registry:
//! the same requests for the same kinds of data, with both digest algorithms.
//!
//! The suite itself is a Go module that a test cannot rely on having. Where it skips what a registry does
//! not offer, this says which answer is ours.

mod blobs;
mod manifests;

use super::client::Answer;
use super::server::Server;
use regdeploy::registry::digest::{Algorithm, Digest};

const REPOSITORY: &str = "conformance/repo1";
const OTHER: &str = "conformance/repo2";
const OCTETS: (&str, &str) = ("content-type", "application/octet-stream");

fn digest(algorithm: Algorithm, content: &[u8]) -> String {
    Digest::of(algorithm, content).to_string()
}

/// Bytes that no other name gets.
fn bytes(name: &str, length: usize) -> Vec<u8> {
    let seed = digest(Algorithm::Sha256, name.as_bytes()).into_bytes();
    seed.iter().copied().cycle().take(length).collect()
}

fn with_digest(location: &str, digest: &str) -> String {
    let sign = if location.contains('?') { '&' } else { '?' };
    format!("{location}{sign}digest={digest}")
}

/// The ways to push a blob.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Post,
    PostPut,
    Stream,
    Chunks {
        size: usize,
        /// The last one comes with the PUT.
        put_last: bool,
        /// Each is preceded by one that does not come next.
        out_of_order: bool,
    },
}

const WAYS: [Way; 8] = [
    Way::Post,
    Way::PostPut,
    Way::Stream,
    Way::Chunks {
        size: 4096,
        put_last: false,
        out_of_order: false,
    },
    Way::Chunks {
        size: 1024,
        put_last: false,
        out_of_order: false,
    },
    Way::Chunks {
        size: 1024,
        put_last: true,
        out_of_order: false,
    },
    Way::Chunks {
        size: 1024,
        put_last: false,
        out_of_order: true,
    },
    Way::Chunks {
        size: 1024,
        put_last: true,
        out_of_order: true,
    },
];

/// Pushes `content` as `claimed` and returns the last answer.
fn push(server: &Server, way: Way, content: &[u8], claimed: &str) -> Answer {
    let uploads = format!("/v2/{REPOSITORY}/blobs/uploads/");
    if way == Way::Post {
        return server.send(
            "POST",
            &format!("{uploads}?digest={claimed}"),
            &[OCTETS],
            content.to_vec(),
        );
    }
    let started = server.send("POST", &uploads, &[], "").expect(202);
    let mut location = started.header("location").to_owned();
    match way {
        Way::Post => unreachable!("answered above"),
        Way::PostPut => {
            let target = with_digest(&location, claimed);
            server.send("PUT", &target, &[OCTETS], content.to_vec())
        }
        Way::Stream => {
            let answer = server
                .send("PATCH", &location, &[OCTETS], content.to_vec())
                .expect(202);
            let target = with_digest(answer.header("location"), claimed);
            server.send("PUT", &target, &[OCTETS], "")
        }
        Way::Chunks {
            size,
            put_last,
            out_of_order,
        } => {
            let mut start = 0;
            while start < content.len() {
                let end = (start + size).min(content.len());
                let method = |last: bool| if last && put_last { "PUT" } else { "PATCH" };
                let send = |location: &str, from: usize, to: usize| {
                    let last = to == content.len();
                    let target = if last && put_last {
                        with_digest(location, claimed)
                    } else {
                        location.to_owned()
                    };
                    let range = format!("{from}-{}", to - 1);
                    let headers = [OCTETS, ("content-range", range.as_str())];
                    server.send(method(last), &target, &headers, content[from..to].to_vec())
                };
                if out_of_order {
                    let wrong = if start + size >= content.len() {
                        0
                    } else {
                        start + size
                    };
                    if wrong != start {
                        let refused = send(&location, wrong, (wrong + size).min(content.len())).expect(416);
                        refused.header("location").clone_into(&mut location);
                        let status = server.get(&location).expect(204);
                        let range = format!("0-{}", start.saturating_sub(1));
                        assert_eq!(status.header("range"), range);
                        status.header("location").clone_into(&mut location);
                    }
                }
                let answer = send(&location, start, end);
                if put_last && end == content.len() {
                    return answer;
                }
                let answer = answer.expect(202);
                assert_eq!(answer.header("range"), format!("0-{}", end - 1));
                answer.header("location").clone_into(&mut location);
                start = end;
            }
            server.send("PUT", &with_digest(&location, claimed), &[OCTETS], "")
        }
    }
}

fn delete_blob(server: &Server, repository: &str, digest: &str) {
    let target = format!("/v2/{repository}/blobs/{digest}");
    server.send("DELETE", &target, &[], "").expect(202);
    server.head(&target).expect(404);
}
