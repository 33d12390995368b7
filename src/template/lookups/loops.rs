//! Lookups that only rearrange their terms: what `with_*` loops over.

use super::{Answer, Lookup, Request, row};
use crate::template::filters::{cartesian, expand_user, flatten_into, pairs, transpose};
use crate::template::random::Random;
use crate::value::{Map, Value};

pub(super) const LOOKUPS: &[Lookup] = &[
    row("items", "The terms, lists among them opened", |request| {
        Ok(opened(request))
    }),
    row("list", "The terms as they are", |request| {
        Ok(request.terms.clone())
    }),
    row("flattened", "The terms, lists in lists opened", |request| {
        let mut out = Vec::new();
        flatten_into(&mut out, request.terms.clone(), None, false);
        Ok(out)
    }),
    row("indexed_items", "Pairs of a number and a term", |request| {
        let items = opened(request).into_iter().enumerate();
        Ok(items
            .map(|(index, item)| Value::List(vec![index.into(), item]))
            .collect())
    }),
    row("dict", "The dicts' keys and values", dict),
    row("nested", "All combinations of the lists' items", combinations),
    row("cartesian", "All combinations of the lists' items", combinations),
    row("together", "Tuples of the lists' items", |request| {
        let lists = lists(request);
        if lists.is_empty() {
            return Err(request.fail("with_together requires at least one element in each list"));
        }
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        Ok(items(transpose(&lists, longest, &Value::Null)))
    }),
    row(
        "subelements",
        "Pairs of an item and each element of a list in it",
        subelements,
    ),
    row("random_choice", "One of the terms", |request| {
        if request.terms.is_empty() {
            return Ok(Vec::new());
        }
        let index = Random::new().below(request.terms.len());
        Ok(vec![request.terms[index].clone()])
    }),
    row("first_found", "The first file that is there", first_found),
];

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::List(items) => items,
        other => vec![other],
    }
}

/// The terms with lists opened once.
fn opened(request: &Request) -> Vec<Value> {
    request.terms.iter().cloned().flat_map(items).collect()
}

fn lists(request: &Request) -> Vec<Vec<Value>> {
    request.terms.iter().cloned().map(items).collect()
}

fn dict(request: &Request) -> Answer {
    let mut found = Vec::new();
    for term in opened(request) {
        let Value::Map(map) = term else {
            return Err(request.fail(format!(
                "the 'dict' lookup plugin expects a dictionary, got '{term}' of type {}",
                term.type_name()
            )));
        };
        found.extend(map.into_iter().map(|(key, value)| {
            let entry: Map = [("key".to_owned(), key.into()), ("value".to_owned(), value)].into();
            Value::Map(entry)
        }));
    }
    Ok(found)
}

fn combinations(request: &Request) -> Answer {
    if request.terms.is_empty() {
        return Err(request.fail("it needs at least one list"));
    }
    cartesian(&lists(request))
        .map(items)
        .map_err(|message| request.fail(message))
}

const SUBELEMENTS: &str = "subelements lookup expects a list of two or three items, first a dict or a list, \
                           second a string pointing to the subkey";

fn subelements(request: &Request) -> Answer {
    let (list, path, flags) = match request.terms.as_slice() {
        [list, path] => (list, path, None),
        [list, path, flags] => (list, path, Some(flags)),
        _ => return Err(request.fail(SUBELEMENTS)),
    };
    if !matches!(list, Value::List(_) | Value::Map(_)) || path.as_str().is_none() {
        return Err(request.fail(SUBELEMENTS));
    }
    if flags.is_some_and(|flags| flags.as_map().is_none()) {
        return Err(request.fail("the optional third item must be a dict with flags"));
    }
    let list: Vec<Value> = match list {
        Value::Map(map) => map.values().cloned().collect(),
        other => items(other.clone()),
    };
    // Items of a registered loop that were skipped have nothing to go through.
    let list: Vec<Value> = list
        .into_iter()
        .filter(|item| item.get("skipped") != Some(&Value::Bool(true)))
        .collect();
    let path: Vec<String> = path.to_string().split('.').map(str::to_owned).collect();
    let skip = flags
        .and_then(|flags| flags.get("skip_missing"))
        .is_some_and(crate::template::filters::truth);
    let found = pairs(&list, &path, skip).map_err(|message| request.fail(message))?;
    // What was gone through is left out of the item, as in Ansible.
    Ok(items(found)
        .into_iter()
        .map(|pair| without(pair, &path))
        .collect())
}

fn without(mut pair: Value, path: &[String]) -> Value {
    if let (Value::List(parts), [name]) = (&mut pair, path)
        && let Some(Value::Map(item)) = parts.first_mut()
    {
        item.shift_remove(name);
    }
    pair
}

/// The names and folders of one term.
struct Candidates {
    files: Vec<String>,
    folders: Vec<String>,
    skip: bool,
}

impl Candidates {
    fn of(map: &Map) -> Self {
        let names = |key: &str, separators: &[char]| match map.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::List(names)) => names.iter().map(ToString::to_string).collect(),
            // A text may name several.
            Some(name) => name
                .to_string()
                .split(separators)
                .map(|name| name.trim().to_owned())
                .collect(),
        };
        let (files, folders) = (names("files", &[',', ';']), names("paths", &[',', ';', ':']));
        // Folders stand for themselves where no files are named at all; those that are undefined were.
        let (files, folders) = if map.contains_key("files") {
            (files, folders)
        } else {
            (folders, Vec::new())
        };
        Self {
            files,
            folders,
            skip: map.get("skip").is_some_and(crate::template::filters::truth),
        }
    }

    fn names(&self) -> Vec<String> {
        if self.folders.is_empty() {
            return self.files.clone();
        }
        let in_folder = |folder: &String| {
            let folder = expand_user(folder);
            self.files
                .iter()
                .map(move |file| format!("{}/{file}", folder.trim_end_matches('/')))
                .collect::<Vec<_>>()
        };
        self.folders.iter().flat_map(in_folder).collect()
    }
}

fn first_found(request: &Request) -> Answer {
    let mut all = Vec::new();
    let mut skip = request.flag("skip", false);
    if request.options.contains_key("files") {
        all.extend(Candidates::of(&request.options).names());
    }
    for term in opened(request) {
        match term {
            Value::Map(map) => {
                let candidates = Candidates::of(&map);
                skip |= candidates.skip;
                all.extend(candidates.names());
            }
            Value::Str(name) => all.push(name),
            other => {
                let message = format!("it needs names or dicts, not '{}'", other.type_name());
                return Err(request.fail(message));
            }
        }
    }
    let kinds = ["files", "templates", "vars", "tasks"];
    for name in &all {
        let name = expand_user(name);
        let found = kinds
            .iter()
            .find_map(|kind| request.scope.search.find(kind, &name));
        if let Some(found) = found {
            let found = found.canonicalize().unwrap_or(found);
            return Ok(vec![found.to_string_lossy().into_owned().into()]);
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    let mut error = request.fail("none of the files is there; `skip: true` allows that");
    for name in all {
        error.diagnostic = error.diagnostic.hint(format!("looked for {name}"));
    }
    Err(error)
}
