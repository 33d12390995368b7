//! `passed N/M`, by section and in total.

use std::collections::BTreeMap;
use std::fmt;

pub struct Score {
    /// Of what.
    title: &'static str,
    sections: BTreeMap<String, Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    passed: usize,
    /// Of those that did not pass: listed in `known.txt`.
    known: usize,
    total: usize,
}

impl Score {
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            sections: BTreeMap::new(),
        }
    }

    pub fn count(&mut self, section: &str, passed: bool, known: bool) {
        let counts = self.sections.entry(section.to_owned()).or_default();
        counts.total += 1;
        counts.passed += usize::from(passed);
        counts.known += usize::from(known && !passed);
    }

    pub fn total(&self) -> usize {
        self.sections.values().map(|counts| counts.total).sum()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sum = Counts::default();
        for (section, counts) in &self.sections {
            writeln!(f, "{section:<24} {counts}")?;
            sum.passed += counts.passed;
            sum.known += counts.known;
            sum.total += counts.total;
        }
        write!(f, "{}: {sum}", self.title)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passed {}/{}", self.passed, self.total)?;
        match self.known {
            0 => Ok(()),
            known => write!(f, " ({known} known differences)"),
        }
    }
}

#[test]
fn a_known_difference_does_not_count_as_passed() {
    let mut score = Score::new("differential");
    score.count("tags", true, false);
    score.count("tags", false, true);
    score.count("handlers", false, false);
    assert_eq!(
        score.to_string(),
        "handlers                 passed 0/1\n\
         tags                     passed 1/2 (1 known differences)\n\
         differential: passed 1/3 (1 known differences)"
    );
}
