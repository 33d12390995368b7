//! `known.txt`: where we differ from ansible-core, and why.
//!
//! A line at the margin is a case, `section/name` or `section/name: entry`; the lines below it, moved in, are the reason.

use std::collections::BTreeMap;

pub struct Known {
    /// Each case, and whether it has been asked for.
    cases: BTreeMap<String, bool>,
}

impl Known {
    pub fn read() -> Self {
        Self::parse(include_str!("known.txt"))
    }

    fn parse(text: &str) -> Self {
        let mut cases = BTreeMap::new();
        let mut lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .peekable();
        while let Some(line) = lines.next() {
            if line.starts_with(char::is_whitespace) {
                continue;
            }
            let reason = lines
                .peek()
                .is_some_and(|next| next.starts_with(char::is_whitespace));
            assert!(reason, "known.txt gives no reason for {line}");
            let twice = cases.insert(line.trim_end().to_owned(), false);
            assert!(twice.is_none(), "known.txt has {line} twice");
        }
        Self { cases }
    }

    /// Whether this case is listed; it is then no more among the [rest](Self::rest).
    pub fn take(&mut self, name: &str) -> bool {
        match self.cases.get_mut(name) {
            Some(taken) => {
                *taken = true;
                true
            }
            None => false,
        }
    }

    /// The listed cases that were never asked for.
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        self.cases
            .iter()
            .filter(|(_, taken)| !**taken)
            .map(|(name, _)| name.as_str())
    }
}

#[test]
fn what_is_listed_is_found_once_and_the_rest_is_told() {
    let mut known = Known::parse("# why\n\ntags/one: a: b\n  it is better\n  here\ntags/two\n  for now\n");
    assert!(known.take("tags/one: a: b"));
    assert!(!known.take("tags/one"));
    assert_eq!(known.rest().collect::<Vec<_>>(), ["tags/two"]);
}

#[test]
#[should_panic(expected = "gives no reason for tags/one")]
fn a_difference_needs_a_reason() {
    Known::parse("tags/one\ntags/two\n  for now\n");
}
