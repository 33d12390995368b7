//! `regdeploy-registry retention`: what the rules let go, before and after.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::fail;
use super::workplace::{Workplace, have, time};
use crate::registry::content::retain::{Fate, Retained};
use crate::registry::control::message::Request;

#[derive(Subcommand)]
pub enum Verb {
    /// Say what would go, and why everything else stays
    Plan(Which),
    /// Delete what the plan says; the collector removes the data later
    Apply(Which),
}

/// Let tags go by the rules of `storage.maintenance.retention`.
///
/// The rules are those of the configuration given here, so that new ones can be tried before the server has them.
/// A tag is governed by the first rule that matches its repository and name; where none does, it stays.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    workplace: Workplace,
    /// Leave out what stays
    #[arg(long)]
    deleted: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let (which, apply) = match &arguments.verb {
        Verb::Plan(which) => (which, false),
        Verb::Apply(which) => (which, true),
    };
    let workplace = &which.workplace;
    let Some(config) = workplace.config() else {
        return ExitCode::FAILURE;
    };
    let rules = config.retention.rules.clone();
    let told = have(&config, &Request::Retain { rules, apply }, None, |item| {
        let Ok(fate) = serde_json::from_value::<Fate>(item.clone()) else {
            return;
        };
        if fate.kept && which.deleted {
            return;
        }
        if workplace.json {
            println!("{item}");
        } else {
            let verb = match (fate.kept, apply) {
                (true, _) => "keep",
                (false, false) => "would delete",
                (false, true) => "deleted",
            };
            let between = if fate.reference.contains(':') { '@' } else { ':' };
            println!(
                "{verb} {}{between}{} (pushed {}): {}",
                fate.repository,
                fate.reference,
                time(fate.pushed),
                fate.why
            );
        }
    });
    match told {
        Ok(done) => workplace.tell(&done, |done: &Retained| {
            format!(
                "{}: {} tags kept, {} tags and {} manifests {}\n",
                if apply { "applied" } else { "plan" },
                done.kept_tags,
                done.deleted_tags,
                done.deleted_manifests,
                if apply { "deleted" } else { "to be deleted" }
            )
        }),
        Err(error) => fail(&error),
    }
}
