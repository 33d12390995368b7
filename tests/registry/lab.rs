//! Docker's engine, which `tests/lab/up` has started: push, pull, lists for several platforms, over TLS and without.
//!
//! The engine takes a registry on a loopback address for what it is, whoever has signed its certificate.

mod access;
mod mirror;

use std::process::Command;

use super::engines::{Door, doors, run};

const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

struct Docker {
    /// Log-ins are kept here, and not where the machine's user has his.
    config: tempfile::TempDir,
}

impl Docker {
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        run(Command::new("docker")
            .arg("--config")
            .arg(self.config.path())
            .args(arguments))
    }

    /// An image with one file, under a name.
    fn image(&self, name: &str, content: &str) {
        let tar = self.config.path().join("layer.tar");
        let mut archive = tar::Builder::new(std::fs::File::create(&tar).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, "file", content.as_bytes())
            .unwrap();
        archive.finish().unwrap();
        self.run(&["import", &tar.display().to_string(), name]);
    }

    /// The digest that the engine knows an image of a repository by.
    fn digest(&self, name: &str) -> String {
        let digests = self.run(&[
            "image",
            "inspect",
            "--format",
            "{{join .RepoDigests \" \"}}",
            name,
        ]);
        let repository = name.rsplit_once(':').unwrap().0;
        let of_this = digests
            .split(' ')
            .find_map(|known| known.strip_prefix(&format!("{repository}@")));
        of_this.unwrap_or_else(|| panic!("{digests}")).to_owned()
    }
}

fn round_trip(door: &Door) {
    let docker = Docker {
        config: tempfile::tempdir().unwrap(),
    };
    if let Some((user, password)) = door.login.and_then(|login| login.split_once(':')) {
        docker.run(&[
            "login",
            "-u",
            user,
            "-p",
            password,
            &door.server.address.to_string(),
        ]);
    }
    let (one, two, list) = (
        door.name("by/docker:v1"),
        door.name("by/second:v1"),
        door.name("by/list:v1"),
    );
    docker.image(&one, "one");
    docker.image(&two, "two");
    docker.run(&["push", "-q", &one]);
    docker.run(&["push", "-q", &two]);
    let digest = docker.digest(&one);
    assert_eq!(door.digest("by/docker", "v1"), digest);

    // Another repository: the engine mounts the layer.
    let mounted = door.name("by/mounted:v1");
    docker.run(&["tag", &one, &mounted]);
    docker.run(&["push", "-q", &mounted]);
    assert_eq!(door.digest("by/mounted", "v1"), digest);
    let log = std::fs::read_to_string(door.server.folder.path().join("access.log")).unwrap();
    assert!(
        log.lines()
            .any(|line| line.contains("mount=") && line.contains("status=201")),
        "{log}"
    );

    // Over TLS the command itself, not the engine, would have to trust the certificate.
    let with_list = door.trust.is_none();
    if with_list {
        docker.run(&["manifest", "create", "--insecure", &list, &one, &two]);
        docker.run(&["manifest", "annotate", "--arch", "arm64", &list, &two]);
        let digest_of_list = docker.run(&["manifest", "push", "--insecure", "--purge", &list]);
        let digest_of_list = digest_of_list.lines().last().unwrap();
        assert_eq!(door.digest("by/list", "v1"), digest_of_list);
        let shown = docker.run(&["manifest", "inspect", "--insecure", &list]);
        assert!(shown.contains(LIST) && shown.contains(&digest), "{shown}");
    }

    docker.run(&["rmi", &one, &two, &mounted]);
    let by_digest = format!("{}@{digest}", door.name("by/docker"));
    let mut names = vec![&one, &mounted, &by_digest];
    if with_list {
        names.push(&list);
    }
    for name in &names {
        docker.run(&["pull", "-q", name]);
    }
    assert_eq!(docker.digest(&mounted), digest);
    docker.run(&["rmi", &one, &mounted]);
    if with_list {
        docker.run(&["rmi", &list]);
    }
}

#[test]
fn docker() {
    for door in doors() {
        round_trip(&door);
    }
}
