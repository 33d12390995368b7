//! `mirror_tree`: the target's half of `synchronize` where the controller has the source. Not for playbooks.
//!
//! Files whose contents are needed and have no digest yet are named in the result (`needs`), and nothing is done: the
//! controller reads only those, and calls again.

use serde::Deserialize;

use super::listing::Listing;
use super::mirror::{From, Mirror};
use super::options::Args as Chosen;
use super::{Decided, OPTIONS, plan};
use crate::modules::{Arg, Error, Module, Plan, Spec};
use crate::system::System;
use crate::system::foresight::Foresight;
use crate::wire::message::Outcome;

pub struct MirrorTree;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    dest: String,
    options: Chosen,
    listing: Listing,
}

impl Module for MirrorTree {
    type Args = Args;
    type Change = Decided;
    const SPEC: Spec = Spec {
        name: "mirror_tree",
        summary: "make a folder like the controller's (internal)",
        args: &[
            Arg::str("src").required().doc("what the source is called"),
            Arg::path("dest").required().doc("file or folder"),
            OPTIONS.required().doc("arguments of synchronize"),
            Arg::dict("listing").required().doc("what is there"),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Decided>, Error> {
        let mirror = Mirror {
            dest: &args.dest,
            listing: &args.listing,
            options: &args.options.options()?,
            from: From::Controller,
            direction: '<',
            system,
        };
        Ok(plan(mirror.plan()?, &args.src, &args.dest, &args.listing.skipped))
    }

    fn apply(change: Decided, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Decided) -> Foresight {
        change.foresee()
    }
}
