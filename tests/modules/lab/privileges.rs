//! What needs root: refused to a user without, with path and need named and nothing changed; done through sudo as by root itself.
//! The comparison with ansible-core is unproven and has to be asked for (`--ignored`).

use std::process::Command;
use std::time::Duration;

use super::super::outcome::{Run, Task};
use super::workshop::{By, Fault, Workshop, fault, play};
use crate::e2e::lab::{self, Target};
use crate::e2e::listing::Listing;
use crate::e2e::process::Process;

/// A task, what its refusal names, and whether ansible-core has the module.
struct Privileged {
    task: &'static str,
    names: &'static [&'static str],
    in_core: bool,
}

const fn builtin(task: &'static str, names: &'static [&'static str]) -> Privileged {
    Privileged {
        task,
        names,
        in_core: true,
    }
}

const fn other(task: &'static str, names: &'static [&'static str]) -> Privileged {
    Privileged {
        task,
        names,
        in_core: false,
    }
}

const NEED: &str = "become: true";
const ENGINE: &[&str] = &["/var/run/docker.sock", "permission denied", "group docker"];

const TASKS: &[Privileged] = &[
    builtin(
        "copy: {content: x, dest: /etc/privileged/new}",
        &["/etc/privileged/new"],
    ),
    builtin(
        "template: {src: /srv/x, dest: /etc/privileged/template}",
        &["/etc/privileged/template"],
    ),
    builtin(
        "file: {path: /etc/privileged/folder, state: directory}",
        &["/etc/privileged/folder"],
    ),
    builtin(
        "file: {path: /etc/privileged/touched, state: touch}",
        &["/etc/privileged/touched"],
    ),
    builtin(
        "file: {path: /etc/privileged/link, src: file, state: link}",
        &["/etc/privileged/link"],
    ),
    builtin(
        "file: {path: /etc/privileged/hard, src: /etc/privileged/file, state: hard}",
        &["/etc/privileged/hard"],
    ),
    builtin(
        "file: {path: /etc/privileged/mode, mode: '0640'}",
        &["/etc/privileged/mode"],
    ),
    builtin(
        "file: {path: /etc/privileged/mode, owner: deploy}",
        &["/etc/privileged/mode"],
    ),
    builtin(
        "file: {path: /etc/privileged/gone, state: absent}",
        &["/etc/privileged/gone"],
    ),
    builtin(
        "lineinfile: {path: /etc/privileged/file, line: new}",
        &["/etc/privileged/file"],
    ),
    builtin(
        "blockinfile: {path: /etc/privileged/file, block: new}",
        &["/etc/privileged/file"],
    ),
    builtin(
        "replace: {path: /etc/privileged/file, regexp: line, replace: text}",
        &["/etc/privileged/file"],
    ),
    builtin(
        "assemble: {src: /srv/parts, dest: /etc/privileged/parts, remote_src: true}",
        &["/etc/privileged/parts"],
    ),
    builtin(
        "slurp: {src: /etc/privileged/secret}",
        &["/etc/privileged/secret"],
    ),
    builtin(
        "fetch: {src: /etc/privileged/secret, dest: /tmp/fetched}",
        &["/etc/privileged/secret"],
    ),
    builtin(
        "unarchive: {src: /srv/archive.tar, dest: /etc/privileged, remote_src: true}",
        &["/etc/privileged"],
    ),
    other(
        "ini_file: {path: /etc/privileged/ini, section: s, option: o, value: v}",
        &["/etc/privileged/ini"],
    ),
    other(
        "archive: {path: /srv/x, dest: /etc/privileged/x.gz}",
        &["/etc/privileged/x.gz"],
    ),
    other(
        "synchronize: {src: /srv/parts/, dest: /etc/privileged/synchronized}",
        &["/etc/privileged/synchronized"],
    ),
    builtin("apt: {deb: /srv/quick.deb}", &["/var/lib/dpkg/lock-frontend"]),
    other("apt: {update_cache: true}", &["/var/lib/apt/lists/lock"]),
    builtin(
        "apt_repository: {repo: deb http://192.0.2.1/ x y, filename: privileged, update_cache: false}",
        &["/etc/apt/sources.list.d/privileged.list"],
    ),
    other(
        "deb822_repository: {name: privileged, uris: http://192.0.2.1, suites: x, components: y, enabled: false}",
        &["/etc/apt/sources.list.d/privileged.sources"],
    ),
    builtin(
        "debconf: {name: tzdata, question: tzdata/Areas, value: Europe, vtype: select}",
        &["debconf-set-selections"],
    ),
    builtin("group: {name: privileges, gid: 4711}", &["/etc/group"]),
    builtin(
        "user: {name: privileged, uid: 4712, group: users}",
        &["/etc/passwd"],
    ),
    builtin("user: {name: pwuser, comment: new}", &["/etc/passwd"]),
    builtin(
        "cron: {name: x, job: 'true', user: pwuser}",
        &["must be privileged to use -u"],
    ),
    builtin(
        "cron: {name: x, job: 'true', user: root, cron_file: privileged}",
        &["/etc/cron.d/privileged"],
    ),
    other(
        "authorized_key: {user: pwuser, key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP8aMbFWaFAVGG4kFsJIKvKPMpWkHHyP9Yrnv4WDDS9d}",
        &["/home/pwuser/.ssh"],
    ),
    builtin(
        "known_hosts: {name: x, path: /etc/ssh/ssh_known_hosts, key: x ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIP8aMbFWaFAVGG4kFsJIKvKPMpWkHHyP9Yrnv4WDDS9d}",
        &["/etc/ssh/ssh_known_hosts"],
    ),
    builtin(
        "service: {name: cron, state: restarted}",
        &["restart -- cron", "Access denied"],
    ),
    builtin(
        "systemd_service: {name: cron, enabled: false}",
        &["disable -- cron", "Access denied"],
    ),
    builtin(
        "sysvinit: {name: cron, state: restarted}",
        &["restart service: cron"],
    ),
    builtin("hostname: {name: renamed}", &["hostname", "Access denied"]),
    builtin(
        "iptables: {chain: INPUT, protocol: tcp, jump: ACCEPT}",
        &["iptables", "Permission denied"],
    ),
    other(
        "mount: {path: /mnt/privileged, src: tmpfs, fstype: tmpfs, state: mounted}",
        &["/etc/fstab"],
    ),
    other(
        "sysctl: {name: kernel.privileged, value: '1', sysctl_set: false, reload: false}",
        &["/etc/sysctl.conf"],
    ),
    other(
        "timezone: {name: Europe/Berlin}",
        &["set-timezone", "Access denied"],
    ),
    other("locale_gen: {name: de_DE.UTF-8}", &["/etc/locale.gen"]),
    other(
        "alternatives: {name: privileged, link: /usr/bin/privileged, path: /bin/true}",
        &["/etc/alternatives/privileged"],
    ),
    other(
        "pam_limits: {domain: nobody, limit_type: soft, limit_item: nofile, value: '10'}",
        &["/etc/security/limits.conf"],
    ),
    other(
        "htpasswd: {path: /etc/privileged/htpasswd, name: someone, password: something}",
        &["/etc/privileged/htpasswd"],
    ),
    other(
        "openssl_privatekey: {path: /etc/privileged/key, type: ECC, curve: secp256r1}",
        &["/etc/privileged/key"],
    ),
    other(
        "docker_container: {name: privileged, image: box, command: sleep 1000}",
        ENGINE,
    ),
    other("docker_network: {name: privileged}", ENGINE),
    other("docker_volume: {name: privileged}", ENGINE),
    other(
        "docker_image: {name: box, source: local, repository: 'box:other'}",
        ENGINE,
    ),
];

const PREPARED: &str = r"
set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qy install cron locales iptables >/dev/null 2>&1
umount /etc/hostname
mkdir /etc/privileged; cd /etc/privileged; for name in file mode gone secret; do echo line >$name; done; chmod 600 secret
cd /srv; echo x >x; mkdir -p parts quick/DEBIAN; echo part >parts/1; tar cf archive.tar x
printf 'Package: quick\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: x\n' >quick/DEBIAN/control
dpkg-deb --build quick quick.deb >/dev/null; chmod -R a+rX /srv
";

const ENGINE_PREPARED: &str = r"
set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qy install docker.io busybox >/dev/null 2>&1
mkdir -p /srv/box/bin; cp /bin/busybox /srv/box/bin/sleep; tar -C /srv/box -c . | docker import - box:latest >/dev/null
";

/// Random, of the moment or with the host's name in it, wherever it is made.
const OWN: &[&str] = &[
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/privileged/htpasswd",
    "/etc/privileged/key",
    "/etc/resolv.conf",
    "/etc/ssh/",
    "/etc/docker/key.json",
    "/etc/exim4/",
    "/etc/mailname",
    "/srv/archive.tar",
    "/srv/quick.deb",
    "/var/lib/exim4/",
];

fn tasks() -> Vec<&'static str> {
    TASKS.iter().map(|privileged| privileged.task).collect()
}

fn listing(workshop: &Workshop) -> Listing {
    Listing::of(workshop.host())
        .without(|name| name.starts_with("/play/") || name.starts_with("/tmp/"))
        .without_digests(OWN)
}

#[test]
fn what_needs_root_is_refused_to_others_and_done_through_sudo() {
    let prepared = format!("{PREPARED}{ENGINE_PREPARED}");
    let user = Workshop::open("privileges", &prepared);
    let before = listing(&user);
    let faults: Vec<Fault> = TASKS
        .iter()
        .map(|row| fault(row.task, &[row.names, &[NEED]].concat()))
        .collect();
    user.all_fail(
        By::User,
        "ls /tmp | grep -v systemd-private; docker ps -aq; docker network ls -q; docker volume ls -q; iptables -S",
        &faults,
    );
    listing(&user).equals(&before);

    let root = Workshop::open("privileges-of-root", &prepared);
    let (through_sudo, by_root) = (user.run(By::Sudo, &tasks()), root.run(By::Root, &tasks()));
    for ((task, sudo), root) in tasks().iter().zip(&through_sudo).zip(&by_root) {
        assert!(!sudo.failed, "{task} through sudo\n{}", sudo.words());
        assert!(!root.failed, "{task} as root\n{}", root.words());
        assert_eq!(sudo.changed, root.changed, "{task}");
    }
    let differences = listing(&user).since(&listing(&root));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(!listing(&user).since(&before).is_empty());
}

#[test]
fn ansible_core_refuses_and_does_the_same() {
    let ours = Workshop::open("privileges-ours", PREPARED);
    let theirs = Oracle::start(PREPARED);
    let tasks: Vec<&str> = TASKS
        .iter()
        .filter(|row| row.in_core)
        .map(|row| row.task)
        .collect();
    let mut complaints = Vec::new();
    for by in [By::User, By::Sudo] {
        let (ours, theirs) = std::thread::scope(|scope| {
            let ours = scope.spawn(|| ours.run(by, &tasks));
            let theirs = scope.spawn(|| theirs.run(by, &tasks));
            (
                ours.join().expect("our host"),
                theirs.join().expect("ansible-core's host"),
            )
        });
        assert_eq!(theirs.len(), tasks.len());
        for ((task, ours), theirs) in tasks.iter().zip(&ours).zip(&theirs) {
            let outcome = |of: &Task| (of.failed, of.changed && !of.failed);
            if outcome(ours) != outcome(theirs) {
                complaints.push(format!(
                    "{task}\n    regdeploy: failed, changed = {:?}: {}\n    ansible-core: {:?}: {}",
                    outcome(ours),
                    ours.words().trim(),
                    outcome(theirs),
                    theirs.words().trim()
                ));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// ansible-core on a host of its own, run by `deploy`.
struct Oracle(Target);

impl Oracle {
    fn start(prepared: &str) -> Self {
        let folder = lab::project().join("tests/modules/oracle");
        let image = Process::start(&mut Command::new(folder.join("image")), LIMIT)
            .end()
            .success();
        let target = Target::start_as("modules-privileges-oracle", &["--image", image.trim_end()]);
        target.copy_in(&folder, "/srv/oracle");
        target.root("mkdir -p /cases; cp -a /srv/oracle /cases/; chmod -R a+rX /cases");
        target.root(prepared);
        Self(target)
    }

    fn run(&self, by: By, tasks: &[&str]) -> Vec<Task> {
        let become_root = if by == By::Sudo { "  become: true\n" } else { "" };
        // The callback is told the case and the run by the play's name.
        let text = play(tasks).replacen(
            "- hosts: all\n",
            &format!("- name: 0 1\n  hosts: all\n{become_root}"),
            1,
        );
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("a play");
        self.0.root(
            "rm -rf /cases/play; mkdir /cases/play; cd /cases/play; echo host >hosts; touch 0.before 0.state",
        );
        self.0.copy_in(file.path(), "/cases/play/play.yml");
        self.0
            .root("chown -R deploy /cases/play; chmod a+r /cases/play/play.yml");
        let ended = self.0.within(
            LIMIT,
            "runuser -u deploy -- env HOME=/home/deploy sh /cases/oracle/run /cases/play",
        );
        let text = self.0.root("cat /cases/play/0.out/run1");
        Run::of_theirs(&text, &ended.errors).tasks
    }
}

const LIMIT: Duration = Duration::from_mins(10);
