//! One entry of `name`: a requirement as pip takes it.

use super::version;

/// Addresses of checkouts begin like this.
const CHECKOUTS: &[&str] = &["svn+", "git+", "hg+", "bzr+"];
const OPERATORS: &[char] = &['<', '>', '=', '!', '~'];

/// A name with extras, specifiers and conditions, or something that is no name: a file, an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// As packages are compared: lower case, hyphens.
    pub name: String,
    pub specifiers: String,
    text: String,
}

/// Entries whose specifiers were split at commas, put together again: `a>1`, `<2` is one.
pub fn joined(entries: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut in_brackets = false;
    for part in entries.iter().flat_map(|entry| entry.split(',')) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        match names.last_mut() {
            Some(last) if in_brackets || part.starts_with(OPERATORS) => {
                last.push(',');
                last.push_str(part);
            }
            _ => names.push(part.to_owned()),
        }
        in_brackets = (in_brackets || part.contains('[')) && !part.contains(']');
    }
    names
}

impl Requirement {
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_owned();
        let condition = text.find(';').unwrap_or(text.len());
        let end = text[..condition].find(OPERATORS).unwrap_or(condition);
        let name = text[..end].split('[').next().unwrap_or(&text);
        let is_name = name
            .trim()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let specifiers = if is_name {
            text[end..condition].replace(' ', "")
        } else {
            String::new()
        };
        Self {
            name: if is_name { canonical(name) } else { text.clone() },
            specifiers,
            text,
        }
    }

    /// `1.0` or `>=1,<2`.
    pub fn set_version(&mut self, version: &str) {
        let version = version.trim();
        let operator = if version.starts_with(|c: char| c.is_ascii_digit()) {
            "=="
        } else {
            ""
        };
        self.specifiers = format!("{operator}{version}").replace(' ', "");
        self.text = format!("{}{}", self.text, self.specifiers);
    }

    pub fn word(&self) -> String {
        self.text.clone()
    }

    pub fn is_checkout(&self) -> bool {
        CHECKOUTS.iter().any(|start| self.text.starts_with(start))
    }

    /// Whether `pip list --format=freeze` has it in a version that will do. What cannot be compared is not there.
    pub fn is_among(&self, installed: &str) -> bool {
        installed
            .lines()
            .filter_map(|line| line.split_once("=="))
            .any(|(name, found)| {
                canonical(name) == self.name
                    && version::satisfies(found.trim(), &self.specifiers) == Some(true)
            })
    }
}

/// Runs of hyphens, underscores and dots are one hyphen (PEP 503).
fn canonical(name: &str) -> String {
    let mut canonical = String::new();
    for c in name.trim().to_lowercase().chars() {
        let c = if c == '_' || c == '.' { '-' } else { c };
        if c != '-' || !canonical.ends_with('-') {
            canonical.push(c);
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_find_their_names_again() {
        let entries = ["a>1", "<2", "b", "c[x", "y]==1,d"].map(str::to_owned);
        assert_eq!(joined(&entries), ["a>1,<2", "b", "c[x,y]==1", "d"]);
    }

    #[test]
    fn names_are_compared_as_pip_does() {
        let installed = "Flask-SQLAlchemy==3.0.2\nsix==1.16.0\n";
        assert!(Requirement::parse("flask_sqlalchemy>=3, <4").is_among(installed));
        assert!(Requirement::parse("six[extra] == 1.16 ; python_version > '3'").is_among(installed));
        assert!(!Requirement::parse("six<1.16").is_among(installed));
        assert!(!Requirement::parse("git+https://example.org/six").is_among(installed));
        let mut six = Requirement::parse("six");
        six.set_version("1.15");
        assert_eq!(six.word(), "six==1.15");
    }
}
