//! The modules: what runs on a target.
//!
//! A module is one file and one line in [`MODULES`]. It has a table of arguments ([`Spec`]), a `check` that
//! looks and decides without changing anything, and an `apply` that carries the decision out without deciding
//! anything more. All that it sees of the target is a [`System`]: no `std::fs`, no processes of its own.
//!
//! What runs on the controller (reading a template, asking for a signature, setting facts) is in
//! [`crate::actions`].

pub mod apt;
pub mod assemble;
pub mod async_status;
mod attributes;
pub mod blockinfile;
pub mod command;
mod content;
pub mod copy;
pub mod deb822_repository;
pub mod debconf;
pub mod dnf;
pub mod docker;
mod editing;
mod expand;
pub mod file;
pub mod find;
mod flags;
pub mod get_url;
pub mod getent;
pub mod git;
pub mod group;
pub mod install_self;
pub mod job;
pub mod json_merge;
pub mod known_hosts;
pub mod lineinfile;
mod mode;
pub mod package;
pub mod package_facts;
mod path;
mod pattern;
pub mod ping;
pub mod place;
mod placing;
pub mod raw;
pub mod read_part;
pub mod registry_probe;
pub mod relocate;
pub mod replace;
pub mod run_script;
pub mod service;
pub mod service_facts;
pub mod setup;
pub mod shell;
pub mod slurp;
pub mod spec;
pub mod stat;
mod steps;
pub mod systemd_service;
pub mod tempfile;
#[cfg(test)]
mod testing;
mod tool;
pub mod unarchive;
pub mod uri;
pub mod user;
pub mod wait_for;
mod web;
pub mod x509_ca;
pub mod x509_certificate;

use serde::de::DeserializeOwned;

pub use self::spec::{Arg, Kind, Rule, Spec};
use crate::system::{System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// Every module, by name.
pub static MODULES: &[&dyn AnyModule] = &[
    &entry::<apt::Apt>(),
    &entry::<assemble::Assemble>(),
    &entry::<async_status::AsyncStatus>(),
    &entry::<blockinfile::Blockinfile>(),
    &entry::<command::Command>(),
    &entry::<copy::Copy>(),
    &entry::<deb822_repository::Deb822Repository>(),
    &entry::<debconf::Debconf>(),
    &entry::<dnf::Dnf>(),
    &entry::<docker::container::DockerContainer>(),
    &entry::<docker::image::DockerImage>(),
    &entry::<file::File>(),
    &entry::<find::Find>(),
    &entry::<get_url::GetUrl>(),
    &entry::<getent::Getent>(),
    &entry::<git::Git>(),
    &entry::<group::Group>(),
    &entry::<install_self::InstallSelf>(),
    &entry::<job::Job>(),
    &entry::<json_merge::JsonMerge>(),
    &entry::<known_hosts::KnownHosts>(),
    &entry::<lineinfile::Lineinfile>(),
    &entry::<package::Package>(),
    &entry::<package_facts::PackageFacts>(),
    &entry::<ping::Ping>(),
    &entry::<place::Place>(),
    &entry::<raw::Raw>(),
    &entry::<read_part::ReadPart>(),
    &entry::<registry_probe::RegistryProbe>(),
    &entry::<relocate::Relocate>(),
    &entry::<replace::Replace>(),
    &entry::<run_script::RunScript>(),
    &entry::<service::Service>(),
    &entry::<service_facts::ServiceFacts>(),
    &entry::<setup::Setup>(),
    &entry::<shell::Shell>(),
    &entry::<slurp::Slurp>(),
    &entry::<stat::Stat>(),
    &entry::<systemd_service::SystemdService>(),
    &entry::<tempfile::Tempfile>(),
    &entry::<unarchive::Unarchive>(),
    &entry::<uri::Uri>(),
    &entry::<user::User>(),
    &entry::<wait_for::WaitFor>(),
    &entry::<x509_certificate::X509Certificate>(),
];

/// Other names of modules, as playbooks still write them.
pub static ALIASES: &[(&str, &str)] = &[("systemd", "systemd_service"), ("yum", "dnf")];

/// The module with this short name or alias.
pub fn find(name: &str) -> Option<&'static dyn AnyModule> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    MODULES.iter().copied().find(|module| module.spec().name == name)
}

/// What one module says of itself.
pub trait Module: Sync {
    /// The resolved arguments, read from [`Spec::resolve`]'s map.
    type Args: DeserializeOwned;
    /// A decision: all that `apply` needs to know.
    type Change;
    const SPEC: Spec;

    /// Looks at the target and decides. Never changes anything.
    fn check(args: Self::Args, system: &dyn System) -> Result<Plan<Self::Change>, Error>;

    /// Carries out what `check` decided. Never decides.
    fn apply(change: Self::Change, system: &dyn System) -> Result<Outcome, Error>;
}

/// What `check` found.
#[derive(Debug)]
pub enum Plan<C> {
    /// All is as it should be (or there was only something to be read).
    Same(Outcome),
    /// This would change; `predicted` is the result as far as it is known, its diff included.
    Change { change: C, predicted: Outcome },
    /// Only doing it tells: a command. In check mode nothing is run and `skipped` is the result.
    Unknown { change: C, skipped: Outcome },
}

/// Why a module could not do its work: a message for people and, where the module has more to tell, other
/// keys of the result (`rc`, `stdout`...).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub message: String,
    pub values: Map,
}

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            values: Map::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }
}

impl From<SystemError> for Error {
    fn from(error: SystemError) -> Self {
        Self::new(error.to_string())
    }
}

/// How a module is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    pub check: bool,
    pub diff: bool,
}

/// A [`Module`] whose types are hidden, so that all fit in one table.
pub trait AnyModule: Sync {
    fn spec(&self) -> &'static Spec;
    fn run(&self, arguments: &Map, mode: Mode, system: &dyn System) -> Outcome;
}

/// Puts a module into the table: `&Entry(PhantomData::<Copy>)`, spelt `entry::<Copy>()`.
pub struct Entry<M>(std::marker::PhantomData<fn() -> M>);

pub const fn entry<M: Module>() -> Entry<M> {
    Entry(std::marker::PhantomData)
}

impl<M: Module + 'static> AnyModule for Entry<M> {
    fn spec(&self) -> &'static Spec {
        const { &M::SPEC }
    }

    fn run(&self, arguments: &Map, mode: Mode, system: &dyn System) -> Outcome {
        run::<M>(arguments, mode, system).unwrap_or_else(|error| {
            let mut outcome = Outcome::failed(error.message);
            outcome.values.extend(error.values);
            outcome
        })
    }
}

fn run<M: Module>(arguments: &Map, mode: Mode, system: &dyn System) -> Result<Outcome, Error> {
    let args = Value::Map(arguments.clone())
        .deserialize_into::<M::Args>()
        .map_err(|error| {
            Error::new(format!(
                "the arguments of {} are malformed: {error}",
                M::SPEC.name
            ))
        })?;
    let mut outcome = match M::check(args, system)? {
        Plan::Same(outcome) => outcome,
        Plan::Unknown { skipped, .. } if mode.check => skipped,
        Plan::Unknown { change, .. } => M::apply(change, system)?,
        Plan::Change { predicted, .. } if mode.check => predicted,
        Plan::Change { change, predicted } => {
            let mut outcome = M::apply(change, system)?;
            if outcome.diff.is_empty() {
                outcome.diff = predicted.diff;
            }
            outcome
        }
    };
    if !mode.diff {
        outcome.diff.clear();
    }
    if !outcome.diff.is_empty() && !outcome.values.contains_key("diff") {
        let diff = registered(&outcome.diff);
        outcome.values.insert("diff".to_owned(), diff);
    }
    Ok(outcome)
}

/// Differences as results carry them: the only one itself, several as a list.
fn registered(diffs: &[Diff]) -> Value {
    let values: Vec<Value> = diffs.iter().map(|diff| Value::Map(sides(diff))).collect();
    match <[Value; 1]>::try_from(values) {
        Ok([only]) => only,
        Err(several) => Value::List(several),
    }
}

/// Sides without headers are states, told as JSON.
fn sides(diff: &Diff) -> Map {
    let side = |text: &str| {
        let state = diff.before_header.is_empty() && diff.after_header.is_empty();
        let map = state.then(|| serde_json::from_str::<Map>(text).ok()).flatten();
        map.map_or_else(|| Value::from(text), Value::Map)
    };
    let mut sides = Map::from_iter([
        ("before".to_owned(), side(&diff.before)),
        ("after".to_owned(), side(&diff.after)),
    ]);
    for (key, header) in [
        ("before_header", &diff.before_header),
        ("after_header", &diff.after_header),
    ] {
        if !header.is_empty() {
            sides.insert(key.to_owned(), header.as_str().into());
        }
    }
    sides
}
