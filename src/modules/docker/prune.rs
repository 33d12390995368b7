//! `docker_prune`: away with what nothing uses. After `community.docker.docker_prune`.
//!
//! Only the engine knows what it would remove, and it tells by doing it: in check mode the result is unknown.

use serde::Deserialize;
use serde_json::Value as Json;

use super::container::units::size;
use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine, Filters};
use super::filters::filters;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct DockerPrune;

#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    containers: bool,
    containers_filters: Option<Map>,
    images: bool,
    images_filters: Option<Map>,
    networks: bool,
    networks_filters: Option<Map>,
    volumes: bool,
    volumes_filters: Option<Map>,
    builder_cache: bool,
    builder_cache_all: bool,
    builder_cache_filters: Option<Map>,
    builder_cache_keep_storage: Option<String>,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

pub struct Change {
    engine: Engine,
    prunes: Vec<Prune>,
}

enum Prune {
    Containers(Filters),
    Images(Filters),
    Networks(Filters),
    Volumes(Filters),
    Builds {
        all: bool,
        keep: Option<i64>,
        filters: Filters,
    },
}

impl Module for DockerPrune {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "docker_prune",
        summary: "Remove containers, images, networks, volumes and build caches that nothing uses",
        args: with_engine_args![
            Arg::bool("containers")
                .default("no")
                .doc("containers that do not run"),
            Arg::dict("containers_filters").doc("only these: until, label..."),
            Arg::bool("images").default("no").doc("images without a name"),
            Arg::dict("images_filters")
                .doc("only these: until, label; `dangling: false` takes named ones, too"),
            Arg::bool("networks")
                .default("no")
                .doc("networks without containers"),
            Arg::dict("networks_filters").doc("only these: until, label"),
            Arg::bool("volumes").default("no").doc("volumes of no container"),
            Arg::dict("volumes_filters").doc("only these: label, all"),
            Arg::bool("builder_cache")
                .default("no")
                .doc("the builder's cache"),
            Arg::bool("builder_cache_all")
                .default("no")
                .doc("all kinds of it"),
            Arg::dict("builder_cache_filters").doc("only these: until, id, type..."),
            Arg::str("builder_cache_keep_storage").doc("how much of it may stay, such as 1G"),
        ],
        returns: &[
            Return::new("containers", "list of str", "ids of those removed").when("containers is true"),
            Return::new("containers_space_reclaimed", "int", "bytes").when("containers is true"),
            Return::new("images", "list of dict", "what was untagged or removed").when("images is true"),
            Return::new("images_space_reclaimed", "int", "bytes").when("images is true"),
            Return::new("networks", "list of str", "those removed").when("networks is true"),
            Return::new("volumes", "list of str", "those removed").when("volumes is true"),
            Return::new("volumes_space_reclaimed", "int", "bytes").when("volumes is true"),
            Return::new("builder_cache_space_reclaimed", "int", "bytes").when("builder_cache is true"),
            Return::new(
                "builder_cache_caches_deleted",
                "list of str",
                "ids of those removed",
            )
            .when("builder_cache is true"),
        ],
        example: "\
- community.docker.docker_prune:
    containers: true
    images: true
    images_filters: {dangling: false}
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let mut prunes = Vec::new();
        if args.containers {
            prunes.push(Prune::Containers(filters(
                "containers_filters",
                args.containers_filters.as_ref(),
            )?));
        }
        if args.images {
            prunes.push(Prune::Images(filters(
                "images_filters",
                args.images_filters.as_ref(),
            )?));
        }
        if args.networks {
            prunes.push(Prune::Networks(filters(
                "networks_filters",
                args.networks_filters.as_ref(),
            )?));
        }
        if args.volumes {
            prunes.push(Prune::Volumes(filters(
                "volumes_filters",
                args.volumes_filters.as_ref(),
            )?));
        }
        if args.builder_cache {
            let keep = args.builder_cache_keep_storage.as_deref().map(|text| {
                size(text).ok_or_else(|| {
                    Error::new(format!(
                        "builder_cache_keep_storage: `{text}` is not a size such as 512m"
                    ))
                })
            });
            prunes.push(Prune::Builds {
                all: args.builder_cache_all,
                keep: keep.transpose()?,
                filters: filters("builder_cache_filters", args.builder_cache_filters.as_ref())?,
            });
        }
        if prunes.is_empty() {
            return Ok(Plan::Same(Outcome::ok()));
        }
        let engine = Engine::connect(&args.connection, system)?;
        Ok(Plan::Unknown {
            change: Change { engine, prunes },
            skipped: Outcome::skipped("only the engine knows what nothing uses, and tells by removing it"),
        })
    }

    fn apply(change: Change, _: &dyn System) -> Result<Outcome, Error> {
        let engine = &change.engine;
        let mut outcome = Outcome::ok();
        for prune in change.prunes {
            let (name, list, told) = match prune {
                Prune::Containers(filters) => (
                    "containers",
                    "ContainersDeleted",
                    engine.prune_containers(filters)?,
                ),
                Prune::Images(filters) => ("images", "ImagesDeleted", engine.prune_images(filters)?),
                Prune::Networks(filters) => ("networks", "NetworksDeleted", engine.prune_networks(filters)?),
                Prune::Volumes(filters) => ("volumes", "VolumesDeleted", engine.prune_volumes(filters)?),
                Prune::Builds { all, keep, filters } => {
                    let told = engine.prune_builds(all, keep, filters)?;
                    ("builder_cache_caches_deleted", "CachesDeleted", told)
                }
            };
            outcome = tell(outcome, name, list, &told);
        }
        Ok(outcome)
    }

    fn foresee(_: &Change) -> Foresight {
        // What is gone is what nothing used; a later task would have to make it again, and says so.
        Foresight::Effects(Vec::new())
    }
}

fn tell(mut outcome: Outcome, name: &str, list: &str, told: &Json) -> Outcome {
    let removed = told[list].as_array().cloned().unwrap_or_default();
    let space = told["SpaceReclaimed"].as_i64().unwrap_or(0);
    outcome.changed |= !removed.is_empty() || space > 0;
    // Networks take no space.
    if name != "networks" {
        let key = name.trim_end_matches("_caches_deleted");
        outcome = outcome.with(&format!("{key}_space_reclaimed"), space);
    }
    outcome.with(name, Value::from_serialize(removed).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changed_if_something_went() {
        let none = tell(
            Outcome::ok(),
            "volumes",
            "VolumesDeleted",
            &json!({"VolumesDeleted": null, "SpaceReclaimed": 0}),
        );
        assert!(!none.changed);
        let some = tell(
            none,
            "networks",
            "NetworksDeleted",
            &json!({"NetworksDeleted": ["n"]}),
        );
        assert!(some.changed && !some.values.contains_key("networks_space_reclaimed"));
        let cache = tell(
            Outcome::ok(),
            "builder_cache_caches_deleted",
            "CachesDeleted",
            &json!({"CachesDeleted": ["a"], "SpaceReclaimed": 5}),
        );
        assert_eq!(cache.values["builder_cache_space_reclaimed"], Value::Int(5));
    }
}
