//! What holds the architecture together: the imports that must not exist, and the rules that every source
//! file and every row of the tables follows.
//!
//! Sources are read as text, formatted by rustfmt: comments and what is compiled for tests only are left
//! out, `use` trees are spread out, and names that were imported are traced to where they come from. Macros
//! that put a path together from pieces would go unseen; there are none.

mod sources;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use regdeploy::actions::ACTIONS;
use regdeploy::executor::{self, Words};
use regdeploy::modules::{self, Arg, Spec};
use regdeploy::playbook::Vocabulary as _;

use self::sources::{Source, paths, read_all};

/// The hard limit of a file, in lines.
const MAX_LINES: usize = 600;

/// Names that say nothing of what is in a file.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "manager", "misc"];

/// What may not be used where, and why.
struct Rule {
    /// A module and all below it; empty: everything.
    layer: &'static str,
    forbidden: &'static [&'static str],
    /// What is allowed all the same.
    but: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        layer: "",
        forbidden: &["crate::cli"],
        but: &[],
        why: "the command line uses everything, nothing uses it",
    },
    Rule {
        layer: "modules",
        forbidden: &[
            "crate::template",
            "crate::inventory",
            "crate::playbook",
            "crate::executor",
            "crate::connection",
            "crate::output",
            "std::fs",
            "std::process::Command",
            "tokio::fs",
            "tokio::process",
        ],
        but: &[],
        why: "a module sees its target through `System` and knows nothing of plays",
    },
    Rule {
        layer: "agent",
        forbidden: &[
            "crate::template",
            "crate::playbook",
            "crate::inventory",
            "crate::connection",
        ],
        but: &[],
        why: "an agent runs calls and knows nothing of plays",
    },
    Rule {
        layer: "registry",
        forbidden: &[
            "crate::actions",
            "crate::agent",
            "crate::connection",
            "crate::executor",
            "crate::inventory",
            "crate::modules",
            "crate::output",
            "crate::playbook",
            "crate::system",
            "crate::template",
            "crate::wire",
        ],
        but: &[],
        why: "the registry is a server of its own",
    },
    Rule {
        layer: "registry::api",
        forbidden: &["std::fs", "tokio::fs"],
        but: &[],
        why: "the API stores through `registry::storage`",
    },
    Rule {
        layer: "registry::storage",
        forbidden: &[
            "hyper",
            "hyper_util",
            "http",
            "http_body",
            "http_body_util",
            "crate::registry::api",
        ],
        but: &[],
        why: "a store knows no HTTP",
    },
    Rule {
        layer: "executor",
        forbidden: &["ssh2", "bollard", "crate::output::default"],
        but: &[],
        why: "the run knows neither how a target is reached nor how results are shown",
    },
    Rule {
        layer: "playbook",
        forbidden: &["minijinja", "minijinja_contrib"],
        but: &[],
        why: "a playbook is a tree, not yet evaluated",
    },
    Rule {
        layer: "inventory",
        forbidden: &["minijinja", "minijinja_contrib"],
        but: &[],
        why: "an inventory is data, not yet evaluated",
    },
    Rule {
        layer: "configuration",
        forbidden: &["crate"],
        but: &[
            "crate::configuration",
            "crate::diagnostic",
            "crate::source",
            "crate::value",
        ],
        why: "settings are read before anything that they are for",
    },
    Rule {
        layer: "wire",
        forbidden: &["crate"],
        but: &["crate::value", "crate::wire"],
        why: "the protocol is between both halves and belongs to neither",
    },
];

impl Rule {
    fn concerns(&self, module: &str) -> bool {
        let inside = |layer: &str| within(module, &format!("crate::{layer}"));
        match self.layer {
            // The executable's own few lines are the command line's caller.
            "" => !inside("cli") && !inside("main"),
            layer => inside(layer),
        }
    }

    fn forbids(&self, path: &str) -> bool {
        self.forbidden.iter().any(|root| reaches(path, root))
            && !self.but.iter().any(|root| within(path, root))
    }
}

/// Whether a path is this one or goes on from it.
fn within(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// As [`within`]; `std::process::*` reaches `std::process::Command` too.
fn reaches(path: &str, root: &str) -> bool {
    let everything = path.strip_suffix("::*").is_some_and(|stem| within(root, stem));
    within(path, root) || everything
}

/// Every use of what a rule forbids.
fn violations(source: &Source, rules: &[Rule]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for rule in rules.iter().filter(|rule| rule.concerns(&source.module)) {
        for (line, path) in paths(source) {
            if rule.forbids(&path) {
                found.insert((line, format!("{path} ({})", rule.why)));
            }
        }
    }
    found
        .into_iter()
        .map(|(line, what)| format!("{}:{line}: {what}", source.path))
        .collect()
}

#[test]
fn no_layer_uses_what_it_must_not_know() {
    let sources = read_all();
    for rule in RULES {
        assert!(
            sources.iter().any(|source| rule.concerns(&source.module)),
            "there is no module {}: has it another name now?",
            rule.layer
        );
    }
    let found: Vec<String> = sources
        .iter()
        .flat_map(|source| violations(source, RULES))
        .collect();
    assert!(found.is_empty(), "forbidden:\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut found = String::new();
    for source in read_all() {
        let path = &source.path;
        let lines = source.text.lines().count();
        if !source.text.starts_with("//!") {
            let _ = writeln!(found, "{path}: does not open with what it is (`//!`)");
        }
        if lines > MAX_LINES {
            let _ = writeln!(found, "{path}: {lines} lines, more than {MAX_LINES}");
        }
        let parts = path.trim_end_matches(".rs").split('/');
        for part in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            let _ = writeln!(found, "{path}: `{part}` says nothing of what is in it");
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn every_module_and_action_is_documented() {
    let modules = modules::all().map(modules::AnyModule::spec);
    let actions = ACTIONS.iter().map(|action| action.spec());
    let mut found = String::new();
    for spec in modules.chain(actions) {
        for gap in gaps(spec) {
            let _ = writeln!(found, "{}: {gap}", spec.name);
        }
    }
    let words = Words {
        extra_vars: Arc::default(),
    };
    let named = words.modules();
    // What only actions call is not for people to copy.
    for spec in named.into_iter().filter_map(executor::spec) {
        if spec.returns.is_empty() || spec.example.trim().is_empty() {
            let _ = writeln!(found, "{}: says what it returns, and shows an example", spec.name);
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// What a table leaves unsaid.
fn gaps(spec: &Spec) -> Vec<String> {
    let mut gaps = Vec::new();
    if spec.summary.trim().is_empty() {
        gaps.push("no summary".to_owned());
    }
    gaps.extend(gaps_of_arguments(spec.args));
    for value in spec.returns {
        if value.doc.trim().is_empty() {
            gaps.push(format!("the result `{}` has no description", value.name));
        }
    }
    gaps
}

fn gaps_of_arguments(args: &[Arg]) -> Vec<String> {
    let mut gaps = Vec::new();
    for arg in args {
        if arg.doc.trim().is_empty() {
            gaps.push(format!("`{}` has no description", arg.name));
        }
        if arg
            .default
            .is_some_and(|default| !arg.choices.is_empty() && !arg.choices.contains(&default))
        {
            gaps.push(format!("the default of `{}` is none of its choices", arg.name));
        }
        let inner = gaps_of_arguments(arg.options);
        gaps.extend(inner.into_iter().map(|gap| format!("{}: {gap}", arg.name)));
    }
    let names = args
        .iter()
        .flat_map(|arg| arg.aliases.iter().copied().chain([arg.name]));
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !seen.insert(*name)) {
        gaps.push(format!("`{name}` stands for two arguments"));
    }
    gaps
}

/// The paths that the rules would be shown for this text.
fn seen(module: &str, text: &str) -> Vec<String> {
    let source = Source {
        path: "x.rs".to_owned(),
        module: module.to_owned(),
        text: text.to_owned(),
        for_tests: false,
    };
    paths(&source).into_iter().map(|(_, path)| path).collect()
}

#[test]
fn imports_are_found_however_they_are_written() {
    for (text, path) in [
        ("use crate::cli;", "crate::cli"),
        (
            "pub(super) use crate::cli::Arguments as Given;",
            "crate::cli::Arguments",
        ),
        ("use crate::{value::Value, cli::{self, run}};", "crate::cli::run"),
        ("use crate::{\n    cli::{self, run},\n};", "crate::cli"),
        ("use super::super::cli::*;", "crate::cli::*"),
        ("fn f() { super::sibling::g() }", "crate::modules::sibling::g"),
        ("fn f() { self::below::g() }", "crate::modules::own::below::g"),
        ("use std::fs as disk;\nfn f() { disk::read(x) }", "std::fs::read"),
        (
            "use std::process;\nfn f() { process::Command::new(x) }",
            "std::process::Command::new",
        ),
        ("fn f(x: &::std::fs::File) {}", "std::fs::File"),
        ("fn f() -> Vec<ssh2::Session> {}", "ssh2::Session"),
    ] {
        let found = seen("crate::modules::own", text);
        assert!(found.iter().any(|found| found == path), "{text}: {found:?}");
    }
}

#[test]
fn comments_texts_and_tests_are_no_imports() {
    for text in [
        "//! [`crate::cli`]",
        "let x = 1; // crate::cli",
        "/* crate::cli */",
        "let x = \"crate::cli\";",
        "let x = r#\"crate::\"cli\"#;",
        "#[cfg(test)]\nuse crate::cli;",
        "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}",
        "#[cfg(test)]\n#[derive(Debug)]\npub fn f() {\n    crate::cli::run();\n}",
    ] {
        let found = seen("crate::modules::own", text);
        assert!(
            !found.iter().any(|path| path.contains("cli")),
            "{text}: {found:?}"
        );
    }
    let after =
        "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nuse crate::cli;\nlet quote = '\"'; crate::cli::run()";
    let found = seen("crate::x", after);
    assert_eq!(found, ["crate::cli", "crate::cli::run"]);
}

#[test]
fn rules_forbid_what_they_name_and_no_more() {
    let rule = |layer: &str| RULES.iter().find(|rule| rule.layer == layer).unwrap();
    let modules = rule("modules");
    assert!(
        modules.concerns("crate::modules::packages::apt::plan")
            && !modules.concerns("crate::modules_of_mine")
    );
    for path in [
        "std::fs::read",
        "std::fs",
        "std::process::Command",
        "std::process::*",
        "std::*",
    ] {
        assert!(modules.forbids(path), "{path}");
    }
    for path in ["std::process::id", "std::fst", "crate::templates", "std::io::*"] {
        assert!(!modules.forbids(path), "{path}");
    }
    let wire = rule("wire");
    assert!(wire.forbids("crate::modules::Spec") && wire.forbids("crate::*"));
    assert!(!wire.forbids("crate::value::Map") && !wire.forbids("crate::wire::frame"));
    let everything = rule("");
    assert!(everything.concerns("crate::agent") && !everything.concerns("crate::cli::agent"));
}
