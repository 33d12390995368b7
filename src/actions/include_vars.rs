//! `include_vars`: variables from files on the controller, evaluated where they are used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Action, Done, Effect, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Return, Rule, Spec};
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
        Arg::strings("ignore_files")
            .doc("files that are left out: regular expressions for the ends of names"),
        Arg::strings("extensions")
            .default("yaml,yml,json")
            .doc("endings that files in `dir` may have"),
        Arg::bool("ignore_unknown_extensions")
            .default("no")
            .doc("pass over files with other endings, instead of failing"),
        Arg::str("hash_behaviour")
            .choices(&["replace", "merge"])
            .doc("`merge`: maps that exist already are kept and added to"),
    ],
    returns: &[
        Return::new("ansible_facts", "dict", "the variables"),
        Return::new(
            "ansible_included_var_files",
            "list of str",
            "the files that they are from",
        ),
    ],
    example: "- include_vars: '{{ ansible_os_family }}.yml'\n- include_vars:\n    dir: vars/sites\n    extensions: [yml]\n",
    free_form: Some("_raw_params"),
    rules: &[Rule::Exclusive(&["file", "dir"])],
};

impl Action for IncludeVars {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { include_vars(&task) })
    }
}

/// A message under the name that this action has for it.
fn refused(message: String, files: Vec<String>) -> Done {
    let mut outcome = Outcome::failed("")
        .with("message", message)
        .with("ansible_facts", crate::value::Map::new())
        .with("ansible_included_var_files", files);
    outcome.values.shift_remove("msg");
    outcome.into()
}

fn include_vars(task: &Invocation) -> Result<Done, Failure> {
    let folder = task.arguments["dir"].as_str();
    let files = match (&task.arguments["file"], folder) {
        (_, Some(name)) => folder_files(task, name)?,
        (name, None) => {
            let name = name.as_str().unwrap_or_default().trim_end_matches('\n');
            match task.scope.search.find("vars", name) {
                _ if name.is_empty() => Err("Could not find file on the Ansible Controller.".to_owned()),
                Some(file) if file.is_file() => Ok(vec![file]),
                _ => Err(format!(
                    "Could not find or access '{name}' on the Ansible Controller."
                )),
            }
        }
    };
    let files = match files {
        Ok(files) => files,
        Err(message) => return Ok(refused(message, Vec::new())),
    };
    let mut all = Mapping::new();
    let mut included = Vec::new();
    for file in &files {
        let shown = file.display().to_string();
        if folder.is_some() && !has_ending(task, file) {
            let endings = texts(task, "extensions").join(", ");
            return Ok(refused(
                format!("{shown} does not have a valid extension: {endings}"),
                included,
            ));
        }
        let root = load(file, &task.raw.span)?;
        if let Some(map) = root.as_map() {
            all.extend(map.iter().map(|(name, entry)| (name.clone(), entry.clone())));
        } else if !root.is_null() {
            return Ok(refused(
                format!("{shown} must be stored as a dictionary/hash"),
                included,
            ));
        }
        included.push(shown);
    }
    let mut names = match task.arguments["name"].as_str() {
        Some(name) => {
            let key = task.raw.span.clone();
            let value = Node::new(Kind::Map(Arc::new(all)), &key);
            Mapping::from_iter([(name.to_owned(), Entry { key, value })])
        }
        None => all,
    };
    if task.arguments["hash_behaviour"].as_str() == Some("merge") {
        for (name, entry) in &mut names {
            if let Some(existing) = task.scope.value(name)? {
                let existing = Node::literal(&existing, &entry.value.span);
                entry.value = merged(&existing, &entry.value);
            }
        }
    }
    let shown = names
        .iter()
        .map(|(name, entry)| (name.clone(), entry.value.to_value()))
        .collect::<crate::value::Map>();
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

/// Two maps as one, at every depth; anything else is replaced.
fn merged(weaker: &Node, stronger: &Node) -> Node {
    let (Some(one), Some(other)) = (weaker.as_map(), stronger.as_map()) else {
        return stronger.clone();
    };
    let mut both = one.as_ref().clone();
    for (name, entry) in other.iter() {
        let mut entry = entry.clone();
        if let Some(existing) = one.get(name) {
            entry.value = merged(&existing.value, &entry.value);
        }
        both.insert(name.clone(), entry);
    }
    Node::new(Kind::Map(Arc::new(both)), &stronger.span)
}

fn texts(task: &Invocation, name: &str) -> Vec<String> {
    let list = task.arguments[name].as_list().unwrap_or_default();
    list.iter().map(ToString::to_string).collect()
}

fn has_ending(task: &Invocation, file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    texts(task, "extensions").contains(&ending.into_owned())
}

/// The files of a folder and of those below it, folder by folder; the message where there is no such folder.
fn folder_files(task: &Invocation, name: &str) -> Result<Result<Vec<PathBuf>, String>, Failure> {
    let root = root_folder(task, name)?;
    if !root.exists() {
        return Ok(Err(format!("{} directory does not exist", root.display())));
    }
    if !root.is_dir() {
        return Ok(Err(format!("{} is not a directory", root.display())));
    }
    let regex = |text: &str| regex::Regex::new(text).map_err(|error| Failure::new(error.to_string()));
    let ignored: Vec<regex::Regex> = texts(task, "ignore_files")
        .iter()
        .map(|text| regex(&format!("{text}$")))
        .collect::<Result<_, _>>()?;
    let wanted = task.arguments["files_matching"].as_str().map(regex).transpose()?;
    let any_ending = task.arguments["ignore_unknown_extensions"] != Value::Bool(true);
    let role = task.scope.value("role_path")?;
    let main = role.map(|role| PathBuf::from(role.to_string()).join("vars/main.yml"));
    let mut folders = vec![(root.clone(), 1)];
    let mut all = Vec::new();
    while let Some((folder, level)) = folders.pop() {
        let mut files = Vec::new();
        for path in entries(&folder)? {
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                folders.push((path, level + 1));
            } else if wanted.as_ref().is_none_or(|wanted| wanted.is_match(&file))
                && !ignored.iter().any(|ignored| ignored.is_match(&file))
                && (any_ending || has_ending(task, &path))
                // A role has read its own already.
                && main.as_ref() != Some(&path)
            {
                files.push(path);
            }
        }
        all.push((folder, level, files));
    }
    all.sort_by(|(one, ..), (other, ..)| one.as_os_str().cmp(other.as_os_str()));
    let depth = task.arguments["depth"].as_int().unwrap_or(0);
    let deep_enough = |level: i64| depth == 0 || level <= depth;
    Ok(Ok(all
        .into_iter()
        .filter(|(_, level, _)| deep_enough(*level))
        .flat_map(|(.., mut files)| {
            files.sort();
            files
        })
        .collect()))
}

/// In a role `vars/NAME`, or `NAME` where that says `vars` itself; else beside the file that holds the task.
fn root_folder(task: &Invocation, name: &str) -> Result<PathBuf, Failure> {
    if let Some(role) = task.scope.value("role_path")? {
        let role = PathBuf::from(role.to_string());
        return Ok(if name.split('/').next() == Some("vars") {
            role.join(name)
        } else {
            role.join("vars").join(name)
        });
    }
    let folders = &task.scope.search.folders;
    Ok(folders
        .first()
        .map(|folder| folder.join(name))
        .unwrap_or_default())
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = PathBuf> + use<>, Failure> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    Ok(entries.flatten().map(|entry| entry.path()))
}

fn load(path: &Path, span: &crate::source::Span) -> Result<Node, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", path.display())).at(span))?;
    let root = yaml::load(&vault::opened(Source::new(path.display().to_string(), text))?)?.root;
    vault::learn_from(&root);
    Ok(root)
}
