//! `find`: the files of a folder that fit a description. Changes nothing.

use std::path::Path;
use std::time::SystemTime;

use globset::GlobMatcher;
use serde::Deserialize;

use crate::modules::files::attributes::parse_mode;
use crate::modules::files::editing::{chomped, lines};
use crate::modules::files::path::expand;
use crate::modules::files::pattern::{self, Pattern};
use crate::modules::files::{expand, stat};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{DigestAlgorithm, FileKind, Follow, Metadata, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Find;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    paths: Vec<String>,
    patterns: Option<Vec<String>>,
    excludes: Option<Vec<String>>,
    contains: Option<String>,
    read_whole_file: bool,
    file_type: String,
    age: Option<String>,
    age_stamp: String,
    size: Option<String>,
    recurse: bool,
    hidden: bool,
    follow: bool,
    get_checksum: bool,
    checksum_algorithm: String,
    use_regex: bool,
    depth: Option<usize>,
    limit: Option<usize>,
    mode: Option<String>,
    exact_mode: bool,
    encoding: Option<String>,
}

impl Module for Find {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "find",
        summary: "list files that fit a description",
        args: &[
            Arg::strings("paths")
                .aliases(&["name", "path"])
                .required()
                .doc("the folders"),
            Arg::strings("patterns")
                .aliases(&["pattern"])
                .doc("names, as globs or patterns"),
            Arg::strings("excludes")
                .aliases(&["exclude"])
                .doc("names that are left out"),
            Arg::str("contains").doc("a pattern that a line of the file must match"),
            Arg::bool("read_whole_file")
                .default("no")
                .doc("contains is for the whole file"),
            Arg::str("file_type")
                .choices(&["any", "directory", "file", "link"])
                .default("file")
                .doc("what is listed"),
            Arg::str("age").doc("at least this old (`-`: at most): 5m, 2h, 3d, 1w"),
            Arg::str("age_stamp")
                .choices(&["atime", "ctime", "mtime"])
                .default("mtime")
                .doc("which time is its age"),
            Arg::str("size").doc("at least this large (`-`: at most): 10k, 1m, 2g"),
            Arg::bool("recurse").default("no").doc("look into folders"),
            Arg::bool("hidden")
                .default("no")
                .doc("list names that begin with a dot"),
            Arg::bool("follow")
                .default("no")
                .doc("look through links to folders"),
            Arg::bool("get_checksum").default("no").doc("compute digests"),
            Arg::str("checksum_algorithm")
                .aliases(&["checksum", "checksum_algo"])
                .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
                .default("sha1")
                .doc("which digest"),
            Arg::bool("use_regex")
                .default("no")
                .doc("patterns are regular expressions"),
            Arg::str("encoding").doc("of files that `contains` looks into: utf-8, ascii or latin-1"),
            Arg::int("depth").doc("how many folders deep"),
            Arg::int("limit").doc("stop after so many"),
            Arg::mode("mode").doc("permission bits"),
            Arg::bool("exact_mode")
                .default("yes")
                .doc("all bits are the same; no: at least these are set"),
        ],
        returns: &[
            Return::new("files", "list of dict", "what was found, each as `stat` tells it"),
            Return::new("matched", "int", "how many"),
            Return::new("examined", "int", "how many were looked at"),
            Return::new("skipped_paths", "dict", "what could not be looked at, and why"),
        ],
        example: "- find:\n    paths: /var/log\n    patterns: '*.gz'\n    age: 4w\n    recurse: true\n  register: old\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let mut search = Search {
            filter: Filter::new(&args, system)?,
            found: Vec::new(),
            examined: 0,
            skipped: Map::new(),
            users: system
                .users()?
                .into_iter()
                .map(|user| (user.uid, user.name))
                .collect(),
            groups: system
                .groups()?
                .into_iter()
                .map(|group| (group.gid, group.name))
                .collect(),
            args: &args,
            system,
        };
        for path in &args.paths {
            let folder = expand(path, system)?;
            let found = system.metadata(&folder, Follow::Yes)?;
            if found.is_some_and(|found| found.kind == FileKind::Directory) {
                search.walk(&folder, 1)?;
            } else {
                let why = format!("'{}' is not a directory", folder.display());
                search.skipped.insert(folder.display().to_string(), why.into());
            }
        }
        let message = if search.skipped.is_empty() {
            "All paths examined"
        } else {
            "Not all paths examined, check warnings for details"
        };
        Ok(Plan::Same(
            Outcome::ok()
                .with("matched", search.found.len())
                .with("examined", search.examined)
                .with("files", search.found)
                .with("skipped_paths", search.skipped)
                .with("msg", message),
        ))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// The walk and what it found.
struct Search<'a> {
    args: &'a Args,
    system: &'a dyn System,
    filter: Filter,
    found: Vec<Map>,
    examined: usize,
    skipped: Map,
    users: Vec<(u32, String)>,
    groups: Vec<(u32, String)>,
}

impl Search<'_> {
    fn walk(&mut self, folder: &Path, depth: usize) -> Result<(), Error> {
        let names = match self.system.read_dir(folder) {
            Ok(names) => names,
            // One closed folder is no reason to say nothing of the others.
            Err(error) => {
                self.skipped
                    .insert(folder.display().to_string(), error.to_string().into());
                return Ok(());
            }
        };
        // As Ansible counts: all that is in a folder that was opened, whether it was looked at or not.
        self.examined += names.len();
        if self.args.depth.is_some_and(|limit| depth > limit) {
            return Ok(());
        }
        for name in names {
            if self.args.limit.is_some_and(|limit| self.found.len() >= limit) {
                return Ok(());
            }
            let path = folder.join(&name);
            let Some(metadata) = self.system.metadata(&path, Follow::No)? else {
                continue;
            };
            let hidden = name.to_string_lossy().starts_with('.') && !self.args.hidden;
            if !hidden && self.filter.fits(&name, &path, &metadata, self.system)? {
                self.add(&path, &metadata)?;
            }
            // What is in a hidden folder need not be hidden itself.
            let folder = metadata.kind == FileKind::Directory || self.is_followed(&path, &metadata)?;
            if folder && self.args.recurse {
                self.walk(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// A link to a folder that does not lead back to where it is.
    fn is_followed(&self, path: &Path, metadata: &Metadata) -> Result<bool, Error> {
        if !self.args.follow || metadata.kind != FileKind::Link {
            return Ok(false);
        }
        let target = self.system.metadata(path, Follow::Yes)?;
        if target.is_none_or(|target| target.kind != FileKind::Directory) {
            return Ok(false);
        }
        let place = self
            .system
            .canonicalize(path.parent().unwrap_or(Path::new("/")))?;
        // One that others have put into a shared folder leads nowhere.
        let Ok(end) = self.system.canonicalize(path) else {
            return Ok(false);
        };
        Ok(!place.starts_with(end))
    }

    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        let mut entry = Map::from([("path".to_owned(), Value::from(path.display().to_string()))]);
        entry.extend(stat::describe(metadata));
        entry.shift_remove("exists");
        let name = |id: u32, names: &[(u32, String)]| {
            let found = names.iter().find(|(known, _)| *known == id);
            Value::from(found.map_or_else(String::new, |(_, name)| name.clone()))
        };
        entry.insert("pw_name".to_owned(), name(metadata.uid, &self.users));
        entry.insert("gr_name".to_owned(), name(metadata.gid, &self.groups));
        if self.args.get_checksum && metadata.kind == FileKind::File {
            let algorithm = DigestAlgorithm::by_name(&self.args.checksum_algorithm)
                .ok_or_else(|| Error::new(format!("unknown digest {}", self.args.checksum_algorithm)))?;
            entry.insert("checksum".to_owned(), self.system.digest(path, algorithm)?.into());
        }
        self.found.push(entry);
        Ok(())
    }
}

/// The description.
struct Filter {
    kind: Option<FileKind>,
    names: Option<Names>,
    excludes: Option<Names>,
    contains: Option<Pattern>,
    whole: bool,
    /// A byte is a character.
    latin: bool,
    age: Option<i64>,
    stamp: fn(&Metadata) -> SystemTime,
    size: Option<i64>,
    mode: Option<u32>,
    exact: bool,
}

enum Names {
    Globs(Vec<GlobMatcher>),
    Patterns(Vec<Pattern>),
}

impl Names {
    fn new(names: &[String], regex: bool) -> Result<Self, Error> {
        if regex {
            // As Python's `match`: at the start.
            let compile = |name: &String| pattern::compile("patterns", &format!("^(?:{name})"));
            return Ok(Self::Patterns(
                names.iter().map(compile).collect::<Result<_, _>>()?,
            ));
        }
        let glob = |name: &String| expand::matcher(name);
        Ok(Self::Globs(names.iter().map(glob).collect::<Result<_, _>>()?))
    }

    fn fit(&self, name: &Path) -> bool {
        match self {
            Self::Globs(globs) => globs.iter().any(|glob| glob.is_match(name)),
            Self::Patterns(patterns) => {
                let text = name.to_string_lossy();
                patterns.iter().any(|pattern| pattern.is_match(text.as_bytes()))
            }
        }
    }
}

const TIMES: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
const SIZES: [(char, i64); 5] = [
    ('b', 1),
    ('k', 1 << 10),
    ('m', 1 << 20),
    ('g', 1 << 30),
    ('t', 1 << 40),
];

/// `-2d` and the like.
fn quantity(argument: &str, text: &str, units: &[(char, i64)]) -> Result<i64, Error> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = match lower.chars().last().filter(char::is_ascii_alphabetic) {
        None => (lower.as_str(), Some(1)),
        Some(letter) => {
            let unit = units.iter().find(|(known, _)| *known == letter);
            (&lower[..lower.len() - 1], unit.map(|(_, unit)| *unit))
        }
    };
    let number: Option<i64> = digits.parse().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| Error::new(format!("failed to process {argument}: {text}")))
}

/// UTF-8 is looked into as bytes, and so is ASCII.
fn is_latin(encoding: Option<&str>) -> Result<bool, Error> {
    let plain: String = encoding
        .unwrap_or("utf-8")
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "ascii" | "usascii" => Ok(false),
        "latin1" | "iso88591" => Ok(true),
        _ => Err(Error::new(format!(
            "unknown encoding: {}: utf-8, ascii and latin-1 are known",
            encoding.unwrap_or_default()
        ))),
    }
}

impl Filter {
    fn new(args: &Args, system: &dyn System) -> Result<Self, Error> {
        let names = |names: &Option<Vec<String>>| -> Result<Option<Names>, Error> {
            names
                .as_ref()
                .filter(|names| !names.is_empty())
                .map(|names| Names::new(names, args.use_regex))
                .transpose()
        };
        let contains = args.contains.as_deref().map(|text| {
            let text = if args.read_whole_file {
                text.to_owned()
            } else {
                format!("^(?:{text})")
            };
            pattern::compile("contains", &text)
        });
        let mode = args.mode.as_deref().map(parse_mode).transpose()?;
        Ok(Self {
            kind: match args.file_type.as_str() {
                "directory" => Some(FileKind::Directory),
                "file" => Some(FileKind::File),
                "link" => Some(FileKind::Link),
                _ => None,
            },
            names: names(&args.patterns)?,
            excludes: names(&args.excludes)?,
            contains: contains.transpose()?,
            whole: args.read_whole_file,
            latin: is_latin(args.encoding.as_deref())?,
            age: args
                .age
                .as_deref()
                .map(|age| quantity("age", age, &TIMES))
                .transpose()?,
            stamp: match args.age_stamp.as_str() {
                "atime" => |metadata| metadata.accessed,
                "ctime" => |metadata| metadata.status_changed,
                _ => |metadata| metadata.modified,
            },
            size: args
                .size
                .as_deref()
                .map(|size| quantity("size", size, &SIZES))
                .transpose()?,
            mode: mode.map(|mode| mode.apply(0, false, system.umask())),
            exact: args.exact_mode,
        })
    }

    fn fits(&self, name: &Path, path: &Path, found: &Metadata, system: &dyn System) -> Result<bool, Error> {
        let age = system
            .now()
            .duration_since((self.stamp)(found))
            .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let size = i64::try_from(found.size).unwrap_or(i64::MAX);
        // A negative limit is an upper one.
        let within = |limit: Option<i64>, number: i64| match limit {
            None => true,
            Some(limit) if limit < 0 => number <= -limit,
            Some(limit) => number >= limit,
        };
        let bits = self.mode.is_none_or(|mode| {
            if self.exact {
                found.mode == mode
            } else {
                found.mode & mode == mode
            }
        });
        let outside = self.kind.is_some_and(|kind| kind != found.kind)
            || self.names.as_ref().is_some_and(|names| !names.fit(name))
            || self.excludes.as_ref().is_some_and(|names| names.fit(name))
            || !within(self.age, age)
            || (found.kind == FileKind::File && !within(self.size, size))
            || !bits;
        if outside {
            return Ok(false);
        }
        match &self.contains {
            Some(contains) if found.kind == FileKind::File => {
                let mut text = system.read(path)?;
                if self.latin {
                    text = text
                        .iter()
                        .map(|byte| char::from(*byte))
                        .collect::<String>()
                        .into_bytes();
                }
                Ok(if self.whole {
                    contains.is_match(&text)
                } else {
                    lines(&text).iter().any(|line| contains.is_match(chomped(line)))
                })
            }
            _ => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    fn found(fake: &Fake, args: &str) -> String {
        let outcome = run::<Find>(fake, args);
        assert!(!outcome.failed, "{outcome:?}");
        let paths: Vec<String> = outcome.values["files"]
            .as_list()
            .unwrap()
            .iter()
            .map(|file| file.get("path").unwrap().to_string())
            .collect();
        paths.join(" ")
    }

    #[test]
    fn lists_what_fits() {
        let fake = Fake::new();
        fake.file("/srv/old.log", "one\nerror here\n");
        fake.sleep(std::time::Duration::from_hours(2));
        fake.file("/srv/new.log", "x")
            .file("/srv/.hidden", "")
            .file("/srv/deep/er/a.conf", "abc")
            .link("/srv/link", "deep");
        for (args, expected) in [
            (r#"{"paths":"/srv"}"#, "/srv/new.log /srv/old.log"),
            (
                r#"{"paths":"/srv","hidden":true,"patterns":".h*"}"#,
                "/srv/.hidden",
            ),
            (r#"{"paths":"/srv","age":"1h"}"#, "/srv/old.log"),
            (r#"{"paths":"/srv","age":"-1h"}"#, "/srv/new.log"),
            (r#"{"paths":"/srv","size":"2b"}"#, "/srv/old.log"),
            (r#"{"paths":"/srv","contains":"error"}"#, "/srv/old.log"),
            (
                r#"{"paths":"/srv","recurse":true,"patterns":"*.conf"}"#,
                "/srv/deep/er/a.conf",
            ),
            (
                r#"{"paths":"/srv","recurse":true,"depth":2,"patterns":"*.conf"}"#,
                "",
            ),
            (
                r#"{"paths":"/srv","file_type":"directory","recurse":true}"#,
                "/srv/deep /srv/deep/er",
            ),
            (r#"{"paths":"/srv","file_type":"link"}"#, "/srv/link"),
            (
                r#"{"paths":"/srv","use_regex":true,"patterns":"^n.*log$"}"#,
                "/srv/new.log",
            ),
            (r#"{"paths":"/srv","excludes":"new*"}"#, "/srv/old.log"),
            (r#"{"paths":"/srv","mode":"0600"}"#, ""),
            (r#"{"paths":"/srv","limit":1}"#, "/srv/new.log"),
        ] {
            assert_eq!(found(&fake, args), expected, "{args}");
        }
    }

    #[test]
    fn what_is_no_folder_is_said() {
        let fake = Fake::new();
        let outcome = run::<Find>(&fake, r#"{"paths":"/no"}"#);
        assert_eq!(
            outcome.values["skipped_paths"].to_string(),
            r#"{'/no': "'/no' is not a directory"}"#
        );
        assert_eq!(
            failure::<Find>(&fake, r#"{"paths":"/","age":"old"}"#),
            "failed to process age: old"
        );
    }
}
