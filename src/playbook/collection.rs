//! Full names of modules: `COLLECTION.MODULE`.
//!
//! `ansible.builtin` and `ansible.legacy` know every module that there is, since a plain name does, too. Of
//! other collections these are the modules that exist here; whether this program has one is its vocabulary's
//! to say.

/// Collections, and what is in them.
const COLLECTIONS: &[(&str, &[&str])] = &[
    (
        "ansible.posix",
        &[
            "acl",
            "at",
            "authorized_key",
            "firewalld",
            "firewalld_info",
            "mount",
            "patch",
            "seboolean",
            "selinux",
            "synchronize",
            "sysctl",
        ],
    ),
    (
        "community.crypto",
        &[
            "openssh_keypair",
            "openssl_csr",
            "openssl_dhparam",
            "openssl_privatekey",
            "x509_ca",
            "x509_certificate",
            "x509_certificate_info",
        ],
    ),
    (
        "community.docker",
        &[
            "docker_compose_v2",
            "docker_container",
            "docker_container_exec",
            "docker_container_info",
            "docker_host_info",
            "docker_image",
            "docker_image_info",
            "docker_login",
            "docker_network",
            "docker_network_info",
            "docker_prune",
            "docker_volume",
            "docker_volume_info",
        ],
    ),
    (
        "community.general",
        &[
            "alternatives",
            "apk",
            "archive",
            "capabilities",
            "cargo",
            "composer",
            "dconf",
            "filesystem",
            "flatpak",
            "gem",
            "git_config",
            "homebrew",
            "htpasswd",
            "ini_file",
            "interfaces_file",
            "java_cert",
            "java_keystore",
            "kernel_blacklist",
            "locale_gen",
            "lvg",
            "lvol",
            "make",
            "modprobe",
            "nmcli",
            "npm",
            "opkg",
            "pacman",
            "pam_limits",
            "parted",
            "pipx",
            "read_csv",
            "sefcontext",
            "snap",
            "ssh_config",
            "sudoers",
            "timezone",
            "ufw",
            "xml",
            "zypper",
        ],
    ),
];

/// The collections of the language itself, and this program's own.
const EVERYTHING: &[&str] = &["ansible.builtin", "ansible.legacy", "regdeploy.builtin"];

/// The modules that no collection has.
const OWN: &[&str] = &["install_self", "json_merge", "registry_probe", "relocate"];

/// Other names of modules.
const ALIASES: &[(&str, &str)] = &[("systemd", "systemd_service"), ("yum", "dnf")];

/// A module's name without its collection, aliases resolved; as it is where the collection does not have it.
pub fn short_name(name: &str) -> &str {
    let short = match name.rsplit_once('.') {
        Some((collection, module)) if holds(collection, module) => module,
        _ => name,
    };
    let alias = ALIASES.iter().find(|(alias, _)| *alias == short);
    alias.map_or(short, |(_, module)| module)
}

/// The collection that a module is looked for in.
pub fn collection(module: &str) -> &'static str {
    if OWN.contains(&module) {
        return "regdeploy.builtin";
    }
    COLLECTIONS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map_or("ansible.builtin", |(name, _)| name)
}

fn holds(collection: &str, module: &str) -> bool {
    EVERYTHING.contains(&collection)
        || COLLECTIONS
            .iter()
            .any(|(name, modules)| *name == collection && modules.contains(&module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_collection() {
        assert_eq!(short_name("copy"), "copy");
        assert_eq!(short_name("ansible.builtin.copy"), "copy");
        assert_eq!(short_name("ansible.legacy.yum"), "dnf");
        assert_eq!(short_name("community.docker.docker_image"), "docker_image");
        assert_eq!(short_name("ansible.builtin.docker_image"), "docker_image");
        assert_eq!(short_name("community.docker.copy"), "community.docker.copy");
        assert_eq!(short_name("some.thing.copy"), "some.thing.copy");
    }

    #[test]
    fn every_module_is_in_a_collection() {
        for (module, wanted) in [
            ("copy", "ansible.builtin"),
            ("mount", "ansible.posix"),
            ("relocate", "regdeploy.builtin"),
        ] {
            assert_eq!(collection(module), wanted);
        }
    }

    #[test]
    fn tables_are_in_order() {
        assert!(OWN.is_sorted());
        for (collection, modules) in COLLECTIONS {
            assert!(modules.is_sorted(), "{collection}");
        }
    }
}
