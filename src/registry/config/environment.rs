//! `REGISTRY_*` variables: leaves that come after those of the file.
//!
//! The name's words are the path, whatever their case: `REGISTRY_HTTP_ADDR` is `http.addr`,
//! `REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL` an entry's key, `REGISTRY_HTTP_TLS_CLIENTCAS_1` a value of a list. A
//! variable that names a group of keys, or a list, holds YAML. A name of a mapping is one that is there already, in
//! whatever case, or else is taken in lower case; one that has `_` in it can be given only by its group.

use super::document;
use super::key::{Key, Shown};
use super::path::{Word, captures, is_wild, leads_to};
use super::{Config, Leaf, Loaded, keys, refused, without_effect};
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::{Source, Span};

const PREFIX: &str = "REGISTRY_";

/// A variable of ours, before its value is read.
struct Variable {
    path: Vec<Word>,
    meaning: Meaning,
    name: String,
    value: String,
}

enum Meaning {
    /// A key that takes one value: the text is the value, whatever YAML would make of it.
    Value,
    /// A key that takes a list, or a group of keys.
    Yaml,
    /// One value of a list.
    Entry(&'static Key, usize),
}

/// What the environment says over `config`, which the file has made; in an order that builds lists up.
pub fn leaves(
    environment: impl IntoIterator<Item = (String, String)>,
    loaded: &mut Loaded,
    errors: &mut Vec<Diagnostic>,
    mut apply: impl FnMut(Leaf, &mut Loaded, &mut Vec<Diagnostic>),
) {
    let mut variables: Vec<Variable> = Vec::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let words: Vec<&str> = rest.split('_').collect();
        match understand(&words) {
            Some((path, meaning)) => variables.push(Variable {
                path,
                meaning,
                name,
                value,
            }),
            None => loaded.warnings.extend(slip(&name)),
        }
    }
    // Groups before what is in them, entries by number.
    variables.sort_by(|one, other| order(&one.path).cmp(&order(&other.path)));
    for mut variable in variables {
        adopt(&mut variable.path, &loaded.config);
        let source = Source::new(format!("the environment's {}", variable.name), &*variable.value);
        match read(&variable, &source, &loaded.config) {
            Ok(leaves) => leaves.into_iter().for_each(|leaf| apply(leaf, loaded, errors)),
            Err(error) => errors.push(*error),
        }
    }
}

fn order(path: &[Word]) -> Vec<(usize, &str)> {
    path.iter()
        .map(|word| match word {
            Word::Key(key) => (0, key.as_str()),
            Word::Index(index) => (*index, ""),
        })
        .collect()
}

fn read(
    variable: &Variable,
    source: &std::sync::Arc<Source>,
    config: &Config,
) -> Result<Vec<Leaf>, Box<Diagnostic>> {
    let whole = Span::whole(source);
    let leaf = |path: &[Word], values| Leaf {
        path: path.to_vec(),
        keys: vec![whole.clone(); path.len().max(1)],
        values,
        value: whole.clone(),
        null: false,
    };
    match variable.meaning {
        Meaning::Yaml if variable.value.trim_start().starts_with(['[', '{']) => {
            document::leaves(source, &variable.path)
        }
        Meaning::Value | Meaning::Yaml => Ok(vec![leaf(&variable.path, vec![variable.value.clone()])]),
        Meaning::Entry(key, index) => {
            let path = &variable.path[..variable.path.len() - 1];
            let at = captures(key.path, path).unwrap_or_default();
            let mut values = key
                .shown(config)
                .into_iter()
                .find_map(|(found, shown)| match shown {
                    Shown::Many(values) if found == at => Some(values),
                    _ => None,
                })
                .unwrap_or_default();
            match index.cmp(&values.len()) {
                std::cmp::Ordering::Less => values[index].clone_from(&variable.value),
                std::cmp::Ordering::Equal => values.push(variable.value.clone()),
                std::cmp::Ordering::Greater => {
                    let message = format!("`{}` has no value {} to come after", key.path, index - 1);
                    return Err(Box::new(Diagnostic::error(message).at(&whole)));
                }
            }
            Ok(vec![leaf(path, values)])
        }
    }
}

/// Takes names of mappings as they are spelled already.
fn adopt(path: &mut [Word], config: &Config) {
    for depth in 1..=path.len() {
        let (here, under) = (&path[..depth], |key: &&Key| leads_to(&path[..depth], key.path));
        let known = keys().filter(under).find_map(|key| {
            let place = key
                .path
                .split('.')
                .take(depth)
                .filter(|word| is_wild(word))
                .count();
            if key.path.split('.').nth(depth - 1) != Some("*") {
                return None;
            }
            let above: Vec<String> = captures(&front(key.path, depth), here)?;
            let shown = key.shown(config).into_iter();
            shown.map(|(at, _)| at).find_map(|at| {
                let same = at.len() >= place
                    && at[..place - 1] == above[..place - 1]
                    && at[place - 1].eq_ignore_ascii_case(&above[place - 1]);
                same.then(|| at[place - 1].clone())
            })
        });
        if let Some(known) = known {
            path[depth - 1] = Word::Key(known);
        }
    }
}

/// The first words of a pattern.
fn front(pattern: &str, depth: usize) -> String {
    let words: Vec<&str> = pattern.split('.').take(depth).collect();
    words.join(".")
}

/// Which key or group a variable's words are.
fn understand(words: &[&str]) -> Option<(Vec<Word>, Meaning)> {
    for key in keys() {
        if let Some(path) = whole(key.path, words) {
            let meaning = if key.takes_many() {
                Meaning::Yaml
            } else {
                Meaning::Value
            };
            return Some((path, meaning));
        }
        if key.takes_many()
            && let Some((last, above)) = words.split_last()
            && let (Some(mut path), Ok(index)) = (whole(key.path, above), last.parse())
        {
            path.push(Word::Index(index));
            return Some((path, Meaning::Entry(key, index)));
        }
    }
    let groups = keys().map(|key| key.path);
    let others = without_effect().chain(refused()).map(|(path, _)| path);
    let group = |pattern: &str| {
        let depth = words.len().min(pattern.split('.').count());
        whole(&front(pattern, depth), &words[..depth])
    };
    for pattern in groups.filter(|pattern| pattern.split('.').count() > words.len()) {
        if let Some(path) = group(pattern) {
            return Some((path, Meaning::Yaml));
        }
    }
    // What is not taken, with whatever is under it.
    for pattern in others.filter(|pattern| pattern.split('.').count() <= words.len()) {
        if let Some(mut path) = group(pattern) {
            let under = words[path.len()..].iter();
            path.extend(under.map(|word| Word::Key(word.to_ascii_lowercase())));
            return Some((path, Meaning::Value));
        }
    }
    None
}

/// The path that the words are, if they are the pattern's.
fn whole(pattern: &str, words: &[&str]) -> Option<Vec<Word>> {
    let patterns: Vec<&str> = pattern.split('.').collect();
    if patterns.len() != words.len() {
        return None;
    }
    let word = |(pattern, word): (&&str, &&str)| match *pattern {
        "[]" => word.parse().ok().map(Word::Index),
        "*" => Some(Word::Key(word.to_ascii_lowercase())),
        known => known
            .eq_ignore_ascii_case(word)
            .then(|| Word::Key(known.to_owned())),
    };
    patterns.iter().zip(words).map(word).collect()
}

/// Others use the prefix too (Kubernetes sets `REGISTRY_PORT`): only what looks like a slip is told.
fn slip(name: &str) -> Option<Diagnostic> {
    let names: Vec<String> = keys()
        .filter(|key| !key.path.split('.').any(is_wild))
        .map(|key| variable(key.path))
        .collect();
    let near = nearest(name, names.iter().map(String::as_str))?;
    let warning = Diagnostic::warning(format!("the environment's {name} is no key of the configuration"));
    Some(warning.hint(format!("did you mean `{near}`?")))
}

fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "_"))
}
