//! Where a task's modules run: the connection, the user to become, the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::attempt::Site;
use super::links::{self, Keywords};
use crate::actions::{Failure, Held, Pending, Target};
use crate::configuration::table;
use crate::connection::{ConnectionError, Transport};
use crate::diagnostic::Diagnostic;
use crate::output::Event;
use crate::playbook::What;
use crate::template::{self, EvalError, Scope};
use crate::value::{Map, Value};
use crate::wire::message::{Become, BecomeMethod, Call, Outcome, Secret};
use crate::yaml::Node;

/// The folder on the target for what is known of jobs.
const ASYNC_DIR: &str = "ANSIBLE_ASYNC_DIR";

impl Site {
    /// Becoming another user: variables, then keywords, then the command line.
    fn become_user(&self, scope: &Arc<Scope>, variables: &Arc<Scope>) -> Result<Option<Become>, EvalError> {
        let settings = &self.run.settings.become_as;
        let variable = |name: &str| -> Result<Option<Value>, EvalError> {
            Ok(variables.value(name)?.filter(|value| *value != Value::Null))
        };
        let text = |name: &str, keyword: &str| -> Result<Option<String>, EvalError> {
            match variable(name)? {
                Some(value) => Ok(Some(value.to_string())),
                None => self.text(keyword, scope),
            }
        };
        let wanted = match variable("ansible_become")? {
            Some(value) => value.truth(),
            None => self.truth("become", scope)?,
        };
        if !wanted.unwrap_or(settings.enabled) {
            return Ok(None);
        }
        let method = text("ansible_become_method", "become_method")?
            .or_else(|| settings.method.clone())
            .unwrap_or_else(|| "sudo".to_owned());
        let method = match crate::playbook::short_name(&method) {
            "sudo" => BecomeMethod::Sudo,
            "su" => BecomeMethod::Su,
            other => {
                return Err(EvalError::new(
                    Diagnostic::error(format!("there is no become method `{other}`"))
                        .hint("the methods are `sudo` and `su`"),
                ));
            }
        };
        let mut password = None;
        for name in [
            "ansible_become_password",
            "ansible_become_pass",
            "ansible_sudo_pass",
        ] {
            if let Some(value) = variable(name)? {
                password = Some(Secret::new(value.to_string()));
                break;
            }
        }
        Ok(Some(Become {
            program: text("ansible_become_exe", "become_exe")?,
            method,
            user: text("ansible_become_user", "become_user")?
                .filter(|user| !user.is_empty())
                .or_else(|| settings.user.clone())
                .unwrap_or_else(|| "root".to_owned()),
            flags: text("ansible_become_flags", "become_flags")?.or_else(|| settings.flags.clone()),
            password: password.or_else(|| settings.password.clone()),
            directory: match method {
                BecomeMethod::Sudo => variable("ansible_sudo_chdir")?.map(|folder| folder.to_string()),
                BecomeMethod::Su => None,
            },
        }))
    }

    /// `environment` of the task and of all that surrounds it, the nearest last.
    fn environment(&self, scope: &Arc<Scope>) -> Result<Environment, EvalError> {
        let mut all = Environment::new();
        for node in self.task.context.all("environment") {
            self.add_environment(node, scope, &mut all)?;
        }
        Ok(all)
    }

    /// A map, a list of maps, or a template that gives one of them.
    fn add_environment(
        &self,
        node: &Node,
        scope: &Arc<Scope>,
        all: &mut Environment,
    ) -> Result<(), EvalError> {
        if let Some(items) = node.as_list() {
            return items
                .iter()
                .try_for_each(|item| self.add_environment(item, scope, all));
        }
        if let Some(map) = node.as_map() {
            for (name, entry) in map.iter() {
                if template::is_omitted(&entry.value, scope)? {
                    continue;
                }
                match template::evaluate(&entry.value, scope) {
                    Ok(value) => {
                        all.insert(name.clone(), value.to_string());
                    }
                    // What facts are to tell is not known while they are gathered.
                    Err(error)
                        if error.undefined && self.task.what == What::Run("gather_facts".to_owned()) => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        let value = template::evaluate(node, scope)?;
        for map in value.as_list().unwrap_or(std::slice::from_ref(&value)) {
            match map {
                Value::Map(map) => {
                    all.extend(map.iter().map(|(name, value)| (name.clone(), value.to_string())));
                }
                Value::Null => {}
                other => {
                    return Err(EvalError::new(
                        Diagnostic::error(format!("`environment` takes a map, not a {}", other.type_name()))
                            .at(&node.span),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Variables for the processes that a task starts.
type Environment = indexmap::IndexMap<String, String>;

/// The host on which a task's modules run.
pub struct Remote<'a> {
    pub site: &'a Site,
    pub scope: &'a Arc<Scope>,
    pub delegate: Option<&'a str>,
    pub check: bool,
    pub diff: bool,
    /// Whether a module has failed there.
    pub failed: &'a AtomicBool,
}

impl Remote<'_> {
    /// What relative paths are below: on the controller itself, the playbook's folder.
    fn directory(&self, transport: &Transport) -> Result<Option<String>, EvalError> {
        match transport {
            Transport::Local => Ok(self.scope.value("playbook_dir")?.map(|folder| folder.to_string())),
            Transport::Ssh(_) => Ok(None),
        }
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A module's call as it is sent.
    pub fn message(&self, module: &str, arguments: Map, transport: &Transport) -> Result<Call, EvalError> {
        Ok(Call {
            module: module.to_owned(),
            arguments,
            check: self.check,
            diff: self.diff,
            directory: self.directory(transport)?,
            environment: self.site.environment(self.scope)?,
        })
    }

    pub fn transport(&self) -> Result<(String, Transport, Option<Become>), Failure> {
        let site = self.site;
        let host = self.delegate.unwrap_or(&site.host).to_owned();
        // Connection variables are those of the host that is connected to, which may be no host of the play.
        let variables = match self.delegate {
            Some(delegate) => site.run.scope(delegate, Some(&site.play), None, Vec::new()),
            None => Arc::clone(self.scope),
        };
        let keywords = Keywords {
            connection: site
                .text("connection", self.scope)?
                .filter(|_| self.delegate.is_none()),
            remote_user: site.text("remote_user", self.scope)?,
            port: site.text("port", self.scope)?.and_then(|port| port.parse().ok()),
        };
        let transport = links::transport(&host, &variables, &keywords, &site.run.settings.login)?;
        let become_user = site.become_user(self.scope, &variables)?;
        Ok((host, transport, become_user))
    }
}

impl Target for Remote<'_> {
    fn call<'a>(
        &'a self,
        module: &'a str,
        arguments: Map,
        held: Held,
    ) -> Pending<'a, Result<Outcome, Failure>> {
        Box::pin(async move {
            let (host, transport, become_user) = self.transport()?;
            let mut call = self.message(module, arguments, &transport)?;
            if matches!(module, "job" | "async_status") && !call.environment.contains_key(ASYNC_DIR) {
                let configured = self.site.run.settings.configuration.value(&table::ASYNC_DIR);
                let folder = self.scope.value("ansible_async_dir")?;
                let folder = folder.as_ref().unwrap_or(configured).to_string();
                call.environment.insert(ASYNC_DIR.to_owned(), folder);
            }
            if let Some(user) = &become_user {
                if user.directory.is_some() {
                    call.directory = None;
                }
                let text = format!("<{host}> EXEC {user}");
                self.site.run.show(&Event::Chatter {
                    verbosity: 3,
                    text: &text,
                });
            }
            let shares = self.site.run.settings.check;
            let contents = held.contents.clone();
            let answers = Arc::new(held);
            let called = self
                .site
                .run
                .links
                .call(&host, &transport, become_user, call, contents, answers, shares)
                .await;
            if called.as_ref().is_ok_and(|outcome| outcome.failed) {
                self.failed.store(true, Ordering::Relaxed);
            }
            called.map_err(|error| match error {
                ConnectionError::Refused { .. } => Failure::new(error.to_string()),
                other => Failure::Unreachable(other.to_string()),
            })
        })
    }

    fn is_local(&self) -> Result<bool, Failure> {
        let (_, transport, _) = self.transport()?;
        Ok(matches!(transport, Transport::Local))
    }

    fn reconnect(&self, within: Option<Duration>) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async move {
            let (host, mut transport, _) = self.transport()?;
            if let (Transport::Ssh(options), Some(within)) = (&mut transport, within) {
                options.timeout = within;
            }
            let opened = self.site.run.links.reopen(&host, &transport).await;
            opened.map_err(|error| Failure::Unreachable(error.to_string()))
        })
    }
}
