//! The table of `docker_container`'s arguments, results and examples.

use crate::modules::docker::engine::connection::with_engine_args;
use crate::modules::{Arg, Return, Rule, Spec};

const DEVICE: Arg = Arg::str("path").required().doc("the device, on the host");

const BYTES: &[Arg] = &[
    DEVICE,
    Arg::str("rate").required().doc("bytes in a second, such as 10M"),
];

const OPERATIONS: &[Arg] = &[DEVICE, Arg::int("rate").required().doc("operations in a second")];

#[rustfmt::skip]
const REQUESTS: &[Arg] = &[
    Arg::list("capabilities").doc("lists of capabilities: the device has all of one of them"),
    Arg::int("count").doc("how many; -1 for all"),
    Arg::strings("device_ids").doc("these, instead of `count`"),
    Arg::str("driver").doc("the driver that has to know them"),
    Arg::dict("options").doc("options of the driver"),
];

#[rustfmt::skip]
const HEALTHCHECK: &[Arg] = &[
    Arg::raw("test").doc("the command: a line for a shell, or a list that begins with CMD, CMD-SHELL or NONE"),
    Arg::bool("test_cli_compatible").default("no").doc("without `test`, the other options are for the image's own check"),
    Arg::str("interval").doc("time between checks, such as 1m30s"),
    Arg::str("timeout").doc("how long one may take"),
    Arg::int("retries").doc("how many may fail"),
    Arg::str("start_period").doc("time to start, in which failures do not count"),
    Arg::str("start_interval").doc("time between checks in that time"),
];

#[rustfmt::skip]
const MOUNT: &[Arg] = &[
    Arg::str("target").required().doc("where it is in the container"),
    Arg::str("source").doc("a path of the host, or a volume"),
    Arg::str("type").choices(&["bind", "cluster", "image", "npipe", "tmpfs", "volume"]).default("volume")
        .doc("what is mounted"),
    Arg::bool("read_only").doc("nothing can be written to it"),
    Arg::str("consistency").choices(&["cached", "consistent", "default", "delegated"]).doc("of no effect on Linux"),
    Arg::str("propagation").choices(&["private", "rprivate", "shared", "rshared", "slave", "rslave"])
        .doc("for bind: whether mounts within it are seen on the other side"),
    Arg::bool("create_mountpoint").doc("for bind: make a source that is missing"),
    Arg::bool("non_recursive").doc("for bind: without what is mounted within it"),
    Arg::bool("read_only_non_recursive").doc("for bind: read_only leaves out what is mounted within it"),
    Arg::bool("read_only_force_recursive").doc("for bind: fail unless what is mounted within it can be read-only, too"),
    Arg::bool("no_copy").doc("for volume: a new one gets nothing of what the image has there"),
    Arg::dict("labels").doc("for volume: labels of a new one"),
    Arg::str("subpath").doc("for volume: a path in it"),
    Arg::str("volume_driver").doc("for volume: the driver of a new one"),
    Arg::dict("volume_options").doc("for volume: options of that driver"),
    Arg::str("tmpfs_size").doc("for tmpfs: such as 64m"),
    Arg::str("tmpfs_mode").doc("for tmpfs: permission bits, octal"),
];

const NETWORK: &[Arg] = &[
    Arg::str("name").required().doc("the network"),
    Arg::strings("aliases").doc("further names in it"),
    Arg::str("ipv4_address").doc("its address"),
    Arg::str("ipv6_address").doc("its address"),
    Arg::strings("links").doc("container[:alias]"),
    Arg::str("mac_address").doc("its MAC address there"),
];

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
        Arg::list("device_read_bps").options(BYTES).doc("how fast it may read from devices"),
        Arg::list("device_read_iops").options(OPERATIONS).doc("how often it may read from devices"),
        Arg::list("device_requests").options(REQUESTS).doc("GPUs and their like"),
        Arg::list("device_write_bps").options(BYTES).doc("how fast it may write to devices"),
        Arg::list("device_write_iops").options(OPERATIONS).doc("how often it may write to devices"),
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
        Arg::dict("healthcheck").options(HEALTHCHECK).doc("how its health is found out"),
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
        Arg::list("mounts").options(MOUNT).doc("what is mounted in it"),
        Arg::str("network_mode").doc("bridge, host, none, container:NAME, or a network"),
        Arg::list("networks").options(NETWORK).doc("networks that it is in"),
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
