//! Disks that are full, and disks that cannot be written to. Nothing is half-written, and the error says what it is about.

use super::workshop::{By, Fault, Workshop, fault};

const FULL: &[&str] = &["/mnt/small/", "No space left on device", "free some space"];
const READ_ONLY: &[&str] = &["/mnt/read-only", "Read-only file system", "mounted read-only"];

/// Half of the small disk is taken: neither `left` nor a second `half` fits.
const PREPARED: &str = r"
set -e; mkdir -p /mnt/small /mnt/read-only /srv/parts
mount -t tmpfs -o size=256k tmpfs /mnt/small
yes | head -c 150000 >/mnt/small/half; mkdir /mnt/small/tree; printf '[s]\no = 1\n' >/mnt/small/settings.ini
mount -t tmpfs tmpfs /mnt/read-only
cd /mnt/read-only; echo kept >kept; mkdir folder; ln -s kept link; printf '[s]\no = 1\n' >settings.ini
mount -o remount,ro /mnt/read-only
yes | head -c 1000000 >/srv/left; cp /srv/left /srv/parts/1; tar cf /srv/left.tar -C /srv left; cd /srv
head -c 1000000 /dev/urandom >random; chmod -R a+rX /srv
";

/// Names, kinds, owners, times and contents of all that is on both.
const STATE: &str = r"
find /mnt -mindepth 2 \( -type d -printf '%p %m %u\n' -o -printf '%p %y %m %u %s %T@ %l\n' \) | sort
find /mnt -type f -exec sha256sum {} + | sort; ls /srv
";

#[test]
fn keep_what_they_have_and_say_what_is_wrong() {
    let workshop = Workshop::open("disks", PREPARED);
    read_only(&workshop);
    full(&workshop);
    fixed(&workshop);
}

fn full(workshop: &Workshop) {
    let faults: Vec<Fault> = [
        "copy: {src: /srv/left, dest: /mnt/small/big}",
        "copy: {src: /srv/random, dest: /mnt/small/big}",
        "copy: {src: /srv/left, dest: /mnt/small/big, remote_src: true}",
        "copy: {src: /srv/left, dest: /mnt/small/half, remote_src: true, backup: true}",
        "copy: {src: /srv/left, dest: /mnt/small/half, remote_src: true, unsafe_writes: true}",
        "copy: {src: /srv/left, dest: /mnt/small/big, remote_src: true, validate: 'true %s'}",
        "copy: {src: /srv/parts/, dest: /mnt/small/tree/}",
        "template: {src: /srv/left, dest: /mnt/small/big}",
        "assemble: {src: /srv/parts, dest: /mnt/small/big, remote_src: true}",
        "lineinfile: {path: /mnt/small/half, line: new}",
        "lineinfile: {path: /mnt/small/half, line: new, backup: true}",
        "blockinfile: {path: /mnt/small/half, block: new}",
        "replace: {path: /mnt/small/half, regexp: y, replace: n}",
        "ini_file: {path: /mnt/small/settings.ini, section: s, option: o, value: \"{{ 'x' * 200000 }}\"}",
        "archive: {path: /srv/random, dest: /mnt/small/big.gz}",
        "archive: {path: /srv/random, dest: /mnt/small/big.tar, format: tar}",
        "archive: {path: /srv/random, dest: /mnt/small/big.zip, format: zip}",
        "synchronize: {src: /srv/parts/, dest: /mnt/small/tree}",
        "synchronize: {src: /srv/random, dest: /mnt/small/big}",
        "known_hosts: {name: x, path: /mnt/small/half, key: x ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIP8aMbFWaFAVGG4kFsJIKvKPMpWkHHyP9Yrnv4WDDS9d}",
        "htpasswd: {path: /mnt/small/half, name: someone, password: something}",
        "cron: {name: x, job: 'true', user: root, cron_file: /mnt/small/half}",
        "sysctl: {name: a.b, value: '1', sysctl_set: false, reload: false, sysctl_file: /mnt/small/half}",
        "mount: {path: /mnt/x, src: tmpfs, fstype: tmpfs, state: present, fstab: /mnt/small/half}",
    ]
    .map(|task| fault(task, FULL))
    .into();
    workshop.all_fail(By::Root, STATE, &faults);

    // In place, as tar does it: what came before the end of the room is told, and the next run makes up for it.
    let task = "unarchive: {src: /srv/left.tar, dest: /mnt/small, remote_src: true}";
    let done = workshop.run(By::Root, &[task]).remove(0);
    let words = done.words();
    for says in ["/mnt/small", "the next run goes on", "free some space"] {
        assert!(done.failed && words.contains(says), "{says}: {words}");
    }
    workshop.host().root("mount -o remount,size=4m /mnt/small");
    workshop.succeed(task);
    workshop.host().root("cmp /srv/left /mnt/small/left");
}

fn read_only(workshop: &Workshop) {
    let mut faults: Vec<Fault> = [
        "copy: {content: x, dest: /mnt/read-only/new}",
        "copy: {content: x, dest: /mnt/read-only/kept}",
        "copy: {content: x, dest: /mnt/read-only/kept, unsafe_writes: true}",
        "copy: {content: x, dest: /mnt/read-only/kept, backup: true}",
        "copy: {src: /srv/parts/, dest: /mnt/read-only/tree/}",
        "template: {src: /srv/left, dest: /mnt/read-only/kept}",
        "assemble: {src: /srv/parts, dest: /mnt/read-only/new, remote_src: true}",
        "lineinfile: {path: /mnt/read-only/kept, line: new}",
        "blockinfile: {path: /mnt/read-only/kept, block: new}",
        "replace: {path: /mnt/read-only/kept, regexp: k, replace: n}",
        "ini_file: {path: /mnt/read-only/settings.ini, section: s, option: o, value: '2'}",
        "file: {path: /mnt/read-only/kept, mode: '0600'}",
        "file: {path: /mnt/read-only/kept, owner: deploy}",
        "file: {path: /mnt/read-only/kept, state: absent}",
        "file: {path: /mnt/read-only/folder, state: absent}",
        "file: {path: /mnt/read-only/new, state: directory}",
        "file: {path: /mnt/read-only/new, state: touch}",
        "file: {path: /mnt/read-only/kept, state: touch}",
        "file: {path: /mnt/read-only/new, src: kept, state: link}",
        "file: {path: /mnt/read-only/link, src: folder, state: link}",
        "file: {path: /mnt/read-only/new, src: /mnt/read-only/kept, state: hard}",
        "file: {path: /mnt/read-only, mode: '0700', recurse: true, state: directory}",
        "tempfile: {path: /mnt/read-only}",
        "tempfile: {path: /mnt/read-only, state: directory}",
        "archive: {path: /srv/random, dest: /mnt/read-only/new.gz}",
        "synchronize: {src: /srv/parts/, dest: /mnt/read-only/tree}",
        "htpasswd: {path: /mnt/read-only/new, name: someone, password: something}",
        "openssl_privatekey: {path: /mnt/read-only/new, type: ECC, curve: secp256r1}",
    ]
    .map(|task| fault(task, READ_ONLY))
    .into();
    faults.push(fault(
        "unarchive: {src: /srv/left.tar, dest: /mnt/read-only, remote_src: true}",
        &["/mnt/read-only", "Read-only file system"],
    ));
    workshop.all_fail(By::Root, STATE, &faults);
}

/// What is mounted over another file cannot be replaced, and what is immutable not even by root.
fn fixed(workshop: &Workshop) {
    workshop
        .host()
        .root("cd /srv; echo old >mounted; echo old >over; mount --bind over mounted; echo old >fixed; chattr +i fixed");
    let state = "cd /srv; head mounted over fixed; ls -l; lsattr fixed";
    workshop.all_fail(
        By::Root,
        state,
        &[
            fault(
                "copy: {content: new, dest: /srv/mounted, backup: true}",
                &["/srv/mounted", "busy", "unsafe_writes: true"],
            ),
            fault(
                "copy: {content: new, dest: /srv/fixed}",
                &["/srv/fixed", "not even root may", "lsattr"],
            ),
            fault(
                "file: {path: /srv/fixed, mode: '0600'}",
                &["/srv/fixed", "not even root may", "lsattr"],
            ),
        ],
    );
    workshop.succeed("copy: {content: new, dest: /srv/mounted, unsafe_writes: true}");
    let host = workshop.host();
    assert_eq!(host.root("cat /srv/mounted"), "new");
    host.root("chattr -i /srv/fixed");
}
