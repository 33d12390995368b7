//! `filesystem`: what is on a device. After community.general.filesystem.
//!
//! Only types of Linux (no `ufs`). What is recognised is what blkid(8) recognises: nothing on a device means nothing
//! that it knows.

mod kinds;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::kinds::{Growth, KINDS, Kind, NAMES, Size};
use super::lvm;
use super::mounts::Mounts;
use crate::modules::files::path::expand;
use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Foresight, Subject};
use crate::system::{Command, FileKind, Follow, System};
use crate::value::Value;
use crate::wire::message::{Diff, Outcome};

/// XFS does not add less than this as a new allocation group.
const XFS_SLACK: u64 = 64 * 4096 - 1;

pub struct Filesystem;

#[derive(Debug, Deserialize)]
pub struct Args {
    dev: String,
    fstype: Option<String>,
    state: String,
    opts: Option<String>,
    force: bool,
    resizefs: bool,
    uuid: Option<String>,
}

impl Module for Filesystem {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "filesystem",
        summary: "make, grow and wipe file systems",
        args: &[
            Arg::path("dev")
                .aliases(&["device"])
                .required()
                .doc("the device, or a file that stands for one"),
            Arg::str("fstype")
                .aliases(&["type"])
                .choices(NAMES)
                .doc("its type; `lvm` makes a physical volume"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("`absent` wipes all signatures"),
            Arg::str("opts").doc("further options for the program that makes it"),
            Arg::bool("force")
                .default("no")
                .doc("make it anew over what is there"),
            Arg::bool("resizefs")
                .default("no")
                .doc("let it grow to the size of the device; XFS and Btrfs have to be mounted"),
            Arg::str("uuid")
                .doc("its UUID, or what the program takes for one; for `lvm`: a new one, whatever is given"),
        ],
        returns: &[Return::new(
            "msg",
            "str",
            "what the program said, or why nothing was to be done",
        )
        .when("it grows")],
        example: "- filesystem: {dev: /dev/vg/data, fstype: xfs, opts: -L data}\n\
                  - filesystem: {dev: /dev/vg/data, fstype: xfs, resizefs: true}\n",
        free_form: None,
        rules: &[Rule::Exclusive(&["resizefs", "uuid"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let dev = expand(&args.dev, system)?;
        let device = Device::look(&dev, system)?;
        let mut calls = Calls::new(Outcome::ok());
        if args.state == "absent" {
            let Some(device) = device else {
                let message = format!("Device {} not found.", args.dev);
                return Ok(Plan::Same(Outcome::ok().with("msg", message)));
            };
            if !device.holds.is_empty() {
                tool::require(system, "wipefs", "wipe a device's signatures")?;
                calls.push(["wipefs", "--all", &device.name]);
                device.becomes("", &mut calls);
            }
            return Ok(calls.plan());
        }
        let Some(fstype) = &args.fstype else {
            return Err(Error::new(
                "state is present but all of the following are missing: fstype",
            ));
        };
        let device = device.ok_or_else(|| Error::new(format!("Device {} not found.", args.dev)))?;
        let kind = KINDS.iter().find(|kind| kind.name == fstype).unwrap_or(&KINDS[0]);
        if args.uuid.is_some() && kind.uuid.made_with.is_empty() && kind.uuid.changed_with.is_empty() {
            return Err(Error::new(format!(
                "module does not support UUID option for this filesystem ({fstype}) yet."
            )));
        }
        let same = device.holds == kind.signature;
        if same && args.resizefs {
            return device.grow(kind, calls, system);
        }
        if same && let Some(uuid) = &args.uuid {
            if device.uuid(system)?.eq_ignore_ascii_case(uuid) {
                return Ok(Plan::Same(calls.outcome));
            }
            device.set_uuid(kind, uuid, &mut calls, system)?;
            return Ok(calls.plan());
        }
        if same && !args.force {
            return Ok(Plan::Same(calls.outcome));
        }
        if !device.holds.is_empty() && !args.force {
            return Err(Error::new(format!(
                "'{}' is already used as {}, use force=true to overwrite",
                device.name, device.holds
            )));
        }
        device.make(kind, &args, &mut calls, system)?;
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

/// A device and what blkid knows of it.
struct Device {
    path: PathBuf,
    name: String,
    /// The type of what is on it; empty if nothing is.
    holds: String,
    /// It is there already, and not only after an earlier task of this check.
    is_real: bool,
}

impl Device {
    fn look(path: &Path, system: &dyn System) -> Result<Option<Self>, Error> {
        let name = path.display().to_string();
        let (holds, is_real) = match system.foreseen(Subject::Device, &name) {
            Some(Value::Null) => return Ok(None),
            Some(holds) => (holds.to_string(), false),
            None if system.metadata(path, Follow::Yes)?.is_none() => return Ok(None),
            None => (tag(&name, "TYPE", system)?, true),
        };
        let path = path.to_owned();
        Ok(Some(Self {
            path,
            name,
            holds,
            is_real,
        }))
    }

    fn uuid(&self, system: &dyn System) -> Result<String, Error> {
        tag(&self.name, "UUID", system)
    }

    /// What is on it from now on, for the diff and for the later tasks of a check.
    fn becomes(&self, holds: &str, calls: &mut Calls) {
        calls.leaves(Subject::Device, &self.name, holds);
        let side = |holds: &str| {
            if holds.is_empty() {
                String::new()
            } else {
                format!("{holds}\n")
            }
        };
        calls.outcome.diff.push(Diff {
            before_header: self.name.clone(),
            after_header: self.name.clone(),
            before: side(&self.holds),
            after: side(holds),
        });
    }

    fn make(&self, kind: &Kind, args: &Args, calls: &mut Calls, system: &dyn System) -> Result<(), Error> {
        tool::require(
            system,
            kind.make[0],
            &format!("make {} on {}", kind.name, self.name),
        )?;
        let mut opts = shell_words::split(args.opts.as_deref().unwrap_or_default())
            .map_err(|error| Error::new(format!("cannot split opts: {error}")))?;
        let with = kind.uuid.made_with;
        if let (Some(uuid), Some(&option)) = (&args.uuid, with.first())
            && !opts.iter().any(|word| with.contains(&word.as_str()))
        {
            let extra = kind.uuid.extra.iter().copied();
            opts.extend([option, uuid].into_iter().chain(extra).map(str::to_owned));
        }
        let make = kind.make.iter().map(|&word| word.to_owned());
        calls.push(make.chain(opts).chain([self.name.clone()]));
        if let (Some(uuid), true) = (&args.uuid, with.is_empty()) {
            self.set_uuid(kind, uuid, calls, system)?;
        }
        self.becomes(kind.signature, calls);
        Ok(())
    }

    fn set_uuid(&self, kind: &Kind, uuid: &str, calls: &mut Calls, system: &dyn System) -> Result<(), Error> {
        let words = kind.uuid.changed_with;
        tool::require(system, words[0], &format!("set the UUID of {}", self.name))?;
        let words = words.iter().map(|&word| if word == "UUID" { uuid } else { word });
        calls.push(words.chain([self.name.as_str()]));
        Ok(())
    }

    fn grow(&self, kind: &Kind, mut calls: Calls, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let Some(growth) = &kind.growth else {
            return Err(Error::new(format!(
                "module does not support resizing {} filesystem yet.",
                kind.name
            )));
        };
        let whole = |mut outcome: Outcome| {
            let message = format!("{} filesystem is using the whole device {}", kind.name, self.name);
            outcome = outcome.with("msg", message);
            Ok(Plan::Same(outcome))
        };
        if !self.is_real {
            return whole(calls.outcome);
        }
        let mounts = Mounts::read(system)?;
        let point = mounts
            .point_of(&self.path, system)
            .map(|point| point.display().to_string());
        if !self.has_room(growth, point.as_deref(), system)? {
            return whole(calls.outcome);
        }
        let target = match (growth.mounted, point) {
            (false, _) => self.name.clone(),
            (true, Some(point)) => point,
            (true, None) => return Err(self.unmounted(kind.name)),
        };
        tool::require(system, growth.command[0], &format!("let {} grow", self.name))?;
        calls.push(growth.command.iter().copied().chain([target.as_str()]));
        let message = format!("resizing filesystem {} on device {}", kind.name, self.name);
        calls.outcome = calls.outcome.with("msg", message);
        Ok(calls.plan())
    }

    fn unmounted(&self, fstype: &str) -> Error {
        Error::new(format!(
            "{} needs to be mounted for {fstype} operations",
            self.name
        ))
    }

    fn has_room(&self, growth: &Growth, point: Option<&str>, system: &dyn System) -> Result<bool, Error> {
        let (used, slack) = match growth.size {
            Size::PhysicalVolume => {
                let size = lvm::physical_size(&self.name, system)?;
                return Ok(size.device.saturating_sub(size.used) > size.extent);
            }
            Size::Labels(program, labels) => {
                let numbers = self.ask(
                    program.iter().copied().chain([self.name.as_str()]),
                    system,
                    |text| labels.iter().map(|label| labelled(text, label)).collect(),
                )?;
                // Less than a block is no use; the last number is a block's size where there are two.
                let block = numbers.get(1).copied().unwrap_or(1).min(1 << 16);
                (numbers.iter().product::<u64>(), block - 1)
            }
            Size::Xfs => {
                let target = point.unwrap_or(&self.name);
                let numbers = self.ask(["xfs_info", target], system, xfs_size)?;
                (numbers.iter().product::<u64>(), XFS_SLACK)
            }
            Size::Btrfs => {
                let point = point.ok_or_else(|| self.unmounted("btrfs"))?;
                let argv = ["btrfs", "filesystem", "usage", "-b", point];
                let numbers = self.ask(argv, system, |text| {
                    labelled(text, "Device size").map(|size| vec![size])
                })?;
                (numbers.iter().product::<u64>(), 0)
            }
        };
        Ok(self.size(system)? > used + slack)
    }

    fn ask<'a>(
        &self,
        argv: impl IntoIterator<Item = &'a str>,
        system: &dyn System,
        read: impl FnOnce(&str) -> Option<Vec<u64>>,
    ) -> Result<Vec<u64>, Error> {
        let command = Command::new(argv).env("LC_ALL", "C");
        let program = command.argv[0].clone();
        tool::require(system, &program, &format!("tell the size of {}", self.name))?;
        let text = tool::text_of(system, &command)?;
        read(&text).ok_or_else(|| Error::new(format!("unable to process {program} output for {}", self.name)))
    }

    /// Bytes.
    fn size(&self, system: &dyn System) -> Result<u64, Error> {
        let unsupported = || Error::new(format!("Target device not supported: {}", self.name));
        match system.metadata(&self.path, Follow::Yes)? {
            Some(metadata) if metadata.kind == FileKind::File => Ok(metadata.size),
            Some(metadata) if metadata.kind == FileKind::BlockDevice => {
                let text = tool::text_of(system, &Command::new(["blockdev", "--getsize64", &self.name]))?;
                text.trim().parse().map_err(|_| unsupported())
            }
            _ => Err(unsupported()),
        }
    }
}

/// The first number after a label, be there `:` or `=` between.
fn labelled(text: &str, label: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(label))?;
    rest.trim_start_matches([':', '=', ' ', '\t'])
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// `data     =      bsize=4096   blocks=65536, imaxpct=25`.
fn xfs_size(text: &str) -> Option<Vec<u64>> {
    let line = text.lines().find(|line| line.starts_with("data"))?;
    let number = |key: &str| {
        let rest = line.split_once(key)?.1;
        rest.split([' ', ',']).next()?.parse().ok()
    };
    Some(vec![number("bsize=")?, number("blocks=")?])
}

/// What blkid says of a device, past its cache; empty where it knows nothing.
fn tag(device: &str, name: &str, system: &dyn System) -> Result<String, Error> {
    tool::require(system, "blkid", "see what is on a device")?;
    let output = system.run(&Command::new([
        "blkid",
        "-c",
        "/dev/null",
        "-o",
        "value",
        "-s",
        name,
        device,
    ]))?;
    Ok(output.stdout_text().trim().to_owned())
}

#[cfg(test)]
mod tests;
