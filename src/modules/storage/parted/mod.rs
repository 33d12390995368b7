//! `parted`: partitions. After community.general.parted.
//!
//! A disk with another label than the wanted one gets a new one, as there: its partitions are gone then.

mod disk;

use serde::Deserialize;

use self::disk::{Disk, Partition, size};
use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Foresight, Subject};
use crate::system::{Command, System};
use crate::value::Value;
use crate::wire::message::Outcome;

const UNITS: &[&str] = &[
    "B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "s", "%", "cyl", "chs", "compact",
];

/// Bytes.
const ALIGNMENT: f64 = 1_048_576.0;

pub struct Parted;

#[derive(Debug, Clone, Deserialize)]
pub struct Args {
    device: String,
    align: String,
    number: Option<i64>,
    unit: String,
    label: String,
    part_type: String,
    part_start: String,
    part_end: String,
    fs_type: Option<String>,
    name: Option<String>,
    flags: Option<Vec<String>>,
    state: String,
    resize: bool,
}

/// The programs, and what to look at again when they have run.
#[derive(Debug)]
pub struct Change {
    calls: Calls,
    args: Args,
}

impl Module for Parted {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "parted",
        summary: "keep partitions of disks",
        args: &[
            Arg::str("device").required().doc("the disk"),
            Arg::str("align")
                .choices(&["cylinder", "minimal", "none", "optimal", "undefined"])
                .default("optimal")
                .doc("where partitions may begin"),
            Arg::int("number").doc("the partition"),
            Arg::str("unit")
                .choices(UNITS)
                .default("KiB")
                .doc("of sizes in the result, and of those without one"),
            Arg::str("label")
                .choices(&[
                    "aix", "amiga", "bsd", "dvh", "gpt", "loop", "mac", "msdos", "pc98", "sun",
                ])
                .default("msdos")
                .doc("the table's type; a disk with another one loses its partitions"),
            Arg::str("part_type")
                .choices(&["extended", "logical", "primary"])
                .default("primary")
                .doc("what sort of partition; with gpt: a name"),
            Arg::str("part_start").default("0%").doc("where it begins"),
            Arg::str("part_end").default("100%").doc("where it ends"),
            Arg::str("fs_type").doc("what is said to be on it; nothing is made"),
            Arg::str("name").doc("its name"),
            Arg::strings("flags").doc("its flags; others are taken away"),
            Arg::str("state")
                .choices(&["absent", "info", "present"])
                .default("info")
                .doc("`info`: only tell what there is"),
            Arg::bool("resize")
                .default("no")
                .doc("move the end of a partition that is there"),
        ],
        returns: &[
            Return::new(
                "disk",
                "dict",
                "the disk: `dev`, `size`, `unit`, `table`, `model`...",
            ),
            Return::new(
                "partitions",
                "list of dict",
                "`num`, `begin`, `end`, `size`, `fstype`, `name`, `flags`, `unit`",
            ),
            Return::new("script", "list of str", "what parted was told"),
        ],
        example: "- parted: {device: /dev/sdb, number: 1, state: present, label: gpt, part_end: 10GiB, flags: [lvm]}\n",
        free_form: None,
        rules: &[
            Rule::If("state", "present", &["number"]),
            Rule::If("state", "absent", &["number"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "parted", "look at a disk's partitions")?;
        if args.number.is_some_and(|number| number < 1) {
            return Err(Error::new("The partition number must be greater then 0."));
        }
        for (name, text) in [("part_start", &args.part_start), ("part_end", &args.part_end)] {
            if size(text).is_none_or(|(_, unit)| !UNITS.contains(&unit)) {
                return Err(Error::new(format!(
                    "The argument '{name}' doesn't respect required format.The size unit is case sensitive."
                )));
            }
        }
        let mut disk = look(&args, system)?;
        if let Some(foreseen) = system.foreseen(Subject::Disk, &args.device) {
            let would_be = foreseen.deserialize_into();
            disk = disk.becomes(would_be.map_err(|error| Error::new(error.to_string()))?);
        }
        let mut script = Vec::new();
        let mut calls = Calls::new(Outcome::ok());
        match (args.state.as_str(), args.number) {
            ("present", Some(number)) => {
                for part in present(&args, number, &disk) {
                    run(&args, &part, &mut calls);
                    script.extend(part);
                }
                leave(&args, &made(&args, number, disk.clone()), &disk, &mut calls)?;
            }
            ("absent", Some(number)) if disk.partition(number).is_some() => {
                script = vec!["rm".to_owned(), number.to_string()];
                run(&args, &script, &mut calls);
                let mut left = disk.clone();
                left.partitions.retain(|part| part.number != number);
                leave(&args, &left, &disk, &mut calls)?;
            }
            ("info", _) => script = ["unit", &args.unit, "print"].map(str::to_owned).to_vec(),
            _ => {}
        }
        calls.outcome = tell(calls.outcome.with("script", script), &disk);
        Ok(match calls.plan() {
            Plan::Same(outcome) => Plan::Same(outcome),
            Plan::Change {
                change: calls,
                predicted,
            }
            | Plan::Unknown {
                change: calls,
                skipped: predicted,
            } => {
                let change = Change { calls, args };
                Plan::Change { change, predicted }
            }
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let outcome = change.calls.apply(system)?;
        Ok(tell(outcome, &look(&change.args, system)?))
    }

    fn foresee(change: &Change) -> Foresight {
        change.calls.foresee()
    }
}

/// The disk with the partition as it is wanted.
fn made(args: &Args, number: i64, mut disk: Disk) -> Disk {
    if disk.label != args.label {
        disk.label.clone_from(&args.label);
        disk.partitions.clear();
    }
    if disk.partition(number).is_none() {
        disk.partitions.push(Partition::new(number));
    }
    let wanted = flags(args);
    for part in disk.partitions.iter_mut().filter(|part| part.number == number) {
        part.name = args.name.clone().unwrap_or(std::mem::take(&mut part.name));
        if !wanted.is_empty() {
            part.flags.clone_from(&wanted);
        }
    }
    disk
}

/// What later tasks of a check find: the disk, devices that are gone, and such that are new and hold nothing.
fn leave(args: &Args, left: &Disk, before: &Disk, calls: &mut Calls) -> Result<(), Error> {
    let kept = |one: &Partition, other: &Disk| {
        let same = other.partition(one.number);
        left.label == before.label && same.is_some_and(|same| same.is_new == one.is_new)
    };
    for part in before.partitions.iter().filter(|part| !kept(part, left)) {
        let device = device_of(&args.device, part.number);
        calls.leaves(Subject::Device, device, Value::Null);
    }
    for part in left.partitions.iter().filter(|part| !kept(part, before)) {
        calls.leaves(Subject::Device, device_of(&args.device, part.number), "");
    }
    let would_be = Value::from_serialize(&left.would_be()).map_err(|error| Error::new(error.to_string()))?;
    calls.leaves(Subject::Disk, &args.device, would_be);
    Ok(())
}

fn tell(mut outcome: Outcome, disk: &Disk) -> Outcome {
    for (key, value) in disk.told() {
        outcome = outcome.with(key, value);
    }
    outcome
}

fn look(args: &Args, system: &dyn System) -> Result<Disk, Error> {
    let argv = [
        "parted",
        "-s",
        "-m",
        &args.device,
        "--",
        "unit",
        &args.unit,
        "print",
    ];
    let command = Command::new(argv).env("LC_ALL", "C");
    let output = system.run(&command)?;
    let text = output.stdout_text();
    // A disk without a table is told with this complaint and an exit status.
    let complaint = output.stderr_text() + &text;
    if !output.success() && !complaint.contains("unrecognised disk label") {
        return Err(tool::failure(&command, &output));
    }
    let start = text
        .lines()
        .position(|line| ["BYT;", "CHS;", "CYL;"].contains(&line.trim()));
    let lines: Vec<&str> = text.lines().skip(start.unwrap_or_default()).collect();
    Disk::parse(&lines.join("\n"), &args.device, &args.unit)
}

/// One call of parted; it asks nothing.
fn run(args: &Args, script: &[String], calls: &mut Calls) {
    let mut argv = ["parted", "-s", "-m"].map(str::to_owned).to_vec();
    if args.align != "undefined" {
        argv.extend(["-a".to_owned(), args.align.clone()]);
    }
    argv.extend([args.device.clone(), "--".to_owned()]);
    argv.extend(script.iter().cloned());
    calls.push(argv);
}

/// Whole sentences to parted: first that the partition is there, then what it is called and flagged.
fn present(args: &Args, number: i64, disk: &Disk) -> Vec<Vec<String>> {
    let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let relabel = disk.label != args.label;
    let there = disk.partition(number).filter(|_| !relabel);
    let mut making = Vec::new();
    if relabel {
        making.extend(text(&["mklabel", &args.label]));
    }
    if there.is_none() {
        making.extend(text(&["mkpart", &args.part_type]));
        making.extend(args.fs_type.clone());
        making.extend(text(&[&args.part_start, &args.part_end]));
    }
    if let Some(part) = there.filter(|part| args.resize && !part.is_new)
        && !ends_there(args, part.end, disk)
    {
        making.extend(text(&["resizepart", &number.to_string(), &args.part_end]));
    }
    let mut naming = Vec::new();
    if let Some(name) = &args.name
        && there.is_none_or(|part| part.name != *name)
    {
        // Parted takes it apart at spaces, were it not quoted.
        naming.extend(text(&["name", &number.to_string(), &format!("\"{name}\"")]));
    }
    let now = there.map(|part| part.flags.clone()).unwrap_or_default();
    let wanted = flags(args);
    if !wanted.is_empty() {
        let on = wanted
            .iter()
            .filter(|flag| !now.contains(flag))
            .map(|flag| (flag, "on"));
        let off = now
            .iter()
            .filter(|flag| !wanted.contains(flag))
            .map(|flag| (flag, "off"));
        for (flag, state) in on.chain(off) {
            naming.extend(text(&["set", &number.to_string(), flag, state]));
        }
    }
    let sentences = [making, naming].into_iter().filter(|words| !words.is_empty());
    let in_unit = |words| text(&["unit", &args.unit]).into_iter().chain(words).collect();
    sentences.map(in_unit).collect()
}

fn flags(args: &Args) -> Vec<String> {
    let mut wanted = args.flags.clone().unwrap_or_default();
    // Parted takes the one for the other.
    if wanted.iter().any(|flag| flag == "esp") && !wanted.iter().any(|flag| flag == "boot") {
        wanted.push("boot".to_owned());
    }
    wanted
}

/// Whether a partition ends where it is wanted to, but for what parted takes for alignment and for the table at the end.
fn ends_there(args: &Args, end: Option<f64>, disk: &Disk) -> bool {
    let (Some(end), Some((Value::Float(wanted), unit))) = (end, size(&args.part_end)) else {
        return false;
    };
    let now = end * factor(&args.unit);
    let wanted = if unit == "%" {
        disk.size * factor(&args.unit) * wanted / 100.0
    } else {
        wanted * factor(unit)
    };
    (now - wanted).abs() <= ALIGNMENT
}

/// Bytes; megabytes where the unit says nothing.
fn factor(unit: &str) -> f64 {
    match unit {
        "B" => 1.0,
        "s" => 512.0,
        "KB" => 1e3,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        _ => 1e6,
    }
}

/// `/dev/sdb1`, `/dev/nvme0n1p1`.
fn device_of(disk: &str, number: i64) -> String {
    let between = if disk.ends_with(|c: char| c.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    format!("{disk}{between}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    const DISK: &str =
        "BYT;\n/dev/sdb:1048576kiB:scsi:512:512:gpt:A:;\n1:1024kiB:524288kiB:523264kiB:ext4:data:lvm;\n";

    fn machine(print: &str, code: i32) -> Fake {
        let fake = Fake::new();
        let print = print.to_owned();
        fake.program("/sbin/parted").answer_with(move |_, command| {
            let asks = command.argv.ends_with(&["print".to_owned()]);
            Some(CommandOutput {
                code: if asks { code } else { 0 },
                stdout: if asks { print.clone().into() } else { Vec::new() },
                ..CommandOutput::default()
            })
        });
        fake
    }

    /// What parted was told to do.
    fn script(fake: &Fake, arguments: &str) -> String {
        let before = fake.ran().len();
        let predicted = check::<Parted>(fake, arguments);
        let outcome = run::<Parted>(fake, arguments);
        assert!(!outcome.failed, "{arguments}: {outcome:?}");
        assert_eq!(predicted.changed, outcome.changed);
        let ran = fake.ran().split_off(before);
        let scripts = ran.iter().filter(|line| !line.ends_with(" print"));
        let scripts: Vec<&str> = scripts
            .filter_map(|line| line.split_once("/dev/sdb -- "))
            .map(|pair| pair.1)
            .collect();
        scripts.join("; ")
    }

    #[test]
    fn partitions_come_change_and_go() {
        let fake = machine(DISK, 0);
        for (arguments, expected) in [
            (r#"{"device":"/dev/sdb"}"#, ""),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","label":"gpt","name":"data","flags":"lvm"}"#,
                "",
            ),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","label":"gpt","name":"my data","flags":"esp"}"#,
                "unit KiB name 1 \"my data\" set 1 esp on set 1 boot on set 1 lvm off",
            ),
            (
                r#"{"device":"/dev/sdb","number":2,"state":"present","label":"gpt","part_start":"512MiB","flags":"raid"}"#,
                "unit KiB mkpart primary 512MiB 100%; unit KiB set 2 raid on",
            ),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","unit":"MiB","fs_type":"ext4"}"#,
                "unit MiB mklabel msdos mkpart primary ext4 0% 100%",
            ),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","label":"gpt","resize":true,"part_end":"100%"}"#,
                "unit KiB resizepart 1 100%",
            ),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","label":"gpt","resize":true,"part_end":"512MiB"}"#,
                "",
            ),
            (r#"{"device":"/dev/sdb","number":1,"state":"absent"}"#, "rm 1"),
            (r#"{"device":"/dev/sdb","number":3,"state":"absent"}"#, ""),
        ] {
            assert_eq!(script(&fake, arguments), expected, "{arguments}");
        }
        let told = run::<Parted>(&fake, r#"{"device":"/dev/sdb"}"#);
        assert_eq!(told.values["script"].to_string(), "['unit', 'KiB', 'print']");
        assert!(told.values["partitions"].to_string().contains("'num': 1"));
    }

    #[test]
    fn a_disk_without_a_table() {
        let print =
            "Error: /dev/sdb: unrecognised disk label\nBYT;\n/dev/sdb:9kiB:scsi:512:512:unknown:A:;\n";
        let fake = machine(print, 1);
        assert_eq!(
            script(
                &fake,
                r#"{"device":"/dev/sdb","number":1,"state":"present","label":"gpt"}"#
            ),
            "unit KiB mklabel gpt mkpart primary 0% 100%"
        );
    }

    #[test]
    fn refusals() {
        let fake = machine("Error: Could not stat device", 1);
        for (arguments, part) in [
            (r#"{"device":"/dev/sdx"}"#, "Could not stat device"),
            (
                r#"{"device":"/dev/sdb","number":0,"state":"absent"}"#,
                "greater then 0",
            ),
            (
                r#"{"device":"/dev/sdb","number":1,"state":"present","part_end":"10gib"}"#,
                "'part_end' doesn't respect",
            ),
            (r#"{"device":"/dev/sdb","state":"present"}"#, "missing: number"),
        ] {
            let message = failure::<Parted>(&fake, arguments);
            assert!(message.contains(part), "{arguments}: {message}");
        }
        assert_eq!(device_of("/dev/nvme0n1", 2), "/dev/nvme0n1p2");
    }
}
