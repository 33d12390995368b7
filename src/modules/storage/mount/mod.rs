//! `mount`: entries of `/etc/fstab`, and whether they are mounted. After ansible.posix.mount.
//!
//! Linux only: no `vfstab`, no other options than mount(8)'s of util-linux.

mod fstab;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::fstab::Entry;
use crate::modules::files::attributes::StateDiff;
use crate::modules::files::content::{Writing, text_diff};
use crate::modules::files::file::missing_folders;
use crate::modules::files::path::{expand, with_variables};
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::storage::mounts::Mounts;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Attributes, Command, Follow, System};
use crate::value::Value;
use crate::wire::message::Outcome;

const FSTAB: &str = "/etc/fstab";

pub struct Mount;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Absent,
    AbsentFromFstab,
    Mounted,
    Present,
    Unmounted,
    Remounted,
    Ephemeral,
}

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    src: Option<String>,
    fstype: Option<String>,
    opts: Option<String>,
    dump: Option<String>,
    passno: Option<String>,
    state: State,
    fstab: Option<String>,
    backup: bool,
    boot: bool,
}

/// What is done to the mount itself.
#[derive(Debug, Clone)]
enum Act {
    Mount(Command),
    Unmount(Command),
    /// `otherwise` is tried, in order, where the kernel or the file system does not know a remount.
    Remount {
        command: Command,
        otherwise: Option<Box<[Command; 2]>>,
    },
}

/// Files first, then the mount, then the folder.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    act: Option<Act>,
    /// The mount point, to be removed if it is empty.
    remove: bool,
    path: PathBuf,
    source: Option<String>,
    /// What a failure to mount is undone with: the table as it was.
    before: Option<(PathBuf, Vec<u8>)>,
    outcome: Outcome,
}

impl Module for Mount {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "mount",
        summary: "keep file systems mounted and in fstab",
        args: &[
            Arg::path("path")
                .aliases(&["name"])
                .required()
                .doc("the mount point; `none` for swap"),
            Arg::path("src").doc("device, network path, `UUID=`..., or the folder of a bind mount"),
            Arg::str("fstype").doc("type of the file system; `none` for a bind mount"),
            Arg::str("opts").doc("options, separated by commas; without: `defaults`"),
            Arg::str("dump").default("0").doc("the fifth field of fstab"),
            Arg::str("passno")
                .default("0")
                .doc("the sixth: when fsck looks at it"),
            Arg::str("state")
                .required()
                .choices(&[
                    "absent",
                    "absent_from_fstab",
                    "mounted",
                    "present",
                    "unmounted",
                    "remounted",
                    "ephemeral",
                ])
                .doc("`present`: in fstab; `mounted`: in fstab and mounted; `ephemeral`: mounted without fstab; \
                      `absent`: neither, nor its folder"),
            Arg::path("fstab").doc("another file than /etc/fstab"),
            Arg::bool("backup")
                .default("no")
                .doc("keep a copy of fstab as it was"),
            Arg::bool("boot")
                .default("yes")
                .doc("mount at boot; `false` adds `noauto`"),
            Arg::bool("opts_no_log")
                .default("no")
                .doc("`opts` holds a password: show it nowhere"),
        ],
        returns: &[
            Return::new("name", "str", "the mount point"),
            Return::new("src", "str", "its source").when("`src` is given"),
            Return::new("fstype", "str", "its type").when("`fstype` is given"),
            Return::new("opts", "str", "its options"),
            Return::new("dump", "str", "the fifth field"),
            Return::new("passno", "str", "the sixth field"),
            Return::new("boot", "str", "`yes` or `no`"),
            Return::new("fstab", "str", "the file that has the entry"),
            Return::new("backup_file", "str", "the copy of fstab").when("one was made"),
        ],
        example: "- mount:\n    path: /srv/data\n    src: UUID=b3e48f45-f933-4c8e-a700-22a159ec9077\n    \
                  fstype: xfs\n    opts: noatime\n    state: mounted\n\
                  - mount: {path: /srv/www, src: /srv/data/www, fstype: none, opts: bind, state: mounted}\n",
        free_form: None,
        rules: &[
            Rule::If("state", "mounted", &["src", "fstype"]),
            Rule::If("state", "present", &["src", "fstype"]),
            Rule::If("state", "ephemeral", &["src", "fstype"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let wish = Wish::new(&args, system)?;
        let mounts = Mounts::read(system)?;
        let mut outcome = wish.describe(args.boot);
        let mut steps = Vec::new();
        let table = read_table(&wish.fstab, system)?;
        let wanted = match args.state {
            State::Present | State::Mounted => Some(fstab::set(&table, &wish.entry)),
            State::Absent | State::AbsentFromFstab => {
                Some(fstab::unset(&table, &wish.entry.path, args.src.as_deref()))
            }
            State::Unmounted | State::Remounted | State::Ephemeral => None,
        };
        let written = wanted.filter(|wanted| *wanted != table);
        let rewritten = written.is_some();
        if let Some(wanted) = written {
            let header = wish.fstab.display().to_string();
            let sides = (table.as_bytes(), wanted.as_bytes());
            outcome = outcome.with_diff(text_diff((&header, sides.0), (&header, sides.1)));
            for folder in missing_folders(wish.fstab.parent().unwrap_or(Path::new("/")), system)? {
                steps.push(Step::CreateDirectory(folder, Attributes::default()));
            }
            let writing = Writing {
                path: wish.fstab.clone(),
                backup: args.backup,
                // In a container it may be mounted itself.
                unsafe_writes: true,
                ..Writing::default()
            };
            steps.push(Step::Write(writing, Source::Bytes(wanted.into_bytes())));
        }
        let act = wish.act(args.state, rewritten, &mounts, system)?;
        if matches!(act, Some(Act::Mount(_))) {
            for folder in missing_folders(&wish.path, system)? {
                steps.push(Step::CreateDirectory(folder, Attributes::default()));
            }
        }
        let exists = system.metadata(&wish.path, Follow::No)?.is_some();
        let remove = args.state == State::Absent && rewritten && exists;
        if steps.is_empty() && act.is_none() {
            return Ok(Plan::Same(outcome));
        }
        if let Some(side) = act.as_ref().and_then(Act::sides) {
            let mut diff = StateDiff::new(&wish.path);
            diff.note("state", side.0, side.1);
            outcome = outcome.with_diff(diff.into_diff());
        }
        outcome.changed = true;
        let predicted = outcome.clone();
        let change = Change {
            before: rewritten.then(|| (wish.fstab, table.into_bytes())),
            steps,
            act,
            remove,
            path: wish.path,
            source: wish.src,
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let backup = perform(&change.steps, system)?;
        // What programs do is foreseen in words.
        if system.is_acting() {
            return Ok(change.outcome);
        }
        if let Some(act) = &change.act
            && let Err(error) = act.perform(&change.path, system)
        {
            if !matches!(act, Act::Unmount(_)) {
                change.undo(system)?;
            }
            return Err(error);
        }
        if change.remove {
            let path = change.path.display().to_string();
            let output = system.run(&Command::new(["rmdir", "--", &path]))?;
            if !output.success() {
                return Err(Error::new(format!(
                    "Error rmdir {path}: {}",
                    output.stderr_text().trim()
                )));
            }
        }
        Ok(match backup {
            Some(backup) => change.outcome.with("backup_file", backup.display().to_string()),
            None => change.outcome,
        })
    }

    fn foresee(change: &Change) -> Foresight {
        let is = match (&change.act, &change.source) {
            (None, _) if !change.remove => return Foresight::Apply,
            (None | Some(Act::Unmount(_)), _) => Value::Null,
            (Some(Act::Mount(_) | Act::Remount { .. }), Some(source)) => source.as_str().into(),
            // Mounted from wherever it was mounted from before.
            (Some(_), None) => return Foresight::Both(Vec::new()),
        };
        let name = change.path.display().to_string();
        let of = Subject::Mount;
        let below = if change.remove {
            Effect::NoPath(change.path.clone())
        } else {
            Effect::Files
        };
        Foresight::Both(vec![Effect::State { of, name, is }, below])
    }
}

/// The arguments with defaults put in.
struct Wish {
    path: PathBuf,
    fstab: PathBuf,
    entry: Entry,
    warning: Option<&'static str>,
    src: Option<String>,
    fstype: Option<String>,
}

impl Wish {
    fn new(args: &Args, system: &dyn System) -> Result<Self, Error> {
        let given = expand(&args.path, system)?;
        let live = !matches!(args.state, State::Present | State::AbsentFromFstab);
        if live && args.state != State::Absent && !given.is_absolute() {
            return Err(Error::new(format!(
                "path has to be absolute, got: {} (swap is not mounted: `state: present` and `swapon`)",
                args.path
            )));
        }
        let exists = given.is_absolute() && system.metadata(&given, Follow::No)?.is_some();
        let path = if exists {
            system.canonicalize(&given)?
        } else {
            given.clone()
        };
        let fstab = args.fstab.as_deref().unwrap_or(FSTAB);
        let mut opts = args.opts.clone().unwrap_or_else(|| "defaults".to_owned());
        let noauto = opts.split(',').any(|opt| opt == "noauto");
        if !args.boot {
            opts.push_str(",noauto");
        }
        let src = match args.src.as_deref() {
            Some(src) if src.starts_with('~') => Some(expand(src, system)?.display().to_string()),
            src => src.map(|src| with_variables(src, system)),
        };
        Ok(Self {
            fstab: expand(fstab, system)?,
            entry: Entry {
                src: src.clone().unwrap_or_default(),
                path: given.display().to_string(),
                fstype: args.fstype.clone().unwrap_or_default(),
                opts,
                dump: args.dump.clone().unwrap_or_default(),
                passno: args.passno.clone().unwrap_or_default(),
            },
            path,
            warning: (args.boot && noauto).then_some("Ignore the 'boot' due to 'opts' contains 'noauto'."),
            src,
            fstype: args.fstype.clone(),
        })
    }

    fn describe(&self, boot: bool) -> Outcome {
        let mut outcome = Outcome::ok()
            .with("name", self.entry.path.as_str())
            .with("opts", self.entry.opts.as_str())
            .with("dump", self.entry.dump.as_str())
            .with("passno", self.entry.passno.as_str())
            .with("fstab", self.fstab.display().to_string())
            .with("boot", if boot { "yes" } else { "no" })
            .with("backup_file", "");
        for (key, value) in [("src", &self.src), ("fstype", &self.fstype)] {
            if let Some(value) = value {
                outcome = outcome.with(key, value.as_str());
            }
        }
        match self.warning {
            Some(warning) => outcome.with("warnings", vec![warning]),
            None => outcome,
        }
    }

    /// What has to be done to the mount, if anything.
    fn act(
        &self,
        state: State,
        rewritten: bool,
        mounts: &Mounts,
        system: &dyn System,
    ) -> Result<Option<Act>, Error> {
        let has = mounts.has(&self.path, system);
        let needed = match state {
            State::Present | State::AbsentFromFstab => return Ok(None),
            State::Absent => rewritten && has,
            State::Unmounted => has,
            State::Mounted | State::Ephemeral | State::Remounted => true,
        };
        if !needed {
            return Ok(None);
        }
        let opts = (self.entry.opts != "defaults").then_some(self.entry.opts.as_str());
        let path = self.path.display().to_string();
        Ok(match state {
            State::Mounted if has && self.is_wanted(mounts, system) => {
                rewritten.then(|| self.remount("remount", true))
            }
            State::Mounted => Some(Act::Mount(self.mount())),
            State::Ephemeral if !has => Some(Act::Mount(self.mount_alone(&[]))),
            State::Ephemeral if mounts.comes_from(&self.entry.src, &self.path, system) => {
                Some(Act::Remount {
                    command: self.mount_alone(&["-o", "remount"]),
                    otherwise: Some(Box::new([unmount(&path), self.mount_alone(&[])])),
                })
            }
            State::Ephemeral => {
                return Err(Error::new(format!(
                    "Ephemeral mount point is already mounted with a different source than the specified one: \
                     {path} is not {}; unmount it first or take another path",
                    self.entry.src
                )));
            }
            State::Remounted if !has => {
                return Err(Error::new(format!("Error remounting {path}: it is not mounted")));
            }
            State::Remounted => Some(match opts {
                Some(opts) => self.remount(&format!("remount,{opts}"), false),
                None => self.remount("remount", true),
            }),
            _ => Some(Act::Unmount(unmount(&path))),
        })
    }

    /// A bind mount of something else is not what is wanted; of other mounts the mount point says enough.
    fn is_wanted(&self, mounts: &Mounts, system: &dyn System) -> bool {
        let bind = self
            .entry
            .opts
            .split(',')
            .any(|opt| opt == "bind" || opt == "rbind");
        !bind || mounts.comes_from(&self.entry.src, &self.path, system)
    }

    /// By the entry in fstab.
    fn mount(&self) -> Command {
        self.by_table(&[])
    }

    fn remount(&self, opts: &str, fall_back: bool) -> Act {
        let path = self.path.display().to_string();
        Act::Remount {
            command: self.by_table(&["-o", opts]),
            otherwise: fall_back.then(|| Box::new([unmount(&path), self.mount()])),
        }
    }

    fn by_table(&self, options: &[&str]) -> Command {
        let fstab = self.fstab.display().to_string();
        let mut argv = vec!["mount".to_owned()];
        argv.extend(options.iter().map(|&word| word.to_owned()));
        if fstab != FSTAB {
            argv.extend(["-T".to_owned(), fstab]);
        }
        argv.push(self.path.display().to_string());
        Command::new(argv)
    }

    /// Whatever fstab says.
    fn mount_alone(&self, options: &[&str]) -> Command {
        let path = self.path.display().to_string();
        let mut argv = vec!["mount"];
        argv.extend(options);
        argv.extend(["-t", &self.entry.fstype]);
        if self.entry.opts != "defaults" {
            argv.extend(["-o", &self.entry.opts]);
        }
        argv.extend([self.entry.src.as_str(), &path]);
        Command::new(argv)
    }
}

fn unmount(path: &str) -> Command {
    Command::new(["umount", path])
}

fn read_table(path: &Path, system: &dyn System) -> Result<String, Error> {
    if system.metadata(path, Follow::Yes)?.is_none() {
        return Ok(String::new());
    }
    String::from_utf8(system.read(path)?)
        .map_err(|_| Error::new(format!("{} is not UTF-8; it is not touched", path.display())))
}

impl Act {
    /// What a diff says.
    fn sides(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Mount(_) => Some(("unmounted", "mounted")),
            Self::Unmount(_) => Some(("mounted", "unmounted")),
            Self::Remount { .. } => None,
        }
    }

    fn perform(&self, path: &Path, system: &dyn System) -> Result<(), Error> {
        let path = path.display();
        let run = |command: &Command, what: &str| {
            tool::require(system, &command.argv[0], "mount file systems")?;
            let output = system.run(command)?;
            if output.success() {
                return Ok(());
            }
            let said = format!("{}{}", output.stdout_text(), output.stderr_text());
            Err(Error::new(format!("Error {what} {path}: {}", said.trim_end())))
        };
        match self {
            Self::Mount(command) => run(command, "mounting"),
            Self::Unmount(command) => run(command, "unmounting"),
            Self::Remount { command, otherwise } => match (run(command, "remounting"), otherwise) {
                (Ok(()), _) => Ok(()),
                (Err(_), Some(commands)) => {
                    commands.iter().try_for_each(|command| run(command, "remounting"))
                }
                (Err(error), None) => Err(Error::new(format!(
                    "Options were specified with remounted, but the remount command failed. Failing in order to \
                     prevent an unexpected mount result. {}",
                    error.message
                ))),
            },
        }
    }
}

impl Change {
    /// An entry that cannot be mounted may keep a machine from booting: the table gets back what it had, and
    /// the folders that were made for it go.
    fn undo(&self, system: &dyn System) -> Result<(), Error> {
        if let Some((path, before)) = &self.before {
            let writing = Writing {
                path: path.clone(),
                unsafe_writes: true,
                ..Writing::default()
            };
            perform(&[Step::Write(writing, Source::Bytes(before.clone()))], system)?;
        }
        for step in self.steps.iter().rev() {
            if let Step::CreateDirectory(folder, _) = step {
                // One that has got content meanwhile stays.
                system.run(&Command::new(["rmdir", "--", &folder.display().to_string()]))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
