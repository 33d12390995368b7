//! Cases that are made rather than written: what they combine is too much to write down.

use super::scenario::Scenario;

pub fn all() -> Vec<Scenario> {
    Vec::new()
}
