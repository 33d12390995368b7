//! Real clients, and a real data directory of distribution. Needs skopeo and docker-registry (Debian's
//! packages of these names); a machine without them fails these tests, it does not skip them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::client::send;
use super::engines::{Door, doors};
use super::server::{OCI_INDEX, OCI_MANIFEST, Server, await_port, free_port, image, sha256};

/// An OCI layout with one image under `latest`; returns the manifest's digest.
pub fn layout(folder: &Path) -> String {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |content: &[u8]| {
        let digest = sha256(content);
        std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), content).unwrap();
        digest
    };
    // An empty tar, a few times over so that it spans several reads.
    let layer = vec![0_u8; 3 << 20];
    let layer_digest = put(&layer);
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]}})
    .to_string();
    let config_digest = put(config.as_bytes());
    let manifest = image(&config_digest, &layer_digest, layer.len(), "")
        .replace("\"size\":2", &format!("\"size\":{}", config.len()));
    let digest = put(manifest.as_bytes());
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"mediaType": OCI_MANIFEST,
        "digest": digest, "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "latest"}}]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    digest
}

#[track_caller]
pub fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .expect("skopeo is installed");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Pushes a layout, pulls it back in two forms, lists and deletes it.
fn round_trip(door: &Door) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let digest = layout(&folder.path().join("in"));
    let remote = format!("docker://{}:v1", door.name("some/image"));
    let run = |words: &[&str], flags: &[&[String]], names: &[&str]| {
        let flags = flags.concat();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        skopeo(&[words, &flags, names].concat())
    };
    let (flags, source, destination) = (door.flags(), door.flags_of("src-"), door.flags_of("dest-"));
    let exact = ["copy", "--preserve-digests"];
    run(
        &exact,
        &[&destination],
        &[&format!("oci:{}:latest", path("in")), &remote],
    );
    assert_eq!(door.digest("some/image", "v1"), digest);

    run(
        &exact,
        &[&source],
        &[&remote, &format!("oci:{}:latest", path("out"))],
    );
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], json!(digest));
    run(&exact, &[&source], &[&remote, &format!("dir:{}", path("dir"))]);
    let manifest = std::fs::read(folder.path().join("dir/manifest.json")).unwrap();
    assert_eq!(sha256(&manifest), digest);

    // As docker's schema 2: skopeo converts, and mounts the blobs or finds them there.
    let docker = format!("docker://{}:v2", door.name("another/image"));
    run(
        &["copy", "--format", "v2s2"],
        &[&source, &destination],
        &[&remote, &docker],
    );
    let raw: serde_json::Value =
        serde_json::from_str(&run(&["inspect", "--raw"], &[&flags], &[&docker])).unwrap();
    assert_eq!(
        raw["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );

    let repository = format!("docker://{}", door.name("some/image"));
    let tags = || -> serde_json::Value {
        let listed: serde_json::Value =
            serde_json::from_str(&run(&["list-tags"], &[&flags], &[&repository])).unwrap();
        listed["Tags"].clone()
    };
    assert_eq!(tags(), json!(["v1"]));
    run(&["delete"], &[&flags], &[&remote]);
    assert_eq!(tags(), json!([]));
}

#[test]
fn item_24_skopeo_through_every_door() {
    for door in doors() {
        round_trip(&door);
    }
}

/// A distribution of Debian's on a data directory.
pub struct Distribution {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Distribution {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, "")
    }

    /// With further sections of its configuration.
    pub fn start_with(data: &Path, sections: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_port();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n{sections}",
            data.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed");
        await_port(address);
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn distribution_s_data_directory_is_shared() {
    let server = Server::start();
    std::fs::create_dir_all(server.data()).unwrap();
    let distribution = Distribution::start(&server.data());
    let (ours, _) = server.push_image("shared/one", "ours", b"ours");

    // The same push to the other server, in chunks.
    let theirs = |method: &str, target: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        send(distribution.address, method, target, headers, body)
    };
    for content in [b"theirs".as_slice(), b"{}"] {
        let begun = theirs("POST", "/v2/shared/two/blobs/uploads/", &[], Vec::new()).expect(202);
        let location: url::Url = begun.header("location").parse().unwrap();
        let target = format!(
            "{}?{}&digest={}",
            location.path(),
            location.query().unwrap(),
            sha256(content)
        );
        theirs("PUT", &target, &[], content.to_vec()).expect(201);
    }
    let manifest = image(&sha256(b"{}"), &sha256(b"theirs"), 6, "");
    let target = "/v2/shared/two/manifests/theirs";
    theirs(
        "PUT",
        target,
        &[("content-type", OCI_MANIFEST)],
        manifest.into_bytes(),
    )
    .expect(201);

    let compare = |target: &str| {
        let accept = [("accept", OCI_MANIFEST)];
        let mine = server.send("GET", target, &accept, "");
        let other = theirs("GET", target, &accept, Vec::new());
        assert_eq!(mine.status, other.status, "{target}: {mine:?} {other:?}");
        if mine.status == 200 {
            for header in ["content-type", "docker-content-digest", "content-length", "etag"] {
                let listing = target.contains("list") || target.contains("_catalog");
                if !(listing && header.starts_with("content-")) {
                    assert_eq!(mine.header(header), other.header(header), "{header} of {target}");
                }
            }
            if target.contains("/blobs/") {
                assert_eq!(mine.body, other.body, "{target}");
            } else {
                // Go writes an empty list as null.
                let written = String::from_utf8_lossy(&other.body).replace("\"tags\":null", "\"tags\":[]");
                assert_eq!(
                    mine.json(),
                    serde_json::from_str::<serde_json::Value>(&written).unwrap(),
                    "{target}"
                );
            }
        } else {
            assert_eq!(mine.code(), other.code(), "{target}");
        }
    };
    let everything = [
        "/v2/_catalog".to_owned(),
        "/v2/shared/one/tags/list".to_owned(),
        "/v2/shared/two/tags/list".to_owned(),
        "/v2/shared/none/tags/list".to_owned(),
        "/v2/shared/one/manifests/ours".to_owned(),
        "/v2/shared/two/manifests/theirs".to_owned(),
        format!("/v2/shared/one/manifests/{ours}"),
        format!("/v2/shared/one/blobs/{}", sha256(b"ours")),
        format!("/v2/shared/two/blobs/{}", sha256(b"theirs")),
        format!("/v2/shared/two/blobs/{}", sha256(b"ours")),
    ];
    for target in &everything {
        compare(target);
    }

    // Each deletes what the other wrote.
    theirs(
        "DELETE",
        &format!("/v2/shared/one/manifests/{ours}"),
        &[],
        Vec::new(),
    )
    .expect(202);
    server
        .send("DELETE", "/v2/shared/two/manifests/theirs", &[], "")
        .expect(202);
    for target in &everything {
        compare(target);
    }
    server.get("/v2/shared/one/manifests/ours").expect(404);
}

/// A server with a certificate for the loopback address; and the folder that clients trust it by.
pub fn with_tls() -> (Server, tempfile::TempDir) {
    with_tls_and("")
}

/// The same, with more sections of the configuration.
pub fn with_tls_and(sections: &str) -> (Server, tempfile::TempDir) {
    let trust = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = trust.path().join("ca.crt");
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::with(&format!(
        "  tls:\n    certificate: {}\n    key: {}\n{sections}",
        certificate.display(),
        key.display()
    ));
    (server, trust)
}

pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .arg("-sS")
        .args(arguments)
        .output()
        .expect("curl is installed");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tls_with_both_versions_of_http() {
    let (server, trust) = with_tls();
    let certificate = trust.path().join("ca.crt").display().to_string();
    let url = format!("https://{}/v2/", server.address);
    let written = |options: &[&str]| {
        let common = [
            "--cacert",
            &certificate,
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            &url,
        ];
        curl(&[options, &common].concat())
    };
    assert_eq!(written(&["--http2"]), "2 200");
    assert_eq!(written(&["--http1.1"]), "1.1 200");
    assert_eq!(written(&["--tls-max", "1.2"]), "2 200");
    let plain = server.get("/v2/").expect(400);
    assert_eq!(
        plain.body,
        "this is an HTTPS port, and the request came as plain HTTP; use https://\n"
    );
}
