//! A sorted list of names in one piece of memory.

/// Sorted by byte.
#[derive(Default)]
pub(super) struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Names {
    /// `names` are sorted.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut all = Self::default();
        for name in names {
            all.text.push_str(name.as_ref());
            // Four gibibytes of names are more than any folder has.
            all.ends.push(u32::try_from(all.text.len()).unwrap_or(u32::MAX));
        }
        all.text.shrink_to_fit();
        all.ends.shrink_to_fit();
        all
    }

    fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index] as usize]
    }

    /// How many names come before `name`, and with `including` how many until behind it.
    fn position(&self, name: &str, including: bool) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let found = self.get(middle);
            if found < name || (including && found == name) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub fn contains(&self, name: &str) -> bool {
        let at = self.position(name, false);
        at < self.ends.len() && self.get(at) == name
    }

    /// Up to `limit` names that come after `last`.
    pub fn page(&self, last: Option<&str>, limit: usize) -> Vec<String> {
        let first = last.map_or(0, |last| self.position(last, true));
        let end = first.saturating_add(limit).min(self.ends.len());
        (first..end).map(|index| self.get(index).to_owned()).collect()
    }

    /// The last of as many names after `last`, if there are so many.
    pub fn end(&self, last: Option<&str>, limit: usize) -> Option<&str> {
        let first = last.map_or(0, |last| self.position(last, true));
        let index = first.checked_add(limit.checked_sub(1)?)?;
        (index < self.ends.len()).then(|| self.get(index))
    }

    /// What it takes in memory.
    pub fn weight(&self) -> usize {
        self.text.len() + 4 * self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_it_whatever_they_begin_after() {
        let all = ["", "a", "a-b", "a/b", "b"];
        let names = Names::new(all);
        for limit in 0..=6 {
            for last in ["", "0", "a", "a-", "a/b", "b", "c"] {
                let expected: Vec<_> = all.into_iter().filter(|name| *name > last).take(limit).collect();
                let end = expected.get(limit.wrapping_sub(1)).copied();
                assert_eq!(names.end(Some(last), limit), end, "{limit} after {last:?}");
                assert_eq!(names.page(Some(last), limit), expected, "{limit} after {last:?}");
            }
        }
        assert_eq!(names.page(None, 9), all);
        assert!(names.contains("a/b") && names.contains("") && !names.contains("a/"));
        assert_eq!(Names::default().page(None, 9), Vec::<String>::new());
    }
}
