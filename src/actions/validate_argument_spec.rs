//! `validate_argument_spec`: whether variables are what an argument spec says; roles with one start with it.

use super::argument_spec;
use super::{Action, Done, Failure, Invocation, Pending};
use crate::modules::{Arg, Return, Spec};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct ValidateArgumentSpec;

static SPEC: Spec = Spec {
    name: "validate_argument_spec",
    summary: "compare variables with an argument spec",
    args: &[
        Arg::dict("argument_spec")
            .required()
            .doc("options by name: type, required, default, choices, elements, options, ..."),
        Arg::dict("provided_arguments").doc("values that beat variables of the same names"),
        Arg::dict("validate_args_context").doc("handed on in the result: what is validated"),
    ],
    returns: &[
        Return::new("argument_spec_data", "dict", "the specification"),
        Return::new("argument_errors", "list of str", "what is wrong").when("it failed"),
        Return::new("validate_args_context", "dict", "where the specification is from"),
    ],
    example: "- validate_argument_spec:\n    argument_spec:\n      app_port: {type: int, required: true}\n    provided_arguments:\n      app_port: '{{ app_port }}'\n",
    free_form: None,
    rules: &[],
};

impl Action for ValidateArgumentSpec {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { validate(&task) })
    }
}

fn validate(task: &Invocation) -> Result<Done, Failure> {
    let map = |name: &str| task.arguments[name].as_map().cloned().unwrap_or_default();
    let spec = map("argument_spec");
    let mut given = Map::new();
    for name in spec.keys() {
        if let Some(value) = task.scope.value(name)? {
            given.insert(name.clone(), value);
        }
    }
    given.extend(map("provided_arguments"));
    let errors = argument_spec::validate(&spec, given);
    let context = map("validate_args_context");
    let outcome = if errors.is_empty() {
        Outcome::ok().with("msg", "The arg spec validation passed")
    } else {
        Outcome::failed(format!("Validation of arguments failed:\n{}", errors.join("\n")))
            .with("argument_spec_data", spec)
            .with("argument_errors", Value::from(errors))
    };
    Ok(outcome.with("validate_args_context", context).into())
}
