//! `vars_prompt`: variables that somebody types before the play starts.
//!
//! Without a terminal nobody is asked: the default is taken, or null, and a warning says so.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use super::run::Run;
use super::scope::layer;
use crate::diagnostic::Diagnostic;
use crate::output::Event;
use crate::playbook::Play;
use crate::template::{self, Names, Scope, Variable};
use crate::value::Value;
use crate::yaml::Node;

/// What an entry may say.
const OPTIONS: &[&str] = &[
    "name",
    "prompt",
    "default",
    "private",
    "confirm",
    "encrypt",
    "salt_size",
    "salt",
    "unsafe",
];

/// One entry of `vars_prompt`.
struct Prompt {
    name: String,
    text: String,
    default: Option<Value>,
    private: bool,
    confirm: bool,
    encrypt: Option<String>,
    salt: Option<String>,
    salt_size: Option<Value>,
}

/// The answers; extra variables need none.
pub fn ask(run: &Run, play: &Play, scope: &Arc<Scope>) -> Result<Names, Diagnostic> {
    let mut answers = Names::new();
    let Some(node) = play.get("vars_prompt") else {
        return Ok(answers);
    };
    for entry in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        let prompt = read(entry, scope)?;
        if run.settings.extra_vars.contains_key(&prompt.name) {
            continue;
        }
        let given = if std::io::stdin().is_terminal() {
            typed(&prompt, entry)?
        } else {
            run.show(&Event::Warning("Not prompting as we are not in interactive mode"));
            None
        };
        let answer = match (given.or_else(|| prompt.default.clone()), &prompt.encrypt) {
            (Some(answer), Some(scheme)) => encrypted(&answer, scheme, &prompt, entry, scope)?,
            (answer, _) => answer.unwrap_or(Value::Null),
        };
        answers.insert(prompt.name, Variable::Value(answer));
    }
    Ok(answers)
}

fn read(entry: &Node, scope: &Arc<Scope>) -> Result<Prompt, Diagnostic> {
    let Some(map) = entry.as_map() else {
        return Err(Diagnostic::error(format!(
            "an entry of `vars_prompt` is a map, not {}",
            entry.described()
        ))
        .at(&entry.span)
        .hint("write `- name: VARIABLE` and below it `prompt:`"));
    };
    let unnamed =
        || Diagnostic::error("Invalid vars_prompt data structure, missing 'name' key").at(&entry.span);
    if !map.contains_key("name") {
        return Err(unnamed());
    }
    if let Some((name, found)) = map.iter().find(|(name, _)| !OPTIONS.contains(&name.as_str())) {
        return Err(Diagnostic::error(format!(
            "Invalid vars_prompt data structure, found unsupported key '{name}'"
        ))
        .at(&found.key)
        .nearest(name, OPTIONS.iter().copied()));
    }
    let option = |name: &str| -> Result<Option<Value>, Diagnostic> {
        let value = entry
            .get(name)
            .map(|node| template::evaluate(node, scope))
            .transpose();
        Ok(value
            .map_err(|error| error.diagnostic.malformed())?
            .filter(|value| *value != Value::Null))
    };
    let text = |name: &str| Ok::<_, Diagnostic>(option(name)?.map(|value| value.to_string()));
    let truth = |name: &str, usual: bool| {
        Ok::<_, Diagnostic>(option(name)?.and_then(|value| value.truth()).unwrap_or(usual))
    };
    let name = text("name")?.ok_or_else(unnamed)?;
    Ok(Prompt {
        text: text("prompt")?.unwrap_or_else(|| name.clone()),
        default: option("default")?,
        private: truth("private", true)?,
        confirm: truth("confirm", false)?,
        encrypt: text("encrypt")?,
        salt: text("salt")?,
        salt_size: option("salt_size")?,
        name,
    })
}

/// What somebody types; none for an empty answer.
fn typed(prompt: &Prompt, entry: &Node) -> Result<Option<Value>, Diagnostic> {
    let question = match &prompt.default {
        Some(default) if !prompt.private => format!("{} [{default}]: ", prompt.text),
        _ => format!("{}: ", prompt.text),
    };
    loop {
        let answer = line(&question, prompt.private).map_err(|error| unanswered(&error, entry))?;
        if prompt.confirm {
            let again = line(&format!("confirm {question}"), prompt.private)
                .map_err(|error| unanswered(&error, entry))?;
            if answer != again {
                println!("***** VALUES ENTERED DO NOT MATCH ****");
                continue;
            }
        }
        return Ok(Some(answer).filter(|answer| !answer.is_empty()).map(Value::from));
    }
}

fn unanswered(error: &std::io::Error, entry: &Node) -> Diagnostic {
    Diagnostic::error(format!("cannot ask for a variable: {error}"))
        .at(&entry.span)
        .hint("give it with `-e` instead")
}

fn line(question: &str, private: bool) -> std::io::Result<String> {
    if private {
        return rpassword::prompt_password(question);
    }
    print!("{question}");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// The answer's hash, by the filter that playbooks use for it.
fn encrypted(
    answer: &Value,
    scheme: &str,
    prompt: &Prompt,
    entry: &Node,
    scope: &Arc<Scope>,
) -> Result<Value, Diagnostic> {
    let scope = scope.with(layer([
        ("answer".to_owned(), answer.clone()),
        ("scheme".to_owned(), Value::from(scheme)),
        (
            "salt".to_owned(),
            prompt.salt.clone().map_or(Value::Null, Value::from),
        ),
        (
            "salt_size".to_owned(),
            prompt.salt_size.clone().unwrap_or(Value::Null),
        ),
    ]));
    let arguments = match (&prompt.salt, &prompt.salt_size) {
        (Some(_), _) => "scheme, salt",
        (None, Some(_)) => "scheme, salt_size=salt_size",
        (None, None) => "scheme",
    };
    let text = format!("{{{{ answer | password_hash({arguments}) }}}}");
    template::evaluate_text(&text, &entry.span, &scope).map_err(|error| error.diagnostic)
}
