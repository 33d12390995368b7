//! `docker_login`: the credentials for a registry in docker's own configuration. After `community.docker.docker_login`.
//!
//! The engine asks the registry whether they are right before they are written; wrong ones are never kept. Those that are
//! there already are asked about again only with `reauthorize`.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::credentials::{HUB, Login, Store};
use super::engine::connection::with_engine_args;
use super::engine::{Address, ConnectionArgs};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::value::{Secret, Value};
use crate::wire::message::{Diff, Outcome};

pub struct DockerLogin;

#[derive(Debug, Deserialize)]
pub struct Args {
    registry_url: String,
    username: Option<String>,
    password: Option<Secret>,
    config_path: Option<String>,
    reauthorize: bool,
    state: String,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

pub struct Change {
    store: Store,
    registry: String,
    /// None to log out.
    login: Option<Login>,
    address: Address,
    /// Whether the file has to be written.
    write: bool,
    outcome: Outcome,
}

impl Module for DockerLogin {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "docker_login",
        summary: "Log in to a container registry, or out of it",
        args: with_engine_args![
            Arg::str("registry_url")
                .aliases(&["registry", "url"])
                .default(HUB)
                .doc("the registry: HOST[:PORT], or the URL of docker's own"),
            Arg::str("username").doc("who; needed to log in"),
            Arg::str("password")
                .secret()
                .doc("the password or token; needed to log in"),
            Arg::path("config_path")
                .aliases(&["dockercfg_path"])
                .doc("docker's configuration; ~/.docker/config.json unless given"),
            Arg::bool("reauthorize")
                .aliases(&["reauth"])
                .default("no")
                .doc("ask the registry even if the same credentials are there"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("logged in or out"),
        ],
        returns: &[Return::new(
            "login_result",
            "dict",
            "what the engine says of it: `Status`; `username`, `serveraddress`",
        )
        .when("state is present")],
        example: "\
- community.docker.docker_login:
    registry_url: registry.example.org
    username: deploy
    password: \"{{ registry_password }}\"
",
        free_form: None,
        rules: &[Rule::If("state", "present", &["username", "password"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let address = args.connection.resolve(system)?;
        let store = Store::open(args.config_path.as_deref(), system)?;
        let registry = args.registry_url;
        let now = store.get(&registry, system)?;
        let login = args
            .username
            .zip(args.password)
            .map(|(username, password)| Login {
                username,
                password: password.reveal().to_owned(),
            });
        let login = login.filter(|_| args.state == "present");
        let write = now != login;
        let mut outcome = Outcome::changed(write);
        if let Some(login) = &login {
            let result = json!({ "username": login.username, "serveraddress": registry });
            outcome = outcome.with("login_result", Value::from_serialize(result).unwrap_or_default());
        }
        if write {
            let side = |login: Option<&Login>| {
                login.map_or_else(String::new, |login| format!("{registry}: {}\n", login.username))
            };
            outcome.diff.push(Diff {
                before_header: store.path().display().to_string(),
                after_header: store.path().display().to_string(),
                before: side(now.as_ref()),
                after: side(login.as_ref()),
            });
        }
        let ask = args.reauthorize && login.is_some();
        if !write && !ask {
            return Ok(Plan::Same(outcome));
        }
        let change = Change {
            store,
            registry,
            login,
            address,
            write,
            outcome: outcome.clone(),
        };
        Ok(Plan::Change {
            change,
            predicted: outcome,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let Some(login) = &change.login else {
            change.store.remove(&change.registry, system)?;
            return Ok(change.outcome);
        };
        let answer = ask(&change.address, &change.registry, login, system)?;
        if change.write {
            change.store.put(&change.registry, login, system)?;
        }
        let mut outcome = change.outcome;
        if let (Some(Value::Map(result)), Some(status)) =
            (outcome.values.get_mut("login_result"), answer["Status"].as_str())
        {
            result.insert("Status".to_owned(), status.into());
        }
        Ok(outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        match change.login {
            None if change.store.is_file(&change.registry) => Foresight::Apply,
            // Whether the credentials would get into the file only the registry can tell.
            _ => Foresight::Effects(Vec::new()),
        }
    }
}

/// Lets the engine try the credentials.
fn ask(address: &Address, registry: &str, login: &Login, system: &dyn System) -> Result<Json, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!(
            "Logging into {registry} for user {} failed - {why}",
            login.username
        ))
    };
    let body = json!({
        "username": login.username, "password": login.password, "serveraddress": registry
    });
    let (status, answer) = address.ask("POST", "/auth", Some(&body), system)?;
    match status {
        200 | 204 => Ok(answer),
        _ => Err(failed(
            &answer["message"]
                .as_str()
                .unwrap_or("the engine does not say why"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    const LOGIN: &str = r#"{"registry_url":"reg:5000","username":"me","password":"secret"}"#;

    #[test]
    fn nothing_is_asked_or_written_if_it_is_there() {
        let fake = Fake::new();
        fake.directory("/root").directory("/root/.docker");
        fake.file(
            "/root/.docker/config.json",
            r#"{"auths":{"reg:5000":{"auth":"bWU6c2VjcmV0"}}}"#,
        );
        let with = |more: &str| {
            format!(r#"{{"registry_url":"reg:5000","config_path":"/root/.docker/config.json"{more}}}"#)
        };
        let again = run::<DockerLogin>(&fake, &with(r#","username":"me","password":"secret""#));
        assert!(!again.changed && !again.failed, "{again:?}");
        let other = check::<DockerLogin>(&fake, &with(r#","username":"me","password":"other""#));
        assert!(
            other.changed && !format!("{other:?}").contains("other"),
            "{other:?}"
        );
        let out = run::<DockerLogin>(&fake, &with(r#","state":"absent""#));
        assert!(out.changed, "{out:?}");
        assert!(!fake.text("/root/.docker/config.json").contains("reg:5000"));
        assert!(!run::<DockerLogin>(&fake, &with(r#","state":"absent""#)).changed);
    }

    #[test]
    fn without_an_engine_nothing_is_written() {
        let fake = Fake::new();
        fake.directory("/root");
        let told = failure::<DockerLogin>(&fake, &LOGIN.replace('}', r#","config_path":"/root/c.json"}"#));
        assert!(told.contains("is docker installed and running?"), "{told}");
        assert!(failure::<DockerLogin>(&fake, r#"{"username":"me"}"#).contains("password"));
    }
}
