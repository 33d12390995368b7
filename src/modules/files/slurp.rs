//! `slurp`: a file's content, in base64 as it has to fit into a result. Changes nothing.

use base64::Engine as _;
use serde::Deserialize;

use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{FileKind, Follow, System};
use crate::wire::message::Outcome;

/// The result has to fit into a frame of the wire, a third larger than the file.
const MAX_SIZE: u64 = 32 << 20;

pub struct Slurp;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
}

impl Module for Slurp {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "slurp",
        summary: "read a file of the target",
        args: &[Arg::path("src").aliases(&["path"]).required().doc("the file")],
        returns: &[
            Return::new("content", "str", "the file, in base64"),
            Return::new("encoding", "str", "`base64`"),
            Return::new("source", "str", "the file that was read"),
        ],
        example: "- slurp:\n    src: /etc/hostname\n  register: name\n- debug:\n    msg: '{{ name.content | b64decode }}'\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let path = expand(&args.src, system)?;
        let name = path.display().to_string();
        match system.metadata(&path, Follow::Yes)? {
            None => return Err(Error::new(format!("File not found: {name}"))),
            Some(found) if found.kind == FileKind::Directory => {
                return Err(Error::new(format!(
                    "Source is a directory and must be a file: {name}"
                )));
            }
            Some(found) if found.size > MAX_SIZE => {
                return Err(Error::new(format!(
                    "{name} is larger than {MAX_SIZE} bytes: fetch it instead"
                )));
            }
            Some(_) => {}
        }
        let content = base64::engine::general_purpose::STANDARD.encode(system.read(&path)?);
        Ok(Plan::Same(
            Outcome::ok()
                .with("content", content)
                .with("encoding", "base64")
                .with("source", name),
        ))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn reads_files_only() {
        let fake = Fake::new();
        fake.file("/etc/hostname", "one\n");
        let outcome = run::<Slurp>(&fake, r#"{"path":"/etc/hostname"}"#);
        assert_eq!(outcome.values["content"], "b25lCg==".into());
        assert_eq!(failure::<Slurp>(&fake, r#"{"src":"/no"}"#), "File not found: /no");
        assert_eq!(
            failure::<Slurp>(&fake, r#"{"src":"/etc"}"#),
            "Source is a directory and must be a file: /etc"
        );
    }
}
