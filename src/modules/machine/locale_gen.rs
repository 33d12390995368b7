//! `locale_gen`: which locales the machine has. After `community.general.locale_gen`.
//!
//! Names are kept in /etc/locale.gen, and `locale-gen` makes what is named there. Deliberately not the folder of old Ubuntu releases,
//! /var/lib/locales/supported.d.

use serde::Deserialize;

use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::text_file::TextFile;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, System};
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct LocaleGen;

const LOCALES: &str = "/etc/locale.gen";
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";

#[derive(Debug, Deserialize)]
pub struct Args {
    name: Vec<String>,
    state: String,
}

#[derive(Debug)]
pub struct Change {
    names: Vec<String>,
    present: bool,
    file: Option<Step>,
    outcome: Outcome,
}

impl Module for LocaleGen {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "locale_gen",
        summary: "make locales, or remove them",
        args: &[
            Arg::strings("name").required().doc("the locales: `de_DE.UTF-8`"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether the machine has them"),
        ],
        returns: &[
            Return::new("name", "list of str", "as they were given"),
            Return::new("mechanism", "str", "`glibc`"),
        ],
        example: "- locale_gen:\n    name: [de_DE.UTF-8, en_GB.UTF-8]\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let file = TextFile::open(LOCALES, system)?;
        if !file.exists {
            return Err(Error::new(format!(
                "/var/lib/locales/supported.d and {LOCALES} are missing. Is the package \"locales\" installed?"
            )));
        }
        let made = tool::text_of(system, &Command::new(["locale", "-a"]))?;
        let is_made = |name: &str| match system.foreseen(Subject::Locale, &canonical(name)) {
            Some(state) => state != Value::Null,
            None => made.lines().any(|line| canonical(line) == canonical(name)),
        };
        let supported = TextFile::open(SUPPORTED, system)?.before;
        let charset = |name: &str| {
            supported.lines().find_map(|line| {
                let mut words = line.trim_start_matches([' ', '\t', '#']).split_whitespace();
                (words.next() == Some(name)).then(|| words.next().unwrap_or("UTF-8"))
            })
        };
        let unknown: Vec<&str> = args
            .name
            .iter()
            .map(String::as_str)
            .filter(|name| charset(name).is_none() && !is_made(name))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::new(format!(
                "The following locales you have entered are not available on your system: {}",
                unknown.join(", ")
            )));
        }
        let present = args.state == "present";
        let outcome = Outcome::ok()
            .with("name", args.name.clone())
            .with("mechanism", "glibc");
        if args.name.iter().all(|name| is_made(name)) == present {
            return Ok(Plan::Same(outcome));
        }
        tool::require(system, "locale-gen", "make locales")?;
        let mut after = file.before.clone();
        for name in &args.name {
            after = edited(&after, name, charset(name), present);
        }
        let outcome = Outcome {
            changed: true,
            ..outcome
        };
        let changes = after != file.before;
        let mut predicted = outcome.clone();
        if changes {
            predicted = predicted.with_diff(file.diff(&after));
        }
        let change = Change {
            names: args.name,
            present,
            file: changes.then(|| file.write(after, false)),
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(change.file.as_slice(), system)?;
        tool::run(system, &Command::new(["locale-gen"]))?;
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        let state = |name: &String| Effect::State {
            of: Subject::Locale,
            name: canonical(name),
            is: if change.present { true.into() } else { Value::Null },
        };
        Foresight::Effects(change.names.iter().map(state).collect())
    }
}

/// `locale -a` spells character sets in small letters and without dashes.
fn canonical(name: &str) -> String {
    match name.split_once('.') {
        Some((language, charset)) => format!("{language}.{}", charset.replace('-', "").to_lowercase()),
        None => name.to_owned(),
    }
}

/// The list with a locale's lines made comments or not; a locale without a line gets one.
fn edited(before: &str, name: &str, charset: Option<&str>, present: bool) -> String {
    let mut found = false;
    let mut after = String::new();
    for line in before.split_inclusive('\n') {
        let entry = line.strip_prefix('#').unwrap_or(line).trim_start();
        match entry.strip_prefix(name).filter(|rest| rest.starts_with(' ')) {
            Some(_) => {
                found = true;
                after.push_str(if present { "" } else { "# " });
                after.push_str(entry);
            }
            None => after.push_str(line),
        }
    }
    if let Some(charset) = charset.filter(|_| present && !found) {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.extend([name, " ", charset, "\n"]);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    /// `locale-gen` makes what the file names.
    fn fake() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/sbin/locale-gen")
            .file(
                "/etc/locale.gen",
                "# list\n# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\n",
            )
            .file("/made", "C\nC.utf8\nPOSIX\n")
            .file(
                SUPPORTED,
                "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\nen_GB.UTF-8 UTF-8\n",
            );
        fake.answer_with(|fake, command| {
            let mut output = CommandOutput::default();
            if command.argv == ["locale", "-a"] {
                output.stdout = fake.text("/made").into_bytes();
            } else {
                let list = fake.text("/etc/locale.gen");
                let named = list.lines().filter(|line| !line.starts_with('#'));
                let made = named
                    .map(|line| line.split(' ').next().unwrap().replace("UTF-8", "utf8") + "\n")
                    .collect::<String>();
                fake.file("/made", format!("C\nC.utf8\nPOSIX\n{made}"));
            }
            Some(output)
        });
        fake
    }

    #[test]
    fn locales_come_and_go() {
        let fake = fake();
        check_agrees::<LocaleGen>(&fake, r#"{"name":["de_DE.UTF-8","en_GB.UTF-8"]}"#);
        assert_eq!(
            fake.text("/etc/locale.gen"),
            "# list\n# de_DE ISO-8859-1\nde_DE.UTF-8 UTF-8\nen_GB.UTF-8 UTF-8\n"
        );
        check_agrees::<LocaleGen>(&fake, r#"{"name":"de_DE.UTF-8","state":"absent"}"#);
        assert!(fake.text("/etc/locale.gen").contains("# de_DE.UTF-8 UTF-8\n"));
        assert!(!run::<LocaleGen>(&fake, r#"{"name":"C.UTF-8"}"#).changed);
    }

    #[test]
    fn refusals() {
        let fake = fake();
        assert_eq!(
            failure::<LocaleGen>(&fake, r#"{"name":"xx_XX.UTF-8"}"#),
            "The following locales you have entered are not available on your system: xx_XX.UTF-8"
        );
        assert!(
            failure::<LocaleGen>(&Fake::new(), r#"{"name":"C"}"#)
                .ends_with("Is the package \"locales\" installed?")
        );
    }
}
