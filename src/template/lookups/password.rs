//! `password`: one that is made once and kept in a file of the controller. It does not encrypt.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::{Lookup, Request, row};
use crate::template::error::EvalError;
use crate::template::random::{Random, secret_index};
use crate::value::{Map, Value};

pub(super) const LOOKUPS: &[Lookup] = &[row("password", "Passwords, kept in files", |request| {
    request
        .terms
        .iter()
        .map(|term| password(request, &term.to_string()))
        .collect()
})];

/// A longer one is a mistake.
const MAX_LENGTH: usize = 4096;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

fn password(request: &Request, term: &str) -> Result<Value, EvalError> {
    let (name, options) = request.inline(term, &["length", "chars", "encrypt", "seed", "ident"]);
    if options
        .get("encrypt")
        .is_some_and(|encrypt| !matches!(encrypt, Value::Null | Value::Bool(false)))
    {
        return Err(request.fail("`encrypt` is not supported"));
    }
    let folder = request.scope.search.folders.last();
    let path = folder.map_or_else(|| Path::new(&name).to_owned(), |folder| folder.join(&name));
    let kept = path != Path::new("/dev/null");
    if kept && let Ok(contents) = fs::read_to_string(&path) {
        let line = contents.trim_end();
        return Ok(line
            .split_once(" salt=")
            .map_or(line, |(password, _)| password)
            .into());
    }
    let password = generate(request, &options)?;
    if kept {
        store(&path, &password)
            .map_err(|error| request.fail(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(password.into())
}

fn generate(request: &Request, options: &Map) -> Result<String, EvalError> {
    let length = options
        .get("length")
        .map_or(Ok(20), |length| length.to_string().parse::<usize>());
    let length = match length {
        Ok(length) if length <= MAX_LENGTH => length,
        _ => return Err(request.fail(format!("`length` must be a number up to {MAX_LENGTH}"))),
    };
    let characters: Vec<char> = alphabet(options.get("chars")).chars().collect();
    if characters.is_empty() || characters.len() > 256 {
        return Err(request.fail("`chars` must name 1 to 256 characters"));
    }
    let seed = options.get("seed").filter(|seed| **seed != Value::Null);
    let mut seeded = seed.map(|seed| Random::seeded(&seed.to_string()));
    let mut index = || match &mut seeded {
        Some(random) => random.below(characters.len()),
        None => secret_index(characters.len()),
    };
    Ok((0..length).map(|_| characters[index()]).collect())
}

/// Names of Python's character sets, or the characters themselves; `,,` is a comma.
fn alphabet(wanted: Option<&Value>) -> String {
    let names: Vec<String> = match wanted {
        None | Some(Value::Null) => vec!["ascii_letters".into(), "digits".into(), ".,:-_".into()],
        Some(Value::List(names)) => names.iter().map(ToString::to_string).collect(),
        Some(text) => {
            let text = text.to_string();
            let mut names: Vec<String> = Vec::new();
            if text.contains(",,") {
                names.push(",".to_owned());
            }
            names.extend(
                text.replace(",,", ",")
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
            names
        }
    };
    let set = |name: &String| match name.as_str() {
        "ascii_letters" => format!("{LOWER}{UPPER}"),
        "ascii_lowercase" => LOWER.to_owned(),
        "ascii_uppercase" => UPPER.to_owned(),
        "digits" => DIGITS.to_owned(),
        "hexdigits" => format!("{DIGITS}abcdefABCDEF"),
        "octdigits" => "01234567".to_owned(),
        "punctuation" => PUNCTUATION.to_owned(),
        other => other.to_owned(),
    };
    names.iter().map(set).collect()
}

/// Whole or not at all, and for its owner only.
fn store(path: &Path, password: &str) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{password}")?;
    file.as_file().sync_all()?;
    // Of two who make one at the same time, the first one's stays.
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}
