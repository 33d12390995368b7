//! Scopes of docker's token protocol, `repository:some/name:pull,push`, and what a token grants.
//!
//! Follows distribution's "Token Scope Documentation": several scopes are separated by spaces or given as
//! several parameters, a resource's type may carry a class in parentheses, and a name may carry a host with
//! a port, so that its actions stand after the *last* colon. What a scope means is not known here: rules
//! decide that.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rules::Permission;

/// No client asks for more at once: docker asks for two, a mount for three.
pub const MAX_SCOPES: usize = 100;

/// A resource, and what is to be done with it. Also one entry of a token's `access` claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    pub name: String,
    /// Go writes an empty list as null.
    #[serde(default, deserialize_with = "list_or_null")]
    pub actions: Vec<String>,
}

fn list_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("the scope {0:?} is not of the form type:name:actions")]
    Form(String),
    #[error("at most {MAX_SCOPES} scopes in one request")]
    TooMany,
}

const REPOSITORY: &str = "repository";
const REGISTRY: &str = "registry";
const CATALOG: &str = "catalog";
const EVERYTHING: &str = "*";

impl Scope {
    /// What `permission` on a repository is called.
    pub fn needed(permission: Permission, repository: Option<&str>) -> Self {
        let (kind, name, action) = match (permission, repository) {
            (Permission::Catalog, _) => (REGISTRY, CATALOG, EVERYTHING),
            (permission, name) => (REPOSITORY, name.unwrap_or(""), permission.name()),
        };
        // Docker reads before it writes, and keeps one token for both.
        let actions = match permission {
            Permission::Push => vec![Permission::Pull.name().to_owned(), action.to_owned()],
            _ => vec![action.to_owned()],
        };
        Self {
            kind: kind.to_owned(),
            class: String::new(),
            name: name.to_owned(),
            actions,
        }
    }

    fn parse(text: &str) -> Result<Self, ScopeError> {
        let refused = || ScopeError::Form(text.chars().take(200).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(refused)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(refused)?;
        let (kind, class) = match kind.strip_suffix(')').and_then(|kind| kind.split_once('(')) {
            Some((kind, class)) => (kind, class),
            None => (kind, ""),
        };
        if kind.is_empty() || name.is_empty() {
            return Err(refused());
        }
        let mut wanted: Vec<String> = Vec::new();
        for action in actions.split(',').filter(|action| !action.is_empty()) {
            if wanted.iter().all(|known| known != action) {
                wanted.push(action.to_owned());
            }
        }
        Ok(Self {
            kind: kind.to_owned(),
            class: class.to_owned(),
            name: name.to_owned(),
            actions: wanted,
        })
    }

    /// Reduces the actions to those that `may` allows; what is not known here is never granted.
    pub fn reduce(&mut self, may: impl Fn(Permission, &str) -> bool) {
        let wanted = std::mem::take(&mut self.actions);
        let known: &[Permission] = match (self.kind.as_str(), self.name.as_str()) {
            (REPOSITORY, _) => &[Permission::Pull, Permission::Push, Permission::Delete],
            (REGISTRY, CATALOG) => &[Permission::Catalog],
            _ => &[],
        };
        for permission in known {
            let word = match permission {
                Permission::Catalog => EVERYTHING,
                other => other.name(),
            };
            let asked = wanted.iter().any(|action| action == word || action == EVERYTHING);
            if asked && may(*permission, &self.name) {
                self.actions.push(word.to_owned());
            }
        }
    }

    fn grants(&self, permission: Permission, repository: &str) -> bool {
        let covers = |word: &str| {
            self.actions
                .iter()
                .any(|action| action == word || action == EVERYTHING)
        };
        match permission {
            Permission::Catalog => self.kind == REGISTRY && self.name == CATALOG && covers(EVERYTHING),
            other => self.kind == REPOSITORY && self.name == repository && covers(other.name()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.class.is_empty() {
            write!(f, "({})", self.class)?;
        }
        write!(f, ":{}:{}", self.name, self.actions.join(","))
    }
}

/// Reads the values of all `scope` parameters.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Vec<Scope>, ScopeError> {
    let mut scopes: Vec<Scope> = Vec::new();
    for text in values.into_iter().flat_map(str::split_whitespace) {
        let scope = Scope::parse(text)?;
        // One entry for each resource, whichever way its actions came.
        let known = scopes.iter_mut().find(|known| {
            (&known.kind, &known.class, &known.name) == (&scope.kind, &scope.class, &scope.name)
        });
        if let Some(known) = known {
            for action in scope.actions {
                if !known.actions.contains(&action) {
                    known.actions.push(action);
                }
            }
        } else if scopes.len() == MAX_SCOPES {
            return Err(ScopeError::TooMany);
        } else {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// What a token allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<Scope>);

impl Grants {
    pub fn allow(&self, permission: Permission, repository: &str) -> bool {
        self.0.iter().any(|scope| scope.grants(permission, repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_24_scopes_are_read() {
        for (values, expected) in [
            (&[][..], &[][..]),
            (&["repository:a/b:pull,push"], &["repository:a/b:pull,push"]),
            (
                &["repository:a:pull", "repository:b:pull,push"],
                &["repository:a:pull", "repository:b:pull,push"],
            ),
            // One parameter with several, and twice the same.
            (
                &["repository:a:pull repository:a:push,pull registry:catalog:*"],
                &["repository:a:pull,push", "registry:catalog:*"],
            ),
            (&["repository:host:5000/a:pull"], &["repository:host:5000/a:pull"]),
            (&["repository(plugin):a:pull"], &["repository(plugin):a:pull"]),
            (&["repository:a:"], &["repository:a:"]),
        ] {
            let shown: Vec<String> = parse(values.iter().copied())
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(shown, expected);
        }
        for text in ["repository", "repository:a", ":a:pull", "repository::pull"] {
            assert_eq!(parse([text]), Err(ScopeError::Form(text.to_owned())));
        }
        let many: Vec<String> = (0..=MAX_SCOPES)
            .map(|n| format!("repository:r{n}:pull"))
            .collect();
        assert_eq!(parse(many.iter().map(String::as_str)), Err(ScopeError::TooMany));
    }

    #[test]
    fn scopes_shrink_to_what_is_allowed() {
        let may = |permission: Permission, name: &str| permission == Permission::Pull && name != "secret";
        for (text, expected) in [
            ("repository:a:pull,push,delete", "repository:a:pull"),
            ("repository:a:*", "repository:a:pull"),
            ("repository:secret:pull", "repository:secret:"),
            ("repository:a:metadata_read", "repository:a:"),
            ("registry:catalog:*", "registry:catalog:"),
            ("registry:other:*", "registry:other:"),
            ("organisation:a:pull", "organisation:a:"),
        ] {
            let mut scope = Scope::parse(text).unwrap();
            scope.reduce(may);
            assert_eq!(scope.to_string(), expected, "{text}");
        }
        let mut all = Scope::parse("repository:a:*").unwrap();
        all.reduce(|_, _| true);
        assert_eq!(all.to_string(), "repository:a:pull,push,delete");
        let mut catalog = Scope::parse("registry:catalog:*").unwrap();
        catalog.reduce(|_, _| true);
        assert_eq!(catalog.to_string(), "registry:catalog:*");
    }

    #[test]
    fn what_is_needed_is_granted_by_itself_alone() {
        let repositories = ["a", "a/b", "b"];
        for permission in Permission::ALL {
            for repository in repositories {
                let grants = Grants(vec![Scope::needed(permission, Some(repository))]);
                for other in Permission::ALL {
                    for name in repositories {
                        let same =
                            other == permission && (name == repository || other == Permission::Catalog);
                        let read = permission == Permission::Push && other == Permission::Pull;
                        assert_eq!(
                            grants.allow(other, name),
                            same || (read && name == repository),
                            "{permission} {repository} {other} {name}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn claims_of_other_servers() {
        let grants: Grants = serde_json::from_str(
            r#"[{"type":"repository","name":"a","actions":["*"]},{"type":"repository","class":"image","name":"b","actions":null}]"#,
        )
        .unwrap();
        assert!(grants.allow(Permission::Delete, "a") && !grants.allow(Permission::Pull, "b"));
        assert!(!grants.allow(Permission::Catalog, "a"));
    }

    /// Whatever is read is printed so that it is read as the same, and reducing never adds.
    #[test]
    fn reading_what_was_printed_changes_nothing() {
        let pieces = [
            "repository",
            ":",
            "a",
            "/",
            ",",
            "*",
            "pull",
            "(x)",
            " ",
            "registry",
            "catalog",
        ];
        let mut seed = 7_u64;
        let mut read = 0;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..(seed >> 60) {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()]);
            }
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let Ok(scopes) = parse([text.as_str()]) else {
                continue;
            };
            let printed: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            let again = parse(printed.iter().map(String::as_str)).unwrap();
            assert_eq!(again, scopes, "{text}");
            for mut scope in scopes {
                read += 1;
                let before = Grants(vec![scope.clone()]);
                scope.reduce(|_, _| true);
                let after = Grants(vec![scope]);
                for permission in Permission::ALL {
                    assert!(
                        !after.allow(permission, "a") || before.allow(permission, "a"),
                        "{text}"
                    );
                }
            }
        }
        assert!(read > 100, "{read}");
    }
}
