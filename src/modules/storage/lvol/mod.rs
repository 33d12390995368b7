//! `lvol`: logical volumes, snapshots and thin pools of LVM. After community.general.lvol.
//!
//! Sizes are compared in extents, so that a volume that LVM has rounded up is no difference. A percentage of what is
//! free never shrinks a volume that is there: what was free went to the volume itself.

mod size;

use serde::Deserialize;

use self::size::{Amount, Size, Whole};
use super::lvm::{self, Names};
use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::system::foresight::{Foresight, Subject};
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct Lvol;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    vg: String,
    lv: Option<String>,
    size: Option<String>,
    opts: Option<String>,
    state: String,
    force: bool,
    shrink: bool,
    active: bool,
    snapshot: Option<String>,
    pvs: Option<Vec<String>>,
    resizefs: bool,
    thinpool: Option<String>,
}

/// A group: its room in bytes, and what is in it.
#[derive(Default)]
struct Group {
    size: u64,
    free: u64,
    extent: u64,
    /// Those that are there. Earlier tasks of a check would have left them alone.
    volumes: Vec<Volume>,
    names: Names,
}

struct Volume {
    name: String,
    size: u64,
    active: bool,
    is_pool: bool,
    is_thin: bool,
    is_hidden: bool,
    /// What goes with it: its origin, its pool.
    on: Vec<String>,
}

impl Module for Lvol {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "lvol",
        summary: "keep logical volumes of LVM",
        args: &[
            Arg::str("vg").required().doc("the group"),
            Arg::str("lv").doc("the volume; with `snapshot`: its origin"),
            Arg::str("size").doc(
                "`512` (MiB), `5G`, `60%VG`, `100%FREE`; `+` and `-` in front: relative to what it has. \
                 `%FREE` never shrinks what is there",
            ),
            Arg::str("opts").doc("further options for lvcreate"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there"),
            Arg::bool("force")
                .default("no")
                .doc("allow what destroys data: shrinking and removing"),
            Arg::bool("shrink")
                .default("yes")
                .doc("shrink it if it is bigger; needs `force`"),
            Arg::bool("active").default("yes").doc("whether it can be used"),
            Arg::str("snapshot").doc("a snapshot of `lv`"),
            Arg::strings("pvs").doc("devices of the group that it may be on"),
            Arg::bool("resizefs")
                .default("no")
                .doc("let the file system on it follow"),
            Arg::str("thinpool").doc("the pool of a thin volume; without `lv`: the pool itself"),
        ],
        returns: &[
            Return::new("vg", "str", "the group").when("the volume was there before"),
            Return::new("lv", "str", "the volume").when("it was there before"),
            Return::new("size", "float", "its size before, in MiB").when("it was there before"),
        ],
        example: "- lvol: {vg: data, lv: www, size: 5G}\n\
                  - lvol: {vg: data, lv: db, size: +100%FREE, resizefs: true}\n",
        free_form: None,
        rules: &[Rule::OneOf(&["lv", "thinpool"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let wanted = Wish::new(args)?;
        let mut calls = Calls::new(Outcome::ok());
        let is_absent = wanted.args.state == "absent";
        let Some(group) = Group::look(&wanted.args.vg, system)? else {
            let message = format!("Volume group {} does not exist.", wanted.args.vg);
            if is_absent {
                return Ok(Plan::Same(calls.outcome.with("stdout", message)));
            }
            return Err(Error::new(message));
        };
        wanted.check_origin(&group)?;
        let name = wanted.short_name();
        match group.volume(name) {
            Some(_) if is_absent => wanted.remove(&group, &mut calls)?,
            Some(volume) => wanted.change(volume, &group, &mut calls)?,
            // It would be made by an earlier task of this check.
            None if group.names.contains_key(name) => {
                if is_absent {
                    wanted.remove(&group, &mut calls)?;
                }
            }
            None if is_absent => {}
            None => wanted.create(&group, &mut calls)?,
        }
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

impl Group {
    /// None if there is no such group.
    fn look(vg: &str, system: &dyn System) -> Result<Option<Self>, Error> {
        let groups = lvm::report("vgs", "vg_size,vg_free,vg_extent_size", &[vg], system)?;
        let volumes = lvm::report(
            "lvs",
            "lv_name,lv_size,lv_attr,origin,pool_lv",
            &["-a", vg],
            system,
        )?;
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let row = groups.and_then(|rows| rows.into_iter().next());
        let group = row.zip(volumes).and_then(|(row, volumes)| match row.as_slice() {
            [size, free, extent] => Some(Self {
                size: number(size),
                free: number(free),
                extent: number(extent).max(1),
                volumes: volumes.iter().filter_map(|row| Volume::parse(row)).collect(),
                names: Names::new(),
            }),
            _ => None,
        });
        Ok(match lvm::foreseen_volumes(vg, system) {
            Some(names) => names.map(|names| group.unwrap_or_default().becomes(names)),
            None => group.map(|mut group| {
                let visible = group.volumes.iter().filter(|volume| !volume.is_hidden);
                group.names = visible
                    .map(|volume| (volume.name.clone(), false.into()))
                    .collect();
                group
            }),
        })
    }

    /// As earlier tasks of a check would have left it. What they have removed gives its room back; what they have made has an
    /// unknown size.
    fn becomes(self, names: Names) -> Self {
        let (volumes, gone): (Vec<_>, Vec<_>) = self
            .volumes
            .into_iter()
            .partition(|volume| volume.is_hidden || names.get(&volume.name) == Some(&Value::Bool(false)));
        Self {
            free: self.free + gone.iter().map(|volume| volume.size).sum::<u64>(),
            volumes,
            names,
            ..self
        }
    }

    fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }

    /// Whether an earlier task of this check would make it, so that no more is known of it.
    fn would_have(&self, name: &str) -> bool {
        self.names.get(name) == Some(&Value::Bool(true))
    }
}

impl Volume {
    fn parse(row: &[String]) -> Option<Self> {
        let [name, size, attributes, on @ ..] = row else {
            return None;
        };
        let attribute = |at: usize| attributes.chars().nth(at);
        // Hidden ones are in brackets.
        let plain = |name: &String| name.trim_matches(['[', ']']).to_owned();
        Some(Self {
            name: plain(name),
            size: size.parse().unwrap_or_default(),
            active: attribute(4) == Some('a'),
            is_pool: attribute(0) == Some('t'),
            is_thin: attribute(0) == Some('V'),
            is_hidden: name.starts_with('['),
            on: on.iter().map(plain).filter(|name| !name.is_empty()).collect(),
        })
    }
}

/// The arguments with the size understood.
struct Wish {
    /// The volume that it is about: the snapshot, the volume, or the pool.
    name: String,
    size: Option<Size>,
    opts: Vec<String>,
    args: Args,
}

impl Wish {
    fn new(args: Args) -> Result<Self, Error> {
        let size = args.size.as_deref().filter(|size| !size.is_empty());
        let name = [&args.snapshot, &args.lv, &args.thinpool]
            .into_iter()
            .flatten()
            .next();
        Ok(Self {
            name: name.cloned().unwrap_or_default(),
            size: size
                .map(|size| Size::parse(size, args.snapshot.is_some()))
                .transpose()?,
            opts: shell_words::split(args.opts.as_deref().unwrap_or_default())
                .map_err(|error| Error::new(format!("cannot split opts: {error}")))?,
            args,
        })
    }

    fn path(&self, volume: &str) -> String {
        format!("{}/{volume}", self.args.vg)
    }

    /// Without the group in front of it.
    fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    fn device(&self, volume: &str) -> String {
        format!("/dev/{}", self.path(volume))
    }

    /// What it is made from has to be there and to be of the right sort.
    fn check_origin(&self, group: &Group) -> Result<(), Error> {
        let vg = &self.args.vg;
        match (&self.args.snapshot, &self.args.thinpool, &self.args.lv) {
            (Some(_), pool, lv) => {
                let lv = lv.as_deref().unwrap_or_default();
                let origin = group.volume(lv);
                if origin.is_none() && !group.would_have(lv) {
                    return Err(Error::new(format!(
                        "Snapshot origin LV {lv} does not exist in volume group {vg}."
                    )));
                }
                if origin.is_some_and(|origin| origin.is_pool) || pool.is_some() {
                    return Err(Error::new("Snapshots of thin pool LVs are not supported."));
                }
            }
            (None, Some(pool), Some(_)) if group.volume(pool).is_none() && !group.would_have(pool) => {
                return Err(Error::new(format!(
                    "Thin pool LV {pool} does not exist in volume group {vg}."
                )));
            }
            _ => {}
        }
        Ok(())
    }

    fn create(&self, group: &Group, calls: &mut Calls) -> Result<(), Error> {
        let args = &self.args;
        let lv = args.lv.as_deref();
        let origin = lv.and_then(|lv| group.volume(lv));
        let of_thin = args.snapshot.is_some() && origin.is_some_and(|origin| origin.is_thin);
        let size = self.size.clone().map(Size::for_new).transpose()?;
        if size.is_none() && !of_thin {
            return Err(Error::new("No size given."));
        }
        let words = |letter: Option<char>| {
            size.as_ref()
                .map(|size| size.option(letter))
                .into_iter()
                .flatten()
        };
        let mut argv = ["lvcreate", "--yes"].map(str::to_owned).to_vec();
        if let (Some(snapshot), Some(origin)) = (&args.snapshot, lv) {
            argv.extend(words(None));
            argv.extend(["-s", "-n", snapshot].map(str::to_owned));
            argv.extend(self.opts.iter().cloned());
            argv.push(self.path(origin));
        } else if let Some(pool) = &args.thinpool {
            if let Some(lv) = lv {
                if matches!(
                    size,
                    Some(Size {
                        amount: Amount::Percent(..),
                        ..
                    })
                ) {
                    return Err(Error::new("Thin volume sizing with percentage not supported."));
                }
                argv.extend(["-n", lv].map(str::to_owned));
            }
            argv.extend(words(lv.map(|_| 'V')));
            argv.extend(self.opts.iter().cloned());
            argv.extend(["-T".to_owned(), self.path(pool)]);
        } else {
            argv.extend(["-n", &self.name].map(str::to_owned));
            argv.extend(words(None));
            argv.extend(self.opts.iter().cloned());
            argv.push(args.vg.clone());
            argv.extend(args.pvs.iter().flatten().cloned());
        }
        calls.push(argv);
        let name = self.short_name();
        let mut names = group.names.clone();
        names.insert(name.to_owned(), true.into());
        calls.leaves(Subject::VolumeGroup, &args.vg, names);
        calls.leaves(Subject::Device, self.device(name), "");
        Ok(())
    }

    fn remove(&self, group: &Group, calls: &mut Calls) -> Result<(), Error> {
        if !self.args.force {
            return Err(Error::new(format!(
                "Sorry, no removal of logical volume {} without force=true.",
                self.name
            )));
        }
        calls.push(["lvremove", "--force", &self.path(&self.name)]);
        let name = self.short_name();
        let with_it = group
            .volumes
            .iter()
            .filter(|volume| volume.on.iter().any(|on| on == name));
        let mut names = group.names.clone();
        for gone in with_it.map(|volume| volume.name.as_str()).chain([name]) {
            names.shift_remove(gone);
            calls.leaves(Subject::Device, self.device(gone), Value::Null);
        }
        calls.leaves(Subject::VolumeGroup, &self.args.vg, names);
        Ok(())
    }

    fn change(&self, volume: &Volume, group: &Group, calls: &mut Calls) -> Result<(), Error> {
        #[expect(clippy::cast_precision_loss, reason = "told to people, in MiB")]
        let mebibytes = volume.size as f64 / f64::from(1 << 20);
        calls.outcome = Outcome::ok()
            .with("vg", self.args.vg.as_str())
            .with("lv", volume.name.as_str())
            .with("size", mebibytes);
        if let Some(size) = &self.size {
            self.resize(size, volume, group, calls)?;
        }
        if self.args.active != volume.active {
            let flag = if self.args.active { "-ay" } else { "-an" };
            calls.push(["lvchange", flag, &self.path(&volume.name)]);
        }
        Ok(())
    }

    fn resize(&self, size: &Size, volume: &Volume, group: &Group, calls: &mut Calls) -> Result<(), Error> {
        let target = size.target(volume.size, group, self.origin_size(group));
        let free_only = matches!(size.amount, Amount::Percent(_, Whole::Free)) && size.relative.is_none();
        let program: &[&str] = if target > volume.size {
            let needed = target - volume.size;
            // A thin volume takes its room from its pool, not from the group.
            if needed > group.free && !volume.is_thin {
                return Err(Error::new(format!(
                    "Logical Volume {} could not be extended. Not enough free space left ({needed}b required / {}b available)",
                    volume.name, group.free
                )));
            }
            &["lvextend"]
        } else if target < volume.size && !free_only && (self.args.shrink || size.relative == Some('-')) {
            if target == 0 {
                return Err(Error::new(format!(
                    "Sorry, no shrinking of {} to 0 permitted.",
                    volume.name
                )));
            }
            if !self.args.force {
                return Err(Error::new(format!(
                    "Sorry, no shrinking of {} without force=true.",
                    volume.name
                )));
            }
            &["lvreduce", "--force"]
        } else {
            return Ok(());
        };
        let mut argv: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
        if self.args.resizefs {
            argv.push("--resizefs".to_owned());
        }
        argv.extend(size.option(None));
        argv.push(self.path(&volume.name));
        argv.extend(self.args.pvs.iter().flatten().cloned());
        calls.push(argv);
        Ok(())
    }

    fn origin_size(&self, group: &Group) -> u64 {
        let origin = self.args.lv.as_deref().and_then(|lv| group.volume(lv));
        origin.map(|volume| volume.size).unwrap_or_default()
    }
}

impl Size {
    /// The bytes that a volume of `now` bytes is to have, in whole extents as LVM rounds them.
    fn target(&self, now: u64, group: &Group, origin: u64) -> u64 {
        let amount = match self.amount {
            Amount::Bytes(bytes) => bytes.next_multiple_of(group.extent),
            Amount::Percent(percent, whole) => {
                let whole = match whole {
                    Whole::Group => group.size,
                    Whole::Free => group.free,
                    Whole::Origin => origin,
                };
                let part = u128::from(whole) * u128::from(percent) / 100;
                let part = u64::try_from(part).unwrap_or(u64::MAX);
                part - part % group.extent
            }
        };
        match self.relative {
            None => amount,
            Some('-') => now.saturating_sub(amount),
            Some(_) => now + amount,
        }
    }
}

#[cfg(test)]
mod tests;
