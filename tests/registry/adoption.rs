//! One data directory, two servers on it at the same time: distribution's (Debian's docker-registry) and this one,
//! which write in turns. After every step both answer every GET alike, and in the end the directory is handed back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use super::client::{Answer, send};
use super::clients::Distribution;
use super::server::{OCI_MANIFEST, Server, image, sha256};

const STEPS: u64 = 60;

/// A generator of which every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// All that was ever there: what is gone is asked for as well.
#[derive(Default)]
struct Seen {
    /// Repository and digest of manifests.
    manifests: Vec<(&'static str, String)>,
    targets: BTreeSet<String>,
}

fn push_blob(address: SocketAddr, name: &str, content: &[u8]) -> String {
    let begun = send(address, "POST", &format!("/v2/{name}/blobs/uploads/"), &[], "").expect(202);
    let location = begun.header("location");
    // distribution's are absolute, and have a state.
    let base = url::Url::parse(&format!("http://{address}")).unwrap();
    let location = base.join(location).unwrap();
    let digest = sha256(content);
    let joint = location
        .query()
        .map_or_else(|| "?".to_owned(), |query| format!("?{query}&"));
    let target = format!("{}{joint}digest={digest}", location.path());
    send(address, "PUT", &target, &[], content.to_vec()).expect(201);
    digest
}

fn push_image(address: SocketAddr, name: &'static str, tag: &str, number: u64, seen: &mut Seen) {
    let layer = format!("layer {number}");
    let layer_digest = push_blob(address, name, layer.as_bytes());
    let config = push_blob(address, name, b"{}");
    let manifest = image(&config, &layer_digest, layer.len(), "");
    let target = format!("/v2/{name}/manifests/{tag}");
    let media_type = [("content-type", OCI_MANIFEST)];
    let answer = send(address, "PUT", &target, &media_type, manifest).expect(201);
    let digest = answer.header("docker-content-digest").to_owned();
    seen.targets.extend([
        target,
        format!("/v2/{name}/manifests/{digest}"),
        format!("/v2/{name}/blobs/{layer_digest}"),
        format!("/v2/{name}/blobs/{config}"),
        format!("/v2/{name}/tags/list"),
    ]);
    seen.manifests.push((name, digest));
}

/// What of an answer both must have in common.
fn essence(answer: &Answer, target: &str) -> String {
    if answer.status != 200 {
        return format!("{} {}", answer.status, answer.code());
    }
    if target.contains("/tags/") || target.contains("_catalog") {
        let mut listed = answer.json();
        // Go writes an empty list as null. Distribution lists tags as the file system does, and repositories with
        // what lies under one right behind it.
        for list in ["tags", "repositories"] {
            if listed[list].is_null() && target.contains("/tags/") == (list == "tags") {
                listed[list] = serde_json::json!([]);
            }
            if let Some(names) = listed[list].as_array_mut() {
                names.sort_by_key(|name| name.as_str().map(str::to_owned));
            }
        }
        return listed.to_string();
    }
    let headers = ["content-type", "docker-content-digest", "content-length", "etag"];
    let headers = headers.map(|name| answer.header(name).to_owned());
    format!("{headers:?} {}", sha256(&answer.body))
}

fn get(address: SocketAddr, target: &str) -> String {
    essence(
        &send(address, "GET", target, &[("accept", OCI_MANIFEST)], ""),
        target,
    )
}

#[test]
fn two_servers_write_to_one_directory_and_answer_alike() {
    let server = Server::start();
    std::fs::create_dir_all(server.data()).unwrap();
    let distribution = Distribution::start(&server.data());
    let both = [server.address, distribution.address];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut seen = Seen::default();
    seen.targets.insert("/v2/_catalog".to_owned());
    for step in 0..STEPS {
        let writer = *random.pick(&both);
        let name = *random.pick(&["one", "two/a", "two/a/b", "two-b"]);
        let tag = *random.pick(&["v1", "v2", "latest"]);
        let what = match random.below(10) {
            _ if seen.manifests.is_empty() => "push",
            0 => "delete a blob",
            1..=3 => "delete a manifest",
            4 => "delete a tag",
            _ => "push",
        };
        match what {
            "delete a blob" => {
                let blobs: Vec<_> = seen
                    .targets
                    .iter()
                    .filter(|target| target.contains("/blobs/"))
                    .collect();
                let target = random.pick(&blobs).as_str();
                let status = send(writer, "DELETE", target, &[], "").status;
                assert!([202, 404].contains(&status), "{status}");
            }
            "delete a manifest" => {
                let (name, digest) = random.pick(&seen.manifests);
                let target = format!("/v2/{name}/manifests/{digest}");
                let status = send(writer, "DELETE", &target, &[], "").status;
                assert!([202, 404].contains(&status), "{status}");
            }
            // Distribution 2.8 cannot.
            "delete a tag" => {
                let target = format!("/v2/{name}/manifests/{tag}");
                let status = send(server.address, "DELETE", &target, &[], "").status;
                assert!([202, 404].contains(&status), "{status}");
            }
            _ => push_image(writer, name, tag, step / 2, &mut seen),
        }
        for target in &seen.targets {
            let [mine, theirs] = both.map(|address| get(address, target));
            assert_eq!(mine, theirs, "{target} after step {step}: {what} {name} {tag}");
        }
    }
    let answers: Vec<_> = seen
        .targets
        .iter()
        .map(|target| (target, get(server.address, target)))
        .collect();
    assert!(
        answers
            .iter()
            .filter(|(_, answer)| answer.starts_with('['))
            .count()
            > 10
    );

    // Back to distribution, as if nobody else had been there; its own collector runs over what is left.
    let data = server.data();
    let config = server.folder.path().join("distribution.yml");
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n",
        data.display()
    );
    std::fs::write(&config, text).unwrap();
    server.terminate();
    let collected = Command::new("docker-registry")
        .arg("garbage-collect")
        .arg(&config)
        .output()
        .unwrap();
    assert!(
        collected.status.success(),
        "{}",
        String::from_utf8_lossy(&collected.stderr)
    );
    for (target, before) in answers {
        // Blobs that no manifest names are what it takes away.
        if !target.contains("/blobs/") {
            assert_eq!(get(distribution.address, target), before, "{target}");
        }
    }
}

/// A tag that the other server moves within the tick of a clock is seen at once, time and again.
#[test]
fn a_tag_that_the_other_server_moves_shows_at_once() {
    let server = Server::start();
    std::fs::create_dir_all(server.data()).unwrap();
    let distribution = Distribution::start(&server.data());
    let mut seen = Seen::default();
    for number in 0..2 {
        push_image(
            distribution.address,
            "a",
            &format!("image-{number}"),
            number,
            &mut seen,
        );
    }
    let manifests: Vec<_> = (0..2)
        .map(|number| {
            let target = format!("/v2/a/manifests/image-{number}");
            send(server.address, "GET", &target, &[("accept", OCI_MANIFEST)], "").body
        })
        .collect();
    let media_type = [("content-type", OCI_MANIFEST)];
    for round in 0..40 {
        let manifest = &manifests[round % 2];
        let target = "/v2/a/manifests/moving";
        send(distribution.address, "PUT", target, &media_type, manifest.clone()).expect(201);
        for _ in 0..2 {
            assert_eq!(server.get(target).expect(200).body, manifest, "round {round}");
        }
    }
}
