//! On a machine in memory whose mount(8) knows fstab.

use super::*;
use crate::modules::testing::{check, check_agrees, failure, run};
use crate::system::CommandOutput;
use crate::system::fake::Fake;

const MOUNTS: &str = "/proc/self/mountinfo";
const ROOT: &str = "26 1 254:0 / / rw - ext4 /dev/vda rw\n";

/// `mount` and `umount` change the kernel's table, `rmdir` the tree; sources called `broken` cannot be mounted.
fn machine() -> Fake {
    let fake = Fake::new();
    fake.file(MOUNTS, ROOT).file(FSTAB, "/dev/vda / ext4 rw 0 1\n");
    for program in ["mount", "umount", "rmdir"] {
        fake.program(&format!("/usr/bin/{program}"));
    }
    fake.answer_with(|fake, command| {
        let path = command.argv.last()?.clone();
        let point = fstab::escape(&path);
        let table = fake.text(MOUNTS);
        let at = |line: &&str| line.split(' ').nth(4) == Some(&point);
        let has = table.lines().any(|line| at(&line));
        let (done, new) = match command.argv[0].as_str() {
            "umount" => (
                has,
                table
                    .lines()
                    .filter(|line| !at(line))
                    .map(|line| format!("{line}\n"))
                    .collect(),
            ),
            "mount" if command.argv.iter().any(|word| word.starts_with("remount")) => (has, table),
            "mount" => {
                let src = match command.argv.iter().rev().nth(1) {
                    Some(src) if command.argv.len() > 3 && command.argv[1] != "-T" => src.clone(),
                    _ => {
                        let entries = fake.text(FSTAB);
                        let entry = entries
                            .lines()
                            .find(|line| line.split(' ').nth(1) == Some(&point))?;
                        entry.split(' ').next()?.to_owned()
                    }
                };
                (
                    !src.contains("broken"),
                    format!("{table}30 26 0:9 / {point} rw - t {src} rw\n"),
                )
            }
            "rmdir" => {
                fake.remove_tree(path.as_ref()).unwrap();
                return Some(CommandOutput::default());
            }
            _ => return None,
        };
        if done {
            fake.file(MOUNTS, new);
        }
        Some(CommandOutput {
            code: i32::from(!done) * 32,
            stderr: if done {
                Vec::new()
            } else {
                b"it does not work\n".to_vec()
            },
            ..CommandOutput::default()
        })
    });
    fake
}

#[test]
fn mounts_once_and_keeps_the_entry() {
    let fake = machine();
    let outcome = check_agrees::<Mount>(
        &fake,
        r#"{"path":"/srv/my data","src":"/dev/vdb","fstype":"xfs","opts":"noatime","boot":false,"state":"mounted"}"#,
    );
    assert_eq!(
        fake.text(FSTAB).lines().last(),
        Some("/dev/vdb /srv/my\\040data xfs noatime,noauto 0 0")
    );
    assert_eq!(outcome.values["boot"].to_string(), "no");
    assert_eq!(fake.ran(), ["mount /srv/my data"]);
    let again = run::<Mount>(
        &fake,
        r#"{"path":"/srv/my data/","src":"/dev/vdb","fstype":"xfs","opts":"ro","state":"mounted"}"#,
    );
    assert!(again.changed);
    assert_eq!(fake.ran().last().unwrap(), "mount -o remount /srv/my data");
}

#[test]
fn present_touches_files_alone_and_keeps_a_backup() {
    let fake = machine();
    let arguments =
        r#"{"path":"none","src":"/swap","fstype":"swap","opts":"sw","state":"present","backup":true}"#;
    let outcome = check_agrees::<Mount>(&fake, arguments);
    let backup = outcome.values["backup_file"].to_string();
    assert_eq!(fake.text(&backup), "/dev/vda / ext4 rw 0 1\n");
    assert_eq!(
        fake.text(FSTAB),
        "/dev/vda / ext4 rw 0 1\n/swap none swap sw 0 0\n"
    );
    assert!(fake.ran().is_empty());
}

#[test]
fn absent_takes_entry_mount_and_folder() {
    let fake = machine();
    fake.directory("/m")
        .directory("/other")
        .file(FSTAB, "a /m t rw 0 0\nb /n t rw 0 0\n");
    fake.file(
        MOUNTS,
        format!("{ROOT}30 26 0:9 / /m rw - t a rw\n31 26 0:9 / /other rw - t b rw\n"),
    );
    check_agrees::<Mount>(&fake, r#"{"path":"/m","state":"absent"}"#);
    assert_eq!(fake.ran(), ["umount /m", "rmdir -- /m"]);
    assert_eq!(fake.text(FSTAB), "b /n t rw 0 0\n");
    // What fstab does not know stays mounted.
    assert!(!run::<Mount>(&fake, r#"{"path":"/other","state":"absent"}"#).changed);
    check_agrees::<Mount>(&fake, r#"{"path":"/n","state":"absent_from_fstab"}"#);
    check_agrees::<Mount>(&fake, r#"{"path":"/other","state":"unmounted"}"#);
    assert!(!run::<Mount>(&fake, r#"{"path":"/other","state":"unmounted"}"#).changed);
}

#[test]
fn what_cannot_be_mounted_leaves_no_trace() {
    let fake = machine();
    let message = failure::<Mount>(
        &fake,
        r#"{"path":"/srv/x","src":"broken","fstype":"xfs","state":"mounted"}"#,
    );
    assert_eq!(message, "Error mounting /srv/x: it does not work");
    assert_eq!(fake.text(FSTAB), "/dev/vda / ext4 rw 0 1\n");
    assert_eq!(fake.ran()[1..], ["rmdir -- /srv/x", "rmdir -- /srv"]);
}

#[test]
fn ephemeral_asks_no_table() {
    let fake = machine();
    let arguments = r#"{"path":"/e","src":"tmpfs","fstype":"tmpfs","opts":"size=1m","state":"ephemeral"}"#;
    assert!(check::<Mount>(&fake, arguments).changed);
    assert!(run::<Mount>(&fake, arguments).changed);
    assert!(
        run::<Mount>(&fake, arguments).changed,
        "it is remounted each time"
    );
    assert_eq!(
        fake.ran(),
        [
            "mount -t tmpfs -o size=1m tmpfs /e",
            "mount -o remount -t tmpfs -o size=1m tmpfs /e"
        ]
    );
    assert_eq!(fake.text(FSTAB), "/dev/vda / ext4 rw 0 1\n");
    let other = r#"{"path":"/e","src":"/dev/vdb","fstype":"xfs","state":"ephemeral"}"#;
    assert!(failure::<Mount>(&fake, other).contains("already mounted with a different source"));
}

#[test]
fn a_bind_mount_of_something_else_is_not_the_wanted_one() {
    let fake = machine();
    fake.directory("/data/www").directory("/www").file(
        MOUNTS,
        format!("{ROOT}30 26 254:0 /data/old /www rw - ext4 /dev/vda rw\n"),
    );
    let arguments = r#"{"path":"/www","src":"/data/www","fstype":"none","opts":"bind","state":"mounted"}"#;
    assert!(run::<Mount>(&fake, arguments).changed);
    assert_eq!(fake.ran(), ["mount /www"]);
}

#[test]
fn remounted_needs_a_mount() {
    let fake = machine();
    assert_eq!(
        failure::<Mount>(&fake, r#"{"path":"/m","state":"remounted"}"#),
        "Error remounting /m: it is not mounted"
    );
    assert!(run::<Mount>(&fake, r#"{"path":"/","opts":"ro","state":"remounted"}"#).changed);
    assert_eq!(fake.ran(), ["mount -o remount,ro /"]);
    assert!(
        failure::<Mount>(
            &fake,
            r#"{"path":"none","src":"/s","fstype":"swap","state":"mounted"}"#
        )
        .contains("has to be absolute")
    );
}

#[test]
fn another_fstab_is_made_and_told() {
    let fake = machine();
    fake.file("/target/x", "");
    check_agrees::<Mount>(
        &fake,
        r#"{"path":"/","src":"/dev/vdc","fstype":"ext4","state":"present","fstab":"/target/etc/fstab"}"#,
    );
    assert_eq!(fake.text("/target/etc/fstab"), "/dev/vdc / ext4 defaults 0 0\n");
}
