//! The engine's calls about networks, volumes and itself.

use std::collections::HashMap;

use bollard::query_parameters as query;
use serde_json::Value as Json;

use super::{Engine, json, request};
use crate::modules::Error;

/// As the engine takes them: values for each name.
pub type Filters = HashMap<String, Vec<String>>;

impl Engine {
    pub fn network(&self, name: &str) -> Result<Option<Json>, Error> {
        let options = None::<query::InspectNetworkOptions>;
        self.find(
            &format!("inspect network {name}"),
            self.docker.inspect_network(name, options),
        )
    }

    pub fn create_network(&self, name: &str, body: &Json) -> Result<(), Error> {
        let what = format!("create network {name}");
        let body = request::<bollard::models::NetworkCreateRequest>(&what, body)?;
        self.call(&what, self.docker.create_network(body)).map(|_| ())
    }

    pub fn remove_network(&self, name: &str) -> Result<(), Error> {
        self.call(
            &format!("remove network {name}"),
            self.docker.remove_network(name),
        )
    }

    pub fn volume(&self, name: &str) -> Result<Option<Json>, Error> {
        self.find(
            &format!("inspect volume {name}"),
            self.docker.inspect_volume(name),
        )
    }

    pub fn create_volume(&self, name: &str, body: &Json) -> Result<(), Error> {
        let what = format!("create volume {name}");
        let body = request::<bollard::models::VolumeCreateRequest>(&what, body)?;
        self.call(&what, self.docker.create_volume(body)).map(|_| ())
    }

    pub fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let options = None::<query::RemoveVolumeOptions>;
        self.call(
            &format!("remove volume {name}"),
            self.docker.remove_volume(name, options),
        )
    }

    pub fn info(&self) -> Result<Json, Error> {
        let what = "ask the engine about itself";
        json(what, &self.call(what, self.docker.info())?)
    }

    pub fn containers(&self, all: bool, filters: Filters) -> Result<Json, Error> {
        let what = "list containers";
        let options = query::ListContainersOptions {
            all,
            filters: Some(filters),
            ..query::ListContainersOptions::default()
        };
        json(
            what,
            &self.call(what, self.docker.list_containers(Some(options)))?,
        )
    }

    pub fn images(&self, filters: Filters) -> Result<Json, Error> {
        let what = "list images";
        let options = query::ListImagesOptions {
            filters: Some(filters),
            ..query::ListImagesOptions::default()
        };
        json(what, &self.call(what, self.docker.list_images(Some(options)))?)
    }

    pub fn networks(&self, filters: Filters) -> Result<Json, Error> {
        let what = "list networks";
        let options = query::ListNetworksOptions {
            filters: Some(filters),
        };
        json(what, &self.call(what, self.docker.list_networks(Some(options)))?)
    }

    pub fn volumes(&self, filters: Filters) -> Result<Json, Error> {
        let what = "list volumes";
        let options = query::ListVolumesOptions {
            filters: Some(filters),
        };
        let mut answer = json(what, &self.call(what, self.docker.list_volumes(Some(options)))?)?;
        Ok(answer["Volumes"].take())
    }

    /// What disk space is used for.
    pub fn disk_usage(&self) -> Result<Json, Error> {
        let what = "ask for the used disk space";
        let options = None::<query::DataUsageOptions>;
        json(what, &self.call(what, self.docker.df(options))?)
    }

    pub fn prune_containers(&self, filters: Filters) -> Result<Json, Error> {
        let what = "prune containers";
        let options = query::PruneContainersOptions {
            filters: Some(filters),
        };
        json(
            what,
            &self.call(what, self.docker.prune_containers(Some(options)))?,
        )
    }

    pub fn prune_images(&self, filters: Filters) -> Result<Json, Error> {
        let what = "prune images";
        let options = query::PruneImagesOptions {
            filters: Some(filters),
        };
        json(what, &self.call(what, self.docker.prune_images(Some(options)))?)
    }

    pub fn prune_networks(&self, filters: Filters) -> Result<Json, Error> {
        let what = "prune networks";
        let options = query::PruneNetworksOptions {
            filters: Some(filters),
        };
        json(what, &self.call(what, self.docker.prune_networks(Some(options)))?)
    }

    pub fn prune_volumes(&self, filters: Filters) -> Result<Json, Error> {
        let what = "prune volumes";
        let options = query::PruneVolumesOptions {
            filters: Some(filters),
        };
        json(what, &self.call(what, self.docker.prune_volumes(Some(options)))?)
    }

    pub fn prune_builds(&self, all: bool, keep: Option<i64>, filters: Filters) -> Result<Json, Error> {
        let what = "prune the builder's cache";
        let options = query::PruneBuildOptions {
            all: Some(all),
            reserved_space: keep,
            filters: Some(filters),
            ..query::PruneBuildOptions::default()
        };
        json(what, &self.call(what, self.docker.prune_build(Some(options)))?)
    }
}
