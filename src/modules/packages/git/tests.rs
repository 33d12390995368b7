//! The programs' own work is tested on a real `git`, in a folder that is thrown away; what is asked of it, on words.

use super::*;
use crate::modules::{AnyModule, Mode, entry};
use crate::system::local::Local;

/// Arguments as a playbook gives them, on this machine.
fn run(arguments: &str, check: bool) -> Outcome {
    let given = serde_json::from_str(arguments).unwrap();
    let arguments = Git::SPEC.resolve(&given).unwrap();
    entry::<Git>().run(&arguments, Mode { check, diff: false }, &Local::default())
}

fn git(folder: &Path, line: &str) {
    let mut command = Command::new(["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]);
    command.argv.extend(shell_words::split(line).unwrap());
    command.directory = Some(folder.to_owned());
    let output = Local::default().run(&command).unwrap();
    assert!(output.success(), "{line}: {}", output.stderr_text());
}

#[test]
fn a_checkout_follows_its_remote() {
    if Local::default().which("git").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (origin, dest) = (folder.path().join("origin"), folder.path().join("deep/checkout"));
    std::fs::create_dir(&origin).unwrap();
    git(&origin, "init -b main");
    let commit = |text: &str| {
        std::fs::write(origin.join("file"), text).unwrap();
        git(&origin, "add file");
        git(&origin, "commit -m one");
    };
    let content = || std::fs::read_to_string(dest.join("file")).unwrap();
    let arguments = |rest: &str| {
        format!(
            r#"{{"repo":"{}","dest":"{}"{rest}}}"#,
            origin.display(),
            dest.display()
        )
    };
    commit("one");
    git(&origin, "tag -a -m first v1");
    let would = run(&arguments(""), true);
    assert!(would.changed && !dest.exists(), "{would:?}");
    let cloned = run(&arguments(""), false);
    assert!(
        cloned.changed && cloned.values["before"] == Value::Null,
        "{cloned:?}"
    );
    assert_eq!(cloned.values["after"], would.values["after"]);
    assert!(!run(&arguments(""), false).changed && !run(&arguments(""), true).changed);

    commit("two");
    assert!(run(&arguments(""), true).changed);
    assert!(run(&arguments(""), false).changed && content() == "two");
    let back = run(&arguments(r#","version":"v1""#), false);
    assert!(back.changed && content() == "one", "{back:?}");
    assert!(!run(&arguments(r#","version":"v1""#), false).changed);

    std::fs::write(dest.join("file"), "mine").unwrap();
    let refused = run(&arguments(""), false);
    assert!(refused.failed && content() == "mine");
    assert!(refused.message().unwrap().ends_with("(force=no)."), "{refused:?}");
    let forced = run(&arguments(r#","force":true"#), false);
    assert!(forced.changed && content() == "two", "{forced:?}");

    let archive = folder.path().join("all.tar.gz");
    let export = arguments(&format!(
        r#","archive":"{}","archive_prefix":"x/""#,
        archive.display()
    ));
    assert!(run(&export, false).changed && archive.exists());
    assert!(!run(&export, false).changed && !run(&export, true).changed);
    std::fs::write(&archive, "other").unwrap();
    assert!(run(&export, true).changed);
}

#[test]
fn shallow_separate_and_bare() {
    if Local::default().which("git").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("origin")).unwrap();
    git(&at("origin"), "init -b main");
    git(&at("origin"), "commit --allow-empty -m one");
    git(&at("origin"), "commit --allow-empty -m two");
    let arguments = |dest: &str, rest: &str| {
        let (origin, dest) = (at("origin"), at(dest));
        format!(
            r#"{{"repo":"{}","dest":"{}"{rest}}}"#,
            origin.display(),
            dest.display()
        )
    };
    let shallow = run(&arguments("shallow", r#","depth":1"#), false);
    assert!(
        shallow.changed && at("shallow/.git/shallow").exists(),
        "{shallow:?}"
    );
    assert!(!run(&arguments("shallow", r#","depth":1"#), false).changed);
    let separate = format!(r#","separate_git_dir":"{}""#, at("elsewhere").display());
    let moved = run(&arguments("shallow", &separate), false);
    assert!(
        moved.changed && at("elsewhere/HEAD").exists() && at("shallow/.git").is_file(),
        "{moved:?}"
    );
    let bare = run(&arguments("bare", r#","bare":true"#), false);
    assert!(bare.changed && at("bare/HEAD").exists(), "{bare:?}");
    assert!(!run(&arguments("bare", r#","bare":true"#), false).changed);
    let only = run(
        &format!(r#"{{"repo":"{}","clone":false}}"#, at("origin").display()),
        false,
    );
    assert!(
        only.changed
            && only.values["after"]
                .as_str()
                .is_some_and(|after| after.len() == 40),
        "{only:?}"
    );
}

#[test]
fn a_remotes_answer_is_understood() {
    let remote = Remote::parse(
        "aaaa\tHEAD\nbbbb\trefs/heads/main\ncccc\trefs/heads/v1\ndddd\trefs/tags/v1\neeee\trefs/tags/v1^{}\n",
        "v1",
    );
    assert_eq!(remote.revision("v1", None).as_deref(), Some("cccc"));
    assert_eq!(remote.tag.as_deref(), Some("eeee"));
    assert_eq!(remote.revision("HEAD", Some("main")).as_deref(), Some("bbbb"));
    assert_eq!(remote.revision("HEAD", None).as_deref(), Some("aaaa"));
    assert_eq!(Remote::default().revision("0123", None).as_deref(), Some("0123"));
}

#[test]
fn fingerprints_are_those_of_primary_keys() {
    let words = "[GNUPG:] VALIDSIG SUB 2024-01-01 1 0 4 0 1 8 00 PRIMARY\n";
    assert_eq!(tree::signer(words).as_deref(), Some("PRIMARY"));
    assert_eq!(tree::signer("[GNUPG:] GOODSIG x\n"), None);
}

#[test]
fn servers_are_reached_as_the_arguments_say() {
    let fake = crate::system::fake::Fake::new();
    let given =
        serde_json::from_str(r#"{"repo":"x","dest":"/x","accept_hostkey":true,"key_file":"~/key"}"#).unwrap();
    let resolved = Value::Map(Git::SPEC.resolve(&given).unwrap());
    let args: Args = resolved.deserialize_into().unwrap();
    assert_eq!(
        args.ssh_command(&fake).unwrap(),
        "ssh -o StrictHostKeyChecking=no -o BatchMode=yes -i /root/key -o IdentitiesOnly=yes"
    );
}
