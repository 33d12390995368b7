//! `modprobe`: modules of the kernel, now and at boot. After community.general.modprobe.
//!
//! Files of modules-load.d(5) and modprobe.d(5) are edited a line at a time: what is not wanted any more becomes a comment.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::content::text_diff;
use crate::modules::files::file::missing_folders;
use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::text_file::TextFile;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Attributes, Command, FileKind, Follow, System};
use crate::value::Value;
use crate::wire::message::{Diff, Outcome};

pub struct Modprobe;

const AT_BOOT: &str = "/etc/modules-load.d";
const OPTIONS: &str = "/etc/modprobe.d";

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    state: String,
    params: String,
    persistent: String,
}

#[derive(Debug)]
pub struct Change {
    name: String,
    load: bool,
    call: Option<Command>,
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for Modprobe {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "modprobe",
        summary: "load or unload a module of the kernel",
        args: &[
            Arg::str("name").required().doc("the module"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is loaded now"),
            Arg::str("params")
                .default("")
                .doc("its parameters: `numdummies=2`"),
            Arg::str("persistent")
                .choices(&["absent", "disabled", "present"])
                .default("disabled")
                .doc("whether it is loaded at boot, with these parameters; disabled: leave that alone"),
        ],
        returns: &[
            Return::new("name", "str", "as it was given"),
            Return::new("params", "str", "as they were given"),
            Return::new("state", "str", "as it was given"),
        ],
        example: "- modprobe:\n    name: br_netfilter\n    persistent: present\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "modprobe", "load modules of the kernel")?;
        let outcome = Outcome::ok()
            .with("name", args.name.as_str())
            .with("params", args.params.as_str())
            .with("state", args.state.as_str());
        let load = args.state == "present";
        let call = if load == is_loaded(&args.name, system)? {
            None
        } else {
            Some(call(&args, load, system)?)
        };
        let mut files = Files::read(system)?;
        let wanted: Vec<&str> = args.params.split_whitespace().collect();
        match args.persistent.as_str() {
            "present" => files.keep(&args.name, &wanted, system)?,
            "absent" => files.drop(&args.name),
            _ => {}
        }
        let (steps, diffs) = files.steps(system)?;
        if call.is_none() && steps.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        let outcome = Outcome {
            changed: true,
            ..outcome
        };
        let mut predicted = outcome.clone();
        predicted.diff = diffs;
        let change = Change {
            name: args.name,
            load,
            call,
            steps,
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut outcome = change.outcome;
        if let Some(call) = &change.call {
            let output = system.run(call)?;
            if !output.success() {
                return Err(said(call, &output));
            }
            // Another name of a module is never listed as loaded.
            outcome.changed = !change.load || !change.steps.is_empty() || is_loaded(&change.name, system)?;
        }
        perform(&change.steps, system)?;
        Ok(outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        if change.call.is_none() {
            return Foresight::Apply;
        }
        Foresight::Effects(vec![Effect::State {
            of: Subject::KernelModule,
            name: listed(&change.name),
            is: if change.load { true.into() } else { Value::Null },
        }])
    }
}

/// What loads or unloads it; that it could is asked first, so that a module that is not there is told before anything is done.
fn call(args: &Args, load: bool, system: &dyn System) -> Result<Command, Error> {
    let mut argv = vec!["modprobe".to_owned()];
    if load {
        argv.push(args.name.clone());
        argv.extend(
            shell_words::split(&args.params)
                .map_err(|error| Error::new(format!("cannot split params `{}`: {error}", args.params)))?,
        );
    } else {
        argv.extend(["-r".to_owned(), args.name.clone()]);
    }
    let mut rehearsal = argv.clone();
    rehearsal.insert(1, "-n".to_owned());
    let rehearsal = Command::new(rehearsal);
    let output = system.run(&rehearsal)?;
    if output.success() {
        Ok(Command::new(argv))
    } else {
        Err(said(&rehearsal, &output))
    }
}

fn said(command: &Command, output: &crate::system::CommandOutput) -> Error {
    Error {
        message: output.stderr_text(),
        ..tool::failure(command, output)
    }
}

/// The spelling of /proc/modules.
fn listed(name: &str) -> String {
    name.replace('-', "_")
}

/// Loaded, or part of the kernel.
fn is_loaded(name: &str, system: &dyn System) -> Result<bool, Error> {
    let name = listed(name);
    if let Some(state) = system.foreseen(Subject::KernelModule, &name) {
        return Ok(state != Value::Null);
    }
    let text = |path: &Path| {
        let bytes = system.read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let modules = text(Path::new("/proc/modules"));
    if modules.lines().any(|line| line.split(' ').next() == Some(&name)) {
        return Ok(true);
    }
    let release = text(Path::new("/proc/sys/kernel/osrelease"));
    let built_in = text(
        &Path::new("/lib/modules")
            .join(release.trim())
            .join("modules.builtin"),
    );
    Ok(built_in
        .lines()
        .filter_map(|line| line.trim().rsplit('/').next()?.strip_suffix(".ko"))
        .any(|module| listed(module) == name))
}

/// The files of both folders, as they are and as they shall be.
struct Files(Vec<Edited>);

struct Edited {
    folder: &'static str,
    file: TextFile,
    after: String,
}

impl Files {
    fn read(system: &dyn System) -> Result<Self, Error> {
        let mut files = Vec::new();
        for folder in [AT_BOOT, OPTIONS] {
            let there = system.metadata(Path::new(folder), Follow::Yes)?;
            if there.is_none_or(|found| found.kind != FileKind::Directory) {
                continue;
            }
            for name in system.read_dir(Path::new(folder))? {
                let path = Path::new(folder).join(name);
                if system
                    .metadata(&path, Follow::Yes)?
                    .is_some_and(|found| found.kind == FileKind::File)
                {
                    let file = TextFile::open(&path.display().to_string(), system)?;
                    let after = file.before.clone();
                    files.push(Edited { folder, file, after });
                }
            }
        }
        Ok(Self(files))
    }

    fn lines(&self, folder: &str) -> impl Iterator<Item = &str> {
        let folder = folder.to_owned();
        self.0
            .iter()
            .filter(move |edited| edited.folder == folder)
            .flat_map(|edited| edited.after.lines())
    }

    fn keep(&mut self, name: &str, params: &[&str], system: &dyn System) -> Result<(), Error> {
        if !self.lines(AT_BOOT).any(|line| names(line, name)) {
            self.set(AT_BOOT, name, format!("{name}\n"), system)?;
        }
        let mut present: Vec<&str> = self
            .lines(OPTIONS)
            .filter_map(|line| option(line, name))
            .collect();
        let mut wanted = params.to_vec();
        for list in [&mut present, &mut wanted] {
            list.sort_unstable();
            list.dedup();
        }
        if present != wanted {
            self.comment_out(OPTIONS, |line| option(line, name).is_some());
            let lines: String = params
                .iter()
                .map(|param| format!("options {name} {param}\n"))
                .collect();
            self.set(OPTIONS, name, lines, system)?;
        }
        Ok(())
    }

    fn drop(&mut self, name: &str) {
        self.comment_out(AT_BOOT, |line| names(line, name));
        self.comment_out(OPTIONS, |line| option(line, name).is_some());
    }

    fn comment_out(&mut self, folder: &str, unwanted: impl Fn(&str) -> bool) {
        for edited in self.0.iter_mut().filter(|edited| edited.folder == folder) {
            let lines = edited.after.split_inclusive('\n');
            edited.after = lines
                .map(|line| {
                    if unwanted(line.trim_end_matches('\n')) {
                        format!("#{line}")
                    } else {
                        line.to_owned()
                    }
                })
                .collect();
        }
    }

    /// The module's own file.
    fn set(
        &mut self,
        folder: &'static str,
        name: &str,
        after: String,
        system: &dyn System,
    ) -> Result<(), Error> {
        let path = PathBuf::from(folder).join(format!("{name}.conf"));
        if let Some(edited) = self.0.iter_mut().find(|edited| edited.file.path == path) {
            edited.after = after;
            return Ok(());
        }
        let file = TextFile::open(&path.display().to_string(), system)?;
        self.0.push(Edited { folder, file, after });
        Ok(())
    }

    fn steps(self, system: &dyn System) -> Result<(Vec<Step>, Vec<Diff>), Error> {
        let (mut steps, mut diffs) = (Vec::new(), Vec::new());
        for Edited { file, after, .. } in self.0 {
            if file.exists && file.before == after {
                continue;
            }
            let folder = file.path.parent().unwrap_or(Path::new("/"));
            let missing = missing_folders(folder, system)?;
            steps.extend(
                missing
                    .into_iter()
                    .map(|folder| Step::CreateDirectory(folder, Attributes::default())),
            );
            let header = file.path.display().to_string();
            diffs.push(text_diff(
                (&header, file.before.as_bytes()),
                (&header, after.as_bytes()),
            ));
            steps.push(file.write(after, false));
        }
        Ok((steps, diffs))
    }
}

/// A line without the comment behind it.
fn bare(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default()
}

fn names(line: &str, name: &str) -> bool {
    bare(line).trim() == name
}

/// The one parameter that a line sets for this module.
fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let words: Vec<&str> = bare(line).split_whitespace().collect();
    match words[..] {
        ["options", module, param] if module == name && param.contains('=') => Some(param),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn fake() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/sbin/modprobe")
            .file("/proc/modules", "dummy 16384 0 - Live 0x0\n")
            .file("/proc/sys/kernel/osrelease", "6.1\n")
            .file("/lib/modules/6.1/modules.builtin", "kernel/fs/ext4/ext-four.ko\n");
        fake.answer_with(|fake, command| {
            let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
            let failed = words.contains(&"none");
            if words == ["modprobe", "br-netfilter", "a=1"] {
                fake.file("/proc/modules", "br_netfilter 1 0 - Live 0x0\n");
            }
            if words == ["modprobe", "-r", "dummy"] {
                fake.file("/proc/modules", "");
            }
            Some(CommandOutput {
                code: i32::from(failed),
                stderr: if failed {
                    b"modprobe: FATAL: Module none not found\n".to_vec()
                } else {
                    Vec::new()
                },
                ..CommandOutput::default()
            })
        });
        fake
    }

    #[test]
    fn modules_are_loaded_and_unloaded() {
        let fake = fake();
        for same in [r#"{"name":"dummy"}"#, r#"{"name":"ext_four"}"#] {
            assert!(!run::<Modprobe>(&fake, same).changed);
        }
        check_agrees::<Modprobe>(&fake, r#"{"name":"dummy","state":"absent"}"#);
        check_agrees::<Modprobe>(&fake, r#"{"name":"br-netfilter","params":"a=1"}"#);
        assert_eq!(
            failure::<Modprobe>(&fake, r#"{"name":"none"}"#),
            "modprobe: FATAL: Module none not found\n"
        );
        assert!(check::<Modprobe>(&fake, r#"{"name":"none","persistent":"present"}"#).failed);
    }

    #[test]
    fn files_have_it_for_the_next_boot() {
        let fake = fake();
        fake.file(
            "/etc/modprobe.d/old.conf",
            "options dummy numdummies=1 # one\noptions other x=1\n",
        );
        let two = r#"{"name":"dummy","params":"numdummies=2","persistent":"present"}"#;
        check_agrees::<Modprobe>(&fake, two);
        assert_eq!(fake.text("/etc/modules-load.d/dummy.conf"), "dummy\n");
        assert_eq!(
            fake.text("/etc/modprobe.d/dummy.conf"),
            "options dummy numdummies=2\n"
        );
        assert_eq!(
            fake.text("/etc/modprobe.d/old.conf"),
            "#options dummy numdummies=1 # one\noptions other x=1\n"
        );
        check_agrees::<Modprobe>(&fake, r#"{"name":"dummy","persistent":"absent"}"#);
        assert_eq!(fake.text("/etc/modules-load.d/dummy.conf"), "#dummy\n");
        assert_eq!(
            fake.text("/etc/modprobe.d/dummy.conf"),
            "#options dummy numdummies=2\n"
        );
    }
}
