//! A disk that is almost full, and one that is: on a small file system in memory, so root has to run this.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use super::server::{Server, sha256};

/// A file system of 16 MiB, gone with this.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &tempfile::TempDir) -> Self {
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&data)
            .status();
        assert!(mounted.unwrap().success(), "root may mount");
        Self(data)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: should the server still be there, it goes with it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A server that refuses uploads while less than this is free.
fn start(floor: &str) -> (Server, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&folder);
    (
        Server::care(folder, &format!("  maintenance:\n    minfree: {floor}\n")),
        disk,
    )
}

#[test]
fn uploads_are_refused_early_while_all_else_goes_on() {
    let (server, _disk) = start("6MiB");
    let (first, location) = (vec![1_u8; 6 << 20], server.begin("a"));
    let (image, manifest) = server.push_image("a", "v1", &first);
    server.push_blob("a", &vec![2_u8; 5 << 20]);
    // Now less than the floor is free.
    for refused in [
        server.send("POST", "/v2/a/blobs/uploads/", &[], ""),
        server.send("PATCH", &location, &[], vec![3_u8; 1000]),
    ] {
        assert_eq!(refused.status, 507, "{refused:?}");
        assert_eq!(refused.code(), "UNAVAILABLE");
        assert!(
            refused.json()["errors"][0]["detail"]
                .as_str()
                .unwrap()
                .contains("uploads need 6291456")
        );
    }
    // One that announces a body and waits is told before it has sent any.
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "PATCH {location} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 507 Insufficient Storage\r\n");

    assert!(server.get("/v2/a/manifests/v1").expect(200).body == manifest);
    assert!(
        server
            .get(&format!("/v2/a/blobs/{}", sha256(&first)))
            .expect(200)
            .body
            == first
    );
    // A push whose blobs are there comes to its end.
    server
        .put_manifest("a", "v2", super::server::OCI_MANIFEST, &manifest)
        .expect(201);
    let mount = format!("/v2/b/blobs/uploads/?mount={}&from=a", sha256(&first));
    server.send("POST", &mount, &[], "").expect(201);
    server
        .send("DELETE", &format!("/v2/a/manifests/{image}"), &[], "")
        .expect(202);
    assert!(
        server.verb(&["gc", "--grace", "0"])["removed"]["bytes"]
            .as_u64()
            .unwrap()
            > 11 << 20
    );
    server.push_image("a", "v3", b"there is room");
}

#[test]
fn a_disk_that_is_full_in_the_middle_leaves_nothing_half_done() {
    let (server, _disk) = start("0");
    let (image, _) = server.push_image("a", "v1", &vec![1_u8; 8 << 20]);
    let content: Vec<u8> = (0..10 << 20)
        .map(|at: u32| at.to_le_bytes()[at as usize % 3])
        .collect();
    let location = server.begin("a");
    let full = server.send("PATCH", &location, &[], content.clone());
    assert_eq!((full.status, full.code().as_str()), (507, "UNAVAILABLE"));
    let status = server.get(&location).expect(204);
    let have: usize = status
        .header("range")
        .strip_prefix("0-")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1 << 20..10 << 20).contains(&have), "{have}");
    let digest = sha256(&content);
    server.head(&format!("/v2/a/blobs/{digest}")).expect(404);
    assert!(!server.data_of(&digest).exists());
    server.get("/v2/a/manifests/v1").expect(200);

    server
        .send("DELETE", &format!("/v2/a/manifests/{image}"), &[], "")
        .expect(202);
    server.verb(&["gc", "--grace", "0"]);
    let range = format!("{}-{}", have + 1, content.len() - 1);
    server
        .send(
            "PATCH",
            &location,
            &[("content-range", &range)],
            content[have + 1..].to_vec(),
        )
        .expect(202);
    server
        .send("PUT", &format!("{location}?digest={digest}"), &[], "")
        .expect(201);
    assert!(server.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == content);
}

/// All has come, and there is no room for the link: once there is, the same upload comes to its end.
#[test]
fn an_upload_outlives_a_disk_that_is_full_at_its_end() {
    let (server, disk) = start("0");
    server.push_image("a", "v1", b"what else is there");
    let content = vec![5_u8; 4 << 20];
    let digest = sha256(&content);
    let location = server.begin("new/repository");
    server.send("PATCH", &location, &[], content.clone()).expect(202);
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let target = format!("{location}?digest={digest}");
    for _ in 0..3 {
        let full = server.send("PUT", &target, &[], "");
        assert_eq!((full.status, full.code().as_str()), (507, "UNAVAILABLE"));
        let status = server.get(&location).expect(204);
        assert_eq!(status.header("range"), format!("0-{}", content.len() - 1));
        server
            .head(&format!("/v2/new/repository/blobs/{digest}"))
            .expect(404);
    }
    server.get("/v2/a/manifests/v1").expect(200);
    // Its room is free once nobody has it open.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    server.send("PUT", &target, &[], "").expect(201);
    let pulled = server
        .get(&format!("/v2/new/repository/blobs/{digest}"))
        .expect(200);
    assert!(pulled.body == content);
}
