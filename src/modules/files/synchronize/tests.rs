//! `synchronize` between two folders of a machine in memory.

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::fake::Fake;

fn lines(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.values["stdout_lines"].as_list().unwrap();
    lines.iter().map(ToString::to_string).collect()
}

fn scene() -> Fake {
    let fake = Fake::new();
    fake.file("/s/a", "one").file("/s/d/b", "two").link("/s/l", "a");
    fake
}

#[test]
fn a_folder_is_made_like_another() {
    let fake = scene();
    let outcome = check_agrees::<Synchronize>(&fake, r#"{"src":"/s/","dest":"/t"}"#);
    assert_eq!(
        lines(&outcome),
        [
            "cd+++++++++ ./",
            ">f+++++++++ a",
            "cL+++++++++ l -> a",
            "cd+++++++++ d/",
            ">f+++++++++ d/b"
        ]
    );
    assert_eq!(fake.text("/t/d/b"), "two");
    let outcome = check_agrees::<Synchronize>(&fake, r#"{"src":"/s","dest":"/t"}"#);
    assert_eq!(lines(&outcome)[0], "cd+++++++++ s/");
    assert_eq!(fake.text("/t/s/a"), "one");
}

#[test]
fn what_is_gone_is_removed_unless_it_is_left_out() {
    let fake = scene();
    fake.file("/t/old/x", "")
        .file("/t/keep.log", "")
        .file("/t/d", "a file, not a folder");
    let args = r#"{"src":"/s/","dest":"/t/","delete":true,"rsync_opts":["--exclude=*.log"]}"#;
    let outcome = check_agrees::<Synchronize>(&fake, args);
    let said = lines(&outcome);
    for line in ["*deleting   old/", "*deleting   old/x", "cd+++++++++ d/"] {
        assert!(said.iter().any(|said| said == line), "{said:?}");
    }
    assert_eq!(fake.text("/t/keep.log"), "");
    assert_eq!(fake.text("/t/d/b"), "two");
}

#[test]
fn size_and_time_decide_unless_a_checksum_does() {
    let fake = scene();
    run::<Synchronize>(&fake, r#"{"src":"/s/","dest":"/t"}"#);
    fake.file("/t/a", "ONE");
    assert!(!run::<Synchronize>(&fake, r#"{"src":"/s/","dest":"/t"}"#).changed);
    let args = r#"{"src":"/s/","dest":"/t","checksum":true}"#;
    assert_eq!(
        lines(&check_agrees::<Synchronize>(&fake, args)),
        [">fc........ a"]
    );
    assert_eq!(fake.text("/t/a"), "one");
}

#[test]
fn only_what_exists_is_updated_where_that_is_wanted() {
    let fake = scene();
    fake.file("/t/a", "longer");
    let args = r#"{"src":"/s/","dest":"/t","existing_only":true}"#;
    let outcome = check_agrees::<Synchronize>(&fake, args);
    assert_eq!(lines(&outcome), [">f.s....... a"]);
    assert_eq!(fake.read_dir(std::path::Path::new("/t")).unwrap().len(), 1);
}

#[test]
fn a_file_alone_takes_its_destinations_name() {
    let fake = scene();
    check_agrees::<Synchronize>(&fake, r#"{"src":"/s/a","dest":"/b"}"#);
    assert_eq!(fake.text("/b"), "one");
    check_agrees::<Synchronize>(&fake, r#"{"src":"/s/a","dest":"/t/"}"#);
    assert_eq!(fake.text("/t/a"), "one");
}

#[test]
fn links_in_the_destination_are_replaced_not_followed() {
    let fake = scene();
    fake.file("/etc/b", "not ours")
        .directory("/t")
        .link("/t/d", "/etc");
    check_agrees::<Synchronize>(&fake, r#"{"src":"/s/","dest":"/t"}"#);
    assert_eq!(
        (fake.text("/etc/b"), fake.text("/t/d/b")),
        ("not ours".into(), "two".into())
    );
}

#[test]
fn refusals_touch_nothing() {
    let fake = scene();
    fake.file("/t/a/full", "");
    for (args, message) in [
        (r#"{"src":"/no","dest":"/t"}"#, "the source /no does not exist"),
        (r#"{"src":"/s/","dest":"/x/y"}"#, "the folder /x does not exist"),
        (
            r#"{"src":"/s/","dest":"/t"}"#,
            "/t/a is a folder with something in it",
        ),
        (r#"{"src":"/s/","dest":"/s/a"}"#, "/s/a is no folder"),
        (
            r#"{"src":"/s/","dest":"/t","rsync_opts":["--hard-links"]}"#,
            "rsync_opts: `--hard-links` is not",
        ),
    ] {
        let said = failure::<Synchronize>(&fake, args);
        assert!(said.starts_with(message), "{said}");
    }
}
