//! A deployment that is killed between any two roles, and run again.

use super::controller::Controller;
use super::lab::Target;
use super::listing::Listing;

/// In their order; every one has a task that begins with its name.
const ROLES: [&str; 7] = [
    "site",
    "packages",
    "docker_storage",
    "proxy",
    "cacerts",
    "registry",
    "verify",
];

/// Random, or with the host's address in it, on every machine anew.
const OWN: &[&str] = &[
    "/etc/docker/key.json",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/ssh/",
    "/etc/systemd/system/docker.service.d/",
    "/opt/docker/certs/registry.crt",
    "/opt/docker/certs/registry.key",
];

const BLOBS: &str = "/data/docker-registry/registry/docker/registry/v2/blobs/sha256/";
const PROXY: &str = "docker_http_proxy=http://proxy.example.org:3128";

/// A machine under its one name, with all that the site has.
fn machine() -> Target {
    Target::start("interrupted")
}

fn inventory(controller: &Controller, target: &Target) -> std::path::PathBuf {
    controller.write(
        "one.ini",
        &format!(
            "[registry]\nhost ansible_host={}\n[docker_hosts]\nhost\n[all:vars]\nansible_user=deploy\n\
             ansible_host_key_checking=false\n",
            target.ip()
        ),
    )
}

fn state(target: &Target) -> Listing {
    // What `verify` pushed is random, and its blobs wait for garbage collection.
    Listing::of(target)
        .without(|name| name.starts_with(BLOBS))
        .replacing(target.ip(), "ADDRESS")
        .without_digests(OWN)
}

#[test]
fn a_deployment_killed_at_any_role_boundary_is_made_up_for_by_the_next() {
    let controller = Controller::new(&[]);
    let arguments = ["site.yml", "-e", PROXY];
    let expected = {
        let target = machine();
        let run = controller.run(&inventory(&controller, &target), &arguments);
        run.went_well(&["host"]).changed_something();
        state(&target)
    };
    for next in &ROLES[1..] {
        let target = machine();
        let inventory = inventory(&controller, &target);
        let mut run = controller.start(&inventory, &arguments);
        let begin = format!("TASK [{next} : ");
        loop {
            let line = run.line().unwrap_or_else(|| panic!("no task of {next}"));
            if line.starts_with(&begin) {
                break;
            }
        }
        run.kill();
        let killed = run.end();
        assert!(
            !killed.output.contains("PLAY RECAP"),
            "{next}: it was too late\n{}",
            killed.output
        );

        let run = controller.run(&inventory, &arguments);
        // Before `verify` there may be nothing left to change.
        run.went_well(&["host"]);
        let differences = state(&target).since(&expected);
        assert!(
            differences.is_empty(),
            "killed before {next}:\n{}",
            differences.join("\n")
        );
        controller
            .run(&inventory, &arguments)
            .went_well(&["host"])
            .changed_nothing();
    }
}
