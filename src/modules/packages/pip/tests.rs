//! `pip` on a machine whose pip is a script.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

/// six 1.16.0 is installed.
fn target() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/pip3")
        .program("/usr/bin/python3")
        .directory("/tmp")
        .answer_with(|fake, command| {
            let line = command.argv.join(" ");
            let (code, text) = if line.contains(" list ") {
                (0, "six==1.16.0\n")
            } else if line.contains("uninstall") {
                (0, "Successfully uninstalled six-1.16.0\n")
            } else if line.contains("nosuch") {
                (1, "")
            } else if line.contains("-m venv") {
                fake.file("/srv/venv/bin/activate", "")
                    .program("/srv/venv/bin/pip");
                (0, "")
            } else {
                (0, "Successfully installed x-1.0\n")
            };
            Some(CommandOutput {
                code,
                stdout: text.into(),
                stderr: if code == 0 {
                    Vec::new()
                } else {
                    "ERROR: No matching distribution found".into()
                },
                ..CommandOutput::default()
            })
        });
    fake
}

#[test]
fn what_is_there_is_left_alone() {
    let fake = target();
    for arguments in [
        r#"{"name":"Six"}"#,
        r#"{"name":"six","version":"1.16"}"#,
        r#"{"name":"django","state":"absent"}"#,
    ] {
        let outcome = run::<Pip>(&fake, arguments);
        assert!(!outcome.changed && !outcome.failed, "{arguments}: {outcome:?}");
    }
    assert!(fake.ran().iter().all(|line| line == "pip3 list --format=freeze"));
}

#[test]
fn pip_is_called_as_asked() {
    for (arguments, call) in [
        (
            r#"{"name":"six>1.16,<2","extra_args":"--no-deps","umask":"022"}"#,
            "/bin/sh -c umask 22; exec \"$@\" sh pip3 install --no-deps six>1.16,<2",
        ),
        (r#"{"name":"six","state":"absent"}"#, "pip3 uninstall -y six"),
        (r#"{"name":"six","state":"latest"}"#, "pip3 install -U six"),
        (
            r#"{"name":"/src/six","editable":true,"state":"forcereinstall"}"#,
            "pip3 install -U --force-reinstall -e /src/six",
        ),
    ] {
        let fake = target();
        check::<Pip>(&fake, arguments);
        assert!(!fake.ran().contains(&call.to_owned()), "a check installs nothing");
        let outcome = run::<Pip>(&fake, arguments);
        assert!(outcome.changed, "{arguments}: {outcome:?}");
        assert_eq!(fake.ran().last().unwrap(), call);
    }
    let fake = target();
    let outcome = run::<Pip>(&fake, r#"{"requirements":"/srv/r.txt","chdir":"/srv"}"#);
    assert!(!outcome.changed, "the list is as before: {outcome:?}");
    let calls = fake.commands();
    assert_eq!(calls[1].argv.join(" "), "pip3 install -r /srv/r.txt");
    assert_eq!(calls[1].directory, Some(PathBuf::from("/srv")));
}

#[test]
fn an_environment_is_made_first() {
    let fake = target();
    let arguments = r#"{"name":"x","virtualenv":"/srv/venv","virtualenv_command":"python3 -m venv"}"#;
    assert!(check::<Pip>(&fake, arguments).changed);
    let outcome = run::<Pip>(&fake, arguments);
    assert!(outcome.changed, "{outcome:?}");
    assert_eq!(
        fake.ran(),
        ["python3 -m venv /srv/venv", "/srv/venv/bin/pip install x"]
    );
    assert!(fake.commands()[1].environment["PATH"].starts_with("/srv/venv/bin:"));
    assert_eq!(
        failure::<Pip>(&fake, r#"{"name":"x","virtualenv":"/srv/other"}"#),
        "Failed to find required executable \"virtualenv\" on the target, which is to make /srv/other: install the package that has \
         it, or say `virtualenv_command: python3 -m venv`"
    );
}

#[test]
fn refuses_with_the_words_that_users_know() {
    let fake = target();
    for (arguments, message) in [
        (
            r#"{"name":"x","state":"latest","version":"1"}"#,
            "version is incompatible with state=latest",
        ),
        (
            r#"{"name":"nosuch"}"#,
            "\n:stderr: ERROR: No matching distribution found",
        ),
        (r#"{"name":"x","umask":"9"}"#, "umask must be an octal integer"),
    ] {
        assert_eq!(failure::<Pip>(&fake, arguments), message);
    }
    assert!(
        failure::<Pip>(&fake, r#"{"name":["x","y"],"version":"1"}"#)
            .starts_with("'version' argument is ambiguous")
    );
    assert!(
        failure::<Pip>(&fake, r#"{"name":"x==2","version":"1"}"#)
            .starts_with("The 'version' argument conflicts")
    );
    assert!(
        failure::<Pip>(&Fake::new(), r#"{"name":"x"}"#)
            .starts_with("Unable to find any of pip3 to use.  pip needs to be")
    );
}
