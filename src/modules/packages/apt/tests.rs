//! `apt` on a machine whose dpkg and apt are scripts.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

/// bash 5.2.15-2+b8 is installed; `hello` is offered in two versions, `dep` is there for another's sake.
fn target() -> Fake {
    let fake = Fake::new();
    for program in ["apt-get", "apt-cache", "dpkg-query", "apt-mark"] {
        fake.program(&format!("/usr/bin/{program}"));
    }
    fake.directory("/var/lib/apt/lists")
        .directory(ARCHIVES)
        .file(
            "/var/lib/apt/extended_states",
            "Package: dep\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: libc6\nAuto-Installed: 0\n",
        )
        .answer_with(|_, command| {
            let text = match command.argv[0].as_str() {
                "dpkg-query" => format!("{}dep\tamd64\tii \t1.0\t\n", dpkg::SAMPLE),
                "apt-cache" if command.argv.iter().any(|word| word == "pkgnames") => "bash\nhello\n".to_owned(),
                "apt-cache" if command.argv.iter().any(|word| word == "hello") => {
                    "hello:\n  Installed: (none)\n  Candidate: 2.10-3\n  Version table:\n     2.10-3 500\n        500 x\n     2.10-2 500\n        500 x\n"
                        .to_owned()
                }
                "apt-cache" => String::new(),
                "apt-get" if command.argv.iter().any(|word| word.starts_with("hello")) => {
                    "Inst hello (2.10-3 Debian:12 [amd64])\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\n"
                        .to_owned()
                }
                "apt-get" => "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n".to_owned(),
                _ => String::new(),
            };
            Some(crate::system::CommandOutput {
                stdout: text.into(),
                ..crate::system::CommandOutput::default()
            })
        });
    fake
}

/// The words after the options that all calls have.
fn last(fake: &Fake) -> String {
    let ran = fake.ran();
    let line = ran.last().expect("something was run");
    line.rsplit_once("force-confold ")
        .map_or(line.as_str(), |(_, words)| words)
        .to_owned()
}

#[test]
fn installs_what_is_not_there() {
    let fake = target();
    assert!(check::<Apt>(&fake, r#"{"name":"hello"}"#).changed);
    let outcome = run::<Apt>(&fake, r#"{"name":"hello","fail_on_autoremove":true}"#);
    assert!(outcome.changed, "{outcome:?}");
    assert_eq!(last(&fake), "install --no-remove -- hello");
    run::<Apt>(&fake, r#"{"name":"hello=2.10*"}"#);
    assert_eq!(last(&fake), "install -- hello=2.10-3");
    run::<Apt>(&fake, r#"{"name":"hello>=2.10-2","state":"latest"}"#);
    assert_eq!(last(&fake), "install -- hello=2.10-3");
    assert!(!run::<Apt>(&fake, r#"{"name":"bash=5.2*"}"#).changed);
}

#[test]
fn what_others_needed_is_asked_for_from_now_on() {
    let fake = target();
    let outcome = run::<Apt>(&fake, r#"{"name":"dep"}"#);
    assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
    assert_eq!(last(&fake), "apt-mark manual -- dep");
}

#[test]
fn refuses_with_the_words_that_users_know() {
    let fake = target();
    for (arguments, message) in [
        (
            r#"{"name":"nosuch"}"#,
            "No package matching 'nosuch' is available",
        ),
        (
            r#"{"name":"nosuch*"}"#,
            "No package(s) matching 'nosuch*' available",
        ),
        (r#"{"name":"a=b=c"}"#, "invalid package spec: a=b=c"),
        (
            r#"{"name":"hello=3*"}"#,
            "no available installation candidate for hello=3* (offered: 2.10-3, 2.10-2)",
        ),
        (
            r#"{"name":["*","hello"],"state":"latest"}"#,
            "unable to install additional packages when upgrading all installed packages",
        ),
        (
            r#"{"deb":"/x.deb","state":"absent"}"#,
            "deb only supports state=present",
        ),
        (
            r#"{"deb":"/none.deb"}"#,
            "Unable to install package: could not open file /none.deb (there is no such file on the target)",
        ),
    ] {
        assert_eq!(failure::<Apt>(&fake, arguments), message);
    }
    // Sources that are newer than the lists may have it.
    fake.file("/etc/apt/sources.list.d/new.list", "deb http://x x main\n");
    let long_ago = Some(std::time::SystemTime::UNIX_EPOCH);
    fake.set_times(std::path::Path::new("/var/lib/apt/lists"), None, long_ago)
        .unwrap();
    assert!(check::<Apt>(&fake, r#"{"name":"nosuch"}"#).changed);
}

#[test]
fn lists_are_fetched_again_where_servers_did_not_answer() {
    let fake = target();
    fake.answer_with(|_, command| {
        command.argv.iter().any(|word| word == "update").then(|| crate::system::CommandOutput {
            stderr: "W: Some index files failed to download. They have been ignored, or old ones used instead.\n".into(),
            ..crate::system::CommandOutput::default()
        })
    });
    let outcome = run::<Apt>(&fake, r#"{"update_cache":true,"update_cache_retries":3}"#);
    assert!(outcome.failed);
    let message = outcome.message().unwrap_or_default();
    assert!(
        message.starts_with("Failed to update apt cache after 3 retries: "),
        "{message}"
    );
    assert_eq!(
        fake.ran().iter().filter(|line| line.ends_with(" update")).count(),
        3
    );
}

#[test]
fn a_change_says_what_later_tasks_may_ask_for() {
    let fake = target();
    let arguments = Apt::SPEC
        .resolve(&serde_json::from_str(r#"{"name":"hello"}"#).unwrap())
        .unwrap();
    let args = crate::value::Value::Map(arguments).deserialize_into().unwrap();
    let Ok(Plan::Change { change, .. }) = Apt::check(args, &fake) else {
        panic!("hello is not there");
    };
    let mut expected = Packages::default();
    expected.install("hello", "2.10-3");
    assert_eq!(Apt::foresee(&change), expected.foresight());
}
