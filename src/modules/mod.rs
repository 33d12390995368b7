//! The modules: what runs on a target.
//!
//! A module is one file and one line in [`MODULES`]. It has a table of arguments ([`Spec`]), a `check` that
//! looks and decides without changing anything, and an `apply` that carries the decision out without deciding
//! anything more. All that it sees of the target is a [`System`]: no `std::fs`, no processes of its own.
//!
//! What runs on the controller (reading a template, asking for a signature, setting facts) is in
//! [`crate::actions`].

pub mod certificates;
pub mod commands;
pub mod deployment;
pub mod docker;
pub mod files;
pub mod machine;
pub mod net;
pub mod packages;
pub mod security;
pub mod spec;
pub mod storage;
#[cfg(test)]
mod testing;
mod tool;

use std::cell::RefCell;

use serde::de::DeserializeOwned;

pub use self::spec::{Arg, Kind, Return, Rule, Spec};
use crate::system::foresight::Foresight;
use crate::system::would_be::WouldBe;
use crate::system::{System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// The tables of all groups.
static GROUPS: &[&[&dyn AnyModule]] = &[
    files::MODULES,
    commands::MODULES,
    packages::MODULES,
    machine::MODULES,
    net::MODULES,
    storage::MODULES,
    security::MODULES,
    docker::MODULES,
    certificates::MODULES,
    deployment::MODULES,
];

/// Every module.
pub fn all() -> impl Iterator<Item = &'static dyn AnyModule> {
    GROUPS.iter().flat_map(|group| group.iter().copied())
}

/// Other names of modules, as playbooks still write them.
pub static ALIASES: &[(&str, &str)] = &[("systemd", "systemd_service"), ("yum", "dnf")];

/// The module with this short name or alias.
pub fn find(name: &str) -> Option<&'static dyn AnyModule> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    all().find(|module| module.spec().name == name)
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

    /// What `apply` would leave for the later tasks of a check. What works through files alone needs nothing of its own.
    fn foresee(_change: &Self::Change) -> Foresight {
        Foresight::Apply
    }
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

impl<C> Plan<C> {
    /// One module's plan as that of another, which carries it out.
    pub fn map<D>(self, wrap: impl FnOnce(C) -> D) -> Plan<D> {
        match self {
            Self::Same(outcome) => Plan::Same(outcome),
            Self::Change { change, predicted } => Plan::Change {
                change: wrap(change),
                predicted,
            },
            Self::Unknown { change, skipped } => Plan::Unknown {
                change: wrap(change),
                skipped,
            },
        }
    }
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
    /// In check mode, on what earlier tasks would have made of the machine; what this one would do is added.
    fn predict(&self, arguments: &Map, diff: bool, would_be: &WouldBe) -> Outcome;
    /// Really done amid predictions: of what this changes, they know no better than the machine.
    fn run_amid(&self, arguments: &Map, diff: bool, would_be: &WouldBe) -> Outcome;
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
        if mode.check {
            return self.predict(arguments, mode.diff, &WouldBe::new(system, &RefCell::default()));
        }
        let ended = run::<M>(arguments, system, |_| {});
        told(ended.map_err(|error| advised(error, system.uid())), mode.diff)
    }

    fn predict(&self, arguments: &Map, diff: bool, would_be: &WouldBe) -> Outcome {
        told(predict::<M>(arguments, would_be), diff)
    }

    fn run_amid(&self, arguments: &Map, diff: bool, would_be: &WouldBe) -> Outcome {
        let mut left = Vec::new();
        let ended = would_be.really(|machine| {
            let ended = run::<M>(arguments, machine, |change| {
                if let Foresight::Effects(effects) | Foresight::Both(effects) = M::foresee(change) {
                    left = effects;
                }
            });
            ended.map_err(|error| advised(error, machine.uid()))
        });
        would_be.see(left);
        told(ended, diff)
    }
}

fn arguments<M: Module>(arguments: &Map) -> Result<M::Args, Error> {
    let args = Value::Map(arguments.clone()).deserialize_into::<M::Args>();
    args.map_err(|error| {
        Error::new(format!(
            "the arguments of {} are malformed: {error}",
            M::SPEC.name
        ))
    })
}

/// `decided` is told the change before it is carried out.
fn run<M: Module>(
    given: &Map,
    system: &dyn System,
    decided: impl FnOnce(&M::Change),
) -> Result<Outcome, Error> {
    Ok(match M::check(arguments::<M>(given)?, system)? {
        Plan::Same(outcome) => outcome,
        Plan::Unknown { change, .. } => {
            decided(&change);
            M::apply(change, system)?
        }
        Plan::Change { change, predicted } => {
            decided(&change);
            let mut outcome = M::apply(change, system)?;
            if outcome.diff.is_empty() {
                outcome.diff = predicted.diff;
            }
            outcome
        }
    })
}

fn predict<M: Module>(given: &Map, would_be: &WouldBe) -> Result<Outcome, Error> {
    match M::check(arguments::<M>(given)?, would_be) {
        // It failed for want of something that may be there by then.
        Err(error) if would_be.is_in_doubt() => Ok(unknown(&error.message)),
        Err(error) => Err(error),
        Ok(Plan::Same(outcome)) if outcome.failed && would_be.is_in_doubt() => {
            Ok(unknown(outcome.message().unwrap_or_default()))
        }
        Ok(Plan::Same(outcome)) => Ok(outcome),
        // A command that is only run where something is missing, which may be there by then.
        Ok(plan) if would_be.is_in_doubt() && is_guarded::<M>(&plan) => {
            Ok(unknown("whether it has to be run depends on what is not known"))
        }
        Ok(Plan::Change { change, predicted }) => {
            foresee::<M>(change, would_be);
            Ok(predicted)
        }
        Ok(Plan::Unknown { change, skipped }) => {
            match M::foresee(&change) {
                Foresight::Effects(effects) => would_be.expect(effects),
                Foresight::Apply | Foresight::Both(_) | Foresight::Anything => would_be.expect_anything(),
            }
            Ok(skipped)
        }
    }
}

/// Whether it is a command for which something decides if it is run.
fn is_guarded<M: Module>(plan: &Plan<M::Change>) -> bool {
    match plan {
        Plan::Same(_) => false,
        Plan::Unknown { skipped, .. } => skipped.changed,
        Plan::Change { change, .. } => M::foresee(change) == Foresight::Anything,
    }
}

/// Has later tasks of the check see the change.
fn foresee<M: Module>(change: M::Change, would_be: &WouldBe) {
    match M::foresee(&change) {
        Foresight::Apply => would_be.act(|system| M::apply(change, system)),
        Foresight::Effects(effects) => would_be.expect(effects),
        Foresight::Both(effects) => {
            would_be.act(|system| M::apply(change, system));
            would_be.expect(effects);
        }
        Foresight::Anything => would_be.expect_anything(),
    }
}

/// The result of a task of which a check cannot tell what it would do.
fn unknown(why: &str) -> Outcome {
    Outcome {
        unknown: true,
        ..Outcome::skipped(format!("unknown until applied: {why}")).with("unknown", true)
    }
}

/// How programs say that they may not, in small letters.
const REFUSALS: &[&str] = &[
    "permission denied",
    "access denied",
    "operation not permitted",
    "are you root",
    "must be root",
    "must be privileged",
    "only root",
];

/// What operators are told who were refused something, and what root is: it is refused nothing for want of rights.
const ADVICE: &str = " (the task may need `become: true`)";
const ADVICE_TO_ROOT: &str = " (not even root may: the file may be immutable (`lsattr`), or on a file system that another machine guards)";

/// What to do where a program was refused something; `System` says so of files itself.
fn advised(mut error: Error, uid: u32) -> Error {
    if uid == 0 {
        error.message = error.message.replace(ADVICE, ADVICE_TO_ROOT);
        return error;
    }
    let said = error.values.get("stderr").and_then(Value::as_str);
    let told = format!("{}\n{}", error.message, said.unwrap_or_default()).to_lowercase();
    let refused = REFUSALS.iter().any(|words| told.contains(words));
    if refused && !told.contains("`become: true`") {
        error.message = format!("{}{ADVICE}", error.message.trim_end());
    }
    error
}

/// The outcome as results have it.
fn told(ended: Result<Outcome, Error>, diff: bool) -> Outcome {
    let mut outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => {
            let mut outcome = Outcome::failed(error.message);
            outcome.values.extend(error.values);
            return outcome;
        }
    };
    if !diff {
        outcome.diff.clear();
    }
    if !outcome.diff.is_empty() && !outcome.values.contains_key("diff") {
        let diff = registered(&outcome.diff);
        outcome.values.insert("diff".to_owned(), diff);
    }
    outcome
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

#[test]
fn whoever_is_not_root_is_told_of_become_once() {
    let said = |message: &str, uid| advised(Error::new(message), uid).message;
    let advice = "useradd: Permission denied. (the task may need `become: true`)";
    assert_eq!(said("useradd: Permission denied.\n", 1000), advice);
    assert_eq!(said(advice, 1000), advice);
    assert_eq!(
        said("useradd: Permission denied.", 0),
        "useradd: Permission denied."
    );
    assert_eq!(said("no such user", 1000), "no such user");
    assert!(said(advice, 0).ends_with(ADVICE_TO_ROOT));
    let failed = Error::new("Failed to restart service").with("stderr", "Access denied");
    assert!(advised(failed, 1000).message.ends_with(ADVICE));
}
