//! `regdeploy doc`: what modules, keywords, filters, tests and lookups take, from the same tables that check
//! them. As `ansible-doc`, whose options it has.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::{Stop, warn};
use crate::diagnostic::Diagnostic;
use crate::executor::{self, Words};
use crate::modules::{Arg, Return, Spec};
use crate::playbook::keyword::KEYWORDS;
use crate::playbook::{Vocabulary, collection, short_name};
use crate::value::{Map, Value};
use crate::{output, template};

const OPTIONS: u8 = 5;

/// Columns of a text.
const WIDTH: usize = 78;

/// The collection under which everything but modules is listed.
const COLLECTION: &str = "ansible.builtin";

/// Shows what there is to know of modules, keywords, filters, tests and lookups.
#[derive(Debug, Parser)]
#[command(max_term_width = 110)]
pub struct DocArguments {
    /// Names, with or without their collection
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// What the names are of
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = TYPES, default_value = "module")]
    kind: String,

    /// All names with a line on each; given names are collections to list
    #[arg(short, long)]
    list: bool,

    /// A task to copy, with every argument
    #[arg(short, long)]
    snippet: bool,

    /// JSON
    #[arg(short, long)]
    json: bool,

    #[arg(short, long, action = clap::ArgAction::Count, hide = true)]
    verbose: u8,
}

const TYPES: [&str; 6] = ["module", "keyword", "filter", "test", "lookup", "callback"];

/// One thing that can be looked up.
struct Entry {
    name: &'static str,
    collection: &'static str,
    summary: String,
    /// What it takes, in a line.
    parameters: String,
    spec: Option<&'static Spec>,
}

pub fn run(arguments: &DocArguments) -> Result<ExitCode, Stop> {
    let mut entries = entries(&arguments.kind);
    entries.sort_by_key(|entry| entry.name);
    entries.dedup_by_key(|entry| entry.name);
    if arguments.list {
        let wanted = |entry: &&Entry| {
            arguments.names.is_empty()
                || arguments
                    .names
                    .iter()
                    .any(|name| name == entry.collection || name == entry.name || *name == entry.full_name())
        };
        let shown: Vec<&Entry> = entries.iter().filter(wanted).collect();
        print!("{}", list(&shown, &arguments.kind, arguments.json));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.names.is_empty() {
        let message = "Missing name(s), incorrect options passed for detailed documentation.";
        return Err((Diagnostic::error(message), OPTIONS));
    }
    let mut found = Vec::new();
    for name in &arguments.names {
        match entries.iter().find(|entry| entry.name == short_name(name)) {
            Some(entry) => found.push(entry),
            None => warn(
                &Diagnostic::warning(format!("{name} was not found"))
                    .nearest(short_name(name), entries.iter().map(|entry| entry.name)),
            ),
        }
    }
    if arguments.json {
        let all = found.iter().map(|entry| (entry.name.to_owned(), entry.json()));
        print!("{}", super::json(&Value::Map(all.collect())));
        return Ok(ExitCode::SUCCESS);
    }
    for entry in found {
        let text = if arguments.snippet {
            entry.snippet()
        } else {
            entry.text(&arguments.kind)
        };
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn entries(kind: &str) -> Vec<Entry> {
    let definition = |(name, parameters, doc): (&'static str, &str, &str)| Entry {
        name,
        collection: COLLECTION,
        summary: doc.to_owned(),
        parameters: parameters.to_owned(),
        spec: None,
    };
    let plain = |(name, doc)| definition((name, "", doc));
    match kind {
        "keyword" => KEYWORDS
            .iter()
            .map(|keyword| Entry {
                name: keyword.name,
                collection: COLLECTION,
                summary: if keyword.refused {
                    format!("refused: {}", keyword.doc)
                } else {
                    keyword.doc.to_owned()
                },
                parameters: {
                    let levels = keyword.levels.iter().map(|level| level.name());
                    format!(
                        "{}, in {}",
                        keyword.takes(),
                        levels.collect::<Vec<_>>().join(", ")
                    )
                },
                spec: None,
            })
            .collect(),
        "filter" => template::filter_documentation().map(definition).collect(),
        "test" => template::test_documentation().map(definition).collect(),
        "lookup" => template::lookup_documentation().map(plain).collect(),
        "callback" => output::documentation().map(plain).collect(),
        _ => specs()
            .map(|spec| Entry {
                name: spec.name,
                collection: collection(spec.name),
                summary: spec.summary.to_owned(),
                parameters: String::new(),
                spec: Some(spec),
            })
            .collect(),
    }
}

/// The tables of all modules that playbooks can name; where there is an action, it is the action's that counts.
fn specs() -> impl Iterator<Item = &'static Spec> {
    let words = Words {
        extra_vars: Arc::default(),
    };
    words.modules().into_iter().filter_map(executor::described)
}

fn list(entries: &[&Entry], kind: &str, json: bool) -> String {
    let full = |entry: &Entry| match kind {
        "keyword" => entry.name.to_owned(),
        _ => entry.full_name(),
    };
    if json {
        let all = entries
            .iter()
            .map(|entry| (full(entry), Value::from(entry.summary.as_str())));
        return super::json(&Value::Map(all.collect()));
    }
    let width = entries
        .iter()
        .map(|entry| full(entry).len())
        .max()
        .unwrap_or_default();
    entries.iter().fold(String::new(), |mut out, entry| {
        let _ = writeln!(out, "{:<width$}  {}", full(entry), entry.summary);
        out
    })
}

impl Entry {
    fn full_name(&self) -> String {
        format!("{}.{}", self.collection, self.name)
    }

    fn text(&self, kind: &str) -> String {
        let mut out = format!(
            "> {} {}\n\n{}\n",
            kind.to_uppercase(),
            self.name,
            wrapped(&self.summary, 2)
        );
        if !self.parameters.is_empty() {
            let _ = write!(out, "\nTAKES:\n\n{}\n", wrapped(&self.parameters, 2));
        }
        let Some(spec) = self.spec else {
            return out + "\n";
        };
        if !spec.args.is_empty() {
            out.push_str("\nOPTIONS (= indicates it is required):\n");
        }
        for arg in spec.args {
            option(&mut out, arg, 0);
        }
        if !spec.example.is_empty() {
            let _ = write!(out, "\nEXAMPLES:\n\n{}\n", spec.example.trim_end());
        }
        if !spec.returns.is_empty() {
            out.push_str("\nRETURN VALUES:\n");
        }
        for value in spec.returns {
            let _ = writeln!(out, "\n- {}\n{}", value.name, wrapped(value.doc, 8));
            let _ = writeln!(out, "        returned: {}", returned(value));
            let _ = writeln!(out, "        type: {}", value.kind);
        }
        out + "\n"
    }

    fn snippet(&self) -> String {
        let mut out = format!("- name: {}\n  {}:\n", self.summary, self.name);
        for arg in self.spec.map(|spec| spec.args).unwrap_or_default() {
            let required = if arg.required { "(required) " } else { "" };
            let value = arg.default.unwrap_or_default();
            let _ = writeln!(out, "      {}: {value}  # {required}{}", arg.name, arg.doc);
        }
        out
    }

    fn json(&self) -> Value {
        let mut doc = object([
            ("collection", self.collection.into()),
            ("name", self.name.into()),
            ("short_description", self.summary.as_str().into()),
            ("description", vec![self.summary.as_str()].into()),
            ("plugin_name", self.full_name().into()),
        ]);
        let mut entry = Map::new();
        if let Some(spec) = self.spec {
            doc.insert("module".to_owned(), spec.name.into());
            doc.insert("options".to_owned(), options_json(spec.args));
            let values = spec.returns.iter().map(|value| {
                let about = object([
                    ("description", vec![value.doc].into()),
                    ("returned", returned(value).into()),
                    ("type", value.kind.into()),
                ]);
                (value.name.to_owned(), Value::Map(about))
            });
            entry.insert("examples".to_owned(), spec.example.into());
            entry.insert("return".to_owned(), Value::Map(values.collect()));
            entry.insert("metadata".to_owned(), Value::Null);
        }
        entry.insert("doc".to_owned(), Value::Map(doc));
        Value::Map(entry)
    }
}

/// What there is to know of an argument, and of those that it holds.
fn option(out: &mut String, arg: &Arg, indent: usize) {
    let margin = " ".repeat(indent);
    let sign = if arg.required { "=" } else { "-" };
    let _ = write!(
        out,
        "\n{margin}{sign} {}\n{}\n",
        arg.name,
        wrapped(arg.doc, indent + 8)
    );
    let mut about = |what: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{margin}        {what}: {text}");
        }
    };
    about("aliases", arg.aliases.join(", "));
    about("choices", arg.choices.join(", "));
    about("default", arg.default.unwrap_or_default().to_owned());
    about("type", arg.type_name().to_owned());
    if !arg.options.is_empty() {
        let _ = writeln!(out, "\n{margin}        SUBOPTIONS:");
    }
    for inner in arg.options {
        option(out, inner, indent + 8);
    }
}

/// The same as `ansible-doc --json` has it.
fn option_json(arg: &Arg) -> Value {
    let mut option = object([
        ("description", vec![arg.doc].into()),
        ("type", arg.kind.name().into()),
        ("required", arg.required.into()),
        ("default", arg.default.into()),
        ("aliases", arg.aliases.to_vec().into()),
        ("choices", arg.choices.to_vec().into()),
    ]);
    if !arg.options.is_empty() {
        option.insert("suboptions".to_owned(), options_json(arg.options));
    }
    Value::Map(option)
}

fn options_json(args: &[Arg]) -> Value {
    let options = args.iter().map(|arg| (arg.name.to_owned(), option_json(arg)));
    Value::Map(options.collect())
}

fn returned(value: &Return) -> &'static str {
    match value.when {
        "" => "always",
        when => when,
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// A text in lines of a bounded width, all indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.len());
        if line > 0 && indent + line + 1 + word.len() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let margin = " ".repeat(indent);
    lines
        .iter()
        .map(|line| format!("{margin}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_entries_that_say_something() {
        for kind in TYPES {
            let entries = entries(kind);
            assert!(!entries.is_empty(), "{kind}");
            for entry in entries {
                assert!(!entry.summary.is_empty(), "{kind} {}", entry.name);
            }
        }
    }

    #[test]
    fn modules_show_what_they_take() {
        let entries = entries("module");
        let ping = entries.iter().find(|entry| entry.name == "ping").unwrap();
        insta::assert_snapshot!(ping.text("module"), @r"
        > MODULE ping

          see whether a host can be worked on

        OPTIONS (= indicates it is required):

        - data
                what is answered; `crash` fails
                default: pong
                type: str

        EXAMPLES:

        - ping:

        RETURN VALUES:

        - ping
                the value of `data`
                returned: always
                type: str
        ");
        assert_eq!(
            ping.snippet(),
            "- name: see whether a host can be worked on\n  ping:\n      data: pong  # what is answered; `crash` fails\n"
        );
        assert!(list(&[ping], "module", false).starts_with("ansible.builtin.ping  see"));
        assert_eq!(
            ping.json().get("doc").and_then(|doc| doc.get("name")),
            Some(&Value::from("ping"))
        );
        let values = ping.json().get("return").cloned();
        let returned = |values: Value| values.get("ping")?.get("returned").cloned();
        assert_eq!(values.and_then(returned), Some(Value::from("always")));
    }

    #[test]
    fn modules_are_listed_in_their_collections_and_those_of_actions_alone_are_not() {
        let entries = entries("module");
        let full: Vec<String> = entries.iter().map(Entry::full_name).collect();
        for name in [
            "ansible.builtin.copy",
            "ansible.posix.mount",
            "regdeploy.builtin.relocate",
        ] {
            assert!(full.iter().any(|full| full == name), "{name}");
        }
        assert!(!entries.iter().any(|entry| entry.name == "place"));
    }

    #[test]
    fn texts_are_wrapped() {
        let text = "word ".repeat(40);
        assert!(
            wrapped(&text, 8)
                .lines()
                .all(|line| line.len() <= WIDTH && line.starts_with("        word"))
        );
    }
}
