//! Filters beyond the engine's own: one table a file.

use minijinja::{Environment, Value};

use super::rewrite::Chain;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("default", default);
    environment.add_filter("d", default);
}

/// `default(value, boolean=false)`: with `boolean`, for whatever is not true.
fn default(value: &Value, other: Option<Value>, boolean: Option<bool>) -> Value {
    let value = Chain::unwrap(value);
    let wanted = if boolean.unwrap_or(false) {
        value.is_true()
    } else {
        !value.is_undefined()
    };
    if wanted {
        value
    } else {
        other.unwrap_or_else(|| Value::from(""))
    }
}
