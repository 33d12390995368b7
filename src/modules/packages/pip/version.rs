//! The order of Python's versions, and what satisfies a requirement. Specification: PEP 440, without `===` and local versions.

use std::cmp::Ordering;

/// Where a version stands among those of the same release: `(phase, number)`, the release itself between candidates and posts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    epoch: u64,
    release: Vec<u64>,
    pre: (u8, u64),
    post: Option<u64>,
    /// None comes last.
    dev: (bool, u64),
}

const FINAL: u8 = 4;

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v').to_lowercase();
        let text = text.split('+').next().unwrap_or(&text);
        let (epoch, rest) = match text.split_once('!') {
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
            None => (0, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (numbers, mut rest) = rest.split_at(end);
        let mut release = numbers
            .split('.')
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u64>>>()?;
        if release.is_empty() {
            return None;
        }
        while release.last() == Some(&0) && release.len() > 1 {
            release.pop();
        }
        let mut version = Self {
            epoch,
            release,
            pre: (FINAL, 0),
            post: None,
            dev: (true, 0),
        };
        while !rest.is_empty() {
            rest = rest.trim_start_matches(['.', '-', '_']);
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(letters);
            let after = after.trim_start_matches(['.', '-', '_']);
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let number = after[..digits].parse().unwrap_or(0);
            rest = &after[digits..];
            match word {
                "a" | "alpha" => version.pre = (1, number),
                "b" | "beta" => version.pre = (2, number),
                "rc" | "c" | "pre" | "preview" => version.pre = (3, number),
                "post" | "rev" | "r" | "" => version.post = Some(number),
                "dev" => version.dev = (false, number),
                _ => return None,
            }
        }
        // A development release of a release comes before its candidates.
        if version.pre.0 == FINAL && version.post.is_none() && !version.dev.0 {
            version.pre = (0, 0);
        }
        Some(version)
    }
}

/// Whether an installed version satisfies `>=1.0,<2`; none if one of them is beyond this.
pub fn satisfies(installed: &str, specifiers: &str) -> Option<bool> {
    let version = Version::parse(installed)?;
    for specifier in specifiers
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let end = specifier.find(|c: char| !"<>=!~".contains(c))?;
        let (operator, wanted) = specifier.split_at(end);
        if !is_satisfied(&version, operator, wanted.trim())? {
            return Some(false);
        }
    }
    Some(true)
}

fn is_satisfied(version: &Version, operator: &str, wanted: &str) -> Option<bool> {
    let begins = |prefix: &Version, length: usize| {
        let part = |index: usize, of: &[u64]| of.get(index).copied().unwrap_or(0);
        version.epoch == prefix.epoch
            && (0..length).all(|index| part(index, &version.release) == part(index, &prefix.release))
    };
    if let Some(prefix) = wanted.strip_suffix(".*") {
        let length = prefix.split('.').count();
        let matches = begins(&Version::parse(prefix)?, length);
        return match operator {
            "==" => Some(matches),
            "!=" => Some(!matches),
            _ => None,
        };
    }
    let length = wanted.split('.').count();
    let wanted = Version::parse(wanted)?;
    let order = version.cmp(&wanted);
    Some(match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        ">=" => order != Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        "<" => order == Ordering::Less,
        "~=" => order != Ordering::Less && begins(&wanted, length.saturating_sub(1)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_as_pip_does() {
        for (installed, specifiers, expected) in [
            ("1.0", "==1.0.0", true),
            ("1.0", "==1.0.1", false),
            ("1.10", ">1.9,<2", true),
            ("2.0", "<2", false),
            ("2.0rc1", "<2", true),
            ("2.0.dev1", "<2.0a1", true),
            ("2.0.post1", ">=2.0", true),
            ("1.4.5", "~=1.4.2", true),
            ("1.5", "~=1.4.2", false),
            ("1.4.9", "==1.4.*", true),
            ("1.4.9", "!=1.4.*", false),
            ("1!1.0", ">2.0", true),
            ("3.2", "", true),
        ] {
            assert_eq!(
                satisfies(installed, specifiers),
                Some(expected),
                "{installed} {specifiers}"
            );
        }
        assert_eq!(satisfies("1.0", "===1.0"), None);
    }
}
