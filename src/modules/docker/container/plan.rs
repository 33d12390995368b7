//! The steps from the container that is there to the one that is wanted. Pure: the engine's JSON in, steps out.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::difference::{Comparison, Comparisons, differences};
use super::networks;
use super::options::Kind;
use super::wanted::{Attachment, Wanted, given};
use crate::modules::Error;
use crate::modules::docker::difference::Difference;
use crate::value::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Pull(String),
    Stop,
    Kill(String),
    Remove {
        volumes: bool,
    },
    /// The engine's request.
    Create(Json),
    /// Limits, as the engine takes them.
    Update(Json),
    Connect(Attachment),
    Disconnect(String),
    Start,
    Restart,
    Pause(bool),
    /// In the foreground: wait, and tell what it said.
    Wait {
        cleanup: bool,
    },
    /// Until its health check says so, or that long.
    Healthy(Option<Duration>),
}

/// What is known of the image that is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Image<'a> {
    /// The task names none.
    Unnamed,
    Missing,
    /// An earlier task of this check would have made it.
    Foreseen,
    Found(&'a Json),
}

#[derive(Debug, Default)]
pub struct Planned {
    pub steps: Vec<Step>,
    /// What the container would be made anew or updated for.
    pub differences: Vec<Difference>,
    /// Whether it is there, runs, is paused: for the diff alone.
    pub states: Vec<Difference>,
}

impl Planned {
    /// Whether the steps change anything: to wait for its health does not.
    pub fn changes(&self) -> bool {
        !self.steps.iter().all(|step| matches!(step, Step::Healthy(_)))
    }

    fn state(&mut self, name: &str, wanted: impl Into<Json>, found: impl Into<Json>) {
        self.states.push(Difference::new(name, wanted, found));
    }
}

/// `own` is the image that the container was made from, `image` the one that the task names.
pub fn plan(
    args: &Map,
    wanted: &Wanted,
    container: Option<&Json>,
    image: Image<'_>,
    own: Option<&Json>,
) -> Result<Planned, Error> {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| args.get(name).is_some_and(Value::is_true);
    let volumes = !flag("keep_volumes");
    let state = |name: &str| container.is_some_and(|container| container["State"][name] == true);
    let running = state("Running");
    let halt = || {
        if flag("force_kill") {
            let signal = given(args, "kill_signal").and_then(Value::as_str);
            Step::Kill(signal.unwrap_or("KILL").to_owned())
        } else {
            Step::Stop
        }
    };
    let mut planned = Planned::default();
    if text("state") == "absent" {
        if container.is_some() {
            if running {
                planned.steps.push(halt());
                planned.state("running", false, true);
            }
            planned.steps.push(Step::Remove { volumes });
            planned.state("exists", false, true);
        }
        return Ok(planned);
    }
    let comparisons = Comparisons::new(args)?;
    let name = text("image");
    if matches!(image, Image::Missing) {
        if text("pull") == "never" {
            return Err(Error::new(format!(
                "Cannot find image with name {name}, and pull=never"
            )));
        }
        if name.starts_with("sha256:") {
            return Err(Error::new(format!("Cannot find image with ID {name}")));
        }
        planned.steps.push(Step::Pull(name.to_owned()));
    }
    let compared = match (text("image_comparison"), image) {
        ("current-image", _) | (_, Image::Unnamed) => own,
        (_, Image::Found(image)) => Some(image),
        _ => None,
    };
    let mut fresh = container.is_none();
    if let Some(container) = container {
        let mut different = differences(wanted, container, compared, &comparisons);
        if comparisons.of("image", Kind::Value) == Comparison::Strict {
            different.extend(other_image(args, container, image));
        }
        fresh = flag("recreate") || different.iter().any(|difference| !difference.limit);
        planned.differences = different;
        if fresh {
            if running {
                planned.steps.push(halt());
            }
            planned.steps.push(Step::Remove { volumes });
        } else if !planned.differences.is_empty() {
            planned.steps.push(Step::Update(limits(wanted, container)));
        }
    } else {
        planned.state("exists", true, false);
    }
    if fresh {
        let found = container.and_then(|container| container["Image"].as_str());
        let from = Some(name).filter(|name| !name.is_empty()).or(found);
        let from = from.ok_or_else(|| Error::new("Cannot create container when image is not specified!"))?;
        planned.steps.push(Step::Create(wanted.create_body(from)));
        planned.steps.extend(networks::steps_of_new(wanted, &comparisons));
    } else if let Some(container) = container {
        let (steps, differences) = networks::steps(wanted, container, &comparisons);
        planned.steps.extend(steps);
        planned.differences.extend(differences);
    }
    run(
        args,
        &mut planned,
        (!fresh && running, !fresh && state("Paused")),
        halt,
    );
    Ok(planned)
}

/// The engine refuses more memory than the limit with swap that it has set by itself: that grows along, to what a new
/// container would have.
fn limits(wanted: &Wanted, container: &Json) -> Json {
    let mut limits = wanted.limits();
    let swap = container["HostConfig"]["MemorySwap"].as_i64().unwrap_or(0);
    if let Some(memory) = limits["Memory"].as_i64()
        && limits["MemorySwap"].is_null()
        && swap != -1
        && memory > swap
    {
        limits["MemorySwap"] = memory.saturating_mul(2).into();
    }
    limits
}

/// To the wanted state of a container that is as it should be.
fn run(args: &Map, planned: &mut Planned, (running, paused): (bool, bool), halt: impl Fn() -> Step) {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| args.get(name).is_some_and(Value::is_true);
    let up = matches!(text("state"), "started" | "healthy");
    if up && !running {
        planned.steps.push(Step::Start);
        planned.state("running", true, false);
        if args.get("detach").and_then(Value::as_bool) == Some(false) {
            planned.steps.push(Step::Wait {
                cleanup: flag("cleanup"),
            });
        }
    } else if up && flag("restart") {
        planned.steps.push(Step::Restart);
        planned.state("restarted", true, false);
    } else if text("state") == "stopped" && running {
        planned.steps.push(halt());
        planned.state("running", false, true);
    }
    if let Some(pause) = args.get("paused").and_then(Value::as_bool)
        && up
        && pause != (paused && running)
    {
        planned.steps.push(Step::Pause(pause));
        planned.state("paused", pause, !pause);
    }
    if text("state") == "healthy" {
        let limit = match args.get("healthy_wait_timeout") {
            Some(Value::Float(seconds)) if *seconds > 0.0 => Some(Duration::from_secs_f64(*seconds)),
            _ => None,
        };
        planned.steps.push(Step::Healthy(limit));
    }
}

/// Whether the container was made from another image, or from the same one by another name.
fn other_image(args: &Map, container: &Json, image: Image<'_>) -> Option<Difference> {
    let wanted = given(args, "image").and_then(Value::as_str)?;
    let named = container["Config"]["Image"].as_str().unwrap_or_default();
    let now = container["Image"].as_str().unwrap_or_default();
    let other = match image {
        Image::Unnamed => return None,
        // Both are predicted by the same check.
        Image::Missing | Image::Foreseen => !now.is_empty() || named != wanted,
        Image::Found(image) => image["Id"] != now,
    };
    if other {
        let id = match image {
            Image::Found(image) => image["Id"].clone(),
            _ => wanted.into(),
        };
        return Some(Difference::new("image", id, now));
    }
    let by_name = args.get("image_name_mismatch").and_then(Value::as_str) != Some("ignore");
    (by_name && named != wanted).then(|| Difference::new("image_name", wanted, named))
}

/// What `inspect` would tell afterwards, as far as a later task of a check may ask.
pub fn foreseen(wanted: &Wanted, steps: &[Step], container: Option<&Json>, image: Image<'_>) -> Json {
    let mut after = container.cloned().unwrap_or_else(|| json!({}));
    for step in steps {
        match step {
            Step::Remove { .. } | Step::Wait { cleanup: true } => after = Json::Null,
            Step::Create(body) => {
                after = json!({ "State": { "Running": false }, "Config": body, "HostConfig": body["HostConfig"] });
                after["Image"] = "".into();
                if let Image::Found(image) = image {
                    inherit(&mut after["Config"], &image["Config"]);
                }
                for network in &wanted.networks {
                    after["NetworkSettings"]["Networks"][&network.name] = network.endpoint.clone();
                }
            }
            Step::Update(limits) => {
                for (name, value) in limits.as_object().into_iter().flatten() {
                    after["HostConfig"][name] = value.clone();
                }
            }
            Step::Connect(network) => {
                after["NetworkSettings"]["Networks"][&network.name] = network.endpoint.clone();
            }
            Step::Disconnect(name) => {
                if let Some(networks) = after["NetworkSettings"]["Networks"].as_object_mut() {
                    networks.remove(name);
                }
            }
            Step::Start => after["State"]["Running"] = true.into(),
            Step::Stop | Step::Kill(_) | Step::Wait { cleanup: false } => {
                after["State"]["Running"] = false.into();
            }
            Step::Pause(pause) => after["State"]["Paused"] = (*pause).into(),
            Step::Pull(_) | Step::Restart | Step::Healthy(_) => {}
        }
    }
    after
}

/// What the engine takes from the image: all that is not given, and variables that have no other value.
fn inherit(config: &mut Json, image: &Json) {
    for (key, of_image) in image.as_object().into_iter().flatten() {
        match (&mut config[key], of_image) {
            (Json::Array(variables), Json::Array(more)) if key == "Env" => {
                let name = |variable: &Json| {
                    let text = variable.as_str().unwrap_or_default();
                    text.split('=').next().unwrap_or(text).to_owned()
                };
                let names: Vec<String> = variables.iter().map(name).collect();
                variables.extend(more.iter().filter(|one| !names.contains(&name(one))).cloned());
            }
            (given @ Json::Null, _) => *given = of_image.clone(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Module;
    use crate::modules::docker::container::DockerContainer;
    use crate::system::fake::Fake;

    fn steps(arguments: &str, container: Option<&Json>) -> String {
        let image = json!({"Id": "sha256:1"});
        steps_with(arguments, container, Image::Found(&image))
    }

    fn steps_with(arguments: &str, container: Option<&Json>, image: Image<'_>) -> String {
        let given: Map = serde_json::from_str(arguments).unwrap();
        let args = match DockerContainer::SPEC.resolve(&given) {
            Ok(args) => args,
            Err(error) => return error.message,
        };
        let wanted = Wanted::new(&args, &Fake::new()).unwrap();
        let image = if args["image"] == Value::Null {
            Image::Unnamed
        } else {
            image
        };
        match plan(&args, &wanted, container, image, None) {
            Ok(planned) => planned.steps.iter().map(name).collect::<Vec<_>>().join(" "),
            Err(error) => error.message,
        }
    }

    fn name(step: &Step) -> &'static str {
        match step {
            Step::Pull(_) => "pull",
            Step::Stop => "stop",
            Step::Kill(_) => "kill",
            Step::Remove { .. } => "remove",
            Step::Create(_) => "create",
            Step::Update(_) => "update",
            Step::Connect(_) => "connect",
            Step::Disconnect(_) => "disconnect",
            Step::Start => "start",
            Step::Restart => "restart",
            Step::Pause(true) => "pause",
            Step::Pause(false) => "unpause",
            Step::Wait { .. } => "wait",
            Step::Healthy(_) => "healthy",
        }
    }

    fn with(more: &str) -> String {
        format!(r#"{{"name":"c","image":"i","command":"a"{more}}}"#)
    }

    fn up() -> Json {
        json!({"Image": "sha256:1", "State": {"Running": true}, "Config": {"Cmd": ["a"], "Image": "i"}})
    }

    #[test]
    fn makes_replaces_and_leaves_alone() {
        let up = up();
        assert_eq!(steps(&with(""), None), "create start");
        assert_eq!(steps(&with(""), Some(&up)), "");
        assert_eq!(
            steps(&with(r#","env":{"A":"b"}"#), Some(&up)),
            "stop remove create start"
        );
        assert_eq!(
            steps(&with(r#","recreate":true"#), Some(&up)),
            "stop remove create start"
        );
        assert_eq!(steps(&with(r#","memory":"64m""#), Some(&up)), "update");
        assert_eq!(steps(&with(r#","restart":true"#), Some(&up)), "restart");
        assert_eq!(steps(&with(r#","state":"stopped""#), Some(&up)), "stop");
        assert_eq!(steps(&with(r#","state":"healthy""#), Some(&up)), "healthy");
        assert_eq!(steps(&with(r#","paused":true"#), Some(&up)), "pause");
        assert_eq!(steps(&with(r#","paused":false"#), Some(&up)), "");
        assert_eq!(steps(&with(r#","detach":false"#), None), "create start wait");
        assert_eq!(steps(&with(r#","state":"present""#), None), "create");
        assert_eq!(
            steps(&with(r#","networks":[{"name":"n"}]"#), Some(&up)),
            "stop remove create start"
        );
        assert_eq!(
            steps(r#"{"name":"c","state":"absent","force_kill":true}"#, Some(&up)),
            "kill remove"
        );
        assert_eq!(steps(r#"{"name":"c","state":"absent"}"#, None), "");
        assert!(steps(r#"{"name":"c"}"#, None).contains("image is not specified"));
        assert_eq!(
            steps(r#"{"name":"c","state":"present"}"#, None),
            "state is present but all of the following are missing: image"
        );
    }

    #[test]
    fn the_limit_with_swap_grows_along() {
        let limits_of = |swap: i64, more: &str| {
            let args: Map = serde_json::from_str(&with(&format!(r#","memory":"1k"{more}"#))).unwrap();
            let wanted = Wanted::new(&args, &Fake::new()).unwrap();
            limits(&wanted, &json!({"HostConfig": {"MemorySwap": swap}}))
        };
        assert_eq!(limits_of(0, ""), json!({"Memory": 1024, "MemorySwap": 2048}));
        assert_eq!(limits_of(4096, ""), json!({"Memory": 1024}));
        assert_eq!(limits_of(-1, ""), json!({"Memory": 1024}));
        assert_eq!(
            limits_of(0, r#","memory_swap":"8k""#),
            json!({"Memory": 1024, "MemorySwap": 8192})
        );
    }

    #[test]
    fn another_image_is_a_difference() {
        let mut up = up();
        up["Image"] = "sha256:0".into();
        assert_eq!(steps(&with(""), Some(&up)), "stop remove create start");
        assert_eq!(
            steps(&with(r#","comparisons":{"image":"ignore"}"#), Some(&up)),
            ""
        );
        assert_eq!(steps(&with(r#","ignore_image":true"#), Some(&up)), "");
        assert_eq!(
            steps(r#"{"name":"c","command":"b"}"#, Some(&up)),
            "stop remove create start"
        );
        up["Image"] = "sha256:1".into();
        up["Config"]["Image"] = "other".into();
        assert_eq!(steps(&with(""), Some(&up)), "stop remove create start");
        assert_eq!(steps(&with(r#","image_name_mismatch":"ignore""#), Some(&up)), "");
        assert_eq!(steps_with(&with(""), None, Image::Missing), "pull create start");
        assert_eq!(steps_with(&with(""), None, Image::Foreseen), "create start");
        assert_eq!(
            steps_with(&with(r#","pull":"never""#), None, Image::Missing),
            "Cannot find image with name i, and pull=never"
        );
    }

    #[test]
    fn what_a_check_foresees_is_what_it_would_find() {
        let given: Map =
            serde_json::from_str(&with(r#","env":{"A":"b"},"networks":[{"name":"n"}]"#)).unwrap();
        let args = DockerContainer::SPEC.resolve(&given).unwrap();
        let wanted = Wanted::new(&args, &Fake::new()).unwrap();
        let planned = plan(&args, &wanted, None, Image::Foreseen, None).unwrap();
        let after = foreseen(&wanted, &planned.steps, None, Image::Unnamed);
        let again = plan(&args, &wanted, Some(&after), Image::Foreseen, None).unwrap();
        assert_eq!(again.steps, []);
        assert!(
            foreseen(
                &wanted,
                &[Step::Remove { volumes: true }],
                Some(&after),
                Image::Unnamed
            )
            .is_null()
        );
    }
}
