//! `assemble`: a file put together from the files of a folder on the target. After ansible.builtin.assemble.
//!
//! Fragments of the controller are put together there, by the action, and placed as `copy` does. The rules by which fragments become one
//! text are here, for both: [`joined`] and [`is_wanted`].

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::path::expand;
use crate::modules::files::pattern::{self, Pattern};
use crate::modules::files::placing::{Entry, EntryKind, Placed, Placing};
use crate::modules::files::steps::Source;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::digest::digest_bytes;
use crate::system::{DigestAlgorithm, FileKind, Follow, System};
use crate::wire::message::Outcome;

pub struct Assemble;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    dest: String,
    delimiter: Option<String>,
    backup: bool,
    regexp: Option<String>,
    ignore_hidden: bool,
    validate: Option<String>,
    follow: bool,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Assemble {
    type Args = Args;
    type Change = Placed;
    const SPEC: Spec = Spec {
        name: "assemble",
        summary: "put a file together from the files of a folder",
        args: with_file_args![
            Arg::path("src").required().doc("the folder"),
            Arg::path("dest").required().doc("the file"),
            Arg::str("delimiter").doc("a line between fragments"),
            Arg::bool("backup").default("no").doc("keep what was there"),
            Arg::bool("remote_src").default("yes").doc("src is on the target"),
            Arg::str("regexp").doc("only files whose names match"),
            Arg::bool("ignore_hidden")
                .default("no")
                .doc("pass over files that begin with a dot"),
            Arg::str("validate").doc("a command that judges %s before it is used"),
            Arg::bool("follow")
                .default("no")
                .doc("write through a link at dest"),
            Arg::bool("decrypt")
                .default("yes")
                .doc("decrypt fragments that are vaults"),
        ],
        returns: &[
            Return::new("dest", "str", "the file"),
            Return::new("checksum", "str", "SHA-1 of its content"),
            Return::new("md5sum", "str", "MD5 of its content").when("it was changed"),
            Return::new("src", "str", "what was placed").when("it was changed"),
            Return::new("mode", "str", "permission bits, octal"),
            Return::new("owner", "str", "its user"),
            Return::new("group", "str", "its group"),
            Return::new("size", "int", "bytes"),
            Return::new("uid", "int", "its user's number"),
            Return::new("gid", "int", "its group's number"),
            Return::new("state", "str", "`file`, `directory`, `link` or `hard`"),
            Return::new("secontext", "str", "its SELinux label").when("there is SELinux"),
        ],
        example: "- assemble:\n    src: /etc/app/conf.d\n    dest: /etc/app/app.conf\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Placed>, Error> {
        let folder = expand(&args.src, system)?;
        match system.metadata(&folder, Follow::Yes)? {
            None => return Err(Error::new(format!("Source ({}) does not exist", args.src))),
            Some(found) if found.kind != FileKind::Directory => {
                return Err(Error::new(format!("Source ({}) is not a directory", args.src)));
            }
            Some(_) => {}
        }
        let regexp = selection(args.regexp.as_deref())?;
        let mut fragments = Vec::new();
        for name in system.read_dir(&folder)? {
            let path = folder.join(&name);
            let file = system
                .metadata(&path, Follow::Yes)?
                .is_some_and(|found| found.kind == FileKind::File);
            if file && is_wanted(&name.to_string_lossy(), regexp.as_ref(), args.ignore_hidden) {
                fragments.push(system.read(&path)?);
            }
        }
        let bytes = joined(&fragments, args.delimiter.as_deref());
        let sha1 = digest_bytes(&bytes, DigestAlgorithm::Sha1);
        let entry = Entry {
            relative: std::path::PathBuf::new(),
            kind: EntryKind::File {
                size: bytes.len() as u64,
                source: Source::Bytes(bytes),
                sha1: Some(sha1),
            },
            mode: None,
        };
        let placing = Placing {
            dest: args.dest,
            source_name: None,
            source_label: Some(args.src.clone()),
            src: Some(args.src),
            entries: vec![entry],
            file: args.file,
            directory_mode: None,
            backup: args.backup,
            force: true,
            validate: args.validate,
            follow: args.follow,
            diff: true,
        };
        placing.plan(system)
    }

    fn apply(change: Placed, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

/// The expression that chooses fragments by their names.
pub fn selection(regexp: Option<&str>) -> Result<Option<Pattern>, Error> {
    regexp
        .map(|regexp| pattern::compile("regexp", regexp))
        .transpose()
}

pub fn is_wanted(name: &str, regexp: Option<&Pattern>, ignore_hidden: bool) -> bool {
    regexp.is_none_or(|regexp| regexp.is_match(name.as_bytes())) && !(ignore_hidden && name.starts_with('.'))
}

/// Fragments as one text, each on lines of its own.
pub fn joined(fragments: &[Vec<u8>], delimiter: Option<&str>) -> Vec<u8> {
    let delimiter = delimiter.map(unescaped).filter(|delimiter| !delimiter.is_empty());
    let mut text = Vec::new();
    for (number, fragment) in fragments.iter().enumerate() {
        if number > 0 && !fragments[number - 1].ends_with(b"\n") {
            text.push(b'\n');
        }
        if let Some(delimiter) = delimiter.as_deref().filter(|_| number > 0) {
            text.extend_from_slice(delimiter.as_bytes());
            if !delimiter.ends_with('\n') {
                text.push(b'\n');
            }
        }
        text.extend_from_slice(fragment);
    }
    text
}

/// `\n` and `\t` in a delimiter stand for what they do in Python.
fn unescaped(delimiter: &str) -> String {
    let mut text = String::with_capacity(delimiter.len());
    let mut rest = delimiter.chars();
    while let Some(c) = rest.next() {
        match (c, rest.as_str().chars().next()) {
            ('\\', Some(escape @ ('n' | 't' | 'r' | '\\'))) => {
                rest.next();
                text.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            (c, _) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure};
    use crate::system::fake::Fake;

    #[test]
    fn fragments_become_one_file() {
        let fake = Fake::new();
        fake.file("/parts/20-b", "b")
            .file("/parts/10-a", "a\n")
            .file("/parts/.hidden", "h\n")
            .file("/parts/README", "no\n")
            .directory("/parts/10-folder");
        let outcome = check_agrees::<Assemble>(
            &fake,
            r#"{"src":"/parts","dest":"/all","regexp":"^[.\\d]","delimiter":"--\\n--","ignore_hidden":true,"mode":"0600"}"#,
        );
        assert_eq!(fake.text("/all"), "a\n--\n--\nb");
        assert_eq!(outcome.values["mode"], "0600".into());
        let checksum = digest_bytes(b"a\n--\n--\nb", DigestAlgorithm::Sha1);
        assert_eq!(outcome.values["checksum"], checksum.into());
    }

    #[test]
    fn folders_only() {
        let fake = Fake::new();
        fake.file("/file", "");
        let told = |src: &str| failure::<Assemble>(&fake, &format!(r#"{{"src":"{src}","dest":"/all"}}"#));
        assert_eq!(told("/none"), "Source (/none) does not exist");
        assert_eq!(told("/file"), "Source (/file) is not a directory");
    }
}
