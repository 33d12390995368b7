//! `script`: a file of the controller, run on the target. After ansible.builtin.script.
//!
//! The file is named by its digest and goes along with the call; running it is `run_script`'s work.

use std::path::Path;

use super::copy::hold;
use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::commands::command::ENDED;
use crate::modules::{Arg, Rule, Spec};
use crate::value::{Map, Value};

pub struct Script;

static SPEC: Spec = Spec {
    name: "script",
    summary: "run a file of the controller on the target",
    args: &[
        Arg::str("_raw_params").doc("The file, looked up in `files/`, and its arguments as for a shell."),
        Arg::str("cmd").doc("The same, as an argument."),
        Arg::str("chdir").doc("Folder on the target to run in, an absolute path."),
        Arg::str("creates").doc("Nothing is run if this path exists."),
        Arg::str("removes").doc("Nothing is run unless this path exists."),
        Arg::str("executable").doc("What the file is given to."),
        Arg::bool("decrypt")
            .default("yes")
            .doc("Decrypt a file that is a vault."),
    ],
    returns: ENDED,
    example: "- script: files/setup.sh --fast\n  args:\n    creates: /etc/app/ready\n",
    free_form: Some("_raw_params"),
    rules: &[
        Rule::OneOf(&["_raw_params", "cmd"]),
        Rule::Exclusive(&["_raw_params", "cmd"]),
    ],
};

/// Arguments that go on to `run_script` as they are.
const PASSED: &[&str] = &["chdir", "creates", "removes", "executable"];

impl Action for Script {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { script(&task).await })
    }
}

async fn script(task: &Invocation<'_>) -> Result<Done, Failure> {
    if let Value::Str(folder) = &task.arguments["chdir"]
        && !folder.starts_with('/')
    {
        return Err(Failure::new(format!(
            "chdir {folder} must be an absolute path for a Unix-aware remote node"
        )));
    }
    let argument = if task.arguments["cmd"] == Value::Null {
        "_raw_params"
    } else {
        "cmd"
    };
    let line = task.arguments[argument].to_string();
    let (name, rest) = first_word(line.trim())
        .ok_or_else(|| Failure::new(format!("the line has a quote that is never closed: {line}")))?;
    let path = task.find_file("files", argument, &name)?;
    let mut held = Held::default();
    let content = hold(&path, task.arguments["decrypt"] == Value::Bool(true), &mut held)?;
    let file = Path::new(&name).file_name().unwrap_or_default().to_string_lossy();
    let mut arguments: Map = PASSED
        .iter()
        .map(|name| ((*name).to_owned(), task.arguments[*name].clone()))
        .collect();
    arguments.insert("name".to_owned(), Value::from(file.as_ref()));
    arguments.insert("digest".to_owned(), Value::from(content.sha256));
    arguments.insert("arguments".to_owned(), Value::from(rest));
    Ok(task.target.call("run_script", arguments, held).await?.into())
}

/// The first word as a shell reads it, and what follows as it is written.
fn first_word(line: &str) -> Option<(String, &str)> {
    let ends = line
        .char_indices()
        .filter(|(_, c)| c.is_whitespace())
        .map(|(at, _)| at);
    for end in ends.chain([line.len()]) {
        // A blank within quotes or behind a backslash ends no word.
        if line[..end].ends_with('\\') {
            continue;
        }
        if let Ok(words) = shell_words::split(&line[..end])
            && let [word] = words.as_slice()
        {
            return Some((word.clone(), line[end..].trim_start()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_first() {
        for (line, word, rest) in [
            ("a.sh", "a.sh", ""),
            ("a.sh  -x 'y z' $V", "a.sh", "-x 'y z' $V"),
            ("'space path/a.sh' b", "space path/a.sh", "b"),
            (r"space\ path/a.sh b", "space path/a.sh", "b"),
        ] {
            assert_eq!(first_word(line), Some((word.to_owned(), rest)), "{line}");
        }
        assert_eq!(first_word("'a b"), None);
    }
}
