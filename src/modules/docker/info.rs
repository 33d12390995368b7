//! `docker_container_info`, `docker_image_info`, `docker_network_info`, `docker_volume_info`: what the engine tells of things by
//! their names. After the modules of community.docker.

use serde::Deserialize;
use serde_json::Value as Json;

use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine, Filters};
use super::foreseen;
use super::image::full_name;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::Subject;
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct DockerContainerInfo;
pub struct DockerImageInfo;
pub struct DockerNetworkInfo;
pub struct DockerVolumeInfo;

#[derive(Debug, Deserialize)]
pub struct One {
    name: String,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    name: Option<Vec<String>>,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

/// Whether it is there, and what it is.
fn told(key: &str, found: Option<&Json>) -> Plan<std::convert::Infallible> {
    let value = found.map_or(Value::Null, |found| {
        Value::from_serialize(found).unwrap_or_default()
    });
    Plan::Same(Outcome::ok().with("exists", found.is_some()).with(key, value))
}

impl Module for DockerContainerInfo {
    type Args = One;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "docker_container_info",
        summary: "Tell of a docker container",
        args: with_engine_args![Arg::str("name").required().doc("the container, by name or id")],
        returns: &[
            Return::new("exists", "bool", "whether it is there"),
            Return::new("container", "dict", "what `docker inspect` tells, or none"),
        ],
        example: "\
- community.docker.docker_container_info:
    name: web
  register: web
",
        free_form: None,
        rules: &[],
    };

    fn check(args: One, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let found = match foreseen(Subject::Container, &args.name, system) {
            Some(container) => container,
            None => engine.container(&args.name)?,
        };
        Ok(told("container", found.as_ref()))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

impl Module for DockerNetworkInfo {
    type Args = One;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "docker_network_info",
        summary: "Tell of a docker network",
        args: with_engine_args![Arg::str("name").required().doc("the network, by name or id")],
        returns: &[
            Return::new("exists", "bool", "whether it is there"),
            Return::new("network", "dict", "what `docker network inspect` tells, or none"),
        ],
        example: "\
- community.docker.docker_network_info:
    name: lab
  register: lab
",
        free_form: None,
        rules: &[],
    };

    fn check(args: One, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let found = match foreseen(Subject::Network, &args.name, system) {
            Some(network) => network,
            None => engine.network(&args.name)?,
        };
        Ok(told("network", found.as_ref()))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

impl Module for DockerVolumeInfo {
    type Args = One;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "docker_volume_info",
        summary: "Tell of a docker volume",
        args: with_engine_args![
            Arg::str("name")
                .aliases(&["volume_name"])
                .required()
                .doc("the volume")
        ],
        returns: &[
            Return::new("exists", "bool", "whether it is there"),
            Return::new("volume", "dict", "what `docker volume inspect` tells, or none"),
        ],
        example: "\
- community.docker.docker_volume_info:
    name: data
  register: data
",
        free_form: None,
        rules: &[],
    };

    fn check(args: One, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let found = match foreseen(Subject::Volume, &args.name, system) {
            Some(volume) => volume,
            None => engine.volume(&args.name)?,
        };
        Ok(told("volume", found.as_ref()))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

impl Module for DockerImageInfo {
    type Args = Named;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "docker_image_info",
        summary: "Tell of docker images",
        args: with_engine_args![Arg::strings("name").doc("the images, by name or id; all unless given")],
        returns: &[Return::new(
            "images",
            "list of dict",
            "what `docker image inspect` tells of those that are there",
        )],
        example: "\
- community.docker.docker_image_info:
    name: registry.example.org/web:1.4
  register: web
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Named, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let names: Vec<String> = if let Some(names) = args.name {
            names.iter().map(|name| full_name(name, "latest")).collect()
        } else {
            let all = engine.images(Filters::new())?;
            let ids = all.as_array().into_iter().flatten();
            ids.filter_map(|image| Some(image["Id"].as_str()?.to_owned()))
                .collect()
        };
        let mut images = Vec::new();
        for name in names {
            images.extend(engine.image(&name)?);
        }
        Ok(Plan::Same(Outcome::ok().with(
            "images",
            Value::from_serialize(images).unwrap_or_default(),
        )))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::testing::failure;
    use crate::system::fake::Fake;

    #[test]
    fn what_is_not_there_is_none() {
        let outcome = |found: Option<&Json>| match told("volume", found) {
            Plan::Same(outcome) => outcome,
            _ => unreachable!("it only tells"),
        };
        assert_eq!(outcome(None).values["exists"], Value::Bool(false));
        assert_eq!(outcome(None).values["volume"], Value::Null);
        let there = outcome(Some(&json!({"Name": "v"})));
        assert_eq!(there.values["volume"].get("Name"), Some(&"v".into()));
    }

    #[test]
    fn without_an_engine_they_say_so() {
        let fake = Fake::new();
        let name = r#"{"name":"x"}"#;
        for told in [
            failure::<DockerContainerInfo>(&fake, name),
            failure::<DockerImageInfo>(&fake, name),
            failure::<DockerNetworkInfo>(&fake, name),
            failure::<DockerVolumeInfo>(&fake, name),
        ] {
            assert!(told.contains("is docker installed and running?"), "{told}");
        }
    }
}
