//! `debug`: shows a text or a variable.

use super::{Action, Done, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Rule, Spec};
use crate::template;
use crate::value::Value;
use crate::wire::message::Outcome;
use crate::yaml::Node;

pub struct Debug;

const OMITTED: &str =
    "The result of the `var` expression could not be omitted; a placeholder was used instead.";

static SPEC: Spec = Spec {
    name: "debug",
    summary: "show a text or a variable",
    args: &[
        Arg::raw("msg").doc("what to show"),
        Arg::raw("var").doc("an expression whose value is shown; no braces"),
        Arg::int("verbosity")
            .default("0")
            .doc("shown from this many `-v` on"),
    ],
    returns: &[],
    example: "",
    free_form: None,
    rules: &[Rule::Exclusive(&["msg", "var"])],
};

impl Action for Debug {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { debug(&task) })
    }
}

fn debug(task: &Invocation) -> Result<Done, Failure> {
    let wanted = task.arguments["verbosity"].as_int().unwrap_or(0);
    let verbosity = task
        .scope
        .value("ansible_verbosity")?
        .and_then(|value| value.as_int())
        .unwrap_or(0);
    if wanted > verbosity {
        let mut outcome = Outcome::skipped("").with("skipped_reason", "Verbosity threshold not met.");
        outcome.values.shift_remove("msg");
        return Ok(outcome.into());
    }
    let outcome = match &task.arguments["var"] {
        Value::Null => {
            // A message that comes to none is one; only where there is none at all the usual one is shown.
            let given = match task.raw.get("msg") {
                Some(node) => !template::is_omitted(node, &task.scope)?,
                None => task.arguments["msg"] != Value::Null,
            };
            let message = if given {
                task.arguments["msg"].clone()
            } else {
                "Hello world!".into()
            };
            Outcome::ok().with("msg", message)
        }
        Value::Str(name) => {
            let node = task.raw.get("var").unwrap_or(task.raw);
            let expression = template::expression(node, &task.scope).map_err(|mut error| {
                let message = &mut error.diagnostic.message;
                message.insert_str(0, "Error while resolving `var` expression: ");
                error
            })?;
            let expression = format!("{{{{ {expression} }}}}");
            let expression = Node::text(&expression, &node.span);
            match template::evaluate_or_omit(&expression, &task.scope) {
                Ok(Some(value)) => Outcome::ok().with(name, value),
                Ok(None) => Outcome::ok()
                    .with(name, "<<Omit>>")
                    .with("warnings", vec![OMITTED.to_owned()]),
                Err(error) if error.undefined => {
                    let warning = format!("Encountered 1 template error.\nerror 1 - {error}");
                    Outcome::ok()
                        .with(name, format!("<< error 1 - {error} >>"))
                        .with("warnings", vec![warning])
                }
                Err(error) => return Err(error.into()),
            }
        }
        other => {
            let (node, found) = (task.raw.get("var").unwrap_or(task.raw), other.type_name());
            let message = format!(
                "argument 'var' is of type {found} and we were unable to convert to str: '{found}' is not a string \
                 and conversion is not allowed"
            );
            return Err(Diagnostic::error(message).at(&node.span).into());
        }
    };
    Ok(Done {
        outcome,
        shown: true,
        ..Done::default()
    })
}
