//! Whether the target is a guest or a host, and of what.

use super::{exists, put, read};
use crate::system::System;
use crate::value::Map;

/// A word of the firmware's product or vendor, and what it betrays.
const PRODUCTS: &[(&str, &str)] = &[
    ("KVM", "kvm"),
    ("QEMU", "kvm"),
    ("Google Compute Engine", "kvm"),
    ("Amazon EC2", "kvm"),
    ("OpenStack", "openstack"),
    ("oVirt", "oVirt"),
    ("RHEV", "RHEV"),
    ("VMware", "VMware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Virtual Machine", "VirtualPC"),
    ("Parallels", "parallels"),
    ("Bochs", "kvm"),
    ("Xen", "xen"),
    ("HVM domU", "xen"),
];

/// What `/proc/1/environ`'s `container=` says, in Ansible's words.
const CONTAINERS: &[(&str, &str)] = &[
    ("lxc", "lxc"),
    ("podman", "podman"),
    ("docker", "docker"),
    ("oci", "container"),
];

pub fn gather(system: &dyn System, facts: &mut Map) {
    let (kind, role) = detect(system);
    put(facts, "virtualization_type", kind);
    put(facts, "virtualization_role", role);
    let one = |wanted: &str| {
        if role == wanted {
            vec![kind.to_owned()]
        } else {
            Vec::new()
        }
    };
    put(facts, "virtualization_tech_guest", one("guest"));
    put(facts, "virtualization_tech_host", one("host"));
}

fn detect(system: &dyn System) -> (&'static str, &'static str) {
    if exists(system, "/.dockerenv") || exists(system, "/.dockerinit") {
        return ("docker", "guest");
    }
    if exists(system, "/run/.containerenv") {
        return ("podman", "guest");
    }
    let environment = read(system, "/proc/1/environ").unwrap_or_default();
    if let Some(name) = environment
        .split('\0')
        .find_map(|entry| entry.strip_prefix("container="))
    {
        let known = CONTAINERS.iter().find(|(word, _)| *word == name);
        return (known.map_or("container", |(_, kind)| kind), "guest");
    }
    let groups = read(system, "/proc/1/cgroup").unwrap_or_default();
    if let Some((_, kind)) = [("/docker", "docker"), ("/lxc", "lxc"), ("kubepods", "container")]
        .into_iter()
        .find(|(word, _)| groups.contains(word))
    {
        return (kind, "guest");
    }
    let firmware = ["product_name", "sys_vendor", "bios_vendor"]
        .into_iter()
        .filter_map(|file| read(system, format!("/sys/class/dmi/id/{file}")))
        .collect::<Vec<_>>()
        .join("\n");
    if let Some((_, kind)) = PRODUCTS.iter().find(|(word, _)| firmware.contains(word)) {
        return (kind, "guest");
    }
    let cpu = read(system, "/proc/cpuinfo").unwrap_or_default();
    if cpu
        .lines()
        .any(|line| line.starts_with("flags") && line.contains(" hypervisor"))
    {
        return ("kvm", "guest");
    }
    if exists(system, "/dev/kvm") {
        return ("kvm", "host");
    }
    ("NA", "NA")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn recognises_guests() {
        let fake = Fake::new();
        assert_eq!(detect(&fake), ("NA", "NA"));
        fake.directory("/sys/class/dmi/id");
        fake.file("/sys/class/dmi/id/product_name", "VMware Virtual Platform\n");
        assert_eq!(detect(&fake), ("VMware", "guest"));
        fake.file("/.dockerenv", "");
        assert_eq!(detect(&fake), ("docker", "guest"));
    }
}
