//! `docker_container`: one container, as described. After `community.docker.docker_container`.
//!
//! It is made anew only for a real difference, limits are set on it as it is, networks are connected and left, and the
//! differences are in the result. `pull: always` can only be decided after it has pulled: what follows is planned once more then.

mod arguments;
mod difference;
mod mounts;
mod networks;
mod options;
mod plan;
mod ports;
pub mod units;
mod wanted;

use std::time::Duration;

use serde_json::Value as Json;

use self::plan::{Image, Planned, Step, foreseen, plan};
use self::wanted::{Wanted, given};
use super::credentials;
use super::difference::diff;
use super::engine::{ConnectionArgs, Engine};
use super::foreseen as earlier;
use super::image::full_name;
use crate::modules::{Error, Module, Plan, Spec};
use crate::system::System;
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub use self::options::texts;

pub struct DockerContainer;

/// How long a container that is being removed may take.
const REMOVAL: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

pub enum Change {
    Steps(Box<Steps>),
    /// Pull first; only then it is known what there is to do.
    PullFirst(Box<Steps>),
}

pub struct Steps {
    engine: Engine,
    args: Map,
    list: Vec<Step>,
    /// What there will be, for later tasks of a check.
    after: Json,
    outcome: Outcome,
}

impl Module for DockerContainer {
    type Args = Map;
    type Change = Change;
    const SPEC: Spec = arguments::SPEC;

    fn check(mut args: Map, system: &dyn System) -> Result<Plan<Change>, Error> {
        let connection: ConnectionArgs = Value::Map(args.clone())
            .deserialize_into()
            .map_err(|error| Error::new(format!("the docker engine's address is malformed: {error}")))?;
        let engine = Engine::connect(&connection, system)?;
        let pull = match args.get("pull").map(Value::to_string).as_deref() {
            Some("always" | "yes" | "True" | "true") => "always",
            Some("never") => "never",
            _ => "missing",
        };
        args.insert("pull".to_owned(), pull.into());
        let named = given(&args, "image").is_some() && args["state"] != "absent".into();
        look(args, engine, pull == "always" && named, system)
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Steps(steps) => steps.perform(system),
            Change::PullFirst(first) => {
                let Steps { engine, args, .. } = *first;
                let name = full_name(&args["image"].to_string(), "latest");
                let id = |image: Option<Json>| image.map(|image| image["Id"].clone());
                let before = id(engine.image(&name)?);
                pull(&engine, &args, system)?;
                let is_new = id(engine.image(&name)?) != before;
                let mut outcome = match look(args, engine, false, system)? {
                    Plan::Same(outcome) => outcome,
                    Plan::Change { change, predicted }
                    | Plan::Unknown {
                        change,
                        skipped: predicted,
                    } => {
                        let Change::Steps(steps) = change else {
                            return Err(Error::new("the image was pulled, and is to be pulled again"));
                        };
                        let mut outcome = steps.perform(system)?;
                        outcome.diff = predicted.diff;
                        outcome
                    }
                };
                outcome.changed |= is_new;
                Ok(outcome)
            }
        }
    }

    fn foresee(change: &Change) -> Foresight {
        let (Change::Steps(steps) | Change::PullFirst(steps)) = change;
        let effect = |of, name: String, is: Value| Effect::State { of, name, is };
        let mut effects = vec![effect(
            Subject::Container,
            steps.args["name"].to_string(),
            from_json(&steps.after),
        )];
        let pulled = steps.list.iter().filter_map(|step| match step {
            Step::Pull(name) => Some(full_name(name, "latest")),
            _ => None,
        });
        effects.extend(pulled.map(|name| effect(Subject::Image, name, Value::Map(Map::new()))));
        Foresight::Effects(effects)
    }
}

/// Asks the engine, and plans.
fn look(args: Map, engine: Engine, pull_first: bool, system: &dyn System) -> Result<Plan<Change>, Error> {
    let wanted = Wanted::new(&args, system)?;
    let name = args["name"].to_string();
    let container = match earlier(Subject::Container, &name, system) {
        Some(container) => container,
        None => engine.container(&name)?,
    };
    let image_name = given(&args, "image").map(|image| full_name(&image.to_string(), "latest"));
    let found = match &image_name {
        Some(name) if args["state"] != "absent".into() => engine.image(name)?,
        _ => None,
    };
    let predicted = image_name
        .as_deref()
        .and_then(|name| earlier(Subject::Image, name, system));
    let image = match (&found, &image_name, predicted) {
        (_, None, _) => Image::Unnamed,
        (_, _, Some(Some(_))) => Image::Foreseen,
        (Some(found), _, None) => Image::Found(found),
        _ => Image::Missing,
    };
    let own = container
        .as_ref()
        .and_then(|container| container["Image"].as_str());
    let own = match own.filter(|id| !id.is_empty()) {
        Some(id) => engine.image(id)?,
        None => None,
    };
    let planned = plan(&args, &wanted, container.as_ref(), image, own.as_ref())?;
    if args["state"] != "absent".into() {
        for network in &wanted.networks {
            require_network(&network.name, &engine, system)?;
        }
    }
    let outcome = outcome(&planned);
    if planned.steps.is_empty() && !pull_first {
        return Ok(Plan::Same(match &container {
            Some(container) => outcome.with("container", from_json(container)),
            None => outcome,
        }));
    }
    let after = foreseen(&wanted, &planned.steps, container.as_ref(), image);
    let has_image = matches!(image, Image::Found(_));
    let steps = Box::new(Steps {
        engine,
        args,
        list: planned.steps,
        after,
        outcome: outcome.clone(),
    });
    if !pull_first {
        return Ok(Plan::Change {
            change: Change::Steps(steps),
            predicted: outcome,
        });
    }
    let mut predicted = outcome;
    predicted.changed |= !has_image || steps.args["pull_check_mode_behavior"] == "always".into();
    Ok(Plan::Unknown {
        change: Change::PullFirst(steps),
        skipped: predicted,
    })
}

fn require_network(name: &str, engine: &Engine, system: &dyn System) -> Result<(), Error> {
    let there = match earlier(Subject::Network, name, system) {
        Some(network) => network.is_some(),
        None => engine.network(name)?.is_some(),
    };
    if there {
        return Ok(());
    }
    Err(Error::new(format!(
        "Parameter error: network named {name} could not be found. Does it exist?"
    )))
}

fn outcome(planned: &Planned) -> Outcome {
    let mut outcome = Outcome::changed(planned.changes());
    if !planned.differences.is_empty() {
        outcome = outcome.with("differences", difference::describe(&planned.differences));
    }
    let all: Vec<_> = planned
        .differences
        .iter()
        .chain(&planned.states)
        .cloned()
        .collect();
    if !all.is_empty() {
        outcome.diff.push(diff(&all));
    }
    outcome
}

fn pull(engine: &Engine, args: &Map, system: &dyn System) -> Result<(), Error> {
    let name = full_name(&args["image"].to_string(), "latest");
    let platform = given(args, "platform").map(Value::to_string).unwrap_or_default();
    let credentials = credentials::for_image(&name, system)?;
    engine.pull(&name, &platform, credentials)
}

impl Steps {
    fn perform(self, system: &dyn System) -> Result<Outcome, Error> {
        let name = self.args["name"].to_string();
        let engine = &self.engine;
        let number = |name: &str| given(&self.args, name).and_then(Value::as_int);
        let timeout = number("stop_timeout").and_then(|seconds| i32::try_from(seconds).ok());
        let platform = given(&self.args, "platform")
            .map(Value::to_string)
            .unwrap_or_default();
        let mut outcome = self.outcome;
        let mut ended = None;
        for step in &self.list {
            match step {
                Step::Pull(_) => pull(engine, &self.args, system)?,
                Step::Stop => engine.stop(&name, timeout)?,
                Step::Kill(signal) => engine.kill(&name, signal)?,
                Step::Remove { volumes } => remove(engine, &name, *volumes, &self.args, system)?,
                Step::Create(body) => engine.create(&name, &platform, body)?,
                Step::Update(limits) => engine.update(&name, limits)?,
                Step::Connect(network) => {
                    engine.connect_container(&network.name, &name, &network.endpoint)?;
                }
                Step::Disconnect(network) => engine.disconnect_container(network, &name)?,
                Step::Start => engine.start(&name)?,
                Step::Restart => engine.restart(&name, timeout)?,
                Step::Pause(pause) => engine.pause(&name, *pause)?,
                Step::Wait { cleanup } => {
                    let status = engine.wait(&name)?;
                    let output = if self.args["auto_remove"].is_true() {
                        "Cannot retrieve result as auto_remove is enabled".to_owned()
                    } else {
                        engine.output(&name)?
                    };
                    ended = Some((status, output));
                    if *cleanup {
                        let volumes = !self.args["keep_volumes"].is_true();
                        remove(engine, &name, volumes, &self.args, system)?;
                    }
                }
                Step::Healthy(limit) => wait_for_health(engine, &name, *limit, system)?,
            }
        }
        let mut container = engine.container(&name)?;
        if let Some((status, output)) = ended {
            container.get_or_insert_with(|| serde_json::json!({}))["Output"] = output.as_str().into();
            outcome = outcome.with("status", status);
            if status != 0 {
                outcome.failed = true;
                outcome = outcome.with("msg", output);
            }
        }
        if let Some(container) = container {
            outcome = outcome.with("container", from_json(&container));
        }
        Ok(outcome)
    }
}

/// Until it is gone: the engine says yes before it is done.
fn remove(engine: &Engine, name: &str, volumes: bool, args: &Map, system: &dyn System) -> Result<(), Error> {
    let limit = match args.get("removal_wait_timeout") {
        Some(Value::Float(seconds)) if *seconds > 0.0 => Duration::from_secs_f64(*seconds),
        _ => REMOVAL,
    };
    // With auto_remove it may go by itself as soon as it was stopped.
    let removed = engine.remove(name, volumes);
    let mut waited = Duration::ZERO;
    while let Some(container) = engine.container(name)? {
        let removing = container["State"]["Status"] == "removing";
        if !removing {
            removed.clone()?;
        }
        if waited >= limit {
            return Err(Error::new(format!(
                "Timeout of {} seconds exceeded while waiting for container \"{name}\" to be removed",
                limit.as_secs()
            )));
        }
        system.sleep(POLL);
        waited += POLL;
    }
    Ok(())
}

fn wait_for_health(
    engine: &Engine,
    name: &str,
    limit: Option<Duration>,
    system: &dyn System,
) -> Result<(), Error> {
    let mut waited = Duration::ZERO;
    loop {
        let container = engine.container(name)?.ok_or_else(|| {
            Error::new(format!(
                "container \"{name}\" vanished while its health was waited for"
            ))
        })?;
        let told = |why: String| Err(Error::new(why).with("container", from_json(&container)));
        match container["State"]["Health"]["Status"].as_str() {
            // Without a check it counts as healthy.
            None | Some("" | "none" | "healthy") => return Ok(()),
            Some("starting" | "unhealthy") => {}
            Some(other) => {
                return told(format!(
                    "container \"{name}\" has the unexpected state of health \"{other}\""
                ));
            }
        }
        if limit.is_some_and(|limit| waited >= limit) {
            return told(format!(
                "Timeout of {} seconds exceeded while waiting for container \"{name}\"",
                waited.as_secs()
            ));
        }
        system.sleep(POLL);
        waited += POLL;
    }
}

fn from_json(json: &Json) -> Value {
    Value::from_serialize(json).unwrap_or_default()
}
