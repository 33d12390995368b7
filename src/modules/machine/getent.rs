//! `getent`: entries of the target's databases, as facts. After ansible.builtin.getent.
//!
//! The program asks all that the target is configured to ask (LDAP among them), which the agent by itself cannot.

use serde::Deserialize;

use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

/// Databases whose fields are separated by colons.
const COLON: &[&str] = &["passwd", "shadow", "group", "gshadow"];

pub struct Getent;

#[derive(Debug, Deserialize)]
pub struct Args {
    database: String,
    key: Option<String>,
    service: Option<String>,
    split: Option<String>,
    fail_key: bool,
}

impl Module for Getent {
    type Args = Args;
    type Change = std::convert::Infallible;

    const SPEC: Spec = Spec {
        name: "getent",
        summary: "read entries of a system database into `ansible_facts`",
        args: &[
            Arg::str("database")
                .required()
                .doc("`passwd`, `group`, `hosts`..."),
            Arg::str("key").doc("the entry; all of them without one"),
            Arg::str("service").doc("ask only this source"),
            Arg::str("split").doc("what separates fields"),
            Arg::bool("fail_key")
                .default("yes")
                .doc("fail if there is no such entry"),
        ],
        returns: &[Return::new(
            "ansible_facts",
            "dict",
            "`getent_DATABASE`: the other fields of each entry, by its first; a list of those where it has several lines",
        )],
        example: "- getent:\n    database: passwd\n    key: root\n- debug: {msg: \"{{ ansible_facts.getent_passwd.root[4] }}\"}\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Self::Change>, Error> {
        tool::require(system, "getent", "read databases")?;
        let mut argv = vec!["getent".to_owned(), args.database.clone()];
        argv.extend(args.key.clone());
        if let Some(service) = &args.service {
            argv.extend(["-s".to_owned(), service.clone()]);
        }
        let output = system.run(&Command::new(argv))?;
        let split = args
            .split
            .clone()
            .or_else(|| COLON.contains(&args.database.as_str()).then(|| ":".to_owned()));
        let fact = format!("getent_{}", args.database);
        let facts = |entries: Map| Map::from_iter([(fact, Value::Map(entries))]);
        let failed = |message: &str, facts: Map| Err(Error::new(message).with("ansible_facts", facts));
        match output.code {
            0 => {
                let facts = facts(entries(&output.stdout_text(), split.as_deref()));
                Ok(Plan::Same(Outcome::ok().with("ansible_facts", facts)))
            }
            1 => failed("Missing arguments, or database unknown.", Map::new()),
            2 => {
                let key = args.key.unwrap_or_default();
                let facts = facts(Map::from_iter([(key, Value::Null)]));
                if args.fail_key {
                    return failed(
                        "One or more supplied key could not be found in the database.",
                        Map::new(),
                    );
                }
                let outcome = Outcome::ok().with(
                    "msg",
                    "One or more supplied key could not be found in the database.",
                );
                Ok(Plan::Same(outcome.with("ansible_facts", facts)))
            }
            3 => failed("Enumeration not supported on this database.", Map::new()),
            _ => failed("Unexpected failure!", Map::new()),
        }
    }

    fn apply(change: Self::Change, _system: &dyn System) -> Result<Outcome, Error> {
        match change {}
    }
}

/// Each line's first field to the others; a name with several lines to the list of those.
fn entries(text: &str, split: Option<&str>) -> Map {
    let mut entries: Map = Map::new();
    for line in text.lines() {
        let fields: Vec<&str> = match split {
            Some(separator) => line.split(separator).collect(),
            None => line.split_whitespace().collect(),
        };
        let Some((name, fields)) = fields.split_first() else {
            continue;
        };
        let fields = Value::from(fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>());
        match entries.get_mut(*name) {
            None => {
                entries.insert((*name).to_owned(), fields);
            }
            Some(Value::List(known)) if matches!(known.first(), Some(Value::List(_))) => known.push(fields),
            Some(known) => *known = Value::List(vec![known.clone(), fields]),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn entries_become_facts() {
        let fake = Fake::new();
        fake.program("/usr/bin/getent")
            .answer("getent passwd root", 0, "root:x:0:0:root:/root:/bin/bash\n")
            .answer(
                "getent services http -s files",
                0,
                "http  80/tcp www\nhttp 80/udp\n",
            )
            .answer("getent group none", 2, "");
        let outcome = run::<Getent>(&fake, r#"{"database":"passwd","key":"root"}"#);
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"ansible_facts":{"getent_passwd":{"root":["x","0","0","root","/root","/bin/bash"]}}}"#);
        let outcome = run::<Getent>(&fake, r#"{"database":"services","key":"http","service":"files"}"#);
        let json = serde_json::to_string(&outcome.values).unwrap();
        insta::assert_snapshot!(json, @r#"{"ansible_facts":{"getent_services":{"http":[["80/tcp","www"],["80/udp"]]}}}"#);
        assert_eq!(
            failure::<Getent>(&fake, r#"{"database":"group","key":"none"}"#),
            "One or more supplied key could not be found in the database."
        );
        let outcome = run::<Getent>(&fake, r#"{"database":"group","key":"none","fail_key":false}"#);
        let json = serde_json::to_string(&outcome.values["ansible_facts"]).unwrap();
        assert_eq!(json, r#"{"getent_group":{"none":null}}"#);
    }
}
