//! `lookup()`, `query()`, `q()`: one file a lookup, one table.

use minijinja::Environment;

pub(super) fn install(_environment: &mut Environment<'static>) {}
