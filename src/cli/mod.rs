//! The command line: what may be written, what it means, and one file per verb.

use std::ffi::OsString;
use std::process::ExitCode;

use serde::Serialize;

use self::arguments::Invocation;
use crate::configuration::Configuration;
use crate::diagnostic::Diagnostic;
use crate::value::Value;

pub mod adhoc;
pub mod agent;
pub mod arguments;
mod checking;
pub mod config;
pub mod doc;
pub mod explain;
pub mod extra_vars;
pub mod init;
pub mod inventory;
pub mod keyring;
pub mod names;
mod output;
pub mod play;
pub mod playbook_lookup;
pub mod registry;
pub mod settings;
pub mod sources;
pub mod vault;

/// The name under which the executable is the registry.
const REGISTRY: &str = "regdeploy-registry";

/// Settings that cannot be understood.
const CONFIGURATION: u8 = 5;

/// Why a command ends early, and its exit code.
pub type Stop = (Diagnostic, u8);

/// Runs what the command line asks for, the program's name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match Invocation::parse(arguments) {
        Ok(Invocation::Play(arguments)) => play::run(*arguments),
        Ok(Invocation::AdHoc(arguments)) => play::run_single(&arguments),
        Ok(Invocation::Inventory(arguments)) => ended(inventory::run(&arguments)),
        Ok(Invocation::Config(arguments)) => ended(config::run(&arguments)),
        Ok(Invocation::Explain(arguments)) => ended(explain::run(&arguments)),
        Ok(Invocation::Doc(arguments)) => ended(doc::run(&arguments)),
        Ok(Invocation::Init(arguments)) => match init::run(&arguments, &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Ok(Invocation::Registry(rest)) => {
            registry::main(std::iter::once(REGISTRY.into()).chain(rest).collect())
        }
        Ok(Invocation::Vault(arguments)) => vault::run(*arguments),
        Ok(Invocation::Agent(rest)) => agent::run(
            rest.into_iter()
                .map(|argument| argument.to_string_lossy().into_owned()),
        ),
        Ok(Invocation::Version(name)) => ended(configuration().map(|(configuration, _)| {
            print!("{}", names::version(&name, &configuration));
            ExitCode::SUCCESS
        })),
        Ok(Invocation::Refused(name, instead)) => fail(
            &Diagnostic::error(format!("regdeploy has no counterpart of `{name}`")).hint(instead),
            1,
        ),
        Err(error) => {
            // A closed pipe is no reason for another error.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// The settings of this process, and what there is to say of them.
pub fn configuration() -> Result<(Configuration, Vec<Diagnostic>), Stop> {
    Configuration::load().map_err(|error| (error, CONFIGURATION))
}

fn ended(result: Result<ExitCode, Stop>) -> ExitCode {
    result.unwrap_or_else(|(error, code)| fail(&error, code))
}

/// JSON as Python lays it out: keys in order, four spaces, a final newline.
pub fn json(value: &Value) -> String {
    let mut out = Vec::new();
    let layout = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, layout);
    // A value of ours is always JSON.
    let _ = sorted(value).serialize(&mut serializer);
    out.push(b'\n');
    String::from_utf8_lossy(&out).into_owned()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(sorted).collect()),
        Value::Map(map) => {
            let mut map: crate::value::Map = map
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            map.sort_keys();
            Value::Map(map)
        }
        other => other.clone(),
    }
}

/// Shows a warning.
pub fn warn(warning: &Diagnostic) {
    use std::io::IsTerminal;
    eprintln!("{}", warning.render(std::io::stderr().is_terminal()));
}

/// Shows an error and gives its exit code. Under a name of Ansible's it looks as Ansible's errors do: scripts read
/// them.
fn fail(error: &Diagnostic, code: u8) -> ExitCode {
    use std::io::IsTerminal;
    if names::is_of_ansible(std::env::args_os().next().as_ref()) {
        eprint!("[ERROR]: {}", crate::secrets::scrub(&crate::output::told(error)));
    } else {
        eprintln!("{}", error.render(std::io::stderr().is_terminal()));
    }
    ExitCode::from(code)
}
