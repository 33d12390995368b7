//! How the engine is reached: the arguments that every docker module takes, and the connection that follows from them.
//!
//! Deliberately no `ssh://`: a task for another host's engine runs on that host. No TLS without verification.

use std::path::{Path, PathBuf};

use bollard::Docker;
use serde::Deserialize;

use crate::modules::Error;
use crate::modules::files::path::expand;
use crate::system::{Follow, System};
use crate::value::Value;

const SOCKET: &str = "unix:///var/run/docker.sock";
/// As long as community.docker waits for an answer.
const TIMEOUT_SECONDS: u64 = 60;

/// The table of a module's own arguments with those of [`ConnectionArgs`] added.
macro_rules! with_engine_args {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::modules::Arg::str("docker_host").aliases(&["docker_url"])
                .doc("the engine: unix://PATH or tcp://HOST:PORT; DOCKER_HOST or the usual socket unless given"),
            $crate::modules::Arg::str("api_version").aliases(&["docker_api_version"]).default("auto")
                .doc("version of the engine's interface, `auto` for what both know"),
            $crate::modules::Arg::int("timeout").doc("seconds to wait for an answer; DOCKER_TIMEOUT or 60 unless given"),
            $crate::modules::Arg::bool("tls").doc("with `validate_certs` only: TLS without verification is refused"),
            $crate::modules::Arg::bool("validate_certs").aliases(&["tls_verify"])
                .doc("TLS; needs ca_path, client_cert and client_key, or DOCKER_CERT_PATH"),
            $crate::modules::Arg::path("ca_path").aliases(&["ca_cert", "tls_ca_cert", "cacert_path"])
                .doc("PEM file of the engine's authority"),
            $crate::modules::Arg::path("client_cert").aliases(&["tls_client_cert", "cert_path"])
                .doc("PEM file of the client's certificate"),
            $crate::modules::Arg::path("client_key").aliases(&["tls_client_key", "key_path"])
                .doc("PEM file of the client's key"),
        ]
    };
}
pub(in crate::modules::docker) use with_engine_args;

/// What [`with_engine_args`] adds, as a module receives it (`#[serde(flatten)]`).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ConnectionArgs {
    pub docker_host: Option<String>,
    pub api_version: Option<String>,
    pub timeout: Option<u64>,
    pub tls: Option<bool>,
    pub validate_certs: Option<bool>,
    pub ca_path: Option<String>,
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
}

/// Where the engine is, and what is needed to speak with it.
#[derive(Debug, Clone)]
pub struct Address {
    pub host: String,
    pub timeout: u64,
    /// Asked for by the task; none to agree on one.
    pub version: Option<(usize, usize)>,
    pub tls: Option<TlsFiles>,
}

#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl ConnectionArgs {
    pub fn resolve(&self, system: &dyn System) -> Result<Address, Error> {
        let truth = |given: Option<bool>, name: &str| {
            given.unwrap_or_else(|| {
                let value = system.env(name).filter(|value| !value.is_empty());
                value.is_some_and(|value| Value::from(value).truth().unwrap_or(true))
            })
        };
        let host = self.docker_host.clone().or_else(|| system.env("DOCKER_HOST"));
        let host = host
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| SOCKET.to_owned());
        let verified = truth(self.validate_certs, "DOCKER_TLS_VERIFY");
        if truth(self.tls, "DOCKER_TLS") && !verified {
            return Err(Error::new(
                "tls without validate_certs does not verify whom it speaks with, which is refused: give validate_certs: \
                 true with ca_path, client_cert and client_key",
            ));
        }
        let tls = (verified && !host.starts_with("unix://"))
            .then(|| self.files(system))
            .transpose()?;
        let timeout = self
            .timeout
            .or_else(|| system.env("DOCKER_TIMEOUT")?.parse().ok())
            .unwrap_or(TIMEOUT_SECONDS);
        let version = match self.api_version.as_deref() {
            None | Some("auto" | "") => None,
            Some(text) => Some(
                text.split_once('.')
                    .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
                    .ok_or_else(|| {
                        Error::new(format!("api_version: `{text}` is not `auto` or such as 1.41"))
                    })?,
            ),
        };
        Ok(Address {
            host,
            timeout,
            version,
            tls,
        })
    }

    fn files(&self, system: &dyn System) -> Result<TlsFiles, Error> {
        let folder = system.env("DOCKER_CERT_PATH");
        let file = |given: &Option<String>, argument: &str, name: &str| {
            let path = match (given, &folder) {
                (Some(path), _) => path.clone(),
                (None, Some(folder)) => format!("{folder}/{name}"),
                (None, None) => {
                    return Err(Error::new(format!(
                        "validate_certs needs {argument} (or DOCKER_CERT_PATH) to speak TLS with the docker engine"
                    )));
                }
            };
            let path = expand(&path, system)?;
            if system.metadata(&path, Follow::Yes)?.is_none() {
                return Err(Error::new(format!("{argument}: there is no {}", path.display())));
            }
            Ok(path)
        };
        Ok(TlsFiles {
            authority: file(&self.ca_path, "ca_path", "ca.pem")?,
            certificate: file(&self.client_cert, "client_cert", "cert.pem")?,
            key: file(&self.client_key, "client_key", "key.pem")?,
        })
    }
}

impl Address {
    /// The path of its socket, if it has one.
    pub fn socket(&self) -> Option<&Path> {
        self.host.strip_prefix("unix://").map(Path::new)
    }

    pub fn refused(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(format!(
            "Error connecting: cannot speak with the docker engine at {}: {error}",
            self.host
        ))
    }

    /// A client; nothing has been said yet.
    pub fn client(&self, system: &dyn System) -> Result<Docker, Error> {
        let newest = bollard::API_DEFAULT_VERSION;
        let version = self
            .version
            .map(|(major_version, minor_version)| bollard::ClientVersion {
                major_version,
                minor_version,
            });
        let version = version.as_ref().unwrap_or(newest);
        let client = match (self.socket(), &self.tls) {
            (Some(path), _) => {
                self.look_at(path, system)?;
                Docker::connect_with_unix(&path.display().to_string(), self.timeout, version)
            }
            (None, _)
                if !["tcp://", "http://", "https://"]
                    .iter()
                    .any(|scheme| self.host.starts_with(scheme)) =>
            {
                return Err(self.refused(
                    &"only unix:// and tcp:// are supported; for an engine elsewhere let the task run there (delegate_to)",
                ));
            }
            (None, Some(files)) => Docker::connect_with_ssl(
                &self.host,
                &files.key,
                &files.certificate,
                &files.authority,
                self.timeout,
                version,
            ),
            (None, None) if self.host.starts_with("https://") => {
                return Err(self.refused(&"https:// needs validate_certs: true"));
            }
            (None, None) => Docker::connect_with_http(&self.host, self.timeout, version),
        };
        client.map_err(|error| self.refused(&error))
    }

    fn look_at(&self, path: &Path, system: &dyn System) -> Result<(), Error> {
        if system.metadata(path, Follow::Yes)?.is_none() {
            return Err(self.refused(&"there is no such socket; is docker installed and running?"));
        }
        let (readable, writable, _) = system.access(path)?;
        if !readable || !writable {
            return Err(self
                .refused(&"permission denied; the task needs `become: true` or a user in the group docker"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    fn refusal(args: &ConnectionArgs) -> String {
        let fake = Fake::new();
        let address = args.resolve(&fake);
        address
            .and_then(|address| address.client(&fake).map(|_| ()))
            .unwrap_err()
            .message
    }

    #[test]
    fn says_what_to_do() {
        assert!(refusal(&ConnectionArgs::default()).contains("is docker installed and running?"));
        let host = |host: &str| ConnectionArgs {
            docker_host: Some(host.to_owned()),
            ..ConnectionArgs::default()
        };
        assert!(refusal(&host("ssh://x")).contains("delegate_to"));
        assert!(refusal(&host("https://x:2376")).contains("validate_certs"));
        let unverified = ConnectionArgs {
            tls: Some(true),
            ..host("tcp://x:2376")
        };
        assert!(refusal(&unverified).contains("ca_path"));
        let half = ConnectionArgs {
            validate_certs: Some(true),
            ..host("tcp://x:2376")
        };
        assert!(refusal(&half).contains("validate_certs needs ca_path"));
        let version = ConnectionArgs {
            api_version: Some("one".to_owned()),
            ..ConnectionArgs::default()
        };
        assert!(refusal(&version).contains("such as 1.41"));
    }
}
