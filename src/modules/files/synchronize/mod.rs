//! `synchronize`: a folder made like another, after ansible.posix.synchronize, with a transfer of our own: neither side
//! needs rsync.
//!
//! The module itself is for two folders of one machine (`delegate_to` the host itself). Otherwise the controller's
//! action lists one side and has the other compare: [`list_tree`], [`mirror_tree`], [`send_tree`].

pub mod filter;
pub mod itemize;
pub mod list_tree;
pub mod listing;
pub mod mirror;
pub mod mirror_tree;
pub mod options;
pub mod send_tree;

use serde::Deserialize;

use self::listing::list;
use self::mirror::{From, Mirror, Mirrored};
use self::options::{Args as Chosen, inline_patterns};
use crate::modules::files::path::expand;
use crate::modules::files::steps::perform;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::system::foresight::{Effect, Foresight};
use crate::wire::message::{Diff, Outcome};

pub struct Synchronize;

#[derive(Debug, Deserialize)]
pub struct Args {
    src: String,
    dest: String,
    #[serde(flatten)]
    chosen: Chosen,
}

/// The arguments of `synchronize` that the internal modules take, too: as a map.
const OPTIONS: Arg = Arg::dict("options");

impl Module for Synchronize {
    type Args = Args;
    type Change = Decided;
    const SPEC: Spec = Spec {
        name: "synchronize",
        summary: "make a folder like another: what differs is sent, without rsync on either side",
        args: &[
            Arg::path("src")
                .required()
                .doc("file or folder; one that ends in a slash gives what it holds"),
            Arg::path("dest").required().doc("where it goes"),
            Arg::str("mode")
                .choices(&["pull", "push"])
                .default("push")
                .doc("push: from the controller to the target; pull: the other way"),
            Arg::bool("archive")
                .default("yes")
                .doc("recursive, links, perms, times, owner and group, unless said otherwise; devices are not transferred"),
            Arg::bool("recursive").doc("go into folders; as archive"),
            Arg::bool("links").doc("copy links as links; as archive"),
            Arg::bool("copy_links").default("no").doc("copy what links point to"),
            Arg::bool("perms").doc("keep permissions; as archive"),
            Arg::bool("times").doc("keep times; as archive"),
            Arg::bool("owner").doc("keep owners (root only); as archive"),
            Arg::bool("group").doc("keep groups (root only); as archive"),
            Arg::bool("delete").default("no").doc("remove what src does not have"),
            Arg::bool("dirs").default("no").doc("take folders without what is in them"),
            Arg::bool("checksum")
                .default("no")
                .doc("compare contents rather than size and time"),
            Arg::bool("existing_only").default("no").doc("make nothing that is not there"),
            Arg::strings("rsync_opts").doc(
                "words for rsync: --exclude, --include, --exclude-from, --include-from, --filter, --chmod, --chown, \
                 --delete-excluded, --ignore-existing, --update, --size-only, --max-size, --mkpath and the like; others are refused",
            ),
            Arg::bool("compress")
                .default("yes")
                .doc("accepted without effect: what pays is compressed"),
            Arg::bool("partial")
                .default("no")
                .doc("accepted without effect: a large file goes on where it stopped"),
            Arg::bool("delay_updates")
                .default("yes")
                .doc("accepted without effect: each file is replaced in one step"),
            Arg::list("link_dest").doc("refused: hard links are not made"),
            Arg::int("dest_port").doc("accepted without effect: the host's own connection is used"),
            Arg::str("private_key").doc("accepted without effect: as dest_port"),
            Arg::bool("set_remote_user").default("yes").doc("accepted without effect: as dest_port"),
            Arg::bool("use_ssh_args").default("no").doc("accepted without effect: as dest_port"),
            Arg::bool("ssh_connection_multiplexing")
                .default("no")
                .doc("accepted without effect: as dest_port"),
            Arg::bool("verify_host").default("no").doc("accepted without effect: as dest_port"),
            Arg::int("rsync_timeout").default("0").doc("accepted without effect: as dest_port"),
            Arg::str("rsync_path").doc("accepted without effect: there is no rsync"),
        ],
        returns: &[
            Return::new("cmd", "str", "the transfer, as words"),
            Return::new("rc", "int", "0"),
            Return::new("stdout_lines", "list", "what changed, as `rsync --itemize-changes` tells it"),
        ],
        example: "- synchronize:\n    src: site/\n    dest: /srv/site\n    delete: true\n    rsync_opts:\n      - \"--exclude=.git\"\n\
                  - synchronize:\n    mode: pull\n    src: /var/log/app/\n    dest: logs/\n\
                  - synchronize:\n    src: /srv/site/\n    dest: /srv/copy\n  delegate_to: \"{{ inventory_hostname }}\"\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Decided>, Error> {
        let mut chosen = args.chosen;
        let words = chosen.rsync_opts.unwrap_or_default();
        let words = inline_patterns(&words, |name| {
            let bytes = system.read(&expand(name, system)?)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })?;
        chosen.rsync_opts = Some(words);
        let options = chosen.options()?;
        let listing = list(&args.src, &options, system)?;
        let mirror = Mirror {
            dest: &args.dest,
            listing: &listing,
            options: &options,
            from: From::Here,
            direction: '>',
            system,
        };
        Ok(plan(mirror.plan()?, &args.src, &args.dest, &listing.skipped))
    }

    fn apply(change: Decided, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

/// What will be done, and how it will be told.
#[derive(Debug)]
pub struct Decided {
    mirrored: Mirrored,
    outcome: Outcome,
}

impl Decided {
    /// Where contents have to be named first, nothing is done: the result says which.
    pub fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        if self.mirrored.needs.is_empty() {
            perform(&self.mirrored.steps, system)?;
        }
        Ok(self.outcome)
    }

    pub fn foresee(&self) -> Foresight {
        if self.mirrored.needs.is_empty() {
            Foresight::Apply
        } else {
            Foresight::Effects(vec![Effect::Files])
        }
    }
}

/// The decision with its result.
pub fn plan(mirrored: Mirrored, src: &str, dest: &str, skipped: &[String]) -> Plan<Decided> {
    let outcome = told(&mirrored, src, dest, skipped);
    // Times of folders may be set without a word, as rsync does.
    if mirrored.steps.is_empty() && mirrored.needs.is_empty() {
        return Plan::Same(outcome);
    }
    Plan::Change {
        predicted: outcome.clone(),
        change: Decided { mirrored, outcome },
    }
}

fn told(mirrored: &Mirrored, src: &str, dest: &str, skipped: &[String]) -> Outcome {
    let text = mirrored
        .lines
        .iter()
        .flat_map(|line| [line, "\n"])
        .collect::<String>();
    let mut outcome = Outcome::changed(!mirrored.lines.is_empty())
        .with("msg", text.as_str())
        .with("rc", 0)
        .with("cmd", format!("synchronize {src} {dest}"))
        .with("stdout_lines", mirrored.lines.clone());
    if !mirrored.needs.is_empty() {
        outcome = outcome.with("needs", mirrored.needs.clone());
    }
    if !skipped.is_empty() {
        outcome = outcome.with("warnings", skipped.to_vec());
    }
    if !mirrored.lines.is_empty() {
        outcome = outcome.with_diff(Diff {
            before_header: src.to_owned(),
            after_header: dest.to_owned(),
            before: String::new(),
            after: text,
        });
    }
    outcome
}

#[cfg(test)]
mod tests;
