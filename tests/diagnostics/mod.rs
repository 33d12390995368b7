//! Bad input, and exactly what is said about it.

mod endings;

use crate::case::{self, Case};

#[test]
fn says_what_is_wrong() {
    case::check("diagnostics/cases", Case::compare);
}
