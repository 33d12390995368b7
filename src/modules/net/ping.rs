//! `ping`: says that the agent is there and well. Changes nothing.

use serde::Deserialize;

use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
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
        returns: &[Return::new("ping", "str", "the value of `data`")],
        example: "- ping:\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, _system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        if args.data == "crash" {
            return Ok(Plan::Same(Outcome::crashed("boom")));
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
    use crate::modules::testing::run;
    use crate::system::fake::Fake;

    #[test]
    fn answers() {
        let fake = Fake::new();
        assert_eq!(run::<Ping>(&fake, "{}").values["ping"], "pong".into());
        let crashed = run::<Ping>(&fake, r#"{"data":"crash"}"#);
        assert!(crashed.crashed && crashed.failed);
        assert_eq!(crashed.message(), Some("boom"));
    }
}
