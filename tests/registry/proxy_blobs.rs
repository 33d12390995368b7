//! Blobs of the pull-through cache: one request for all who wait, whatever happens to its connection.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use super::proxy::{Lab, SECOND, SIZE, section};
use super::server::{Server, sha256, until};
use super::upstream::{Act, Download, Upstream};

#[test]
fn a_hundred_clients_are_one_request_and_have_the_first_half_before_the_second_comes() {
    let lab = Lab::new("");
    let (content, target) = lab.blob(1);
    let content = Arc::new(content);
    let gate = lab.upstream.hold("/blobs/", SIZE / 2);
    let half = Arc::new(Barrier::new(101));
    let clients: Vec<_> = (0..100)
        .map(|number: usize| {
            let (address, target) = (lab.mirror.address, target.clone());
            let (content, half) = (Arc::clone(&content), Arc::clone(&half));
            std::thread::spawn(move || {
                // Ranges among them.
                let start = if number.is_multiple_of(3) { number } else { 0 };
                let range = if start > 0 {
                    format!("Range: bytes={start}-\r\n")
                } else {
                    String::new()
                };
                let mut download = Download::open(address, &target, &range);
                assert_eq!(download.length(), SIZE - start);
                assert!(download.read(SIZE / 2 - start) == content[start..SIZE / 2]);
                half.wait();
                assert!(download.rest() == content[SIZE / 2..]);
            })
        })
        .collect();
    // Everybody has the first half; the second has not left the upstream.
    half.wait();
    gate.send(()).unwrap();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(lab.fetches(&target), 1);
    assert!(lab.mirror.get(&target).body == *content);
    assert_eq!(lab.fetches(&target), 0);
}

#[test]
fn item_12_a_range_is_served_as_soon_as_the_fetch_is_there() {
    let lab = Lab::new("");
    let (content, target) = lab.blob(2);
    let gate = lab.upstream.hold("/blobs/", SIZE / 2);
    let early = lab.download(&target, "Range: bytes=10-19\r\n");
    assert_eq!(
        (early.status, early.headers["content-range"].as_str()),
        (206, "bytes 10-19/3145728")
    );
    assert_eq!(early.rest(), &content[10..20]);
    let late = lab.download(&target, "Range: bytes=-10\r\n");
    assert_eq!(late.status, 206);
    gate.send(()).unwrap();
    assert_eq!(late.rest(), &content[SIZE - 10..]);
    lab.mirror
        .send("GET", &target, &[("range", "bytes=9999999-")], "")
        .expect(416);
    assert_eq!(lab.fetches(&target), 1);
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let lab = Lab::new(SECOND);
    let (content, target) = lab.blob(3);
    lab.upstream.once("GET", "/blobs/", Act::Truncate(SIZE / 3));
    lab.upstream
        .once("GET", "/blobs/", Act::Answer(502, Vec::new(), Vec::new()));
    // One that stalls is left after the timeout.
    let _gate = lab.upstream.hold("/blobs/", SIZE / 3);
    let download = lab.download(&target, "");
    assert!(download.rest() == content);
    let seen = lab.upstream.take();
    let asked: Vec<(&str, bool)> = seen
        .iter()
        .map(|seen| (seen.header("range"), seen.header("if-range").is_empty()))
        .collect();
    let (third, two) = (format!("bytes={}-", SIZE / 3), format!("bytes={}-", SIZE / 3 * 2));
    assert_eq!(
        asked,
        [("", true), (&third, false), (&third, false), (&two, false)]
    );
    assert!(lab.mirror.get(&target).body == content);
    assert!(lab.upstream.take().is_empty());
}

#[test]
fn item_21_wrong_bytes_are_never_kept_nor_handed_out_whole() {
    let lab = Lab::new("");
    let (content, target) = lab.blob(4);
    lab.upstream.once("GET", "/blobs/", Act::Corrupt);
    let download = lab.download(&target, "");
    assert_eq!(download.length(), SIZE);
    assert!(download.rest().len() < SIZE, "broken off before the last byte");
    assert!(lab.mirror.get(&target).body == content);
    assert_eq!(lab.fetches(&target), 2);

    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    for reference in [digest.as_str(), "v1"] {
        let target = format!("/v2/hub/some/image/manifests/{reference}");
        lab.upstream.once("GET", "/manifests/", Act::Corrupt);
        assert_eq!(lab.mirror.get(&target).expect(502).code(), "UNAVAILABLE");
        lab.mirror.get(&target).expect(200);
    }
}

#[test]
fn clients_that_go_away_leave_the_others_theirs() {
    let lab = Lab::new("");
    let (content, target) = lab.blob(5);
    let gate = lab.upstream.hold("/blobs/", SIZE / 2);
    let mut leaving = lab.download(&target, "");
    leaving.read(1000);
    let staying = lab.download(&target, "");
    drop(leaving);
    gate.send(()).unwrap();
    assert!(staying.rest() == content);
    assert_eq!(lab.fetches(&target), 1);

    // One whom nobody is left to wait for is finished all the same, if it is nearly there.
    let (content, target) = lab.blob(6);
    let gate = lab.upstream.hold("/blobs/", SIZE / 2);
    lab.download(&target, "").read(1000);
    gate.send(()).unwrap();
    assert!(lab.mirror.get(&target).body == content);
    assert_eq!(lab.fetches(&target), 1);
}

#[test]
fn a_long_fetch_that_nobody_waits_for_is_given_up() {
    let lab = Lab::new("");
    let (content, target) = lab.blob(10);
    let (gone, given_up) = channel();
    let begin = Act::Begin(100 << 20, content[..SIZE / 2].to_vec(), gone);
    lab.upstream.once("GET", "/blobs/", begin);
    let mut leaving = lab.download(&target, "");
    assert_eq!(leaving.length(), 100 << 20);
    leaving.read(1000);
    let mut staying = lab.download(&target, "");
    drop(leaving);
    staying.read(SIZE / 2);
    // Its size is known without asking again.
    assert_eq!(lab.mirror.head(&target).header("content-length"), "104857600");
    assert!(given_up.try_recv().is_err());
    drop(staying);
    given_up.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
    let uploads = lab
        .mirror
        .data()
        .join("docker/registry/v2/repositories/hub/some/image/_uploads");
    until(&0, || std::fs::read_dir(&uploads).map_or(0, Iterator::count));
    assert_eq!(lab.upstream.take().len(), 1);
    // Whoever comes next has it fetched anew.
    assert!(lab.mirror.get(&target).body == content);
    assert_eq!(lab.fetches(&target), 1);
}

#[test]
fn an_upstream_that_does_not_answer_leaves_room_to_others() {
    let dead = Lab::new("");
    dead.upstream.when(|_| Some(Act::Silence));
    let origin = Server::start();
    let digest = origin.push_blob("some/image", b"layer");
    let mirror = Server::with(&format!(
        "{}    alive:\n      remoteurl: http://{}\n",
        section(dead.upstream.address, ""),
        origin.address
    ));
    let waiting: Vec<_> = (0..40_u8)
        .map(|seed| {
            let mut stream = TcpStream::connect(mirror.address).unwrap();
            let digest = sha256(&[seed]);
            write!(
                stream,
                "GET /v2/hub/some/image/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            .unwrap();
            stream
        })
        .collect();
    let mut asked = 0;
    while asked < 16 {
        asked += dead.upstream.take().len();
        std::thread::yield_now();
    }
    let target = format!("/v2/alive/some/image/blobs/{digest}");
    assert_eq!(mirror.get(&target).expect(200).body, "layer");
    assert_eq!((asked, dead.upstream.take().len()), (16, 0));
    drop(waiting);
}

#[test]
fn without_the_room_that_is_to_stay_free_content_passes() {
    let origin = Server::start();
    let upstream = Upstream::before(origin.address);
    let mirror = Server::with_environment(
        &section(upstream.address, ""),
        &[("REGISTRY_STORAGE_MAINTENANCE_MINFREE", "1000000TiB")],
    );
    origin.push_image("some/image", "v1", b"layer");
    let digest = sha256(b"layer");
    let blob = format!("blobs/{digest}");
    for _ in 0..2 {
        mirror.get("/v2/hub/some/image/manifests/v1").expect(200);
        let answer = mirror.get(&format!("/v2/hub/some/image/{blob}")).expect(200);
        assert_eq!(&answer.body[..], b"layer");
        assert!(!mirror.data_of(&digest).exists());
    }
    // Manifests are small, and kept.
    let passed = [format!("HEAD {blob}"), format!("GET {blob}")];
    let mut expected = vec!["GET manifests/v1".to_owned()];
    expected.extend([&passed[..], &passed[..]].concat());
    assert_eq!(upstream.asked(), expected);
}

#[test]
fn a_full_disk_lets_content_pass() {
    let lab = Lab::new("");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let (content, target) = lab.blob(9);
    let full = Full::over(&lab.mirror.data());
    lab.mirror.get("/v2/hub/some/image/manifests/v1").expect(200);
    lab.mirror
        .get(&format!("/v2/hub/some/image/manifests/{digest}"))
        .expect(200);
    for range in ["", "Range: bytes=5-\r\n"] {
        let start = if range.is_empty() { 0 } else { 5 };
        let download = lab.download(&target, range);
        assert_eq!(download.length(), SIZE - start);
        assert!(download.rest() == content[start..]);
    }
    // What comes wrong is not handed out whole then either.
    lab.upstream
        .when(|seen| (seen.method == "GET" && seen.target.contains("/blobs/")).then_some(Act::Corrupt));
    let wrong = lab.download(&target, "");
    assert!(wrong.rest().len() < SIZE);
    lab.upstream.heal();
    drop(full);
    lab.mirror.get(&target).expect(200);
    lab.upstream.take();
    lab.mirror.get(&target).expect(200);
    assert!(lab.upstream.take().is_empty());
}

/// A small file system over a folder.
struct Full(std::path::PathBuf);

impl Full {
    fn over(folder: &std::path::Path) -> Self {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder)
            .status();
        assert!(mounted.unwrap().success(), "these tests run as root");
        Self(folder.to_owned())
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // Lazily: the server may have a file of it open still.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}
