//! An agent of this machine.

use super::*;

#[tokio::test]
async fn a_batch_is_one_exchange_and_stops_at_the_first_failure() {
    let mut link = open(&Transport::Local).await.unwrap();
    assert_eq!(link.traffic().exchanges(), 1);
    let outcomes = run(&mut link, batch(vec![ping("a"), ping("b")], None), vec![])
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1].values["ping"], Value::from("b"));
    assert_eq!(link.traffic().exchanges(), 2);

    let outcomes = run(&mut link, batch(vec![ping("crash"), ping("b")], None), vec![])
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].failed);
    assert_eq!(message(&outcomes[0]), "boom");
    assert_eq!(
        run(&mut link, batch(vec![ping("c")], None), vec![])
            .await
            .unwrap()
            .len(),
        1
    );

    let mut unknown = ping("x");
    unknown.module = "no_such".to_owned();
    let outcomes = run(&mut link, batch(vec![unknown], None), vec![]).await.unwrap();
    assert!(message(&outcomes[0]).contains("no module `no_such`"));
    link.close().await;
}

#[tokio::test]
async fn the_agent_ends_with_its_input() {
    let link = open(&Transport::Local).await.unwrap();
    let process = PathBuf::from(format!("/proc/{}", link.hello().pid));
    assert!(process.exists());
    link.close().await;
    assert!(!process.exists());
}

#[tokio::test]
async fn what_an_agent_creates_is_as_public_as_its_user_wants() {
    let umask = |process: &str| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("Umask:"));
        line.unwrap().to_owned()
    };
    let link = open(&Transport::Local).await.unwrap();
    assert_eq!(umask(&link.hello().pid.to_string()), umask("self"));
    link.close().await;
}

#[tokio::test]
async fn an_agent_that_is_killed_is_an_error_that_says_so() {
    let mut link = open(&Transport::Local).await.unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(link.hello().pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let error = run(&mut link, batch(vec![ping("a")], None), vec![])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectionError::Agent { reason, .. } if reason.contains("ended")),
        "{error}"
    );
    // And again, rather than waiting for an answer that cannot come.
    assert!(
        run(&mut link, batch(vec![ping("a")], None), vec![])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_run_that_was_given_up_leaves_no_confusion() {
    let mut link = open(&Transport::Local).await.unwrap();
    {
        use futures_util::FutureExt as _;
        let running = link.run(batch(vec![ping("a")], None), vec![], Repeated::new(0), |_, _| ());
        // One poll: the request is on its way, the answer is not awaited.
        assert!(running.now_or_never().is_none());
    }
    let error = run(&mut link, batch(vec![ping("b")], None), vec![])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
    link.close().await;
}

/// Whoever asks the agent to end (an administrator, a `sudo` that passes on what it got) asks for the end of
/// what it runs as well.
#[tokio::test]
async fn a_signal_ends_the_agent_and_what_it_runs() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut link = open(&Transport::Local).await.unwrap();
        let agent = link.hello().pid;
        let sleep = call("command", &[("argv", Value::from(vec!["sleep", "600"]))]);
        let calls = batch(vec![sleep], None);
        let killer = async {
            let child = loop {
                if let Some(child) = sleeping_child(agent) {
                    break child;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            let agent = Pid::from_raw(i32::try_from(agent).unwrap()).unwrap();
            kill_process(agent, signal).unwrap();
            child
        };
        let (outcomes, child) = tokio::time::timeout(
            Duration::from_mins(1),
            futures_util::future::join(run(&mut link, calls, vec![]), killer),
        )
        .await
        .expect("the agent ends");
        assert!(outcomes.is_err(), "{signal:?}");
        // An orphan without anybody who waits for it stays as an entry, but runs no more.
        for _ in 0..1000 {
            if !is_running(child) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!is_running(child), "{signal:?}: the command outlives its agent");
    }
}

fn sleeping_child(agent: u32) -> Option<u32> {
    // Any thread of the agent may have started it.
    let threads = std::fs::read_dir(format!("/proc/{agent}/task")).ok()?;
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|child| {
            std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n")
        })
        .find_map(|child| child.parse().ok())
}

fn is_running(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
