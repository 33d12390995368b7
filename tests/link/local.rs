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
