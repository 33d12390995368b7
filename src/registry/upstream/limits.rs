//! When an upstream may be asked again: what it says of its own limits, and a pause after it did not answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{self, HeaderMap};

/// A 429 that does not say for how long.
const UNSAID: Duration = Duration::from_mins(1);
/// Longer than this is not believed: a header must not turn a mirror off for good.
const LONGEST: Duration = Duration::from_hours(24);
/// While something kept can be served instead, an upstream that did not answer is left alone this long.
const SILENCE: Duration = Duration::from_secs(10);
/// The last of a window's requests is gone: one comes back with each part of the window, at the latest so.
const LONGEST_PART: Duration = Duration::from_mins(15);

/// What is known of one upstream.
#[derive(Default)]
pub struct Limits(Mutex<Until>);

#[derive(Default)]
struct Until {
    all: Option<Instant>,
    counted: Option<Instant>,
    silent: Option<Instant>,
}

/// Whether an upstream counts a request: Docker Hub counts GET of manifests and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counted,
    Free,
}

impl Limits {
    /// How long to wait before a request: none if it may be sent now.
    pub fn wait(&self, kind: Kind) -> Option<Duration> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = until.counted.filter(|_| kind == Kind::Counted);
        left(until.all.max(counted))
    }

    /// Whether it has just not answered.
    pub fn is_silent(&self) -> bool {
        left(self.0.lock().unwrap_or_else(PoisonError::into_inner).silent).is_some()
    }

    pub fn did_not_answer(&self) {
        let until = Instant::now() + SILENCE;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).silent = Some(until);
    }

    /// Takes in what an answer says. Returns how long to wait where it is a refusal for being too many.
    pub fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.silent = None;
        let now = Instant::now();
        if let Some(pause) = used_up(headers) {
            until.counted = Some(now + pause);
        }
        let named = retry_after(headers, jiff::Timestamp::now().as_second());
        let wait = match status {
            StatusCode::TOO_MANY_REQUESTS => named.unwrap_or(UNSAID),
            StatusCode::SERVICE_UNAVAILABLE => named?,
            _ => return None,
        };
        until.all = Some(now + wait);
        Some(wait)
    }
}

fn left(until: Option<Instant>) -> Option<Duration> {
    let left = until?.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

/// `Retry-After`: seconds or a date.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        seconds
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        u64::try_from(date.timestamp().as_second() - now).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Docker Hub's `ratelimit-remaining: 0;w=21600` beside `ratelimit-limit: 100;w=21600`: when the next one may be free.
fn used_up(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        let (number, window) = text.split_once(';').unwrap_or((text, ""));
        let number: u64 = number.trim().parse().ok()?;
        let window = window
            .trim()
            .strip_prefix("w=")
            .and_then(|window| window.parse::<u64>().ok());
        Some((number, window))
    };
    let (remaining, window) = number("ratelimit-remaining")?;
    if remaining > 0 {
        return None;
    }
    if let Some((seconds, _)) = number("ratelimit-reset") {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let (limit, whole) = number("ratelimit-limit").unwrap_or((0, None));
    let part = match window.or(whole) {
        Some(window) if limit > 0 => Duration::from_secs(window.div_ceil(limit)),
        _ => UNSAID,
    };
    Some(part.min(LONGEST_PART))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("soon", None),
        ] {
            let found = retry_after(&headers(&[("retry-after", value)]), 784_111_740);
            assert_eq!(found.map(|wait| wait.as_secs()), expected, "{value}");
        }
    }

    #[test]
    fn what_docker_hub_says() {
        for (lines, expected) in [
            (
                vec![
                    ("ratelimit-remaining", "1;w=21600"),
                    ("ratelimit-limit", "100;w=21600"),
                ],
                None,
            ),
            (
                vec![
                    ("ratelimit-remaining", "0;w=21600"),
                    ("ratelimit-limit", "100;w=21600"),
                ],
                Some(216),
            ),
            (
                vec![
                    ("ratelimit-remaining", "0;w=21600"),
                    ("ratelimit-limit", "1;w=21600"),
                ],
                Some(900),
            ),
            (
                vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "7")],
                Some(7),
            ),
            (vec![("ratelimit-remaining", "0")], Some(60)),
            (vec![("ratelimit-remaining", "x")], None),
            (vec![], None),
        ] {
            let found = used_up(&headers(&lines));
            assert_eq!(found.map(|wait| wait.as_secs()), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_refusal_holds_for_all_and_an_empty_window_for_what_is_counted() {
        let limits = Limits::default();
        assert_eq!(limits.wait(Kind::Counted), None);
        assert_eq!(
            limits.learn(StatusCode::OK, &headers(&[("ratelimit-remaining", "0;w=60")])),
            None
        );
        assert!(limits.wait(Kind::Counted).is_some() && limits.wait(Kind::Free).is_none());
        let wait = limits.learn(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "30")]));
        assert_eq!(wait, Some(Duration::from_secs(30)));
        assert!(limits.wait(Kind::Free).is_some());
        assert_eq!(
            limits.learn(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()),
            None
        );
        limits.did_not_answer();
        assert!(limits.is_silent());
        limits.learn(StatusCode::OK, &HeaderMap::new());
        assert!(!limits.is_silent());
    }
}
