//! The parts that are made from the code's tables.

use std::fmt::Write as _;
use std::sync::Arc;

use regdeploy::actions;
use regdeploy::configuration::{Kind, table};
use regdeploy::executor::{self, MAGIC_VARIABLES, Words};
use regdeploy::modules::{self, Arg, Rule, Spec};
use regdeploy::output::{self, PRINTERS};
use regdeploy::playbook::Vocabulary;
use regdeploy::playbook::keyword::{KEYWORDS, Keyword};
use regdeploy::registry::config::{self, Config, Shown};
use regdeploy::template;

use super::parts;

/// What a part is made by.
type Maker = fn() -> String;

const PARTS: &[(&str, Maker)] = &[
    ("keywords", keywords),
    ("keywords that are refused", refused_keywords),
    ("magic variables", magic_variables),
    ("filters", || definitions(template::filter_documentation())),
    ("tests", || definitions(template::test_documentation())),
    ("functions", || definitions(template::function_documentation())),
    ("lookups", lookups),
    ("printers", printers),
    ("list of modules", list_of_modules),
    ("modules", all_modules),
    ("settings", || settings(false)),
    ("settings without effect", || settings(true)),
    ("dependencies", dependencies),
    ("registry keys", registry_keys),
    ("registry keys without effect", || {
        reasons(config::without_effect())
    }),
    ("registry keys that are refused", || reasons(config::refused())),
];

#[test]
fn generated_parts_are_current() {
    let update = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    let mut used = Vec::new();
    for document in super::all() {
        let mut wanted = document.text.clone();
        for name in parts::generated(&document.text) {
            let (known, make) = PARTS
                .iter()
                .find(|(part, _)| *part == name)
                .unwrap_or_else(|| panic!("{}: nothing makes the part `{name}`", document.name));
            used.push(*known);
            wanted = parts::replace(&wanted, name, &make());
        }
        if update && wanted != document.text {
            std::fs::write(super::root().join(&document.name), &wanted).expect("written");
        } else {
            assert!(
                wanted == document.text,
                "{} is not what the code says: run UPDATE_DOCUMENTS=1 cargo test documents",
                document.name
            );
        }
    }
    for (name, _) in PARTS {
        assert!(used.contains(name), "no document has the part `{name}`");
    }
}

/// Rows of a table; `|` would end a cell.
fn rows(head: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = head.matches('|').count() - 1;
    let mut text = format!("{head}\n|{}\n", "---|".repeat(columns));
    for row in rows {
        assert_eq!(row.len(), columns, "{row:?}");
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| code(text)).collect();
    texts.join(", ")
}

fn levels(keyword: &Keyword) -> String {
    let names: Vec<&str> = keyword
        .levels
        .iter()
        .map(|level| level.name().trim_start_matches("a "))
        .collect();
    names.join(", ")
}

fn keywords() -> String {
    rows(
        "| keyword | stands in | takes | what it does |",
        KEYWORDS.iter().filter(|keyword| !keyword.refused).map(|keyword| {
            vec![
                code(keyword.name),
                levels(keyword),
                keyword.takes().to_owned(),
                keyword.doc.to_owned(),
            ]
        }),
    )
}

fn refused_keywords() -> String {
    rows(
        "| keyword | stands in | instead |",
        KEYWORDS
            .iter()
            .filter(|keyword| keyword.refused)
            .map(|keyword| vec![code(keyword.name), levels(keyword), keyword.doc.to_owned()]),
    )
}

fn settings(unused: bool) -> String {
    let mut all: Vec<_> = table::all().filter(|setting| setting.unused == unused).collect();
    all.sort_by_key(|setting| setting.keys.first().unwrap_or(&setting.name));
    rows(
        "| in a file | variable | takes | default | what it does |",
        all.into_iter().map(|setting| {
            let takes = match setting.kind {
                Kind::Choice(words) => codes(words),
                kind => kind.name().to_owned(),
            };
            let default = setting.default.filter(|default| !default.is_empty());
            vec![
                codes(setting.keys),
                codes(setting.variables),
                takes,
                default.map(code).unwrap_or_default(),
                setting.doc.to_owned(),
            ]
        }),
    )
}

fn registry_keys() -> String {
    let defaults = Config::default();
    let text = |shown: &Shown| match shown {
        Shown::One(text) => text.clone(),
        Shown::Many(texts) => texts.join(", "),
    };
    rows(
        "| key | default | meaning |",
        config::keys().map(|key| {
            let shown = key.shown(&defaults);
            let default = shown.first().map(|(_, shown)| code(&text(shown)));
            let note = if key.is_read_at_start() {
                " (read at the start only)"
            } else {
                ""
            };
            vec![
                code(key.path),
                default.unwrap_or_default(),
                format!("{}{note}", key.meaning),
            ]
        }),
    )
}

fn reasons(rows_of: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    rows(
        "| key | why |",
        rows_of.map(|(path, reason)| vec![code(path), reason.to_owned()]),
    )
}

fn magic_variables() -> String {
    format!("{}.", codes(MAGIC_VARIABLES))
}

fn definitions(all: impl Iterator<Item = (&'static str, &'static str, &'static str)>) -> String {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    rows(
        "| name | arguments | what it does |",
        all.into_iter().map(|(name, parameters, doc)| {
            let parameters = match parameters {
                "" => String::new(),
                some => code(some),
            };
            vec![code(name), parameters, doc.to_owned()]
        }),
    )
}

fn printers() -> String {
    rows(
        "| name | chosen by | prints |",
        PRINTERS.iter().map(|row| {
            let by = match row.kind {
                output::Kind::Stdout => "`stdout_callback`",
                output::Kind::Beside => "`callbacks_enabled`",
            };
            vec![code(row.name), by.to_owned(), row.summary.to_owned()]
        }),
    )
}

fn lookups() -> String {
    let mut all: Vec<_> = template::lookup_documentation().collect();
    all.sort_unstable();
    rows(
        "| name | what it gives |",
        all.into_iter()
            .map(|(name, doc)| vec![code(name), doc.to_owned()]),
    )
}

/// Every module and action that a playbook can name, sorted; the other names that it goes by; whether the
/// controller does a part of it.
fn specs() -> Vec<(&'static Spec, Vec<&'static str>, bool)> {
    let words = Words {
        extra_vars: Arc::default(),
    };
    words
        .modules()
        .into_iter()
        .filter_map(|name| {
            let spec = executor::described(name)?;
            let aliases = modules::ALIASES
                .iter()
                .filter(|(_, of)| *of == name)
                .map(|(alias, _)| *alias)
                .collect();
            let on_controller = actions::find(name).is_some() || modules::find(name).is_none();
            Some((spec, aliases, on_controller))
        })
        .collect()
}

fn list_of_modules() -> String {
    rows(
        "| module | what it does |",
        specs().into_iter().map(|(spec, aliases, _)| {
            let mut names = format!("[`{0}`](#{0})", spec.name);
            for alias in aliases {
                let _ = write!(names, ", `{alias}`");
            }
            vec![names, sentence(spec.summary)]
        }),
    )
}

fn all_modules() -> String {
    let mut text = String::new();
    for (spec, aliases, action) in specs() {
        let _ = writeln!(text, "### {}\n", spec.name);
        let mut sentences = vec![sentence(spec.summary)];
        if !aliases.is_empty() {
            sentences.push(format!("Also called {}", codes(&aliases)));
        }
        if action {
            sentences.push("Done on the controller, or begun there".to_owned());
        }
        if let Some(argument) = spec.free_form {
            sentences.push(format!("A text after the module's name is `{argument}`"));
        }
        let _ = writeln!(text, "{}.\n", sentences.join(". "));
        if !spec.args.is_empty() {
            let _ = writeln!(text, "{}", arguments(spec));
        }
        for rule in spec.rules {
            let _ = writeln!(text, "- {}", rule_text(*rule));
        }
        if !spec.rules.is_empty() {
            text.push('\n');
        }
        if !spec.returns.is_empty() {
            let _ = writeln!(text, "{}", returns(spec));
        }
        if !spec.example.is_empty() {
            let _ = writeln!(text, "```yaml\n{}\n```\n", spec.example.trim_end());
        }
    }
    text
}

fn returns(spec: &Spec) -> String {
    rows(
        "| result | type | there | what it is |",
        spec.returns.iter().map(|value| {
            let when = if value.when.is_empty() {
                "always"
            } else {
                value.when
            };
            vec![
                code(value.name),
                value.kind.to_owned(),
                when.to_owned(),
                sentence(value.doc),
            ]
        }),
    )
}

/// With a capital, without a period: summaries are written either way.
fn sentence(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

fn arguments(spec: &Spec) -> String {
    rows(
        "| argument | type | default | meaning |",
        all_arguments("", spec.args).into_iter().map(|(name, arg)| {
            let mut name = code(&name);
            if !arg.aliases.is_empty() {
                let _ = write!(name, " ({})", codes(arg.aliases));
            }
            let default = match (arg.required, arg.default) {
                (true, _) => "required".to_owned(),
                (false, Some("")) => "empty".to_owned(),
                (false, Some(default)) => code(default),
                (false, None) => String::new(),
            };
            let mut meaning = sentence(arg.doc);
            if !arg.choices.is_empty() {
                let separator = if meaning.is_empty() { "" } else { ": " };
                let _ = write!(meaning, "{separator}{}", codes(arg.choices));
            }
            if arg.secret {
                meaning.push_str(" (never shown)");
            }
            vec![name, arg.type_name().to_owned(), default, meaning]
        }),
    )
}

/// Arguments, each followed by those that it holds.
fn all_arguments(within: &str, args: &'static [Arg]) -> Vec<(String, &'static Arg)> {
    let mut all = Vec::new();
    for arg in args {
        let name = format!("{within}{}", arg.name);
        let inner = all_arguments(&format!("{name}."), arg.options);
        all.push((name, arg));
        all.extend(inner);
    }
    all
}

fn rule_text(rule: Rule) -> String {
    match rule {
        Rule::Exclusive(names) => format!("At most one of {}.", codes(names)),
        Rule::OneOf(names) => format!("At least one of {}.", codes(names)),
        Rule::Together(names) => format!("{} go together.", codes(names)),
        Rule::If(name, value, needed) => {
            format!("With `{name}: {value}`: {} must be given.", codes(needed))
        }
        Rule::IfAny(name, value, needed) => {
            format!("With `{name}: {value}`: one of {} must be given.", codes(needed))
        }
    }
}

/// Why each dependency is there: the one place where this is written.
const REASONS: &[(&str, &str)] = &[
    ("clap", "the command lines, their help and their errors"),
    ("getrandom", "random bytes of ids, from the kernel"),
    ("thiserror", "one error enum for each subsystem"),
    ("tracing", "the registry's log"),
    ("tracing-subscriber", "writes that log, as text or JSON"),
    ("annotate-snippets", "diagnostics with the line and a caret"),
    ("strsim", "\"did you mean\""),
    ("rpassword", "asks for passwords without showing them"),
    ("indicatif", "how far long work of the registry's verbs is"),
    (
        "saphyr-parser",
        "YAML as events with their places; their meaning is ours",
    ),
    (
        "serde_yaml",
        "plain YAML without places: the registry's `config show`",
    ),
    ("serde", "messages of the wire, arguments of modules"),
    ("serde_json", "JSON: the wire, the registry's answers, filters"),
    ("indexmap", "maps that keep the order that the user wrote"),
    ("minijinja", "templates"),
    (
        "minijinja-contrib",
        "Python's methods of texts, lists and dicts in templates",
    ),
    ("regex", "patterns of modules that edit and find"),
    (
        "fancy-regex",
        "Python's regular expressions in filters: look-around, back references",
    ),
    ("globset", "shell patterns"),
    ("flate2", "gzip, and CRC-32: `archive`, `unarchive`"),
    ("bzip2", "bzip2 in the same modules"),
    ("lzma-rust2", "xz in the same modules"),
    ("ruzstd", "Zstandard, which is only read"),
    ("tar", "tar archives"),
    ("zip", "zip archives"),
    (
        "aho-corasick",
        "finds all known secrets in what is about to be shown",
    ),
    ("similar", "unified differences"),
    ("unicode-width", "how many columns a banner's text takes"),
    ("jiff", "dates and time zones"),
    ("base64", "filters, `slurp`, log-ins over HTTP, `known_hosts`"),
    ("url", "URLs"),
    ("shell-words", "splits and quotes command lines"),
    (
        "md-5",
        "the `md5` filters and checksums, which aws-lc-rs does not offer",
    ),
    ("rustix", "system calls without `unsafe`"),
    ("tempfile", "temporary files that are gone whatever happens"),
    (
        "ssh2",
        "SSH; with its own OpenSSL, so that nothing is linked at run time",
    ),
    ("ssh2-config", "`~/.ssh/config`"),
    (
        "hickory-resolver",
        "DNS: a static executable cannot use the C library's resolver",
    ),
    ("tokio", "the asynchronous runtime of controller and registry"),
    ("hyper", "HTTP/1.1 and HTTP/2"),
    (
        "hyper-util",
        "hyper on tokio: graceful shutdown, a client with proxies",
    ),
    ("http-body-util", "bodies of requests and answers"),
    ("tower-service", "the trait of hyper-util's connectors"),
    ("prometheus-client", "the registry's metrics"),
    (
        "opentelemetry-proto",
        "the messages of OTLP: the registry's traces",
    ),
    ("prost", "writes these messages as protobuf"),
    ("bytes", "pieces of bodies without copies"),
    ("rustls", "TLS"),
    ("tokio-rustls", "TLS on tokio"),
    ("rustls-native-certs", "the system's trust store"),
    (
        "aws-lc-rs",
        "the one provider of cryptography: TLS, signatures, digests",
    ),
    ("rcgen", "issues certificates"),
    ("x509-parser", "reads certificates"),
    ("instant-acme", "asks ACME servers for certificates"),
    ("bollard", "docker's API on the target's socket"),
    ("futures-util", "streams"),
    ("jsonwebtoken", "tokens of docker's protocol: signed and verified"),
    ("webpki", "chains of certificates that tokens bring"),
    ("sd-notify", "tells systemd that the registry is ready"),
    (
        "include_dir",
        "playbooks, roles and inventories inside the executable",
    ),
    (
        "sha-crypt",
        "`password_hash`: SHA-crypt, as `/etc/shadow` holds it",
    ),
    ("bcrypt", "`password_hash`: bcrypt"),
    ("jmespath", "`json_query`"),
    ("ipnet", "networks of addresses: `ipaddr` and its like"),
    (
        "fastcdc",
        "cuts large files where their content says, so that only changed parts are sent",
    ),
    ("zstd", "compresses what travels"),
    ("insta", "tests: snapshots of what is printed"),
    ("proptest", "tests: properties over random values"),
    ("h2", "tests: an HTTP/2 client that misbehaves"),
];

fn dependencies() -> String {
    let manifest = std::fs::read_to_string(super::root().join("Cargo.toml")).expect("Cargo.toml");
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = matches!(line, "[dependencies]" | "[dev-dependencies]");
        } else if inside && let Some((name, _)) = line.split_once(" = ") {
            names.push(name);
        }
    }
    for (name, _) in REASONS {
        assert!(names.contains(name), "{name} is no longer a dependency");
    }
    rows(
        "| crate | why |",
        names.into_iter().map(|name| {
            let reason = REASONS.iter().find(|(known, _)| *known == name);
            let (_, why) = reason.unwrap_or_else(|| panic!("why is {name} a dependency? (REASONS)"));
            vec![code(name), (*why).to_owned()]
        }),
    )
}
