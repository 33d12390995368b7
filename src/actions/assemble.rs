//! `assemble`: fragments of the controller put together here and placed as `copy` does; those of the target are `modules::assemble`'s.

use std::path::PathBuf;
use std::sync::Arc;

use super::copy::{lent, place_single};
use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::files::assemble::{is_wanted, joined, selection};
use crate::modules::{self, Module, Spec};
use crate::value::Value;

pub struct Assemble;

impl Action for Assemble {
    fn spec(&self) -> &'static Spec {
        const { &<modules::files::assemble::Assemble as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            if task.arguments["remote_src"] == Value::Bool(true) {
                let arguments = task.arguments.clone();
                return Ok(task
                    .target
                    .call("assemble", arguments, Held::default())
                    .await?
                    .into());
            }
            let bytes: Arc<[u8]> = fragments(&task)?.into();
            place_single(&task, lent(&task.arguments), "", &bytes).await
        })
    }
}

fn fragments(task: &Invocation<'_>) -> Result<Vec<u8>, Failure> {
    let src = task.arguments["src"].to_string();
    let folder = task.find_file("files", "src", &src)?;
    if !folder.is_dir() {
        return Err(Failure::new(format!(
            "Source ({}) is not a directory",
            folder.display()
        )));
    }
    let problem = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let regexp = selection(task.arguments["regexp"].as_str()).map_err(|error| Failure::new(error.message))?;
    let ignore_hidden = task.arguments["ignore_hidden"] == Value::Bool(true);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(problem)? {
        let entry = entry.map_err(problem)?;
        let name = entry.file_name();
        if entry.path().is_file() && is_wanted(&name.to_string_lossy(), regexp.as_ref(), ignore_hidden) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let decrypt = task.arguments["decrypt"] == Value::Bool(true);
    let read = |path: &PathBuf| {
        if decrypt {
            task.read("src", path)
        } else {
            std::fs::read(path).map_err(problem)
        }
    };
    let fragments = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(joined(&fragments, task.arguments["delimiter"].as_str()))
}
