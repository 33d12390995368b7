//! On a machine in memory whose devices are files that say what is on them: `TYPE UUID`.

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::CommandOutput;
use crate::system::fake::Fake;

fn machine() -> Fake {
    let fake = Fake::new();
    for program in [
        "blkid",
        "wipefs",
        "mkfs.ext4",
        "mkfs.xfs",
        "xfs_admin",
        "tune2fs",
        "resize2fs",
        "pvs",
        "xfs_info",
    ] {
        fake.program(&format!("/sbin/{program}"));
    }
    fake.file("/proc/self/mountinfo", "30 26 0:9 / /srv rw - xfs /dev/xfs rw\n");
    fake.answer_with(|fake, command| {
        let argv = &command.argv;
        let device = argv.last()?;
        let text = fake.text(device);
        let mut words = text.split(' ');
        let (kind, uuid) = (words.next()?, words.next().unwrap_or_default());
        let stdout = match argv[0].as_str() {
            "blkid" if argv[6] == "TYPE" => kind.to_owned(),
            "blkid" => uuid.to_owned(),
            "wipefs" => {
                fake.file(device, "");
                String::new()
            }
            "xfs_admin" => {
                fake.file(device, format!("{kind} {}", argv[2]));
                String::new()
            }
            program => {
                let kind = program.strip_prefix("mkfs.")?;
                fake.file(device, format!("{kind} {}", argv[argv.len() - 2]));
                String::new()
            }
        };
        Some(CommandOutput {
            stdout: stdout.into(),
            ..CommandOutput::default()
        })
    });
    fake
}

#[test]
fn made_once_and_wiped() {
    let fake = machine();
    fake.file("/dev/sdb", "");
    let outcome = check_agrees::<Filesystem>(
        &fake,
        r#"{"dev":"/dev/sdb","fstype":"ext4","opts":"-L 'my data'"}"#,
    );
    assert_eq!(outcome.diff[0].after, "ext4\n");
    assert!(
        fake.ran()
            .contains(&"mkfs.ext4 -F -L my data /dev/sdb".to_owned())
    );
    let message = failure::<Filesystem>(&fake, r#"{"dev":"/dev/sdb","fstype":"xfs"}"#);
    assert_eq!(
        message,
        "'/dev/sdb' is already used as ext4, use force=true to overwrite"
    );
    assert!(run::<Filesystem>(&fake, r#"{"dev":"/dev/sdb","fstype":"xfs","force":true}"#).changed);
    check_agrees::<Filesystem>(&fake, r#"{"dev":"/dev/sdb","state":"absent"}"#);
    let gone = run::<Filesystem>(&fake, r#"{"dev":"/dev/sdc","state":"absent"}"#);
    assert_eq!(
        (gone.changed, gone.message()),
        (false, Some("Device /dev/sdc not found."))
    );
}

#[test]
fn a_uuid_is_made_or_changed() {
    let fake = machine();
    fake.file("/dev/sdb", "").file("/dev/sdc", "");
    check_agrees::<Filesystem>(&fake, r#"{"dev":"/dev/sdb","fstype":"ext4","uuid":"1-2"}"#);
    check_agrees::<Filesystem>(&fake, r#"{"dev":"/dev/sdc","fstype":"xfs","uuid":"3-4"}"#);
    check_agrees::<Filesystem>(&fake, r#"{"dev":"/dev/sdc","fstype":"xfs","uuid":"5-6"}"#);
    let changes: Vec<String> = fake
        .ran()
        .into_iter()
        .filter(|line| !line.starts_with("blkid"))
        .collect();
    assert_eq!(
        changes,
        [
            "mkfs.ext4 -F -U 1-2 /dev/sdb",
            "mkfs.xfs -f /dev/sdc",
            "xfs_admin -U 3-4 /dev/sdc",
            "xfs_admin -U 5-6 /dev/sdc"
        ]
    );
    assert!(
        failure::<Filesystem>(&fake, r#"{"dev":"/dev/sdb","fstype":"swap","uuid":"1"}"#)
            .contains("UUID option")
    );
}

#[test]
fn grows_only_where_there_is_room() {
    let fake = machine();
    let told = |count: u64| format!("Block count:              {count}\nBlock size:               4\n");
    fake.file("/dev/sdb", "ext4 with 17 byte")
        .answer("tune2fs -l /dev/sdb", 0, &told(4));
    let arguments = r#"{"dev":"/dev/sdb","fstype":"ext4","resizefs":true}"#;
    let outcome = run::<Filesystem>(&fake, arguments);
    assert_eq!(
        (outcome.changed, outcome.message()),
        (false, Some("ext4 filesystem is using the whole device /dev/sdb"))
    );
    fake.answer("tune2fs -l /dev/sdb", 0, &told(3))
        .answer("resize2fs /dev/sdb", 0, "");
    assert!(run::<Filesystem>(&fake, arguments).changed);
    assert_eq!(fake.ran().last().unwrap(), "resize2fs /dev/sdb");
    fake.file("/dev/sdc", "swap");
    let message = failure::<Filesystem>(&fake, r#"{"dev":"/dev/sdc","fstype":"swap","resizefs":true}"#);
    assert_eq!(message, "module does not support resizing swap filesystem yet.");
    fake.file("/dev/xfs", "xfs").answer(
        "xfs_info /srv",
        0,
        "meta-data=/dev/xfs bsize=1\ndata     =                       bsize=4096   blocks=65536, imaxpct=25\n",
    );
    assert!(!run::<Filesystem>(&fake, r#"{"dev":"/dev/xfs","fstype":"xfs","resizefs":true}"#).changed);
}

#[test]
fn refusals() {
    let fake = machine();
    fake.file("/dev/sdb", "");
    for (arguments, part) in [
        (
            r#"{"dev":"/dev/sdx","fstype":"ext4"}"#,
            "Device /dev/sdx not found.",
        ),
        (r#"{"dev":"/dev/sdb"}"#, "missing: fstype"),
        (
            r#"{"dev":"/dev/sdb","fstype":"btrfs"}"#,
            "`mkfs.btrfs` is not on the target",
        ),
    ] {
        let message = failure::<Filesystem>(&fake, arguments);
        assert!(message.contains(part), "{arguments}: {message}");
    }
}
