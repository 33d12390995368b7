//! `unarchive`: the controller's half. It names the archive by its digest; the target asks for it.

use super::copy::hold;
use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::{self, Module, Spec};
use crate::value::Value;

pub struct Unarchive;

impl Action for Unarchive {
    fn spec(&self) -> &'static Spec {
        const { &<modules::files::unarchive::Unarchive as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let mut arguments = task.arguments.clone();
            let mut held = Held::default();
            let on_target = match &arguments["copy"] {
                Value::Bool(copy) => !copy,
                _ => arguments["remote_src"] == Value::Bool(true),
            };
            if !on_target {
                let src = arguments["src"].to_string();
                if src.contains("://") {
                    return Err(Failure::new(
                        "Unsupported option, an URI src is only supported when remote_src is True",
                    ));
                }
                let path = task.find_file("files", "src", &src)?;
                let content = hold(&path, arguments["decrypt"] == Value::Bool(true), &mut held)?;
                arguments.insert("digest".to_owned(), Value::from(content.sha256));
            }
            Ok(task.target.call("unarchive", arguments, held).await?.into())
        })
    }
}
