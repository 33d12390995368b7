//! Hosts that cannot be reached, logged in to or written to: what is said, and that the others go on.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::controller::{Controller, Run};
use super::lab::{self, Target};
use super::process::Process;

const WHO_AM_I: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - name: Who am I
      command: id -un
      changed_when: false
      register: me
    - debug: var=me.stdout
";

/// Asks every host of an inventory for the user that tasks run as.
fn who_am_i(controller: &Controller, inventory: &str, arguments: &[&str]) -> Run {
    let playbook = controller.write("who.yml", WHO_AM_I);
    let inventory = controller.write("hosts", inventory);
    let mut all = vec![playbook.to_str().unwrap()];
    all.extend(arguments);
    controller.run(&inventory, &all)
}

fn host(target: &Target, user: &str) -> String {
    format!("web ansible_host={} ansible_user={user}\n", target.ip())
}

/// The one host was not reached, for this reason.
#[track_caller]
fn unreachable(run: &Run, reason: &str) {
    assert_eq!(run.code, Some(4), "{run}");
    assert_eq!(
        run.fatal("web"),
        format!(
            r#"fatal: [web]: UNREACHABLE! => {{"changed": false, "msg": "{reason}", "unreachable": true}}"#
        )
    );
    let recap = run.recap()["web"];
    assert_eq!((recap.ok, recap.unreachable, recap.failed), (0, 1, 0), "{run}");
}

/// The one host failed, for this reason.
#[track_caller]
fn failed(run: &Run, reason: &str) {
    assert_eq!(run.code, Some(2), "{run}");
    assert_eq!(
        run.fatal("web"),
        format!(r#"fatal: [web]: FAILED! => {{"changed": false, "msg": "{reason}"}}"#)
    );
    let recap = run.recap()["web"];
    assert_eq!((recap.ok, recap.unreachable, recap.failed), (0, 0, 1), "{run}");
}

/// Fingerprint of a host key in a file of keys or of known hosts.
fn fingerprint(file: &std::path::Path) -> String {
    let mut command = Command::new("ssh-keygen");
    let printed = Process::start(command.arg("-lf").arg(file), Duration::from_secs(10))
        .end()
        .success();
    let keys: Vec<&str> = printed
        .lines()
        .filter(|line| line.ends_with("(ED25519)"))
        .collect();
    keys[0].split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_host_that_cannot_be_reached_does_not_keep_the_others_from_their_work() {
    let target = Target::start("reachable");
    let controller = Controller::new(&[&target]);
    // Nobody listens on the first; the second is at an address that is nobody's (RFC 5737).
    let inventory = host(&target, "deploy")
        + "closed ansible_host=127.0.0.1 ansible_port=1\nsilent ansible_host=192.0.2.1\n";
    let run = who_am_i(&controller, &inventory, &["-T", "2"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert_eq!(
        run.fatal("closed"),
        "fatal: [closed]: UNREACHABLE! => {\"changed\": false, \"msg\": \"cannot reach 127.0.0.1: 127.0.0.1:1: \
         Connection refused (os error 111)\", \"unreachable\": true}"
    );
    let silent = run.fatal("silent");
    assert!(
        silent.contains(r#""msg": "cannot reach 192.0.2.1: 192.0.2.1:22: "#),
        "{silent}"
    );
    assert!(run.output.contains(r#""me.stdout": "deploy""#), "{run}");
    let recap = run.recap();
    assert_eq!((recap["web"].ok, recap["web"].unreachable), (2, 0), "{run}");
    assert_eq!((recap["closed"].ok, recap["closed"].unreachable), (0, 1), "{run}");
    assert_eq!((recap["silent"].ok, recap["silent"].unreachable), (0, 1), "{run}");
}

#[test]
fn a_key_that_the_host_does_not_know_is_named() {
    let target = Target::start("stranger");
    let controller = Controller::new(&[&target]);
    let key = controller.home().join("stranger");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    Process::start(&mut keygen, Duration::from_secs(10))
        .end()
        .success();
    let run = who_am_i(
        &controller,
        &host(&target, "deploy"),
        &["--private-key", key.to_str().unwrap()],
    );
    unreachable(
        &run,
        &format!(
            "{} does not let deploy log in (tried: key {}; it takes: publickey,password): give another user with \
             -u, a key with --private-key or a password with -k",
            target.ip(),
            key.display()
        ),
    );
}

#[test]
fn an_unknown_host_key_and_a_changed_one_are_told_apart_and_refused() {
    let target = Target::start("keys");
    let controller = Controller::new(&[&target]);
    let known_hosts = controller.known_hosts();
    let ip = target.ip();
    assert!(who_am_i(&controller, &host(&target, "deploy"), &[]).code == Some(0));

    let before = fingerprint(&known_hosts);
    target.root("rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh");
    let shown = controller.write("shown.pub", &target.root("cat /etc/ssh/ssh_host_ed25519_key.pub"));
    let now = fingerprint(&shown);
    let line = 1 + fs::read_to_string(&known_hosts)
        .unwrap()
        .lines()
        .position(|line| line.contains(" ssh-ed25519 "))
        .expect("a key that is known");
    let run = who_am_i(&controller, &host(&target, "deploy"), &[]);
    let place = known_hosts.display();
    unreachable(
        &run,
        &format!(
            "THE HOST KEY OF {ip} HAS CHANGED: it now shows ssh-ed25519 {now}, but {place}:{line} has {before}. \
             Somebody may be listening in, or the host was installed anew. If you know that it was: ssh-keygen -f \
             {place} -R {ip}, then accept the new key"
        ),
    );

    fs::write(&known_hosts, "").unwrap();
    let run = who_am_i(&controller, &host(&target, "deploy"), &[]);
    unreachable(
        &run,
        &format!(
            "the host key of {ip} is not known: ssh-ed25519 {now}. Compare it with the one that the host's console \
             shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then accept it with: ssh-keyscan -t ed25519 \
             {ip} >> {place}, or check none with ansible_host_key_checking=false"
        ),
    );
    let unchecked = host(&target, "deploy") + "[all:vars]\nansible_host_key_checking=false\n";
    assert_eq!(who_am_i(&controller, &unchecked, &[]).code, Some(0));
}

#[test]
fn sudo_that_wants_a_password_gets_it_or_says_what_it_misses() {
    let target = Target::start("sudo");
    let controller = Controller::new(&[&target]);
    let inventory = host(&target, "pwuser");
    let ip = target.ip();
    failed(
        &who_am_i(&controller, &inventory, &["-b"]),
        &format!(
            "{ip}: sudo needs a password to become root: give it with -K or ansible_become_password (sudo: a \
             password is required)"
        ),
    );
    let file = controller.write("password", "not-the-password\n");
    let file = ["-b", "--become-password-file", file.to_str().unwrap()];
    failed(
        &who_am_i(&controller, &inventory, &file),
        &format!(
            "{ip}: Incorrect sudo password for becoming root: correct the one given with -K or \
             ansible_become_password"
        ),
    );
    controller.write("password", "lab-password\n");
    let run = who_am_i(&controller, &inventory, &file);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.output.contains(r#""me.stdout": "root""#), "{run}");
    // What the right one has started does not serve a task with a wrong one.
    let play = "- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - command: id -un\n    - command: id -un\n      \
                vars: {ansible_become_password: not-the-password}\n";
    let play = controller.write("two.yml", play);
    let hosts = controller.write("two", &inventory);
    let run = controller.run(&hosts, &[file[0], file[1], file[2], play.to_str().unwrap()]);
    assert!(
        run.fatal("web")
            .contains("Incorrect sudo password for becoming root"),
        "{run}"
    );
    assert_eq!(run.recap()["web"].ok, 1, "{run}");
    assert!(
        !run.output.contains("lab-password") && !run.errors.contains("lab-password"),
        "{run}"
    );
}

#[test]
fn a_password_logs_in_where_there_is_no_key() {
    let target = Target::start("password");
    let controller = Controller::new(&[&target]);
    target.root("rm -r /home/pwuser/.ssh");
    let with = |password| host(&target, "pwuser").replace('\n', &format!(" ansible_password={password}\n"));
    let run = who_am_i(&controller, &with("lab-password"), &["-vvv"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.output.contains(r#""me.stdout": "pwuser""#), "{run}");
    assert!(
        !run.output.contains("lab-password") && !run.errors.contains("lab-password"),
        "{run}"
    );
    unreachable(
        &who_am_i(&controller, &with("not-the-password"), &[]),
        &format!(
            "{} does not let pwuser log in (tried: key {}, password; it takes: publickey,password): give another \
             user with -u, a key with --private-key or a password with -k",
            target.ip(),
            lab::key().display()
        ),
    );
}

#[test]
fn a_full_disk_is_named_and_nothing_is_half_written() {
    let target = Target::start("full");
    let controller = Controller::new(&[&target]);
    target.root(
        "mkdir /mnt/small && mount -t tmpfs -o size=64k tmpfs /mnt/small && echo before >/mnt/small/old",
    );
    let big = controller.write("big", &"x".repeat(1 << 20));
    for destination in ["new", "old"] {
        let playbook = controller.write(
            "copy.yml",
            &format!(
                "- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - copy:\n        src: {}\n        \
                 dest: /mnt/small/{destination}\n",
                big.display()
            ),
        );
        let inventory = controller.write("hosts", &host(&target, "deploy"));
        failed(
            &controller.run(&inventory, &[playbook.to_str().unwrap()]),
            &format!(
                "cannot write /mnt/small/{destination}: No space left on device (os error 28) (free some space on \
                 that file system and run again; nothing was half-written)"
            ),
        );
        assert_eq!(target.root("cd /mnt/small && ls -A && cat old"), "old\nbefore\n");
    }
}
