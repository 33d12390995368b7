//! `include_vars`: variables from files on the controller, evaluated where they are used.

use std::path::{Path, PathBuf};

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Rule, Spec};
use crate::source::Source;
use crate::template::{Names, Variable};
use crate::value::Value;
use crate::vault;
use crate::wire::message::Outcome;
use crate::yaml::{self, Entry, Kind, Mapping, Node};

pub struct IncludeVars;

static SPEC: Spec = Spec {
    name: "include_vars",
    summary: "read variables from files on the controller",
    args: &[
        Arg::path("file")
            .aliases(&["_raw_params"])
            .doc("a file, looked up in `vars/`"),
        Arg::path("dir").doc("all files of a folder, in alphabetical order"),
        Arg::str("name").doc("put them into a map of this name"),
        Arg::int("depth")
            .default("0")
            .doc("how deep below `dir`; 0 is without limit"),
        Arg::str("files_matching").doc("only files whose names match this regular expression"),
        Arg::strings("ignore_files").doc("files that are left out"),
        Arg::strings("extensions")
            .default("yaml,yml,json")
            .doc("endings of the files in `dir`"),
    ],
    free_form: Some("_raw_params"),
    rules: &[Rule::Exclusive(&["file", "dir"]), Rule::OneOf(&["file", "dir"])],
};

impl Action for IncludeVars {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { include_vars(&task) })
    }
}

fn include_vars(task: &Invocation) -> Result<Done, Failure> {
    let files = match (&task.arguments["file"], &task.arguments["dir"]) {
        (Value::Str(name), _) => vec![task.find_file("vars", "file", name)?],
        (_, Value::Str(name)) => folder(task, name)?,
        _ => Vec::new(),
    };
    let mut all = Mapping::new();
    for file in &files {
        let root = load(file, &task.raw.span)?;
        if let Some(map) = root.as_map() {
            all.extend(map.iter().map(|(name, entry)| (name.clone(), entry.clone())));
        } else if !root.is_null() {
            return Err(
                Diagnostic::error(format!("{} must be stored as a dictionary/hash", file.display()))
                    .at(&root.span)
                    .into(),
            );
        }
    }
    let names = match task.arguments["name"].as_str() {
        Some(name) => {
            let span = task.raw.span.clone();
            let node = Node::new(Kind::Map(std::sync::Arc::new(all)), &span);
            Mapping::from_iter([(
                name.to_owned(),
                Entry {
                    key: span,
                    value: node,
                },
            )])
        }
        None => all,
    };
    let shown = names
        .iter()
        .map(|(name, entry)| (name.clone(), entry.value.to_value()))
        .collect::<crate::value::Map>();
    let included: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let variables: Names = names
        .into_iter()
        .map(|(name, entry)| (name, Variable::Node(entry.value)))
        .collect();
    Ok(Done {
        outcome: Outcome::ok()
            .with("ansible_facts", shown)
            .with("ansible_included_var_files", included),
        effects: vec![Effect::Include(variables)],
        ..Done::default()
    })
}

fn folder(task: &Invocation, name: &str) -> Result<Vec<PathBuf>, Failure> {
    let root = task.find_file("vars", "dir", name)?;
    let texts = |key: &str| -> Vec<String> {
        let list = task.arguments[key].as_list().unwrap_or_default();
        list.iter().map(ToString::to_string).collect()
    };
    let (endings, ignored) = (texts("extensions"), texts("ignore_files"));
    let depth = task.arguments["depth"].as_int().unwrap_or(0);
    let pattern = match task.arguments["files_matching"].as_str() {
        Some(text) => Some(regex::Regex::new(text).map_err(|error| Failure::new(error.to_string()))?),
        None => None,
    };
    let mut files = Vec::new();
    let mut waiting = vec![(root, 1)];
    while let Some((folder, level)) = waiting.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let file_name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && (depth == 0 || level < depth) {
                waiting.push((path, level + 1));
            } else if path.is_file()
                && path
                    .extension()
                    .is_some_and(|ending| endings.iter().any(|wanted| ending == wanted.as_str()))
                && !ignored.contains(&file_name)
                && pattern
                    .as_ref()
                    .is_none_or(|pattern| pattern.is_match(&file_name))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn load(path: &Path, span: &crate::source::Span) -> Result<Node, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", path.display())).at(span))?;
    let root = yaml::load(&vault::opened(Source::new(path.display().to_string(), text))?)?.root;
    vault::learn_from(&root);
    Ok(root)
}
