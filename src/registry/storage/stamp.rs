//! Stamps: whether something is what it was when it was last read, for the price of one `stat`.
//!
//! Whatever writes to a file system, distribution's own server included, changes the stamp. Not if it writes
//! within one tick of the clock that stamps are taken from; a stamp is therefore to be relied on only once it
//! [has settled](Stamp::has_settled).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// How old a change must be for the next one to show. File systems keep times of 10 ms to a second, and a
/// file server's clock may run beside ours.
const SETTLED: Duration = Duration::from_secs(2);

/// Equal stamps that have settled mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970 of the last change, of content or of metadata.
    changed: i64,
}

impl Stamp {
    pub(super) fn new(stat: &Stat) -> Self {
        #[allow(
            clippy::unnecessary_cast,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            reason = "the types differ between architectures; sizes and inode numbers are not negative"
        )]
        Self {
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            changed: (stat.st_ctime as i64)
                .saturating_mul(1_000_000_000)
                .saturating_add(stat.st_ctime_nsec as i64),
        }
    }

    /// Of an object: its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether any later change would have another stamp.
    pub fn has_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let trusted = now.saturating_sub(SETTLED).as_nanos();
        i128::from(self.changed) < i128::try_from(trusted).unwrap_or(i128::MAX)
    }
}
