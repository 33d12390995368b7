//! How much a client may ask for: token buckets, one for each client and kind of thing.
//!
//! A client is a user, or where nobody has logged in an address. A bucket holds what is allowed in one
//! period and fills evenly. Bytes are known only when they go out or have come in, so they are taken afterwards and
//! may leave a debt: who has one waits until it is paid. Each way has a bucket of its own.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::generations::Generations;
use super::throttle::network;

/// Clients that are remembered, at some 60 bytes each. One that is forgotten starts with a full bucket.
const MAX_CLIENTS: usize = 16_384;

/// So much in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub amount: u64,
    pub period: Duration,
}

/// The limits of one kind of client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    pub requests: Option<Rate>,
    /// That are sent to it.
    pub bytes: Option<Rate>,
    /// That are taken from it.
    pub received: Option<Rate>,
}

/// The bytes of one request, both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub sent: u64,
    pub received: u64,
}

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("", 1),
];

/// `10GiB`, `500MB`, `4096`
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    number
        .parse::<u64>()
        .ok()
        .zip(unit)
        .and_then(|(number, (_, factor))| number.checked_mul(*factor))
        .ok_or_else(|| "must be a size such as 10GiB, 500MB or 4096".to_owned())
}

/// The same, written with the largest unit that divides it.
pub fn shown_size(size: u64) -> String {
    let mut units = UNITS.iter().rev().filter(|(name, _)| name.ends_with("iB"));
    match units.find(|(_, factor)| size > 0 && size.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", size / factor),
        None => size.to_string(),
    }
}

const PERIODS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

impl FromStr for Rate {
    type Err = String;

    /// `100/s`, `1000/10m`, `5GiB/h`
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "must be a rate such as 100/s, 1000/10m or 5GiB/h".to_owned();
        let (amount, period) = text.split_once('/').ok_or_else(refused)?;
        let amount = size(amount).map_err(|_| refused())?;
        let (unit, seconds) = PERIODS
            .iter()
            .find(|(unit, _)| period.ends_with(unit))
            .ok_or_else(refused)?;
        let number = match period.strip_suffix(unit) {
            Some("") | None => 1,
            Some(number) => number.parse::<u32>().map_err(|_| refused())?,
        };
        let period = Duration::from_secs(u64::from(number) * seconds);
        if amount == 0 || period.is_zero() {
            return Err(refused());
        }
        Ok(Self { amount, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let (unit, factor) = PERIODS
            .iter()
            .rev()
            .find(|(_, factor)| seconds.is_multiple_of(*factor))
            .unwrap_or(&PERIODS[0]);
        write!(f, "{}/", shown_size(self.amount))?;
        match seconds / factor {
            1 => f.write_str(unit),
            number => write!(f, "{number}{unit}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

#[expect(clippy::cast_precision_loss, reason = "what a petabyte loses by it is a byte")]
impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.amount as f64,
            at: now,
        }
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let capacity = rate.amount as f64;
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + capacity * passed / rate.period.as_secs_f64()).min(capacity);
        self.at = now;
    }

    /// Until there is `amount`.
    fn wait(&self, rate: Rate, amount: f64) -> Option<Duration> {
        let missing = amount - self.left;
        (missing > 0.0)
            .then(|| Duration::from_secs_f64(missing * rate.period.as_secs_f64() / rate.amount as f64))
    }

    fn take(&mut self, amount: u64) {
        self.left -= amount as f64;
    }
}

/// Who is counted.
#[derive(Debug, Clone, Copy, Hash)]
pub enum Client<'a> {
    Named(&'a str),
    Address(IpAddr),
}

#[derive(Hash)]
enum Kind {
    Requests,
    Sent,
    Received,
}

pub struct Buckets {
    buckets: Mutex<Generations<u64, Bucket>>,
    hasher: RandomState,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            buckets: Mutex::new(Generations::new(MAX_CLIENTS)),
            hasher: RandomState::new(),
        }
    }
}

impl Buckets {
    /// Counts a request, or says how long to wait.
    pub fn admit(&self, limit: Limit, client: Client<'_>, now: Instant) -> Result<(), Duration> {
        for (kind, rate) in [(Kind::Sent, limit.bytes), (Kind::Received, limit.received)] {
            if let Some(rate) = rate {
                let wait = self.with(rate, &kind, client, now, |bucket| bucket.wait(rate, 0.0));
                wait.map_or(Ok(()), Err)?;
            }
        }
        let Some(rate) = limit.requests else { return Ok(()) };
        self.with(rate, &Kind::Requests, client, now, |bucket| {
            if let Some(wait) = bucket.wait(rate, 1.0) {
                return Err(wait);
            }
            bucket.take(1);
            Ok(())
        })
    }

    /// Counts bytes that are being sent, or have come.
    pub fn count(&self, limit: Limit, client: Client<'_>, traffic: Traffic, now: Instant) {
        for (kind, rate, bytes) in [
            (Kind::Sent, limit.bytes, traffic.sent),
            (Kind::Received, limit.received, traffic.received),
        ] {
            if let Some(rate) = rate
                && bytes > 0
            {
                self.with(rate, &kind, client, now, |bucket| bucket.take(bytes));
            }
        }
    }

    fn with<T>(
        &self,
        rate: Rate,
        kind: &Kind,
        client: Client<'_>,
        now: Instant,
        work: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let client = match client {
            Client::Address(address) => Client::Address(network(address)),
            named @ Client::Named(_) => named,
        };
        let key = self.hasher.hash_one((kind, client));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get_or_insert(&key, || Bucket::full(rate, now));
        bucket.fill(rate, now);
        work(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, shown) in [
            ("100/s", Some("100/s")),
            ("1000/10m", Some("1000/10m")),
            ("60/60s", Some("60/m")),
            ("5GiB/h", Some("5GiB/h")),
            ("1024KiB/24h", Some("1MiB/d")),
            ("5GB/d", Some("5000000000/d")),
            ("", None),
            ("100", None),
            ("0/s", None),
            ("1/0s", None),
            ("1/x", None),
            ("-1/s", None),
            ("1/w", None),
            ("99999999999999999999/s", None),
            ("1/99999999999s", None),
        ] {
            let rate: Option<Rate> = text.parse().ok();
            assert_eq!(rate.map(|rate| rate.to_string()).as_deref(), shown, "{text}");
            assert_eq!(rate.map(|rate| rate.to_string().parse()), rate.map(Ok), "{text}");
        }
    }

    #[test]
    fn requests_are_taken_from_a_bucket_that_fills() {
        let buckets = Buckets::default();
        let limit = Limit {
            requests: Some("2/10s".parse().unwrap()),
            ..Limit::default()
        };
        let (alice, start) = (Client::Named("alice"), Instant::now());
        let admit = |client, seconds| buckets.admit(limit, client, start + Duration::from_secs(seconds));
        assert_eq!(admit(alice, 0), Ok(()));
        assert_eq!(admit(alice, 0), Ok(()));
        assert_eq!(admit(alice, 0), Err(Duration::from_secs(5)));
        assert_eq!(admit(Client::Named("bob"), 0), Ok(()));
        assert_eq!(admit(alice, 5), Ok(()));
        assert_eq!(admit(alice, 6), Err(Duration::from_secs(4)));
        // Never more than the bucket holds.
        for expected in [Ok(()), Ok(()), Err(Duration::from_secs(5))] {
            assert_eq!(admit(alice, 10_000), expected);
        }
    }

    #[test]
    fn bytes_leave_a_debt() {
        let buckets = Buckets::default();
        let rate = || Some("1KiB/s".parse().unwrap());
        let (bytes, received) = (
            Limit {
                bytes: rate(),
                ..Limit::default()
            },
            Limit {
                received: rate(),
                ..Limit::default()
            },
        );
        let client = Client::Address("192.0.2.1".parse().unwrap());
        let start = Instant::now();
        let later = start + Duration::from_secs(4);
        let traffic = |sent, received| Traffic { sent, received };
        assert_eq!(buckets.admit(bytes, client, start), Ok(()));
        buckets.count(bytes, client, traffic(5 << 10, 1 << 30), start);
        assert_eq!(buckets.admit(bytes, client, start), Err(Duration::from_secs(4)));
        // The other way is counted by itself.
        assert_eq!(buckets.admit(received, client, start), Ok(()));
        buckets.count(received, client, traffic(1 << 30, 5 << 10), start);
        assert_eq!(
            buckets.admit(received, client, start),
            Err(Duration::from_secs(4))
        );
        for limit in [bytes, received] {
            assert_eq!(buckets.admit(limit, client, later), Ok(()));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let buckets = Buckets::default();
        let limit = Limit {
            requests: Some("1/s".parse().unwrap()),
            ..Limit::default()
        };
        let now = Instant::now();
        for number in 0..100_000_u32 {
            let client = Client::Address(IpAddr::V4(number.into()));
            assert_eq!(buckets.admit(limit, client, now), Ok(()));
        }
        assert!(buckets.buckets.lock().unwrap().len() <= 2 * MAX_CLIENTS);
    }
}
