//! `install_self`: the running executable, installed on its target. A module of our own.
//!
//! The agent that is already there is the registry's server as well (by its name), so that nothing is sent a
//! second time and both are of one version. Only the file is made: units and links are other tasks' work.

use std::path::Path;

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::path::expand;
use crate::modules::files::placing::{Entry, EntryKind, Placed, Placing, RETURNS};
use crate::modules::files::steps::Source;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::{DigestAlgorithm, FileKind, Follow, System};
use crate::wire::message::Outcome;

/// What is installed is to be run, by everybody.
const MODE: &str = "0755";

pub struct InstallSelf;

#[derive(Debug, Deserialize)]
pub struct Args {
    dest: String,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for InstallSelf {
    type Args = Args;
    type Change = Placed;
    const SPEC: Spec = Spec {
        name: "install_self",
        summary: "install this very program on the target",
        args: with_file_args![
            Arg::path("dest")
                .required()
                .doc("the file itself, in a folder that exists; mode 0755 unless given"),
        ],
        returns: RETURNS,
        example: "- install_self:\n    dest: /usr/local/bin/regdeploy-registry\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Placed>, Error> {
        refuse_folders(&args.dest, system)?;
        let own = system.executable()?;
        let name = own.display().to_string();
        let Some(metadata) = system.metadata(&own, Follow::Yes)? else {
            return Err(Error::new(format!(
                "the agent's own executable {name} was taken away while it ran: run again"
            )));
        };
        let placing = Placing {
            dest: args.dest,
            source_name: None,
            source_label: None,
            entries: vec![Entry {
                relative: Path::new("").to_owned(),
                mode: None,
                kind: EntryKind::File {
                    sha1: Some(system.digest(&own, DigestAlgorithm::Sha1)?),
                    size: metadata.size,
                    source: Source::File(own),
                },
            }],
            src: Some(name),
            file: FileArgs {
                mode: args.file.mode.or_else(|| Some(MODE.to_owned())),
                ..args.file
            },
            directory_mode: None,
            backup: false,
            force: true,
            validate: None,
            // A link at dest is replaced: the agent's own path is one that is cleaned up some day.
            follow: false,
            // Two executables tell people nothing.
            diff: false,
        };
        placing.plan(system)
    }

    fn apply(change: Placed, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

fn refuse_folders(dest: &str, system: &dyn System) -> Result<(), Error> {
    let path = expand(dest, system)?;
    let found = system.metadata(&path, Follow::No)?;
    if dest.ends_with('/') || found.is_some_and(|found| found.kind == FileKind::Directory) {
        return Err(Error::new(format!(
            "dest has to name the file: {dest} is a folder (for example {}/regdeploy)",
            path.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const OWN: &str = "/root/.cache/regdeploy/agent";

    fn machine() -> Fake {
        let fake = Fake::new();
        fake.file(OWN, "ELF").directory("/usr/local/bin");
        fake
    }

    #[test]
    fn is_installed_once() {
        let fake = machine();
        let args = r#"{"dest":"/usr/local/bin/server","owner":"root","group":"ann"}"#;
        let outcome = check_agrees::<InstallSelf>(&fake, args);
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"uid":0,"gid":1000,"owner":"root","group":"ann","mode":"0755","state":"file","size":3,"md5sum":"b61b2d6c6fa62903b882aaa53452c111","dest":"/usr/local/bin/server","checksum":"9df4d63fed96765e7839d9394daf5ad2d78f7978","src":"/root/.cache/regdeploy/agent"}"#);
        assert_eq!(fake.text("/usr/local/bin/server"), "ELF");
    }

    #[test]
    fn another_version_and_other_attributes_are_put_right() {
        let fake = machine();
        let dest = "/usr/local/bin/server";
        let args = format!(r#"{{"dest":"{dest}"}}"#);
        fake.file(dest, "OLD");
        check_agrees::<InstallSelf>(&fake, &args);
        assert_eq!(fake.text(dest), "ELF");
        fake.file(dest, "ELF");
        check_agrees::<InstallSelf>(&fake, &args);
        assert!(fake.listing().contains("/usr/local/bin/server 0755 0:0 file"));
    }

    #[test]
    fn a_link_becomes_a_file_of_its_own() {
        let fake = machine();
        fake.link("/usr/local/bin/server", OWN);
        check_agrees::<InstallSelf>(&fake, r#"{"dest":"/usr/local/bin/server"}"#);
        assert!(fake.listing().contains("/usr/local/bin/server 0755 0:0 file"));
        assert!(
            fake.listing()
                .contains("/root/.cache/regdeploy/agent 0644 0:0 file")
        );
    }

    #[test]
    fn installing_over_itself_is_nothing() {
        let fake = machine();
        let outcome = run::<InstallSelf>(&fake, &format!(r#"{{"dest":"{OWN}","mode":"0644"}}"#));
        assert!(!outcome.changed && !outcome.failed, "{outcome:?}");
    }

    #[test]
    fn refusals() {
        let fake = machine();
        for (dest, message) in [
            (
                "/usr/local/bin",
                "dest has to name the file: /usr/local/bin is a folder (for example /usr/local/bin/regdeploy)",
            ),
            (
                "/opt/",
                "dest has to name the file: /opt/ is a folder (for example /opt/regdeploy)",
            ),
            ("/no/server", "Destination directory /no does not exist"),
        ] {
            assert_eq!(
                failure::<InstallSelf>(&fake, &format!(r#"{{"dest":"{dest}"}}"#)),
                message
            );
        }
        fake.file("/etc/x", "")
            .fail("look at", OWN, std::io::ErrorKind::PermissionDenied);
        assert!(failure::<InstallSelf>(&fake, r#"{"dest":"/etc/x"}"#).starts_with("cannot look at"));
        assert_eq!(
            failure::<InstallSelf>(&Fake::new(), r#"{"dest":"/x"}"#),
            "the agent's own executable /root/.cache/regdeploy/agent was taken away while it ran: run again"
        );
    }
}
