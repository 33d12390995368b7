//! `replace`: every match of an expression in a file replaced. After ansible.builtin.replace.
//!
//! Bytes throughout, as with `lineinfile`; of `encoding` only UTF-8 is known.

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, BACKUP_FILE, VALIDATE};
use crate::modules::files::editing::{Edited, Editing, Options, PATH};
use crate::modules::files::pattern;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::value::Map;
use crate::wire::message::Outcome;

pub struct Replace;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    regexp: String,
    replace: String,
    after: Option<String>,
    before: Option<String>,
    backup: bool,
    validate: Option<String>,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Replace {
    type Args = Args;
    type Change = Edited;
    const SPEC: Spec = Spec {
        name: "replace",
        summary: "replace all that matches in a text file",
        args: with_file_args![
            PATH,
            Arg::str("regexp")
                .required()
                .doc("what is replaced; `^` and `$` are those of lines"),
            Arg::str("replace")
                .default("")
                .doc("what takes its place; `\\1` is a group"),
            Arg::str("after").doc("only what follows this expression"),
            Arg::str("before").doc("only what precedes this expression"),
            BACKUP,
            VALIDATE,
            Arg::str("encoding")
                .choices(&["utf-8"])
                .default("utf-8")
                .doc("of the file"),
        ],
        returns: &[Return::new("msg", "str", "how many were replaced"), BACKUP_FILE],
        example: "- replace:\n    path: /etc/hosts\n    regexp: old[.]example\n    replace: new.example\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Edited>, Error> {
        let editing = Editing::open(&args.path, system)?;
        editing.require(false, "Path")?;
        let text = &editing.before;
        let section = match args.section() {
            None => 0..text.len(),
            Some(expression) => {
                let found =
                    pattern::compile("after or before", &format!("(?s){expression}"))?.find_at(text, 0);
                let Some(section) = found.and_then(|found| found.group("subsection")) else {
                    let message =
                        format!("Pattern for before/after params did not match the given file: {expression}");
                    return Ok(Plan::Same(Outcome::ok().with("msg", message).with("rc", 0)));
                };
                section
            }
        };
        let pattern = pattern::compile("regexp", &format!("(?m){}", args.regexp))?;
        let (replaced, count) = pattern.replace_all(&text[section.clone()], &args.replace);
        let message = if replaced == text[section.clone()] {
            String::new()
        } else {
            format!("{count} replacements made")
        };
        let after = [&text[..section.start], &replaced, &text[section.end..]].concat();
        let values = Map::from_iter([("rc".to_owned(), 0.into())]);
        let options = Options {
            file: args.file,
            backup: args.backup,
            backup_key: "backup_file",
            validate: args.validate.as_deref(),
            terse: true,
        };
        editing.plan(after, message, values, options, system)
    }

    fn apply(change: Edited, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

impl Args {
    /// What finds the part of the file that is looked at, if not all of it.
    fn section(&self) -> Option<String> {
        match (
            self.after.as_deref().unwrap_or_default(),
            self.before.as_deref().unwrap_or_default(),
        ) {
            ("", "") => None,
            (after, "") => Some(format!("{after}(?P<subsection>.*)")),
            ("", before) => Some(format!("(?P<subsection>.*){before}")),
            (after, before) => Some(format!("{after}(?P<subsection>.*?){before}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    #[test]
    fn matches_are_replaced_where_they_are_looked_for() {
        for (before, args, after, message) in [
            (
                "old.host:80\nother old.host\n",
                r#""regexp":"\\bold\\.(host)","replace":"new.\\1""#,
                "new.host:80\nother new.host\n",
                "2 replacements made",
            ),
            ("a\nb\n", r#""regexp":"^b$\\n?""#, "a\n", "1 replacements made"),
            (
                "x=1\n[one]\nx=1\n[two]\nx=1\n",
                r#""regexp":"^x=.*$","replace":"x=2","after":"\\[one\\]","before":"\\[two\\]""#,
                "x=1\n[one]\nx=2\n[two]\nx=1\n",
                "1 replacements made",
            ),
            (
                "x\n# end\nx\n",
                r##""regexp":"x","replace":"y","after":"# end""##,
                "x\n# end\ny\n",
                "1 replacements made",
            ),
        ] {
            let fake = Fake::new();
            fake.file("/f", before);
            let outcome = check_agrees::<Replace>(&fake, &format!(r#"{{"path":"/f",{args}}}"#));
            assert_eq!(
                (fake.text("/f").as_str(), outcome.message()),
                (after, Some(message))
            );
        }
    }

    #[test]
    fn what_is_not_there() {
        let fake = Fake::new();
        fake.file("/f", "text");
        assert_eq!(
            failure::<Replace>(&fake, r#"{"path":"/no","regexp":"x"}"#),
            "Path /no does not exist !"
        );
        let outcome = run::<Replace>(&fake, r#"{"path":"/f","regexp":"x","after":"none"}"#);
        assert_eq!(
            outcome.message(),
            Some("Pattern for before/after params did not match the given file: none(?P<subsection>.*)")
        );
        assert!(!outcome.changed);
    }
}
