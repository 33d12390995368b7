//! `uri`: the controller's half. It names the files that it sends by their digests; the target asks for them.

use super::copy::hold;
use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::net::body::DIGEST;
use crate::modules::{self, Module, Spec};
use crate::value::Value;

pub struct Uri;

impl Action for Uri {
    fn spec(&self) -> &'static Spec {
        const { &<modules::net::uri::Uri as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let mut arguments = task.arguments.clone();
            let mut held = Held::default();
            if arguments["remote_src"] != Value::Bool(true) {
                let name = |argument: &str, src: &Value, held: &mut Held| -> Result<Value, Failure> {
                    let path = task.find_file("files", argument, &src.to_string())?;
                    Ok(hold(&path, false, held)?.sha256.into())
                };
                if let Some(src) = arguments.get("src").filter(|src| **src != Value::Null) {
                    let digest = name("src", src, &mut held)?;
                    arguments.insert(DIGEST.to_owned(), digest);
                }
                if arguments["body_format"] == Value::from("form-multipart")
                    && let Some(Value::Map(fields)) = arguments.get_mut("body")
                {
                    for field in fields.values_mut() {
                        let Value::Map(field) = field else { continue };
                        let given = |key: &str| field.get(key).filter(|value| **value != Value::Null);
                        if let (None, Some(filename)) = (given("content"), given("filename")) {
                            let digest = name("body", filename, &mut held)?;
                            field.insert(DIGEST.to_owned(), digest);
                        }
                    }
                }
            }
            Ok(task.target.call("uri", arguments, held).await?.into())
        })
    }
}
