//! What a request costs in system calls, where that is what its speed rests on: counted, never timed.
//!
//! Needs strace, Debian's package of that name.

use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::proxy::Lab;
use super::server::{Server, sha256};

/// How long files must be left alone before what was read of them is trusted.
const SETTLED: Duration = Duration::from_millis(2100);

/// Counts the system calls of a server while `work` runs.
fn calls(server: &Server, work: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut strace = Command::new("strace")
        .args(["--follow-forks", "--quiet=attach,exit", "--output"])
        .arg(&log)
        .arg(format!("--attach={}", server.id()))
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is installed");
    // It is there once it has seen a call.
    let begun = Instant::now();
    while std::fs::metadata(&log).map_or(0, |metadata| metadata.len()) == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "strace does not attach"
        );
        server.get("/v2/");
    }
    let before = std::fs::metadata(&log).unwrap().len();
    work();
    detach(&mut strace);
    let log = std::fs::read_to_string(&log).unwrap();
    log[usize::try_from(before).unwrap().min(log.len())..].to_owned()
}

fn detach(strace: &mut Child) {
    let process = rustix::process::Pid::from_child(strace);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    strace.wait().unwrap();
}

fn count(log: &str, call: &str) -> usize {
    log.lines()
        .filter(|line| line.contains(&format!(" {call}(")))
        .count()
}

#[test]
fn what_is_known_is_answered_by_looking_at_its_stamps() {
    let server = Server::start();
    let (digest, _) = server.push_image("a", "v1", b"layer");
    let blob = format!("/v2/a/blobs/{}", sha256(b"layer"));
    std::thread::sleep(SETTLED);
    let targets = [
        ("GET", "/v2/a/manifests/v1"),
        ("HEAD", &format!("/v2/a/manifests/{digest}")),
        ("HEAD", &blob),
    ];
    for (method, target) in targets {
        server.send(method, target, &[], "").expect(200);
    }
    let data = server.data();
    let data = data.to_str().unwrap();
    for (method, target) in targets {
        let log = calls(&server, || {
            for _ in 0..10 {
                server.send(method, target, &[], "").expect(200);
            }
        });
        let opened = log
            .lines()
            .filter(|line| line.contains("openat(") && line.contains(data))
            .count();
        assert_eq!(opened, 0, "{method} {target}: {log}");
        let looked = log
            .lines()
            .filter(|line| line.contains("stat") && line.contains(data))
            .count();
        assert!(
            (10..=20).contains(&looked),
            "{method} {target}: {looked} looks\n{log}"
        );
    }
}

/// A mirror's, too. Who has read the request looks and answers: nobody else is woken.
#[test]
fn what_a_mirror_holds_is_answered_by_who_has_read_the_request() {
    let lab = Lab::new("");
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let blob = format!("/v2/hub/some/image/blobs/{}", sha256(b"layer"));
    let targets = [
        ("GET", "/v2/hub/some/image/manifests/v1"),
        ("GET", &format!("/v2/hub/some/image/manifests/{digest}")),
        ("GET", &blob),
        ("HEAD", &blob),
    ];
    let ask = |(method, target)| {
        lab.mirror.send(method, target, &[], "").expect(200);
    };
    targets.into_iter().for_each(ask);
    std::thread::sleep(SETTLED);
    targets.into_iter().for_each(ask);
    lab.upstream.take();
    let data = lab.mirror.data();
    let data = data.to_str().unwrap();
    let thread = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
    for target in targets {
        let log = calls(&lab.mirror, || {
            for _ in 0..10 {
                ask(target);
            }
        });
        let answering: HashSet<String> = log
            .lines()
            .filter(|line| line.contains("HTTP/1.1 200"))
            .map(thread)
            .collect();
        let looked: Vec<&str> = log.lines().filter(|line| line.contains(data)).collect();
        let opened = looked.iter().filter(|line| line.contains("openat(")).count();
        assert_eq!(
            opened,
            if target == ("GET", &*blob) { 10 } else { 0 },
            "{target:?}: {log}"
        );
        assert!((10..=50).contains(&looked.len()), "{target:?}: {log}");
        let elsewhere = looked.iter().filter(|line| !answering.contains(&thread(line)));
        assert_eq!(elsewhere.count(), 0, "{target:?}: {log}");
    }
    assert!(lab.upstream.take().is_empty());
}

#[test]
fn a_page_of_the_catalog_looks_at_what_is_on_it() {
    let server = Server::start();
    for number in 0..20 {
        server.push_blob(&format!("team-{}/image-{number:02}", number % 2), b"x");
    }
    std::thread::sleep(SETTLED);
    server.get("/v2/_catalog").expect(200);
    let log = calls(&server, || {
        server.get("/v2/_catalog?n=4").expect(200);
    });
    let looked = log
        .lines()
        .filter(|line| line.contains("stat") && line.contains("\"image-"));
    assert_eq!(
        looked.count(),
        5,
        "one more says that there is a next page: {log}"
    );
}

#[test]
fn a_blob_goes_out_without_being_read() {
    let server = Server::start();
    let content = vec![7; 3 << 20];
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &content));
    let log = calls(&server, || {
        assert!(server.get(&target).body == content);
    });
    assert!(count(&log, "sendfile") > 0, "{log}");
    // One byte at each end of a part, to see whether it is in memory.
    let read = log.lines().filter(|line| line.contains("pread")).filter(|line| {
        let result = line.rsplit("= ").next().and_then(|text| text.parse::<u64>().ok());
        result.is_some_and(|bytes| bytes > 1)
    });
    assert_eq!(read.count(), 0, "{log}");
}

/// A push is in the journal, durably and by one synchronisation, before its parts have their names; the answer goes
/// out when they have.
#[test]
fn a_push_is_durable_in_the_right_order() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let log = calls(&server, || {
        server
            .put_manifest("a", "v2", super::server::OCI_MANIFEST, &format!("{manifest} "))
            .expect(201);
    });
    let lines: Vec<_> = log.lines().collect();
    let places = |what: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let found = lines.iter().enumerate().filter(|(_, line)| what(line));
        found.map(|(place, _)| place).collect()
    };
    let renames = places(&|line| line.contains("rename") && line.contains(".new-"));
    let answer = places(&|line| line.contains("HTTP/1.1 201"));
    let kind = |part: &str| {
        renames
            .iter()
            .position(|place| lines[*place].contains(part))
            .unwrap()
    };
    assert_eq!(renames.len(), 4, "{log}");
    let order = ["/blobs/", "/revisions/", "/index/", "/current/"].map(kind);
    assert_eq!(order, [0, 1, 2, 3], "what is pointed to comes first: {log}");
    // Of the thread that renames: another one goes over the whole file system now and then.
    let thread = lines[renames[0]].split_whitespace().next();
    let syncs = places(&|line| line.contains("sync(") && line.split_whitespace().next() == thread);
    assert_eq!(syncs.len(), 1, "{log}");
    assert!(syncs[0] < renames[0] && renames[3] < answer[0], "{log}");
}
