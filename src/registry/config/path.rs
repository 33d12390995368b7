//! Where a value stands: the words that lead to it, and the patterns that keys are spelled with.
//!
//! A pattern is words joined by dots. `*` stands for any key of a mapping, `[]` for any entry of a list:
//! `http.headers.*`, `notifications.endpoints.[].url`.

/// One step from a mapping or a list to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Key(String),
    Index(usize),
}

impl Word {
    pub fn text(&self) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::Index(index) => index.to_string(),
        }
    }

    /// Whether a pattern's word stands for this one.
    fn fits(&self, pattern: &str) -> bool {
        match self {
            Self::Key(key) => pattern == "*" || pattern == key,
            Self::Index(_) => pattern == "[]",
        }
    }
}

/// A path as messages show it.
pub fn shown(path: &[Word]) -> String {
    let words: Vec<String> = path.iter().map(Word::text).collect();
    words.join(".")
}

pub fn is_wild(word: &str) -> bool {
    matches!(word, "*" | "[]")
}

/// What the wild words of a pattern stand for, if the pattern is that of the whole path.
pub fn captures(pattern: &str, path: &[Word]) -> Option<Vec<String>> {
    let covered = covers(pattern, path) && leads_to(path, pattern);
    covered.then(|| {
        let words = pattern.split('.').zip(path);
        words
            .filter(|(pattern, _)| is_wild(pattern))
            .map(|(_, word)| word.text())
            .collect()
    })
}

/// Whether the path is the pattern's, or lies under it.
pub fn covers(pattern: &str, path: &[Word]) -> bool {
    let mut words = path.iter();
    pattern
        .split('.')
        .all(|pattern| words.next().is_some_and(|word| word.fits(pattern)))
}

/// Whether the pattern is that of the path, or of something under it.
pub fn leads_to(path: &[Word], pattern: &str) -> bool {
    let mut patterns = pattern.split('.');
    path.iter()
        .all(|word| patterns.next().is_some_and(|pattern| word.fits(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Word> {
        let word = |word: &str| {
            word.parse()
                .map_or_else(|_| Word::Key(word.to_owned()), Word::Index)
        };
        text.split('.').map(word).collect()
    }

    #[test]
    fn wild_words_capture() {
        for (pattern, text, expected) in [
            ("a.b", "a.b", Some(vec![])),
            ("a.*", "a.b", Some(vec!["b"])),
            ("a.[].c.*", "a.3.c.d", Some(vec!["3", "d"])),
            ("a.[]", "a.b", None),
            ("a.*", "a.0", None),
            ("a", "a.b", None),
            ("a.b", "a", None),
        ] {
            let found = captures(pattern, &path(text));
            let found = found
                .as_ref()
                .map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(found, expected, "{pattern} {text}");
        }
        assert!(covers("a.[]", &path("a.0.b")));
        assert!(leads_to(&path("a.0"), "a.[].b"));
        assert!(!leads_to(&path("a.b"), "a.[].b"));
    }
}
