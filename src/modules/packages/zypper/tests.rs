//! `zypper` on a machine whose zypper is a script; its answers are written by hand, in the form of its `--xmlout`.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

const INSTALL: &str = "<?xml version='1.0'?>\n<stream>\n<install-summary download-size=\"5505\" packages-to-change=\"2\">\n\
    <to-install>\n<solvable type=\"package\" name=\"app\" edition=\"1.0-1\" arch=\"noarch\" summary=\"an app\">\n<description>x\
    </description></solvable>\n</to-install>\n<to-upgrade>\n<solvable type=\"package\" name=\"lib\" edition=\"2.0-1\" arch=\"noarch\" \
    edition-old=\"1.0-1\" arch-old=\"noarch\" summary=\"a lib\">\n</solvable>\n</to-upgrade>\n</install-summary>\n</stream>\n";
const FOUND: &str = "<?xml version='1.0'?>\n<stream>\n<search-result version=\"0.0\">\n<solvable-list>\n<solvable status=\"installed\" \
    name=\"lib\" kind=\"package\" edition=\"1.0-1\" arch=\"noarch\" repository=\"(System Packages)\"/>\n</solvable-list>\n\
    </search-result>\n</stream>\n";
const UNKNOWN: &str = "<?xml version='1.0'?>\n<stream>\n<message type=\"error\">No provider of &apos;+nosuch&apos; found.</message>\n</stream>\n";

/// lib 1.0-1 is installed.
fn target() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/bin/zypper").answer_with(|_, command| {
        let line = command.argv.join(" ");
        let (code, text) = if line.contains(" search ") {
            if line.ends_with(" lib") {
                (0, FOUND)
            } else {
                (104, "<stream></stream>")
            }
        } else if line.contains("nosuch") {
            (104, UNKNOWN)
        } else if line.contains("broken") {
            (107, INSTALL)
        } else {
            (0, INSTALL)
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
fn zypper_is_called_as_asked() {
    let base = "zypper --non-interactive --xmlout --quiet";
    let licences = "--auto-agree-with-licenses --no-recommends";
    for (arguments, call) in [
        (
            r#""name":["app","-exim"]"#.to_owned(),
            format!("{base} install --type package {licences} -- +app"),
        ),
        (
            r#""name":"lib>=2","disable_gpg_check":true,"extra_args":"--from demo""#.to_owned(),
            format!(
                "{base} --no-gpg-checks install --type package {licences} --oldpackage --from demo -- +lib>=2"
            ),
        ),
        (
            r#""name":"lib","state":"absent","clean_deps":true"#.to_owned(),
            format!("{base} remove --type package --clean-deps lib"),
        ),
        (
            r#""name":"*","state":"dist-upgrade","allow_vendor_change":true"#.to_owned(),
            format!("{base} dist-upgrade {licences} --allow-vendor-change"),
        ),
    ] {
        let fake = target();
        let arguments = format!("{{{arguments}}}");
        let predicted = check::<Zypper>(&fake, &arguments);
        assert!(!fake.ran().contains(&call), "a check installs nothing");
        let outcome = run::<Zypper>(&fake, &arguments);
        assert!(predicted.changed && outcome.changed, "{arguments}: {outcome:?}");
        assert_eq!(fake.ran().last().unwrap(), &call);
        assert_eq!(
            outcome.diff[0].after,
            "installed: app\nupgraded: lib (1.0-1 => 2.0-1)\n"
        );
    }
    let fake = target();
    assert!(!run::<Zypper>(&fake, r#"{"name":["lib"]}"#).changed);
    assert!(!run::<Zypper>(&fake, r#"{"name":"app","state":"removed"}"#).changed);
}

#[test]
fn refuses_with_the_words_that_users_know() {
    let fake = target();
    for (arguments, message) in [
        (r#"{"name":"nosuch"}"#, "No provider of '+nosuch' found."),
        (
            r#"{"name":"x","state":"dist-upgrade"}"#,
            "Can not dist-upgrade specific packages.",
        ),
        (
            r#"{"name":"+x","state":"absent"}"#,
            "Can not combine '+' prefix with state=remove/absent.",
        ),
        (r#"{"name":"/x.rpm","state":"absent"}"#, "Can not remove via URL."),
    ] {
        assert_eq!(failure::<Zypper>(&fake, arguments), message);
    }
    assert!(
        failure::<Zypper>(&fake, r#"{"name":"broken"}"#)
            .starts_with("Zypper run command failed with return code 107.")
    );
    assert!(run::<Zypper>(&fake, r#"{"name":"broken","skip_post_errors":true}"#).changed);
}
