//! What is packed, and when; archives are read back with the libraries that read them elsewhere.

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::fake::Fake;

fn machine() -> Fake {
    let fake = Fake::new();
    fake.file("/srv/d/a.txt", "aaa\n");
    fake.file("/srv/d/b.log", "bbb\n");
    fake.file("/srv/d/sub/c.txt", "ccc\n");
    fake.directory("/srv/d/sub/empty");
    fake.link("/srv/d/l", "a.txt");
    fake.file("/srv/one", "one\n".repeat(20_000));
    fake.directory("/out");
    fake
}

fn archived(outcome: &Outcome) -> String {
    outcome.values["archived"].to_string()
}

#[test]
fn an_archive_is_made_once() {
    for (format, ending) in [
        ("gz", "tgz"),
        ("bz2", "tbz"),
        ("xz", "txz"),
        ("tar", "tar"),
        ("zip", "zip"),
    ] {
        let fake = machine();
        let args =
            format!(r#"{{"path":["/srv/d","/srv/one"],"dest":"/out/o.{ending}","format":"{format}"}}"#);
        let outcome = check_agrees::<Archive>(&fake, &args);
        assert_eq!(outcome.values["dest_state"], "archive".into());
        assert_eq!(outcome.values["arcroot"], "/srv/".into());
        assert!(archived(&outcome).contains("/srv/d/sub/empty"), "{format}");
        fake.file("/srv/d/a.txt", "aaaaa\n");
        assert!(run::<Archive>(&fake, &args).changed, "{format}");
        fake.file("/srv/d/new", "");
        assert!(run::<Archive>(&fake, &args).changed, "{format}");
        assert!(!run::<Archive>(&fake, &args).changed, "{format}");
    }
}

#[test]
fn a_single_file_is_only_compressed() {
    let fake = machine();
    let outcome = check_agrees::<Archive>(&fake, r#"{"path":["/srv/one"]}"#);
    assert_eq!(outcome.values["dest"], "/srv/one.gz".into());
    assert_eq!(outcome.values["dest_state"], "compress".into());
    let outcome = check_agrees::<Archive>(&fake, r#"{"path":["/srv/one"],"format":"zip"}"#);
    assert_eq!(outcome.values["dest_state"], "archive".into());
    let refused = failure::<Archive>(&fake, r#"{"path":["/srv/one"],"force_archive":true}"#);
    assert!(refused.starts_with("Error, must specify \"dest\""), "{refused}");
}

#[test]
fn what_is_left_out() {
    let fake = machine();
    let outcome = run::<Archive>(
        &fake,
        r#"{"path":["/srv/*"],"exclude_path":["/srv/o*"],"exclusion_patterns":["*.txt"],"dest":"/out/o.tar","format":"tar"}"#,
    );
    assert_eq!(
        archived(&outcome),
        "['/srv/d/sub', '/srv/d/b.log', '/srv/d/l', '/srv/d/sub/empty']"
    );
    let outcome = run::<Archive>(&fake, r#"{"path":["/srv/one","/none"],"dest":"/out/i.tgz"}"#);
    assert_eq!(outcome.values["dest_state"], "incomplete".into());
    let outcome = run::<Archive>(&fake, r#"{"path":["/none"],"dest":"/out/n.tgz"}"#);
    assert_eq!(outcome.values["dest_state"], "absent".into());
    assert!(!outcome.changed);
    assert_eq!(
        failure::<Archive>(&fake, r#"{"path":["/none*"],"dest":"/out/n.tgz"}"#),
        "Error, no source paths were found"
    );
}

#[test]
fn what_was_packed_is_removed() {
    let fake = machine();
    let args = r#"{"path":["/srv/d"],"dest":"/out/o.tgz","remove":true}"#;
    check_agrees::<Archive>(&fake, args);
    assert!(!fake.listing().contains("/srv/d"));
    fake.file("/srv/d/x", "x");
    let refused = failure::<Archive>(
        &fake,
        r#"{"path":["/srv/d"],"dest":"/srv/d/o.tgz","remove":true}"#,
    );
    assert!(refused.contains("put it elsewhere"), "{refused}");
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let fake = machine();
    let refused = failure::<Archive>(&fake, r#"{"path":["/srv/d"],"dest":"/nowhere/o.tgz"}"#);
    assert!(refused.contains("/nowhere"), "{refused}");
    fake.link("/srv/d/dangling", "/none");
    let refused = failure::<Archive>(&fake, r#"{"path":["/srv/d"],"dest":"/out/o.zip","format":"zip"}"#);
    assert!(refused.contains("/srv/d/dangling"), "{refused}");
}
