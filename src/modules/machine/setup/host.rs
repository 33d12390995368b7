//! The machine and its kernel: names, architecture, managers of packages and services, security modules.

use std::path::Path;

use super::{ask, exists, put, read};
use crate::system::foresight::Subject;
use crate::system::{Follow, System};
use crate::value::{Map, Value};

/// First match wins: a distribution's own before what it may also carry.
const PACKAGE_MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/microdnf", "dnf"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/zypper", "zypper"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/pacman", "pacman"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/bin/xbps-install", "xbps"),
];

const HOST_KEYS: &[&str] = &["dsa", "rsa", "ecdsa", "ed25519"];

pub fn gather(system: &dyn System, facts: &mut Map) {
    let kernel = |name: &str| read(system, Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    let nodename = match system.foreseen(Subject::Hostname, "") {
        Some(name) => name.to_string(),
        None => system.hostname().unwrap_or_else(|_| kernel("hostname")),
    };
    let short = nodename.split('.').next().unwrap_or_default();
    let fqdn = full_name(&nodename, system);
    put(facts, "system", kernel("ostype"));
    put(facts, "kernel", kernel("osrelease"));
    put(facts, "kernel_version", kernel("version"));
    put(facts, "nodename", nodename.as_str());
    put(facts, "hostname", short);
    put(
        facts,
        "domain",
        fqdn.split_once('.').map_or("", |(_, domain)| domain),
    );
    put(facts, "fqdn", fqdn.as_str());
    let machine = ask(system, &["uname", "-m"]).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let bits = if machine.contains("64") || machine == "s390x" {
        "64"
    } else {
        "32"
    };
    let architecture = match machine.as_str() {
        "i486" | "i586" | "i686" => "i386",
        other => other,
    };
    put(facts, "architecture", architecture);
    put(facts, "userspace_architecture", architecture);
    put(facts, "userspace_bits", bits);
    put(facts, "machine", machine.as_str());
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    put(
        facts,
        "machine_id",
        id.into_iter().find_map(|path| read(system, path)),
    );
    let manager = PACKAGE_MANAGERS.iter().find(|(path, _)| exists(system, path));
    put(facts, "pkg_mgr", manager.map_or("unknown", |(_, name)| name));
    put(facts, "service_mgr", service_manager(system));
    put(facts, "selinux", selinux(system));
    put(facts, "selinux_python_present", true);
    let apparmor = exists(system, "/sys/kernel/security/apparmor");
    put(
        facts,
        "apparmor",
        Map::from([(
            "status".to_owned(),
            (if apparmor { "enabled" } else { "disabled" }).into(),
        )]),
    );
    put(
        facts,
        "fips",
        read(system, "/proc/sys/crypto/fips_enabled").as_deref() == Some("1"),
    );
    put(facts, "is_chroot", is_chroot(system));
    let cmdline = read(system, "/proc/cmdline").unwrap_or_default();
    put(facts, "cmdline", command_line(&cmdline, false));
    put(facts, "proc_cmdline", command_line(&cmdline, true));
    put(
        facts,
        "dns",
        resolver(&read(system, "/etc/resolv.conf").unwrap_or_default()),
    );
    for kind in HOST_KEYS {
        let path = format!("/etc/ssh/ssh_host_{kind}_key.pub");
        let line = read(system, path).unwrap_or_default();
        let mut words = line.split_whitespace();
        if let (Some(algorithm), Some(key)) = (words.next(), words.next()) {
            put(facts, &format!("ssh_host_key_{kind}_public"), key);
            put(facts, &format!("ssh_host_key_{kind}_public_keytype"), algorithm);
        }
    }
}

/// What the hosts file calls the address of this host: the first name with a dot, else the first one.
pub fn full_name(nodename: &str, system: &dyn System) -> String {
    named_in(nodename, &read(system, "/etc/hosts").unwrap_or_default())
}

fn named_in(nodename: &str, hosts: &str) -> String {
    if nodename.contains('.') {
        return nodename.to_owned();
    }
    let lines: Vec<Vec<&str>> = hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .map(|line| line.split_whitespace().collect())
        .collect();
    let address = lines
        .iter()
        .find(|words| words.iter().skip(1).any(|name| *name == nodename))
        .and_then(|words| words.first());
    let names = lines
        .iter()
        .find(|words| address.is_some() && words.first() == address);
    let names = names.map(|words| &words[1..]).unwrap_or_default();
    let full = names.iter().find(|name| name.contains('.')).or(names.first());
    full.copied().unwrap_or(nodename).to_owned()
}

fn service_manager(system: &dyn System) -> String {
    if exists(system, "/run/systemd/system") {
        return "systemd".to_owned();
    }
    let first = read(system, "/proc/1/comm").unwrap_or_default();
    match first.as_str() {
        "init" | "" if exists(system, "/run/openrc") || exists(system, "/sbin/openrc") => "openrc".to_owned(),
        "init" if exists(system, "/etc/init.d") => "sysvinit".to_owned(),
        "" | "sh" | "bash" => "service".to_owned(),
        other if other.starts_with("runit") => "runit".to_owned(),
        other => other.to_owned(),
    }
}

fn selinux(system: &dyn System) -> Map {
    let mut selinux = Map::new();
    let mode = read(system, "/sys/fs/selinux/enforce");
    let Some(mode) = mode else {
        selinux.insert("status".to_owned(), "disabled".into());
        return selinux;
    };
    selinux.insert("status".to_owned(), "enabled".into());
    let mode = if mode == "1" { "enforcing" } else { "permissive" };
    selinux.insert("mode".to_owned(), mode.into());
    let version = read(system, "/sys/fs/selinux/policyvers").and_then(|text| text.parse::<i64>().ok());
    selinux.insert("policyvers".to_owned(), version.into());
    let config = read(system, "/etc/selinux/config").unwrap_or_default();
    let setting = |key: &str| {
        let line = config.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(|value| value.trim().to_owned())
    };
    selinux.insert("config_mode".to_owned(), setting("SELINUX=").into());
    selinux.insert("type".to_owned(), setting("SELINUXTYPE=").into());
    selinux
}

/// Another root than that of the first process.
fn is_chroot(system: &dyn System) -> bool {
    let root = |path: &str| system.metadata(path.as_ref(), Follow::Yes).ok().flatten();
    match (root("/"), root("/proc/1/root/.")) {
        (Some(own), Some(first)) => (own.device, own.inode) != (first.device, first.inode),
        // Without a look at the first process's root, an ordinary root is inode 2.
        _ => false,
    }
}

/// Words of the kernel's command line: `key=value`, or a key that is true. `proc_cmdline` collects repeats.
fn command_line(text: &str, collect: bool) -> Map {
    let mut map = Map::new();
    for word in text.split_whitespace() {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Value::from(value)),
            None => (word, Value::Bool(true)),
        };
        match map.get_mut(key) {
            Some(Value::List(list)) if collect => list.push(value),
            Some(first) if collect && matches!(value, Value::Str(_)) => {
                *first = Value::List(vec![first.clone(), value]);
            }
            _ => {
                map.insert(key.to_owned(), value);
            }
        }
    }
    map
}

fn resolver(text: &str) -> Map {
    let mut map = Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default();
        let rest: Vec<String> = words.map(str::to_owned).collect();
        match key {
            "nameserver" => {
                let list = map.entry("nameservers".to_owned());
                if let Value::List(list) = list.or_insert(Value::List(Vec::new())) {
                    list.extend(rest.into_iter().map(Value::Str));
                }
            }
            "domain" => {
                map.insert(key.to_owned(), rest.first().cloned().into());
            }
            "search" | "sortlist" => {
                map.insert(key.to_owned(), rest.into());
            }
            "options" => {
                let options = rest.iter().map(|option| match option.split_once(':') {
                    Some((name, value)) => (name.to_owned(), value.into()),
                    None => (option.clone(), true.into()),
                });
                map.insert(key.to_owned(), Value::Map(options.collect()));
            }
            _ => {}
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_full_name() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 web1.lab.example web1 # here\n";
        assert_eq!(named_in("web1", hosts), "web1.lab.example");
        assert_eq!(named_in("web2", hosts), "web2");
        assert_eq!(named_in("a.b", ""), "a.b");
    }

    #[test]
    fn reads_command_line_and_resolver() {
        assert_eq!(
            Value::Map(command_line("quiet a=1 a=2", true)).to_string(),
            "{'quiet': True, 'a': ['1', '2']}"
        );
        assert_eq!(
            Value::Map(resolver(
                "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a b\noptions ndots:2 rotate\n"
            ))
            .to_string(),
            "{'nameservers': ['10.0.0.1', '10.0.0.2'], 'search': ['a', 'b'], 'options': {'ndots': '2', 'rotate': True}}"
        );
    }
}
