//! Arguments that a module's table calls secret, taken out of whatever the module says: of what is registered too.

use crate::actions::{Done, Failure};
use crate::modules::Spec;
use crate::value::{Map, Value};

/// In place of a value that is such an argument.
const WHOLE: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";
/// In place of such an argument inside of a text.
const PART: &str = "********";

/// The values of one call, the longest first: one may be a part of another.
pub struct Hidden(Vec<String>);

impl Hidden {
    pub fn of(spec: &Spec, arguments: &Map) -> Self {
        let mut values = Vec::new();
        // An argument `X_no_log` makes a secret of the argument `X`.
        let asked = |name: &str| arguments.get(&format!("{name}_no_log")).and_then(Value::truth);
        for arg in spec
            .args
            .iter()
            .filter(|arg| arg.secret || asked(arg.name) == Some(true))
        {
            if let Some(value) = arguments.get(arg.name) {
                collect(value, &mut values);
            }
        }
        values.sort_by_key(|value: &String| std::cmp::Reverse(value.len()));
        Self(values)
    }

    pub fn mask(&self, result: Result<Done, Failure>) -> Result<Done, Failure> {
        if self.0.is_empty() {
            return result;
        }
        match result {
            Ok(mut done) => {
                let values = done.outcome.values.values_mut();
                for value in values.chain(done.invocation.values_mut()) {
                    self.value(value);
                }
                for diff in &mut done.outcome.diff {
                    for text in [&mut diff.before, &mut diff.after] {
                        *text = self.text(text);
                    }
                }
                Ok(done)
            }
            Err(Failure::Failed { message, diagnostic }) => Err(Failure::Failed {
                message: self.text(&message),
                diagnostic: diagnostic.map(|mut diagnostic| {
                    diagnostic.message = self.text(&diagnostic.message);
                    diagnostic
                }),
            }),
            Err(unreachable @ Failure::Unreachable(_)) => Err(unreachable),
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Str(text) => {
                *text = if self.0.contains(text) {
                    WHOLE.to_owned()
                } else {
                    self.text(text)
                };
            }
            Value::Int(_) | Value::Float(_) => {
                let text = value.to_string();
                if self.0.iter().any(|hidden| text.contains(hidden.as_str())) {
                    *value = WHOLE.into();
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Map(map) => map.values_mut().for_each(|item| self.value(item)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&self, text: &str) -> String {
        let masked = |text: String, hidden: &String| text.replace(hidden.as_str(), PART);
        self.0.iter().fold(text.to_owned(), masked)
    }
}

fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Str(text) if !text.is_empty() => values.push(text.clone()),
        Value::Int(_) | Value::Float(_) => values.push(value.to_string()),
        Value::List(items) => items.iter().for_each(|item| collect(item, values)),
        Value::Map(map) => map.values().for_each(|item| collect(item, values)),
        Value::Str(_) | Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Arg;
    use crate::wire::message::Outcome;

    static SPEC: Spec = Spec {
        name: "t",
        summary: "",
        args: &[
            Arg::raw("password").secret(),
            Arg::raw("other"),
            Arg::bool("other_no_log"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn masked(arguments: &str, result: &str) -> String {
        let hidden = Hidden::of(&SPEC, &serde_json::from_str(arguments).unwrap());
        let mut outcome = Outcome::ok();
        outcome.values = serde_json::from_str(result).unwrap();
        serde_json::to_string(&hidden.mask(Ok(outcome.into())).unwrap().outcome.values).unwrap()
    }

    #[test]
    fn secrets_of_this_task_alone() {
        for (flag, seen) in [("true", "pw=********"), ("false", "pw=x1")] {
            let arguments = format!(r#"{{"other":"x1","other_no_log":{flag}}}"#);
            assert_eq!(
                masked(&arguments, r#"{"a":"pw=x1"}"#),
                format!(r#"{{"a":"{seen}"}}"#)
            );
        }
    }

    #[test]
    fn values_and_parts_of_texts() {
        assert_eq!(
            masked(
                r#"{"password":"abc","other":"x"}"#,
                r#"{"a":"abc","b":["an abc",1,true,null],"c":{"abc":"x"}}"#
            ),
            r#"{"a":"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER","b":["an ********",1,true,null],"c":{"abc":"x"}}"#
        );
        assert_eq!(
            masked(
                r#"{"password":{"a":"RET","b":"SECRET1","c":12}}"#,
                r#"{"a":"SECRET1 RET","b":3124,"c":""}"#
            ),
            r#"{"a":"******** ********","b":"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER","c":""}"#
        );
        assert_eq!(
            masked(r#"{"password":"","other":"x"}"#, r#"{"a":"x"}"#),
            r#"{"a":"x"}"#
        );
    }
}
