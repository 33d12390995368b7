//! `docker_container`: one container, as described. After `community.docker.docker_container`.
//!
//! It is made anew only for a real difference, and the differences are in the result. Deliberately no
//! `default_host_ip`, `mounts`, `links` or device rates: they are refused as unknown arguments. `pull: always`
//! pulls before looking, in check mode not at all.

use serde_json::Value as Json;

use super::difference::{self, Difference};
use super::engine::Engine;
use super::wanted::Wanted;
use crate::modules::{Arg, Error, Module, Plan, Rule, Spec};
use crate::system::System;
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

pub struct DockerContainer;

/// What to do, in order.
pub struct Change {
    engine: Engine,
    name: String,
    steps: Vec<Step>,
    outcome: Outcome,
}

enum Step {
    Pull(String),
    Stop,
    Kill(String),
    Remove {
        volumes: bool,
    },
    /// The image's name and what to make of it.
    Create(String, Box<Wanted>),
    Start,
    Restart,
    /// In the foreground: wait, and tell what it said.
    Wait {
        cleanup: bool,
    },
}

impl Module for DockerContainer {
    type Args = Map;
    type Change = (Change, Option<i32>);

    const SPEC: Spec = Spec {
        name: "docker_container",
        summary: "Keep a docker container",
        args: &[
            Arg::str("name").required().doc("The container."),
            Arg::str("state")
                .choices(&["present", "started", "stopped", "absent"])
                .default("started")
                .doc("What it is to be."),
            Arg::str("image").doc("What it is made from."),
            Arg::raw("command").doc("Arguments for the entrypoint, a line or a list."),
            Arg::list("entrypoint").doc("Program that is run."),
            Arg::dict("env").doc("Environment."),
            Arg::dict("labels").doc("Labels."),
            Arg::list("published_ports")
                .aliases(&["ports"])
                .doc("[[address:]port:]port[/protocol]."),
            Arg::list("exposed_ports")
                .aliases(&["exposed", "expose"])
                .doc("Further ports, not published."),
            Arg::list("volumes").doc("source:target[:mode], or a path for an anonymous volume."),
            Arg::list("tmpfs").doc("path[:options]."),
            Arg::str("restart_policy")
                .choices(&["no", "on-failure", "always", "unless-stopped"])
                .doc("When the engine starts it again."),
            Arg::int("restart_retries").doc("How often, with on-failure."),
            Arg::str("network_mode").doc("bridge, host, none, container:NAME, or a network."),
            Arg::list("networks").doc("Networks to be in: dicts with name, aliases, ipv4_address."),
            Arg::str("user").doc("Who it runs as."),
            Arg::str("hostname").doc("Its host name."),
            Arg::str("domainname").doc("Its domain."),
            Arg::str("working_dir").doc("Folder it starts in."),
            Arg::bool("tty").doc("Give it a terminal."),
            Arg::bool("interactive").doc("Keep standard input open."),
            Arg::str("stop_signal").doc("How it is asked to end."),
            Arg::int("stop_timeout").doc("Seconds until it is killed."),
            Arg::bool("privileged").doc("All capabilities and devices."),
            Arg::bool("read_only").doc("Root file system read-only."),
            Arg::bool("auto_remove").doc("Remove it when it ends."),
            Arg::bool("init").doc("An init process in it."),
            Arg::str("memory").doc("Limit, as 512m."),
            Arg::str("memory_reservation").doc("Soft limit."),
            Arg::str("memory_swap").doc("Limit with swap."),
            Arg::str("shm_size").doc("Size of /dev/shm."),
            Arg::float("cpus").doc("Processors."),
            Arg::int("pids_limit").doc("Processes."),
            Arg::list("capabilities").doc("To add."),
            Arg::list("cap_drop").doc("To drop."),
            Arg::list("security_opts").doc("Security options."),
            Arg::list("groups").doc("Further groups."),
            Arg::list("dns_servers").doc("Name servers."),
            Arg::dict("etc_hosts").doc("Lines for /etc/hosts: name to address."),
            Arg::str("pid_mode").doc("Process namespace."),
            Arg::str("ipc_mode").doc("IPC namespace."),
            Arg::dict("sysctls").doc("Kernel settings."),
            Arg::list("ulimits").doc("name:soft[:hard]."),
            Arg::str("log_driver").doc("Where its output goes."),
            Arg::dict("log_options")
                .aliases(&["log_opt"])
                .doc("Options of the log driver."),
            Arg::dict("healthcheck").doc("test, interval, timeout, retries, start_period."),
            Arg::bool("restart").default("no").doc("Restart it if it runs."),
            Arg::bool("recreate")
                .default("no")
                .doc("Make it anew in any case."),
            Arg::str("pull")
                .choices(&[
                    "never", "missing", "always", "yes", "no", "True", "False", "true", "false",
                ])
                .default("missing")
                .doc("When the image is pulled."),
            Arg::bool("force_kill")
                .aliases(&["forcekill"])
                .default("no")
                .doc("Kill instead of stopping."),
            Arg::str("kill_signal").default("KILL").doc("What to kill with."),
            Arg::bool("detach")
                .default("yes")
                .doc("no waits for its end and returns its output."),
            Arg::bool("cleanup")
                .default("no")
                .doc("Remove it after it was waited for."),
            Arg::bool("keep_volumes")
                .default("yes")
                .doc("Keep anonymous volumes when removing it."),
            Arg::str("docker_host").doc("The engine's socket, unix://...; the usual one unless given."),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[Rule::If("state", "present", &["image"])],
    };

    fn check(args: Map, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
        let engine = Engine::connect(args.get("docker_host").and_then(Value::as_str), system)?;
        let wanted = Wanted::new(&args)?;
        let container = engine.container(text("name"))?;
        let image = match text("image") {
            "" => None,
            name => engine.image(name)?,
        };
        let (steps, differences) = plan(&args, wanted, container.as_ref(), image.as_ref())?;
        let mut outcome = Outcome::changed(!steps.is_empty());
        if !differences.is_empty() {
            outcome = outcome.with("differences", difference::describe(&differences));
            let side = |pick: fn(&Difference) -> &str| -> String {
                differences
                    .iter()
                    .flat_map(|difference| [&difference.name, ": ", pick(difference), "\n"])
                    .collect()
            };
            outcome.diff.push(Diff {
                before_header: text("name").to_owned(),
                after_header: text("name").to_owned(),
                before: side(|difference| &difference.found),
                after: side(|difference| &difference.wanted),
            });
        }
        if steps.is_empty() {
            return Ok(Plan::Same(match container {
                Some(container) => outcome.with("container", from_json(&container)),
                None => outcome,
            }));
        }
        let timeout = args.get("stop_timeout").and_then(Value::as_int);
        let change = Change {
            engine,
            name: text("name").to_owned(),
            steps,
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change: (change, timeout.and_then(|seconds| i32::try_from(seconds).ok())),
            predicted: outcome,
        })
    }

    fn apply((change, timeout): Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        let Change {
            engine,
            name,
            steps,
            mut outcome,
        } = change;
        let mut output = None;
        for step in steps {
            match step {
                Step::Pull(image) => engine.pull(&image)?,
                Step::Stop => engine.stop(&name, timeout)?,
                Step::Kill(signal) => engine.kill(&name, &signal)?,
                Step::Remove { volumes } => engine.remove(&name, volumes)?,
                Step::Create(image, wanted) => engine.create(&name, wanted.create_body(&image)?)?,
                Step::Start => engine.start(&name)?,
                Step::Restart => engine.restart(&name, timeout)?,
                Step::Wait { cleanup } => {
                    output = Some(engine.wait(&name)?);
                    if cleanup {
                        engine.remove(&name, true)?;
                    }
                }
            }
        }
        if let Some(mut container) = engine.container(&name)? {
            if let Some((_, text)) = &output {
                container["Output"] = text.as_str().into();
            }
            outcome = outcome.with("container", from_json(&container));
        }
        if let Some((status, text)) = output {
            outcome = outcome.with("status", status);
            if status != 0 {
                outcome.failed = true;
                outcome = outcome.with("msg", text);
            }
        }
        Ok(outcome)
    }
}

fn from_json(json: &Json) -> Value {
    Value::from_serialize(json).unwrap_or_default()
}

/// The steps to the wanted state, and what made them necessary.
fn plan(
    args: &Map,
    wanted: Wanted,
    container: Option<&Json>,
    image: Option<&Json>,
) -> Result<(Vec<Step>, Vec<Difference>), Error> {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| args.get(name).and_then(Value::as_bool).unwrap_or(false);
    let volumes = !flag("keep_volumes");
    let running = container.is_some_and(|container| container["State"]["Running"] == true);
    let halt = || {
        if flag("force_kill") {
            Step::Kill(text("kill_signal").to_owned())
        } else {
            Step::Stop
        }
    };
    let state = text("state");
    let mut steps = Vec::new();
    if state == "absent" {
        if container.is_some() {
            steps.extend(running.then(halt));
            steps.push(Step::Remove { volumes });
        }
        return Ok((steps, Vec::new()));
    }
    let name = text("image");
    if container.is_none() && name.is_empty() {
        return Err(Error::new(format!(
            "container {} does not exist, and without `image` it cannot be made",
            text("name")
        )));
    }
    let always = matches!(text("pull"), "always" | "yes" | "True" | "true");
    if always && !name.is_empty() {
        steps.push(Step::Pull(name.to_owned()));
    } else if image.is_none() && !name.is_empty() {
        if text("pull") == "never" {
            return Err(Error::new(format!(
                "Cannot find image with name {name}, and `pull: never` forbids to pull it"
            )));
        }
        steps.push(Step::Pull(name.to_owned()));
    }
    let mut differences =
        container.map_or_else(Vec::new, |container| difference::differences(&wanted, container));
    if let (Some(container), false) = (container, name.is_empty()) {
        let now = &container["Image"];
        let new = image.map(|image| &image["Id"]);
        if new != Some(now) {
            differences.push(Difference {
                name: "Image".to_owned(),
                wanted: name.to_owned(),
                found: container["Config"]["Image"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
    }
    let replace = container.is_some() && (!differences.is_empty() || flag("recreate"));
    if replace && name.is_empty() {
        // Only what it is made of is unknown; the rest is told by the task.
        return Err(Error::new(format!(
            "container {} has to be made anew and `image` is not given",
            text("name")
        )));
    }
    if replace {
        steps.extend(running.then(halt));
        steps.push(Step::Remove { volumes });
    }
    let fresh = container.is_none() || replace;
    if fresh {
        steps.push(Step::Create(name.to_owned(), Box::new(wanted)));
    }
    match state {
        "started" if fresh || !running => steps.push(Step::Start),
        "started" if flag("restart") => steps.push(Step::Restart),
        "stopped" if running && !fresh => steps.push(halt()),
        _ => {}
    }
    if matches!(steps.last(), Some(Step::Start)) && !flag("detach") {
        steps.push(Step::Wait {
            cleanup: flag("cleanup"),
        });
    }
    // An image that is as new as it was is no change by itself.
    if let [Step::Pull(_)] = steps.as_slice()
        && image.is_some()
    {
        steps.clear();
    }
    Ok((steps, differences))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(arguments: &str, container: Option<&Json>) -> String {
        let given: Map = serde_json::from_str(arguments).unwrap();
        let args = DockerContainer::SPEC.resolve(&given).unwrap();
        let image = json!({"Id": "sha256:1"});
        match plan(&args, Wanted::new(&args).unwrap(), container, Some(&image)) {
            Ok((steps, _)) => steps.iter().map(name).collect::<Vec<_>>().join(" "),
            Err(error) => error.message,
        }
    }

    fn name(step: &Step) -> &'static str {
        match step {
            Step::Pull(_) => "pull",
            Step::Stop => "stop",
            Step::Kill(_) => "kill",
            Step::Remove { .. } => "remove",
            Step::Create(..) => "create",
            Step::Start => "start",
            Step::Restart => "restart",
            Step::Wait { .. } => "wait",
        }
    }

    #[test]
    fn makes_replaces_and_leaves_alone() {
        let up = json!({"Image": "sha256:1", "State": {"Running": true}, "Config": {"Cmd": ["a"]}});
        let basic = r#"{"name":"c","image":"i","command":"a"}"#;
        assert_eq!(steps(basic, None), "create start");
        assert_eq!(steps(basic, Some(&up)), "");
        assert_eq!(
            steps(r#"{"name":"c","image":"i","command":"b"}"#, Some(&up)),
            "stop remove create start"
        );
        assert_eq!(
            steps(r#"{"name":"c","image":"i","restart":true}"#, Some(&up)),
            "restart"
        );
        assert_eq!(
            steps(r#"{"name":"c","state":"absent","force_kill":true}"#, Some(&up)),
            "kill remove"
        );
        assert_eq!(steps(r#"{"name":"c","state":"absent"}"#, None), "");
        assert_eq!(steps(r#"{"name":"c","state":"stopped"}"#, Some(&up)), "stop");
        assert_eq!(
            steps(r#"{"name":"c","image":"i","detach":false}"#, None),
            "create start wait"
        );
        assert!(steps(r#"{"name":"c"}"#, None).contains("without `image`"));
        let newer = json!({"Image": "sha256:0", "State": {"Running": false}, "Config": {}});
        assert_eq!(
            steps(r#"{"name":"c","image":"i"}"#, Some(&newer)),
            "remove create start"
        );
    }
}
