//! `fail`: ends the play for a host, with a reason.

use super::{Action, Done, Failure, Invocation, Pending};
use crate::modules::{Arg, Return, Spec};
use crate::wire::message::Outcome;

pub struct Fail;

static SPEC: Spec = Spec {
    name: "fail",
    summary: "fail with a message",
    args: &[Arg::str("msg")
        .default("Failed as requested from task")
        .doc("why")],
    returns: &[Return::new("msg", "str", "what is said")],
    example: "- fail:\n    msg: this host is too old\n  when: ansible_distribution_major_version | int < 12\n",
    free_form: None,
    rules: &[],
};

impl Action for Fail {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { Ok(Outcome::failed(task.arguments["msg"].to_string()).into()) })
    }
}
