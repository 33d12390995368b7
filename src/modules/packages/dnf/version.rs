//! The order of RPM's versions. Specification: rpm-version(7).

use std::cmp::Ordering;

/// Which of two versions (or releases) is the higher.
pub fn compare(mut left: &str, mut right: &str) -> Ordering {
    let separator = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        left = left.trim_start_matches(separator);
        right = right.trim_start_matches(separator);
        let order = rank(left).cmp(&rank(right));
        if order != Ordering::Equal || left.is_empty() {
            return order;
        }
        let (one, other) = (segment(left), segment(right));
        (left, right) = (&left[one.len()..], &right[other.len()..]);
        let order = if one.starts_with(|c: char| c.is_ascii_digit()) {
            let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        } else {
            one.cmp(other)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// What comes next, lowest first: a tilde, the end, a caret, letters, digits.
fn rank(text: &str) -> u8 {
    match text.chars().next() {
        Some('~') => 0,
        None => 1,
        Some('^') => 2,
        Some(c) if c.is_ascii_alphabetic() => 3,
        Some(_) => 4,
    }
}

/// A tilde, a caret, or all the letters or digits that come next.
fn segment(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let belongs = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == digits;
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    &text[..end.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_rpm_does() {
        for (lower, higher) in [
            ("1.0", "1.0.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0.1"),
            ("1.a", "1.1"),
            ("2-1", "2-2.el9"),
        ] {
            assert_eq!(compare(lower, higher), Ordering::Less, "{lower} {higher}");
            assert_eq!(compare(higher, lower), Ordering::Greater, "{higher} {lower}");
        }
        assert_eq!(compare("1.01", "1_1"), Ordering::Equal);
    }
}
