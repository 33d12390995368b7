//! The target's date and time, in its own time zone.

use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::put;
use crate::system::System;
use crate::value::Map;

pub fn gather(system: &dyn System, facts: &mut Map) {
    if let Some(fact) = describe(system.now(), TimeZone::system()) {
        put(facts, "date_time", fact);
    }
}

fn describe(now: SystemTime, zone: TimeZone) -> Option<Map> {
    let timestamp = Timestamp::try_from(now).ok()?;
    let local = timestamp.to_zoned(zone);
    let utc = timestamp.to_zoned(TimeZone::UTC);
    let print = |zoned: &Zoned, format: &str| zoned.strftime(format).to_string();
    let fields = [
        ("year", print(&local, "%Y")),
        ("month", print(&local, "%m")),
        ("weekday", print(&local, "%A")),
        ("weekday_number", print(&local, "%w")),
        ("weeknumber", print(&local, "%W")),
        ("day", print(&local, "%d")),
        ("hour", print(&local, "%H")),
        ("minute", print(&local, "%M")),
        ("second", print(&local, "%S")),
        ("epoch", timestamp.as_second().to_string()),
        ("epoch_int", timestamp.as_second().to_string()),
        ("date", print(&local, "%Y-%m-%d")),
        ("time", print(&local, "%H:%M:%S")),
        ("iso8601_micro", print(&utc, "%Y-%m-%dT%H:%M:%S.%6fZ")),
        ("iso8601", print(&utc, "%Y-%m-%dT%H:%M:%SZ")),
        ("iso8601_basic", print(&local, "%Y%m%dT%H%M%S%6f")),
        ("iso8601_basic_short", print(&local, "%Y%m%dT%H%M%S")),
        ("tz", print(&local, "%Z")),
        ("tz_dst", print(&local, "%Z")),
        ("tz_offset", print(&local, "%z")),
    ];
    Some(
        fields
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn spells_a_moment_as_ansible_does() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_242_864_094_576);
        let fact = describe(now, TimeZone::UTC).unwrap();
        let text = |name: &str| fact[name].as_str().unwrap();
        assert_eq!(text("iso8601_basic"), "20261121T063424094576");
        assert_eq!(text("iso8601_micro"), "2026-11-21T06:34:24.094576Z");
        assert_eq!(text("weekday"), "Saturday");
        assert_eq!(text("weekday_number"), "6");
        assert_eq!(text("weeknumber"), "46");
        assert_eq!(text("tz_offset"), "+0000");
    }
}
