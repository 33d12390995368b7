//! Unpacking, with the programs scripted.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

/// A machine with `tar`, whose archive holds `a/b`, of the text `new`.
fn machine() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/tar").directory("/dest").directory("/tmp");
    fake.file("/src.tgz", b"\x1f\x8bpacked".to_vec())
        .file("/empty", "");
    fake.answer_with(|fake, command| {
        let has = |word: &str| command.argv.iter().any(|argument| argument == word);
        let stdout = if has("--list") {
            "a/b\n"
        } else if has("--diff") && fake.listing().contains("/dest/a/b") {
            ""
        } else if has("--diff") {
            "tar: a/b: Warning: Cannot stat: No such file or directory\n"
        } else {
            fake.file("/dest/a/b", "new");
            ""
        };
        Some(CommandOutput {
            stdout: stdout.as_bytes().to_vec(),
            ..CommandOutput::default()
        })
    });
    fake
}

#[test]
fn what_is_not_there_is_unpacked() {
    let fake = machine();
    let arguments = r#"{"src":"/src.tgz","dest":"/dest","remote_src":true,"list_files":true,"owner":"ann"}"#;
    assert!(check::<Unarchive>(&fake, arguments).changed);
    let outcome = run::<Unarchive>(&fake, arguments);
    assert!(outcome.changed && !outcome.failed, "{outcome:?}");
    assert_eq!(outcome.values["handler"], "TgzArchive".into());
    assert_eq!(outcome.values["files"], vec!["a/b".to_owned()].into());
    // The folder that the archive does not name belongs to it all the same.
    assert!(
        fake.listing().contains("/dest/a 0755 1000:0 directory"),
        "{}",
        fake.listing()
    );
    assert!(!run::<Unarchive>(&fake, arguments).changed);
    fake.set_attributes(
        Path::new("/dest/a/b"),
        Attributes {
            uid: Some(0),
            ..Attributes::default()
        },
        Follow::No,
    )
    .unwrap();
    assert!(
        run::<Unarchive>(&fake, arguments).changed,
        "an owner is put right without unpacking"
    );
}

#[test]
fn an_archive_of_the_controller_leaves_nothing_behind() {
    let fake = machine();
    let digest = fake.hold(b"\x1f\x8bpacked".to_vec());
    let arguments = format!(r#"{{"src":"x.tgz","digest":"{digest}","dest":"/dest"}}"#);
    assert!(check::<Unarchive>(&fake, &arguments).changed);
    assert!(run::<Unarchive>(&fake, &arguments).changed);
    assert!(!fake.listing().contains("archive"), "{}", fake.listing());
}

#[test]
fn refusals_touch_nothing() {
    let fake = machine();
    fake.file("/x.zip", b"PK\x03\x04".to_vec());
    let told = |rest: &str| failure::<Unarchive>(&fake, &format!(r#"{{"remote_src":true,{rest}}}"#));
    assert_eq!(
        told(r#""src":"/src.tgz","dest":"/no""#),
        "dest '/no' must be an existing dir"
    );
    assert_eq!(
        told(r#""src":"/no","dest":"/dest""#),
        "Source '/no' does not exist"
    );
    assert_eq!(
        told(r#""src":"/empty","dest":"/dest""#),
        "Invalid archive '/empty', the file is 0 bytes"
    );
    assert_eq!(
        told(r#""src":"/x.zip","dest":"/dest""#),
        "Failed to find handler for \"/x.zip\". Make sure the required command to extract the file is installed.\n\
         Unable to find required 'unzip' or 'zipinfo' binary in the path."
    );
}
