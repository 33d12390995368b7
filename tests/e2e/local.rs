//! The first try: the executable alone, on a machine without SSH, with the playbooks that it carries.

use super::controller::Run;
use super::lab::{Init, Target};
use super::listing::Listing;

/// The executable and its playbooks in a fresh target.
fn machine(name: &str, init: Init) -> Target {
    let target = Target::start_with(name, init);
    target.copy_in(env!("CARGO_BIN_EXE_regdeploy").as_ref(), "/root/regdeploy");
    target.root("/root/regdeploy init /root/site");
    target
}

fn run(target: &Target, arguments: &str) -> Run {
    let command =
        format!("cd /root/site && timeout 300 ../regdeploy -i inventories/local.ini site.yml {arguments}");
    Run::from(target.try_root(&command))
}

const HOSTS: &[&str] = &["localhost"];

fn deploys_and_leaves_no_trace(target: &Target) {
    assert!(
        !target
            .try_root("command -v dockerd || command -v python3")
            .status
            .success()
    );
    let before = Listing::of(target);

    let answers =
        "curl -sS --cacert /opt/docker/certs/ca.crt -o /dev/null -w '%{http_code}' https://127.0.0.1/v2/";
    run(target, "").went_well(HOSTS).changed_something();
    run(target, "").went_well(HOSTS).changed_nothing();
    assert_eq!(target.root(answers), "200");
    // Whoever is asked where the registry is, without TLS: on the other port.
    let plain = "curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:5000/v2/";
    run(target, "--skip-tags with_cacerts")
        .went_well(HOSTS)
        .changed_something();
    run(target, "--skip-tags with_cacerts")
        .went_well(HOSTS)
        .changed_nothing();
    assert_eq!(target.root(plain), "200");

    run(target, "--tags uninstall")
        .went_well(HOSTS)
        .changed_something();
    run(target, "--tags uninstall").went_well(HOSTS).changed_nothing();
    assert!(!target.try_root(plain).status.success());
    Listing::of(target).equals(&before);
}

#[test]
fn this_machine_with_systemd() {
    let target = machine("local", Init::Systemd);
    // Not even looking changes anything.
    let before = Listing::of(&target);
    run(&target, "--check --diff").went_well(HOSTS);
    Listing::of(&target).equals(&before);
    deploys_and_leaves_no_trace(&target);
}

#[test]
fn this_machine_without_systemd() {
    deploys_and_leaves_no_trace(&machine("local-sysv", Init::SysV));
}

#[test]
fn the_service_without_systemd_comes_and_goes_with_its_script() {
    let target = machine("script", Init::SysV);
    run(&target, "").went_well(HOSTS);
    let script = "/etc/init.d/regdeploy-registry";
    assert!(target.root(&format!("{script} status")).contains("is running"));
    assert_eq!(
        target.root("stat -c %U /proc/$(cat /run/regdeploy-registry/pid)"),
        "registry\n"
    );
    // Enabled: there when the machine starts.
    assert_eq!(target.root("ls /etc/rc2.d | grep -c regdeploy-registry"), "1\n");
    target.root(&format!("{script} stop"));
    assert_eq!(
        target.try_root(&format!("{script} status")).status.code(),
        Some(3)
    );
    run(&target, "").went_well(HOSTS).changed_something();
    assert!(target.root(&format!("{script} status")).contains("is running"));
}

#[test]
fn docker_without_systemd_is_looked_after_too() {
    let target = machine("docker-sysv", Init::SysV);
    let before = Listing::of(&target);
    target.root(
        "printf 'localhost\n' >>/root/site/inventories/local.ini && tail -3 /root/site/inventories/local.ini",
    );
    run(&target, "").went_well(HOSTS).changed_something();
    run(&target, "").went_well(HOSTS).changed_nothing();
    assert_eq!(
        target.root("readlink /var/lib/docker"),
        "/data/docker-registry/docker\n"
    );
    super::site::push_and_pull(&target, target.ip(), "sysv");
    run(&target, "--tags uninstall -e registry_remove_data=true").went_well(HOSTS);
    Listing::of(&target).equals(&before);
}
