//! Source files as text, and the paths that their code names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// One file under `src`.
pub struct Source {
    /// Relative to the package: `src/modules/copy.rs`.
    pub path: String,
    /// `crate::modules::files::copy`.
    pub module: String,
    pub text: String,
    /// A module that is compiled for tests only: the rules about files hold for it, those about imports do
    /// not.
    pub for_tests: bool,
}

/// Crates whose names at the beginning of a path mean the crate: those that rules speak of.
const CRATES: [&str; 11] = [
    "std",
    "tokio",
    "hyper",
    "hyper_util",
    "http",
    "http_body",
    "http_body_util",
    "ssh2",
    "bollard",
    "minijinja",
    "minijinja_contrib",
];

/// Words joined by `::`.
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)+").expect("it is a pattern")
});

/// All files under `src`.
pub fn read_all() -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_folder(package, &package.join("src"), &mut sources);
    assert!(sources.len() > 1, "there are no sources in {}", package.display());
    let tests: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| test_modules(&source.text, &source.module))
        .collect();
    for source in &mut sources {
        let parts: Vec<&str> = source.module.split("::").collect();
        source.for_tests = (1..=parts.len()).any(|count| tests.contains(&parts[..count].join("::")));
    }
    sources
}

fn read_folder(package: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("the folder can be listed")
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_folder(package, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(package).expect("it is inside");
            let path = relative.to_str().expect("file names are text").to_owned();
            sources.push(Source {
                module: module_name(&path),
                text: fs::read_to_string(package.join(&path)).expect("the source can be read"),
                path,
                for_tests: false,
            });
        }
    }
}

fn module_name(path: &str) -> String {
    let stem = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    match stem {
        "lib" => "crate".to_owned(),
        stem => format!("crate::{}", stem.replace('/', "::")),
    }
}

/// The modules in files of their own that a text declares for tests only.
fn test_modules(text: &str, module: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(str::trim).collect();
    code.windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| {
            let name = pair[1].split_once("mod ")?.1.strip_suffix(';')?;
            Some(format!("{module}::{name}"))
        })
        .collect()
}

/// Every path that the code names, with its line: absolute (`crate::...`, `std::...`), imports traced.
pub fn paths(source: &Source) -> Vec<(usize, String)> {
    if source.for_tests {
        return Vec::new();
    }
    let code = without_tests(&bare(&source.text));
    let ends: Vec<usize> = code.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |offset: usize| ends.partition_point(|end| *end < offset) + 1;
    let mut found = Vec::new();
    let mut imported = BTreeMap::new();
    let mut uses = Vec::new();
    while let Some(declaration) = next_use(&code, uses.last().map_or(0, |last: &Range<usize>| last.end)) {
        let tree = code[declaration.clone()]
            .trim_start_matches("use ")
            .trim_end_matches(';');
        for (path, name) in leaves("", tree) {
            let path = absolute(&path, &source.module, &BTreeMap::new());
            imported.insert(name, path.clone());
            found.push((line_of(declaration.start), path));
        }
        uses.push(declaration);
    }
    for path in QUALIFIED.find_iter(&code) {
        if !uses.iter().any(|declaration| declaration.contains(&path.start())) {
            let absolute = absolute(path.as_str(), &source.module, &imported);
            found.push((line_of(path.start()), absolute));
        }
    }
    found.retain(|(_, path)| {
        let root = path.split("::").next().unwrap_or_default();
        root == "crate" || CRATES.contains(&root)
    });
    found
}

/// A path from the crate's root, or from another crate's.
fn absolute(path: &str, module: &str, imported: &BTreeMap<String, String>) -> String {
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    match first {
        "self" => join(module, rest),
        "super" => {
            let parent = module.rsplit_once("::").map_or("crate", |(parent, _)| parent);
            if rest == "super" || rest.starts_with("super::") {
                absolute(rest, parent, imported)
            } else {
                join(parent, rest)
            }
        }
        // `::std::fs`
        "" => rest.to_owned(),
        first => match imported.get(first) {
            Some(origin) => join(origin, rest),
            None => path.to_owned(),
        },
    }
}

/// The text with blanks for comments and literals; line breaks stay.
fn bare(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => ending(rest, 2, &['*', '/']),
            ['r', '"' | '#', ..] => raw_length(rest).unwrap_or(0),
            ['"', ..] => quoted_length(rest, '"'),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted_length(rest, '\''),
            _ => 0,
        };
        if length == 0 {
            out.push(rest[0]);
            at += 1;
        } else {
            let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
            out.extend(rest[..length].iter().map(blank));
            at += length;
        }
    }
    out
}

/// How long the text is up to and with this end.
fn ending(text: &[char], from: usize, end: &[char]) -> usize {
    let found = text[from..].windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |at| from + at + end.len())
}

fn raw_length(text: &[char]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    Some(ending(text, hashes + 2, &end))
}

fn quoted_length(text: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The text without what follows a `#[cfg(test)]`: up to what ends a line of the same depth.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        out.push('\n');
        let depth = depth_of(line);
        for line in lines.by_ref() {
            out.push('\n');
            let text = line.trim();
            let ends = text.ends_with([';', '}', ',']) && !text.starts_with("#[");
            if ends && depth_of(line) == depth {
                break;
            }
        }
    }
    out
}

fn depth_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The next `use` declaration, its semicolon included.
fn next_use(code: &str, from: usize) -> Option<Range<usize>> {
    code[from..].match_indices("use ").find_map(|(at, _)| {
        let start = from + at;
        let line = code[..start].rfind('\n').map_or(0, |end| end + 1);
        let before = code[line..start].trim();
        let declares =
            before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')'));
        let end = start + code[start..].find(';')? + 1;
        declares.then_some(start..end)
    })
}

/// Each path of a `use` tree, and the name that it goes by from here on.
fn leaves(stem: &str, tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    if tree.is_empty() {
        return Vec::new();
    }
    if let Some((prefix, inner)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
        let stem = join(stem, prefix.trim_end_matches("::"));
        return branches(inner)
            .into_iter()
            .flat_map(|branch| leaves(&stem, branch))
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias)),
        None => (tree, None),
    };
    let path = if path == "self" && !stem.is_empty() {
        stem.to_owned()
    } else {
        join(stem, path)
    };
    let name = alias.or(path.rsplit("::").next()).unwrap_or_default().to_owned();
    vec![(path, name)]
}

/// The parts between the commas that are in no inner braces.
fn branches(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

fn join(stem: &str, path: &str) -> String {
    match (stem, path) {
        ("", path) => path.to_owned(),
        (stem, "") => stem.to_owned(),
        (stem, path) => format!("{stem}::{path}"),
    }
}
