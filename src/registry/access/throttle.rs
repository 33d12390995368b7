//! Failed log-ins are slowed: a few are free, then each one doubles the time until the next is looked at.
//!
//! Counted by address, and by the user that is guessed at; a user's waits stay short, so that nobody locks out
//! another. Who is remembered to have logged in does not come by here. Memory is bounded: should so many
//! addresses guess that some are forgotten, the users that they guess at are still known.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::generations::Generations;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// The wait after the first one that is not free.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of an address, and of a user.
const LONGEST_ADDRESS: Duration = Duration::from_mins(5);
const LONGEST_USER: Duration = Duration::from_secs(8);
/// After so long without another one, failures are forgotten.
const FORGIVEN: Duration = Duration::from_mins(15);
/// Addresses and users that are remembered, at some 50 bytes each.
const MAX_REMEMBERED: usize = 16_384;

pub struct Throttle {
    failures: Mutex<Generations<u64, Failures>>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            failures: Mutex::new(Generations::new(MAX_REMEMBERED)),
            hasher: RandomState::new(),
        }
    }
}

impl Throttle {
    /// How long a log-in has to wait before it is looked at; none where it need not.
    pub fn wait(&self, address: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys(address, user)
            .into_iter()
            .filter_map(|(key, longest)| failures.get(&key)?.left(longest, now))
            .max()
    }

    pub fn failed(&self, address: IpAddr, user: &str, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in self.keys(address, user) {
            let entry = failures.get_or_insert(&key, || Failures { count: 0, last: now });
            if now.saturating_duration_since(entry.last) > FORGIVEN {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
    }

    /// The address's failures stay: whoever has one account must not guess at others between two log-ins.
    pub fn succeeded(&self, address: IpAddr, user: &str) {
        let [_, (key, _)] = self.keys(address, user);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&key);
    }

    fn keys(&self, address: IpAddr, user: &str) -> [(u64, Duration); 2] {
        [
            (self.hasher.hash_one(network(address)), LONGEST_ADDRESS),
            (self.hasher.hash_one(("user", user)), LONGEST_USER),
        ]
    }
}

impl Failures {
    fn left(&self, longest: Duration, now: Instant) -> Option<Duration> {
        let paid = self.count.checked_sub(FREE)?;
        let wait = FIRST.saturating_mul(1 << paid.min(16)).min(longest);
        let passed = now.saturating_duration_since(self.last);
        wait.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// What one client has for itself: an IPv4 address, or an IPv6 network of 64 bits.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn waits_double_and_end() {
        let throttle = Throttle::default();
        let (home, start) = (address("192.0.2.1"), Instant::now());
        let wait = |now| throttle.wait(home, "alice", now).map(|wait| wait.as_secs());
        for _ in 0..FREE - 1 {
            throttle.failed(home, "alice", start);
            assert_eq!(wait(start), None);
        }
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            throttle.failed(home, "alice", start);
            assert_eq!(wait(start), Some(expected));
        }
        assert_eq!(wait(start + Duration::from_secs(299)), Some(1));
        assert_eq!(wait(start + Duration::from_mins(5)), None);
        let later = start + FORGIVEN + Duration::from_secs(1);
        throttle.failed(home, "alice", later);
        assert_eq!(wait(later), None);
    }

    #[test]
    fn others_wait_only_for_the_user_and_shortly() {
        let throttle = Throttle::default();
        let (guesser, home, now) = (address("2001:db8::1"), address("192.0.2.1"), Instant::now());
        for _ in 0..100 {
            throttle.failed(guesser, "alice", now);
        }
        assert_eq!(throttle.wait(home, "alice", now), Some(LONGEST_USER));
        assert_eq!(throttle.wait(home, "bob", now), None);
        // Another address of the same network is the same client.
        assert_eq!(
            throttle.wait(address("2001:db8::2"), "bob", now),
            Some(LONGEST_ADDRESS)
        );
        assert_eq!(throttle.wait(address("2001:db8:0:1::1"), "bob", now), None);
        throttle.succeeded(guesser, "alice");
        assert_eq!(throttle.wait(home, "alice", now), None);
        assert_eq!(throttle.wait(guesser, "alice", now), Some(LONGEST_ADDRESS));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..100_000_u32 {
            throttle.failed(IpAddr::V4(number.into()), "alice", now);
        }
        assert!(throttle.failures.lock().unwrap().len() <= 2 * MAX_REMEMBERED);
        assert_eq!(
            throttle.wait(address("192.0.2.1"), "alice", now),
            Some(LONGEST_USER)
        );
    }
}
