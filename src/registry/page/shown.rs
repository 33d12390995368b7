//! How people read sizes, ages and commands.

use jiff::Timestamp;

/// `12.3 MB`, in the units that docker counts in.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut amount = bytes as f64;
    let mut unit = "";
    for next in UNITS {
        if amount < 999.5 {
            break;
        }
        amount /= 1000.0;
        unit = next;
    }
    // Three digits, whatever the amount.
    let decimals = match amount {
        _ if amount < 9.995 => 2,
        _ if amount < 99.95 => 1,
        _ => 0,
    };
    format!("{amount:.decimals$} {unit}")
}

/// `3 days ago`; what lies ahead is the work of a wrong clock and has just been.
pub fn age(time: Timestamp, now: Timestamp) -> String {
    const STEPS: [(i64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    let seconds = now.as_second() - time.as_second();
    for (length, unit) in STEPS {
        let count = seconds / length;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    "just now".to_owned()
}

/// A time as an image carries it, if it means anything: reproducible builds write the year 1970.
pub fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time.as_second() > 0).then_some(time)
}

/// `2026-11-21 19:55 UTC`
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A step of a build, without what the builder wraps it in.
pub fn command(created_by: &str) -> String {
    const SHELL: &str = "/bin/sh -c ";
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").map_or(text, str::trim_end);
    let text = text.strip_prefix("RUN ").map_or(text, str::trim_start);
    let shell = text.strip_prefix(SHELL);
    let run = shell.is_some() || created_by.starts_with("RUN ");
    let text = shell.unwrap_or(text).trim();
    if let Some(other) = text.strip_prefix("#(nop)") {
        return squeezed(other);
    }
    let text = squeezed(text);
    if run && !text.is_empty() {
        format!("RUN {text}")
    } else {
        text
    }
}

/// With one blank wherever the build file broke its lines.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The order in which people count: `v2` before `v10`.
pub fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (a_part, b_part);
        (a_part, a_rest) = part(a_rest);
        (b_part, b_rest) = part(b_rest);
        let number = |text: &str| text.parse::<u128>().ok();
        let order = match (number(a_part), number(b_part)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => a_part.cmp(b_part),
        };
        if order.is_ne() {
            return order;
        }
    }
    // What is longer comes later; what counts as equal is told apart by its letters.
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// The digits, or everything but digits, that a text starts with; and the rest.
fn part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (123_456_789, "123 MB"),
            (999_600, "1.00 MB"),
            (5_000_000_000, "5.00 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn ages() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (time, expected) in [
            ("2026-11-21T11:59:30Z", "just now"),
            ("2026-11-22T12:00:00Z", "just now"),
            ("2026-11-21T11:58:59Z", "1 minute ago"),
            ("2026-11-19T11:00:00Z", "2 days ago"),
            ("2026-01-01T00:00:00Z", "10 months ago"),
            ("2020-01-01T00:00:00Z", "6 years ago"),
        ] {
            assert_eq!(age(time.parse().unwrap(), now), expected, "{time}");
        }
        assert_eq!(time("1970-01-01T00:00:00Z"), None);
        assert_eq!(time("yesterday"), None);
    }

    #[test]
    fn commands_of_both_builders() {
        for (given, expected) in [
            ("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD [\"bash\"]"),
            (
                "/bin/sh -c apt-get update \\\n\t && x",
                "RUN apt-get update \\ && x",
            ),
            ("RUN /bin/sh -c make # buildkit", "RUN make"),
            ("COPY a b # buildkit", "COPY a b"),
            ("ENV A=1", "ENV A=1"),
            ("", ""),
        ] {
            assert_eq!(command(given), expected);
        }
    }

    #[test]
    fn tags_are_ordered_as_people_count() {
        let mut tags = ["v10", "latest", "v2", "v2.1", "1.10", "1.9", "v2-rc1", "01", "1"];
        tags.sort_by(|a, b| natural(a, b));
        assert_eq!(
            tags,
            ["01", "1", "1.9", "1.10", "latest", "v2", "v2-rc1", "v2.1", "v10"]
        );
    }
}
