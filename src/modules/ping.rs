//! `ping`: says that the agent is there and well. Changes nothing.

use serde::Deserialize;

use super::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::wire::message::Outcome;

pub struct Ping;

#[derive(Debug, Deserialize)]
pub struct Args {
    data: String,
}

impl Module for Ping {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "ping",
        summary: "see whether a host can be worked on",
        args: &[Arg::str("data")
            .default("pong")
            .doc("what is answered; `crash` fails")],
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, _system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        if args.data == "crash" {
            return Err(Error::new("Task failed: Module failed: boom"));
        }
        Ok(Plan::Same(Outcome::ok().with("ping", args.data)))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn answers() {
        let fake = Fake::new();
        assert_eq!(run::<Ping>(&fake, "{}").values["ping"], "pong".into());
        assert_eq!(
            failure::<Ping>(&fake, r#"{"data":"crash"}"#),
            "Task failed: Module failed: boom"
        );
    }
}
