//! The open connections: one a host and login, for the whole run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use super::settings::LoginSettings;
use super::ssh_arguments;
use crate::actions::Failure;
use crate::connection::{
    Answers, ConnectionError, Content, Executables, Foretold, Link, SshOptions, Traffic, Transport,
};
use crate::diagnostic::Diagnostic;
use crate::template::{EvalError, Scope};
use crate::value::Value;
use crate::wire::message::{Batch, Become, Call, Outcome, Secret};

/// Messages this often keep a connection alive through firewalls that forget idle ones.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Variables that hold options of the ssh program; in the order of `LoginSettings::ssh_arguments`.
const SSH_ARGUMENTS: [&str; 3] = [
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_args",
];

type Slot = Arc<Mutex<Option<Link>>>;

/// All links, opened when they are first needed.
pub struct Links {
    executables: Arc<Executables>,
    slots: std::sync::Mutex<HashMap<String, Slot>>,
    /// What a check has predicted of each host.
    foretold: std::sync::Mutex<HashMap<String, Arc<Mutex<Foretold>>>>,
}

impl Links {
    pub fn new() -> Self {
        Self {
            executables: Arc::new(Executables::of_this_process()),
            slots: std::sync::Mutex::default(),
            foretold: std::sync::Mutex::default(),
        }
    }

    fn slot(&self, host: &str, transport: &Transport) -> Slot {
        let key = match transport {
            Transport::Local => format!("{host}\0local"),
            Transport::Ssh(options) => {
                format!("{host}\0{}\0{:?}\0{:?}", options.host, options.port, options.user)
            }
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }

    fn foretold(&self, host: &str) -> Arc<Mutex<Foretold>> {
        let mut foretold = self.foretold.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(foretold.entry(host.to_owned()).or_default())
    }

    /// Runs one call on a host. `shares`: the run is a check, and later predictions build on what this one tells.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the call of its own")]
    pub async fn call(
        &self,
        host: &str,
        transport: &Transport,
        become_user: Option<Become>,
        call: Call,
        contents: Vec<Content>,
        answers: Arc<dyn Answers>,
        shares: bool,
    ) -> Result<Outcome, ConnectionError> {
        let slot = self.slot(host, transport);
        let mut slot = slot.lock().await;
        let mut link = match slot.take() {
            Some(link) => link,
            None => Link::open(transport, &self.executables).await?,
        };
        let batch = Batch {
            id: 0,
            become_user,
            compress: false,
            calls: vec![call],
            foreseen: None,
        };
        let mut outcome = None;
        let result = |_, result| outcome = Some(result);
        let ran = if shares {
            let foretold = self.foretold(host);
            let mut foretold = foretold.lock().await;
            link.predict(batch, contents, answers, &mut foretold, result)
                .await
        } else {
            link.run(batch, contents, answers, result).await
        };
        match ran {
            // The link is fit for more: put it back. After any other error it is dropped.
            Ok(()) | Err(ConnectionError::Refused { .. }) => *slot = Some(link),
            Err(_) => {}
        }
        ran?;
        outcome.ok_or_else(|| ConnectionError::Agent {
            host: host.to_owned(),
            reason: "it ended the task without a result".to_owned(),
        })
    }

    /// Forgets the links of a host: the next task logs in anew.
    pub async fn reset(&self, host: &str) {
        let slots: Vec<Slot> = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let prefix = format!("{host}\0");
            slots
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(_, slot)| Arc::clone(slot))
                .collect()
        };
        for slot in slots {
            if let Some(link) = slot.lock().await.take() {
                link.close().await;
            }
        }
    }

    /// Logs in anew. The old link is not ended but dropped: the host at its other end may be gone.
    pub async fn reopen(&self, host: &str, transport: &Transport) -> Result<(), ConnectionError> {
        let slot = self.slot(host, transport);
        let mut slot = slot.lock().await;
        slot.take();
        *slot = Some(Link::open(transport, &self.executables).await?);
        Ok(())
    }

    /// Ends all agents. Gives what each connection has cost, by host.
    pub async fn close(&self) -> Vec<(String, Arc<Traffic>)> {
        let slots: Vec<(String, Slot)> = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.drain().collect()
        };
        let mut closing = tokio::task::JoinSet::new();
        for (key, slot) in slots {
            closing.spawn(async move {
                let link = slot.lock().await.take()?;
                let traffic = Arc::clone(link.traffic());
                link.close().await;
                let host = key.split('\0').next().unwrap_or_default().to_owned();
                Some((host, traffic))
            });
        }
        let mut costs: Vec<(String, Arc<Traffic>)> = closing.join_all().await.into_iter().flatten().collect();
        costs.sort_by(|(one, _), (other, _)| one.cmp(other));
        costs
    }
}

/// Keywords of the task that concern the connection, already evaluated.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    pub connection: Option<String>,
    pub remote_user: Option<String>,
    pub port: Option<u16>,
}

/// Where `host` is, from its variables, the task's keywords and the command line, in this order.
pub fn transport(
    host: &str,
    scope: &Arc<Scope>,
    keywords: &Keywords,
    login: &LoginSettings,
) -> Result<Transport, Failure> {
    let text = |names: &[&str]| -> Result<Option<String>, EvalError> {
        for name in names {
            if let Some(value) = scope.value(name)?
                && value != Value::Null
            {
                return Ok(Some(value.to_string()));
            }
        }
        Ok(None)
    };
    let connection = text(&["ansible_connection"])?
        .or_else(|| keywords.connection.clone())
        .or_else(|| login.connection.clone())
        .unwrap_or_else(|| "ssh".to_owned());
    match crate::playbook::short_name(&connection) {
        "local" => return Ok(Transport::Local),
        "ssh" | "smart" | "paramiko" | "paramiko_ssh" => {}
        other => {
            let unknown = Diagnostic::error(format!("there is no connection `{other}` for {host}"));
            return Err(unknown.hint("the connections are `ssh` and `local`").into());
        }
    }
    let truth = |name: &str| -> Result<Option<bool>, EvalError> {
        Ok(scope.value(name)?.and_then(|value| value.truth()))
    };
    let mut options = Vec::new();
    for (variable, usual) in SSH_ARGUMENTS.into_iter().zip(&login.ssh_arguments) {
        options.extend(text(&[variable])?.or_else(|| usual.clone()));
    }
    // As with the program itself, a login that its options spoil is a host that is not reached.
    let options = ssh_arguments::parse(&options.join(" ")).map_err(|error| {
        Failure::Unreachable(format!(
            "Failed to connect to the host via ssh: {}",
            error.message
        ))
    })?;
    let checking = truth("ansible_ssh_host_key_checking")?.or(truth("ansible_host_key_checking")?);
    let patience = text(&["ansible_ssh_timeout", "ansible_timeout"])?
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let password = text(&["ansible_ssh_password", "ansible_ssh_pass", "ansible_password"])?;
    Ok(Transport::Ssh(SshOptions {
        host: text(&["ansible_ssh_host", "ansible_host"])?.unwrap_or_else(|| host.to_owned()),
        port: text(&["ansible_ssh_port", "ansible_port"])?
            .and_then(|port| port.parse().ok())
            .or(keywords.port)
            .or(login.port)
            .or(options.port),
        user: text(&["ansible_ssh_user", "ansible_user"])?
            .or_else(|| keywords.remote_user.clone())
            .or_else(|| login.user.clone())
            .or(options.user),
        password: password.map(Secret::new).or_else(|| login.password.clone()),
        private_key: text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])?
            .map(home)
            .or_else(|| login.private_key.clone())
            .or(options.identity),
        private_key_passphrase: text(&["ansible_ssh_private_key_passphrase"])?
            .map(Secret::new)
            .or_else(|| login.passphrase.clone()),
        host_key_checking: checking
            .unwrap_or(login.host_key_checking && options.host_key_checking.unwrap_or(true)),
        timeout: options.timeout.or(patience).unwrap_or(login.timeout),
        known_hosts: options.known_hosts,
        keepalive: KEEPALIVE,
    }))
}

/// A path of the controller with `~` resolved.
pub fn home(text: String) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::scope::layer;
    use crate::template::SearchPath;

    #[test]
    fn a_host_says_how_long_it_may_be_waited_for() {
        let login = LoginSettings {
            connection: None,
            user: None,
            port: None,
            password: None,
            private_key: None,
            passphrase: None,
            ssh_arguments: [const { None }; 3],
            host_key_checking: true,
            timeout: Duration::from_secs(10),
        };
        for (variables, seconds) in [
            (&[][..], 10),
            (&[("ansible_timeout", "300")], 300),
            (&[("ansible_timeout", "300"), ("ansible_ssh_timeout", "20")], 20),
            (
                &[
                    ("ansible_timeout", "300"),
                    ("ansible_ssh_args", "-o ConnectTimeout=5"),
                ],
                5,
            ),
        ] {
            let names = variables
                .iter()
                .map(|(name, text)| ((*name).to_owned(), Value::from(*text)));
            let scope = Scope::new(vec![layer(names)], SearchPath::default());
            let found = transport("host", &scope, &Keywords::default(), &login).unwrap();
            let Transport::Ssh(options) = found else {
                panic!("{found:?}")
            };
            assert_eq!(options.timeout, Duration::from_secs(seconds), "{variables:?}");
        }
    }
}
