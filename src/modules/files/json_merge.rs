//! `json_merge`: keys put into a JSON file, or taken out of it, beside whatever else is in it. A module of our
//! own, for files such as docker's `daemon.json` that several parties write.
//!
//! Maps are merged key by key, lists are united, all else is replaced; taking out removes what `values` names
//! and no more. A file that says already what it should keeps every byte; one that is rewritten keeps the
//! order of its keys. Deliberately no comments, no paths into lists, no other formats.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map as Object, Value as Json};

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, back_up, json_text, text_diff};
use crate::modules::files::editing::{Edited, Editing, Options};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::value::Map;
use crate::wire::message::Outcome;

pub struct JsonMerge;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    values: Object<String, Json>,
    state: State,
    list_policy: Lists,
    create: bool,
    remove_empty: bool,
    backup: bool,
    #[serde(flatten)]
    file: FileArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Present,
    Absent,
}

/// What a list is to a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lists {
    /// A set that keeps its order.
    Union,
    /// One value, as a scalar is.
    Replace,
}

#[derive(Debug)]
pub enum Change {
    Edit(Box<Edited>),
    Remove { path: PathBuf, backup: bool },
}

impl Module for JsonMerge {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "json_merge",
        summary: "merge keys into a JSON file, or take them out",
        args: with_file_args![
            Arg::path("path")
                .aliases(&["dest"])
                .required()
                .doc("the file; an empty one counts as {}"),
            Arg::dict("values").required().doc("what shall be in it, or not"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("whether the values shall be there"),
            Arg::str("list_policy")
                .choices(&["union", "replace"])
                .default("union")
                .doc("whether a list is merged item by item, or as a whole"),
            Arg::bool("create")
                .default("yes")
                .doc("make the file if there is none"),
            Arg::bool("remove_empty")
                .default("yes")
                .doc("remove the file once nothing is left in it"),
            BACKUP,
        ],
        returns: &[
            Return::new("path", "str", "the file"),
            Return::new("msg", "str", "what was done"),
            Return::new("backup", "str", "where the earlier file is kept; empty: nowhere"),
        ],
        example: "- json_merge:\n    path: /etc/docker/daemon.json\n    values:\n      log-driver: journald\n      insecure-registries: ['10.0.0.5:5000']\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let editing = Editing::open(&args.path, system)?;
        let path = editing.path.display().to_string();
        let before = parse(&editing.before, &path)?;
        let mut after = before.clone();
        let emptied = match args.state {
            State::Present => {
                editing.require(args.create, "Destination")?;
                args.list_policy.merge_maps(&mut after, &args.values);
                false
            }
            State::Absent if !editing.exists() => {
                return Ok(Plan::Same(
                    Outcome::ok().with("msg", "file not present").with("path", path),
                ));
            }
            State::Absent => args.list_policy.remove_keys(&mut after, &args.values),
        };
        if emptied && args.remove_empty {
            return Ok(removal(editing, args.backup));
        }
        // What says the same already is not written in another style.
        let (text, message) = match args.state {
            _ if after == before => (editing.before.clone(), ""),
            State::Present => (json_text(&after).into_bytes(), "values merged"),
            State::Absent => (json_text(&after).into_bytes(), "values removed"),
        };
        let options = Options {
            backup_key: "backup",
            file: args.file,
            backup: args.backup,
            validate: None,
            terse: false,
        };
        let values = Map::from([("path".to_owned(), path.into())]);
        let plan = editing.plan(text, message.to_owned(), values, options, system)?;
        Ok(match plan {
            Plan::Change { change, predicted } => Plan::Change {
                change: Change::Edit(Box::new(change)),
                predicted,
            },
            Plan::Same(outcome) | Plan::Unknown { skipped: outcome, .. } => Plan::Same(outcome),
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Edit(edited) => edited.apply(system),
            Change::Remove { path, backup } => {
                let kept = if backup { back_up(&path, system)? } else { None };
                system.remove_file(&path)?;
                let kept = kept.map_or_else(String::new, |kept| kept.display().to_string());
                Ok(removed(&path.display().to_string()).with("backup", kept))
            }
        }
    }
}

fn removal(editing: Editing, backup: bool) -> Plan<Change> {
    let path = editing.path.display().to_string();
    let header = format!("{path} (content)");
    let diff = text_diff((&header, &editing.before), (&header, b""));
    Plan::Change {
        change: Change::Remove {
            path: editing.path,
            backup,
        },
        predicted: removed(&path).with("backup", "").with_diff(diff),
    }
}

fn removed(path: &str) -> Outcome {
    Outcome::changed(true)
        .with("path", path)
        .with("msg", "nothing is left: file removed")
}

fn parse(text: &[u8], path: &str) -> Result<Object<String, Json>, Error> {
    if text.trim_ascii().is_empty() {
        return Ok(Object::new());
    }
    let left_alone = "it was left as it is: correct it and run again";
    match serde_json::from_slice(text) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(Error::new(format!(
            "{path} holds JSON, but no map of keys and values; {left_alone}"
        ))),
        Err(error) => Err(
            Error::new(format!("{path} is not valid JSON: {error}; {left_alone}"))
                .with("line", error.line())
                .with("column", error.column()),
        ),
    }
}

impl Lists {
    fn merge(self, now: &mut Json, wanted: &Json) {
        match (now, wanted) {
            (Json::Object(now), Json::Object(wanted)) => self.merge_maps(now, wanted),
            (Json::Array(now), Json::Array(wanted)) if self == Self::Union => {
                for item in wanted {
                    if !now.contains(item) {
                        now.push(item.clone());
                    }
                }
            }
            (now, wanted) => *now = wanted.clone(),
        }
    }

    fn merge_maps(self, now: &mut Object<String, Json>, wanted: &Object<String, Json>) {
        for (key, wanted) in wanted {
            match now.get_mut(key) {
                Some(now) => self.merge(now, wanted),
                None => {
                    now.insert(key.clone(), wanted.clone());
                }
            }
        }
    }

    /// Whether nothing is left of it.
    fn remove(self, now: &mut Json, named: &Json) -> bool {
        match (now, named) {
            (Json::Object(now), Json::Object(named)) => self.remove_keys(now, named),
            (Json::Array(now), Json::Array(named)) if self == Self::Union => {
                let count = now.len();
                now.retain(|item| !named.contains(item));
                now.is_empty() && count > 0
            }
            (now, named) => now == named,
        }
    }

    /// Whether nothing is left; what was empty before is not to be removed.
    fn remove_keys(self, now: &mut Object<String, Json>, named: &Object<String, Json>) -> bool {
        let count = now.len();
        for (key, named) in named {
            if now.get_mut(key).is_some_and(|now| self.remove(now, named)) {
                // Not `remove`, which would move the last key here.
                now.shift_remove(key);
            }
        }
        now.is_empty() && count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::fake::Fake;

    const PATH: &str = "/etc/docker/daemon.json";

    fn with(text: &str) -> Fake {
        let fake = Fake::new();
        fake.file(PATH, text);
        fake
    }

    fn args(rest: &str) -> String {
        format!(r#"{{"path":"{PATH}",{rest}}}"#)
    }

    /// The file after the module ran, in one line.
    fn after(before: &str, rest: &str) -> String {
        let fake = with(before);
        check_agrees::<JsonMerge>(&fake, &args(rest));
        let json: Json = serde_json::from_str(&fake.text(PATH)).unwrap();
        json.to_string()
    }

    #[test]
    fn values_are_merged_in_place() {
        for (before, rest, expected) in [
            (
                r#"{"b":1,"a":2}"#,
                r#""values":{"c":3}"#,
                r#"{"b":1,"a":2,"c":3}"#,
            ),
            (r#"{"b":1,"a":2}"#, r#""values":{"b":"x"}"#, r#"{"b":"x","a":2}"#),
            (
                r#"{"l":["a","b"]}"#,
                r#""values":{"l":["b","c"]}"#,
                r#"{"l":["a","b","c"]}"#,
            ),
            (
                r#"{"l":["a","b"]}"#,
                r#""values":{"l":["b","c"]},"list_policy":"replace""#,
                r#"{"l":["b","c"]}"#,
            ),
            (
                r#"{"m":{"x":{"y":1}},"n":0}"#,
                r#""values":{"m":{"x":{"z":2}}}"#,
                r#"{"m":{"x":{"y":1,"z":2}},"n":0}"#,
            ),
            (r#"{"l":"a"}"#, r#""values":{"l":["a"]}"#, r#"{"l":["a"]}"#),
            (" \n", r#""values":{"a":null}"#, r#"{"a":null}"#),
        ] {
            assert_eq!(after(before, rest), expected, "{before} {rest}");
        }
    }

    #[test]
    fn only_what_is_named_is_taken_out() {
        for (before, values, expected) in [
            (r#"{"b":1,"a":2,"c":3}"#, r#"{"b":1}"#, r#"{"a":2,"c":3}"#),
            (r#"{"a":1,"b":1}"#, r#"{"a":2,"b":1}"#, r#"{"a":1}"#),
            (
                r#"{"l":["a","b"],"e":[]}"#,
                r#"{"l":["b","z"],"e":[]}"#,
                r#"{"l":["a"],"e":[]}"#,
            ),
            (r#"{"l":["a"],"n":0}"#, r#"{"l":["a"]}"#, r#"{"n":0}"#),
            (
                r#"{"m":{"x":{"y":1}},"n":0}"#,
                r#"{"m":{"x":{"y":1}}}"#,
                r#"{"n":0}"#,
            ),
            (
                r#"{"m":{"x":{"y":1},"z":{}},"n":0}"#,
                r#"{"m":{"x":{"y":1},"z":{}}}"#,
                r#"{"m":{"z":{}},"n":0}"#,
            ),
        ] {
            let rest = format!(r#""values":{values},"state":"absent""#);
            assert_eq!(after(before, &rest), expected, "{before} {values}");
        }
    }

    #[test]
    fn a_new_file_is_written_as_docker_writes_its_own() {
        let fake = Fake::new();
        let rest = r#""values":{"insecure-registries":["10.0.0.2:5000"],"debug":true},"mode":"0600""#;
        let outcome = check_agrees::<JsonMerge>(&fake, &args(rest));
        insta::assert_snapshot!(fake.text(PATH), @r#"
        {
            "insecure-registries": [
                "10.0.0.2:5000"
            ],
            "debug": true
        }
        "#);
        assert_eq!(outcome.message(), Some("values merged"));
        assert_eq!(outcome.diff[0].after, fake.text(PATH));
        assert!(fake.listing().contains("daemon.json 0600"));
    }

    #[test]
    fn what_is_as_it_should_be_keeps_its_style() {
        let text = "{\"a\":[1,\n 2]}";
        let fake = with(text);
        for rest in [
            r#""values":{"a":[2]}"#,
            r#""values":{}"#,
            r#""values":{"a":[3],"b":1},"state":"absent""#,
        ] {
            assert!(!run::<JsonMerge>(&fake, &args(rest)).changed, "{rest}");
            assert_eq!(fake.text(PATH), text);
        }
        let outcome = check_agrees::<JsonMerge>(&fake, &args(r#""values":{"a":[2]},"owner":"ann""#));
        assert_eq!(
            outcome.message(),
            Some("ownership, perms or SE linux context changed")
        );
    }

    #[test]
    fn the_file_goes_with_its_last_key() {
        let gone = r#""values":{"a":1},"state":"absent""#;
        let fake = with(r#"{"a":1}"#);
        let outcome = check_agrees::<JsonMerge>(&fake, &args(&format!(r#"{gone},"backup":true"#)));
        assert!(!fake.listing().contains("daemon.json 0"));
        assert_eq!(
            fake.text(outcome.values["backup"].as_str().unwrap()),
            r#"{"a":1}"#
        );
        let fake = with(r#"{"a":1}"#);
        check_agrees::<JsonMerge>(&fake, &args(&format!(r#"{gone},"remove_empty":false"#)));
        assert_eq!(fake.text(PATH), "{}\n");
        // It is empty, but not by this.
        assert!(!run::<JsonMerge>(&fake, &args(gone)).changed);
        assert_eq!(fake.text(PATH), "{}\n");
    }

    #[test]
    fn without_a_file() {
        let fake = Fake::new();
        let outcome = run::<JsonMerge>(&fake, &args(r#""values":{"a":1},"state":"absent""#));
        assert_eq!(
            (outcome.changed, outcome.message()),
            (false, Some("file not present"))
        );
        assert!(!check::<JsonMerge>(&fake, &args(r#""values":{}"#)).changed);
        assert_eq!(
            failure::<JsonMerge>(&fake, &args(r#""values":{"a":1},"create":false"#)),
            "Destination /etc/docker/daemon.json does not exist !"
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let values = args(r#""values":{"a":1}"#);
        let fake = with("{\n  \"a\": 1\n  \"b\": 2\n}\n");
        assert_eq!(
            failure::<JsonMerge>(&fake, &values),
            "/etc/docker/daemon.json is not valid JSON: expected `,` or `}` at line 3 column 3; \
             it was left as it is: correct it and run again"
        );
        assert_eq!(run::<JsonMerge>(&fake, &values).values["line"], 3.into());
        assert_eq!(
            failure::<JsonMerge>(&with("[1]"), &values),
            "/etc/docker/daemon.json holds JSON, but no map of keys and values; \
             it was left as it is: correct it and run again"
        );
    }

    #[test]
    fn a_link_is_written_through() {
        let fake = Fake::new();
        fake.file("/srv/daemon.json", "{}").link(PATH, "/srv/daemon.json");
        check_agrees::<JsonMerge>(&fake, &args(r#""values":{"a":1}"#));
        assert_eq!(fake.text("/srv/daemon.json"), "{\n    \"a\": 1\n}\n");
    }
}
