//! Contents: sent ahead, asked for, missing, cut off.

use std::path::Path;
use std::time::Instant;

use regdeploy::wire::message::BecomeMethod;

use super::sshd::Sshd;
use super::*;

const LARGE: u64 = 64 << 20;

fn place(digest: &str, size: u64, to: &Path) -> Call {
    let mut file = Map::new();
    file.insert("path".to_owned(), Value::from(""));
    file.insert("digest".to_owned(), Value::from(digest));
    file.insert("size".to_owned(), Value::from(size));
    call(
        "place",
        &[
            ("dest", Value::from(to.to_str().unwrap())),
            ("files", Value::List(vec![Value::Map(file)])),
        ],
    )
}

fn nobody() -> Option<Become> {
    Some(Become {
        program: None,
        directory: None,
        method: BecomeMethod::Sudo,
        user: "nobody".to_owned(),
        flags: None,
        password: None,
    })
}

/// The most memory that a process has had, in bytes, without the parts of its executable that are mapped: in a
/// debug build they are many times what it holds itself.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kilobytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    (kilobytes("VmHWM:") - kilobytes("RssFile:")) * 1024
}

fn shared_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

#[tokio::test]
async fn small_contents_go_along_and_cost_no_exchange() {
    let folder = shared_folder();
    let mut link = open(&Transport::Local).await.unwrap();
    let content = small(b"hello\n");
    for (name, user) in [("a", None), ("b", nobody())] {
        let path = folder.path().join(name);
        let begun = link.traffic().exchanges();
        let answers = Repeated::new(0);
        let calls = batch(vec![place(&content.digest, 6, &path)], user);
        let outcomes = run_with(&mut link, calls, vec![content.clone()], answers.clone())
            .await
            .unwrap();
        assert!(outcomes[0].changed, "{outcomes:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello\n");
        assert_eq!(link.traffic().exchanges() - begun, 1, "{name}");
        assert_eq!(answers.asked.load(Ordering::Relaxed), 0, "{name}");
    }
    link.close().await;
}

#[tokio::test]
async fn a_large_content_is_asked_for_and_never_held_in_memory() {
    let sshd = Sshd::start();
    let folder = shared_folder();
    let mut link = open(&sshd.transport()).await.unwrap();
    let answers = Repeated::new(LARGE);
    for (name, user) in [("a", None), ("b", nobody())] {
        let path = folder.path().join(name);
        let begun = link.traffic().exchanges();
        let calls = batch(vec![place(&answers.digest(), LARGE, &path)], user);
        let outcomes = run_with(&mut link, calls, vec![], answers.clone()).await.unwrap();
        assert!(outcomes[0].changed, "{outcomes:?}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LARGE);
        assert_eq!(link.traffic().exchanges() - begun, 2, "{name}");
    }
    let peak = peak_memory(link.hello().pid);
    assert!(peak < LARGE / 4, "the agent took {peak} bytes");
    link.close().await;
}

#[tokio::test]
async fn a_content_that_the_controller_does_not_have_fails_the_task_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut link = open(&Transport::Local).await.unwrap();
    let digest = "0".repeat(64);
    let outcomes = run(&mut link, batch(vec![place(&digest, 1, &path)], None), vec![])
        .await
        .unwrap();
    assert!(outcomes[0].failed);
    assert!(
        message(&outcomes[0]).contains("the controller has no content"),
        "{outcomes:?}"
    );
    assert!(!path.exists());
    run(&mut link, batch(vec![ping("a")], None), vec![])
        .await
        .unwrap();
    link.close().await;
}

/// Says one thing and sends another.
struct Changed;

impl Answers for Changed {
    fn content(&self, _digest: &str) -> Option<Box<dyn Read + Send>> {
        Some(Box::new(&b"something else"[..]))
    }

    fn sign(&self, _authority: &str, _request: &str) -> Result<String, String> {
        Err(String::new())
    }
}

#[tokio::test]
async fn a_content_that_has_changed_meanwhile_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut link = open(&Transport::Local).await.unwrap();
    let calls = batch(vec![place(&small(b"x").digest, 1, &path)], None);
    let outcomes = run_with(&mut link, calls, vec![], Arc::new(Changed))
        .await
        .unwrap();
    assert!(
        message(&outcomes[0]).contains("not the one that was announced"),
        "{outcomes:?}"
    );
    assert!(!path.exists());
    link.close().await;
}

/// Has any content, and counts how many were read.
struct Endless(std::sync::atomic::AtomicUsize, Vec<u8>, Vec<String>);

impl Answers for Endless {
    fn content(&self, digest: &str) -> Option<Box<dyn Read + Send>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut bytes = self.1.clone();

        let number = self.2.iter().position(|known| known == digest)?;
        bytes.push(u8::try_from(number).unwrap());
        Some(Box::new(std::io::Cursor::new(bytes)))
    }

    fn sign(&self, _authority: &str, _request: &str) -> Result<String, String> {
        Err(String::new())
    }
}

/// Digests of contents that differ in their last byte.
fn many(common: &[u8]) -> Vec<String> {
    (0..200)
        .map(|number| small(&[common, &[number]].concat()).digest)
        .collect()
}

#[tokio::test]
async fn a_call_that_has_failed_wants_no_more_contents() {
    let folder = tempfile::tempdir().unwrap();
    let mut link = open(&Transport::Local).await.unwrap();
    let common = vec![b'x'; 200 << 10];
    let files = many(&common).into_iter().enumerate().map(|(number, digest)| {
        let mut file = Map::new();
        file.insert("path".to_owned(), Value::from(number.to_string()));
        file.insert("digest".to_owned(), Value::from(digest));
        file.insert("size".to_owned(), Value::from(common.len() + 1));
        Value::Map(file)
    });
    let call = call(
        "place",
        &[
            ("dest", Value::from(folder.path().to_str().unwrap())),
            ("files", Value::List(files.collect())),
            ("validate", Value::from("false %s")),
        ],
    );
    let answers = Arc::new(Endless(
        std::sync::atomic::AtomicUsize::new(0),
        common.clone(),
        many(&common),
    ));
    let begun = link.traffic().sent();
    let outcomes = run_with(&mut link, batch(vec![call], None), vec![], answers.clone())
        .await
        .unwrap();
    assert!(
        message(&outcomes[0]).contains("failed to validate"),
        "{outcomes:?}"
    );
    let asked = answers.0.load(Ordering::Relaxed);
    assert!(asked < 150, "{asked} contents were read");
    assert!(link.traffic().sent() - begun < 30 << 20);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // And the link goes on.
    let outcomes = run(&mut link, batch(vec![ping("a")], None), vec![])
        .await
        .unwrap();
    assert_eq!(outcomes[0].values["ping"], Value::from("a"));
    link.close().await;
}

/// Ends the connection when it is asked.
struct Cut(Sshd, Arc<Repeated>);

impl Answers for Cut {
    fn content(&self, digest: &str) -> Option<Box<dyn Read + Send>> {
        self.0.kill_sessions("-KILL");
        self.1.content(digest)
    }

    fn sign(&self, _authority: &str, _request: &str) -> Result<String, String> {
        Err(String::new())
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_mid_task_is_unreachable_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let sshd = Sshd::start();
    let mut link = open(&sshd.transport()).await.unwrap();
    let content = Repeated::new(LARGE);
    let calls = batch(vec![place(&content.digest(), LARGE, &path)], None);
    let begun = Instant::now();
    let error = run_with(&mut link, calls, vec![], Arc::new(Cut(sshd, content)))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectionError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let agent = PathBuf::from(format!("/proc/{}", link.hello().pid));
    link.close().await;
    let patience = Instant::now() + Duration::from_secs(10);
    while agent.exists() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!agent.exists(), "the agent outlives its connection");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_command_that_runs_for_nobody_any_more_is_ended() {
    let folder = shared_folder();
    let content = small(b"x");
    for (name, user) in [("a", None), ("b", nobody())] {
        let mut link = open(&Transport::Local).await.unwrap();
        let agent = link.hello().pid;
        let mut endless = place(&content.digest, 1, &folder.path().join(name));
        endless
            .arguments
            .insert("validate".to_owned(), Value::from("tail -f %s"));
        let running = run(&mut link, batch(vec![endless], user), vec![content.clone()]);
        let given_up = tokio::time::timeout(Duration::from_secs(3), running).await;
        assert!(given_up.is_err(), "{given_up:?}");
        let started = processes_below(agent);
        assert!(
            started.iter().any(|(_, command)| command.starts_with("tail")),
            "{started:?}"
        );
        drop(link);
        let alive = || started.iter().any(|(process, _)| process.exists());
        let patience = Instant::now() + Duration::from_secs(10);
        while alive() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!alive(), "{name}: {started:?}");
    }
}

fn processes_below(pid: u32) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        for child in children.split_whitespace() {
            let process = PathBuf::from(format!("/proc/{child}"));
            let command = std::fs::read_to_string(process.join("cmdline")).unwrap();
            found.push((process, command));
            found.extend(processes_below(child.parse().unwrap()));
        }
    }
    found
}
