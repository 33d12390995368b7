//! The services that use the folder: which of them run, stopping and starting them.

use std::path::Path;

use super::Error;
use crate::modules::machine::systemd_service;
use crate::modules::tool;
use crate::system::{Command, Follow, System};

#[derive(Debug)]
pub(super) struct Services {
    names: Vec<String>,
    systemd: bool,
}

impl Services {
    pub(super) fn find(names: Vec<String>, system: &dyn System) -> Result<Self, Error> {
        let systemd = systemd_service::is_booted(system)?;
        Ok(Self { names, systemd })
    }

    /// Those that run now, in the order in which they are to be stopped.
    pub(super) fn running(&self, system: &dyn System) -> Result<Vec<String>, Error> {
        let mut running = Vec::new();
        for name in &self.names {
            let asks = if self.systemd {
                Command::new(["systemctl", "is-active", "--quiet", "--", name])
            } else {
                self.call(name, "status")
            };
            let known = self.systemd || system.metadata(Path::new(&asks.argv[0]), Follow::Yes)?.is_some();
            if known && system.run(&asks)?.success() {
                running.push(name.clone());
            }
        }
        Ok(running)
    }

    pub(super) fn stop(&self, names: &[String], system: &dyn System) -> Result<(), Error> {
        for name in names {
            tool::run(system, &self.call(name, "stop"))?;
        }
        Ok(())
    }

    pub(super) fn start(&self, names: &[String], system: &dyn System) -> Result<(), Error> {
        for name in names.iter().rev() {
            tool::run(system, &self.call(name, "start"))?;
        }
        Ok(())
    }

    fn call(&self, name: &str, verb: &str) -> Command {
        if self.systemd {
            Command::new(["systemctl", verb, "--", name])
        } else {
            Command::new([format!("/etc/init.d/{name}"), verb.to_owned()])
        }
    }
}
