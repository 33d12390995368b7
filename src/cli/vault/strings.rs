//! `vault encrypt-string`: values as YAML, to be put into files of variables.

use std::fmt::Write;
use std::io::{IsTerminal, Read};
use std::path::Path;

use super::arguments::EncryptString;
use super::{Failed, Verb, files};
use crate::diagnostic::Diagnostic;
use crate::vault::prompt;

/// How deep Ansible's own indents the armour.
const INDENT: usize = 10;

/// A value, the name of its variable, and where it comes from in the words of Ansible's messages.
struct Given {
    name: Option<String>,
    text: String,
    origin: &'static str,
}

impl Verb {
    pub(super) fn encrypt_strings(&self, arguments: &EncryptString) -> Result<(), Failed> {
        let given = given(arguments)?;
        if let Some(empty) = given.iter().find(|given| given.text.is_empty()) {
            let error = Diagnostic::error(match empty.origin {
                "stdin" => "stdin was empty, not encrypting".to_owned(),
                origin => format!("The plaintext provided from the {origin} was empty, not encrypting"),
            });
            return Err(Failed(error, super::AMBIGUOUS));
        }
        let (id, password) = self.to_encrypt(&arguments.passwords, &arguments.encrypt)?;
        let mut out = String::new();
        for (index, value) in given.iter().enumerate() {
            let vault = self.seal(value.text.as_bytes(), &id, &password)?;
            if given.len() > 1 {
                let name = value
                    .name
                    .as_ref()
                    .map(|name| format!("(\"{name}\", "))
                    .unwrap_or_default();
                let close = if name.is_empty() { "" } else { ")" };
                eprintln!(
                    "# The encrypted version of variable {name}the string #{} from the {}{close}.",
                    index + 1,
                    value.origin
                );
            }
            let name = value
                .name
                .as_ref()
                .map(|name| format!("{name}: "))
                .unwrap_or_default();
            let _ = writeln!(out, "{name}!vault |");
            for line in String::from_utf8_lossy(&vault).lines() {
                let _ = writeln!(out, "{:INDENT$}{line}", "");
            }
        }
        let output = arguments.output.output.as_deref();
        Ok(files::write(
            output.unwrap_or(Path::new(files::DASH)),
            out.as_bytes(),
        )?)
    }
}

/// The values: of a person, of standard input, of the command line, in this order.
fn given(arguments: &EncryptString) -> Result<Vec<Given>, Diagnostic> {
    let mut given = Vec::new();
    if arguments.prompt {
        let named = prompt_visibly("Variable name (enter for no name): ")?;
        let question = "String to encrypt: ";
        given.push(Given {
            name: Some(named).filter(|name| !name.is_empty()),
            text: if arguments.show_input {
                prompt_visibly(question)?
            } else {
                prompt(question)?
            },
            origin: "interactive prompt",
        });
    }
    let values = || arguments.values.iter().filter(|value| *value != files::DASH);
    let nothing_else = !arguments.prompt && arguments.values.is_empty();
    if nothing_else || arguments.stdin_name.is_some() || values().count() < arguments.values.len() {
        if std::io::stdin().is_terminal() {
            eprintln!(
                "Reading plaintext input from stdin. (ctrl-d to end input, twice if your content does not already have a newline)"
            );
        }
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(|error| Diagnostic::error(format!("cannot read standard input: {error}")))?;
        given.push(Given {
            name: arguments.stdin_name.clone(),
            text,
            origin: "stdin",
        });
    }
    let mut names = arguments.names.iter().cloned();
    given.extend(values().map(|text| Given {
        name: names.next(),
        text: text.clone(),
        origin: "command line args",
    }));
    Ok(given)
}

fn prompt_visibly(question: &str) -> Result<String, Diagnostic> {
    eprint!("{question}");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Diagnostic::error(format!("cannot read the answer: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
