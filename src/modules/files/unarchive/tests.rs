//! Unpacking, with the programs scripted.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

/// A machine with `tar`, whose archive holds `a/b`, of the text `new`.
fn machine() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/tar")
        .program("/usr/bin/gzip")
        .directory("/dest")
        .directory("/tmp");
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
    assert!(!fake.listing().contains("lent"), "{}", fake.listing());
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
    let refused = told(r#""src":"/x.zip","dest":"/dest""#);
    assert!(
        refused.starts_with("Failed to find handler for \"/x.zip\""),
        "{refused}"
    );
    let refused = told(r#""src":"/x.zip","dest":"/dest","extra_opts":["-q"]"#);
    assert!(refused.contains("'unzip' binary"), "{refused}");
}

/// A target may have tar without what tar calls.
#[test]
fn an_archive_is_decompressed_where_no_program_can() {
    let fake = machine();
    let mut packed =
        crate::modules::files::compression::Encoder::new(Some(Compression::Xz), Vec::new()).unwrap();
    std::io::Write::write_all(&mut packed, b"plain").unwrap();
    fake.file("/src.txz", packed.finish().unwrap());
    let outcome = run::<Unarchive>(&fake, r#"{"src":"/src.txz","dest":"/dest","remote_src":true}"#);
    assert!(outcome.changed && !outcome.failed, "{outcome:?}");
    assert_eq!(outcome.values["handler"], "TarXzArchive".into());
    let sources = fake.commands().into_iter().map(|command| command.argv.join(" "));
    assert!(
        sources.into_iter().all(|line| !line.contains("/src.txz")),
        "tar gets a plain copy"
    );
    assert!(
        !fake.listing().contains("lent"),
        "which is gone: {}",
        fake.listing()
    );
}
