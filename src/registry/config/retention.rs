//! `storage.maintenance.retention`: which tags stay, and for how long.
//!
//! A tag is governed by the first rule whose `repositories` and `tags` it matches, and stays where none does. A
//! pattern is a glob, or a regular expression between slashes; both have to match all of a name.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::key::{Key, Section, in_list};
use super::scalar::{duration, flag, positive, shown_duration};

#[derive(Debug, Clone)]
pub struct Retention {
    pub enabled: bool,
    pub interval: Duration,
    pub rules: Vec<Rule>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_hours(24),
            rules: Vec::new(),
        }
    }
}

/// What becomes of some tags of some repositories.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rule {
    pub repositories: Vec<Pattern>,
    /// Without any, all.
    pub tags: Vec<Pattern>,
    pub protect: Vec<Pattern>,
    pub keep_last: Option<usize>,
    pub keep_younger: Option<Duration>,
    /// Of the repositories, whatever the tags.
    pub untagged_after: Option<Duration>,
}

impl Rule {
    /// Whether it says something of a repository.
    pub fn is_about(&self, repository: &str) -> bool {
        self.repositories
            .iter()
            .any(|pattern| pattern.matches(repository))
    }

    /// Whether it says something of a tag of such a repository.
    pub fn governs(&self, tag: &str) -> bool {
        let about_tags = self.keep_last.is_some() || self.keep_younger.is_some();
        about_tags && (self.tags.is_empty() || self.tags.iter().any(|pattern| pattern.matches(tag)))
    }

    /// The pattern that protects a tag.
    pub fn protection(&self, tag: &str) -> Option<&str> {
        let protecting = self.protect.iter().find(|pattern| pattern.matches(tag));
        protecting.map(|pattern| pattern.text.as_str())
    }
}

/// A glob, or a regular expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Glob(GlobMatcher),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(glob) => glob.is_match(name),
            Matcher::Regex(regex) => regex.is_match(name),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inner = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .filter(|inner| !inner.is_empty());
        let matcher = if let Some(inner) = inner {
            let regex = Regex::new(&format!("^(?:{inner})$"));
            Matcher::Regex(regex.map_err(|error| format!("is no regular expression: {error}"))?)
        } else {
            // `*` stays within a segment of a repository's name, `**` does not.
            let glob = GlobBuilder::new(&text).literal_separator(true).build();
            Matcher::Glob(
                glob.map_err(|error| format!("is no pattern: {error}"))?
                    .compile_matcher(),
            )
        };
        Ok(Self { text, matcher })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, String> {
    texts.iter().cloned().map(Pattern::try_from).collect()
}

fn shown(patterns: &[Pattern]) -> Option<Vec<String>> {
    let texts: Vec<String> = patterns.iter().map(|pattern| pattern.text.clone()).collect();
    (!texts.is_empty()).then_some(texts)
}

/// An age, which unlike a wait may be years: `90d`, `720h`.
fn age(text: &str) -> Result<Duration, String> {
    let refused = || "must be an age such as 90d, 36h or 30m".to_owned();
    match text.strip_suffix('d') {
        Some(days) => match days.parse::<u32>() {
            Ok(days) => Ok(Duration::from_hours(24 * u64::from(days))),
            Err(_) => Err(refused()),
        },
        None => duration(text).map_err(|_| refused()),
    }
}

fn shown_age(age: Duration) -> String {
    match age.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ => shown_duration(age),
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "storage.maintenance.retention.enabled",
            "apply the rules by itself; `retention apply` does it when asked",
            |c, text| flag(text).map(|value| c.retention.enabled = value),
            |c| Some(c.retention.enabled.to_string()),
        ),
        Key::one(
            "storage.maintenance.retention.interval",
            "how often to apply them",
            |c, text| positive(text).map(|value| c.retention.interval = value),
            |c| Some(shown_duration(c.retention.interval)),
        ),
        Key::each_many(
            "storage.maintenance.retention.rules.[].repositories",
            "patterns of the repositories that a rule is about",
            |c, at, texts| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                patterns(texts).map(|value| rule.repositories = value)
            },
            |c| in_list(&c.retention.rules, |rule| shown(&rule.repositories)),
        ),
        Key::each_many(
            "storage.maintenance.retention.rules.[].tags",
            "patterns of the tags that it is about; without, all",
            |c, at, texts| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                patterns(texts).map(|value| rule.tags = value)
            },
            |c| in_list(&c.retention.rules, |rule| shown(&rule.tags)),
        ),
        Key::each_many(
            "storage.maintenance.retention.rules.[].protect",
            "patterns of tags that stay in any case",
            |c, at, texts| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                patterns(texts).map(|value| rule.protect = value)
            },
            |c| in_list(&c.retention.rules, |rule| shown(&rule.protect)),
        ),
        Key::each(
            "storage.maintenance.retention.rules.[].keeplast",
            "how many of its tags stay, those that were pushed last",
            |c, at, text| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                number(text).map(|value| rule.keep_last = Some(value))
            },
            |c| {
                in_list(&c.retention.rules, |rule| {
                    rule.keep_last.map(|last| last.to_string())
                })
            },
        ),
        Key::each(
            "storage.maintenance.retention.rules.[].keepyounger",
            "tags that were pushed since then stay, too: `90d`, `36h`",
            |c, at, text| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                age(text).map(|value| rule.keep_younger = Some(value))
            },
            |c| in_list(&c.retention.rules, |rule| rule.keep_younger.map(shown_age)),
        ),
        Key::each(
            "storage.maintenance.retention.rules.[].untaggedafter",
            "manifests of its repositories that no tag keeps go at this age",
            |c, at, text| {
                let rule = at.entry(0, &mut c.retention.rules)?;
                age(text).map(|value| rule.untagged_after = Some(value))
            },
            |c| in_list(&c.retention.rules, |rule| rule.untagged_after.map(shown_age)),
        ),
    ],
    check: |c, places| {
        let mut errors = Vec::new();
        for (number, rule) in c.retention.rules.iter().enumerate() {
            let path = format!("storage.maintenance.retention.rules.{number}");
            if rule.repositories.is_empty() {
                errors.push(
                    places
                        .error(&path, "this rule of retention is about no repository")
                        .hint("`repositories: ['**']` is all of them"),
                );
            }
            if rule.keep_last.is_none() && rule.keep_younger.is_none() && rule.untagged_after.is_none() {
                errors.push(
                    places
                        .error(&path, "this rule of retention does not say what to keep")
                        .hint(
                            "add `keeplast`, `keepyounger` or `untaggedafter`; `keeplast: 0` keeps nothing",
                        ),
                );
            }
        }
        errors
    },
    ..Section::EMPTY
};

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn patterns_match_all_of_a_name() {
        for (text, name, expected) in [
            ("v*", "v1", true),
            ("v*", "1v", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/x", false),
            ("team/**", "team/app/x", true),
            ("**", "a/b/c", true),
            ("{a,b}-?", "b-1", true),
            ("/v[0-9]+/", "v12", true),
            ("/v[0-9]+/", "v12-rc", false),
            ("/a|b/", "ab", false),
        ] {
            assert_eq!(pattern(text).matches(name), expected, "{text} {name}");
        }
        for bad in ["/(/", "a{"] {
            assert!(Pattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ages() {
        for (text, expected) in [("90d", "90d"), ("36h", "129600s"), ("48h", "2d"), ("5m", "300s")] {
            assert_eq!(age(text).map(shown_age).as_deref(), Ok(expected), "{text}");
        }
        assert!(age("soon").is_err() && age("-1d").is_err());
    }

    #[test]
    fn rules_travel_as_text() {
        let rule = Rule {
            repositories: vec![pattern("team/**")],
            protect: vec![pattern("/v[0-9]+/")],
            keep_last: Some(3),
            ..Rule::default()
        };
        let text = serde_json::to_string(&rule).unwrap();
        let back: Rule = serde_json::from_str(&text).unwrap();
        assert!(back.is_about("team/a/b") && back.governs("x"));
        assert_eq!(back.protection("v3"), Some("/v[0-9]+/"));
    }
}
