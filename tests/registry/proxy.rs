//! The pull-through cache as a whole, against another instance of this registry and Debian's `docker-registry`, with faults
//! between them. Requests to the upstream are counted; nothing is told by the clock.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;

use super::client::{Answer, send, try_send};
use super::clients::{Distribution, layout, skopeo};
use super::engines::doors;
use super::server::{OCI_MANIFEST, Server, free_port, image, sha256};
use super::upstream::{Act, Download, Upstream};

/// Some of the bytes of a blob that is long enough to come in many pieces.
pub const SIZE: usize = 3 << 20;

pub fn layer(seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..SIZE).map(next).collect()
}

/// A registry, the proxy before it, and a mirror of it under `hub`.
pub struct Lab {
    pub origin: Server,
    pub upstream: Upstream,
    pub mirror: Server,
}

impl Lab {
    /// `more` is further keys of the upstream.
    pub fn new(more: &str) -> Self {
        let origin = Server::start();
        let upstream = Upstream::before(origin.address);
        let mirror = mirror(upstream.address, more);
        Self {
            origin,
            upstream,
            mirror,
        }
    }

    /// A layer at the origin: its bytes and its URL at the mirror.
    pub fn blob(&self, seed: u8) -> (Vec<u8>, String) {
        let content = layer(seed);
        let digest = self.origin.push_blob("some/image", &content);
        (content, format!("/v2/hub/some/image/blobs/{digest}"))
    }

    pub fn download(&self, target: &str, headers: &str) -> Download {
        Download::open(self.mirror.address, target, headers)
    }

    /// GETs of this target that the upstream has seen.
    pub fn fetches(&self, target: &str) -> usize {
        let end = target.rsplit('/').next().unwrap();
        let seen = self.upstream.take();
        seen.iter()
            .filter(|seen| seen.method == "GET" && seen.target.ends_with(end))
            .count()
    }
}

pub fn mirror(upstream: SocketAddr, more: &str) -> Server {
    Server::with(&section(upstream, more))
}

/// The lines of a configuration that make a mirror.
pub fn section(upstream: SocketAddr, more: &str) -> String {
    format!("proxy:\n  upstreams:\n    hub:\n      remoteurl: http://{upstream}\n{more}")
}

pub const ALWAYS_ASK: &str = "      fresh: \"0\"\n";
pub const SECOND: &str = "      timeout: 1s\n";

pub fn same(one: &Answer, other: &Answer) {
    for header in [
        "content-type",
        "content-length",
        "docker-content-digest",
        "etag",
        "accept-ranges",
    ] {
        assert_eq!(one.header(header), other.header(header), "{header}");
    }
    assert_eq!((one.status, &one.body), (other.status, &other.body));
}

#[test]
fn what_is_asked_for_is_fetched_once_and_kept() {
    let lab = Lab::new("      hosts: [docker.io]\n");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let blob = format!("blobs/{}", sha256(b"layer"));
    for rest in ["manifests/v1", &format!("manifests/{digest}"), &blob] {
        let original = lab.origin.get(&format!("/v2/some/image/{rest}"));
        for target in [
            format!("/v2/hub/some/image/{rest}"),
            format!("/v2/some/image/{rest}?ns=docker.io"),
        ] {
            same(&lab.mirror.get(&target), &original);
            same(
                &lab.mirror.head(&target),
                &lab.origin.head(&format!("/v2/some/image/{rest}")),
            );
        }
    }
    assert_eq!(
        lab.upstream.asked(),
        ["GET manifests/v1".to_owned(), format!("GET {blob}")]
    );
    let part = lab.mirror.send(
        "GET",
        &format!("/v2/hub/some/image/{blob}"),
        &[("range", "bytes=1-2")],
        "",
    );
    assert_eq!((part.status, &part.body[..]), (206, &b"ay"[..]));
    let catalog = lab.mirror.get("/v2/_catalog").expect(200);
    assert_eq!(catalog.json(), json!({"repositories": ["hub/some/image"]}));
    lab.mirror
        .get("/v2/some/image/manifests/v1?ns=quay.io")
        .expect(404);

    // What is kept needs no upstream, after a restart neither.
    let Lab {
        origin,
        upstream,
        mut mirror,
    } = lab;
    drop(origin);
    mirror.crash_and_restart();
    mirror
        .get(&format!("/v2/hub/some/image/manifests/{digest}"))
        .expect(200);
    mirror.get(&format!("/v2/hub/some/image/{blob}")).expect(200);
    assert!(upstream.take().is_empty());
}

#[test]
fn a_mirror_takes_no_pushes_and_what_is_beside_it_does() {
    let lab = Lab::new("");
    let refused = lab
        .mirror
        .send("POST", "/v2/hub/some/image/blobs/uploads/", &[], "")
        .expect(405);
    assert_eq!(refused.code(), "UNSUPPORTED");
    assert!(
        String::from_utf8_lossy(&refused.body)
            .contains("hub/some/image is a mirror of some/image at http://127.0.0.1")
    );
    lab.mirror
        .put_manifest("hub/some/image", "v1", OCI_MANIFEST, "{}")
        .expect(405);
    lab.mirror.push_image("own/image", "v1", b"own");
    lab.mirror.push_image("hubs/image", "v1", b"own");
    lab.mirror.get("/v2/own/image/manifests/v1").expect(200);
    lab.mirror.get("/v2/own/image/manifests/v2").expect(404);
    assert!(lab.upstream.take().is_empty());
}

/// Makes a file of the mirror older by some seconds.
pub fn age(server: &Server, path: &str, seconds: u64) {
    let file = std::fs::File::open(server.data().join(path)).unwrap();
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
    file.set_modified(time).unwrap();
}

#[test]
fn item_24_passwords_and_tokens_go_to_the_upstream_and_nowhere_else() {
    let lab = Lab::new("      username: me\n      password: open sesame\n");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let (_, blob) = lab.blob(7);
    // A token server that gives a new token each time, and a registry that takes only the latest one.
    let issued = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (tokens, address) = (Arc::clone(&issued), lab.upstream.address);
    let storage = Upstream::before(lab.origin.address);
    let elsewhere = format!("http://localhost:{}", storage.address.port());
    lab.upstream.when(move |seen| {
        use std::sync::atomic::Ordering::SeqCst;
        if seen.target.starts_with("/token?") {
            let number = tokens.fetch_add(1, SeqCst) + 1;
            let token = json!({"token": format!("t{number}"), "expires_in": 300}).to_string();
            return Some(Act::Answer(200, Vec::new(), token.into_bytes()));
        }
        if seen.header("authorization") != format!("Bearer t{}", tokens.load(SeqCst)) {
            let challenge =
                format!(r#"Bearer realm="http://{address}/token",service="here",scope="repository:x:pull""#);
            return Some(Act::Answer(
                401,
                vec![("www-authenticate", challenge)],
                Vec::new(),
            ));
        }
        let blob = seen.target.contains("/blobs/");
        blob.then(|| {
            Act::Answer(
                307,
                vec![("location", format!("{elsewhere}{}?signed=1", seen.target))],
                Vec::new(),
            )
        })
    });
    lab.mirror.get("/v2/hub/some/image/manifests/v1").expect(200);
    let seen = lab.upstream.take();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.target.as_str()).collect();
    let token = "/token?service=here&scope=repository%3Asome%2Fimage%3Apull";
    assert_eq!(
        targets,
        [
            "/v2/some/image/manifests/v1",
            token,
            "/v2/some/image/manifests/v1"
        ]
    );
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(seen[1].header("authorization"), "Basic bWU6b3BlbiBzZXNhbWU=");
    assert_eq!(seen[2].header("authorization"), "Bearer t1");

    // The token is used again; the blob comes from another host, which is told no secret.
    lab.mirror.get(&blob).expect(200);
    assert_eq!(lab.upstream.take().len(), 1);
    let at_storage = storage.take();
    assert_eq!(at_storage.len(), 1);
    assert_eq!(at_storage[0].header("authorization"), "", "{at_storage:?}");
    assert!(at_storage[0].target.ends_with("?signed=1"));

    // One that is refused before its time is replaced.
    issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    lab.mirror
        .get(&format!("/v2/hub/some/image/blobs/{}", sha256(b"layer")))
        .expect(200);
    assert_eq!(lab.upstream.take().len(), 3);
    lab.mirror
        .get(&format!("/v2/hub/some/image/manifests/{digest}"))
        .expect(200);
    assert!(lab.upstream.take().is_empty());
}

/// Plain and over TLS, with a password and with tokens.
#[test]
fn item_24_another_instance_is_mirrored_through_every_door() {
    for door in doors() {
        let folder = tempfile::tempdir().unwrap();
        let digest = layout(folder.path());
        let to = format!("docker://{}", door.name("some/image:v1"));
        let flags = door.flags_of("dest-");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let from = format!("oci:{}:latest", folder.path().display());
        skopeo(&[&["copy", "--preserve-digests"], &flags[..], &[&from, &to]].concat());
        let (scheme, authority) = match &door.trust {
            None => ("http", String::new()),
            Some(trust) => (
                "https",
                format!("      authorities: [{}/ca.crt]\n", trust.path().display()),
            ),
        };
        let login = door.login.and_then(|login| login.split_once(':'));
        let login = login.map_or(String::new(), |(user, password)| {
            format!("      username: {user}\n      password: {password}\n")
        });
        let mirror = Server::with(&format!(
            "proxy:\n  upstreams:\n    hub:\n      remoteurl: {scheme}://{}\n{authority}{login}",
            door.server.address
        ));
        let manifest = mirror.get("/v2/hub/some/image/manifests/v1").expect(200);
        assert_eq!(manifest.header("docker-content-digest"), digest);
        for descriptor in [&manifest.json()["config"], &manifest.json()["layers"][0]] {
            let digest = descriptor["digest"].as_str().unwrap();
            let target = format!("/v2/hub/some/image/blobs/{digest}");
            assert_eq!(sha256(&mirror.get(&target).expect(200).body), digest);
        }
    }
}

#[test]
fn a_token_server_s_limit_and_silence_are_its_own() {
    let lab = Lab::new("");
    for name in ["some/image", "slow/image", "limited/image"] {
        lab.origin.push_image(name, "v1", b"layer");
    }
    let address = lab.upstream.address;
    lab.upstream.when(move |seen| {
        if seen.target.starts_with("/token?") {
            let of = |name: &str| seen.target.contains(name);
            let token = json!({"token": "good"}).to_string().into_bytes();
            let retry = vec![("retry-after", "3600".to_owned())];
            return Some(match () {
                () if of("slow") => Act::Silence,
                () if of("limited") => Act::Answer(429, retry, Vec::new()),
                () => Act::Answer(200, Vec::new(), token),
            });
        }
        let challenge = format!(r#"Bearer realm="http://{address}/token""#);
        let headers = vec![("www-authenticate", challenge)];
        (seen.header("authorization") != "Bearer good").then(|| Act::Answer(401, headers, Vec::new()))
    });
    let get = |name: &str| lab.mirror.get(&format!("/v2/hub/{name}/manifests/v1"));
    let at = lab.mirror.address;
    let slow =
        std::thread::spawn(move || try_send(at, "GET", "/v2/hub/slow/image/manifests/v1", &[], "").is_ok());
    while !lab
        .upstream
        .take()
        .iter()
        .any(|seen| seen.target.contains("slow%2Fimage"))
    {
        std::thread::yield_now();
    }
    // Another repository's token does not wait for that one.
    get("some/image").expect(200);
    assert!(!slow.is_finished());
    // And its limit is honoured as the registry's own would be.
    let limited = get("limited/image").expect(429);
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{limited:?}");
    lab.upstream.take();
    get("limited/image").expect(429);
    assert!(lab.upstream.take().is_empty());
    drop(lab);
    assert!(!slow.join().unwrap(), "its server has gone first");
}

#[test]
fn debian_s_registry_with_a_password_is_mirrored() {
    let folder = tempfile::tempdir().unwrap();
    let (users, password) = (folder.path().join("users"), folder.path().join("password"));
    std::fs::write(
        &users,
        format!("me:{}\n", bcrypt::hash("open sesame", 4).unwrap()),
    )
    .unwrap();
    std::fs::write(&password, "open sesame\n").unwrap();
    let writer = Distribution::start(&folder.path().join("data"));
    let reader = Distribution::start_with(
        &folder.path().join("data"),
        &format!(
            "auth:\n  htpasswd:\n    realm: here\n    path: {}\n",
            users.display()
        ),
    );
    let layer = layer(8);
    let push = |method: &str, target: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        send(writer.address, method, target, headers, body)
    };
    for content in [layer.as_slice(), b"{}"] {
        let begun = push("POST", "/v2/some/image/blobs/uploads/", &[], Vec::new()).expect(202);
        let location: url::Url = begun.header("location").parse().unwrap();
        let target = format!(
            "{}?{}&digest={}",
            location.path(),
            location.query().unwrap(),
            sha256(content)
        );
        push("PUT", &target, &[], content.to_vec()).expect(201);
    }
    let manifest = image(&sha256(b"{}"), &sha256(&layer), layer.len(), "");
    for tag in ["v1", "v2"] {
        push(
            "PUT",
            &format!("/v2/some/image/manifests/{tag}"),
            &[("content-type", OCI_MANIFEST)],
            manifest.clone().into_bytes(),
        )
        .expect(201);
    }
    let upstream = Upstream::before(reader.address);
    let server = mirror(
        upstream.address,
        &format!(
            "{ALWAYS_ASK}      username: me\n      passwordfile: {}\n",
            password.display()
        ),
    );
    for _ in 0..2 {
        let answer = server.get("/v2/hub/some/image/manifests/v1").expect(200);
        assert_eq!(answer.body, manifest.as_bytes());
    }
    let tag = "manifests/v1";
    assert_eq!(
        upstream.asked(),
        [format!("GET {tag}"), format!("GET {tag}"), format!("HEAD {tag}")]
    );
    let target = format!("/v2/hub/some/image/blobs/{}", sha256(&layer));
    // Its connection breaks, and it goes on where it was.
    upstream.once("GET", "/blobs/", Act::Truncate(SIZE / 2));
    assert!(Download::open(server.address, &target, "").rest() == layer);
    assert_eq!(upstream.take().len(), 2);
    let tags = server.get("/v2/hub/some/image/tags/list").expect(200);
    assert_eq!(
        tags.json(),
        json!({"name": "hub/some/image", "tags": ["v1", "v2"]})
    );

    // A wrong password is told, without the password.
    let wrong = mirror(
        upstream.address,
        "      username: me\n      password: hunter2hunter2\n",
    );
    let denied = wrong.get("/v2/hub/some/image/manifests/v1").expect(403);
    assert_eq!(denied.code(), "DENIED");
    assert!(!String::from_utf8_lossy(&denied.body).contains("hunter2"));
}

#[test]
fn what_nobody_asks_for_is_let_go() {
    let lab = Lab::new("      ttl: 8s\n");
    for (tag, layer) in [("old", b"old".as_slice()), ("new", b"new")] {
        lab.origin.push_image("some/image", tag, layer);
        lab.mirror
            .get(&format!("/v2/hub/some/image/manifests/{tag}"))
            .expect(200);
        lab.mirror
            .get(&format!("/v2/hub/some/image/blobs/{}", sha256(layer)))
            .expect(200);
    }
    lab.mirror.push_image("own", "v1", b"own");
    let link = |name: &str, content: &[u8]| {
        let hex = sha256(content).replace("sha256:", "");
        format!("docker/registry/v2/repositories/{name}/_layers/sha256/{hex}/link")
    };
    let there = |path: &str| lab.mirror.data().join(path).exists();
    let (old, new, own) = (
        link("hub/some/image", b"old"),
        link("hub/some/image", b"new"),
        link("own", b"own"),
    );
    age(&lab.mirror, &old, 3600);
    age(&lab.mirror, &own, 3600);
    while there(&old) {
        // In use, however long this takes.
        lab.mirror
            .get(&format!("/v2/hub/some/image/blobs/{}", sha256(b"new")))
            .expect(200);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(there(&new) && there(&own));
    lab.upstream.take();
    let target = format!("/v2/hub/some/image/blobs/{}", sha256(b"old"));
    lab.mirror.get(&target).expect(200);
    assert_eq!(lab.fetches(&target), 1);
}

#[test]
fn one_upstream_for_everything_as_distribution_has_it() {
    let origin = Server::start();
    origin.push_image("some/image", "v1", b"layer");
    let upstream = Upstream::before(origin.address);
    let server = Server::with(&format!(
        "proxy:\n  remoteurl: http://{}\n  local: [own]\n",
        upstream.address
    ));
    server.get("/v2/some/image/manifests/v1").expect(200);
    server
        .send("POST", "/v2/some/image/blobs/uploads/", &[], "")
        .expect(405);
    server.push_image("own/image", "v1", b"own");
    server.get("/v2/own/image/manifests/v1").expect(200);
    server.get("/v2/own/image/manifests/v2").expect(404);
    // What the upstream has under that name is not to be had here, and what is here is not the upstream's.
    let target = format!("/v2/own/image/manifests/v1?ns={}", upstream.address);
    assert_eq!(server.get(&target).expect(404).code(), "NAME_UNKNOWN");
    assert_eq!(upstream.asked(), ["GET manifests/v1"]);
    // Nobody is there: told at once.
    let lost = mirror(free_port(), "");
    assert_eq!(
        lost.get("/v2/hub/some/image/manifests/v1").expect(502).code(),
        "UNAVAILABLE"
    );
}

#[test]
fn a_read_only_mirror_hands_on_and_keeps_nothing() {
    let lab = Lab::new("");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let config = lab.mirror.folder.path().join("registry.yml");
    let text = std::fs::read_to_string(&config).unwrap();
    let read_only = "storage:\n  maintenance:\n    readonly:\n      enabled: true\n";
    std::fs::write(&config, text.replace("storage:\n", read_only)).unwrap();
    lab.mirror.reload();
    while lab.mirror.send("POST", "/v2/own/blobs/uploads/", &[], "").status == 202 {}
    for _ in 0..2 {
        lab.mirror.get("/v2/hub/some/image/manifests/v1").expect(200);
        lab.mirror
            .get(&format!("/v2/hub/some/image/manifests/{digest}"))
            .expect(200);
        let blob = lab
            .mirror
            .get(&format!("/v2/hub/some/image/blobs/{}", sha256(b"layer")))
            .expect(200);
        assert_eq!(&blob.body[..], b"layer");
    }
    assert!(
        !lab.mirror
            .data()
            .join("docker/registry/v2/repositories/hub")
            .exists()
    );
}

#[test]
fn skopeo_pulls_through() {
    let lab = Lab::new("");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let digest = layout(&folder.path().join("in"));
    let at = |address: SocketAddr, name: &str| format!("docker://{address}/{name}:v1");
    let from = format!("oci:{}:latest", path("in"));
    skopeo(&[
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &from,
        &at(lab.origin.address, "some/image"),
    ]);
    for number in 0..2 {
        let to = format!("dir:{}", path(&format!("out{number}")));
        skopeo(&[
            "copy",
            "--src-tls-verify=false",
            &at(lab.mirror.address, "hub/some/image"),
            &to,
        ]);
        let manifest = std::fs::read(folder.path().join(format!("out{number}/manifest.json"))).unwrap();
        assert_eq!(sha256(&manifest), digest);
    }
    // Manifest, configuration and layer, once each.
    assert_eq!(
        lab.upstream
            .take()
            .iter()
            .filter(|seen| seen.method == "GET")
            .count(),
        3
    );
}
