//! The site deployed over SSH as a user with sudo, used by docker, switched to run without TLS, taken away.

use super::lab::Target;
use super::listing::Listing;
use super::site::{Site, pull, push_and_pull};

/// Settings that somebody made before there was a registry.
const DAEMON_JSON: &str =
    r#"{"log-opts": {"max-size": "9m"}, "insecure-registries": ["other.example.org:5000"]}"#;

/// Docker, an image and settings of its own, before anything is deployed.
fn with_docker(target: &Target) {
    target.root(&format!(
        "mkdir /etc/docker && echo '{DAEMON_JSON}' >/etc/docker/daemon.json
        DEBIAN_FRONTEND=noninteractive apt-get -qy install docker.io 2>&1 && docker version
        echo before >/tmp/before && tar -C /tmp -c before | docker import - before:1"
    ));
}

fn image(target: &Target, name: &str) -> String {
    target.root(&format!("docker image inspect -f '{{{{.Id}}}}' {name}"))
}

#[test]
fn two_hosts_use_the_registry_with_tls_and_without_and_get_back_what_was_there() {
    let site = Site::start("hub", "worker");
    let (hub, worker) = (&site.hub, &site.worker);
    with_docker(worker);
    let before = [Listing::of(hub), Listing::of(worker)];
    let kept_image = image(worker, "before:1");

    site.deploy(&[]);
    assert_eq!(
        worker.root("readlink /var/lib/docker"),
        "/data/docker-registry/docker\n"
    );
    assert_eq!(
        hub.root("readlink /var/lib/registry"),
        "/data/docker-registry/registry\n"
    );
    assert_eq!(image(worker, "before:1"), kept_image);
    for target in [hub, worker] {
        // 443 goes without saying, by address and by name.
        push_and_pull(target, hub.ip(), "tls");
        push_and_pull(target, &format!("{}:443", hub.ip()), "tls-port");
        assert!(!target.try_root("command -v python3").status.success());
    }
    let curl = format!(
        "curl -sS -o /dev/null -w '%{{http_code}} %{{ssl_verify_result}}' https://{}/v2/",
        hub.ip()
    );
    assert_eq!(worker.root(&curl), "200 0", "the system trusts the CA");
    assert_eq!(
        worker.root("stat -c %a /etc/docker/daemon.json; cat /etc/docker/daemon.json"),
        format!("644\n{DAEMON_JSON}\n"),
        "nothing to change with TLS"
    );

    site.deploy(&["--skip-tags", "with_cacerts"]);
    for target in [hub, worker] {
        push_and_pull(target, &format!("{}:5000", hub.ip()), "plain");
    }
    assert!(!worker.try_root(&curl).status.success(), "443 is closed");
    let settings: serde_json::Value =
        serde_json::from_str(&worker.root("cat /etc/docker/daemon.json")).unwrap();
    assert_eq!(settings["log-opts"]["max-size"], "9m");
    let insecure = settings["insecure-registries"].as_array().unwrap();
    assert_eq!(insecure[0], "other.example.org:5000", "{insecure:?}");
    assert!(
        insecure.contains(&format!("{}:5000", hub.ip()).into()),
        "{insecure:?}"
    );

    // And back: what was pushed without TLS is there with it.
    let pushed = worker.root(&format!(
        "docker tag before:1 {0}:5000/e2e/kept:1 && docker push {0}:5000/e2e/kept:1 | sed -n 's/.*digest: \\([^ ]*\\).*/\\1/p'
        docker rmi {0}:5000/e2e/kept:1 >/dev/null",
        hub.ip()
    ));
    let kept = format!("{}/e2e/kept:1", hub.ip());
    site.deploy(&[]);
    pull(worker, &kept, pushed.trim());
    worker.root(&format!("docker rmi {kept}"));

    let run = site.run(&["--tags", "uninstall"]);
    assert!(
        run.output
            .contains("the images that were pushed are kept in /data/docker-registry/registry"),
        "{run}"
    );
    site.run(&["--tags", "uninstall"]).changed_nothing();
    Listing::of(worker).equals(&before[1]);
    assert_eq!(image(worker, "before:1"), kept_image);
    let data = "/data/docker-registry";
    Listing::of(hub)
        .without(|name| name.starts_with(data))
        .equals(&before[0]);
    assert_eq!(
        hub.root(&format!("ls -A {data}; stat -c %U {data}/registry")),
        "registry\nroot\n"
    );

    // Another deployment serves them again.
    site.run(&[]).changed_something();
    pull(worker, &kept, pushed.trim());
    worker.root(&format!("docker rmi {kept}"));
    site.run(&["--tags", "uninstall", "-e", "registry_remove_data=true"]);
    Listing::of(worker).equals(&before[1]);
    // The folder was there before this deployment.
    Listing::of(hub).without(|name| name == data).equals(&before[0]);
    assert_eq!(hub.root(&format!("ls -A {data}")), "");
}

#[test]
fn proxies_are_set_where_they_are_defined_and_images_go_on_demand() {
    let site = Site::start("hub-proxy", "worker-proxy");
    let (hub, worker) = (&site.hub, &site.worker);
    let before = [Listing::of(hub), Listing::of(worker)];
    let folder = "/etc/systemd/system/docker.service.d";
    let environment = "systemctl show -p Environment docker";
    // What the running docker has, not only what is written.
    let docker_has = "tr '\\0' '\\n' </proc/$(cat /run/docker.pid)/environ | grep -i _proxy= | sort";

    site.deploy(&[]);
    assert!(!worker.try_root(&format!("ls {folder}")).status.success());
    assert_eq!(worker.root(environment), "Environment=\n");

    let proxies = [
        "-e",
        "docker_http_proxy=http://proxy.example.org:3128",
        "-e",
        "docker_https_proxy=http://secure.example.org:3129",
        "-e",
        "docker_no_proxy=.example.org",
    ];
    site.deploy(&proxies);
    for target in [hub, worker] {
        assert_eq!(
            target.root(&format!("cd {folder} && stat -c '%n %a %U:%G' *")),
            "http-proxy.conf 600 root:root\nhttps-proxy.conf 600 root:root\n"
        );
        let has = target.root(docker_has);
        let has: Vec<&str> = has.lines().collect();
        assert_eq!(has[0], "HTTPS_PROXY=http://secure.example.org:3129");
        assert_eq!(has[1], "HTTP_PROXY=http://proxy.example.org:3128");
        let exceptions: Vec<&str> = has[2]
            .strip_prefix("NO_PROXY=")
            .expect("exceptions")
            .split(',')
            .collect();
        for name in ["localhost", "127.0.0.1", ".example.org", hub.ip(), hub.name()] {
            assert!(exceptions.contains(&name), "{name}: {exceptions:?}");
        }
        // Past the proxy, which does not exist.
        push_and_pull(target, hub.ip(), "past-the-proxy");
    }

    // One that is no longer defined goes.
    site.deploy(&proxies[..2]);
    assert_eq!(worker.root(&format!("ls {folder}")), "http-proxy.conf\n");
    site.deploy(&[]);
    assert_eq!(worker.root(docker_has.replace("grep", "! grep").as_str()), "");

    site.deploy(&proxies);
    site.run(&["--tags", "uninstall", "-e", "registry_remove_data=true"]);
    Listing::of(worker).equals(&before[1]);
    Listing::of(hub).equals(&before[0]);
}
