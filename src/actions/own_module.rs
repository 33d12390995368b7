//! A user's own module, run on the target. After Ansible's conventions for modules that are not Python's.
//!
//! What the file itself says decides how it gets its arguments: `WANT_JSON` or a binary, a file of JSON; the marker of the arguments,
//! in its place; anything else, a file of `key=value`. It is named by its digest and goes along with the call; running it is
//! `run_module`'s work. Its arguments are in no table: what it does not know it refuses itself.

use std::path::Path;
use std::sync::Arc;

use super::copy::hold;
use super::{Failure, Held};
use crate::modules::commands::own_module::{MARKER, Style};
use crate::template::Scope;
use crate::value::{Map, Value};

/// A module with this word in it takes JSON.
const WANT_JSON: &[u8] = b"WANT_JSON";
/// What an ELF executable begins with.
const ELF: &[u8] = b"\x7fELF";
/// The version of the language whose conventions these are.
const LANGUAGE_VERSION: &str = "2.19.14";

/// How a task runs its module.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    pub name: &'a str,
    pub check: bool,
    pub diff: bool,
    pub no_log: bool,
    pub verbosity: u8,
}

/// The call of `run_module` for the module in `file`, and what the call needs. `inline`: the content is in the call itself, for what
/// goes on when nobody can be asked for it.
pub fn call(
    file: &Path,
    given: Map,
    running: Running,
    inline: bool,
    scope: &Arc<Scope>,
) -> Result<(Map, Held), Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("cannot read the module {}: {error}", file.display())))?;
    let (style, interpreter) = if bytes.starts_with(ELF) {
        (Style::Json, Vec::new())
    } else {
        let words = shebang(&bytes)
            .ok_or_else(|| Failure::new(format!("module ({}) is missing interpreter line", running.name)))?;
        (style_of(&bytes), interpreter(words, scope)?)
    };
    let mut held = Held::default();
    let mut arguments = Map::from_iter([
        (
            "name".to_owned(),
            file.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .as_ref()
                .into(),
        ),
        (
            "style".to_owned(),
            Value::from_serialize(style).unwrap_or_default(),
        ),
        ("arguments".to_owned(), Value::Map(told(given, running))),
        ("interpreter".to_owned(), Value::from(interpreter)),
        ("check".to_owned(), Value::Bool(running.check)),
    ]);
    if inline {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
        arguments.insert("content".to_owned(), Value::from(text));
    } else {
        let digest = hold(file, false, &mut held)?.sha256;
        arguments.insert("digest".to_owned(), Value::from(digest));
    }
    Ok((arguments, held))
}

fn style_of(bytes: &[u8]) -> Style {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if has(MARKER.as_bytes()) {
        Style::Inline
    } else if has(WANT_JSON) {
        Style::Json
    } else {
        Style::Words
    }
}

/// What a module is told besides its arguments.
fn told(mut arguments: Map, running: Running) -> Map {
    let special = ["fuse", "nfs", "vboxsf", "ramfs", "9p", "vfat"].map(str::to_owned);
    let internal: [(&str, Value); 16] = [
        ("check_mode", Value::Bool(running.check)),
        ("no_log", Value::Bool(running.no_log)),
        ("debug", Value::Bool(false)),
        ("diff", Value::Bool(running.diff)),
        ("verbosity", Value::Int(running.verbosity.into())),
        ("version", LANGUAGE_VERSION.into()),
        ("module_name", running.name.into()),
        ("syslog_facility", "LOG_USER".into()),
        ("selinux_special_fs", Value::from(special.to_vec())),
        ("socket", Value::Null),
        ("shell_executable", "/bin/sh".into()),
        ("keep_remote_files", Value::Bool(false)),
        ("remote_tmp", "~/.ansible/tmp".into()),
        ("ignore_unknown_opts", Value::Bool(false)),
        ("target_log_info", Value::Null),
        ("tracebacks_for", Value::List(Vec::new())),
    ];
    arguments.extend(
        internal
            .into_iter()
            .map(|(name, value)| (format!("_ansible_{name}"), value)),
    );
    arguments
}

/// The words of a file's first line, if it names an interpreter.
fn shebang(bytes: &[u8]) -> Option<Vec<String>> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("#!")?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// The interpreter, or the one that the host has in its place: `ansible_NAME_interpreter`.
fn interpreter(mut words: Vec<String>, scope: &Arc<Scope>) -> Result<Vec<String>, Failure> {
    let name = words[0].rsplit('/').next().unwrap_or_default().to_owned();
    if let Some(value) = scope.value(&format!("ansible_{name}_interpreter"))?
        && value != Value::Null
    {
        words[0] = value.to_string();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_how_it_is_called() {
        assert_eq!(style_of(b"#!/bin/sh\n# WANT_JSON\n"), Style::Json);
        assert_eq!(style_of(b"#!/bin/sh\n. $1\n"), Style::Words);
        assert_eq!(
            style_of(b"#!/bin/sh\n# WANT_JSON\nA=<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"),
            Style::Inline
        );
        assert_eq!(
            shebang(b"#! /usr/bin/env -S perl -w\nx"),
            Some(["/usr/bin/env", "-S", "perl", "-w"].map(str::to_owned).to_vec())
        );
        assert_eq!(shebang(b"echo\n"), None);
        assert_eq!(shebang(b"#!\n"), None);
    }

    #[test]
    fn internal_arguments_come_after_its_own() {
        let running = Running {
            name: "own",
            check: true,
            diff: false,
            no_log: false,
            verbosity: 2,
        };
        let told = told(Map::from_iter([("a".to_owned(), Value::Int(1))]), running);
        assert_eq!(told["a"], Value::Int(1));
        assert_eq!(told["_ansible_check_mode"], Value::Bool(true));
        assert_eq!(told["_ansible_verbosity"], Value::Int(2));
        assert_eq!(told["_ansible_module_name"], "own".into());
    }
}
