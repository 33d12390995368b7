//! What is planned is what happens, and what is kept has its reason.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::care::{lines, stderr_of_failure};
use super::server::{OCI_INDEX, OCI_MANIFEST, Server};

const RULES: &str = "  maintenance:\n    retention:\n      rules:\n        - repositories: [team/**]\n          \
    tags: ['v*']\n          protect: ['/v[0-9]+[.]0/']\n          keeplast: 2\n          keepyounger: 10d\n        \
    - repositories: [team/**, old]\n          tags: [nightly-*]\n          keepyounger: 1d\n        \
    - repositories: [team/**]\n          untaggedafter: 3d\n";

fn set_age(server: &Server, repository: &str, below: &str, days: u64) {
    let path = server
        .data()
        .join("docker/registry/v2/repositories")
        .join(repository)
        .join("_manifests")
        .join(below)
        .join("link");
    let past = SystemTime::now() - Duration::from_secs(days * 86_400);
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(past).unwrap();
}

fn push(server: &Server, repository: &str, tag: &str, days: u64) -> String {
    let (digest, _) = server.push_image(repository, tag, format!("{repository}:{tag}").as_bytes());
    set_age(server, repository, &format!("tags/{tag}/current"), days);
    let revision = digest.replace(':', "/");
    set_age(server, repository, &format!("revisions/{revision}"), days);
    digest
}

fn tags(server: &Server, repository: &str) -> Vec<String> {
    let list = server.get(&format!("/v2/{repository}/tags/list")).json();
    serde_json::from_value(list["tags"].clone()).unwrap()
}

/// Reference to reason, of those that stay or of those that go.
fn fates(told: &[Value], kept: bool) -> Vec<(String, String)> {
    let text = |fate: &Value, key: &str| fate[key].as_str().unwrap().to_owned();
    let those = told.iter().filter(|fate| fate["kept"] == kept);
    let mut fates: Vec<_> = those
        .map(|fate| {
            let reference = format!("{} {}", text(fate, "repository"), text(fate, "reference"));
            (reference, text(fate, "why"))
        })
        .collect();
    fates.sort();
    fates
}

#[test]
fn the_plan_is_the_effect() {
    let server = Server::caring(RULES);
    let mut pushed = Vec::new();
    for (tag, days) in [
        ("v1.0", 50),
        ("v1.1", 40),
        ("v1.2", 30),
        ("v1.3", 20),
        ("v1.4", 5),
        ("v1.5", 1),
        ("nightly-1", 2),
        ("nightly-2", 0),
        ("other", 99),
    ] {
        pushed.push(push(&server, "team/app", tag, days));
    }
    // Its tag is old enough to go, and it is not.
    let young = format!("team/app {}", pushed[6]);
    push(&server, "old", "nightly-1", 7);
    push(&server, "old", "v1.0", 7);
    push(&server, "elsewhere", "v1.0", 999);

    let plan = lines(server.folder.path(), &["retention", "plan"]);
    let reasons = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        own.collect()
    };
    assert_eq!(
        fates(&plan, true),
        reasons(&[
            ("elsewhere v1.0", "no rule is about it"),
            ("old v1.0", "no rule is about it"),
            ("team/app nightly-2", "younger than 24 h"),
            ("team/app other", "no rule is about it"),
            (&young, "untagged, and younger than 3 days"),
            ("team/app v1.0", "protected by `/v[0-9]+[.]0/`"),
            ("team/app v1.4", "number 2 of the latest 2"),
            ("team/app v1.5", "number 1 of the latest 2"),
        ])
    );
    let going: Vec<String> = fates(&plan, false).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        going.iter().filter(|name| name.contains("sha256:")).count(),
        3,
        "{going:?}"
    );
    // Nothing has gone.
    assert_eq!(tags(&server, "team/app").len(), 9);

    let applied = lines(server.folder.path(), &["retention", "apply"]);
    assert_eq!(fates(&applied, false), fates(&plan, false));
    assert_eq!(fates(&applied, true), fates(&plan, true));
    let end = applied.last().unwrap();
    assert_eq!(
        (&end["deleted_tags"], &end["deleted_manifests"]),
        (&5.into(), &3.into())
    );
    assert_eq!(
        tags(&server, "team/app"),
        ["nightly-2", "other", "v1.0", "v1.4", "v1.5"]
    );
    assert_eq!(tags(&server, "old"), ["v1.0"]);
    for fate in &plan[..plan.len() - 1] {
        let text = |key: &str| fate[key].as_str().unwrap();
        let target = format!("/v2/{}/manifests/{}", text("repository"), text("reference"));
        let expected = if fate["kept"] == true { 200 } else { 404 };
        server.get(&target).expect(expected);
    }
    // A second time there is nothing left to do.
    let again = lines(server.folder.path(), &["retention", "apply"]);
    assert_eq!(again.last().unwrap()["deleted_tags"], 0);
}

#[test]
fn untagged_manifests_go_by_age_unless_something_keeps_them() {
    let server = Server::caring(RULES);
    let child = push(&server, "team/app", "child", 9);
    server.push_image("team/app", "loose", b"loose 1");
    let old = push(&server, "team/app", "moving", 9);
    server.push_image("team/app", "moving", b"now");
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{child}","size":1}}]}}"#
    );
    server
        .put_manifest("team/app", "multi", OCI_INDEX, &index)
        .expect(201);
    for tag in ["child", "loose"] {
        let target = format!("/v2/team/app/manifests/{tag}");
        server.send("DELETE", &target, &[], "").expect(202);
    }
    let done = lines(server.folder.path(), &["retention", "apply", "--deleted"]);
    assert_eq!(fates(&done, false).len(), 1, "{done:?}");
    assert_eq!(done[0]["reference"], old);
    server.get(&format!("/v2/team/app/manifests/{child}")).expect(200);
}

#[test]
fn rules_that_say_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "storage:\n  maintenance:\n    retention:\n      rules:\n        - repositories: ['**']\n          tags: [x]\n        - keeplast: 1\n        - repositories: ['/(/']\n";
    std::fs::write(folder.path().join("registry.yml"), text).unwrap();
    let error = stderr_of_failure(folder.path(), &["retention", "plan"]);
    assert!(error.contains("is no regular expression"), "{error}");
    let text = text.replace("['/(/']", "[a]\n          untaggedafter: 1d");
    std::fs::write(folder.path().join("registry.yml"), text).unwrap();
    let error = stderr_of_failure(folder.path(), &["retention", "plan"]);
    assert!(
        error.contains("registry.yml:5:") && error.contains("does not say what to keep"),
        "{error}"
    );
    assert!(error.contains("is about no repository"), "{error}");
}
