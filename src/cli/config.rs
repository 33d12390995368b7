//! `regdeploy config`: the settings, as `ansible-config` shows them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use super::inventory::document;
use super::{Stop, warn};
use crate::configuration::{Configuration, Kind, Setting, table};
use crate::diagnostic::Diagnostic;
use crate::value::{Map, Value};

const OPTIONS: u8 = 5;

/// Shows settings.
#[derive(Debug, Parser)]
#[command(max_term_width = 110)]
pub struct ConfigArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every setting: its names, its default, what it does
    List(ListArguments),
    /// The value of every setting and where it comes from
    Dump(DumpArguments),
    /// The file that is read
    View(FileArguments),
    /// A file that holds every setting with its default
    Init(InitArguments),
    /// Read the file and the environment, and say what is wrong with them
    Validate(FileArguments),
}

/// What all of these take.
#[derive(Debug, clap::Args)]
struct FileArguments {
    /// The file, in place of the one that would be found
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Only settings of the program itself: there are no plugins
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = ["all", "base"], default_value = "base")]
    kind: String,

    /// Say where settings come from
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    #[arg(short, long, value_enum, default_value = "yaml")]
    format: Data,

    #[command(flatten)]
    file: FileArguments,
}

#[derive(Debug, clap::Args)]
struct DumpArguments {
    /// Only what is not at its default
    #[arg(long, alias = "changed-only")]
    only_changed: bool,

    #[arg(short, long, value_enum, default_value = "display")]
    format: Shape,

    #[command(flatten)]
    file: FileArguments,
}

#[derive(Debug, clap::Args)]
struct InitArguments {
    /// Each setting behind a comment's sign
    #[arg(long)]
    disabled: bool,

    #[arg(short, long, value_enum, default_value = "ini")]
    format: File,

    #[command(flatten)]
    file: FileArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Data {
    Yaml,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Display,
    Yaml,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum File {
    Ini,
    Env,
}

pub fn run(arguments: &ConfigArguments) -> Result<ExitCode, Stop> {
    match &arguments.action {
        Action::List(arguments) => {
            print!("{}", document(&list(), arguments.format == Data::Yaml));
        }
        Action::Dump(arguments) => {
            let configuration = read(&arguments.file)?;
            print!(
                "{}",
                dump(&configuration, arguments.only_changed, arguments.format)
            );
        }
        Action::View(arguments) => {
            let configuration = read(arguments)?;
            print!("{}", view(&configuration)?);
        }
        Action::Init(arguments) => print!("{}", init(arguments.format, arguments.disabled)),
        Action::Validate(arguments) => {
            let configuration = read(arguments)?;
            let unknown = configuration.unknown();
            for warning in &unknown {
                warn(warning);
            }
            if !unknown.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            println!("All configurations seem valid!");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(arguments: &FileArguments) -> Result<Configuration, Stop> {
    let stop = |error| (error, OPTIONS);
    let loaded = match &arguments.file {
        Some(file) if !file.is_file() => {
            let file = file.display();
            let message = format!("The provided configuration file is missing or not accessible: {file}");
            return Err(stop(Diagnostic::error(message)));
        }
        Some(file) => Configuration::load_from(file),
        None => Configuration::load(),
    };
    let (configuration, warnings) = loaded.map_err(stop)?;
    warnings.iter().for_each(warn);
    if arguments.verbose > 0 {
        println!("{}", configuration.told());
    }
    Ok(configuration)
}

/// All settings by name.
fn sorted() -> Vec<&'static Setting> {
    let mut settings: Vec<_> = table::all().collect();
    settings.sort_by_key(|setting| setting.name);
    settings
}

fn list() -> Value {
    let text = |text: &str| Value::from(text);
    let entries = sorted().into_iter().map(|setting| {
        let places = setting.places().map(|(section, key)| {
            Value::Map(Map::from_iter([
                ("section".to_owned(), text(section)),
                ("key".to_owned(), text(key)),
            ]))
        });
        let variables = setting.variables.iter();
        let variables = variables.map(|name| Value::Map(Map::from_iter([("name".to_owned(), text(name))])));
        let mut entry = Map::from_iter([
            ("name".to_owned(), text(setting.name)),
            ("type".to_owned(), text(setting.kind.name())),
            ("description".to_owned(), text(setting.doc)),
            ("default".to_owned(), Value::from(setting.default)),
            ("ini".to_owned(), Value::List(places.collect())),
            ("env".to_owned(), Value::List(variables.collect())),
        ]);
        if let Kind::Choice(words) = setting.kind {
            entry.insert("choices".to_owned(), Value::from(words.to_vec()));
        }
        if setting.unused {
            entry.insert("unused".to_owned(), Value::Bool(true));
        }
        (setting.name.to_owned(), Value::Map(entry))
    });
    Value::Map(entries.collect())
}

fn dump(configuration: &Configuration, only_changed: bool, shape: Shape) -> String {
    let file = configuration.file.as_ref().or(configuration.own_file.as_ref());
    let file = Value::from(file.map(|file| file.display().to_string()));
    let mut rows = vec![("CONFIG_FILE", String::new(), file)];
    let shown = sorted()
        .into_iter()
        .filter(|setting| !only_changed || configuration.is_set(setting));
    rows.extend(shown.map(|setting| {
        let origin = configuration.origin(setting).to_string();
        (setting.name, origin, configuration.value(setting).clone())
    }));
    rows.sort_by_key(|(name, ..)| *name);
    if shape == Shape::Display {
        return rows
            .into_iter()
            .fold(String::new(), |mut out, (name, origin, value)| {
                let _ = writeln!(out, "{name}({origin}) = {value}");
                out
            });
    }
    let entries = rows.into_iter().map(|(name, origin, value)| {
        Value::Map(Map::from_iter([
            ("name".to_owned(), Value::from(name)),
            ("origin".to_owned(), Value::from(origin)),
            ("value".to_owned(), value),
        ]))
    });
    document(&Value::List(entries.collect()), shape == Shape::Yaml)
}

fn view(configuration: &Configuration) -> Result<String, Stop> {
    let files: Vec<&Path> = [&configuration.file, &configuration.own_file]
        .into_iter()
        .filter_map(|file| file.as_deref())
        .collect();
    if files.is_empty() {
        return Err((Diagnostic::error("Invalid or no config file was supplied"), 1));
    }
    files
        .into_iter()
        .map(|file| {
            std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                (Diagnostic::error(format!("cannot read {file}: {error}")), 1)
            })
        })
        .collect()
}

/// A file with every setting, or as many lines for a shell.
fn init(format: File, disabled: bool) -> String {
    let sign = match (disabled, format) {
        (false, _) => "",
        (true, File::Ini) => ";",
        (true, File::Env) => "#",
    };
    let mut out = String::new();
    if format == File::Env {
        for setting in sorted() {
            let Some(name) = setting.variables.first() else {
                continue;
            };
            let default = shell_words::quote(setting.default.unwrap_or_default());
            let _ = writeln!(
                out,
                "# ({}) {}\n{sign}{name}={default}\n",
                setting.kind.name(),
                setting.doc
            );
        }
        return out;
    }
    let mut sections: Vec<&str> = table::all()
        .filter_map(|setting| setting.places().next())
        .map(|(section, _)| section)
        .collect();
    sections.sort_unstable();
    sections.dedup();
    for section in sections {
        let _ = writeln!(out, "[{section}]");
        for setting in sorted() {
            if let Some((_, key)) = setting.places().next().filter(|(of, _)| *of == section) {
                let default = setting.default.unwrap_or_default();
                // Without a value it would be one: the empty one.
                let sign = if setting.default.is_none() { ";" } else { sign };
                let kind = setting.kind.name();
                let _ = writeln!(out, "# ({kind}) {}\n{sign}{key}={default}\n", setting.doc);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_read_as_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ansible.cfg");
        std::fs::write(&path, init(File::Ini, false)).unwrap();
        let (written, _) = Configuration::load_from(&path).unwrap();
        let defaults = Configuration::default();
        for setting in table::all().filter(|setting| setting.keys.len() == 1) {
            let relative = setting
                .default
                .is_some_and(|text| text.contains('~') || text.contains("{{"));
            if !relative && !written.origin(setting).to_string().starts_with("env") {
                assert_eq!(
                    written.value(setting),
                    defaults.value(setting),
                    "{}",
                    setting.name
                );
            }
        }
        assert!(written.unknown().is_empty());
        assert!(!init(File::Ini, true).contains("\nforks="));
        assert!(init(File::Env, false).contains("\nANSIBLE_FORKS=5\n"));
    }

    #[test]
    fn every_setting_is_listed() {
        let listed = list();
        assert_eq!(listed.as_map().unwrap().len(), table::all().count());
        insta::assert_snapshot!(document(listed.get("DEFAULT_GATHERING").unwrap(), true), @r"
        choices:
        - implicit
        - explicit
        - smart
        default: implicit
        description: 'when facts are gathered: unless a play says no, if it says so, or where
          they are not known yet'
        env:
        - name: ANSIBLE_GATHERING
        ini:
        - key: gathering
          section: defaults
        name: DEFAULT_GATHERING
        type: string
        ");
    }

    #[test]
    fn values_are_dumped_with_their_origin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ansible.cfg");
        std::fs::write(&path, "[tags]\nrun = a, b\n").unwrap();
        let (configuration, _) = Configuration::load_from(&path).unwrap();
        let shown = |only_changed, shape| {
            dump(&configuration, only_changed, shape).replace(&folder.path().display().to_string(), "DIR")
        };
        let changed = shown(true, Shape::Display);
        assert!(
            changed.starts_with("CONFIG_FILE() = DIR/ansible.cfg\n"),
            "{changed}"
        );
        assert!(
            changed.contains("\nTAGS_RUN(DIR/ansible.cfg) = ['a', 'b']\n"),
            "{changed}"
        );
        assert!(!changed.contains("DEFAULT_STRATEGY"), "{changed}");
        assert!(shown(false, Shape::Display).contains("\nDEFAULT_STRATEGY(default) = linear\n"));
        assert!(shown(true, Shape::Yaml).contains("- name: TAGS_RUN\n  origin: DIR/ansible.cfg\n"));
        assert!(shown(true, Shape::Json).contains("\"name\": \"TAGS_RUN\""));
    }
}
