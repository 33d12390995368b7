//! `git`: a checkout of a repository. After ansible.builtin.git.
//!
//! The program `git` of the target does everything; it has to be 2.3 or newer. What a remote has of the wanted version is asked in one
//! exchange. `check` says what would come of it; only doing it tells for certain, as the remote may move meanwhile.

mod archive;
mod remote;
mod submodules;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::archive::Archive;
use self::remote::Remote;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Attributes, Command, CommandOutput, FileKind, Follow, System};
use crate::value::Value;
use crate::wire::message::{Diff, Outcome};

pub struct Git;

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
pub struct Args {
    repo: String,
    dest: Option<String>,
    version: String,
    remote: String,
    refspec: Option<String>,
    reference: Option<String>,
    force: bool,
    depth: Option<u32>,
    clone: bool,
    update: bool,
    verify_commit: bool,
    gpg_allowlist: Vec<String>,
    accept_hostkey: bool,
    accept_newhostkey: bool,
    key_file: Option<String>,
    ssh_opts: Option<String>,
    executable: Option<String>,
    bare: bool,
    recursive: bool,
    single_branch: bool,
    track_submodules: bool,
    umask: Value,
    archive: Option<String>,
    archive_prefix: Option<String>,
    separate_git_dir: Option<String>,
}

/// What is to be done.
#[derive(Debug)]
pub struct Change {
    args: Args,
    work: Work,
    /// The folder of an existing repository that moves elsewhere.
    relocate: Option<PathBuf>,
    before: Option<String>,
    /// What a predicted change would leave.
    foreseen: Vec<Effect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Clone,
    Update {
        local_changes: bool,
    },
    /// Nothing but the archive.
    Archive,
}

impl Module for Git {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "git",
        summary: "keep a checkout of a git repository",
        args: &[
            Arg::str("repo")
                .aliases(&["name"])
                .required()
                .doc("URL or path of the repository"),
            Arg::path("dest").doc("the checkout"),
            Arg::str("version").default("HEAD").doc("branch, tag or commit"),
            Arg::str("remote")
                .default("origin")
                .doc("what the remote is called"),
            Arg::str("refspec").doc("what to fetch besides"),
            Arg::str("reference").doc("a repository to share objects with"),
            Arg::bool("force").default("no").doc("throw local changes away"),
            Arg::int("depth").doc("how many commits to fetch"),
            Arg::bool("clone")
                .default("yes")
                .doc("clone if there is no checkout"),
            Arg::bool("update").default("yes").doc("fetch if there is one"),
            Arg::bool("verify_commit")
                .default("no")
                .doc("the commit or tag has to be signed"),
            Arg::strings("gpg_allowlist")
                .aliases(&["gpg_whitelist"])
                .default("[]")
                .doc("fingerprints of keys that may have signed"),
            Arg::bool("accept_hostkey")
                .default("no")
                .doc("believe any key of the server"),
            Arg::bool("accept_newhostkey")
                .default("no")
                .doc("believe a server that is not known yet"),
            Arg::path("key_file").doc("private key for ssh"),
            Arg::str("ssh_opts").doc("options for ssh"),
            Arg::path("executable").doc("the git to use"),
            Arg::bool("bare")
                .default("no")
                .doc("a repository without a checkout"),
            Arg::bool("recursive").default("yes").doc("submodules, too"),
            Arg::bool("single_branch")
                .default("no")
                .doc("fetch the one branch alone"),
            Arg::bool("track_submodules")
                .default("no")
                .doc("submodules at their latest commit"),
            Arg::raw("umask").doc("for what is made, as octal text"),
            Arg::path("archive").doc("a file to export the version to"),
            Arg::str("archive_prefix").doc("what the names in it begin with"),
            Arg::path("separate_git_dir").doc("where the repository itself is kept"),
        ],
        returns: &[
            Return::new("before", "str", "the commit that was checked out").when("there was a checkout"),
            Return::new("after", "str", "the commit that is checked out now"),
            Return::new(
                "remote_url_changed",
                "bool",
                "whether the remote was known by another URL",
            )
            .when("there was a checkout"),
            Return::new(
                "submodules_changed",
                "bool",
                "true: submodules were brought to where they shall be",
            )
            .when("any was elsewhere"),
            Return::new("git_dir_before", "str", "where the repository itself was kept")
                .when("it was moved, see `separate_git_dir`"),
            Return::new("git_dir_now", "str", "where the repository itself is kept")
                .when("it was moved, see `separate_git_dir`"),
        ],
        example: "\
- git:
    repo: https://git.example.org/app.git
    dest: /srv/app
    version: v1.2
    depth: 1
",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["separate_git_dir", "bare"]),
            Rule::Exclusive(&["accept_hostkey", "accept_newhostkey"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let tree = Tree::new(&args, system)?;
        let relocate = tree.misplaced()?;
        let exists = tree.exists()?;
        if !exists && !args.clone {
            let after = Remote::ask(&tree)?.revision(&args.version, None);
            let outcome = Outcome::changed(true)
                .with("before", Value::Null)
                .with("after", after);
            return Ok(Plan::Same(outcome));
        }
        let before = exists.then(|| tree.revision("HEAD")).transpose()?;
        let work = if !exists {
            Work::Clone
        } else if args.update {
            let local_changes = tree.has_local_changes()?;
            if local_changes && !args.force {
                return Err(tree.local_changes_message().with("before", before));
            }
            Work::Update { local_changes }
        } else if args.archive.is_some() {
            Work::Archive
        } else {
            let outcome = Outcome::ok().with("before", before.clone()).with("after", before);
            return Ok(Plan::Same(outcome));
        };
        let archive = tree.archive()?;
        let predicted = tree.predict(work, before.clone(), relocate.is_some(), archive.as_ref())?;
        let foreseen = if predicted.changed {
            tree.foreseen(archive)
        } else {
            Vec::new()
        };
        let change = Change {
            args,
            work,
            relocate,
            before,
            foreseen,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let tree = Tree::new(&change.args, system)?;
        tree.bring_about(&change)
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(change.foreseen.clone())
    }
}

/// The checkout, and how git is called for it.
struct Tree<'a> {
    args: &'a Args,
    system: &'a dyn System,
    git: String,
    /// As git takes it: a path is a `file://` URL, which depth needs.
    url: String,
    /// Absolute; nothing where only the remote is asked.
    dest: Option<PathBuf>,
    separate: Option<PathBuf>,
    umask: Option<u32>,
    ssh: String,
}

/// The path with its links followed as far as it is there: git follows whatever leads there.
fn without_links(path: &Path, system: &dyn System) -> Result<PathBuf, Error> {
    for folder in path.ancestors() {
        if system.metadata(folder, Follow::Yes)?.is_some() {
            let real = system.canonicalize(folder)?;
            let rest = path.strip_prefix(folder).unwrap_or(Path::new(""));
            return Ok(real.components().chain(rest.components()).collect());
        }
    }
    Ok(path.to_owned())
}

impl<'a> Tree<'a> {
    fn new(args: &'a Args, system: &'a dyn System) -> Result<Self, Error> {
        let git = if let Some(path) = &args.executable {
            path::expand(path, system)?.display().to_string()
        } else {
            crate::modules::tool::require(system, "git", "check repositories out")?;
            "git".to_owned()
        };
        if args.dest.is_none() && args.clone {
            return Err(Error::new(
                "the destination directory must be specified unless clone=no",
            ));
        }
        let absolute = |text: &String| -> Result<PathBuf, Error> {
            let path = path::expand(text, system)?;
            let path = if path.is_absolute() {
                path
            } else {
                system.canonicalize(Path::new("."))?.join(path)
            };
            without_links(&path, system)
        };
        let local = args.repo.starts_with(['/', '~']);
        let url = if local {
            format!("file://{}", path::expand(&args.repo, system)?.display())
        } else {
            args.repo.clone()
        };
        Ok(Self {
            git,
            url,
            dest: args.dest.as_ref().map(absolute).transpose()?,
            separate: args.separate_git_dir.as_ref().map(absolute).transpose()?,
            umask: args.umask()?,
            ssh: args.ssh_command(system)?,
            args,
            system,
        })
    }

    fn dest(&self) -> &Path {
        self.dest.as_deref().unwrap_or(Path::new("/"))
    }

    /// Runs git in the checkout, whatever its exit status.
    fn try_git(&self, arguments: &[&str]) -> Result<CommandOutput, Error> {
        self.try_git_in(Some(self.dest()), arguments)
    }

    fn try_git_in(&self, folder: Option<&Path>, arguments: &[&str]) -> Result<CommandOutput, Error> {
        Ok(self.system.run(&self.command(folder, arguments))?)
    }

    fn command(&self, folder: Option<&Path>, arguments: &[&str]) -> Command {
        let mut argv: Vec<&str> = Vec::new();
        let umask = self.umask.map(|umask| format!("umask {umask:o}; exec \"$@\""));
        if let Some(umask) = &umask {
            argv.extend(["/bin/sh", "-c", umask, "sh"]);
        }
        argv.push(&self.git);
        argv.extend(arguments);
        let mut command = Command::new(argv);
        command.directory = folder.map(Path::to_owned);
        command
            .env("LC_ALL", "C")
            .env("LANGUAGE", "C")
            .env("GIT_SSH_COMMAND", &self.ssh)
    }

    /// Runs git in the checkout; its standard output.
    fn git(&self, arguments: &[&str]) -> Result<String, Error> {
        self.git_or(arguments, |_| String::new())
    }

    /// Runs git; a failure is told with `message` before it.
    fn git_or(
        &self,
        arguments: &[&str],
        message: impl Fn(&CommandOutput) -> String,
    ) -> Result<String, Error> {
        let output = self.try_git(arguments)?;
        if output.success() {
            return Ok(output.stdout_text());
        }
        Err(self.failure(arguments, &output, &message(&output)))
    }

    fn failure(&self, arguments: &[&str], output: &CommandOutput, message: &str) -> Error {
        let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
        let message = if message.is_empty() {
            stderr.trim()
        } else {
            message
        };
        let mut cmd = vec![self.git.clone()];
        cmd.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Error::new(message)
            .with("cmd", cmd.join(" "))
            .with("rc", output.code)
            .with("stdout", stdout.as_str())
            .with("stderr", stderr.as_str())
    }

    /// The folder of the repository itself: `.git`, or what a file of that name points to.
    fn repository(&self) -> Result<PathBuf, Error> {
        if self.args.bare {
            return Ok(self.dest().to_owned());
        }
        let path = self.dest().join(".git");
        let file = self.system.metadata(&path, Follow::Yes)?;
        if file.is_none_or(|found| found.kind != FileKind::File) {
            return Ok(path);
        }
        let text = String::from_utf8_lossy(&self.system.read(&path)?).into_owned();
        let target = text.trim_end().strip_prefix("gitdir: ");
        let target = target.map(|target| self.dest().join(target));
        let is_folder = |target: &PathBuf| {
            let found = self.system.metadata(target, Follow::Yes);
            matches!(found, Ok(Some(found)) if found.kind == FileKind::Directory)
        };
        target.filter(is_folder).ok_or_else(|| {
            Error::new(
                "Current repo does not have a valid reference to a separate Git dir or it refers to the invalid path",
            )
        })
    }

    fn exists(&self) -> Result<bool, Error> {
        if self.dest.is_none() {
            return Ok(false);
        }
        let config = self.repository()?.join("config");
        Ok(self.system.metadata(&config, Follow::Yes)?.is_some())
    }

    /// The folder of the repository where it is not the one that is asked for.
    fn misplaced(&self) -> Result<Option<PathBuf>, Error> {
        let Some(separate) = &self.separate else {
            return Ok(None);
        };
        let now = self.repository()?;
        if now == *separate || self.system.metadata(&now, Follow::Yes)?.is_none() {
            return Ok(None);
        }
        if self.system.metadata(separate, Follow::Yes)?.is_some() {
            return Err(Error::new(format!(
                "Separate-git-dir path {} already exists.",
                separate.display()
            )));
        }
        Ok(Some(now))
    }

    fn revision(&self, name: &str) -> Result<String, Error> {
        Ok(self
            .try_git(&["rev-parse", name])?
            .stdout_text()
            .trim_end()
            .to_owned())
    }

    fn local_changes_message(&self) -> Error {
        Error::new(format!(
            "Local modifications exist in the destination: {} (force=no).",
            self.dest().display()
        ))
    }

    /// What the result will be, as far as the remote tells.
    fn predict(
        &self,
        work: Work,
        before: Option<String>,
        relocated: bool,
        archive: Option<&Archive>,
    ) -> Result<Outcome, Error> {
        let exported = |revision: &str| match archive {
            Some(archive) => self.archive_differs(archive, revision),
            None => Ok(false),
        };
        let outcome = Outcome::changed(true).with("before", before.clone());
        if work == Work::Archive {
            return Ok(Outcome {
                changed: relocated || exported(&self.args.version)?,
                ..outcome.with("after", before)
            });
        }
        let remote = Remote::ask(self)?;
        let head = match work {
            Work::Update { .. } => self.head_branch().ok(),
            _ => None,
        };
        let version = self.args.version.as_str();
        let mut after = remote.revision(version, head.as_deref());
        if matches!(work, Work::Update { .. }) && after.as_deref() == Some(version) {
            // A commit, perhaps by a part of its hash.
            let commit = format!("{version}^{{commit}}");
            let known = self.try_git(&["rev-parse", "--verify", "--quiet", &commit])?;
            if known.success() {
                after = Some(known.stdout_text().trim_end().to_owned());
            }
        }
        let mut outcome = outcome.with("after", after.clone());
        let line = |revision: &Option<String>| revision.iter().flat_map(|text| [text, "\n"]).collect();
        if before != after {
            let header = self.dest().display().to_string();
            outcome = outcome.with_diff(Diff {
                before_header: header.clone(),
                after_header: header,
                before: line(&before),
                after: line(&after),
            });
        }
        let Work::Update { local_changes } = work else {
            return Ok(outcome);
        };
        let url_changed = self.remote_url_differs()?;
        let moved = before != after || url_changed || local_changes || relocated;
        let changed = moved
            || (self.args.recursive && self.submodules_differ_here()?)
            || exported(after.as_deref().unwrap_or("HEAD"))?;
        Ok(Outcome {
            changed,
            ..outcome.with("remote_url_changed", url_changed)
        })
    }

    /// What is there afterwards: what is in the checkout is not known.
    fn foreseen(&self, archive: Option<Archive>) -> Vec<Effect> {
        let made = |path: PathBuf, kind: FileKind| Effect::Path {
            path,
            kind,
            attributes: Attributes::default(),
        };
        let folders = [self.dest.clone(), self.separate.clone()];
        let folders = folders.into_iter().flatten();
        let file = archive.map(|archive| made(archive.path, FileKind::File));
        folders
            .map(|path| made(path, FileKind::Directory))
            .chain(file)
            .collect()
    }
}

impl Args {
    fn umask(&self) -> Result<Option<u32>, Error> {
        match &self.umask {
            Value::Null => Ok(None),
            Value::Str(text) => u32::from_str_radix(text, 8).map(Some).map_err(|error| {
                Error::new("umask must be an octal integer").with("details", error.to_string())
            }),
            _ => Err(Error::new("umask must be defined as a quoted octal integer")),
        }
    }

    /// The command that git reaches servers with.
    fn ssh_command(&self, system: &dyn System) -> Result<String, Error> {
        let given = system.env("GIT_SSH").or_else(|| system.env("GIT_SSH_COMMAND"));
        let mut options = vec![system.env("GIT_SSH_OPTS").unwrap_or_default()];
        options.extend(self.ssh_opts.clone());
        let mut add = |option: &str, unless: &[&str]| {
            let told = options.join(" ");
            if !unless.iter().any(|word| told.contains(word)) {
                options.push(option.to_owned());
            }
        };
        let checked = ["StrictHostKeyChecking=no", "StrictHostKeyChecking=accept-new"];
        if self.accept_hostkey {
            add("-o StrictHostKeyChecking=no", &checked);
        }
        if self.accept_newhostkey {
            add("-o StrictHostKeyChecking=accept-new", &checked);
        }
        add("-o BatchMode=yes", &["BatchMode=yes"]);
        if let Some(key) = &self.key_file {
            let key = path::expand(key, system)?.display().to_string();
            add(&format!("-i {}", shell_words::quote(&key)), &[]);
            add("-o IdentitiesOnly=yes", &["IdentitiesOnly=yes"]);
        }
        let command = given.unwrap_or_else(|| "ssh".to_owned());
        Ok(format!("{command} {}", options.join(" ").trim()))
    }
}
