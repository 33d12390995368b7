//! `read_out`: a file's content for the controller, for `fetch`. Not for playbooks.
//!
//! It travels raw, beside the result, in pieces that neither side has to keep.

use serde::Deserialize;

use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::{DigestAlgorithm, FileKind, Follow, System, SystemError};
use crate::wire::message::Outcome;

pub struct ReadOut;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    name: String,
    unless: Option<String>,
}

impl Module for ReadOut {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "read_out",
        summary: "send a file to the controller (internal)",
        args: &[
            Arg::path("src").required().doc("the file"),
            Arg::str("name")
                .required()
                .doc("64 hexadecimal digits under which it is sent"),
            Arg::str("unless").doc("SHA-1 of a file whose content need not be sent"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let path = expand(&args.src, system)?;
        let name = path.display().to_string();
        let refused = |reason: &str, message: String| Err(Error::new(message).with("reason", reason));
        let unreadable = |error: SystemError| {
            let message = format!("File is not readable: {name}: {}", error.source);
            Error::new(message).with("reason", "unreadable")
        };
        match system.metadata(&path, Follow::Yes).map_err(unreadable)? {
            None => return refused("missing", format!("File not found: {name}")),
            Some(found) if found.kind == FileKind::Directory => {
                return refused(
                    "directory",
                    format!("Source is a directory and must be a file: {name}"),
                );
            }
            Some(_) => {}
        }
        let checksum = system.digest(&path, DigestAlgorithm::Sha1).map_err(unreadable)?;
        if args.unless.as_deref() != Some(&checksum) {
            let mut content = system.open(&path).map_err(unreadable)?;
            system.send(&args.name, &mut content)?;
        }
        Ok(Plan::Same(Outcome::ok().with("checksum", checksum)))
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

    fn arguments(src: &str, rest: &str) -> String {
        format!(r#"{{"src":"{src}","name":"{}"{rest}}}"#, "0".repeat(64))
    }

    #[test]
    fn a_file_is_sent_unless_it_is_known() {
        let fake = Fake::new();
        fake.file("/g", "one\n");
        let checksum = run::<ReadOut>(&fake, &arguments("/g", "")).values["checksum"].to_string();
        assert_eq!(fake.sent(), [("0".repeat(64), b"one\n".to_vec())]);
        let unless = format!(r#","unless":"{checksum}""#);
        assert!(!run::<ReadOut>(&fake, &arguments("/g", &unless)).failed);
        assert_eq!(fake.sent().len(), 1);
    }

    #[test]
    fn says_why_there_is_none() {
        let fake = Fake::new();
        fake.file("/secret", "")
            .fail("look at", "/secret", std::io::ErrorKind::PermissionDenied);
        for (src, message) in [
            ("/no", "File not found: /no"),
            ("/", "Source is a directory and must be a file: /"),
            ("/secret", "File is not readable: /secret: permission denied"),
        ] {
            assert_eq!(failure::<ReadOut>(&fake, &arguments(src, "")), message);
        }
    }
}
