//! Patterns of repository names, as rules and quotas write them.
//!
//! | in a pattern | stands for |
//! |---|---|
//! | `*` | any characters but `/`, also none |
//! | `?` | one character but `/` |
//! | `**` | a whole segment of its own: any segments, at the end at least one |
//! | `{user}` | the name of who asks; of nobody where nobody has logged in |
//!
//! Not `globset`: a pattern with `{user}` would have to be compiled anew for each user, and that is dearer
//! than everything else that a request costs.

use std::fmt;
use std::str::FromStr;

const USER: &str = "{user}";

/// A pattern of repository names.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    segments: Vec<Segment>,
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    Pieces(Vec<Piece>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    One,
    Some,
    User,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a pattern has no empty segments")]
    Empty,
    #[error("`**` stands for whole segments: write it between slashes")]
    Glued,
    #[error(
        "no repository name has a {0:?}; patterns are made of its characters, `*`, `?`, `**` and `{{user}}`"
    )]
    Character(char),
}

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it means something else for each user.
    pub fn is_of_a_user(&self) -> bool {
        self.text.contains(USER)
    }

    /// Whether `name` is meant, when `user` asks.
    pub fn matches(&self, name: &str, user: Option<&str>) -> bool {
        // Names have at most 255 characters, and so at most 128 segments.
        let mut found = [""; 128];
        let mut count = 0;
        for segment in name.split('/') {
            let Some(slot) = found.get_mut(count) else {
                return false;
            };
            *slot = segment;
            count += 1;
        }
        walk(
            &self.segments,
            &found[..count],
            |segment| *segment == Segment::Any,
            |segment, names| match segment {
                Segment::Pieces(pieces) => segment_matches(pieces, names[0].as_bytes(), user).then_some(1),
                Segment::Any => None,
            },
        )
    }
}

fn segment_matches(pieces: &[Piece], text: &[u8], user: Option<&str>) -> bool {
    walk(
        pieces,
        text,
        |piece| *piece == Piece::Some,
        |piece, rest| match piece {
            Piece::Byte(byte) => (rest[0] == *byte).then_some(1),
            Piece::One => Some(1),
            Piece::User => user
                .filter(|user| !user.is_empty() && rest.starts_with(user.as_bytes()))
                .map(str::len),
            Piece::Some => None,
        },
    )
}

/// Matches with one kind of wildcard. `step` says how much of a text that is not empty one part takes. Only the
/// last wildcard is ever gone back to, so that the time is bounded by the product of both lengths.
fn walk<P, T>(
    parts: &[P],
    text: &[T],
    is_wildcard: impl Fn(&P) -> bool,
    step: impl Fn(&P, &[T]) -> Option<usize>,
) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match parts.get(part) {
            Some(wildcard) if is_wildcard(wildcard) => {
                back = Some((part + 1, at));
                part += 1;
                continue;
            }
            Some(other) if at < text.len() => {
                if let Some(taken) = step(other, &text[at..]) {
                    part += 1;
                    at += taken;
                    continue;
                }
            }
            None if at == text.len() => return true,
            _ => {}
        }
        match &mut back {
            Some((after, from)) if *from < text.len() => {
                *from += 1;
                (part, at) = (*after, *from);
            }
            _ => return false,
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut segments = Vec::new();
        for segment in text.split('/') {
            segments.push(match segment {
                "" => return Err(PatternError::Empty),
                "**" => Segment::Any,
                _ if segment.contains("**") => return Err(PatternError::Glued),
                _ => Segment::Pieces(pieces(segment)?),
            });
        }
        // `a/**` is what lies under `a`, and not `a` itself.
        if segments.last() == Some(&Segment::Any) {
            segments.push(Segment::Pieces(vec![Piece::Some]));
        }
        Ok(Self {
            text: text.into(),
            segments,
        })
    }
}

fn pieces(segment: &str) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(USER) {
            pieces.push(Piece::User);
            rest = after;
            continue;
        }
        pieces.push(match character {
            '*' => Piece::Some,
            '?' => Piece::One,
            'a'..='z' | '0'..='9' | '.' | '_' | '-' => Piece::Byte(rest.as_bytes()[0]),
            other => return Err(PatternError::Character(other)),
        });
        rest = &rest[character.len_utf8()..];
    }
    Ok(pieces)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_patterns_mean() {
        for (pattern, name, user, expected) in [
            ("library/nginx", "library/nginx", None, true),
            ("library/nginx", "library/nginx2", None, false),
            ("library/*", "library/nginx", None, true),
            ("library/*", "library/a/b", None, false),
            ("library/*", "library", None, false),
            ("library/**", "library/a/b", None, true),
            ("library/**", "library", None, false),
            ("**", "a", None, true),
            ("**", "a/b/c", None, true),
            ("**/cache", "cache", None, true),
            ("**/cache", "a/b/cache", None, true),
            ("a/**/z", "a/z", None, true),
            ("a/**/z", "a/b/z/c/z", None, true),
            ("a/**/z", "a/b", None, false),
            ("*-dev", "web-dev", None, true),
            ("*-dev", "web-dev-x", None, false),
            ("a?c", "abc", None, true),
            ("a?c", "ac", None, false),
            ("home/{user}/**", "home/alice/x", Some("alice"), true),
            ("home/{user}/**", "home/bob/x", Some("alice"), false),
            ("home/{user}/**", "home/alice/x", None, false),
            ("home/{user}/**", "home/x", Some(""), false),
            // A name cannot reach out of its segment, nor be a pattern itself.
            ("home/{user}/**", "home/a/b/c", Some("a/b"), false),
            ("home/{user}", "home/x", Some("*"), false),
            ("team-{user}-*", "team-bob-x", Some("bob"), true),
            ("*{user}", "bobbob", Some("bob"), true),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name, user), expected, "{pattern} {name} {user:?}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (text, error) in [
            ("", PatternError::Empty),
            ("a//b", PatternError::Empty),
            ("/a", PatternError::Empty),
            ("a**", PatternError::Glued),
            ("***", PatternError::Glued),
            ("Library", PatternError::Character('L')),
            ("{group}", PatternError::Character('{')),
            ("[ab]", PatternError::Character('[')),
            ("ä", PatternError::Character('ä')),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(error), "{text}");
        }
    }

    /// All short patterns against all short names: the same as globset, which knows no users.
    #[test]
    fn the_same_as_globset() {
        let texts = |alphabet: &[&str], longest: usize| {
            let mut all = vec![String::new()];
            let mut last = all.clone();
            for _ in 0..longest {
                last = last
                    .iter()
                    .flat_map(|text| alphabet.iter().map(move |next| format!("{text}{next}")))
                    .collect();
                all.extend_from_slice(&last);
            }
            all
        };
        let names: Vec<String> = texts(&["a", "b", "/"], 5)
            .into_iter()
            .filter(|name| name.parse::<crate::registry::name::RepositoryName>().is_ok())
            .collect();
        let mut compared = 0;
        for text in texts(&["a", "/", "*", "?"], 5) {
            let Ok(pattern) = text.parse::<Pattern>() else {
                continue;
            };
            // globset takes `**/**` for more than itself.
            if text.contains("**/**") {
                continue;
            }
            let theirs = globset::GlobBuilder::new(&text)
                .literal_separator(true)
                .build()
                .unwrap()
                .compile_matcher();
            for name in &names {
                assert_eq!(
                    pattern.matches(name, None),
                    theirs.is_match(name),
                    "{text} {name}"
                );
                compared += 1;
            }
        }
        assert!(compared > 20_000, "{compared}");
    }
}
