//! Which tasks `--tags` and `--skip-tags` select.
//!
//! Tags are inherited, so a task's tags are those of its whole context. `always` runs unless it is skipped
//! by name, `never` runs only if another of the task's tags is asked for.

use crate::yaml::{Kind, Node};

/// What was asked for on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Empty means `all`.
    pub tags: Vec<String>,
    pub skip: Vec<String>,
}

impl Selection {
    /// Words of `--tags` with a meaning of their own.
    pub const SPECIAL: [&str; 5] = ["all", "tagged", "untagged", "always", "never"];

    /// Whether a task with these tags runs.
    pub fn selects(&self, tags: &[String]) -> bool {
        self.wants(tags) && !self.skips(tags)
    }

    fn wants(&self, tags: &[String]) -> bool {
        let asked = |name: &str| self.tags.iter().any(|tag| tag == name);
        let has = |name: &str| tags.iter().any(|tag| tag == name);
        let named = self.tags.iter().any(|tag| tags.contains(tag) && tag != "all");
        if has("always") || named {
            return true;
        }
        let all = self.tags.is_empty() || asked("all");
        let tagged = asked("tagged") && !tags.is_empty();
        let untagged = asked("untagged") && tags.is_empty();
        (all || tagged || untagged) && !has("never")
    }

    fn skips(&self, tags: &[String]) -> bool {
        let asked = |name: &str| self.skip.iter().any(|tag| tag == name);
        let has = |name: &str| tags.iter().any(|tag| tag == name);
        if has("always") && asked("always") {
            return true;
        }
        let named = self.skip.iter().any(|tag| tag != "always" && tags.contains(tag));
        let all = asked("all") && !has("always");
        let tagged = asked("tagged") && !tags.is_empty();
        let untagged = asked("untagged") && tags.is_empty();
        named || all || tagged || untagged
    }
}

/// The tags that a `tags:` node gives: a list, or a text with commas.
pub fn tags_of(node: &Node) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        text.split(',')
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect()
    };
    match &node.kind {
        Kind::List(items) => items
            .iter()
            .flat_map(|item| split(&item.to_value().to_string()))
            .collect(),
        _ if node.is_null() => Vec::new(),
        _ => split(&node.to_value().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &[&str], skip: &[&str], tags: &[&str], expected: bool) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let selection = Selection {
            tags: owned(asked),
            skip: owned(skip),
        };
        assert_eq!(
            selection.selects(&owned(tags)),
            expected,
            "--tags {asked:?} --skip-tags {skip:?} on {tags:?}"
        );
    }

    #[test]
    fn selects_as_measured() {
        check(&[], &[], &[], true);
        check(&[], &[], &["never"], false);
        check(&["a"], &[], &[], false);
        check(&["a"], &[], &["a", "never"], true);
        check(&["a"], &[], &["always"], true);
        check(&["a"], &["always"], &["always"], false);
        check(&[], &["all"], &["always"], true);
        check(&[], &["all"], &["a"], false);
        check(&["all", "never"], &[], &["never"], true);
        check(&["never"], &[], &["never"], true);
        check(&["tagged"], &[], &["a"], true);
        check(&["tagged"], &[], &[], false);
        check(&["untagged"], &[], &[], true);
        check(&[], &["a"], &["a", "b"], false);
        check(&["a"], &["b"], &["a", "b"], false);
        check(&["all"], &[], &["x"], true);
        check(&[], &["tagged"], &["always"], false);
    }
}
