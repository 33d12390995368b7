//! Native types of whole templates: where what a template prints is one value and nothing else, the template comes
//! to that value, as in `{% if x %}{{ list }}{% endif %}`; where it prints nothing at all, to none.

use minijinja::{Error, ErrorKind, Output, State, Value};

use super::{convert, taint};

/// What a template has printed.
#[derive(Default)]
struct Printed {
    last: Option<Emission>,
    /// The last that was no text: of a macro or a `{% set %}` block only its text reaches the output.
    last_native: Option<Emission>,
}

#[derive(Clone)]
struct Emission {
    value: Value,
    /// The bytes that it took.
    length: usize,
}

impl Emission {
    /// Whether it is all that was printed.
    fn is(&self, output: &str) -> bool {
        self.length == output.len() && convert::printed(&self.value).is_ok_and(|text| text == output)
    }
}

/// The engine's formatter: prints as Python does, and remembers what.
pub(super) fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        // The engine's own formatter makes the error, and names what is undefined.
        return minijinja::escape_formatter(out, state, value);
    }
    taint::made(value);
    let text = convert::printed(value).map_err(|message| Error::new(ErrorKind::InvalidOperation, message))?;
    let emission = Emission {
        value: value.clone(),
        length: text.len(),
    };
    let printed = state.get_or_insert_extension_with(Printed::default);
    if value.as_str().is_none() {
        printed.last_native = Some(emission.clone());
    }
    printed.last = Some(emission);
    out.write_str(&text).map_err(Error::from)
}

/// What a template comes to that printed `output`; none where that is the text itself.
pub(super) fn outcome(state: &State, output: &str) -> Option<Value> {
    match state.get_extension::<Printed>() {
        None => output.is_empty().then(|| Value::from(())),
        Some(printed) => {
            let native = printed.last_native.as_ref()?;
            let alone = printed.last.as_ref()?.is(output) && native.is(output);
            alone.then(|| native.value.clone())
        }
    }
}
