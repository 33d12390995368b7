//! The engine behind its socket: few calls, blocking, with errors that say what to do.

use std::future::Future;
use std::io::{self, Read};
use std::path::Path;

use bollard::Docker;
use bollard::errors::Error as Cause;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value as Json;

use crate::modules::Error;
use crate::system::{Follow, System};

const SOCKET: &str = "unix:///var/run/docker.sock";
/// Pulling a large image says something at least this often.
const TIMEOUT_SECONDS: u64 = 300;
/// Read from an archive at a time.
const CHUNK: usize = 1 << 20;

pub struct Engine {
    docker: Docker,
    runtime: tokio::runtime::Runtime,
}

/// A reader's content in pieces.
struct Chunks(Box<dyn Read + Send>);

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = vec![0; CHUNK];
        match self.0.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok(Bytes::from(chunk)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// What the engine sends, for those who read and wait.
struct Export<'a> {
    runtime: &'a tokio::runtime::Runtime,
    chunks: BoxStream<'a, io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Export<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.chunks.next()) {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

impl Engine {
    /// By the `docker_host` argument, the environment's `DOCKER_HOST`, or the usual socket.
    pub fn connect(host: Option<&str>, system: &dyn System) -> Result<Self, Error> {
        let host = host
            .map(str::to_owned)
            .or_else(|| system.env("DOCKER_HOST"))
            .unwrap_or_else(|| SOCKET.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(format!("cannot start the docker client: {error}")))?;
        let refused = |error: &dyn std::fmt::Display| {
            Error::new(format!(
                "Error connecting: cannot speak with the docker engine at {host}: {error}"
            ))
        };
        let version = bollard::API_DEFAULT_VERSION;
        let Some(path) = host.strip_prefix("unix://") else {
            return Err(refused(&"only unix:// sockets are supported here"));
        };
        if system.metadata(Path::new(path), Follow::Yes)?.is_none() {
            return Err(refused(
                &"there is no such socket; is docker installed and running?",
            ));
        }
        let (readable, writable, _) = system.access(Path::new(path))?;
        if !readable || !writable {
            return Err(refused(
                &"permission denied; the task needs `become: true` or a user in the group docker",
            ));
        }
        let docker = Docker::connect_with_unix(path, TIMEOUT_SECONDS, version);
        let docker = docker.map_err(|error| refused(&error))?;
        let docker = runtime
            // An engine older than this client speaks an older version of the protocol.
            .block_on(async { docker.negotiate_version().await })
            .map_err(|error| refused(&error))?;
        Ok(Self { docker, runtime })
    }

    fn call<T>(&self, what: &str, future: impl Future<Output = Result<T, Cause>>) -> Result<T, Error> {
        self.runtime.block_on(future).map_err(|error| told(what, &error))
    }

    /// A call whose object may not be there.
    fn find<T: serde::Serialize>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, Cause>>,
    ) -> Result<Option<Json>, Error> {
        match self.runtime.block_on(future) {
            Ok(found) => serde_json::to_value(found)
                .map(Some)
                .map_err(|error| Error::new(format!("cannot {what}: {error}"))),
            Err(Cause::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(told(what, &error)),
        }
    }

    pub fn container(&self, name: &str) -> Result<Option<Json>, Error> {
        let options = None::<query::InspectContainerOptions>;
        self.find(
            &format!("inspect container {name}"),
            self.docker.inspect_container(name, options),
        )
    }

    pub fn image(&self, name: &str) -> Result<Option<Json>, Error> {
        self.find(&format!("inspect image {name}"), self.docker.inspect_image(name))
    }

    pub fn pull(&self, name: &str) -> Result<(), Error> {
        let options = query::CreateImageOptions {
            from_image: Some(name.to_owned()),
            ..query::CreateImageOptions::default()
        };
        let progress = self.docker.create_image(Some(options), None, None);
        self.call(
            &format!("pull image {name}"),
            progress.try_for_each(|_| async { Ok(()) }),
        )
    }

    pub fn push(&self, repository: &str, tag: &str) -> Result<(), Error> {
        let options = query::PushImageOptions {
            tag: Some(tag.to_owned()),
            ..query::PushImageOptions::default()
        };
        let progress = self.docker.push_image(repository, Some(options), None);
        self.call(
            &format!("push image {repository}:{tag}"),
            progress.try_for_each(|_| async { Ok(()) }),
        )
    }

    pub fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let options = query::TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
        };
        self.call(
            &format!("tag image {image}"),
            self.docker.tag_image(image, Some(options)),
        )
    }

    pub fn remove_image(&self, name: &str, force: bool) -> Result<(), Error> {
        let options = query::RemoveImageOptions {
            force,
            ..query::RemoveImageOptions::default()
        };
        let removed = self.docker.remove_image(name, Some(options), None);
        self.call(&format!("remove image {name}"), removed).map(|_| ())
    }

    /// The archive may be larger than the memory: it is sent in pieces.
    pub fn load(&self, what: &str, archive: Box<dyn Read + Send>) -> Result<(), Error> {
        let chunks = stream::iter(Chunks(archive));
        let options = query::ImportImageOptions::default();
        let progress = self
            .docker
            .import_image(options, bollard::body_try_stream(chunks), None);
        self.call(what, progress.try_for_each(|_| async { Ok(()) }))
    }

    /// An image as an archive, read from the engine as it is read from here.
    pub fn save(&self, name: &str) -> impl Read {
        let chunks = self.docker.export_image(name).map_err(io::Error::other).boxed();
        Export {
            runtime: &self.runtime,
            chunks,
            rest: Bytes::new(),
        }
    }

    pub fn create(&self, name: &str, body: ContainerCreateBody) -> Result<(), Error> {
        let options = query::CreateContainerOptions {
            name: Some(name.to_owned()),
            ..query::CreateContainerOptions::default()
        };
        let created = self.docker.create_container(Some(options), body);
        self.call(&format!("create container {name}"), created)
            .map(|_| ())
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
        self.call(
            &format!("stop container {name}"),
            self.docker.stop_container(name, Some(options)),
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
        self.call(
            &format!("restart container {name}"),
            self.docker.restart_container(name, Some(options)),
        )
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

    /// Waits for the container's end: its exit status and what it said.
    pub fn wait(&self, name: &str) -> Result<(i64, String), Error> {
        let options = None::<query::WaitContainerOptions>;
        let ends = self.docker.wait_container(name, options).collect::<Vec<_>>();
        let status = match self.runtime.block_on(ends).pop() {
            Some(Ok(end)) => end.status_code,
            Some(Err(Cause::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(told(&format!("wait for container {name}"), &error)),
            None => 0,
        };
        let options = query::LogsOptions {
            stdout: true,
            stderr: true,
            ..query::LogsOptions::default()
        };
        let output = self.docker.logs(name, Some(options));
        let parts: Vec<_> = self.call(&format!("read the output of {name}"), output.try_collect())?;
        Ok((status, parts.iter().map(ToString::to_string).collect()))
    }
}

fn told(what: &str, error: &Cause) -> Error {
    match error {
        Cause::DockerResponseServerError { message, .. } => {
            Error::new(format!("cannot {what}: the docker engine says: {message}"))
        }
        other => Error::new(format!("cannot {what}: {other}")),
    }
}
