//! `send_tree`: files of a target for the controller, for `synchronize` with `mode: pull`. Not for playbooks.

use serde::Deserialize;

use crate::modules::files::path::from_text;
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::wire::message::Outcome;

pub struct SendTree;

#[derive(Debug, Deserialize)]
pub struct Args {
    root: String,
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    path: String,
    name: String,
}

impl Module for SendTree {
    type Args = Args;
    type Change = std::convert::Infallible;
    const SPEC: Spec = Spec {
        name: "send_tree",
        summary: "send files to the controller (internal)",
        args: &[
            Arg::str("root").required().doc("the folder that they are in"),
            Arg::list("files")
                .required()
                .doc("path of each, and 64 hexadecimal digits under which it is sent"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        let root = from_text(&args.root);
        for file in &args.files {
            let mut content = system.open(&root.join(from_text(&file.path)))?;
            system.send(&file.name, &mut content)?;
        }
        Ok(Plan::Same(Outcome::ok()))
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}
