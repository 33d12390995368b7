//! `build`: an image from a folder with a Dockerfile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::BuildImageOptions;
use serde::Deserialize;

use super::context;
use crate::modules::docker::container::units::size;
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error};
use crate::system::{FileKind, Follow, System};
use crate::value::Map;

/// The Dockerfile's name in the tar if it lies elsewhere.
const OUTSIDE: &str = ".dockerfile.outside";

/// What `build` holds.
#[rustfmt::skip]
pub const OPTIONS: &[Arg] = &[
    Arg::path("path").required().doc("the folder on the target"),
    Arg::str("dockerfile").doc("its Dockerfile, in the folder or anywhere; `Dockerfile` unless given"),
    Arg::dict("args").doc("arguments of the build"),
    Arg::strings("cache_from").doc("images whose layers may be used"),
    Arg::dict("container_limits").options(LIMITS).doc("limits of the containers in which it is built"),
    Arg::dict("etc_hosts").doc("further hosts: name to address"),
    Arg::int("http_timeout").doc("seconds to wait for an answer"),
    Arg::dict("labels").doc("labels of the image"),
    Arg::str("network").doc("network of the commands"),
    Arg::bool("nocache").default("no").doc("build every layer"),
    Arg::str("platform").doc("os[/arch[/variant]]"),
    Arg::bool("pull").default("no").doc("ask the registry for newer base images"),
    Arg::bool("rm").default("yes").doc("remove the containers in which it was built"),
    Arg::str("shm_size").doc("size of /dev/shm, such as 64m"),
    Arg::str("target").doc("the stage to build"),
];

const LIMITS: &[Arg] = &[
    Arg::str("cpusetcpus").doc("which processors, as 0-2,4"),
    Arg::str("cpushares").doc("share of processor time"),
    Arg::str("memory").doc("such as 512m"),
    Arg::str("memswap").doc("memory and swap; -1 for no limit"),
];

#[derive(Debug, Clone, Deserialize)]
pub struct BuildArgs {
    path: String,
    dockerfile: Option<String>,
    args: Option<Map>,
    cache_from: Option<Vec<String>>,
    container_limits: Option<Limits>,
    etc_hosts: Option<Map>,
    http_timeout: Option<i64>,
    labels: Option<Map>,
    network: Option<String>,
    nocache: bool,
    platform: Option<String>,
    pull: bool,
    rm: bool,
    shm_size: Option<String>,
    target: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Limits {
    cpusetcpus: Option<String>,
    cpushares: Option<String>,
    memory: Option<String>,
    memswap: Option<String>,
}

/// A build that can be begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    folder: PathBuf,
    /// Below the folder, or anywhere.
    dockerfile: PathBuf,
    pub options: BuildImageOptions,
    /// Seconds to wait for an answer, where that is more than usual.
    pub patience: i64,
}

impl BuildArgs {
    pub fn resolve(&self, name: &str, system: &dyn System) -> Result<Build, Error> {
        let folder = expand(&self.path, system)?;
        let there = system.metadata(&folder, Follow::Yes)?;
        if there.is_none_or(|there| there.kind != FileKind::Directory) {
            return Err(Error::new(format!(
                "Requested build path {} could not be found or you do not have access.",
                folder.display()
            )));
        }
        let dockerfile = match &self.dockerfile {
            Some(path) => expand(path, system)?,
            None => PathBuf::from("Dockerfile"),
        };
        let dockerfile = dockerfile
            .strip_prefix(&folder)
            .map(Path::to_owned)
            .unwrap_or(dockerfile);
        if system.metadata(&folder.join(&dockerfile), Follow::Yes)?.is_none() {
            return Err(Error::new(format!(
                "build: there is no {}; `dockerfile` is relative to `path`",
                folder.join(&dockerfile).display()
            )));
        }
        let limits = self.container_limits.as_ref();
        let bytes = |name: &str, value: Option<&String>| -> Result<Option<i32>, Error> {
            let Some(value) = value else {
                return Ok(None);
            };
            let refuse = || {
                Error::new(format!(
                    "build: {name} `{value}` is not a size below 2G such as 512m"
                ))
            };
            let bytes = size(value).ok_or_else(refuse)?;
            i32::try_from(bytes).map(Some).map_err(|_| refuse())
        };
        let options = BuildImageOptions {
            dockerfile: if dockerfile.is_absolute() {
                OUTSIDE.to_owned()
            } else {
                dockerfile.display().to_string()
            },
            t: Some(name.to_owned()),
            extrahosts: self.etc_hosts.as_ref().map(|hosts| {
                let lines: Vec<String> = hosts
                    .iter()
                    .map(|(name, address)| format!("{name}:{address}"))
                    .collect();
                serde_json::to_string(&lines).unwrap_or_default()
            }),
            nocache: self.nocache,
            cachefrom: self.cache_from.clone(),
            pull: self.pull.then(|| "1".to_owned()),
            rm: self.rm,
            forcerm: self.rm,
            memory: bytes("memory", limits.and_then(|limits| limits.memory.as_ref()))?,
            memswap: bytes("memswap", limits.and_then(|limits| limits.memswap.as_ref()))?,
            cpushares: limits.and_then(|limits| limits.cpushares.as_ref()?.parse().ok()),
            cpusetcpus: limits.and_then(|limits| limits.cpusetcpus.clone()),
            buildargs: self.args.as_ref().map(texts),
            shmsize: bytes("shm_size", self.shm_size.as_ref())?,
            labels: self.labels.as_ref().map(texts),
            networkmode: self.network.clone(),
            platform: self.platform.clone().unwrap_or_default(),
            target: self.target.clone().unwrap_or_default(),
            ..BuildImageOptions::default()
        };
        Ok(Build {
            folder,
            dockerfile,
            options,
            patience: self.http_timeout.unwrap_or(0),
        })
    }
}

impl Build {
    pub fn context(&self, system: &dyn System) -> Result<Vec<u8>, Error> {
        let mut tar = context::archive(&self.folder, &self.options.dockerfile, system)?;
        if self.dockerfile.is_absolute() {
            context::add(&mut tar, OUTSIDE, &self.dockerfile, system)?;
        }
        Ok(context::end(tar))
    }
}

fn texts(map: &Map) -> HashMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Module;
    use crate::modules::docker::image::DockerImage;
    use crate::system::fake::Fake;

    fn build(json: &str) -> Result<Build, String> {
        let fake = Fake::new();
        fake.directory("/src")
            .file("/src/Dockerfile", "")
            .file("/other", "");
        let given =
            serde_json::from_str(&format!(r#"{{"name":"a","source":"build","build":{json}}}"#)).unwrap();
        let mut resolved = DockerImage::SPEC.resolve(&given).map_err(|error| error.message)?;
        let args: BuildArgs = resolved.swap_remove("build").unwrap().deserialize_into().unwrap();
        args.resolve("a:1", &fake).map_err(|error| error.message)
    }

    #[test]
    fn options_reach_the_engine() {
        let made = build(
            r#"{"path":"/src","args":{"A":1},"pull":true,"labels":{"l":"x"},"target":"t","shm_size":"1k",
                "etc_hosts":{"h":"10.0.0.1"},"dockerfile":"/src/Dockerfile"}"#,
        )
        .unwrap();
        let options = &made.options;
        assert_eq!(options.dockerfile, "Dockerfile");
        assert_eq!(options.buildargs.as_ref().unwrap()["A"], "1");
        assert_eq!(options.extrahosts.as_deref(), Some(r#"["h:10.0.0.1"]"#));
        assert_eq!(
            (options.pull.as_deref(), options.rm, options.shmsize),
            (Some("1"), true, Some(1024))
        );
        let outside = build(r#"{"path":"/src","dockerfile":"/other"}"#).unwrap();
        assert_eq!(outside.options.dockerfile, OUTSIDE);
    }

    #[test]
    fn refuses_what_cannot_be_built() {
        assert!(
            build(r#"{"path":"/none"}"#)
                .unwrap_err()
                .contains("could not be found")
        );
        assert!(
            build(r#"{"path":"/src","dockerfile":"x"}"#)
                .unwrap_err()
                .contains("no /src/x")
        );
        assert!(
            build(r#"{"path":"/src","tagret":"x"}"#)
                .unwrap_err()
                .contains("tagret")
        );
        assert!(
            build(r#"{"path":"/src","shm_size":"9G"}"#)
                .unwrap_err()
                .contains("below 2G")
        );
    }
}
