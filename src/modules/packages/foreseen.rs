//! What package modules tell the later tasks of a check, and ask of the earlier ones.
//!
//! A package is known by its name, or by its name within what holds it (`pip /srv/app django`); its state is its version, empty where
//! that is not known. Each change of packages brings files that nobody can name.

use crate::system::System;
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::value::Value;

/// What an earlier task of this check would have made of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// With its version, if that is known.
    Installed(Option<String>),
    Removed,
}

/// None where no earlier task would have touched it.
pub fn of(name: &str, system: &dyn System) -> Option<Foreseen> {
    system.foreseen(Subject::Package, name).map(|is| match is {
        Value::Null => Foreseen::Removed,
        Value::Str(version) if !version.is_empty() => Foreseen::Installed(Some(version)),
        _ => Foreseen::Installed(None),
    })
}

/// Packages as a change would leave them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packages(Vec<(String, Value)>);

impl Packages {
    pub fn install(&mut self, name: impl Into<String>, version: &str) {
        self.0.push((name.into(), version.into()));
    }

    pub fn remove(&mut self, name: impl Into<String>) {
        self.0.push((name.into(), Value::Null));
    }

    /// Of these names, installed or gone.
    pub fn of(names: &[String], installed: bool) -> Self {
        let mut packages = Self::default();
        for name in names {
            if installed {
                packages.install(name, "");
            } else {
                packages.remove(name);
            }
        }
        packages
    }

    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    pub fn foresight(&self) -> Foresight {
        let states = self.0.iter().map(|(name, is)| Effect::State {
            of: Subject::Package,
            name: name.clone(),
            is: is.clone(),
        });
        Foresight::Effects(states.chain([Effect::Files]).collect())
    }
}
