//! `docker_volume`: one volume of the engine. After `community.docker.docker_volume`.
//!
//! A volume is made anew, and what is in it lost, only where `recreate` says so.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::container::texts;
use super::difference::{Difference, diff};
use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine};
use super::foreseen;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct DockerVolume;

#[derive(Debug, Deserialize)]
pub struct Args {
    volume_name: String,
    state: String,
    driver: String,
    driver_options: Map,
    labels: Option<Map>,
    recreate: String,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

pub struct Change {
    engine: Engine,
    name: String,
    remove: bool,
    create: Option<Json>,
    outcome: Outcome,
}

impl Module for DockerVolume {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "docker_volume",
        summary: "Keep a docker volume",
        args: with_engine_args![
            Arg::str("volume_name")
                .aliases(&["name"])
                .required()
                .doc("the volume"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there"),
            Arg::str("driver").default("local").doc("what keeps it"),
            Arg::dict("driver_options")
                .default("{}")
                .doc("options of the driver"),
            Arg::dict("labels").doc("labels"),
            Arg::str("recreate")
                .choices(&["always", "never", "options-changed"])
                .default("never")
                .doc("when it is made anew; what is in it is lost then"),
        ],
        returns: &[
            Return::new(
                "volume",
                "dict",
                "what the engine tells of it (`docker volume inspect`)",
            )
            .when("it is there, not in check mode"),
            Return::new("actions", "list of str", "what was, or would be, done")
                .when("something is to be done"),
        ],
        example: "\
- community.docker.docker_volume:
    name: data
    labels: {backup: daily}
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let volume = match foreseen(Subject::Volume, &args.volume_name, system) {
            Some(volume) => volume,
            None => engine.volume(&args.volume_name)?,
        };
        let (remove, create, differences) = plan(&args, volume.as_ref());
        let name = args.volume_name;
        let mut outcome = Outcome::changed(remove || create);
        if !differences.is_empty() {
            outcome.diff.push(diff(&differences));
        }
        if !outcome.changed {
            return Ok(Plan::Same(match volume {
                Some(volume) => outcome.with("volume", Value::from_serialize(volume).unwrap_or_default()),
                None => outcome,
            }));
        }
        let mut actions = Vec::new();
        if remove {
            actions.push(format!("Removed volume {name}"));
        }
        if create {
            actions.push(format!("Created volume {name} with driver {}", args.driver));
        }
        let outcome = outcome.with("actions", actions);
        let mut body = json!({
            "Name": name, "Driver": args.driver, "DriverOpts": texts(&Value::Map(args.driver_options))
        });
        if let Some(labels) = args.labels {
            body["Labels"] = texts(&Value::Map(labels));
        }
        Ok(Plan::Change {
            change: Change {
                engine,
                name,
                remove,
                create: create.then_some(body),
                outcome: outcome.clone(),
            },
            predicted: outcome,
        })
    }

    fn apply(change: Change, _: &dyn System) -> Result<Outcome, Error> {
        let Change { engine, name, .. } = &change;
        if change.remove {
            engine.remove_volume(name)?;
        }
        if let Some(body) = &change.create {
            engine.create_volume(name, body)?;
        }
        Ok(match engine.volume(name)? {
            Some(volume) => change
                .outcome
                .with("volume", Value::from_serialize(volume).unwrap_or_default()),
            None => change.outcome,
        })
    }

    fn foresee(change: &Change) -> Foresight {
        // What is asked for by one name is told by another.
        let is = change.create.as_ref().map_or(Json::Null, |body| {
            let mut volume = body.clone();
            volume["Options"] = volume["DriverOpts"].take();
            volume
        });
        Foresight::Effects(vec![Effect::State {
            of: Subject::Volume,
            name: change.name.clone(),
            is: Value::from_serialize(is).unwrap_or_default(),
        }])
    }
}

/// Whether to remove it, whether to make it, and why.
fn plan(args: &Args, volume: Option<&Json>) -> (bool, bool, Vec<Difference>) {
    let present = args.state == "present";
    let Some(volume) = volume else {
        let differences = present.then(|| Difference::new("exists", true, false));
        return (false, present, differences.into_iter().collect());
    };
    if !present {
        return (true, false, vec![Difference::new("exists", false, true)]);
    }
    let mut differences = Vec::new();
    if volume["Driver"] != args.driver.as_str() {
        differences.push(Difference::new(
            "driver",
            args.driver.as_str(),
            volume["Driver"].clone(),
        ));
    }
    let none = Map::new();
    let maps = [
        ("driver_options", &args.driver_options, &volume["Options"]),
        ("labels", args.labels.as_ref().unwrap_or(&none), &volume["Labels"]),
    ];
    for (name, wanted, found) in maps {
        for (key, value) in wanted {
            let wanted = texts(value);
            if found[key] != wanted {
                differences.push(Difference::new(
                    &format!("{name}.{key}"),
                    wanted,
                    found[key].clone(),
                ));
            }
        }
    }
    let anew = match args.recreate.as_str() {
        "always" => true,
        "options-changed" => !differences.is_empty(),
        _ => false,
    };
    (anew, anew, differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str, volume: Option<&Json>) -> (bool, bool, usize) {
        let given: Map = serde_json::from_str(json).unwrap();
        let resolved = DockerVolume::SPEC.resolve(&given).unwrap();
        let args: Args = Value::Map(resolved).deserialize_into().unwrap();
        let (remove, create, differences) = plan(&args, volume);
        (remove, create, differences.len())
    }

    #[test]
    fn nothing_is_lost_unless_asked_for() {
        let there = json!({"Driver": "local", "Options": null, "Labels": {"a": "1"}});
        assert_eq!(told(r#"{"name":"v"}"#, None), (false, true, 1));
        assert_eq!(
            told(r#"{"name":"v","labels":{"a":1}}"#, Some(&there)),
            (false, false, 0)
        );
        let other = |more: &str| {
            told(
                &format!(r#"{{"name":"v","labels":{{"a":"2"}}{more}}}"#),
                Some(&there),
            )
        };
        assert_eq!(other(""), (false, false, 1));
        assert_eq!(other(r#","recreate":"options-changed""#), (true, true, 1));
        assert_eq!(
            told(r#"{"name":"v","recreate":"always"}"#, Some(&there)),
            (true, true, 0)
        );
        assert_eq!(
            told(r#"{"name":"v","state":"absent"}"#, Some(&there)),
            (true, false, 1)
        );
        assert_eq!(told(r#"{"name":"v","state":"absent"}"#, None), (false, false, 0));
    }
}
