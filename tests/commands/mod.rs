//! Commands beside running playbooks, and exactly what they print.

use crate::case::{self, Case};

#[test]
fn prints_what_was_agreed() {
    case::check("commands/cases", Case::compare);
}
