//! `group`: groups of the target, by `groupadd` and its kin. After ansible.builtin.group.
//!
//! Deliberately no `busybox` tools: where `groupadd` is missing the task says so.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use serde::Deserialize;

use super::user::next_id;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{self, Command, System};
use crate::wire::message::Outcome;

pub struct Group;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    name: String,
    gid: Option<u32>,
    state: String,
    system: bool,
    non_unique: bool,
    force: bool,
    local: bool,
    gid_min: Option<u32>,
    gid_max: Option<u32>,
}

/// The program to run and the result if it succeeds.
#[derive(Debug)]
pub struct Change {
    command: Command,
    outcome: Outcome,
    effect: Effect,
}

impl Args {
    /// The program, or its counterpart for the local files alone.
    fn program(&self, name: &str) -> String {
        format!("{}{name}", if self.local { "l" } else { "" })
    }
}

impl Module for Group {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "group",
        summary: "Keep a group",
        args: &[
            Arg::str("name").required().doc("The group."),
            Arg::int("gid").doc("Its number."),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("Whether it is there."),
            Arg::bool("system")
                .default("no")
                .doc("A number from the range for services."),
            Arg::bool("non_unique")
                .default("no")
                .doc("Allow a number that another group has."),
            Arg::bool("force")
                .default("no")
                .doc("Remove it even if it is a user's primary group."),
            Arg::bool("local")
                .default("no")
                .doc("By libuser's tools, in the local files."),
            Arg::int("gid_min").doc("The lowest number to choose from."),
            Arg::int("gid_max").doc("The highest."),
        ],
        returns: &[
            Return::new("name", "str", "the group"),
            Return::new("gid", "int", "its number"),
            Return::new("state", "str", "whether it is to be there"),
            Return::new(
                "system",
                "bool",
                "whether a number from the range for services was asked for",
            ),
        ],
        example: "- group:\n    name: registry\n    system: true\n",
        free_form: None,
        rules: &[
            Rule::If("non_unique", "True", &["gid"]),
            Rule::Exclusive(&["local", "gid_min"]),
            Rule::Exclusive(&["local", "gid_max"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let groups = system.groups()?;
        let current = groups.iter().find(|group| group.name == args.name);
        refusal(&args, current, &groups, system)?;
        let mut argv: Vec<String> = Vec::new();
        let mut outcome = Outcome::ok()
            .with("name", args.name.as_str())
            .with("state", args.state.as_str())
            .with("system", args.system);
        match (args.state.as_str(), current) {
            ("absent", None) => {}
            ("absent", Some(_)) => {
                argv.push(args.program("groupdel"));
                if args.force && !args.local {
                    argv.push("-f".to_owned());
                }
            }
            (_, None) => {
                argv.push(args.program("groupadd"));
                if args.system {
                    argv.push("-r".to_owned());
                }
                for (name, limit) in [("GID_MIN", args.gid_min), ("GID_MAX", args.gid_max)] {
                    argv.extend(
                        limit
                            .into_iter()
                            .flat_map(|gid| ["-K".to_owned(), format!("{name}={gid}")]),
                    );
                }
            }
            (_, Some(group)) if args.gid.is_some_and(|gid| gid != group.gid) => {
                argv.push(args.program("groupmod"));
            }
            (_, Some(_)) => {}
        }
        let gid = args.gid.or(current.map(|group| group.gid));
        if args.state == "present"
            && let Some(gid) = gid
        {
            outcome = outcome.with("gid", gid);
        }
        let Some(program) = argv.first().cloned() else {
            return Ok(Plan::Same(outcome));
        };
        tool::require(system, &program, "manage groups")?;
        if args.state == "present"
            && let Some(gid) = args.gid
        {
            argv.extend(["-g".to_owned(), gid.to_string()]);
            if args.non_unique {
                argv.push("-o".to_owned());
            }
        }
        let effect = match args.state.as_str() {
            "absent" => Effect::NoGroup(args.name.clone()),
            _ => Effect::Group(system::Group {
                name: args.name.clone(),
                gid: gid.unwrap_or_else(|| next_id(groups.iter().map(|group| group.gid), args.system)),
                members: current.map_or_else(Vec::new, |group| group.members.clone()),
            }),
        };
        argv.push(args.name);
        outcome.changed = true;
        Ok(Plan::Change {
            change: Change {
                command: Command::new(argv),
                outcome: outcome.clone(),
                effect,
            },
            predicted: outcome,
        })
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(vec![change.effect.clone()])
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        tool::run(system, &change.command)?;
        let name = change.command.argv.last();
        let groups = system.groups()?;
        Ok(match groups.iter().find(|group| Some(&group.name) == name) {
            Some(group) => change.outcome.with("gid", group.gid),
            None => change.outcome,
        })
    }
}

/// What the programs would refuse, so that a check knows it too: a number that is taken, and to remove a user's primary
/// group.
fn refusal(
    args: &Args,
    current: Option<&system::Group>,
    groups: &[system::Group],
    system: &dyn System,
) -> Result<(), Error> {
    let failure = |message: String| Err(Error::new(message).with("name", args.name.as_str()));
    if args.state == "absent" {
        // Whether libuser's tools mind is their own decision.
        if args.force || args.local {
            return Ok(());
        }
        let users = system.users()?;
        let owner = current.and_then(|group| users.iter().find(|user| user.gid == group.gid));
        return match owner {
            None => Ok(()),
            Some(user) => failure(format!(
                "groupdel: cannot remove the primary group of user '{}': remove that user or give it another group \
                 first, or use `force`",
                user.name
            )),
        };
    }
    let taken = groups
        .iter()
        .find(|group| args.gid == Some(group.gid) && group.name != args.name);
    match taken {
        Some(group) if !args.non_unique => failure(format!(
            "{}: GID '{}' already exists: group {} has it; choose another number, or allow it with `non_unique`",
            args.program(if current.is_some() { "groupmod" } else { "groupadd" }),
            group.gid,
            group.name
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::{AnyModule, Mode, entry};
    use crate::system::fake::Fake;

    fn run(fake: &Fake, arguments: &str) -> Outcome {
        let arguments = Group::SPEC
            .resolve(&serde_json::from_str(arguments).unwrap())
            .unwrap();
        entry::<Group>().run(&arguments, Mode::default(), fake)
    }

    #[test]
    fn runs_the_program_that_makes_the_difference() {
        let fake = Fake::new();
        for program in ["groupadd", "groupmod", "groupdel"] {
            fake.program(&format!("/usr/sbin/{program}"));
        }
        fake.answer("groupadd -r -g 900 registry", 0, "")
            .answer("groupmod -g 77 ann", 0, "")
            .answer("groupdel -f ann", 0, "");
        assert!(run(&fake, r#"{"name":"registry","gid":900,"system":true}"#).changed);
        assert!(run(&fake, r#"{"name":"ann","gid":77}"#).changed);
        assert!(!run(&fake, r#"{"name":"ann","gid":1000}"#).changed);
        assert!(run(&fake, r#"{"name":"ann","state":"absent","force":true}"#).changed);
        assert!(!run(&fake, r#"{"name":"bob","state":"absent"}"#).changed);
        assert_eq!(
            fake.ran(),
            [
                "groupadd -r -g 900 registry",
                "groupmod -g 77 ann",
                "groupdel -f ann"
            ]
        );
    }

    #[test]
    fn knows_what_would_be_refused() {
        let fake = Fake::new();
        let refused = |arguments: &str| {
            let outcome = run(&fake, arguments);
            assert!(outcome.failed, "{outcome:?}");
            outcome.message().unwrap_or_default().to_owned()
        };
        assert!(
            refused(r#"{"name":"ann","state":"absent"}"#)
                .contains("cannot remove the primary group of user 'ann'")
        );
        assert!(
            refused(r#"{"name":"crew","gid":1000}"#)
                .starts_with("groupadd: GID '1000' already exists: group ann")
        );
        assert!(refused(r#"{"name":"ann","gid":0}"#).starts_with("groupmod: GID '0' already exists"));
        assert!(fake.ran().is_empty());
    }
}
