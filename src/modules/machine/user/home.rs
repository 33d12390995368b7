//! An account's home folder, and the key pair in it.

use std::path::{Path, PathBuf};

use super::Args;
use super::defaults::{LOGIN_DEFS, setting, text};
use crate::modules::files::content::beside;
use crate::modules::{Error, tool};
use crate::system::{Attributes, Command, FileKind, Follow, System, User};
use crate::wire::message::{Outcome, Secret};

const SKELETON: &str = "/etc/skel";
/// What home folders get where nothing is configured.
const HOME_MODE: u32 = 0o755;

/// Makes a home folder from the skeleton, unless it is there.
pub(super) fn make(
    path: &Path,
    skeleton: Option<&str>,
    user: &User,
    system: &dyn System,
) -> Result<(), Error> {
    if system.metadata(path, Follow::Yes)?.is_some() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    for folder in crate::modules::files::file::missing_folders(parent, system)? {
        system.create_dir(&folder, HOME_MODE)?;
    }
    let owner = Attributes {
        mode: None,
        uid: Some(user.uid),
        gid: Some(user.gid),
    };
    let skeleton = Path::new(skeleton.unwrap_or(SKELETON));
    system.create_dir(path, 0o700)?;
    if matches!(system.metadata(skeleton, Follow::Yes)?, Some(found) if found.kind == FileKind::Directory) {
        copy(skeleton, path, owner, system)?;
    }
    let mode = configured_mode(system)?;
    system.set_attributes(path, Attributes { mode, ..owner }, Follow::No)?;
    Ok(())
}

/// Copies what a folder holds; links stay links, and what they point to keeps its owner.
fn copy(from: &Path, to: &Path, owner: Attributes, system: &dyn System) -> Result<(), Error> {
    for name in system.read_dir(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        let Some(found) = system.metadata(&from, Follow::No)? else {
            continue;
        };
        match found.kind {
            FileKind::Directory => {
                system.create_dir(&to, found.mode)?;
                copy(&from, &to, owner, system)?;
            }
            FileKind::Link => system.symlink(&system.read_link(&from)?, &to)?,
            _ => {
                let mode = Some(found.mode);
                system.write(&to, &mut system.open(&from)?, Attributes { mode, ..owner })?;
            }
        }
        system.set_attributes(&to, owner, Follow::No)?;
    }
    Ok(())
}

/// `HOME_MODE` or what `UMASK` leaves; none where the target has no such file.
fn configured_mode(system: &dyn System) -> Result<Option<u32>, Error> {
    let Some(text) = text(LOGIN_DEFS, system)? else {
        return Ok(None);
    };
    let setting = |name: &str| u32::from_str_radix(setting(&text, name)?, 8).ok();
    let umask = || setting("UMASK").map(|umask| 0o777 & !umask);
    Ok(Some(setting("HOME_MODE").or_else(umask).unwrap_or(HOME_MODE)))
}

/// A key pair to be made for an account.
#[derive(Debug, Clone)]
pub(super) struct KeyPair {
    file: String,
    kind: String,
    bits: u32,
    comment: String,
    passphrase: Option<Secret>,
    force: bool,
}

impl KeyPair {
    pub fn wanted(args: &Args, system: &dyn System) -> Result<Option<Self>, Error> {
        if args.generate_ssh_key != Some(true) {
            return Ok(None);
        }
        let kind = args.ssh_key_type.clone();
        let comment = match &args.ssh_key_comment {
            Some(comment) => comment.clone(),
            None => format!("ansible-generated on {}", system.hostname()?),
        };
        Ok(Some(Self {
            file: args
                .ssh_key_file
                .clone()
                .unwrap_or_else(|| format!(".ssh/id_{kind}")),
            kind,
            bits: args.ssh_key_bits,
            comment,
            passphrase: args.ssh_key_passphrase.clone(),
            force: args.force,
        }))
    }

    /// Why none is made: one is there, and may not be replaced.
    pub fn obstacle(&self, home: &Path, system: &dyn System) -> Result<Option<String>, Error> {
        let (private, public) = self.paths(home);
        for (path, what) in [(private, "private"), (public, "public")] {
            if !self.force && system.metadata(&path, Follow::No)?.is_some() {
                return Ok(Some(format!(
                    "Found existing ssh key {what} file \"{}\", no force, so skipping ssh-keygen generation",
                    path.display()
                )));
            }
        }
        Ok(None)
    }

    fn paths(&self, home: &Path) -> (PathBuf, PathBuf) {
        let private = home.join(&self.file);
        let public = PathBuf::from(format!("{}.pub", private.display()));
        (private, public)
    }

    /// Makes it, or answers why not: a new account may have got a home that was there before.
    pub fn make(&self, user: &User, system: &dyn System) -> Result<Option<String>, Error> {
        if let Some(obstacle) = self.obstacle(&user.home, system)? {
            return Ok(Some(obstacle));
        }
        tool::require(system, "ssh-keygen", "make keys")?;
        let (private, public) = self.paths(&user.home);
        let owner = Attributes {
            mode: None,
            uid: Some(user.uid),
            gid: Some(user.gid),
        };
        let folder = private.parent().unwrap_or(Path::new("/"));
        if system.metadata(folder, Follow::Yes)?.is_none() {
            system.create_dir(folder, 0o700)?;
            system.set_attributes(folder, owner, Follow::No)?;
        }
        for path in [&private, &public] {
            if system.metadata(path, Follow::No)?.is_some() {
                system.remove_file(path)?;
            }
        }
        let bits = self.bits.to_string();
        let name = private.display().to_string();
        let mut argv = vec![
            "ssh-keygen",
            "-q",
            "-t",
            &self.kind,
            "-C",
            &self.comment,
            "-f",
            &name,
        ];
        if self.bits > 0 {
            argv.extend(["-b", &bits]);
        }
        match &self.passphrase {
            None => {
                argv.extend(["-N", ""]);
                tool::run(system, &Command::new(argv))?;
            }
            Some(passphrase) => ask_for(passphrase, Command::new(argv), folder, system)?,
        }
        for path in [&private, &public] {
            system.set_attributes(path, owner, Follow::No)?;
        }
        Ok(None)
    }

    /// What a result tells of the pair.
    pub fn describe(&self, outcome: Outcome, user: &User, system: &dyn System) -> Result<Outcome, Error> {
        let (private, public) = self.paths(&user.home);
        let name = private.display().to_string();
        let output = system.run(&Command::new(["ssh-keygen", "-l", "-f", &name]))?;
        let fingerprint = if output.success() {
            output.stdout_text()
        } else {
            output.stderr_text()
        };
        let line = system
            .read(&public)
            .map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        Ok(outcome
            .with("ssh_fingerprint", fingerprint.trim())
            .with("ssh_key_file", name)
            .with("ssh_public_key", line.ok()))
    }
}

/// Lets `ssh-keygen` ask a program of ours for the passphrase: on its command line every user would see it.
fn ask_for(passphrase: &Secret, command: Command, folder: &Path, system: &dyn System) -> Result<(), Error> {
    const PROGRAM: &str = "#!/bin/sh\nprintf '%s\\n' \"$REGDEPLOY_PASSPHRASE\"\n";
    let program = beside(&folder.join("passphrase"), "askpass", system);
    let private = Attributes {
        mode: Some(0o700),
        ..Attributes::default()
    };
    system.write(&program, &mut PROGRAM.as_bytes(), private)?;
    let command = command
        .env("SSH_ASKPASS", &program.display().to_string())
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", ":")
        .env("REGDEPLOY_PASSPHRASE", passphrase.reveal());
    let made = tool::run(system, &command);
    system.remove_file(&program)?;
    made.map(|_| ())
}
