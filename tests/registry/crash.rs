//! Ends that are no ends: killed after an answer, killed in the middle of an upload, told to stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::client::try_send;
use super::server::{Server, sha256};

#[test]
fn what_was_answered_201_survives_a_kill() {
    let mut server = Server::start();
    for round in 0..5_u8 {
        let layer = vec![round; 300_000];
        let (digest, manifest) = server.push_image("a/b", &format!("v{round}"), &layer);
        server.crash_and_restart();
        for old in 0..=round {
            server.get(&format!("/v2/a/b/manifests/v{old}")).expect(200);
        }
        assert_eq!(server.get(&format!("/v2/a/b/manifests/{digest}")).body, manifest);
        let blob = server
            .get(&format!("/v2/a/b/blobs/{}", sha256(&layer)))
            .expect(200);
        assert!(blob.body == layer);
    }
}

/// The journal of a server that was killed, and a system that has started since and has not all of what was written.
#[test]
fn what_was_answered_201_survives_a_power_cut() {
    let mut server = Server::start();
    let (digest, manifest) = server.push_image("a/b", "v1", b"layer");
    server.send("DELETE", "/v2/a/b/manifests/v1", &[], "").expect(202);
    server
        .put_manifest("a/b", "v2", super::server::OCI_MANIFEST, &manifest)
        .expect(201);
    server.kill();
    let tags = server
        .data()
        .join("docker/registry/v2/repositories/a/b/_manifests/tags");
    std::fs::write(server.data_of(&digest), "").unwrap();
    std::fs::remove_dir_all(tags.join("v2")).unwrap();

    let boot = server.folder.path().join("boot");
    std::fs::write(&boot, "another system\n").unwrap();
    let done = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-ec",
            "mount --bind \"$1\" /proc/sys/kernel/random/boot_id; shift; exec \"$@\"",
        ])
        .args([
            "sh".as_ref(),
            boot.as_os_str(),
            env!("CARGO_BIN_EXE_regdeploy").as_ref(),
        ])
        .args(["registry", "stats", "--config"])
        .arg(server.folder.path().join("registry.yml"))
        .output()
        .expect("unshare is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    server.restart();
    assert_eq!(server.get("/v2/a/b/manifests/v2").expect(200).body, manifest);
    server.get("/v2/a/b/manifests/v1").expect(404);
    server.terminate();
    assert!(server.wait().success());
    for half in ["journal-0a", "journal-0b"] {
        let left = std::fs::metadata(server.data().join("regdeploy").join(half)).unwrap();
        assert_eq!(
            left.len(),
            0,
            "a server that stops leaves nothing to be done again: {half}"
        );
    }
}

/// Four pushers, and a kill at some moment of theirs: whatever was answered 201 is there and whole.
#[test]
fn a_kill_under_load_loses_nothing_that_was_answered() {
    let mut server = Server::start();
    let mut answered: Vec<(String, Vec<u8>)> = Vec::new();
    let first = Arc::new(AtomicUsize::new(0));
    for round in 0..6_u64 {
        let address = server.address;
        let pushers: Vec<_> = (0..4_u8)
            .map(|pusher| {
                let first = Arc::clone(&first);
                std::thread::spawn(move || {
                    let mut stored = Vec::new();
                    for number in 0..u8::MAX {
                        let size = 1 + usize::from(number) * 3000;
                        let content = [
                            [u8::try_from(round).unwrap(), pusher, number].as_slice(),
                            &vec![number; size],
                        ]
                        .concat();
                        let digest = sha256(&content);
                        let target = format!("/v2/load/{pusher}/blobs/uploads/?digest={digest}");
                        match try_send(address, "POST", &target, &[], content.clone()) {
                            Ok(answer) => {
                                answer.expect(201);
                                first.fetch_add(1, Ordering::SeqCst);
                                stored.push((format!("/v2/load/{pusher}/blobs/{digest}"), content));
                            }
                            Err(_) => return stored,
                        }
                    }
                    stored
                })
            })
            .collect();
        // On a machine that does much else the first answer may take its time.
        while first.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(60 + round * 37));
        server.crash_and_restart();
        for pusher in pushers {
            answered.extend(pusher.join().unwrap());
        }
        for (target, content) in &answered {
            assert!(server.get(target).expect(200).body == *content, "{target}");
        }
    }
    assert!(!answered.is_empty(), "something was answered before the kills");
}

#[test]
fn an_upload_goes_on_after_a_kill() {
    let mut server = Server::start();
    let location = server.begin("a");
    server
        .send("PATCH", &location, &[], vec![b'1'; 2_000_000])
        .expect(202);
    // A client that breaks off: what it had sent may stay.
    let mut broken = TcpStream::connect(server.address).unwrap();
    write!(
        broken,
        "PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    )
    .unwrap();
    broken.write_all(&vec![b'1'; 500_000]).unwrap();
    drop(broken);
    server.crash_and_restart();

    let status = server.get(&location).expect(204);
    let have: usize = status
        .header("range")
        .strip_prefix("0-")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1_999_999..2_500_000).contains(&have), "{have}");
    let rest = 3_000_000 - (have + 1);
    let range = format!("{}-2999999", have + 1);
    server
        .send("PATCH", &location, &[("content-range", &range)], vec![b'1'; rest])
        .expect(202);
    let digest = sha256(&vec![b'1'; 3_000_000]);
    server
        .send("PUT", &format!("{location}?digest={digest}"), &[], "")
        .expect(201);
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).body.len(), 3_000_000);
}

#[test]
fn termination_drains() {
    let mut server = Server::start();
    let location = server.begin("a");
    let digest = sha256(b"halves and whole");
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "PUT {location}?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\nhalves "
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.terminate();
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        TcpStream::connect(server.address).is_err(),
        "nothing new is taken"
    );
    stream.write_all(b"and whole").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.wait().success());
}

#[test]
fn termination_has_a_deadline() {
    let mut server = Server::with("  draintimeout: 300ms\n");
    let location = server.begin("a");
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\nhalf"
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    server.terminate();
    assert!(server.wait().success());
}
