//! The site of two hosts on which `playbooks/site.yml` is tried.

use super::controller::{Controller, Run};
use super::lab::Target;

pub struct Site {
    /// Serves the registry and has docker.
    pub hub: Target,
    /// Has docker.
    pub worker: Target,
    pub controller: Controller,
    inventory: std::path::PathBuf,
}

impl Site {
    /// Fresh machines, called by these names.
    pub fn start(hub: &str, worker: &str) -> Self {
        let (hub, worker) = (Target::start(hub), Target::start(worker));
        let controller = Controller::new(&[&hub, &worker]);
        let inventory = controller.write(
            "site.ini",
            &format!(
                "[registry]\n{hub} ansible_host={}\n[docker_hosts]\n{hub}\n{worker} ansible_host={}\n[all:vars]\n\
                 ansible_user=deploy\n",
                hub.ip(),
                worker.ip(),
                hub = hub.name(),
                worker = worker.name(),
            ),
        );
        Self {
            hub,
            worker,
            controller,
            inventory,
        }
    }

    /// Runs the site's playbook, which goes well on both hosts.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut all = vec!["site.yml"];
        all.extend(arguments);
        let run = self.controller.run(&self.inventory, &all);
        let mut hosts = [self.hub.name(), self.worker.name()];
        hosts.sort_unstable();
        run.went_well(&hosts);
        run
    }

    /// Deploys, and again, which changes nothing.
    #[track_caller]
    pub fn deploy(&self, arguments: &[&str]) {
        self.run(arguments).changed_something();
        self.run(arguments).changed_nothing();
    }
}

/// Has docker in `target` make an image, push it to a registry, forget it and pull it again.
#[track_caller]
pub fn push_and_pull(target: &Target, registry: &str, tag: &str) {
    let image = format!("{registry}/e2e/probe:{tag}");
    let made = target.root(&format!(
        "echo {tag} >/tmp/{tag} && tar -C /tmp -c {tag} | docker import - {image}"
    ));
    let pushed = digest(&target.root(&format!("docker push {image}")), "digest: ");
    target.root(&format!("docker rmi {image}"));
    pull(target, &image, &pushed);
    assert_eq!(
        target.root(&format!("docker image inspect -f '{{{{.Id}}}}' {image}")),
        made
    );
    target.root(&format!("docker rmi {image}"));
}

/// Pulls an image, which must have this digest.
#[track_caller]
pub fn pull(target: &Target, image: &str, expected: &str) {
    assert_eq!(
        digest(&target.root(&format!("docker pull {image}")), "Digest: "),
        expected
    );
}

/// What stands behind a word in docker's output.
#[track_caller]
fn digest(output: &str, word: &str) -> String {
    let (_, rest) = output.split_once(word).expect(output);
    let digest = rest.split_whitespace().next().expect(output);
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{output}");
    digest.to_owned()
}
