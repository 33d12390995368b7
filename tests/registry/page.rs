//! The page for people: as text, and as a real browser shows it. Needs Debian's chromium; screenshots are left
//! under `target/page/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::access::{RULES, Users, basic, push_blob_as, send_as};
use super::server::{OCI_INDEX, OCI_MANIFEST, Server, image};

fn text(server: &Server, target: &str, status: u16) -> String {
    let answer = server.get(target).expect(status);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    // As the policy demands: no style and no script in the text, nothing from elsewhere.
    for inline in [
        "<style",
        " style=",
        " onclick=",
        " onload=",
        "<script>",
        "src=\"http",
        "href=\"http",
    ] {
        assert!(!text.contains(inline), "{inline} in {target}");
    }
    text
}

/// An image as builders make them, with what people want to see of it.
fn push_built(server: &Server, name: &str, tag: Option<&str>, architecture: &str) -> (String, usize) {
    let layer = server.push_blob(name, &vec![7; 50_000]);
    let config = json!({"architecture": architecture, "os": "linux", "created": "2026-11-18T09:12:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["serve", "--all of it"], "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"maintainer": "<b>us</b>"}},
        "history": [{"created_by": "/bin/sh -c #(nop) ADD file:1 in / "}, {"created_by": "ENV A=1", "empty_layer": true}]})
    .to_string();
    let config_digest = server.push_blob(name, config.as_bytes());
    let manifest = image(&config_digest, &layer, 50_000, "")
        .replace("\"size\":2", &format!("\"size\":{}", config.len()));
    let reference = tag.map_or_else(|| super::server::sha256(manifest.as_bytes()), str::to_owned);
    let answer = server
        .put_manifest(name, &reference, OCI_MANIFEST, &manifest)
        .expect(201);
    (answer.header("docker-content-digest").to_owned(), manifest.len())
}

/// An index of two platforms with a signature; returns its digest.
fn push_index(server: &Server, name: &str, tag: &str) -> String {
    let entries: Vec<_> = ["amd64", "arm64"]
        .map(|architecture| {
            let (digest, size) = push_built(server, name, None, architecture);
            json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": size,
                "platform": {"os": "linux", "architecture": architecture}})
        })
        .into();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
    let answer = server.put_manifest(name, tag, OCI_INDEX, &index).expect(201);
    let digest = answer.header("docker-content-digest").to_owned();
    let empty = server.push_blob(name, b"{}");
    let signature = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}],
        "subject": {"mediaType": OCI_INDEX, "digest": digest, "size": index.len()},
        "annotations": {"signer": "release <team>"}})
    .to_string();
    let reference = super::server::sha256(signature.as_bytes());
    server
        .put_manifest(name, &reference, OCI_MANIFEST, &signature)
        .expect(201);
    digest
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn an_image_from_the_list_down_to_its_layers() {
    let server = Server::start();
    let (digest, _) = push_built(&server, "team/app", Some("v10"), "amd64");
    push_built(&server, "team/app", Some("v9"), "amd64");
    has(
        &text(&server, "/ui/", 200),
        &["team&#x2f;app</a>", ">v10</a>", ">v9</a>"],
    );
    let tags = text(&server, "/ui/r/team/app", 200);
    has(&tags, &["50.3 kB", "linux&#x2f;amd64", "just now", &digest]);
    assert!(tags.find(">v9</a>") < tags.find(">v10</a>"), "as people count");
    let page = text(&server, "/ui/r/team/app:v10", 200);
    let pull = format!("docker pull {}/team/app:v10", server.address).replace('/', "&#x2f;");
    has(
        &page,
        &[
            &pull,
            &digest,
            "ADD file:1 in &#x2f;",
            "ENV A=1",
            "50.0 kB",
            "2026-11-18 09:12 UTC",
            "serve &#x27;--all of it&#x27;",
            "8080&#x2f;tcp",
            "&lt;b&gt;us&lt;&#x2f;b&gt;",
        ],
    );
    text(&server, &format!("/ui/r/team/app@{digest}"), 200);
}

#[test]
fn an_index_its_platforms_and_who_refers_to_it() {
    let server = Server::start();
    let digest = push_index(&server, "multi", "stable");
    let page = text(&server, "/ui/r/multi:stable", 200);
    has(
        &page,
        &[
            &digest,
            "linux&#x2f;amd64",
            "linux&#x2f;arm64",
            "Signature (cosign)",
            "release &lt;team&gt;",
        ],
    );
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let server = Server::start();
    has(&text(&server, "/ui/", 200), &["Nothing has been pushed yet"]);
    has(&text(&server, "/ui/r/none", 404), &["repository name not known"]);
    has(&text(&server, "/ui/r/none:v1", 404), &["manifest unknown"]);
    text(&server, "/ui/r/../x", 404);
    text(&server, "/ui/what", 404);
    assert_eq!(server.send("POST", "/ui/", &[], "").status, 405);
    Server::with("ui:\n  enabled: false\n").get("/ui/").expect(404);
    // To clients an error is what it always was.
    assert_eq!(
        server.get("/v2/none/tags/list").expect(404).code(),
        "NAME_UNKNOWN"
    );
}

/// Repositories as distribution leaves them on the disk: as many as one likes, at once.
fn make_repositories(data: &Path, names: impl Iterator<Item = String>) {
    let root = data.join("docker/registry/v2/repositories");
    for name in names {
        std::fs::create_dir_all(root.join(name).join("_manifests/tags")).unwrap();
    }
}

#[test]
fn thousands_of_repositories_a_page_at_a_time() {
    let server = Server::start();
    make_repositories(
        &server.data(),
        (0..3000).map(|number| format!("group-{}/app-{number:04}", number % 7)),
    );
    let mut target = "/ui/?q=-09".to_owned();
    let mut found = Vec::new();
    loop {
        let page = text(&server, &target, 200);
        let names = page.split("<a class=\"name\" href=\"/ui/r/").skip(1);
        found.extend(names.map(|rest| rest.split('"').next().unwrap().replace("&#x2f;", "/")));
        let Some((_, next)) = page.split_once("<a class=\"next\" href=\"") else {
            break;
        };
        target = next
            .split('"')
            .next()
            .unwrap()
            .replace("&amp;", "&")
            .replace("&#x2f;", "/");
    }
    let mut expected: Vec<String> = (900..1000)
        .map(|number| format!("group-{}/app-{number:04}", number % 7))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    let first = text(&server, "/ui/", 200);
    assert_eq!(first.matches("<a class=\"name\"").count(), 50);
    has(
        &text(&server, "/ui/?q=%3Cscript%3Ex%3C/script%3E", 200),
        &["&lt;script&gt;x"],
    );
}

/// Who has to log in does so as browsers do, and sees what they may pull.
#[test]
fn people_log_in_and_see_what_is_theirs() {
    let users = Users::of(&["alice", "olga"]);
    for more in ["", "  tokenserver: {enabled: true}\n"] {
        let server = Server::with(&format!("{}{more}{RULES}", users.section()));
        let olga = basic("olga", "aglo");
        let push = |name: &str| {
            let digest = push_blob_as(&server, "olga", name, b"{}").expect(201);
            let digest = digest.header("docker-content-digest").to_owned();
            let manifest = image(&digest, &digest, 2, "");
            let headers = [("content-type", OCI_MANIFEST), ("authorization", &olga)];
            let target = format!("/v2/{name}/manifests/v1");
            server.send("PUT", &target, &headers, manifest).expect(201);
        };
        let names = ["home/alice/app", "home/bob/app", "library/base", "secret/plans"];
        names.into_iter().for_each(push);
        let seen = |user: &str| {
            let page = send_as(&server, user, "GET", "/ui/", b"").expect(200);
            let page = String::from_utf8(page.body.to_vec()).unwrap();
            names.map(|name| page.contains(&format!(">{}</a>", name.replace('/', "&#x2f;"))))
        };
        assert_eq!(seen("olga"), [true; 4]);
        assert_eq!(seen("alice"), [true, false, true, false]);
        assert_eq!(seen(""), [false, false, true, false]);
        let status = |user: &str, target: &str| send_as(&server, user, "GET", target, b"").status;
        for target in ["/ui/r/secret/plans", "/ui/r/secret/plans:v1", "/ui/r/secret/none"] {
            let found = ["olga", "alice", ""].map(|user| status(user, target));
            let there = if target.ends_with("none") { 404 } else { 200 };
            assert_eq!(found, [there, 403, 401], "{target}");
        }
        // A browser asks for a name and password, and knows no tokens.
        let refused = server.get("/ui/r/home/alice/app").expect(401);
        assert_eq!(
            refused.header("www-authenticate"),
            "Basic realm=\"the registry\", charset=\"UTF-8\""
        );
        has(
            &text(&server, "/ui/r/home/alice/app", 401),
            &["authentication required"],
        );
        let header = basic("alice", "wrong");
        let wrong = server.send("GET", "/ui/", &[("authorization", &header)], "");
        assert_eq!(
            wrong.expect(401).header("content-type"),
            "text/html; charset=utf-8"
        );

        let as_browser = |user: &str| {
            let address = format!("http://{user}@{}", server.address);
            browse_at(&format!("{address}/ui/r/home/alice/app"), &["--dump-dom"])
        };
        if more.is_empty() {
            has(
                &as_browser("alice:ecila"),
                &["<title>home/alice/app</title>", ">v1</a>"],
            );
            let tree = as_browser("alice:wrong");
            assert!(!tree.contains(">v1</a>"), "{tree}");
        }
    }
}

/// Runs the browser on a page; what it prints.
fn browse(server: &Server, target: &str, options: &[&str]) -> String {
    browse_at(&format!("http://{}{target}", server.address), options)
}

fn browse_at(url: &str, options: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-background-networking",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(url)
        .output()
        .expect("chromium is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A screenshot's width and height.
fn screenshot(server: &Server, target: &str, name: &str, options: &[&str]) -> (u32, u32) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/page");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.png"));
    let _ = std::fs::remove_file(&file);
    let shot = format!("--screenshot={}", file.display());
    browse(server, target, &[&[shot.as_str()], options].concat());
    let png = std::fs::read(&file).unwrap();
    assert!(
        png.starts_with(b"\x89PNG") && png.len() > 5_000,
        "{name}: nothing to see"
    );
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_browser_shows_it_and_runs_nothing_that_was_pushed() {
    let server = Server::start();
    push_built(&server, "team/app", Some("v1"), "amd64");
    push_index(&server, "team/multi", "stable");
    let hostile =
        "</dd></script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";
    let layer = server.push_blob("evil", b"x");
    let config = server.push_blob(
        "evil",
        b"{\"config\":{\"Labels\":{\"<script>document.title='taken'</script>\":\"x\"}}}",
    );
    let annotations = format!("\"annotations\":{},", json!({hostile: hostile}));
    let manifest = image(&config, &layer, 1, &annotations);
    server
        .put_manifest("evil", "v1", OCI_MANIFEST, &manifest)
        .expect(201);

    let tree = browse(&server, "/ui/r/evil:v1", &["--dump-dom"]);
    has(&tree, &["<title>evil:v1</title>", "&lt;script&gt;document.title"]);
    assert!(!tree.contains("<img"), "{tree}");
    // Its own script has run: there is a button to copy with.
    has(&tree, &["data-copy=\"docker pull"]);
    assert!(!tree.contains("hidden=\"\""), "{tree}");

    let wide = ["--window-size=1200,1000"];
    assert_eq!(screenshot(&server, "/ui/", "repositories", &wide), (1200, 1000));
    assert_eq!(
        screenshot(&server, "/ui/r/team/app:v1", "image", &wide),
        (1200, 1000)
    );
    let dark = [
        "--window-size=1200,1000",
        "--blink-settings=preferredColorScheme=0",
    ];
    screenshot(&server, "/ui/r/team/multi:stable", "index-dark", &dark);
    let phone = ["--window-size=500,900"];
    screenshot(&server, "/ui/r/team/app:v1", "image-phone", &phone);
}
