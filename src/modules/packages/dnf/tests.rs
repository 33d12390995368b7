//! `dnf` on a machine whose dnf and rpm are scripts.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::CommandOutput;
use crate::system::fake::Fake;

const TABLE: &str = "Dependencies resolved.\n Package Architecture Version Repository Size\nInstalling:\n app noarch 2.0-1 local 6 k\n\
    \nTransaction Summary\n";

/// app 2.0-1 can be had; lib 1.5-1 is installed.
fn target() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/dnf").answer_with(|_, command| {
        let line = command.argv.join(" ");
        let (code, text) = match command.argv[0].as_str() {
            "rpm" if line.contains("--qf") && line.ends_with("-- lib") => (0, "1.5-1 0:1.5-1\n".to_owned()),
            "rpm" if line.ends_with("-- lib") => (0, String::new()),
            "rpm" => (1, String::new()),
            "dnf" if line.contains("nosuch") => (1, "No match for argument: nosuch\n".to_owned()),
            "dnf" if line.contains(" app") && line.contains("--assumeno") => {
                (1, format!("{TABLE}Operation aborted.\n"))
            }
            "dnf" if line.contains(" app") => (0, TABLE.to_owned()),
            _ => (0, "Nothing to do.\n".to_owned()),
        };
        Some(CommandOutput {
            code,
            stdout: text.into(),
            ..CommandOutput::default()
        })
    });
    fake
}

#[test]
fn installs_what_is_not_there() {
    let fake = target();
    let predicted = check::<Dnf>(&fake, r#"{"name":"app"}"#);
    let outcome = run::<Dnf>(&fake, r#"{"name":"app","enablerepo":"local","nobest":true}"#);
    assert!(predicted.changed && outcome.changed, "{outcome:?}");
    assert_eq!(
        outcome.values["results"],
        vec!["Installed: app-2.0-1.noarch".to_owned()].into()
    );
    assert_eq!(
        fake.ran().last().unwrap(),
        "dnf -y --setopt=exit_on_lock=True --nobest --enablerepo=local install app"
    );
    for settled in [
        r#"{"name":"lib"}"#,
        r#"{"name":"lib-1.4"}"#,
        r#"{"name":"app","state":"absent"}"#,
    ] {
        let before = fake.ran().len();
        let outcome = run::<Dnf>(&fake, settled);
        assert!(!outcome.changed && !outcome.failed, "{settled}: {outcome:?}");
        assert!(
            !fake.ran()[before..].iter().any(|line| line.starts_with("dnf")),
            "rpm alone settles {settled}"
        );
    }
}

#[test]
fn upgrades_with_the_options_of_upgrades() {
    let fake = target();
    run::<Dnf>(
        &fake,
        r#"{"name":"*","state":"latest","security":true,"installroot":"/srv/root"}"#,
    );
    assert_eq!(
        fake.ran().last().unwrap(),
        "dnf --assumeno --setopt=exit_on_lock=True --installroot=/srv/root upgrade --security"
    );
    let outcome = run::<Dnf>(&fake, r#"{"update_cache":true}"#);
    assert_eq!(
        (outcome.changed, outcome.message()),
        (false, Some("Cache updated"))
    );
}

#[test]
fn refuses_with_the_words_that_users_know() {
    let fake = target();
    assert_eq!(
        failure::<Dnf>(&fake, r#"{"name":"nosuch"}"#),
        "Failed to install some of the specified packages"
    );
    assert_eq!(
        failure::<Dnf>(&fake, r#"{"name":"/x.rpm","state":"absent"}"#),
        "Cannot remove paths -- please specify package name."
    );
    fake.answer_with(|_, command| {
        let locked = CommandOutput {
            code: 200,
            stderr: "Waiting for process with pid 7 to finish.\n".into(),
            ..CommandOutput::default()
        };
        (command.argv[0] == "dnf").then_some(locked)
    });
    assert_eq!(
        failure::<Dnf>(&fake, r#"{"name":"app","lock_timeout":3}"#),
        "dnf lockfile is held by another process: waited 3 seconds; let it end, or raise lock_timeout \
         (Waiting for process with pid 7 to finish.)"
    );
    assert!(
        failure::<Dnf>(&Fake::new(), r#"{"name":"app"}"#).starts_with("none of dnf, dnf5, yum, microdnf")
    );
}
