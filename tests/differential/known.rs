//! `known.txt`: where we differ from ansible-core, and why. There is one here and one in `tests/modules`.
//!
//! A line at the margin is a case, `section/name` or `section/name: entry`; the lines below it, moved in, are the reason of
//! it and of those right above it. A reason opens with `wanted:` or with `not done:`.

use std::collections::BTreeMap;

/// What a reason opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// We differ on purpose, and always.
    Wanted,
    /// A gap of ours: whoever closes it need not know that it is listed.
    NotDone,
}

pub struct Known {
    /// Each case, its excuse, and whether it has been asked for.
    cases: BTreeMap<String, (Excuse, bool)>,
}

impl Excuse {
    fn of(reason: &str) -> Option<Self> {
        match reason.trim_start().split_once(':')?.0 {
            "wanted" => Some(Self::Wanted),
            "not done" => Some(Self::NotDone),
            _ => None,
        }
    }
}

impl Known {
    pub fn parse(text: &str) -> Self {
        let mut cases = BTreeMap::new();
        let mut excused = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        {
            if !line.starts_with(char::is_whitespace) {
                excused.push(line.trim_end());
                continue;
            }
            // The further lines of a reason excuse nothing.
            if excused.is_empty() {
                continue;
            }
            let excuse = Excuse::of(line).unwrap_or_else(|| {
                panic!("known.txt has a reason that is neither wanted nor not done: {line}")
            });
            for case in excused.drain(..) {
                let twice = cases.insert(case.to_owned(), (excuse, false));
                assert!(twice.is_none(), "known.txt has {case} twice");
            }
        }
        assert!(excused.is_empty(), "known.txt gives no reason for {excused:?}");
        Self { cases }
    }

    /// The excuse of this case, if it is listed; it is then no more among the [rest](Self::rest).
    pub fn take(&mut self, name: &str) -> Option<Excuse> {
        let (excuse, taken) = self.cases.get_mut(name)?;
        *taken = true;
        Some(*excuse)
    }

    /// The listed cases that were never asked for.
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        self.cases
            .iter()
            .filter(|(_, (_, taken))| !taken)
            .map(|(name, _)| name.as_str())
    }
}

#[test]
fn what_is_listed_is_found_once_and_the_rest_is_told() {
    let mut known = Known::parse(
        "# why\n\ntags/one: a: b\ntags/three\n  wanted: it is better\n  here\ntags/two\n  not done: for now\n",
    );
    assert_eq!(known.take("tags/one: a: b"), Some(Excuse::Wanted));
    assert_eq!(known.take("tags/one"), None);
    assert_eq!(known.take("tags/two"), Some(Excuse::NotDone));
    assert_eq!(known.rest().collect::<Vec<_>>(), ["tags/three"]);
}

#[test]
#[should_panic(expected = "gives no reason for [\"tags/two\"]")]
fn a_difference_needs_a_reason() {
    Known::parse("tags/one\n  not done: for now\ntags/two\n");
}

#[test]
#[should_panic(expected = "neither wanted nor not done:   it is so")]
fn a_reason_is_one_of_two_kinds() {
    Known::parse("tags/one\n  it is so\n");
}
