//! What is made of secrets is secret too: which values an evaluation reads, and what comes out of it.
//!
//! Filters, functions and methods are followed one by one ([`follow`]), so that a digest in the middle of a rendered
//! file is known by itself. What the engine does alone, such as slices, is noticed at the end of an expression
//! ([`made`]): its text is secret if a secret was read and if it is neither what was written nor what was read besides.

use std::cell::RefCell;
use std::collections::HashSet;

use minijinja::Value as Native;

use super::convert;
use super::scope::is_lazy;
use crate::secrets;
use crate::value::Value;

/// Shorter results say too little.
const SHORTEST: usize = 4;

/// One evaluation, and what it has read since something was last made of it.
#[derive(Default)]
struct Reading {
    /// The text that is evaluated.
    written: String,
    /// Texts with secrets in them, and texts without.
    secret: HashSet<String>,
    public: HashSet<String>,
}

thread_local! {
    /// The evaluations under way, outermost first.
    static READINGS: RefCell<Vec<Reading>> = const { RefCell::new(Vec::new()) };
}

/// Has what a call has made of secrets known.
pub(super) fn follow<'n>(inputs: impl IntoIterator<Item = &'n Native>, output: &Native) {
    if !secrets::any() {
        return;
    }
    let usable = |value: &&Native| !value.is_undefined() && !is_lazy(value);
    let data = |value: &Native| {
        Some(value)
            .filter(usable)
            .and_then(|value| convert::to_value(value).ok())
    };
    let Some(output) = data(output) else {
        return;
    };
    let inputs: Vec<Value> = inputs.into_iter().filter_map(data).collect();
    secrets::follow(&inputs.iter().collect::<Vec<_>>(), &output);
}

/// Notes a value that is used.
pub(super) fn read(value: &Native) {
    if !secrets::any() {
        return;
    }
    if let Some(text) = value.as_str() {
        note(text);
    }
}

/// Notes everything that is in a value.
pub(super) fn read_value(value: &Value) {
    if secrets::any() {
        secrets::each_text(value, &mut note);
    }
}

fn note(text: &str) {
    READINGS.with_borrow_mut(|readings| {
        let Some(reading) = readings.last_mut() else {
            return;
        };
        if secrets::is_in(text) {
            reading.secret.insert(text.to_owned());
        } else {
            reading.public.insert(text.to_owned());
        }
    });
}

/// Evaluates what is written in `text`, an expression; its value is judged at the end.
pub(super) fn watch<E>(text: &str, evaluate: impl FnOnce() -> Result<Native, E>) -> Result<Native, E> {
    within(text, || {
        let value = evaluate()?;
        made(&value);
        Ok(value)
    })
}

/// Renders what is written in `text`; the engine's formatter has each value judged that is printed.
pub(super) fn within<T>(text: &str, render: impl FnOnce() -> T) -> T {
    let written = text.to_owned();
    READINGS.with_borrow_mut(|readings| {
        readings.push(Reading {
            written,
            ..Reading::default()
        });
    });
    let result = render();
    READINGS.with_borrow_mut(Vec::pop);
    result
}

/// An expression came to this: it is secret if a secret was read for it and it is nothing that was there before.
pub(super) fn made(value: &Native) {
    if !secrets::any() {
        return;
    }
    let number = value.is_number().then(|| value.to_string());
    let text = value
        .as_str()
        .or(number.as_deref())
        .filter(|text| text.len() >= SHORTEST);
    READINGS.with_borrow_mut(|readings| {
        let Some(reading) = readings.last_mut() else {
            return;
        };
        let was_there = |text: &str| {
            reading.public.contains(text) || reading.secret.contains(text) || reading.written.contains(text)
        };
        // Where all secrets are still to be seen they are hidden, and what is around them is not secret.
        let whole = |text: &str| reading.secret.iter().all(|secret| text.contains(secret.trim()));
        if let Some(text) = text.filter(|text| !was_there(text) && !whole(text)) {
            secrets::learn(text);
        }
        reading.secret.clear();
        reading.public.clear();
    });
}
