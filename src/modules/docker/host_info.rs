//! `docker_host_info`: the engine, and what it has. After `community.docker.docker_host_info`.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine};
use super::filters::filters;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct DockerHostInfo;

#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    containers: bool,
    containers_all: bool,
    containers_filters: Option<Map>,
    images: bool,
    images_filters: Option<Map>,
    networks: bool,
    networks_filters: Option<Map>,
    volumes: bool,
    volumes_filters: Option<Map>,
    disk_usage: bool,
    verbose_output: bool,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

impl Module for DockerHostInfo {
    type Args = Args;
    type Change = std::convert::Infallible;

    const SPEC: Spec = Spec {
        name: "docker_host_info",
        summary: "Tell of the docker engine and what it has",
        args: with_engine_args![
            Arg::bool("containers")
                .default("no")
                .doc("list containers that run"),
            Arg::bool("containers_all")
                .default("no")
                .doc("list those that do not, too"),
            Arg::dict("containers_filters").doc("which containers: label, status..."),
            Arg::bool("images").default("no").doc("list images"),
            Arg::dict("images_filters").doc("which images: dangling, label, reference..."),
            Arg::bool("networks").default("no").doc("list networks"),
            Arg::dict("networks_filters").doc("which networks: driver, label, name..."),
            Arg::bool("volumes").default("no").doc("list volumes"),
            Arg::dict("volumes_filters").doc("which volumes: dangling, label, name..."),
            Arg::bool("disk_usage")
                .default("no")
                .doc("tell what disk space is used for"),
            Arg::bool("verbose_output")
                .default("no")
                .doc("all that the engine tells of each, not only what a listing shows"),
        ],
        returns: &[
            Return::new("host_info", "dict", "the engine (`docker system info`)"),
            Return::new("can_talk_to_docker", "bool", "that it answers").when("it does"),
            Return::new("containers", "list of dict", "as `docker container ls` has them")
                .when("containers is true"),
            Return::new("images", "list of dict", "as `docker image ls` has them").when("images is true"),
            Return::new("networks", "list of dict", "as `docker network ls` has them")
                .when("networks is true"),
            Return::new("volumes", "list of dict", "as `docker volume ls` has them").when("volumes is true"),
            Return::new(
                "disk_usage",
                "dict",
                "LayersSize and, verbosely, each thing's size",
            )
            .when("disk_usage is true"),
        ],
        example: "\
- community.docker.docker_host_info:
    containers: true
    containers_filters: {label: \"app=web\"}
  register: docker
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let told = |name: &str, listed: Json| {
            let keys = SHOWN.iter().find(|(of, _)| *of == name).map(|(_, keys)| *keys);
            let listed = match (listed, keys) {
                (Json::Array(items), Some(keys)) if !args.verbose_output => {
                    items.iter().map(|item| only(item, keys)).collect()
                }
                (Json::Null, _) => json!([]),
                (listed, _) => listed,
            };
            Value::from_serialize(listed).unwrap_or_default()
        };
        let mut outcome = Outcome::ok().with("can_talk_to_docker", true).with(
            "host_info",
            Value::from_serialize(engine.info()?).unwrap_or_default(),
        );
        if args.containers {
            let filters = filters("containers_filters", args.containers_filters.as_ref())?;
            let listed = engine.containers(args.containers_all, filters)?;
            outcome = outcome.with("containers", told("containers", listed));
        }
        if args.images {
            let filters = filters("images_filters", args.images_filters.as_ref())?;
            outcome = outcome.with("images", told("images", engine.images(filters)?));
        }
        if args.networks {
            let filters = filters("networks_filters", args.networks_filters.as_ref())?;
            outcome = outcome.with("networks", told("networks", engine.networks(filters)?));
        }
        if args.volumes {
            let filters = filters("volumes_filters", args.volumes_filters.as_ref())?;
            outcome = outcome.with("volumes", told("volumes", engine.volumes(filters)?));
        }
        if args.disk_usage {
            let usage = engine.disk_usage()?;
            let usage = if args.verbose_output {
                usage
            } else {
                only(&usage, &["LayersSize"])
            };
            outcome = outcome.with("disk_usage", Value::from_serialize(usage).unwrap_or_default());
        }
        Ok(Plan::Same(outcome))
    }

    fn apply(change: Self::Change, _: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// What a listing shows.
const SHOWN: &[(&str, &[&str])] = &[
    (
        "containers",
        &["Id", "Image", "Command", "Created", "Status", "Ports", "Names"],
    ),
    ("images", &["Id", "RepoTags", "Created", "Size"]),
    ("networks", &["Id", "Driver", "Name", "Scope"]),
    ("volumes", &["Driver", "Name"]),
];

fn only(item: &Json, keys: &[&str]) -> Json {
    let kept = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone()));
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_shows_what_people_look_for() {
        let network = json!({"Id": "1", "Name": "n", "Driver": "bridge", "Scope": "local", "Options": {}});
        let (_, keys) = SHOWN.iter().find(|(of, _)| *of == "networks").unwrap();
        let shown = only(&network, keys);
        assert_eq!(
            shown,
            json!({"Id": "1", "Driver": "bridge", "Name": "n", "Scope": "local"})
        );
    }
}
