//! Which names are left out: rsync's `--exclude` and `--include` rules, the first that matches.
//!
//! Specification: rsync(1), FILTER RULES, without merge files and modifiers.

use crate::modules::Error;

/// Rules in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "any of them may go with any other")]
struct Rule {
    include: bool,
    /// It begins at the root of what is transferred.
    anchored: bool,
    /// It is compared with the whole path, not with the last name of it.
    path: bool,
    folders_only: bool,
    pattern: Vec<char>,
}

impl Filter {
    /// Adds a pattern, which may say itself what it does (`+ x`, `- x`).
    pub fn add(&mut self, include: bool, text: &str) -> Result<(), Error> {
        let (include, text) = match (text.strip_prefix("+ "), text.strip_prefix("- ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => (include, text),
        };
        if text == "!" {
            self.rules.clear();
            return Ok(());
        }
        if text.is_empty() {
            return Err(Error::new("an empty pattern of rsync_opts matches nothing"));
        }
        // `folder/***` is the folder and all in it.
        if let Some(folder) = text.strip_suffix("/***") {
            self.push(include, &format!("{folder}/"));
            self.push(include, &format!("{folder}/**"));
        } else {
            self.push(include, text);
        }
        Ok(())
    }

    fn push(&mut self, include: bool, text: &str) {
        let folders_only = text.ends_with('/');
        let text = text.strip_suffix('/').unwrap_or(text);
        let anchored = text.starts_with('/');
        let text = text.strip_prefix('/').unwrap_or(text);
        self.rules.push(Rule {
            include,
            anchored,
            path: anchored || text.contains('/') || text.contains("**"),
            folders_only,
            pattern: text.chars().collect(),
        });
    }

    /// Whether a path, relative to the root of what is transferred, is left out.
    pub fn excludes(&self, path: &str, folder: bool) -> bool {
        self.rules
            .iter()
            .find(|rule| rule.matches(path, folder))
            .is_some_and(|rule| !rule.include)
    }
}

impl Rule {
    fn matches(&self, path: &str, folder: bool) -> bool {
        if self.folders_only && !folder {
            return false;
        }
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        if self.anchored {
            return matches(&self.pattern, &chars(path));
        }
        if !self.path {
            let name = path.rsplit('/').next().unwrap_or(path);
            return matches(&self.pattern, &chars(name));
        }
        // The end of the path, from any of its names on.
        let starts = path.match_indices('/').map(|(at, _)| at + 1);
        std::iter::once(0)
            .chain(starts)
            .any(|start| matches(&self.pattern, &chars(&path[start..])))
    }
}

/// `*` and `?` stop at a slash, `**` does not.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        ['*', rest @ ..] => {
            let end = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            (0..=end).any(|at| matches(rest, &text[at..]))
        }
        ['?', rest @ ..] => text
            .split_first()
            .is_some_and(|(c, text)| *c != '/' && matches(rest, text)),
        ['\\', c, rest @ ..] => text
            .split_first()
            .is_some_and(|(t, text)| t == c && matches(rest, text)),
        ['[', rest @ ..] => match (class(rest), text.split_first()) {
            (Some((set, rest)), Some((c, text))) => *c != '/' && in_class(set, *c) && matches(rest, text),
            (None, Some(('[', text))) => matches(rest, text),
            _ => false,
        },
        [c, rest @ ..] => text
            .split_first()
            .is_some_and(|(t, text)| t == c && matches(rest, text)),
    }
}

/// What is between the brackets, and what follows.
fn class(pattern: &[char]) -> Option<(&[char], &[char])> {
    let negated = usize::from(matches!(pattern.first(), Some('!' | '^')));
    // A bracket that comes first is one of the class.
    let end = pattern.iter().skip(negated + 1).position(|c| *c == ']')? + negated + 1;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn in_class(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let mut found = false;
    while let [first, rest @ ..] = set {
        if let ['-', last, after @ ..] = rest {
            found = found || (*first..=*last).contains(&c);
            set = after;
        } else {
            found = found || *first == c;
            set = rest;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_rsync() {
        for (pattern, path, folder, excluded) in [
            ("*.o", "src/main.o", false, true),
            ("*.o", "src/main.c", false, false),
            ("/foo", "foo", false, true),
            ("/foo", "sub/foo", false, false),
            ("foo", "sub/foo", true, true),
            ("foo/", "sub/foo", false, false),
            ("foo/", "sub/foo", true, true),
            ("sub/foo", "a/sub/foo", false, true),
            ("sub/*", "sub/a/b", false, false),
            ("sub/**", "sub/a/b", false, true),
            ("**/b", "sub/a/b", false, true),
            ("/a/***", "a", true, true),
            ("/a/***", "a/x", false, true),
            ("file[0-9]", "file7", false, true),
            ("file[!0-9]", "file7", false, false),
            ("a?c", "abc", false, true),
            ("a?c", "a/c", false, false),
            ("a\\*", "a*", false, true),
            ("a[", "a[", false, true),
        ] {
            let mut filter = Filter::default();
            filter.add(false, pattern).unwrap();
            assert_eq!(filter.excludes(path, folder), excluded, "{pattern} {path}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let mut filter = Filter::default();
        filter.add(true, "keep.log").unwrap();
        filter.add(false, "*.log").unwrap();
        filter.add(false, "+ other").unwrap();
        assert!(!filter.excludes("keep.log", false));
        assert!(filter.excludes("a.log", false));
        assert!(!filter.excludes("other", false));
        assert!(filter.add(false, "").is_err());
    }
}
