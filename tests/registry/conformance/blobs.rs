//! Every way to push a blob, to mount one and to read a part of one.

use regdeploy::registry::digest::Algorithm;

use super::{OCTETS, OTHER, REPOSITORY, WAYS, Way, bytes, delete_blob, digest, push, with_digest};
use crate::registry::client::Answer;
use crate::registry::server::Server;

/// A blob is there under its `Location`, for HEAD and for GET, and gone once deleted.
fn check_blob(server: &Server, pushed: &Answer, content: &[u8], digest: &str) {
    assert_eq!(pushed.header("docker-content-digest"), digest);
    let target = pushed.header("location").to_owned();
    for method in ["HEAD", "GET"] {
        let answer = server.send(method, &target, &[], "").expect(200);
        assert_eq!(answer.header("content-length"), content.len().to_string());
        assert_eq!(answer.header("docker-content-digest"), digest);
        let expected: &[u8] = if method == "GET" { content } else { b"" };
        assert!(answer.body == expected, "{method} {target}");
    }
    delete_blob(server, REPOSITORY, digest);
}

#[test]
fn blobs() {
    let server = Server::start();
    for algorithm in Algorithm::ALL {
        let missing = digest(algorithm, b"never pushed");
        server
            .get(&format!("/v2/{REPOSITORY}/blobs/{missing}"))
            .expect(404);
        for (number, way) in WAYS.into_iter().enumerate() {
            for length in [512, 3 * 1024 - 5] {
                let content = bytes(&format!("{number} {length}"), length);
                let digest = digest(algorithm, &content);
                let pushed = push(&server, way, &content, &digest).expect(201);
                check_blob(&server, &pushed, &content, &digest);

                let broken = [&content, b"oh no".as_slice()].concat();
                let refused = push(&server, way, &broken, &digest).expect(400);
                assert_eq!(refused.code(), "DIGEST_INVALID");
                server
                    .head(&format!("/v2/{REPOSITORY}/blobs/{digest}"))
                    .expect(404);
            }
        }
        for content in [b"".as_slice(), b"{}"] {
            for way in [Way::Post, Way::PostPut, Way::Stream] {
                let digest = digest(algorithm, content);
                let pushed = push(&server, way, content, &digest).expect(201);
                check_blob(&server, &pushed, content, &digest);
            }
        }
    }
}

#[test]
fn mounts_and_cancelled_uploads() {
    let server = Server::start();
    for algorithm in Algorithm::ALL {
        let content = bytes("mount", 512);
        let digest = digest(algorithm, &content);
        let mount = |from: &str| {
            let target = format!("/v2/{REPOSITORY}/blobs/uploads/?mount={digest}{from}");
            server.send("POST", &target, &[], "")
        };
        let from = format!("&from={OTHER}");
        // Not there, or not said where: an upload begins, and the client goes on with it.
        for source in [from.as_str(), ""] {
            let begun = mount(source).expect(202);
            let target = with_digest(begun.header("location"), &digest);
            let pushed = server
                .send("PUT", &target, &[OCTETS], content.clone())
                .expect(201);
            check_blob(&server, &pushed, &content, &digest);
        }
        let target = format!("/v2/{OTHER}/blobs/uploads/?digest={digest}");
        server
            .send("POST", &target, &[OCTETS], content.clone())
            .expect(201);
        let mounted = mount(&from).expect(201);
        check_blob(&server, &mounted, &content, &digest);
        delete_blob(&server, OTHER, &digest);

        let upload = server.begin(REPOSITORY);
        server.send("DELETE", &upload, &[], "").expect(204);
        server.get(&upload).expect(404);
    }
}

#[test]
fn ranges() {
    let server = Server::start();
    for algorithm in Algorithm::ALL {
        let content = bytes("ranges", 2048);
        let digest = digest(algorithm, &content);
        let pushed = push(&server, Way::PostPut, &content, &digest).expect(201);
        for (range, part) in [
            ("500-1499", Some(500..1500)),
            ("500-", Some(500..2048)),
            ("-500", Some(1548..2048)),
            ("2000-5000", Some(2000..2048)),
            ("500-0", None),
            ("5000-10000", None),
        ] {
            let range = format!("bytes={range}");
            let answer = server.send("GET", pushed.header("location"), &[("range", &range)], "");
            let Some(part) = part else {
                answer.expect(416);
                continue;
            };
            let answer = answer.expect(206);
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {}-{}/2048", part.start, part.end - 1)
            );
            assert_eq!(answer.header("content-length"), part.len().to_string());
            assert!(answer.body == content[part], "{range}");
        }
    }
}
