//! Tests (`x is NAME`) beyond the engine's own.

use minijinja::{Environment, Value};

use super::rewrite::Chain;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_test("defined", |value: &Value| !Chain::unwrap(value).is_undefined());
    environment.add_test("undefined", |value: &Value| Chain::unwrap(value).is_undefined());
}
