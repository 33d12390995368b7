//! What `synchronize` was asked for: its arguments, then `rsync_opts`, as rsync reads them.
//!
//! A word that is not known here is refused: what it would have meant is not passed over.

use serde::Deserialize;

use super::filter::Filter;
use crate::modules::Error;
use crate::modules::files::mode::ModeChange;

/// Arguments as users give them; the others have no effect on what is transferred.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "playbooks know these as flags")]
pub struct Args {
    pub archive: bool,
    pub recursive: Option<bool>,
    pub links: Option<bool>,
    pub copy_links: bool,
    pub perms: Option<bool>,
    pub times: Option<bool>,
    pub owner: Option<bool>,
    pub group: Option<bool>,
    pub delete: bool,
    pub dirs: bool,
    pub checksum: bool,
    pub existing_only: bool,
    pub rsync_opts: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "rsync knows these as flags")]
pub struct Options {
    pub recursive: bool,
    pub dirs: bool,
    pub links: bool,
    pub copy_links: bool,
    pub perms: bool,
    pub times: bool,
    pub owner: bool,
    pub group: bool,
    pub delete: bool,
    pub delete_excluded: bool,
    pub checksum: bool,
    pub existing_only: bool,
    pub ignore_existing: bool,
    pub ignore_times: bool,
    pub size_only: bool,
    pub update: bool,
    pub force: bool,
    pub omit_dir_times: bool,
    pub omit_link_times: bool,
    pub numeric_ids: bool,
    pub make_path: bool,
    pub min_size: Option<u64>,
    pub max_size: Option<u64>,
    pub filter: Filter,
    pub chmod: Vec<Chmod>,
    /// User and group in place of the source's.
    pub chown: (Option<String>, Option<String>),
}

/// A part of `--chmod`: what it concerns (files, folders) and what it does.
#[derive(Debug, Clone)]
pub struct Chmod {
    files: bool,
    folders: bool,
    change: ModeChange,
}

/// What a flag does.
type Set = fn(&mut Options);

/// Words of rsync that take no value, their short forms, and what they do. Some have no effect: transfers are always atomic, compressed
/// where that pays, resumed, and told in full.
const FLAGS: &[(&str, char, Set)] = &[
    ("archive", 'a', |o| {
        (o.recursive, o.links, o.perms, o.times, o.owner, o.group) = (true, true, true, true, true, true);
    }),
    ("recursive", 'r', |o| o.recursive = true),
    ("no-recursive", '\0', |o| o.recursive = false),
    ("dirs", 'd', |o| o.dirs = true),
    ("links", 'l', |o| o.links = true),
    ("no-links", '\0', |o| o.links = false),
    ("copy-links", 'L', |o| o.copy_links = true),
    ("perms", 'p', |o| o.perms = true),
    ("no-perms", '\0', |o| o.perms = false),
    ("times", 't', |o| o.times = true),
    ("no-times", '\0', |o| o.times = false),
    ("owner", 'o', |o| o.owner = true),
    ("no-owner", '\0', |o| o.owner = false),
    ("group", 'g', |o| o.group = true),
    ("no-group", '\0', |o| o.group = false),
    ("delete", '\0', |o| o.delete = true),
    ("del", '\0', |o| o.delete = true),
    ("delete-before", '\0', |o| o.delete = true),
    ("delete-during", '\0', |o| o.delete = true),
    ("delete-delay", '\0', |o| o.delete = true),
    ("delete-after", '\0', |o| o.delete = true),
    ("delete-excluded", '\0', |o| {
        (o.delete, o.delete_excluded) = (true, true);
    }),
    ("checksum", 'c', |o| o.checksum = true),
    ("existing", '\0', |o| o.existing_only = true),
    ("ignore-non-existing", '\0', |o| o.existing_only = true),
    ("ignore-existing", '\0', |o| o.ignore_existing = true),
    ("ignore-times", 'I', |o| o.ignore_times = true),
    ("size-only", '\0', |o| o.size_only = true),
    ("update", 'u', |o| o.update = true),
    ("force", '\0', |o| o.force = true),
    ("omit-dir-times", 'O', |o| o.omit_dir_times = true),
    ("omit-link-times", 'J', |o| o.omit_link_times = true),
    ("numeric-ids", '\0', |o| o.numeric_ids = true),
    ("mkpath", '\0', |o| o.make_path = true),
    ("no-D", '\0', |_| {}),
    ("no-devices", '\0', |_| {}),
    ("no-specials", '\0', |_| {}),
    ("compress", 'z', |_| {}),
    ("no-compress", '\0', |_| {}),
    ("verbose", 'v', |_| {}),
    ("quiet", 'q', |_| {}),
    ("itemize-changes", 'i', |_| {}),
    ("human-readable", 'h', |_| {}),
    ("progress", '\0', |_| {}),
    ("partial", '\0', |_| {}),
    ("partial-progress", 'P', |_| {}),
    ("delay-updates", '\0', |_| {}),
    ("whole-file", 'W', |_| {}),
    ("no-whole-file", '\0', |_| {}),
    ("no-motd", '\0', |_| {}),
];

/// Words that take a value.
type SetTo = fn(&mut Options, &str) -> Result<(), Error>;

const VALUES: &[(&str, SetTo)] = &[
    ("exclude", |o, value| o.filter.add(false, value)),
    ("include", |o, value| o.filter.add(true, value)),
    ("filter", |o, value| match value.get(..2) {
        Some("+ " | "- ") => o.filter.add(false, value),
        _ => Err(Error::new(format!(
            "rsync_opts: of filters only `+ PATTERN` and `- PATTERN` are supported, not `{value}`"
        ))),
    }),
    ("chmod", |o, value| {
        o.chmod.extend(chmod(value)?);
        Ok(())
    }),
    ("chown", |o, value| {
        let (user, group) = value.split_once(':').unwrap_or((value, ""));
        let given = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        o.chown = (given(user), given(group));
        o.owner = o.owner || o.chown.0.is_some();
        o.group = o.group || o.chown.1.is_some();
        Ok(())
    }),
    ("max-size", |o, value| {
        o.max_size = Some(size(value)?);
        Ok(())
    }),
    ("min-size", |o, value| {
        o.min_size = Some(size(value)?);
        Ok(())
    }),
];

/// Puts the patterns of files (`--exclude-from`, `--include-from`) in the place of their names.
pub fn inline_patterns(
    words: &[String],
    mut read: impl FnMut(&str) -> Result<String, Error>,
) -> Result<Vec<String>, Error> {
    let mut inlined = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, given) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(name, file)| (name, Some(file)));
        let option = match name {
            "--exclude-from" => "--exclude",
            "--include-from" => "--include",
            _ => {
                inlined.push(word.clone());
                continue;
            }
        };
        let file = given
            .or_else(|| words.next().map(String::as_str))
            .ok_or_else(|| Error::new(format!("rsync_opts: `{word}` needs a value")))?;
        let text = read(file)?;
        let patterns = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']));
        inlined.extend(patterns.map(|pattern| format!("{option}={pattern}")));
    }
    Ok(inlined)
}

impl Args {
    pub fn options(&self) -> Result<Options, Error> {
        let mut options = Options {
            recursive: self.recursive.unwrap_or(self.archive),
            dirs: self.dirs,
            links: self.links.unwrap_or(self.archive),
            copy_links: self.copy_links,
            perms: self.perms.unwrap_or(self.archive),
            times: self.times.unwrap_or(self.archive),
            owner: self.owner.unwrap_or(self.archive),
            group: self.group.unwrap_or(self.archive),
            delete: self.delete,
            checksum: self.checksum,
            existing_only: self.existing_only,
            ..Options::default()
        };
        let mut words = self.rsync_opts.iter().flatten();
        while let Some(word) = words.next() {
            let value = || words.next().map(String::as_str);
            options.word(word, value)?;
        }
        if options.delete && !options.recursive && !options.dirs {
            return Err(Error::new(
                "delete needs recursive: only what is looked through can be compared",
            ));
        }
        Ok(options)
    }
}

impl Options {
    fn word<'a>(&mut self, word: &'a str, next: impl FnOnce() -> Option<&'a str>) -> Result<(), Error> {
        let refused = || {
            Error::new(format!(
                "rsync_opts: `{word}` is not supported: files are transferred by this program itself, not by rsync"
            ))
        };
        if let Some(long) = word.strip_prefix("--") {
            let (name, given) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            if let Some((_, _, set)) = FLAGS.iter().find(|(known, ..)| *known == name && given.is_none()) {
                set(self);
                return Ok(());
            }
            let (_, set) = VALUES
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(refused)?;
            let value = given
                .or_else(next)
                .ok_or_else(|| Error::new(format!("rsync_opts: `{word}` needs a value")))?;
            return set(self, value);
        }
        let shorts = word
            .strip_prefix('-')
            .filter(|shorts| !shorts.is_empty())
            .ok_or_else(refused)?;
        for short in shorts.chars() {
            let (.., set) = FLAGS
                .iter()
                .find(|(_, known, _)| *known == short)
                .ok_or_else(refused)?;
            set(self);
        }
        Ok(())
    }

    /// The bits that a file or folder is said to have.
    pub fn mode(&self, mode: u32, folder: bool) -> u32 {
        self.chmod
            .iter()
            .filter(|chmod| if folder { chmod.folders } else { chmod.files })
            .fold(mode, |mode, chmod| chmod.change.apply(mode, folder, 0))
    }
}

fn chmod(text: &str) -> Result<Vec<Chmod>, Error> {
    text.split(',')
        .map(|part| {
            let (files, folders, rest) = match part.chars().next() {
                Some('D') => (false, true, &part[1..]),
                Some('F') => (true, false, &part[1..]),
                _ => (true, true, part),
            };
            let change = ModeChange::parse(rest)
                .map_err(|why| Error::new(format!("rsync_opts: --chmod={text}: {why}")))?;
            Ok(Chmod {
                files,
                folders,
                change,
            })
        })
        .collect()
}

/// `10`, `1.5m`, `2KB`: units of 1024, with a B of 1000.
fn size(text: &str) -> Result<u64, Error> {
    let bad = || Error::new(format!("rsync_opts: `{text}` is no size"));
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| bad())?;
    let unit = text[end..].to_ascii_lowercase();
    let base: f64 = if unit.ends_with('b') && unit.len() == 2 {
        1000.0
    } else {
        1024.0
    };
    let power = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(bad()),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are positive, and a fraction of a byte is none"
    )]
    Ok((number * base.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, Error> {
        let args = serde_json::json!({
            "archive": true, "copy_links": false, "delete": false, "dirs": false,
            "checksum": false, "existing_only": false, "rsync_opts": words,
        });
        serde_json::from_value::<Args>(args).unwrap().options()
    }

    #[test]
    fn words_mean_what_they_mean_to_rsync() {
        let options = options(&[
            "--exclude=*.o",
            "--include",
            "x",
            "-zL",
            "--no-owner",
            "--chmod=D750,F640,g+w",
        ])
        .unwrap();
        assert!(options.copy_links && options.recursive && options.group && !options.owner);
        assert!(options.filter.excludes("a.o", false));
        assert_eq!(
            (options.mode(0o777, true), options.mode(0o777, false)),
            (0o770, 0o660)
        );
        for (text, bytes) in [("10", 10), ("1.5k", 1536), ("2KB", 2000), ("1MiB", 1 << 20)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
    }

    #[test]
    fn files_of_patterns_are_read_in_place() {
        let words = ["-z", "--exclude-from", "list", "--include-from=other"].map(str::to_owned);
        let inlined = inline_patterns(&words, |name| Ok(format!("# of {name}\n\n+ a\n*.{name}\n"))).unwrap();
        let expected = [
            "-z",
            "--exclude=+ a",
            "--exclude=*.list",
            "--include=+ a",
            "--include=*.other",
        ];
        assert_eq!(inlined, expected);
    }

    #[test]
    fn unknown_words_are_refused() {
        for (words, message) in [
            (
                &["--hard-links"][..],
                "rsync_opts: `--hard-links` is not supported",
            ),
            (&["-aH"], "rsync_opts: `-aH` is not supported"),
            (&["--exclude"], "rsync_opts: `--exclude` needs a value"),
            (&["--filter=merge x"], "rsync_opts: of filters only"),
            (&["x"], "rsync_opts: `x` is not supported"),
            (&["--chmod=what"], "rsync_opts: --chmod=what: "),
            (&["--max-size=big"], "rsync_opts: `big` is no size"),
            (&["--no-recursive", "--delete"], "delete needs recursive"),
        ] {
            let error = options(words).unwrap_err();
            assert!(error.message.starts_with(message), "{}", error.message);
        }
    }
}
