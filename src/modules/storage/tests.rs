//! What several tasks of a check would do to disks, one on the other.

use super::filesystem::Filesystem;
use super::lvg::Lvg;
use super::lvol::Lvol;
use super::mount::Mount;
use super::parted::Parted;
use crate::modules::testing::Check;
use crate::system::fake::Fake;
use crate::system::{CommandOutput, Follow, System};
use crate::wire::message::Outcome;

const REPORT: &str = "--noheadings --nosuffix --units b --separator ; -o";
const VOLUMES: &str = "lv_name,lv_size,lv_attr,origin,pool_lv";

/// Nothing but questions is answered.
fn machine() -> Fake {
    let fake = Fake::new();
    for program in [
        "vgs",
        "lvs",
        "pvs",
        "parted",
        "mkfs.ext4",
        "blkid",
        "mount",
        "umount",
        "rmdir",
    ] {
        fake.program(&format!("/sbin/{program}"));
    }
    fake
}

/// A group called `data` with two volumes and a snapshot of the first.
fn with_group() -> Fake {
    let fake = machine();
    for (line, told) in [
        ("vgs REPORT vg_name", "  data\n"),
        (
            "vgs REPORT vg_size,vg_free,vg_extent_size data",
            "  4194304000;0;4194304\n",
        ),
        ("lvs REPORT lv_name data", "  one\n  two\n  shot\n"),
        (
            "lvs REPORT VOLUMES -a data",
            "  one;41943040;owi-a-----;;\n  two;41943040;-wi-a-----;;\n  shot;4194304;swi-a-----;one;\n  [lvol0];4194304;ewi-------;;\n",
        ),
        ("pvs REPORT pv_name,vg_name", "  /dev/sdb;data\n"),
    ] {
        let line = line.replace("REPORT", REPORT).replace("VOLUMES", VOLUMES);
        fake.answer(&line, 0, told);
    }
    fake.file("/dev/sdb", "");
    fake
}

/// What a task comes to: its message if it fails, else whether it changes something.
fn word(outcome: &Outcome) -> String {
    match outcome {
        outcome if outcome.failed => outcome.message().unwrap_or_default().to_owned(),
        outcome if outcome.unknown => "unknown".to_owned(),
        outcome if outcome.changed => "changed".to_owned(),
        _ => "ok".to_owned(),
    }
}

#[test]
fn a_group_is_empty_when_its_volumes_would_be_gone() {
    let fake = with_group();
    let check = Check::new(&fake);
    let refusal = "Refuse to remove non-empty volume group data without force=true";
    let group = || word(&check.predict::<Lvg>(r#"{"vg":"data","state":"absent"}"#));
    let volume = |arguments| word(&check.predict::<Lvol>(arguments));
    let gone = r#"{"vg":"data","lv":"one","state":"absent","force":true}"#;
    assert_eq!(group(), refusal);
    // Its snapshot goes with it.
    assert_eq!(volume(gone), "changed");
    assert_eq!(volume(gone), "ok");
    assert_eq!(
        volume(r#"{"vg":"data","lv":"shot","state":"absent","force":true}"#),
        "ok"
    );
    assert_eq!(group(), refusal);
    // There is room for it now.
    assert_eq!(volume(r#"{"vg":"data","lv":"two","size":"60"}"#), "changed");
    assert_eq!(volume(r#"{"vg":"data","lv":"new","size":"8"}"#), "changed");
    assert_eq!(volume(r#"{"vg":"data","lv":"new","size":"8"}"#), "ok");
    assert_eq!(
        volume(r#"{"vg":"data","lv":"two","state":"absent","force":true}"#),
        "changed"
    );
    assert_eq!(group(), refusal);
    assert_eq!(
        volume(r#"{"vg":"data","lv":"new","state":"absent","force":true}"#),
        "changed"
    );
    assert_eq!(group(), "changed");
    assert_eq!(group(), "ok");
    assert_eq!(
        volume(r#"{"vg":"data","lv":"one","size":"8"}"#),
        "Volume group data does not exist."
    );
    // And made again, without what was in it.
    assert_eq!(
        word(&check.predict::<Lvg>(r#"{"vg":"data","pvs":"/dev/sdb"}"#)),
        "changed"
    );
    assert_eq!(volume(r#"{"vg":"data","lv":"one","size":"8"}"#), "changed");
    assert_eq!(group(), refusal);
}

#[test]
fn partitions_come_go_and_come_again() {
    let fake = machine();
    let print = "BYT;\n/dev/sdb:1048576kiB:scsi:512:512:gpt:A:;\n\
                 1:1024kiB:524288kiB:523264kiB:ext4:data:lvm;\n2:524288kiB:1047552kiB:523264kiB:::;\n";
    fake.answer("parted -s -m /dev/sdb -- unit KiB print", 0, print)
        .answer("blkid -c /dev/null -o value -s TYPE /dev/sdb1", 0, "ext4\n");
    fake.file("/dev/sdb1", "").file("/dev/sdb2", "");
    fake.answer(&format!("vgs {REPORT} vg_name"), 0, "").answer(
        &format!("pvs {REPORT} pv_name,vg_name"),
        0,
        "",
    );
    let check = Check::new(&fake);
    let part = |arguments: &str| {
        let arguments = format!(r#"{{"device":"/dev/sdb","label":"gpt",{arguments}}}"#);
        word(&check.predict::<Parted>(&arguments))
    };
    let first = r#""number":1,"state":"present","name":"data","flags":["lvm"]"#;
    assert_eq!(part(first), "ok");
    assert_eq!(part(r#""number":1,"state":"absent""#), "changed");
    assert_eq!(part(r#""number":1,"state":"absent""#), "ok");
    let gone = check.predict::<Lvg>(r#"{"vg":"v","pvs":"/dev/sdb1"}"#);
    assert!(gone.failed, "{gone:?}");
    assert_eq!(part(first), "changed");
    assert_eq!(part(first), "ok");
    assert_eq!(
        part(r#""number":1,"state":"present","name":"other","resize":true,"part_end":"1GiB""#),
        "changed"
    );
    // What was on it has gone with it.
    let made = r#"{"dev":"/dev/sdb1","fstype":"ext4"}"#;
    assert_eq!(word(&check.predict::<Filesystem>(made)), "changed");
    assert_eq!(word(&check.predict::<Filesystem>(made)), "ok");
    // Another flag leaves what is on it.
    assert_eq!(
        part(r#""number":1,"state":"present","flags":["boot"]"#),
        "changed"
    );
    assert_eq!(word(&check.predict::<Filesystem>(made)), "ok");
    // A new label leaves nothing.
    let relabelled = r#"{"device":"/dev/sdb","label":"msdos","number":1,"state":"present"}"#;
    assert_eq!(word(&check.predict::<Parted>(relabelled)), "changed");
    assert_eq!(word(&check.predict::<Parted>(relabelled)), "ok");
    let second = r#"{"device":"/dev/sdb","label":"msdos","number":2,"state":"absent"}"#;
    assert_eq!(word(&check.predict::<Parted>(second)), "ok");
    assert_eq!(word(&check.predict::<Filesystem>(made)), "changed");
}

#[test]
fn a_mount_comes_and_goes_with_its_folder() {
    let fake = machine();
    fake.file(
        "/proc/self/mountinfo",
        "26 1 254:0 / / rw - ext4 /dev/vda rw\n30 26 0:9 / /old rw - t b rw\n",
    )
    .file("/etc/fstab", "/dev/vda / ext4 rw 0 1\nb /old t rw 0 0\n")
    .directory("/old");
    let check = Check::new(&fake);
    let mount = |arguments| word(&check.predict::<Mount>(arguments));
    let is_there = |path: &str| {
        let found = check.would_be().metadata(path.as_ref(), Follow::No);
        found.unwrap().is_some()
    };
    let table = || String::from_utf8(check.would_be().read("/etc/fstab".as_ref()).unwrap()).unwrap();
    let gone = r#"{"path":"/old","state":"absent"}"#;
    assert_eq!(mount(gone), "changed");
    assert!(!is_there("/old"));
    assert_eq!(table(), "/dev/vda / ext4 rw 0 1\n");
    assert_eq!(mount(gone), "ok");
    let bound = r#"{"path":"/srv/www","src":"/data","fstype":"none","opts":"bind","state":"mounted"}"#;
    assert_eq!(mount(bound), "changed");
    assert!(is_there("/srv/www"));
    assert_eq!(table(), "/dev/vda / ext4 rw 0 1\n/data /srv/www none bind 0 0\n");
    assert_eq!(mount(bound), "ok");
    assert_eq!(mount(r#"{"path":"/srv/www","state":"absent"}"#), "changed");
    assert!(!is_there("/srv/www") && is_there("/srv"));
    assert_eq!(mount(r#"{"path":"/srv/www","state":"unmounted"}"#), "ok");
}

#[test]
fn what_is_really_done_amid_predictions_is_read_from_the_machine() {
    let fake = with_group();
    fake.answer_with(|fake, command| {
        let is_gone = fake.metadata("/gone".as_ref(), Follow::No).unwrap().is_some();
        match command.argv[0].as_str() {
            "lvremove" => {
                fake.file("/gone", "");
                Some(CommandOutput::default())
            }
            "lvs" if is_gone => Some(CommandOutput {
                stdout: b"  two;41943040;-wi-a-----;;\n".to_vec(),
                ..CommandOutput::default()
            }),
            _ => None,
        }
    });
    let check = Check::new(&fake);
    let one = |state: &str| format!(r#"{{"vg":"data","lv":"one","force":true,{state}}}"#);
    assert_eq!(
        word(&check.predict::<Lvol>(&one(r#""state":"absent""#))),
        "changed"
    );
    assert_eq!(word(&check.predict::<Lvol>(&one(r#""size":"8""#))), "changed");
    assert_eq!(word(&check.run::<Lvol>(&one(r#""state":"absent""#))), "changed");
    // It was foreseen to be there.
    assert_eq!(word(&check.predict::<Lvol>(&one(r#""state":"absent""#))), "ok");
}
