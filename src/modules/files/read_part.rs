//! `read_part`: a piece of a file, for `fetch`. Not for playbooks.
//!
//! As with `slurp`, bytes travel in base64, since a result is text; a file of any size travels in pieces.

use base64::Engine as _;
use serde::Deserialize;

use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::{DigestAlgorithm, FileKind, Follow, System};
use crate::wire::message::Outcome;

/// Bytes of a piece: with base64 a sixth of what a frame takes.
const PIECE: usize = 8 << 20;

pub struct ReadPart;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    offset: u64,
    unless: Option<String>,
}

impl Module for ReadPart {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "read_part",
        summary: "read a piece of a file (internal)",
        args: &[
            Arg::path("src").required().doc("the file"),
            Arg::int("offset").default("0").doc("where the piece begins"),
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
        let unreadable = |error: crate::system::SystemError| {
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
        let mut outcome = Outcome::ok();
        if args.offset == 0 {
            let checksum = system.digest(&path, DigestAlgorithm::Sha1).map_err(unreadable)?;
            outcome = outcome.with("checksum", checksum.as_str());
            if args.unless.as_deref() == Some(&checksum) {
                return Ok(Plan::Same(outcome));
            }
        }
        let piece = system.read_part(&path, args.offset, PIECE).map_err(unreadable)?;
        Ok(Plan::Same(outcome.with("last", piece.len() < PIECE).with(
            "content",
            base64::engine::general_purpose::STANDARD.encode(piece),
        )))
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
    fn pieces_end_with_the_last() {
        let fake = Fake::new();
        fake.file("/f", vec![b'a'; PIECE + 1]).file("/g", "one\n");
        let first = run::<ReadPart>(&fake, r#"{"src":"/f"}"#);
        assert_eq!(first.values["last"], false.into());
        let rest = run::<ReadPart>(&fake, &format!(r#"{{"src":"/f","offset":{PIECE}}}"#));
        assert_eq!(
            (&rest.values["last"], &rest.values["content"]),
            (&true.into(), &"YQ==".into())
        );
        let checksum = run::<ReadPart>(&fake, r#"{"src":"/g"}"#).values["checksum"].to_string();
        let same = run::<ReadPart>(&fake, &format!(r#"{{"src":"/g","unless":"{checksum}"}}"#));
        assert!(!same.values.contains_key("content"));
    }

    #[test]
    fn says_why_there_is_none() {
        let fake = Fake::new();
        fake.file("/secret", "")
            .fail("look at", "/secret", std::io::ErrorKind::PermissionDenied);
        assert_eq!(
            failure::<ReadPart>(&fake, r#"{"src":"/no"}"#),
            "File not found: /no"
        );
        assert_eq!(
            failure::<ReadPart>(&fake, r#"{"src":"/"}"#),
            "Source is a directory and must be a file: /"
        );
        assert_eq!(
            failure::<ReadPart>(&fake, r#"{"src":"/secret"}"#),
            "File is not readable: /secret: permission denied"
        );
    }
}
