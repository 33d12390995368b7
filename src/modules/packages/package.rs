//! `package`: packages by whatever manages them on the target. After ansible.builtin.package.
//!
//! The target is looked at: `apt-get`, `dnf`/`yum` or `apk`, in this order. Arguments beyond name and state are
//! those of the first two; on Alpine there are none.

use serde::Deserialize;

use crate::modules::packages::apt::Apt;
use crate::modules::packages::dnf::Dnf;
use crate::modules::{Arg, Error, Module, Plan, Spec, tool};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Package;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: Vec<String>,
    state: String,
    update_cache: bool,
}

pub enum Change {
    Apt(<Apt as Module>::Change),
    Dnf(<Dnf as Module>::Change),
    Apk(Vec<Command>),
}

impl Module for Package {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "package",
        summary: "Install and remove packages, whatever the distribution",
        args: &[
            Arg::strings("name")
                .required()
                .doc("The packages, under the target's names."),
            Arg::str("state")
                .choices(&["present", "installed", "latest", "absent", "removed"])
                .default("present")
                .doc("What they are to be."),
            Arg::bool("update_cache")
                .default("no")
                .doc("Fetch what the repositories offer first."),
            Arg::str("use")
                .default("auto")
                .doc("Accepted and not needed: the target is looked at."),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let state = match args.state.as_str() {
            "installed" => "present",
            "removed" => "absent",
            state => state,
        };
        let has = |program: &str| system.which(program).is_some();
        if has("apt-get") {
            return delegate::<Apt>(&args, state, system, Change::Apt);
        }
        if ["dnf", "dnf5", "yum", "microdnf"].into_iter().any(has) {
            return delegate::<Dnf>(&args, state, system, Change::Dnf);
        }
        if has("apk") {
            return apk(&args, state, system);
        }
        Err(Error::new(
            "Could not find a package manager: the target has none of apt-get, dnf, yum, apk",
        ))
    }

    fn foresee(change: &Change) -> Foresight {
        match change {
            Change::Apt(change) => Apt::foresee(change),
            Change::Dnf(change) => Dnf::foresee(change),
            Change::Apk(_) => Foresight::Effects(vec![Effect::Files]),
        }
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Apt(change) => Apt::apply(change, system),
            Change::Dnf(change) => Dnf::apply(change, system),
            Change::Apk(calls) => {
                let mut stdout = String::new();
                for call in &calls {
                    stdout.push_str(&tool::text_of(system, call)?);
                }
                Ok(Outcome::changed(true).with("stdout", stdout))
            }
        }
    }
}

/// Another module's `check`, with the arguments that both know.
fn delegate<M: Module>(
    args: &Args,
    state: &str,
    system: &dyn System,
    wrap: fn(M::Change) -> Change,
) -> Result<Plan<Change>, Error> {
    let mut given = Map::new();
    given.insert("name".to_owned(), args.name.clone().into());
    given.insert("state".to_owned(), state.into());
    if args.update_cache {
        given.insert("update_cache".to_owned(), true.into());
    }
    let resolved = M::SPEC
        .resolve(&given)
        .map_err(|error| Error::new(error.message))?;
    let args = Value::Map(resolved).deserialize_into().map_err(|error| {
        Error::new(format!(
            "the arguments of {} are malformed: {error}",
            M::SPEC.name
        ))
    })?;
    Ok(match M::check(args, system)? {
        Plan::Same(outcome) => Plan::Same(outcome),
        Plan::Change { change, predicted } => Plan::Change {
            change: wrap(change),
            predicted,
        },
        Plan::Unknown { change, skipped } => Plan::Unknown {
            change: wrap(change),
            skipped,
        },
    })
}

fn apk(args: &Args, state: &str, system: &dyn System) -> Result<Plan<Change>, Error> {
    let mut call = Command::new(["apk"]);
    call.argv
        .push(if state == "absent" { "del" } else { "add" }.to_owned());
    if args.update_cache && state != "absent" {
        call.argv.push("--update-cache".to_owned());
    }
    if state == "latest" {
        call.argv.push("--upgrade".to_owned());
    }
    for name in &args.name {
        let installed = system.run(&Command::new(["apk", "info", "-e", name]))?.success();
        if state == "latest" || installed == (state == "absent") {
            call.argv.push(name.clone());
        }
    }
    let mut trial = call.clone();
    trial.argv.insert(2, "--simulate".to_owned());
    let nothing = call.argv.iter().skip(2).all(|word| word.starts_with("--"));
    // `apk --simulate` numbers what it would do: `(1/2) Installing ...`.
    if nothing
        || !tool::text_of(system, &trial)?
            .lines()
            .any(|line| line.starts_with('('))
    {
        return Ok(Plan::Same(Outcome::ok()));
    }
    Ok(Plan::Change {
        change: Change::Apk(vec![call]),
        predicted: Outcome::changed(true),
    })
}
