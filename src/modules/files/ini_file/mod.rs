//! `ini_file`: one option of a file in sections. After `community.general.ini_file`.
//!
//! Everything but the lines of that option stays as it is, comments and order included. Line ends become `\n` and a byte order mark is
//! dropped when the file is rewritten, as there. Refused where Ansible takes away whatever comes first: `state: absent` without
//! `section` and `option`.

mod text;

use std::path::PathBuf;

use serde::Deserialize;

use self::text::{Form, Section, Text, Wish};
use crate::modules::files::attributes::{self, FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, BACKUP_FILE};
use crate::modules::files::editing::{Edited, Editing, Options};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{Follow, System};
use crate::value::Map;
use crate::wire::message::Outcome;

const NO_VALUE: &str = "Parameter 'value(s)' must be defined if state=present and allow_no_value=False.";
const BYTE_ORDER_MARK: &str = "\u{feff}";

pub struct IniFile;

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of the module")]
pub struct Args {
    path: String,
    section: Option<String>,
    section_has_values: Option<Vec<Needed>>,
    option: Option<String>,
    value: Option<String>,
    values: Option<Vec<String>>,
    state: String,
    exclusive: bool,
    no_extra_spaces: bool,
    ignore_spaces: bool,
    allow_no_value: bool,
    modify_inactive_option: bool,
    create: bool,
    backup: bool,
    follow: bool,
    #[serde(flatten)]
    file: FileArgs,
}

/// What the section that is meant already holds.
#[derive(Debug, Deserialize)]
pub struct Needed {
    option: String,
    value: Option<String>,
    values: Option<Vec<String>>,
}

#[derive(Debug)]
pub struct Change {
    edited: Edited,
    path: PathBuf,
    message: &'static str,
}

impl Module for IniFile {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "ini_file",
        summary: "set or remove an option in a file with sections",
        args: with_file_args![
            Arg::path("path").aliases(&["dest"]).required().doc("the file"),
            Arg::str("section").doc("the section; without one, what precedes the first"),
            Arg::list("section_has_values")
                .options(&[
                    Arg::str("option").required().doc("its name"),
                    Arg::str("value").doc("its value"),
                    Arg::strings("values").doc("its values"),
                ])
                .rules(&[Rule::Exclusive(&["value", "values"])])
                .doc("of several sections of that name, the one with these"),
            Arg::str("option").doc("its name; without one, the section itself is meant"),
            Arg::str("value").doc("its value"),
            Arg::strings("values").doc("several values, each in a line of its own"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there"),
            Arg::bool("exclusive")
                .default("yes")
                .doc("other values of the option are replaced or removed"),
            Arg::bool("no_extra_spaces")
                .default("no")
                .doc("no blanks around `=`"),
            Arg::bool("ignore_spaces")
                .default("no")
                .doc("a line that differs by blanks around `=` alone stays"),
            Arg::bool("allow_no_value")
                .default("no")
                .doc("an option without value and `=`"),
            Arg::bool("modify_inactive_option")
                .default("yes")
                .doc("a commented line of the option is replaced"),
            Arg::bool("create")
                .default("yes")
                .doc("make the file if it is not there"),
            BACKUP,
            Arg::bool("follow")
                .default("no")
                .doc("of a link, the file that it leads to; without, the link is replaced"),
        ],
        returns: &[Return::new("path", "str", "the file"), BACKUP_FILE],
        example: "- ini_file:\n    path: /etc/samba/smb.conf\n    section: global\n    option: workgroup\n    value: OFFICE\n\
                  - ini_file:\n    path: /etc/php/8.2/cli/php.ini\n    section: PHP\n    option: expose_php\n    state: absent\n",
        free_form: None,
        rules: &[Rule::Exclusive(&["value", "values"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let follow = if args.follow { Follow::Yes } else { Follow::No };
        let editing = Editing::open_as(&args.path, follow, system)?;
        if !editing.exists() && !args.create {
            let message = format!("Destination {} does not exist!", editing.path.display());
            return Err(Error::new(message).with("rc", 257));
        }
        let before = String::from_utf8(editing.before.clone())
            .map_err(|_| Error::new(format!("{} is not UTF-8 text", editing.path.display())))?;
        let plain = before
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&before)
            .replace("\r\n", "\n");
        let (after, message) = args.edited(&plain)?;
        let after = if after == plain {
            editing.before.clone()
        } else {
            after.into_bytes()
        };
        let path = editing.path.clone();
        let options = Options {
            file: args.file,
            backup: args.backup,
            backup_key: "backup_file",
            validate: None,
            terse: false,
        };
        let written = if after == editing.before { "" } else { message };
        let plan = editing.plan(after, written.to_owned(), Map::new(), options, system)?;
        Ok(match plan {
            Plan::Same(outcome) => Plan::Same(told(outcome, message, &path, system)?),
            Plan::Change { change, predicted } => {
                let predicted = told(predicted, message, &path, system)?;
                Plan::Change {
                    change: Change {
                        edited: change,
                        path,
                        message,
                    },
                    predicted,
                }
            }
            Plan::Unknown { skipped, .. } => Plan::Same(skipped),
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let outcome = change.edited.apply(system)?;
        told(outcome, change.message, &change.path, system)
    }
}

/// The result with the file as it is now.
fn told(
    outcome: Outcome,
    message: &str,
    path: &std::path::Path,
    system: &dyn System,
) -> Result<Outcome, Error> {
    let outcome = outcome
        .with("msg", message)
        .with("path", path.display().to_string());
    if system.metadata(path, Follow::Yes)?.is_none() {
        return Ok(outcome);
    }
    attributes::describe(outcome, path, system)
}

impl Args {
    /// The text as it is to be, and what was done to it.
    fn edited(&self, before: &str) -> Result<(String, &'static str), Error> {
        let form = Form {
            tight: self.no_extra_spaces,
            lenient: self.ignore_spaces,
            inactive: self.modify_inactive_option,
            valueless: self.allow_no_value,
        };
        let mut values: Vec<&str> = Vec::new();
        for value in self.value.iter().chain(self.values.iter().flatten()) {
            if !values.contains(&value.as_str()) {
                values.push(value);
            }
        }
        let needed: Vec<(&str, Vec<&str>)> = self
            .section_has_values
            .iter()
            .flatten()
            .map(|needed| {
                let values = needed.value.iter().chain(needed.values.iter().flatten());
                (needed.option.as_str(), values.map(String::as_str).collect())
            })
            .collect();
        let section = self.section.as_deref().filter(|name| !name.is_empty());
        let section = Section {
            name: section,
            needed: &needed,
        };
        let mut text = Text::parse(before);
        let option = self.option.as_deref().filter(|option| !option.is_empty());
        let message = if self.state == "absent" {
            match option {
                None if section.name.is_none() => {
                    return Err(Error::new(
                        "state=absent needs `section` or `option`: there is nothing to be removed",
                    ));
                }
                None => text.remove_section(&section),
                Some(option) => text.remove(
                    &section,
                    &Wish {
                        option,
                        values: &values,
                    },
                    self.exclusive,
                ),
            }
        } else {
            if values.is_empty() && !self.allow_no_value {
                return Err(Error::new(NO_VALUE));
            }
            let wish = option.map(|option| Wish {
                option,
                values: &values,
            });
            text.set(&section, wish.as_ref(), self.exclusive, form)
        };
        Ok((text.finish(), message.unwrap_or("OK")))
    }
}

#[cfg(test)]
mod tests;
