//! Clients behind a mirror, as people set them up: podman and buildah by `registries.conf`, containerd by `hosts.toml`; through
//! plain HTTP and TLS.
//!
//! They are told to pull `docker.io/library/made`. What stands for Docker Hub is Debian's `docker-registry`; the real one has
//! no such image. Docker's engine is in `lab`.

use super::clients::{Distribution, layout, skopeo, with_tls_and};
use super::engines::{Containerd, Tool, run};
use super::server::Server;
use super::upstream::Upstream;

/// What clients ask for.
const IMAGE: &str = "docker.io/library/made:v1";

/// A registry with `library/made:v1`, and the proxy before it that takes down what it is asked.
pub struct Hub {
    pub upstream: Upstream,
    /// Of the image's manifest.
    pub digest: String,
    _registry: Distribution,
    _folder: tempfile::TempDir,
}

impl Hub {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Distribution::start(&folder.path().join("data"));
        let image = folder.path().join("image");
        let digest = layout(&image);
        skopeo(&[
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &format!("oci:{}:latest", image.display()),
            &format!("docker://{}/library/made:v1", registry.address),
        ]);
        Self {
            upstream: Upstream::before(registry.address),
            digest,
            _registry: registry,
            _folder: folder,
        }
    }

    /// What was fetched since the last time: `manifests` and `blobs`, sorted.
    pub fn fetched(&self) -> Vec<String> {
        let seen = self.upstream.take().into_iter();
        let gets = seen.filter(|seen| seen.method == "GET");
        let mut kinds: Vec<String> = gets
            .map(|seen| seen.target.rsplit('/').nth(1).unwrap_or("").to_owned())
            .collect();
        kinds.sort();
        kinds
    }
}

/// Mirrors of the hub that speak plain HTTP and TLS; the latter with the folder that clients trust it by.
pub fn mirrors(section: &str) -> [(Server, Option<tempfile::TempDir>); 2] {
    let (secure, trust) = with_tls_and(section);
    [(Server::with(section), None), (secure, Some(trust))]
}

#[test]
fn podman_buildah_and_containerd_pull_through_a_mirror_that_fetches_once() {
    let hub = Hub::start();
    let section = format!(
        "proxy:\n  upstreams:\n    hub:\n      remoteurl: http://{}\n      hosts: [docker.io]\n",
        hub.upstream.address
    );
    let containerd = Containerd::start();
    for (mirror, trust) in mirrors(&section) {
        let address = mirror.address;
        let registries = format!(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n\
             [[registry.mirror]]\nlocation = \"{address}/hub\"\ninsecure = {}\n",
            trust.is_none()
        );
        let flags = trust.as_ref().map_or(Vec::new(), |trust| {
            vec!["--cert-dir".to_owned(), trust.path().display().to_string()]
        });
        let [podman, buildah] = ["podman", "buildah"].map(|program| {
            let tool = Tool::new(program);
            tool.registries(&registries);
            tool.run(&["pull", "-q"], &flags, &[IMAGE]);
            tool
        });
        let inspect = ["image", "inspect", "--format", "{{.Digest}}", IMAGE];
        assert_eq!(podman.run(&inspect, &[], &[]), hub.digest);
        let inspect = [
            "inspect",
            "--type",
            "image",
            "--format",
            "{{.FromImageDigest}}",
            IMAGE,
        ];
        assert_eq!(buildah.run(&inspect, &[], &[]), hub.digest);
        // By both together.
        assert_eq!(hub.fetched(), ["blobs", "blobs", "manifests"]);

        let hosts = tempfile::tempdir().unwrap();
        let default = hosts.path().join("_default");
        std::fs::create_dir(&default).unwrap();
        let (scheme, authority) = match &trust {
            None => ("http", String::new()),
            Some(trust) => ("https", format!("  ca = \"{}/ca.crt\"\n", trust.path().display())),
        };
        let toml =
            format!("[host.\"{scheme}://{address}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{authority}");
        std::fs::write(default.join("hosts.toml"), toml).unwrap();
        let pull = ["images", "pull", "--snapshotter", "native", "--hosts-dir"];
        run(containerd.command(&pull).arg(hosts.path()).arg(IMAGE));
        let listed = run(&mut containerd.command(&["images", "ls"]));
        assert!(listed.contains(&hub.digest), "{listed}");
        run(&mut containerd.command(&["images", "rm", "--sync", IMAGE]));
        // It names the host it wants, and finds what was fetched under the mirror's prefix.
        assert_eq!(hub.fetched(), [""; 0]);
        let log = std::fs::read_to_string(mirror.folder.path().join("access.log")).unwrap();
        let by_host = |line: &&str| line.contains("?ns=docker.io") && line.contains("status=200");
        assert!(log.lines().filter(by_host).count() >= 3, "{log}");
    }
}
