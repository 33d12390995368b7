//! `lvg`: groups of LVM and the physical volumes in them. After community.general.lvg.
//!
//! Unlike there, a check of a group that may not be removed says so.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::lvm::{self, Names};
use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Foresight, Subject};
use crate::system::{Command, Follow, System};
use crate::value::Value;
use crate::wire::message::Outcome;

const AUTOACTIVATION: &str = "--setautoactivation";

pub struct Lvg;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    vg: String,
    pvs: Option<Vec<String>>,
    pesize: String,
    pv_options: String,
    pvresize: bool,
    vg_options: String,
    state: String,
    force: bool,
    reset_vg_uuid: bool,
    reset_pv_uuid: bool,
    remove_extra_pvs: bool,
}

impl Module for Lvg {
    type Args = Args;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "lvg",
        summary: "keep volume groups of LVM",
        args: &[
            Arg::str("vg").required().doc("the group"),
            Arg::strings("pvs").doc("the devices it consists of; needed to make it"),
            Arg::str("pesize")
                .default("4")
                .doc("size of an extent, in MiB without a unit"),
            Arg::str("pv_options")
                .default("")
                .doc("further options for pvcreate"),
            Arg::bool("pvresize")
                .default("no")
                .doc("let physical volumes grow to the size of their devices"),
            Arg::str("vg_options")
                .default("")
                .doc("further options for vgcreate"),
            Arg::str("state")
                .choices(&["absent", "present", "active", "inactive"])
                .default("present")
                .doc("`active` and `inactive`: its volumes can be used or not, also after a boot"),
            Arg::bool("force")
                .default("no")
                .doc("remove it with the volumes in it"),
            Arg::bool("reset_vg_uuid")
                .default("no")
                .doc("give it a new UUID, each time"),
            Arg::bool("reset_pv_uuid")
                .default("no")
                .doc("give its physical volumes new UUIDs, each time"),
            Arg::bool("remove_extra_pvs")
                .default("yes")
                .doc("take out what is not in `pvs`"),
        ],
        returns: &[Return::new("vg", "str", "the group")],
        example: "- lvg: {vg: data, pvs: [/dev/sdb, /dev/sdc]}\n- lvg: {vg: data, state: absent}\n",
        free_form: None,
        rules: &[Rule::If("reset_pv_uuid", "True", &["pvs"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Calls>, Error> {
        let mut calls = Calls::new(Outcome::ok().with("vg", args.vg.as_str()));
        let there = volumes(&args.vg, system)?;
        let foreseen = lvm::foreseen_volumes(&args.vg, system);
        let volumes = foreseen.unwrap_or_else(|| there.clone());
        match (args.state.as_str(), volumes) {
            ("absent", None) => {}
            ("absent", Some(volumes)) => {
                if !volumes.is_empty() && !args.force {
                    return Err(Error::new(format!(
                        "Refuse to remove non-empty volume group {} without force=true",
                        args.vg
                    )));
                }
                calls.push(["vgremove", "--force", &args.vg]);
                calls.leaves(Subject::VolumeGroup, &args.vg, Value::Null);
            }
            (_, None) => create(&args, &mut calls, system)?,
            // It would have been made by an earlier task of this check.
            (_, Some(_)) if there.is_none() => {}
            (_, Some(_)) => change(&args, &mut calls, system)?,
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

/// The names of the group's volumes; none if there is no such group.
fn volumes(vg: &str, system: &dyn System) -> Result<Option<Names>, Error> {
    let groups = lvm::report("vgs", "vg_name", &[], system)?.unwrap_or_default();
    if !groups.iter().any(|row| row[0] == vg) {
        return Ok(None);
    }
    let rows = lvm::report("lvs", "lv_name", &[vg], system)?.unwrap_or_default();
    Ok(Some(
        rows.into_iter()
            .flatten()
            .map(|name| (name, false.into()))
            .collect(),
    ))
}

/// A physical volume and the group that it is in; empty if in none.
struct Physical {
    device: PathBuf,
    vg: String,
}

fn physical(system: &dyn System) -> Result<Vec<Physical>, Error> {
    let rows = lvm::report("pvs", "pv_name,vg_name", &[], system)?.unwrap_or_default();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [device, vg] = <[String; 2]>::try_from(row).ok()?;
            let device = real(device.as_ref(), system);
            Some(Physical { device, vg })
        })
        .collect())
}

/// LVM goes by the devices themselves, not by links to them.
fn real(device: &Path, system: &dyn System) -> PathBuf {
    system.canonicalize(device).unwrap_or_else(|_| device.to_owned())
}

/// The devices that are asked for: there, and in no other group.
fn wanted(args: &Args, present: &[Physical], system: &dyn System) -> Result<Vec<PathBuf>, Error> {
    let mut wanted = Vec::new();
    for name in args.pvs.iter().flatten() {
        let device = real(name.as_ref(), system);
        let is_there = match system.foreseen(Subject::Device, name) {
            Some(foreseen) => foreseen != Value::Null,
            None => system.metadata(&device, Follow::Yes)?.is_some(),
        };
        if !is_there {
            return Err(Error::new(format!("Device {} not found.", device.display())));
        }
        let taken = present
            .iter()
            .find(|volume| volume.device == device && !volume.vg.is_empty() && volume.vg != args.vg);
        if let Some(taken) = taken {
            return Err(Error::new(format!(
                "Device {} is already in {} volume group.",
                device.display(),
                taken.vg
            )));
        }
        wanted.push(device);
    }
    Ok(wanted)
}

fn text(device: &Path) -> String {
    device.display().to_string()
}

fn words(options: &str) -> Result<Vec<String>, Error> {
    shell_words::split(options).map_err(|error| Error::new(format!("cannot split `{options}`: {error}")))
}

/// Makes physical volumes of them.
fn prepare(devices: &[PathBuf], args: &Args, calls: &mut Calls) -> Result<(), Error> {
    for device in devices {
        let mut argv = vec!["pvcreate".to_owned()];
        argv.extend(words(&args.pv_options)?);
        argv.extend(["-f".to_owned(), text(device)]);
        calls.push(argv);
    }
    Ok(())
}

fn create(args: &Args, calls: &mut Calls, system: &dyn System) -> Result<(), Error> {
    let devices = wanted(args, &physical(system)?, system)?;
    if devices.is_empty() {
        return Err(Error::new("No physical volumes given."));
    }
    prepare(&devices, args, calls)?;
    let mut options = words(&args.vg_options)?;
    let flag = match args.state.as_str() {
        "active" => Some("y"),
        "inactive" => Some("n"),
        _ => None,
    };
    if let Some(flag) = flag
        && !options.iter().any(|option| option == AUTOACTIVATION)
        && knows_autoactivation("vgcreate", system)?
    {
        options.extend([AUTOACTIVATION, flag].map(str::to_owned));
    }
    let mut argv = vec!["vgcreate".to_owned()];
    argv.extend(options);
    argv.extend(["-s", &args.pesize, &args.vg].map(str::to_owned));
    argv.extend(devices.iter().map(|device| text(device)));
    calls.push(argv);
    calls.leaves(Subject::VolumeGroup, &args.vg, Names::new());
    Ok(())
}

fn knows_autoactivation(program: &str, system: &dyn System) -> Result<bool, Error> {
    Ok(tool::text_of(system, &Command::new([program, "--help"]))?.contains(AUTOACTIVATION))
}

fn change(args: &Args, calls: &mut Calls, system: &dyn System) -> Result<(), Error> {
    let present = physical(system)?;
    let wanted = wanted(args, &present, system)?;
    match args.state.as_str() {
        "active" => activate(args, true, calls, system)?,
        "inactive" => activate(args, false, calls, system)?,
        _ => {}
    }
    if args.reset_vg_uuid {
        calls.push(["vgchange", "-u", &args.vg]);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mine = present.into_iter().filter(|volume| volume.vg == args.vg);
    let mine: Vec<PathBuf> = mine.map(|volume| volume.device).collect();
    for device in &mine {
        let name = text(device);
        if args.pvresize {
            let size = lvm::physical_size(&name, system)?;
            if size.device.saturating_sub(size.used) > size.extent {
                calls.push(["pvresize", &name]);
            }
        }
        if args.reset_pv_uuid {
            calls.push(["pvchange", "-u", &name]);
        }
    }
    let without = |all: &[PathBuf], others: &[PathBuf]| -> Vec<PathBuf> {
        all.iter()
            .filter(|device| !others.contains(device))
            .cloned()
            .collect()
    };
    let added = without(&wanted, &mine);
    let removed = without(&mine, &wanted);
    if !added.is_empty() {
        prepare(&added, args, calls)?;
        calls.push(
            ["vgextend".to_owned(), args.vg.clone()]
                .into_iter()
                .chain(added.iter().map(|device| text(device))),
        );
    }
    if args.remove_extra_pvs && !removed.is_empty() {
        let words = ["vgreduce", "--force", &args.vg].map(str::to_owned);
        calls.push(words.into_iter().chain(removed.iter().map(|device| text(device))));
    }
    Ok(())
}

fn activate(args: &Args, active: bool, calls: &mut Calls, system: &dyn System) -> Result<(), Error> {
    let flag = if active { "y" } else { "n" };
    let knows = knows_autoactivation("vgchange", system)?;
    let fields = if knows {
        "lv_attr,autoactivation"
    } else {
        "lv_attr"
    };
    let rows = lvm::report("vgs", fields, &[&args.vg], system)?.unwrap_or_default();
    let automatic = rows
        .iter()
        .any(|row| row.get(1).is_some_and(|word| word == "enabled"));
    if knows && automatic != active {
        calls.push(["vgchange", AUTOACTIVATION, flag, &args.vg]);
    }
    let differs = |row: &Vec<String>| {
        row[0]
            .chars()
            .nth(4)
            .is_some_and(|state| (state == 'a') != active)
    };
    if rows.iter().any(differs) {
        calls.push(["vgchange", "--activate", flag, &args.vg]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    const REPORT: &str = "--noheadings --nosuffix --units b --separator ; -o";

    /// `groups`: each with how many volumes it has.
    fn machine(groups: &[(&str, usize)], physical: &str) -> Fake {
        let fake = Fake::new();
        fake.program("/sbin/vgs")
            .program("/sbin/pvs")
            .program("/sbin/lvs");
        for device in ["sdb", "sdc", "sdd"] {
            fake.file(&format!("/dev/{device}"), "");
        }
        fake.link("/dev/disk/b", "../sdb");
        for (name, volumes) in groups {
            fake.answer(
                &format!("lvs {REPORT} lv_name {name}"),
                0,
                &"  volume\n".repeat(*volumes),
            );
        }
        let names: String = groups.iter().map(|(name, _)| format!("  {name}\n")).collect();
        fake.answer(&format!("vgs {REPORT} vg_name"), 0, &names)
            .answer(&format!("pvs {REPORT} pv_name,vg_name"), 0, physical)
            .answer_with(|_, command| {
                let changing = [
                    "pvcreate", "vgcreate", "vgextend", "vgreduce", "vgremove", "vgchange", "pvresize",
                ];
                changing
                    .contains(&command.argv[0].as_str())
                    .then(Default::default)
            });
        fake
    }

    fn changes(fake: &Fake) -> Vec<String> {
        let asks = ["vgs ", "pvs ", "lvs "];
        fake.ran()
            .into_iter()
            .filter(|line| !asks.iter().any(|ask| line.starts_with(ask)))
            .collect()
    }

    #[test]
    fn makes_a_group_of_the_devices_themselves() {
        let fake = machine(&[], "");
        assert!(check::<Lvg>(&fake, r#"{"vg":"data","pvs":"/dev/disk/b"}"#).changed);
        assert!(
            run::<Lvg>(
                &fake,
                r#"{"vg":"data","pvs":["/dev/disk/b","/dev/sdc"],"pesize":"8"}"#
            )
            .changed
        );
        assert_eq!(
            changes(&fake),
            [
                "pvcreate -f /dev/sdb",
                "pvcreate -f /dev/sdc",
                "vgcreate -s 8 data /dev/sdb /dev/sdc"
            ]
        );
    }

    #[test]
    fn adds_and_takes_out_devices() {
        let fake = machine(&[("data", 0)], "  /dev/sdb;data\n  /dev/sdc;\n");
        assert!(!run::<Lvg>(&fake, r#"{"vg":"data","pvs":"/dev/sdb"}"#).changed);
        assert!(!run::<Lvg>(&fake, r#"{"vg":"data"}"#).changed);
        run::<Lvg>(&fake, r#"{"vg":"data","pvs":["/dev/sdc"]}"#);
        run::<Lvg>(
            &fake,
            r#"{"vg":"data","pvs":["/dev/sdd"],"remove_extra_pvs":false}"#,
        );
        assert_eq!(
            changes(&fake),
            [
                "pvcreate -f /dev/sdc",
                "vgextend data /dev/sdc",
                "vgreduce --force data /dev/sdb",
                "pvcreate -f /dev/sdd",
                "vgextend data /dev/sdd"
            ]
        );
    }

    #[test]
    fn grows_and_switches() {
        let fake = machine(&[("data", 2)], "  /dev/sdb;data\n");
        let sizes = format!("pvs {REPORT} dev_size,pv_size,pe_start,vg_extent_size /dev/sdb");
        let arguments = r#"{"vg":"data","pvs":["/dev/sdb"],"pvresize":true}"#;
        fake.answer(&sizes, 0, "  1000;890;100;10\n");
        assert!(!run::<Lvg>(&fake, arguments).changed);
        fake.answer(&sizes, 0, "  1000;880;100;10\n");
        assert!(run::<Lvg>(&fake, arguments).changed);
        fake.answer("vgchange --help", 0, "--setautoactivation y|n")
            .answer(
                &format!("vgs {REPORT} lv_attr,autoactivation data"),
                0,
                "  -wi-a-----;enabled\n  -wi-------;enabled\n",
            );
        run::<Lvg>(&fake, r#"{"vg":"data","state":"active"}"#);
        run::<Lvg>(&fake, r#"{"vg":"data","state":"inactive"}"#);
        let changes: Vec<String> = changes(&fake)
            .into_iter()
            .filter(|line| !line.ends_with("--help"))
            .collect();
        assert_eq!(
            changes,
            [
                "pvresize /dev/sdb",
                "vgchange --activate y data",
                "vgchange --setautoactivation n data",
                "vgchange --activate n data"
            ]
        );
    }

    #[test]
    fn removal_and_refusals() {
        let fake = machine(&[("data", 1), ("empty", 0)], "  /dev/sdb;data\n");
        assert!(run::<Lvg>(&fake, r#"{"vg":"empty","state":"absent"}"#).changed);
        assert!(!run::<Lvg>(&fake, r#"{"vg":"none","state":"absent"}"#).changed);
        assert!(run::<Lvg>(&fake, r#"{"vg":"data","state":"absent","force":true}"#).changed);
        for (arguments, message) in [
            (
                r#"{"vg":"data","state":"absent"}"#,
                "Refuse to remove non-empty volume group data without force=true",
            ),
            (r#"{"vg":"new"}"#, "No physical volumes given."),
            (r#"{"vg":"new","pvs":"/dev/nope"}"#, "Device /dev/nope not found."),
            (
                r#"{"vg":"new","pvs":"/dev/sdb"}"#,
                "Device /dev/sdb is already in data volume group.",
            ),
        ] {
            assert_eq!(failure::<Lvg>(&fake, arguments), message);
        }
    }
}
