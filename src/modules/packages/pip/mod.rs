//! `pip`: Python's packages, of a system or of a virtual environment. After ansible.builtin.pip.
//!
//! The target's pip does it. What is installed is asked of `pip list`; where that does not tell whether there is something to do (a
//! requirements file, `latest`, addresses), only doing it does.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

mod requirement;
#[cfg(test)]
mod tests;
mod version;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::requirement::{Requirement, joined};
use super::foreseen::{self, Foreseen, Packages};
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, CommandOutput, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Pip;

#[derive(Debug, Clone, Deserialize)]
pub struct Args {
    name: Option<Vec<String>>,
    version: Option<String>,
    requirements: Option<String>,
    virtualenv: Option<String>,
    virtualenv_site_packages: bool,
    virtualenv_command: String,
    virtualenv_python: Option<String>,
    extra_args: Option<String>,
    editable: bool,
    chdir: Option<String>,
    executable: Option<String>,
    umask: Option<String>,
    break_system_packages: bool,
    state: String,
}

/// The calls to make.
#[derive(Debug)]
pub struct Change {
    /// Makes the virtual environment.
    create: Option<Command>,
    pip: Command,
    /// Compared before and after, where the output does not tell.
    list: Option<Command>,
    packages: Packages,
    values: Map,
}

impl Module for Pip {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "pip",
        summary: "install and remove Python's packages",
        args: &[
            Arg::strings("name").doc("names, with `==1.0`, `>=1,<2` and the like, files, addresses"),
            Arg::str("version").doc("the version of the only name"),
            Arg::str("requirements").doc("a file of requirements on the target"),
            Arg::path("virtualenv").doc("the virtual environment to install into; made where it is missing"),
            Arg::bool("virtualenv_site_packages")
                .default("no")
                .doc("a new environment sees the system's packages"),
            Arg::path("virtualenv_command")
                .default("virtualenv")
                .doc("what makes it, such as `python3 -m venv`"),
            Arg::str("virtualenv_python").doc("the python of a new environment"),
            Arg::str("extra_args").doc("more options for pip"),
            Arg::bool("editable").default("no").doc("install with `-e`"),
            Arg::path("chdir").doc("the folder to call pip in"),
            Arg::path("executable").doc("the pip to use"),
            Arg::str("umask").doc("for what is made, as octal text"),
            Arg::bool("break_system_packages")
                .default("no")
                .doc("install although the system's packages are managed otherwise"),
            Arg::str("state")
                .choices(&["absent", "forcereinstall", "latest", "present"])
                .default("present")
                .doc("what they are to be"),
        ],
        returns: &[
            Return::new("cmd", "list of str", "the call of pip"),
            Return::new("name", "list of str", "the names that were given").when("something was done"),
            Return::new("version", "str", "the version that was given").when("something was done"),
            Return::new("requirements", "str", "the file that was given").when("something was done"),
            Return::new("virtualenv", "str", "the virtual environment").when("something was done"),
            Return::new("stdout", "str", "what pip said"),
            Return::new("stderr", "str", "its errors and warnings"),
        ],
        example: "\
- pip:
    name: [django>=4.2, psycopg2-binary]
    virtualenv: /srv/app/venv
    virtualenv_command: python3 -m venv

- pip: {requirements: /srv/app/requirements.txt, virtualenv: /srv/app/venv}
",
        free_form: None,
        rules: &[
            Rule::OneOf(&["name", "requirements"]),
            Rule::Exclusive(&["name", "requirements"]),
            Rule::Exclusive(&["executable", "virtualenv"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let wanted = wanted(&args)?;
        let call = Call::new(&args, system)?;
        let create = call.creation(&args, system)?;
        let list = call.pip(&["list", "--format=freeze"]);
        let mut pip = call.pip(match args.state.as_str() {
            "absent" => &["uninstall", "-y"],
            "latest" => &["install", "-U"],
            "forcereinstall" => &["install", "-U", "--force-reinstall"],
            _ => &["install"],
        });
        let words = |text: &str| {
            shell_words::split(text)
                .map_err(|error| Error::new(format!("cannot split extra_args into words: {error}")))
        };
        let mut extra = words(args.extra_args.as_deref().unwrap_or_default())?;
        if args.editable && !extra.iter().any(|word| word == "-e") {
            extra.push("-e".to_owned());
        }
        let plain = extra.is_empty();
        pip.argv.extend(extra);
        pip.argv.extend(wanted.iter().map(Requirement::word));
        if let Some(file) = &args.requirements {
            pip.argv.extend(["-r".to_owned(), file.clone()]);
        }
        let absent = args.state == "absent";
        let compared = args.requirements.is_some() || wanted.iter().any(Requirement::is_checkout);
        let mut packages = Packages::default();
        for requirement in &wanted {
            let name = call.foreseen_name(&requirement.name);
            if absent {
                packages.remove(name);
            } else {
                packages.install(name, "");
            }
        }
        let values = Map::from_iter([
            ("cmd".to_owned(), call.shown(&pip).into()),
            (
                "name".to_owned(),
                args.name.clone().map_or(Value::Null, Value::from),
            ),
            ("version".to_owned(), args.version.clone().into()),
            ("state".to_owned(), args.state.as_str().into()),
            ("requirements".to_owned(), args.requirements.clone().into()),
            (
                "virtualenv".to_owned(),
                call.environment
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .into(),
            ),
        ]);
        let change = |create: Option<Command>| Change {
            create,
            pip: pip.clone(),
            list: compared.then(|| list.clone()),
            packages: packages.clone(),
            values: values.clone(),
        };
        let mut predicted = Outcome::changed(true);
        predicted.values.clone_from(&values);
        if create.is_some() {
            return Ok(Plan::Change {
                change: change(create),
                predicted,
            });
        }
        call.find(system)?;
        let unsettled = !plain
            || args.requirements.is_some()
            || matches!(args.state.as_str(), "latest" | "forcereinstall");
        if unsettled || wanted.is_empty() {
            return Ok(Plan::Unknown {
                change: change(None),
                skipped: predicted,
            });
        }
        let output = run(&list, system)?;
        let installed = output.stdout_text();
        let is_there =
            |requirement: &Requirement| match foreseen::of(&call.foreseen_name(&requirement.name), system) {
                Some(state) => state != Foreseen::Removed,
                None => requirement.is_among(&installed),
            };
        if wanted.iter().all(|requirement| is_there(requirement) != absent) {
            let outcome = Outcome::ok()
                .with("cmd", call.shown(&list))
                .with("stdout", installed)
                .with("stderr", output.stderr_text());
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            change: change(None),
            predicted,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut say = |output: &CommandOutput| {
            stdout.push_str(&output.stdout_text());
            stderr.push_str(&output.stderr_text());
        };
        if let Some(create) = &change.create {
            say(&run(create, system)?);
        }
        let listed = |list: &Command| run(list, system).map(|output| output.stdout_text());
        let before = change.list.as_ref().map(listed).transpose()?;
        let output = run(&change.pip, system)?;
        say(&output);
        let after = change.list.as_ref().map(listed).transpose()?;
        let done = ["Successfully installed", "Successfully uninstalled"];
        let text = output.stdout_text();
        let changed = change.create.is_some()
            || before != after
            || (change.list.is_none() && done.iter().any(|words| text.contains(words)));
        let mut outcome = Outcome::changed(changed);
        outcome.values = change.values;
        Ok(outcome.with("stdout", stdout).with("stderr", stderr))
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}

/// What the names ask for, the version put where it belongs.
fn wanted(args: &Args) -> Result<Vec<Requirement>, Error> {
    if args.state == "latest" && args.version.is_some() {
        return Err(Error::new("version is incompatible with state=latest"));
    }
    let names = joined(args.name.as_deref().unwrap_or_default());
    let mut wanted: Vec<Requirement> = names.iter().map(|name| Requirement::parse(name)).collect();
    if let Some(version) = &args.version {
        match wanted.as_mut_slice() {
            [only] if only.specifiers.is_empty() => only.set_version(version),
            [_] => {
                return Err(Error::new(
                    "The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the \
                     version specifier, but remove the 'version' argument.",
                ));
            }
            _ => {
                return Err(Error::new(
                    "'version' argument is ambiguous when installing multiple package distributions. Please specify version \
                     restrictions next to each package in 'name' argument.",
                ));
            }
        }
    }
    Ok(wanted)
}

/// How pip is called for this task.
struct Call {
    /// The program's words; for an environment that is to be made, as they will be.
    program: Vec<String>,
    executable: Option<String>,
    environment: Option<PathBuf>,
    directory: PathBuf,
    umask: Option<u32>,
    break_system_packages: bool,
    path: String,
}

impl Call {
    fn new(args: &Args, system: &dyn System) -> Result<Self, Error> {
        let directory = match &args.chdir {
            Some(chdir) => path::expand(chdir, system)?,
            // Any folder that all may read.
            None => PathBuf::from("/tmp"),
        };
        let umask = match &args.umask {
            Some(text) => Some(u32::from_str_radix(text, 8).map_err(|error| {
                Error::new("umask must be an octal integer").with("details", error.to_string())
            })?),
            None => None,
        };
        let environment = match &args.virtualenv {
            Some(environment) => Some(directory.join(path::expand(environment, system)?)),
            None => None,
        };
        let program = if let Some(executable) = &args.executable {
            vec![path::expand(executable, system)?.display().to_string()]
        } else if let Some(environment) = &environment {
            let there = |name: &&str| {
                let found = system.metadata(&environment.join("bin").join(name), Follow::Yes);
                matches!(found, Ok(Some(_)))
            };
            let name = ["pip3", "pip"].into_iter().find(there).unwrap_or("pip");
            vec![environment.join("bin").join(name).display().to_string()]
        } else if system.which("pip3").is_some() || system.which("python3").is_none() {
            vec!["pip3".to_owned()]
        } else {
            ["python3", "-m", "pip"].map(str::to_owned).to_vec()
        };
        let known = system
            .env("PATH")
            .unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        let path = match &environment {
            Some(environment) => format!("{}:{known}", environment.join("bin").display()),
            None => known,
        };
        Ok(Self {
            program,
            executable: args.executable.clone(),
            environment,
            directory,
            umask,
            break_system_packages: args.break_system_packages,
            path,
        })
    }

    /// Fails where there is no pip.
    fn find(&self, system: &dyn System) -> Result<(), Error> {
        if let Some(environment) = &self.environment {
            if system
                .metadata(Path::new(&self.program[0]), Follow::Yes)?
                .is_none()
            {
                return Err(Error::new(format!(
                    "Unable to find pip in the virtualenv, {}, under any of these names: pip3, pip. Make sure pip is present in the virtualenv.",
                    environment.display()
                )));
            }
            return Ok(());
        }
        let output = match system.which(&self.program[0]) {
            Some(_) if self.program.len() == 1 => return Ok(()),
            Some(_) => Some(system.run(&self.pip(&["--version"]))?),
            None => None,
        };
        if output.is_some_and(|output| output.success()) {
            return Ok(());
        }
        Err(Error::new(format!(
            "Unable to find any of {} to use.  pip needs to be installed. (on the target; package python3-pip)",
            self.executable.as_deref().unwrap_or("pip3")
        )))
    }

    fn command(&self, argv: Vec<String>) -> Command {
        let mut words = Vec::new();
        if let Some(umask) = self.umask {
            let script = format!("umask {umask:o}; exec \"$@\"");
            words.extend(["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
        }
        words.extend(argv);
        let mut command = Command::new(words)
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .env("PATH", &self.path);
        if self.break_system_packages {
            command = command.env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        }
        command.directory = Some(self.directory.clone());
        command
    }

    fn pip(&self, words: &[&str]) -> Command {
        let words = words.iter().map(|word| (*word).to_owned());
        self.command(self.program.iter().cloned().chain(words).collect())
    }

    /// The words without those of the shell that sets the umask.
    fn shown(&self, command: &Command) -> Vec<String> {
        let hidden = if self.umask.is_some() { 4 } else { 0 };
        command.argv[hidden..].to_vec()
    }

    /// What later tasks of a check ask for: a package in this environment.
    fn foreseen_name(&self, name: &str) -> String {
        let place = self.environment.as_ref().map(|path| path.display().to_string());
        format!("pip {} {name}", place.unwrap_or_else(|| self.program.join(" ")))
    }

    /// The call that makes the environment, if it is not there.
    fn creation(&self, args: &Args, system: &dyn System) -> Result<Option<Command>, Error> {
        let Some(environment) = &self.environment else {
            return Ok(None);
        };
        if system
            .metadata(&environment.join("bin/activate"), Follow::Yes)?
            .is_some()
        {
            return Ok(None);
        }
        let mut argv = shell_words::split(&args.virtualenv_command)
            .map_err(|error| Error::new(format!("cannot split virtualenv_command into words: {error}")))?;
        let program = argv.first().cloned().unwrap_or_default();
        if system.which(&program).is_none() {
            return Err(Error::new(format!(
                "Failed to find required executable \"{program}\" on the target, which is to make {}: install the package that has it, or \
                 say `virtualenv_command: python3 -m venv`",
                environment.display()
            )));
        }
        let is_venv = program.ends_with("pyvenv") || argv.windows(2).any(|words| words == ["-m", "venv"]);
        if args.virtualenv_site_packages {
            argv.push("--system-site-packages".to_owned());
        }
        match &args.virtualenv_python {
            Some(_) if is_venv => {
                return Err(Error::new(
                    "virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command",
                ));
            }
            Some(python) => argv.push(format!("-p{python}")),
            None => {}
        }
        argv.push(environment.display().to_string());
        Ok(Some(self.command(argv)))
    }
}

/// Runs pip; that a package which is to go is not there is no failure.
fn run(command: &Command, system: &dyn System) -> Result<CommandOutput, Error> {
    let output = system.run(command)?;
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    let gone = command.argv.iter().any(|word| word == "uninstall")
        && [&stdout, &stderr]
            .iter()
            .any(|text| text.contains("not installed"));
    if output.success() || (output.code == 1 && gone) {
        return Ok(output);
    }
    let error = tool::failure(command, &output);
    let mut message = String::new();
    if !stdout.is_empty() {
        message += &format!("stdout: {stdout}");
    }
    if !stderr.is_empty() {
        message += &format!("\n:stderr: {stderr}");
    }
    Err(Error {
        message,
        values: error.values,
    })
}
