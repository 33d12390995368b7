//! The credentials for registries in docker's own configuration: `~/.docker/config.json` and the helpers that it names.
//!
//! Follows the docker client: a helper for the registry goes before the one for all, and either before what the file holds.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::modules::Error;
use crate::modules::files::path::expand;
use crate::system::{Attributes, Command, Follow, System};

/// What docker calls its own registry.
pub const HUB: &str = "https://index.docker.io/v1/";
/// A helper says this where it holds a token instead of a password.
const TOKEN: &str = "<token>";

/// Who one is for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// docker's configuration file.
pub struct Store {
    path: PathBuf,
    config: JsonMap<String, Json>,
    there: bool,
}

impl Store {
    pub fn open(path: Option<&str>, system: &dyn System) -> Result<Self, Error> {
        let path = match (path, system.env("DOCKER_CONFIG")) {
            (Some(path), _) => expand(path, system)?,
            (None, Some(folder)) => PathBuf::from(folder).join("config.json"),
            (None, None) => expand("~/.docker/config.json", system)?,
        };
        let there = system.metadata(&path, Follow::Yes)?.is_some();
        let text = if there { system.read(&path)? } else { Vec::new() };
        let config = if text.trim_ascii().is_empty() {
            JsonMap::new()
        } else {
            serde_json::from_slice(&text).map_err(|error| {
                Error::new(format!(
                    "{} is no docker configuration: {error}; repair or remove it",
                    path.display()
                ))
            })?
        };
        Ok(Self { path, config, there })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn helper(&self, registry: &str) -> Option<String> {
        let own = self.config.get("credHelpers").and_then(|helpers| {
            let helpers = helpers.as_object()?;
            let found = helpers.iter().find(|(name, _)| is_same(name, registry));
            found.map(|(_, helper)| helper)
        });
        let helper = own.or_else(|| self.config.get("credsStore"))?.as_str()?;
        (!helper.is_empty()).then(|| format!("docker-credential-{helper}"))
    }

    /// Whether the credentials for a registry are in the file itself.
    pub fn is_file(&self, registry: &str) -> bool {
        self.helper(registry).is_none()
    }

    fn key(&self, registry: &str) -> Option<String> {
        let auths = self.config.get("auths")?.as_object()?;
        auths.keys().find(|name| is_same(name, registry)).cloned()
    }

    pub fn get(&self, registry: &str, system: &dyn System) -> Result<Option<Login>, Error> {
        if let Some(helper) = self.helper(registry) {
            return ask(&helper, registry, system);
        }
        let Some(key) = self.key(registry) else {
            return Ok(None);
        };
        let entry = &self.config["auths"][&key];
        if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
            return Ok(Some(Login {
                username: TOKEN.to_owned(),
                password: token.to_owned(),
            }));
        }
        let decoded = entry["auth"].as_str().and_then(|auth| STANDARD.decode(auth).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(decoded.as_deref().and_then(|text| {
            let (username, password) = text.split_once(':')?;
            Some(Login {
                username: username.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            })
        }))
    }

    pub fn put(mut self, registry: &str, login: &Login, system: &dyn System) -> Result<(), Error> {
        if let Some(helper) = self.helper(registry) {
            let said = json!({ "ServerURL": registry, "Username": login.username, "Secret": login.password });
            return tell(&helper, "store", &said.to_string(), system).map(|_| ());
        }
        let key = self.key(registry).unwrap_or_else(|| registry.to_owned());
        let auth = STANDARD.encode(format!("{}:{}", login.username, login.password));
        let auths = self.config.entry("auths").or_insert_with(|| json!({}));
        auths[key] = json!({ "auth": auth });
        self.write(system)
    }

    pub fn remove(mut self, registry: &str, system: &dyn System) -> Result<(), Error> {
        if let Some(helper) = self.helper(registry) {
            return tell(&helper, "erase", registry, system).map(|_| ());
        }
        let key = self.key(registry);
        let auths = self.config.get_mut("auths").and_then(Json::as_object_mut);
        if let (Some(auths), Some(key)) = (auths, key) {
            auths.shift_remove(&key);
        }
        self.write(system)
    }

    /// For the owner alone, as docker keeps it.
    fn write(&self, system: &dyn System) -> Result<(), Error> {
        if let Some(folder) = self.path.parent().filter(|_| !self.there)
            && system.metadata(folder, Follow::Yes)?.is_none()
        {
            system.create_dir(folder, 0o700)?;
        }
        let text = serde_json::to_string_pretty(&self.config).unwrap_or_default() + "\n";
        let private = Attributes {
            mode: Some(0o600),
            ..Attributes::default()
        };
        Ok(system.write(&self.path, &mut text.as_bytes(), private)?)
    }
}

/// The credentials for an image's registry, if there are any.
pub fn for_image(name: &str, system: &dyn System) -> Result<Option<DockerCredentials>, Error> {
    let registry = registry(name);
    let login = Store::open(None, system)?.get(registry, system)?;
    Ok(login.map(|login| as_credentials(&login, registry)))
}

/// All that are in the file, for a build that may pull from anywhere.
pub fn all(system: &dyn System) -> Result<Vec<(String, DockerCredentials)>, Error> {
    let store = Store::open(None, system)?;
    let tables = ["auths", "credHelpers"];
    let names = tables
        .iter()
        .filter_map(|table| store.config.get(*table)?.as_object());
    let names: Vec<String> = names.flat_map(|table| table.keys().cloned()).collect();
    let mut found = Vec::new();
    for name in names {
        if let Some(login) = store.get(&name, system)? {
            let credentials = as_credentials(&login, &name);
            found.push((name, credentials));
        }
    }
    Ok(found)
}

fn as_credentials(login: &Login, registry: &str) -> DockerCredentials {
    let address = Some(registry.to_owned());
    if login.username == TOKEN {
        return DockerCredentials {
            identitytoken: Some(login.password.clone()),
            serveraddress: address,
            ..DockerCredentials::default()
        };
    }
    DockerCredentials {
        username: Some(login.username.clone()),
        password: Some(login.password.clone()),
        serveraddress: address,
        ..DockerCredentials::default()
    }
}

/// The registry that an image's name begins with, or docker's own.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// Whether two spellings are the same registry: with and without scheme and path.
fn is_same(one: &str, other: &str) -> bool {
    fn host(text: &str) -> &str {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let host = text.split('/').next().unwrap_or(text);
        match host {
            "docker.io" | "registry-1.docker.io" => "index.docker.io",
            host => host,
        }
    }
    host(one) == host(other)
}

fn ask(helper: &str, registry: &str, system: &dyn System) -> Result<Option<Login>, Error> {
    let Ok(answer) = tell(helper, "get", registry, system) else {
        // Helpers have many words for "there is none".
        return Ok(None);
    };
    let answer: Json = serde_json::from_str(&answer)
        .map_err(|error| Error::new(format!("{helper} answers with something else than JSON: {error}")))?;
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    Ok(text("Username")
        .zip(text("Secret"))
        .map(|(username, password)| Login { username, password }))
}

fn tell(helper: &str, verb: &str, input: &str, system: &dyn System) -> Result<String, Error> {
    let mut command = Command::new([helper, verb]);
    command.stdin = input.as_bytes().to_vec();
    if system.which(helper).is_none() {
        return Err(Error::new(format!(
            "docker's configuration names {helper} as its credential helper, and it is not on the target; install it, or \
             take it out of the configuration"
        )));
    }
    let output = system.run(&command)?;
    if !output.success() {
        return Err(Error::new(format!(
            "{helper} {verb} failed: {}{}",
            output.stdout_text().trim(),
            output.stderr_text().trim()
        )));
    }
    Ok(output.stdout_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn registries_by_any_of_their_names() {
        assert_eq!(registry("reg:5000/a/b:1"), "reg:5000");
        assert_eq!(registry("localhost/a"), "localhost");
        assert_eq!(registry("library/a"), HUB);
        assert!(is_same("https://reg.lab/v1/", "reg.lab"));
        assert!(is_same("docker.io", HUB));
        assert!(!is_same("reg.lab:5000", "reg.lab"));
    }

    #[test]
    fn keeps_what_else_is_in_the_file() {
        let fake = Fake::new();
        fake.directory("/root");
        fake.directory("/root/.docker");
        fake.file(
            "/root/.docker/config.json",
            r#"{"auths":{"a":{"auth":"dTpw"}},"detachKeys":"x"}"#,
        );
        let open = || Store::open(Some("/root/.docker/config.json"), &fake).unwrap();
        let login = Login {
            username: "me".to_owned(),
            password: "s:e".to_owned(),
        };
        open().put("reg:5000", &login, &fake).unwrap();
        assert_eq!(open().get("reg:5000", &fake).unwrap(), Some(login));
        assert_eq!(open().get("a", &fake).unwrap().unwrap().username, "u");
        open().remove("reg:5000", &fake).unwrap();
        assert_eq!(open().get("reg:5000", &fake).unwrap(), None);
        assert!(fake.text("/root/.docker/config.json").contains("detachKeys"));
        let mode = fake
            .metadata("/root/.docker/config.json".as_ref(), Follow::Yes)
            .unwrap();
        assert_eq!(mode.unwrap().mode, 0o600);
    }

    #[test]
    fn a_broken_file_is_not_overwritten() {
        let fake = Fake::new();
        fake.file("/c.json", "{");
        let error = Store::open(Some("/c.json"), &fake).err().unwrap();
        assert!(error.message.contains("repair or remove it"), "{error}");
    }
}
