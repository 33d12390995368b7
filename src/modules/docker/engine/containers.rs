//! The engine's calls about containers.

use bollard::errors::Error as Cause;
use bollard::query_parameters as query;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value as Json, json};

use super::{Engine, request, told};
use crate::modules::Error;

impl Engine {
    pub fn container(&self, name: &str) -> Result<Option<Json>, Error> {
        let options = None::<query::InspectContainerOptions>;
        self.find(
            &format!("inspect container {name}"),
            self.docker.inspect_container(name, options),
        )
    }

    pub fn create(&self, name: &str, platform: &str, body: &Json) -> Result<(), Error> {
        let what = format!("create container {name}");
        let options = query::CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: platform.to_owned(),
        };
        let body: bollard::models::ContainerCreateBody = request(&what, body)?;
        let created = self.docker.create_container(Some(options), body);
        self.call(&what, created).map(|_| ())
    }

    pub fn start(&self, name: &str) -> Result<(), Error> {
        let options = None::<query::StartContainerOptions>;
        self.call(
            &format!("start container {name}"),
            self.docker.start_container(name, options),
        )
    }

    pub fn stop(&self, name: &str, timeout: Option<i32>) -> Result<(), Error> {
        let options = query::StopContainerOptions {
            t: timeout,
            ..query::StopContainerOptions::default()
        };
        let docker = self.patient(timeout.unwrap_or(10).into());
        self.call(
            &format!("stop container {name}"),
            docker.stop_container(name, Some(options)),
        )
    }

    pub fn kill(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = query::KillContainerOptions {
            signal: signal.to_owned(),
        };
        self.call(
            &format!("kill container {name}"),
            self.docker.kill_container(name, Some(options)),
        )
    }

    pub fn restart(&self, name: &str, timeout: Option<i32>) -> Result<(), Error> {
        let options = query::RestartContainerOptions {
            t: timeout,
            ..query::RestartContainerOptions::default()
        };
        let docker = self.patient(timeout.unwrap_or(10).into());
        self.call(
            &format!("restart container {name}"),
            docker.restart_container(name, Some(options)),
        )
    }

    pub fn pause(&self, name: &str, pause: bool) -> Result<(), Error> {
        if pause {
            let paused = self.docker.pause_container(name);
            return self.call(&format!("pause container {name}"), paused);
        }
        let unpaused = self.docker.unpause_container(name);
        self.call(&format!("unpause container {name}"), unpaused)
    }

    /// Limits that can be set on a container as it is.
    pub fn update(&self, name: &str, limits: &Json) -> Result<(), Error> {
        let what = format!("update container {name}");
        let limits = request(&what, limits)?;
        self.call(&what, self.docker.update_container(name, limits))
    }

    pub fn remove(&self, name: &str, volumes: bool) -> Result<(), Error> {
        let options = query::RemoveContainerOptions {
            v: volumes,
            force: true,
            link: false,
        };
        self.call(
            &format!("remove container {name}"),
            self.docker.remove_container(name, Some(options)),
        )
    }

    /// Waits for the container's end: its exit status.
    pub fn wait(&self, name: &str) -> Result<i64, Error> {
        let options = None::<query::WaitContainerOptions>;
        let ends = self.docker.wait_container(name, options).collect::<Vec<_>>();
        match self.runtime.block_on(ends).pop() {
            Some(Ok(end)) => Ok(end.status_code),
            Some(Err(Cause::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(told(&format!("wait for container {name}"), &error)),
            None => Ok(0),
        }
    }

    /// All that the container has said, both streams in one.
    pub fn output(&self, name: &str) -> Result<String, Error> {
        let options = query::LogsOptions {
            stdout: true,
            stderr: true,
            ..query::LogsOptions::default()
        };
        let output = self.docker.logs(name, Some(options));
        let parts: Vec<_> = self.call(&format!("read the output of {name}"), output.try_collect())?;
        Ok(parts.iter().map(ToString::to_string).collect())
    }

    pub fn connect_container(&self, network: &str, container: &str, endpoint: &Json) -> Result<(), Error> {
        let what = format!("connect container {container} to network {network}");
        let body = json!({ "Container": container, "EndpointConfig": endpoint });
        let body = request(&what, &body)?;
        self.call(&what, self.docker.connect_network(network, body))
    }

    pub fn disconnect_container(&self, network: &str, container: &str) -> Result<(), Error> {
        let what = format!("disconnect container {container} from network {network}");
        let body = json!({ "Container": container, "Force": true });
        let body = request(&what, &body)?;
        self.call(&what, self.docker.disconnect_network(network, body))
    }
}
