//! Images in files, in both directions, against real skopeo (Debian's package of that name).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::care::{command, lines, run, stderr_of_failure};
use super::clients::skopeo;
use super::server::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

/// A tar with one file.
fn layer_tar(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", content).unwrap();
    builder.into_inner().unwrap()
}

/// Pushes an image with layers that are tars; returns its digest and the layers.
fn push(server: &Server, name: &str, tag: &str) -> (String, Vec<Vec<u8>>) {
    let layers = [layer_tar(b"one"), layer_tar(&vec![7; 2 << 20])].to_vec();
    let ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]},
        "rootfs": {"type": "layers", "diff_ids": ids}})
    .to_string();
    let config_digest = server.push_blob(name, config.as_bytes());
    let described: Vec<_> = layers
        .iter()
        .map(|layer| {
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": layer.len(),
                "digest": server.push_blob(name, layer)})
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": described,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()}});
    let answer = server
        .put_manifest(name, tag, OCI_MANIFEST, &manifest.to_string())
        .expect(201);
    (answer.header("docker-content-digest").to_owned(), layers)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_oci_layout_goes_out_and_comes_in() {
    let server = Server::start();
    let (digest, _) = push(&server, "team/app", "v1");
    let folder = tempfile::tempdir().unwrap();
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("app.tar"));
    let export = |format: &str, to: &Path| {
        lines(
            server.folder.path(),
            &["export", "team/app:v1", "--format", format, "-o", text(to)],
        )
    };
    assert_eq!(export("oci", &layout)[0]["images"][0]["digest"], digest);
    export("oci-archive", &archive);
    // skopeo understands both, and finds the same manifest.
    for source in [
        format!("oci:{}:v1", layout.display()),
        format!("oci-archive:{}:v1", archive.display()),
    ] {
        let raw = skopeo(&["inspect", "--raw", &source]);
        assert_eq!(sha256(raw.as_bytes()), digest);
        skopeo(&["copy", &source, &format!("dir:{}/copy", folder.path().display())]);
    }
    // Folder and archive, into a running server.
    for (name, file) in [("from/folder", &layout), ("from/archive", &archive)] {
        let done = lines(
            server.folder.path(),
            &["import", "--repository", name, text(file)],
        );
        assert_eq!(done[0]["images"][0]["tag"], "v1");
        assert_eq!(done[0]["images"][0]["digest"], digest);
        let remote = format!("docker://{}/{name}:v1", server.address);
        skopeo(&[
            "copy",
            "--src-tls-verify=false",
            &remote,
            &format!("dir:{}/again", folder.path().display()),
        ]);
    }
    let catalog = server.get("/v2/_catalog").json();
    assert_eq!(
        catalog["repositories"],
        json!(["from/archive", "from/folder", "team/app"])
    );
    // Nothing is left over for the collector.
    assert_eq!(
        server.verb(&["gc", "--dry-run", "--grace", "0"])["removed"]["blobs"],
        0
    );
}

#[test]
fn what_skopeo_wrote_comes_in_without_a_server() {
    let mut server = Server::start();
    let (digest, layers) = push(&server, "app", "v1");
    let folder = tempfile::tempdir().unwrap();
    let remote = format!("docker://{}/app:v1", server.address);
    let path = |name: &str| folder.path().join(name);
    let (layout, archive) = (path("layout"), path("docker.tar"));
    for target in [
        format!("oci:{}:docker.io/library/other:v2", layout.display()),
        format!("docker-archive:{}:docker.io/library/third:v3", archive.display()),
    ] {
        skopeo(&["copy", "--src-tls-verify=false", &remote, &target]);
    }
    server.terminate();
    assert!(server.wait().success());
    let done = lines(server.folder.path(), &["import", text(&layout)]);
    assert_eq!(done[0]["images"][0]["repository"], "library/other");
    assert_eq!(done[0]["images"][0]["tag"], "v2");
    assert_ne!(done[0]["images"][0]["digest"], "", "{digest}");
    let done = lines(server.folder.path(), &["import", text(&archive)]);
    assert_eq!(done[0]["images"][0]["repository"], "library/third");

    server.crash_and_restart();
    for (name, tag) in [("library/other", "v2"), ("library/third", "v3")] {
        let target = format!("dir:{}", path("pulled").display());
        let remote = format!("docker://{}/{name}:{tag}", server.address);
        skopeo(&["copy", "--src-tls-verify=false", &remote, &target]);
        let config = skopeo(&["inspect", "--config", "--tls-verify=false", &remote]);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
        assert_eq!(config["rootfs"]["diff_ids"], json!(ids));
    }
}

#[test]
fn a_docker_archive_goes_out_and_comes_in() {
    let server = Server::start();
    let (digest, layers) = push(&server, "team/app", "v1");
    // An index over it, and over a platform that is elsewhere.
    let other = server.push_image("team/app", "other", b"other").0;
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": other, "size": 1, "platform": {"os": "linux", "architecture": "s390x"}},
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}]});
    server
        .put_manifest("team/app", "multi", OCI_INDEX, &index.to_string())
        .expect(201);
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("app.tar");
    let export = [
        "export",
        "team/app:multi",
        "--format",
        "docker-archive",
        "-o",
        text(&archive),
    ];
    lines(
        server.folder.path(),
        &[&export[..], &["--platform", "linux/arm/v7"]].concat(),
    );
    let target = format!("oci:{}/layout:x", folder.path().display());
    skopeo(&[
        "copy",
        &format!("docker-archive:{}:team/app:multi", archive.display()),
        &target,
    ]);
    let error = stderr_of_failure(
        server.folder.path(),
        &[&export[..], &["--platform", "linux/riscv64"]].concat(),
    );
    assert!(
        error.contains("none of them is linux/riscv64: linux/s390x, linux/arm"),
        "{error}"
    );
    lines(
        server.folder.path(),
        &[&export[..], &["--platform", "linux/arm/v7"]].concat(),
    );

    let done = lines(
        server.folder.path(),
        &["import", text(&archive), "--repository", "again", "--tag", "v9"],
    );
    assert_eq!(
        (&done[0]["images"][0]["repository"], &done[0]["images"][0]["tag"]),
        (&"again".into(), &"v9".into())
    );
    // Compressed on its way in, and the same once unpacked: out again it is the same archive.
    let manifest = server.get("/v2/again/manifests/v9").expect(200).json();
    assert_eq!(
        manifest["layers"][1]["mediaType"],
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    );
    assert!(manifest["layers"][1]["size"].as_u64().unwrap() < layers[1].len() as u64 / 10);
    let again = folder.path().join("again.tar");
    lines(
        server.folder.path(),
        &[
            "export",
            "again:v9",
            "--format",
            "docker-archive",
            "-o",
            text(&again),
        ],
    );
    let mut unpacked = Vec::new();
    for entry in tar::Archive::new(std::fs::File::open(&again).unwrap())
        .entries()
        .unwrap()
    {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("layer.tar") {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            unpacked.push(content);
        }
    }
    assert!(unpacked == layers);
}

#[test]
fn an_archive_may_come_and_go_through_pipes() {
    let server = Server::start();
    let (digest, _) = push(&server, "app", "v1");
    let config = server.folder.path().join("registry.yml");
    let out = command(&[
        "export",
        "app:v1",
        "--format",
        "oci-archive",
        "-o",
        "-",
        "--config",
    ])
    .arg(&config)
    .output()
    .unwrap();
    assert!(out.status.success());
    let mut child = command(&["import", "-", "--repository", "piped", "--json", "--config"])
        .arg(&config)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &out.stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(&digest));
    server.get(&format!("/v2/piped/manifests/{digest}")).expect(200);
}

#[test]
fn broken_archives_bring_nothing() {
    let server = Server::start();
    push(&server, "app", "v1");
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    lines(server.folder.path(), &["export", "app:v1", "-o", text(&layout)]);
    let import =
        |more: &[&str]| stderr_of_failure(server.folder.path(), &[&["import", text(&layout)], more].concat());
    assert!(import(&[]).contains("does not say what the image"));
    let to: &[&str] = &["--repository", "broken"];
    assert!(import(&["--repository", "UPPER"]).contains("UPPER: a repository name"));
    // A damaged blob; then a missing one; then no index.
    let blobs = layout.join("blobs/sha256");
    let large = std::fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    std::fs::write(&large, "damaged").unwrap();
    assert!(import(to).contains("the content's digest is"));
    std::fs::remove_file(&large).unwrap();
    assert!(import(to).contains("the archive lacks sha256:"));
    std::fs::remove_file(layout.join("index.json")).unwrap();
    assert!(import(to).contains("neither an OCI layout nor a docker archive"));
    let cut = run(
        server.folder.path(),
        &["import", "/dev/null", "--repository", "broken"],
    );
    assert_eq!(cut.status.code(), Some(1));
    // Not even a name is left.
    assert_eq!(server.get("/v2/_catalog").json()["repositories"], json!(["app"]));
}

/// The tag moves and what it named is collected, again and again: each export is an image that was there.
#[test]
fn an_export_beside_collections_comes_out_whole() {
    let server = Server::start();
    let push_one = |number: u64| {
        server
            .push_image("app", "v1", &number.to_le_bytes().repeat(40_000))
            .0
    };
    let mut pushed = vec![push_one(0)];
    let over = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let exported: Vec<(String, std::path::PathBuf)> = std::thread::scope(|scope| {
        let exporting = scope.spawn(|| {
            let exported = (0..12).map(|number| {
                let layout = folder.path().join(number.to_string());
                let told = lines(server.folder.path(), &["export", "app:v1", "-o", text(&layout)]);
                let digest = told[0]["images"][0]["digest"].as_str().unwrap().to_owned();
                (digest, layout)
            });
            let exported = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exported.collect()));
            over.store(true, Ordering::Relaxed);
            exported
        });
        while !over.load(Ordering::Relaxed) {
            pushed.push(push_one(pushed.len() as u64));
            server.verb(&["gc", "--grace", "0", "--untagged"]);
        }
        exporting.join().unwrap().unwrap()
    });
    assert!(pushed.len() > 2, "nothing moved");
    for (digest, layout) in exported {
        assert!(pushed.contains(&digest));
        let copy = format!("dir:{}/copy", folder.path().display());
        skopeo(&["copy", &format!("oci:{}:v1", layout.display()), &copy]);
    }
}
