//! The table of `docker_container`'s arguments, results and examples.

use crate::modules::docker::engine::connection::with_engine_args;
use crate::modules::{Arg, Return, Rule, Spec};

#[rustfmt::skip]
pub const SPEC: Spec = Spec {
    name: "docker_container",
    summary: "Keep a docker container",
    args: with_engine_args![
        Arg::str("name").required().doc("name of the container, or the id of one that is there"),
        Arg::str("state").choices(&["absent", "present", "healthy", "stopped", "started"]).default("started")
            .doc("`present` makes it and does not start it; `healthy` starts it and waits for its health check"),
        Arg::str("image").doc("name or id of the image; needed where it has to be made"),
        Arg::bool("auto_remove").doc("the engine removes it when it ends"),
        Arg::int("blkio_weight").doc("share of block device time, 10 to 1000"),
        Arg::strings("cap_drop").doc("capabilities to take away"),
        Arg::strings("capabilities").doc("capabilities to add"),
        Arg::str("cgroup_parent").doc("cgroup that it is in"),
        Arg::str("cgroupns_mode").choices(&["host", "private"]).doc("cgroup namespace"),
        Arg::bool("cleanup").default("no").doc("with `detach: false`: remove it when it has ended"),
        Arg::raw("command").doc("words for the entrypoint: a line, split as a shell would, or a list"),
        Arg::str("command_handling").choices(&["correct"]).default("correct").doc("taken without effect"),
        Arg::dict("comparisons")
            .doc("how arguments are compared with what is there: strict, ignore or allow_more_present; `*` for all"),
        Arg::str("container_default_behavior").choices(&["compatibility", "no_defaults"]).default("no_defaults")
            .doc("`compatibility` compares some options even if they are not given"),
        Arg::int("cpu_period").doc("microseconds of a scheduler period"),
        Arg::int("cpu_quota").doc("microseconds of processor time in a period"),
        Arg::int("cpu_shares").doc("share of processor time"),
        Arg::float("cpus").doc("how many processors it may use"),
        Arg::str("cpuset_cpus").doc("which processors, as 0-2,4"),
        Arg::str("cpuset_mems").doc("which memory nodes"),
        Arg::str("default_host_ip").doc("address for published ports that name none; 0.0.0.0 unless given, empty for all"),
        Arg::bool("detach").doc("`false` waits for its end, returns its output, and fails as it did"),
        Arg::strings("device_cgroup_rules").doc("rules for the devices cgroup"),
        Arg::list("device_read_bps").doc("dicts with path and rate, such as 10M"),
        Arg::list("device_read_iops").doc("dicts with path and rate"),
        Arg::list("device_requests").doc("dicts with capabilities, count, device_ids, driver, options: GPUs"),
        Arg::list("device_write_bps").doc("dicts with path and rate, such as 10M"),
        Arg::list("device_write_iops").doc("dicts with path and rate"),
        Arg::strings("devices").doc("host path[:container path[:permissions]]"),
        Arg::strings("dns_opts").doc("options of the resolver"),
        Arg::strings("dns_search_domains").doc("search domains"),
        Arg::strings("dns_servers").doc("name servers"),
        Arg::str("domainname").doc("its domain"),
        Arg::list("entrypoint").doc("the program that is run, with its first arguments"),
        Arg::dict("env").doc("environment; every value has to be a text: quote numbers and truths"),
        Arg::path("env_file").doc("file on the target with NAME=VALUE lines; `env` goes over it"),
        Arg::dict("etc_hosts").doc("further hosts: name to address or host-gateway"),
        Arg::strings("exposed_ports").aliases(&["exposed", "expose"]).doc("port[-port][/protocol], not published"),
        Arg::bool("force_kill").aliases(&["forcekill"]).default("no").doc("kill instead of stopping"),
        Arg::strings("groups").doc("further groups of its processes"),
        Arg::dict("healthcheck").doc("test, test_cli_compatible, interval, timeout, retries, start_period, start_interval"),
        Arg::float("healthy_wait_timeout").default("300").doc("seconds to wait for its health; 0 for ever"),
        Arg::str("hostname").doc("its host name"),
        Arg::bool("ignore_image").doc("older spelling of `comparisons: {image: ignore}`"),
        Arg::str("image_comparison").choices(&["desired-image", "current-image"]).default("desired-image")
            .doc("whose environment, labels and ports count as wanted, too"),
        Arg::str("image_label_mismatch").choices(&["ignore"]).default("ignore").doc("taken without effect"),
        Arg::str("image_name_mismatch").choices(&["recreate", "ignore"]).default("recreate")
            .doc("what to do if it was made from the same image by another name"),
        Arg::bool("init").doc("an init process in it"),
        Arg::bool("interactive").doc("keep standard input open"),
        Arg::str("ipc_mode").doc("IPC namespace: host, container:NAME..."),
        Arg::bool("keep_volumes").default("yes").doc("keep its anonymous volumes when it is removed"),
        Arg::str("kill_signal").doc("what to kill with; KILL unless given"),
        Arg::dict("labels").doc("labels; every value has to be a text"),
        Arg::strings("links").doc("container[:alias]"),
        Arg::str("log_driver").doc("where its output goes"),
        Arg::dict("log_options").aliases(&["log_opt"]).doc("options of the log driver"),
        Arg::str("mac_address").doc("its MAC address"),
        Arg::str("memory").doc("limit, such as 512M"),
        Arg::str("memory_reservation").doc("soft limit"),
        Arg::str("memory_swap").doc("limit with swap; `unlimited`"),
        Arg::int("memory_swappiness").doc("0 to 100"),
        Arg::list("mounts").doc("dicts with type, source, target, read_only, propagation, volume_driver, tmpfs_size..."),
        Arg::str("network_mode").doc("bridge, host, none, container:NAME, or a network"),
        Arg::list("networks").doc("dicts with name, aliases, ipv4_address, ipv6_address, links, mac_address"),
        Arg::bool("networks_cli_compatible").default("yes")
            .doc("as with `docker run --network`, `networks` take the place of the usual one"),
        Arg::bool("oom_killer").doc("`true` switches the out-of-memory killer off for it"),
        Arg::int("oom_score_adj").doc("how readily it is killed"),
        Arg::bool("output_logs").doc("taken without effect: the output is in the result"),
        Arg::bool("paused").doc("whether its processes are paused"),
        Arg::str("pid_mode").doc("process namespace: host, container:NAME"),
        Arg::int("pids_limit").doc("processes; -1 for no limit"),
        Arg::str("platform").doc("os[/arch[/variant]] of the image; not compared"),
        Arg::bool("privileged").doc("all capabilities and devices"),
        Arg::bool("publish_all_ports").doc("publish all exposed ports"),
        Arg::strings("published_ports").aliases(&["ports"]).doc("[[address:]port:]port[/protocol], and ranges"),
        Arg::str("pull").choices(&["never", "missing", "always", "yes", "no", "True", "False", "true", "false"])
            .default("missing").doc("when the image is pulled"),
        Arg::str("pull_check_mode_behavior").choices(&["image_not_present", "always"]).default("image_not_present")
            .doc("with `pull: always`, whether a check predicts that the image is new"),
        Arg::bool("purge_networks").doc("older spelling of `comparisons: {networks: strict}`"),
        Arg::bool("read_only").doc("root file system read-only"),
        Arg::bool("recreate").default("no").doc("make it anew in any case"),
        Arg::float("removal_wait_timeout").doc("seconds to wait until it is gone; a minute unless given"),
        Arg::bool("restart").default("no").doc("restart it if it runs"),
        Arg::str("restart_policy").choices(&["no", "on-failure", "always", "unless-stopped"])
            .doc("when the engine starts it again; quote `no`"),
        Arg::int("restart_retries").doc("how often, with on-failure"),
        Arg::str("runtime").doc("runtime, such as runc"),
        Arg::strings("security_opts").doc("security options, such as no-new-privileges"),
        Arg::str("shm_size").doc("size of /dev/shm"),
        Arg::str("stop_signal").doc("how it is asked to end"),
        Arg::int("stop_timeout").doc("seconds until it is killed"),
        Arg::dict("storage_opts").doc("options of the storage driver"),
        Arg::dict("sysctls").doc("kernel settings"),
        Arg::strings("tmpfs").doc("path[:options]"),
        Arg::bool("tty").doc("give it a terminal"),
        Arg::strings("ulimits").doc("name:soft[:hard]"),
        Arg::str("user").doc("who it runs as: user[:group]"),
        Arg::str("userns_mode").doc("user namespace: host"),
        Arg::str("uts").doc("UTS namespace: host"),
        Arg::str("volume_driver").doc("driver of its volumes"),
        Arg::list("volumes").doc("source:target[:mode], or a path for an anonymous volume"),
        Arg::strings("volumes_from").doc("containers whose volumes it has"),
        Arg::str("working_dir").doc("folder it starts in"),
    ],
    returns: &[
        Return::new("container", "dict", "what the engine tells of it (`docker inspect`); `Output` is what it said")
            .when("it is there, not in check mode"),
        Return::new("differences", "list of dict", "for each argument that differs: `parameter` and `container`")
            .when("a container that is there differs"),
        Return::new("status", "int", "its exit status").when("detach is false and it was started"),
    ],
    example: "\
- community.docker.docker_container:
    name: web
    image: registry.example.org/web:1.4
    published_ports: [\"8080:80\"]
    env: {TZ: \"UTC\"}
    volumes: [\"/srv/web:/usr/share/web:ro\"]
    restart_policy: unless-stopped

- community.docker.docker_container:
    name: web
    state: absent
",
    free_form: None,
    rules: &[Rule::If("state", "present", &["image"])],
};
