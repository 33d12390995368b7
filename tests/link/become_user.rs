//! Tasks as another user. This process is root, so no password is asked for here.

use std::os::unix::fs::MetadataExt;

use regdeploy::wire::message::BecomeMethod;

use super::*;

fn target(method: BecomeMethod, user: &str) -> Option<Become> {
    Some(Become {
        program: None,
        directory: None,
        method,
        user: user.to_owned(),
        flags: None,
        password: None,
    })
}

fn touch(path: &std::path::Path) -> Call {
    call(
        "file",
        &[
            ("path", Value::from(path.to_str().unwrap())),
            ("state", Value::from("touch")),
        ],
    )
}

/// A folder into which everybody may write.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

#[tokio::test]
async fn tasks_run_as_the_other_user_with_one_child_for_all() {
    for method in [BecomeMethod::Sudo, BecomeMethod::Su] {
        let folder = open_folder();
        let path = |name: &str| folder.path().join(name);
        let mut link = open(&Transport::Local).await.unwrap();
        for name in ["a", "b"] {
            let begun = link.traffic().exchanges();
            let outcomes = run(
                &mut link,
                batch(vec![touch(&path(name))], target(method, "nobody")),
                vec![],
            )
            .await
            .unwrap();
            assert!(!outcomes[0].failed, "{method}: {outcomes:?}");
            assert_eq!(link.traffic().exchanges() - begun, 1);
        }
        run(&mut link, batch(vec![touch(&path("c"))], None), vec![])
            .await
            .unwrap();
        let owner = |name: &str| std::fs::metadata(path(name)).unwrap().uid();
        assert_eq!(
            (owner("a"), owner("b"), owner("c")),
            (65534, 65534, 0),
            "{method}"
        );
        let children = children_of(link.hello().pid);
        assert_eq!(children.len(), 1, "{method}");
        link.close().await;
        assert!(!children[0].exists(), "{method}: the child outlives its agent");
    }
}

#[tokio::test]
async fn the_user_that_runs_already_needs_no_child() {
    let mut link = open(&Transport::Local).await.unwrap();
    let calls = batch(vec![ping("a")], target(BecomeMethod::Sudo, "root"));
    run(&mut link, calls, vec![]).await.unwrap();
    assert!(children_of(link.hello().pid).is_empty());
    link.close().await;
}

#[tokio::test]
async fn a_user_that_is_not_there_is_refused_and_the_link_goes_on() {
    let mut link = open(&Transport::Local).await.unwrap();
    for method in [BecomeMethod::Sudo, BecomeMethod::Su] {
        let calls = batch(vec![ping("a")], target(method, "no-such-user"));
        let error = run(&mut link, calls, vec![]).await.unwrap_err();
        assert!(matches!(error, ConnectionError::Refused { .. }), "{error}");
        assert!(
            error.to_string().contains("there is no user no-such-user"),
            "{error}"
        );
    }
    run(&mut link, batch(vec![ping("b")], None), vec![])
        .await
        .unwrap();
    link.close().await;
}

#[tokio::test]
async fn another_folder_is_another_child_and_a_missing_one_is_refused() {
    let mut link = open(&Transport::Local).await.unwrap();
    let folder = open_folder();
    let inside = |folder: &str| {
        let mut target = target(BecomeMethod::Sudo, "nobody");
        target.as_mut().unwrap().directory = Some(folder.to_owned());
        let pwd = call("command", &[("argv", Value::from(vec!["pwd"]))]);
        batch(vec![pwd], target)
    };
    let path = folder.path().to_str().unwrap();
    for folder in [path, "/"] {
        let outcomes = run(&mut link, inside(folder), vec![]).await.unwrap();
        assert_eq!(outcomes[0].values["stdout"], Value::from(folder), "{outcomes:?}");
    }
    let error = run(&mut link, inside("/no/such/folder"), vec![])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot cd to /no/such/folder"),
        "{error}"
    );
    link.close().await;
}

fn children_of(pid: u32) -> Vec<PathBuf> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap()
        .split_whitespace()
        .map(|pid| PathBuf::from(format!("/proc/{pid}")))
        .collect()
}
