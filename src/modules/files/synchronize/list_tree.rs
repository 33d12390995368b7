//! `list_tree`: what `synchronize` would transfer from a target. Not for playbooks.

use serde::Deserialize;

use super::OPTIONS;
use super::listing::list;
use super::options::Args as Chosen;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct ListTree;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    options: Chosen,
}

impl Module for ListTree {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "list_tree",
        summary: "list what synchronize would transfer (internal)",
        args: &[
            Arg::path("src").required().doc("file or folder"),
            OPTIONS.required().doc("arguments of synchronize"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let listing = list(&args.src, &args.options.options()?, system)?;
        let listing = serde_json::to_value(&listing)
            .and_then(serde_json::from_value::<Value>)
            .map_err(|error| Error::new(format!("the listing cannot be told: {error}")))?;
        Ok(Plan::Same(Outcome::ok().with("listing", listing)))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}
