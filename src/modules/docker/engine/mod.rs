//! The engine: few calls, blocking, with errors that say what to do. What it tells is plain JSON.

pub mod connection;
mod containers;
mod images;
mod resources;

use std::future::Future;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as Cause;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

pub use self::connection::{Address, ConnectionArgs};
pub use self::resources::Filters;
use crate::modules::Error;
use crate::system::System;

pub struct Engine {
    docker: Docker,
    runtime: tokio::runtime::Runtime,
    address: Address,
}

impl Engine {
    pub fn connect(args: &ConnectionArgs, system: &dyn System) -> Result<Self, Error> {
        let address = args.resolve(system)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(format!("cannot start the docker client: {error}")))?;
        let mut docker = address.client(system)?;
        if address.version.is_none() {
            docker = runtime
                // An engine older than this client speaks an older version of the protocol.
                .block_on(async { docker.negotiate_version().await })
                .map_err(|error| address.refused(&error))?;
        }
        // The engine wants credentials in the alphabet that URLs use; the client writes the other one.
        let docker = docker.with_request_modifier(|mut request| {
            for name in ["x-registry-auth", "x-registry-config"] {
                let value = request.headers().get(name).and_then(|value| value.to_str().ok());
                let value = value.map(|value| value.replace('+', "-").replace('/', "_"));
                if let Some(Ok(value)) = value.map(|value| value.parse()) {
                    request.headers_mut().insert(name, value);
                }
            }
            request
        });
        Ok(Self {
            docker,
            runtime,
            address,
        })
    }

    /// With the patience for what takes that many seconds more than an answer does.
    fn patient(&self, seconds: i64) -> Docker {
        let longer = Duration::from_secs(self.address.timeout + u64::try_from(seconds).unwrap_or(0));
        self.docker.clone().with_timeout(longer)
    }

    fn call<T>(&self, what: &str, future: impl Future<Output = Result<T, Cause>>) -> Result<T, Error> {
        self.runtime.block_on(future).map_err(|error| told(what, &error))
    }

    /// A call whose object may not be there.
    fn find<T: Serialize>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, Cause>>,
    ) -> Result<Option<Json>, Error> {
        match self.runtime.block_on(future) {
            Ok(found) => json(what, &found).map(Some),
            Err(Cause::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(told(what, &error)),
        }
    }
}

/// What the engine said, and what was to be done.
fn told(what: &str, error: &Cause) -> Error {
    match error {
        Cause::DockerResponseServerError { message, .. } => {
            Error::new(format!("cannot {what}: the docker engine says: {message}"))
        }
        other => Error::new(format!("cannot {what}: {other}")),
    }
}

/// An answer as plain JSON.
fn json<T: Serialize>(what: &str, answer: &T) -> Result<Json, Error> {
    serde_json::to_value(answer).map_err(|error| Error::new(format!("cannot {what}: {error}")))
}

/// A request of the engine's, from plain JSON.
fn request<T: DeserializeOwned>(what: &str, body: &Json) -> Result<T, Error> {
    serde_json::from_value(body.clone())
        .map_err(|error| Error::new(format!("cannot {what}: its description is malformed: {error}")))
}
