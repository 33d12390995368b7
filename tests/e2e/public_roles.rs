//! Real public roles, unchanged, through ansible-core and through `regdeploy` on two machines of the lab: what each task
//! comes to, the recap and what changed in the file system must be the same. Only variables and an inventory are ours.
//!
//! `tests/differential/roles` fetches them from `PyPI`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use similar::TextDiff;

use super::lab::{self, Target};
use super::process::Process;
use crate::differential::printed;

const LIMIT: Duration = Duration::from_mins(5);

struct Role {
    name: &'static str,
    /// YAML.
    vars: &'static str,
    /// What it expects to find, as a script for root.
    before: &'static str,
}

const ROLES: &[Role] = &[
    Role {
        name: "tripleo_hosts_entries",
        vars: "plan: cluster\ntripleo_hosts_entries_hosts_path: /srv/hosts\n\
               hosts_entry: [192.0.2.1 one.example.org one, 192.0.2.2 two.example.org two]\n\
               tripleo_hosts_entries_extra_hosts_entries: [192.0.2.9 nine]\n\
               tripleo_hosts_entries_undercloud_hosts_entries: []\n",
        before: "printf '127.0.0.1 localhost\\n' >/srv/hosts; chmod 640 /srv/hosts",
    },
    Role {
        name: "tripleo_securetty",
        vars: "tripleo_ttys: [console, tty1, tty2]\n",
        before: "",
    },
    Role {
        name: "tripleo_systemd_wrapper",
        vars: "tripleo_systemd_wrapper_service_name: helper\ntripleo_systemd_wrapper_service_dir: /srv/helper\n\
               tripleo_systemd_wrapper_service_kill_script: helper-kill\ntripleo_systemd_wrapper_cmd: /usr/sbin/helper\n\
               tripleo_systemd_wrapper_image_name: registry.example.org/helper\n\
               tripleo_systemd_wrapper_config_bind_mount: /srv/config:/config\n\
               tripleo_systemd_wrapper_docker_additional_sockets: []\n",
        before: "",
    },
];

#[test]
fn do_the_same_as_under_ansible_core() {
    let oracle = script("oracle", &[]);
    let roles = script("roles", &[&format!("{oracle}/python3")]);
    let theirs = Target::start("roles-oracle");
    let ours = Target::start("roles-ours");
    // The genuine engine needs it on a target; here there is none to the end.
    theirs.root("apt-get -qy install --no-install-recommends python3 python3-apt >/dev/null");
    ours.root("! command -v python3");

    let differences: Vec<String> = ROLES
        .iter()
        .filter_map(|role| {
            let work = project(role, &roles);
            let [theirs, ours] = [
                (&theirs, Path::new(&oracle).join("ansible-playbook")),
                (&ours, PathBuf::from(env!("CARGO_BIN_EXE_regdeploy"))),
            ]
            .map(|(target, program)| outcome(target, &program, work.path(), role));
            (theirs != ours).then(|| {
                let difference = TextDiff::from_lines(&theirs, &ours)
                    .unified_diff()
                    .header("ansible-core", "regdeploy")
                    .to_string();
                format!("==== {}\n{difference}", role.name)
            })
        })
        .collect();
    println!(
        "public roles: passed {}/{}",
        ROLES.len() - differences.len(),
        ROLES.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What a script beside the differential test prints.
fn script(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(lab::project().join("tests/differential").join(name));
    let printed = Process::start(command.args(arguments), LIMIT).end().success();
    printed.trim_end().to_owned()
}

fn project(role: &Role, roles: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("a file");
    write("play.yml", &format!("- hosts: all\n  roles: [{}]\n", role.name));
    write("vars.yml", &format!("---\n{}", role.vars));
    write(
        "ansible.cfg",
        &format!("[defaults]\nroles_path = {roles}\nhost_key_checking = false\n"),
    );
    folder
}

/// What each task came to, twice, and what the machine has that it had not.
fn outcome(target: &Target, program: &Path, work: &Path, role: &Role) -> String {
    target.root(role.before);
    let before = start_of_changes(target);
    let mut text = String::new();
    std::fs::write(
        work.join("hosts"),
        format!("target ansible_host={} ansible_user=deploy\n", target.ip()),
    )
    .expect("a file");
    for _ in 0..2 {
        let mut command = Command::new(program);
        command
            .args([
                "-i",
                "hosts",
                "--become",
                "-e",
                "@vars.yml",
                "play.yml",
                "--private-key",
            ])
            .arg(lab::key())
            .current_dir(work)
            .env("HOME", work)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env(
                "ANSIBLE_SSH_ARGS",
                "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            );
        let ended = Process::start(&mut command, LIMIT).end();
        for shown in printed::read(&ended.output) {
            let _ = writeln!(text, "{}: {}", shown.banner, shown.head);
        }
        let _ = writeln!(text, "exit {:?}", ended.status.code());
        if !ended.status.success() {
            text.push_str(&ended.output);
            text.push_str(&ended.errors);
        }
    }
    text + &changes(target, &before)
}

/// What is a cache, a log or the engine's own.
const LEFT_OUT: &str = r"\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log \
    -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path /etc/ld.so.cache \
    -o -name .ansible -o -name .cache -o -name __pycache__ -o -name marker \) -prune -o";

/// A home is newer whenever an engine makes a folder of its own in it.
const NO_HOME: &str = "! -path /root ! -path /home/deploy";

/// All paths, at the time from which on [`changes`] are seen.
fn start_of_changes(target: &Target) -> BTreeSet<String> {
    paths(&target.root(&format!("touch /marker; sleep 0.1; find / {LEFT_OUT} -print")))
}

/// Kind, mode, owner and contents of what is new or changed, and what has gone. The size of a folder is its file system's.
fn changes(target: &Target, before: &BTreeSet<String>) -> String {
    let changed = format!("find / {LEFT_OUT} -newercc /marker {NO_HOME}");
    let mut text = target.root(&format!(
        "{changed} -printf '%p %y %m %u %g %l\\n' | sort; {changed} -type f -print0 | sort -z | xargs -0r sha256sum"
    ));
    let after = paths(&target.root(&format!("find / {LEFT_OUT} -print")));
    for path in before.difference(&after) {
        let _ = writeln!(text, "{path} gone");
    }
    text
}

fn paths(listed: &str) -> BTreeSet<String> {
    listed.lines().map(str::to_owned).collect()
}
