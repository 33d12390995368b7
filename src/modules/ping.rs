//! `ping`: shows that the target can be logged in to and runs the agent. It is no ICMP.

use serde::Deserialize;

use super::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::wire::message::Outcome;

pub struct Ping;

#[derive(Deserialize)]
pub struct Args {
    data: String,
}

/// There is nothing to change.
pub enum Never {}

impl Module for Ping {
    type Args = Args;
    type Change = Never;
    const SPEC: Spec = Spec {
        name: "ping",
        summary: "shows that a target can be worked on",
        args: &[Arg::str("data")
            .default("pong")
            .doc("what to answer; `crash` makes the module fail as a bug would")],
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, _system: &dyn System) -> Result<Plan<Never>, Error> {
        assert!(args.data != "crash", "boom");
        Ok(Plan::Same(Outcome::ok().with("ping", args.data)))
    }

    fn apply(change: Never, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}
