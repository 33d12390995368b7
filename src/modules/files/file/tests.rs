//! What `file` does on a machine in memory.

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::fake::Fake;

#[test]
fn makes_folders_with_their_parents() {
    let fake = Fake::new();
    let outcome = check_agrees::<File>(
        &fake,
        r#"{"path":"/srv/a/b/","state":"directory","mode":"0750","owner":"ann"}"#,
    );
    assert_eq!(outcome.values["mode"], "0750".into());
    assert_eq!(outcome.values["owner"], "ann".into());
    assert_eq!(outcome.values["path"], "/srv/a/b".into());
    insta::assert_snapshot!(fake.listing(), @r"
    / 0755 0:0 directory
    /srv 0750 1000:0 directory
    /srv/a 0750 1000:0 directory
    /srv/a/b 0750 1000:0 directory
    ");
}

#[test]
fn shows_what_it_changes() {
    let fake = Fake::new();
    fake.file("/x", "");
    let outcome = check_agrees::<File>(&fake, r#"{"path":"/x","mode":"u=rw,go="}"#);
    assert_eq!(
        outcome.diff[0].before,
        "{\n    \"mode\": \"0644\",\n    \"path\": \"/x\"\n}\n"
    );
    assert_eq!(
        outcome.diff[0].after,
        "{\n    \"mode\": \"0600\",\n    \"path\": \"/x\"\n}\n"
    );
}

#[test]
fn recursion_reaches_all_and_leaves_links_alone() {
    let fake = Fake::new();
    fake.file("/srv/a/run.sh", "")
        .file("/etc/passwd", "")
        .link("/srv/out", "/etc");
    check_agrees::<File>(
        &fake,
        r#"{"path":"/srv","state":"directory","recurse":true,"mode":"u=rwX,go=","follow":false}"#,
    );
    insta::assert_snapshot!(fake.listing(), @r"
    / 0755 0:0 directory
    /etc 0755 0:0 directory
    /etc/passwd 0644 0:0 file da39a3ee5e6b4b0d3255bfef95601890afd80709
    /srv 0700 0:0 directory
    /srv/a 0700 0:0 directory
    /srv/a/run.sh 0600 0:0 file da39a3ee5e6b4b0d3255bfef95601890afd80709
    /srv/out 0777 0:0 link /etc
    ");
}

#[test]
fn links_of_both_kinds() {
    let fake = Fake::new();
    fake.file("/srv/data", "x");
    let link = check_agrees::<File>(&fake, r#"{"path":"/srv/soft","src":"data","state":"link"}"#);
    assert_eq!(
        (&link.values["src"], &link.values["state"]),
        (&"data".into(), &"link".into())
    );
    check_agrees::<File>(&fake, r#"{"path":"/srv/hard","src":"/srv/data","state":"hard"}"#);
    assert_eq!(fake.text("/srv/hard"), "x");
    fake.directory("/srv/empty");
    check_agrees::<File>(
        &fake,
        r#"{"path":"/srv/empty","src":"data","state":"link","force":true}"#,
    );
    assert_eq!(fake.text("/srv/empty"), "x");
}

#[test]
fn absent_takes_trees_and_links_but_not_what_they_point_to() {
    let fake = Fake::new();
    fake.file("/srv/a/file", "")
        .file("/keep/file", "")
        .link("/srv/a/link", "/keep");
    check_agrees::<File>(&fake, r#"{"path":"/srv","state":"absent"}"#);
    assert_eq!(fake.text("/keep/file"), "");
    assert!(!run::<File>(&fake, r#"{"path":"/srv","state":"absent"}"#).changed);
}

#[test]
fn touch_changes_always_unless_times_are_kept() {
    let fake = Fake::new();
    assert!(run::<File>(&fake, r#"{"path":"/x","state":"touch"}"#).changed);
    fake.sleep(std::time::Duration::from_secs(5));
    assert!(run::<File>(&fake, r#"{"path":"/x","state":"touch"}"#).changed);
    let keep = r#"{"path":"/x","state":"touch","access_time":"preserve","modification_time":"preserve"}"#;
    assert!(!run::<File>(&fake, keep).changed);
    check_agrees::<File>(&fake, r#"{"path":"/x","modification_time":"202001020304.05"}"#);
}

#[test]
fn refuses_in_the_words_that_users_know() {
    let fake = Fake::new();
    fake.file("/file", "").file("/full/x", "");
    for (args, message) in [
        (
            r#"{"path":"/no","mode":"0600"}"#,
            "file (/no) is absent, cannot continue",
        ),
        (
            r#"{"path":"/full","state":"file"}"#,
            "file (/full) is directory, cannot continue",
        ),
        (
            r#"{"path":"/file","state":"directory"}"#,
            "/file already exists as a file",
        ),
        (
            r#"{"path":"/file","recurse":true}"#,
            "recurse option requires state to be 'directory'",
        ),
        (
            r#"{"path":"/file","src":"x"}"#,
            "src option requires state to be 'link' or 'hard'",
        ),
        (
            r#"{"path":"/l","src":"no","state":"link"}"#,
            "src file does not exist, use 'force=yes' if you really want to create the link: /no",
        ),
        (
            r#"{"path":"/file","src":"full","state":"link"}"#,
            "refusing to convert from file to symlink for /file",
        ),
        (
            r#"{"path":"/full/x","src":"/file","state":"hard"}"#,
            "Cannot link, file exists at destination",
        ),
        (
            r#"{"path":"/h","src":"/no","state":"hard"}"#,
            "src does not exist",
        ),
        (
            r#"{"path":"/full","src":"/file","state":"link","force":true}"#,
            "the directory /full is not empty, refusing to convert it",
        ),
        (
            r#"{"path":"/file","owner":"nobody"}"#,
            "chown failed: failed to look up user nobody",
        ),
        (
            r#"{"path":"/file","mode":"u=z"}"#,
            "mode must be in octal or symbolic form",
        ),
    ] {
        assert_eq!(failure::<File>(&fake, args), message);
    }
}
