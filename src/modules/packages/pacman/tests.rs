//! `pacman` on a machine whose pacman is a script; its answers are written by hand, in the form of its own.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

/// demo 1.0-1 is installed, 1.1-1 offered; tool can be had, alone of the group tools.
fn target() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/pacman").answer_with(|_, command| {
        let line = command.argv[1..].join(" ");
        let (code, text) = match line.as_str() {
            "--query" | "--query --explicit" => (0, "demo 1.0-1\n"),
            "--query --deps" => (1, ""),
            "--query --upgrades" => (0, "demo 1.0-1 -> 1.1-1\nheld 1-1 -> 2-1 [ignored]\n"),
            "--sync --groups --groups" => (0, "tools tool\n"),
            "--sync --list" => (0, "core demo 1.1-1 [installed: 1.0-1]\ncore tool 3-1\n"),
            "--upgrade --print-format %n /x.pkg.tar" => (0, "loading packages...\nother\n"),
            line if line.contains("nosuch")
                || (line.contains("--print-format %n ") && !line.contains("%v")) =>
            {
                (1, "")
            }
            line if line.contains("%n %v") && line.contains("tool") => (0, "tool 3-1\n"),
            line if line.contains("%n %v") && line.contains("/x") => (0, "loading packages...\nother 1-1\n"),
            line if line.contains("%n %v") => (0, "demo 1.1-1\n"),
            line if line.contains("%n-%v") => (0, "demo-1.0-1\n"),
            _ => (0, ""),
        };
        Some(CommandOutput {
            code,
            stdout: text.into(),
            stderr: if code == 0 {
                Vec::new()
            } else {
                "error: target not found".into()
            },
            ..CommandOutput::default()
        })
    });
    fake
}

#[test]
fn pacman_is_called_as_asked() {
    let base = "pacman --noconfirm --noprogressbar --needed";
    for (arguments, call) in [
        (r#""name":"tools""#, format!("{base} --sync tool")),
        (
            r#""name":"demo","state":"latest","extra_args":"--asdeps""#,
            format!("{base} --asdeps --sync demo"),
        ),
        (r#""name":"/x.pkg.tar""#, format!("{base} --upgrade /x.pkg.tar")),
        (
            r#""name":"demo","state":"absent","force":true,"remove_nosave":true"#,
            "pacman --remove --noconfirm --noprogressbar --nodeps --nodeps --nosave demo".to_owned(),
        ),
        (
            r#""upgrade":true"#,
            "pacman --sync --sysupgrade --quiet --noconfirm".to_owned(),
        ),
        (
            r#""name":"demo","reason":"dependency","reason_for":"all""#,
            "pacman --noconfirm --database --asdeps demo".to_owned(),
        ),
    ] {
        let fake = target();
        let arguments = format!("{{{arguments}}}");
        let predicted = check::<Pacman>(&fake, &arguments);
        assert!(!fake.ran().contains(&call), "a check installs nothing");
        let outcome = run::<Pacman>(&fake, &arguments);
        assert!(predicted.changed && outcome.changed, "{arguments}: {outcome:?}");
        assert_eq!(fake.ran().last().unwrap(), &call);
    }
    let fake = target();
    for settled in [
        r#"{"name":["demo"]}"#,
        r#"{"name":["tool","nosuch"],"state":"absent"}"#,
    ] {
        let outcome = run::<Pacman>(&fake, settled);
        assert!(!outcome.changed && !outcome.failed, "{settled}: {outcome:?}");
    }
    // Nothing else is offered afterwards: no change.
    let outcome = run::<Pacman>(&fake, r#"{"update_cache":true}"#);
    assert_eq!(
        (outcome.changed, &outcome.values["cache_updated"]),
        (false, &false.into())
    );
}

#[test]
fn an_unknown_package() {
    assert_eq!(
        failure::<Pacman>(&target(), r#"{"name":"nosuch"}"#),
        "Failed to list package nosuch: error: target not found"
    );
}
