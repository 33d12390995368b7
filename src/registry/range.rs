//! `Range` of a download and `Content-Range` of an uploaded chunk: RFC 9110 and distribution-spec.
//!
//! Only what registries need: one range of bytes. Several ranges at once are answered with the whole, as
//! the RFC allows.

/// What a `Range` header asks of something of a known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// No usable range: answer 200 with everything.
    Whole,
    /// Bytes `start..end`, at least one: answer 206.
    Part { start: u64, end: u64 },
    /// Outside of what there is: answer 416.
    Unsatisfiable,
}

/// Reads a `Range` header against the length of what is asked for.
pub fn wanted(header: &str, length: u64) -> Wanted {
    let Some(range) = header.trim().strip_prefix("bytes=") else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Wanted::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        // "the last N bytes"
        (None, Some(count)) if first.is_empty() => (length.saturating_sub(count), length),
        (Some(start), None) if last.is_empty() => (start, length),
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(length)),
        // Backwards: the RFC lets a server ignore or refuse it; a client that counts so is better told.
        (Some(_), Some(_)) => return Wanted::Unsatisfiable,
        _ => return Wanted::Whole,
    };
    if start < end {
        Wanted::Part { start, end }
    } else {
        Wanted::Unsatisfiable
    }
}

/// Reads a chunk's `Content-Range`: `start-end` as the spec has it, or RFC 9110's `bytes start-end/total`.
/// The end is inclusive on the wire and exclusive here.
pub fn chunk(header: &str) -> Option<(u64, u64)> {
    let range = header.trim();
    let range = range
        .strip_prefix("bytes")
        .map_or(range, |rest| rest.trim_start_matches([' ', '=']));
    let range = range.split_once('/').map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let (start, last) = (number(first)?, number(last)?);
    (start <= last).then_some((start, last.checked_add(1)?))
}

/// Digits only: `u64::from_str` would take a plus sign. What no `u64` holds is beyond every end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_12_ranges() {
        let part = |start, end| Wanted::Part { start, end };
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=3-5", part(3, 6)),
            ("bytes=3-", part(3, 10)),
            ("bytes=3-99999999999", part(3, 10)),
            ("bytes=-4", part(6, 10)),
            ("bytes=-40", part(0, 10)),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-11", Wanted::Unsatisfiable),
            ("bytes=5-3", Wanted::Unsatisfiable),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=0-18446744073709551615", part(0, 10)),
            ("bytes=0-99999999999999999999", part(0, 10)),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
        ] {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn every_part_lies_inside() {
        for length in 0..6_u64 {
            for first in 0..8_u64 {
                for last in 0..8_u64 {
                    for header in [
                        format!("bytes={first}-{last}"),
                        format!("bytes={first}-"),
                        format!("bytes=-{last}"),
                    ] {
                        if let Wanted::Part { start, end } = wanted(&header, length) {
                            assert!(start < end && end <= length, "{header} of {length}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn item_17_chunk_ranges() {
        assert_eq!(chunk("0-99"), Some((0, 100)));
        assert_eq!(chunk("bytes 5-9/10"), Some((5, 10)));
        assert_eq!(chunk("bytes=5-9"), Some((5, 10)));
        for bad in ["", "5", "9-5", "-5", "a-b", "0-18446744073709551615"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
