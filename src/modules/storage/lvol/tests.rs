//! On a machine in memory with a group of 100 extents of 4 MiB.

use super::*;
use crate::modules::testing::{check, failure, run};
use crate::system::fake::Fake;

const REPORT: &str = "--noheadings --nosuffix --units b --separator ; -o";
const VOLUMES: &str = "lv_name,lv_size,lv_attr,origin,pool_lv";
const MIB: u64 = 1 << 20;

/// `volumes`: name, extents, attributes.
fn machine(free: u64, volumes: &[(&str, u64, &str)]) -> Fake {
    let fake = Fake::new();
    fake.program("/sbin/vgs").program("/sbin/lvs");
    let row = format!("  {};{};{}\n", 400 * MIB, free * 4 * MIB, 4 * MIB);
    let rows: String = volumes
        .iter()
        .map(|(name, extents, attributes)| format!("  {name};{};{attributes};;", extents * 4 * MIB))
        .collect::<Vec<_>>()
        .join("\n");
    fake.answer_with(|_, command| {
        (!["vgs", "lvs"].contains(&command.argv[0].as_str())).then(Default::default)
    })
    .answer(&format!("vgs {REPORT} vg_size,vg_free,vg_extent_size v"), 0, &row)
    .answer(&format!("lvs {REPORT} {VOLUMES} -a v"), 0, &rows)
    .answer(&format!("vgs {REPORT} vg_size,vg_free,vg_extent_size w"), 5, "")
    .answer(&format!("lvs {REPORT} {VOLUMES} -a w"), 5, "");
    fake
}

const ACTIVE: &str = "-wi-a-----";

/// The command that a task runs, if any.
fn command(fake: &Fake, arguments: &str) -> String {
    let before = fake.ran().len();
    let predicted = check::<Lvol>(fake, arguments);
    let outcome = run::<Lvol>(fake, arguments);
    assert!(!outcome.failed, "{arguments}: {outcome:?}");
    assert_eq!(predicted.changed, outcome.changed);
    let ran = fake.ran().split_off(before);
    let ran: Vec<String> = ran
        .into_iter()
        .filter(|line| !line.starts_with("vgs") && !line.starts_with("lvs"))
        .collect();
    ran.join("; ")
}

#[test]
fn makes_volumes_snapshots_and_pools() {
    let fake = machine(
        100,
        &[
            ("a", 10, ACTIVE),
            ("pool", 10, "twi-a-tz--"),
            ("thin", 5, "Vwi-a-tz--"),
        ],
    );
    for (arguments, expected) in [
        (
            r#"{"vg":"v","lv":"n","size":512}"#,
            "lvcreate --yes -n n -L 512m v",
        ),
        (
            r#"{"vg":"v","lv":"n","size":"100%FREE","pvs":"/dev/sdb","opts":"-r 16"}"#,
            "lvcreate --yes -n n -l 100%FREE -r 16 v /dev/sdb",
        ),
        (
            r#"{"vg":"v","lv":"n","size":"+10%VG"}"#,
            "lvcreate --yes -n n -l 10%VG v",
        ),
        (
            r#"{"vg":"v","lv":"a","snapshot":"s","size":"20%ORIGIN"}"#,
            "lvcreate --yes -l 20%ORIGIN -s -n s v/a",
        ),
        (
            r#"{"vg":"v","lv":"thin","snapshot":"s"}"#,
            "lvcreate --yes -s -n s v/thin",
        ),
        (
            r#"{"vg":"v","thinpool":"p","size":"1g"}"#,
            "lvcreate --yes -L 1g -T v/p",
        ),
        (
            r#"{"vg":"v","lv":"n","thinpool":"pool","size":"9g"}"#,
            "lvcreate --yes -n n -V 9g -T v/pool",
        ),
    ] {
        assert_eq!(command(&fake, arguments), expected);
    }
}

#[test]
fn grows_shrinks_and_leaves_alone() {
    let fake = machine(50, &[("a", 50, ACTIVE)]);
    for (size, more, expected) in [
        ("200", "", ""),
        // Rounded up to the fiftieth extent.
        ("197", "", ""),
        ("204", "", "lvextend -L 204m v/a"),
        ("+4", r#","resizefs":true"#, "lvextend --resizefs -L +4m v/a"),
        ("50%VG", "", ""),
        ("60%VG", "", "lvextend -l 60%VG v/a"),
        ("100%FREE", "", ""),
        ("10%FREE", r#","force":true"#, ""),
        ("+100%FREE", "", "lvextend -l +100%FREE v/a"),
        ("100", r#","shrink":false"#, ""),
        ("100", r#","force":true"#, "lvreduce --force -L 100m v/a"),
        ("-10%VG", r#","force":true"#, "lvreduce --force -l -10%VG v/a"),
    ] {
        let arguments = format!(r#"{{"vg":"v","lv":"a","size":"{size}"{more}}}"#);
        assert_eq!(command(&fake, &arguments), expected, "{size}");
    }
}

#[test]
fn switches_and_removes() {
    let fake = machine(50, &[("a", 50, ACTIVE), ("off", 5, "-wi-------")]);
    assert_eq!(command(&fake, r#"{"vg":"v","lv":"a"}"#), "");
    assert_eq!(
        command(&fake, r#"{"vg":"v","lv":"a","active":false}"#),
        "lvchange -an v/a"
    );
    assert_eq!(command(&fake, r#"{"vg":"v","lv":"off"}"#), "lvchange -ay v/off");
    assert_eq!(
        command(&fake, r#"{"vg":"v","lv":"a","state":"absent","force":true}"#),
        "lvremove --force v/a"
    );
    assert_eq!(command(&fake, r#"{"vg":"v","lv":"none","state":"absent"}"#), "");
    assert_eq!(command(&fake, r#"{"vg":"w","lv":"none","state":"absent"}"#), "");
}

#[test]
fn refusals() {
    let fake = machine(5, &[("a", 50, ACTIVE), ("pool", 1, "twi-a-tz--")]);
    for (arguments, message) in [
        (
            r#"{"vg":"w","lv":"a","size":"1"}"#,
            "Volume group w does not exist.",
        ),
        (r#"{"vg":"v","lv":"n"}"#, "No size given."),
        (
            r#"{"vg":"v","lv":"a","size":"100"}"#,
            "Sorry, no shrinking of a without force=true.",
        ),
        (
            r#"{"vg":"v","lv":"a","size":"0"}"#,
            "Sorry, no shrinking of a to 0 permitted.",
        ),
        (
            r#"{"vg":"v","lv":"a","state":"absent"}"#,
            "Sorry, no removal of logical volume a without force=true.",
        ),
        (
            r#"{"vg":"v","lv":"a","size":"300"}"#,
            "Logical Volume a could not be extended. Not enough free space left (104857600b required / 20971520b available)",
        ),
        (
            r#"{"vg":"v","lv":"x","snapshot":"s","size":"1"}"#,
            "Snapshot origin LV x does not exist in volume group v.",
        ),
        (
            r#"{"vg":"v","lv":"pool","snapshot":"s","size":"1"}"#,
            "Snapshots of thin pool LVs are not supported.",
        ),
        (
            r#"{"vg":"v","lv":"n","thinpool":"x","size":"1"}"#,
            "Thin pool LV x does not exist in volume group v.",
        ),
        (
            r#"{"vg":"v","lv":"n","thinpool":"pool","size":"10%VG"}"#,
            "Thin volume sizing with percentage not supported.",
        ),
    ] {
        assert_eq!(failure::<Lvol>(&fake, arguments), message, "{arguments}");
    }
}
