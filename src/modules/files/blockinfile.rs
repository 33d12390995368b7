//! `blockinfile`: some lines of a text file between two marker lines.

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, BACKUP_FILE, VALIDATE};
use crate::modules::files::editing::{CREATE, Edited, Editing, Options, PATH, STATE, bare, chomped, lines};
use crate::modules::files::pattern;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::value::Map;
use crate::wire::message::Outcome;

pub struct Blockinfile;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    block: String,
    marker: String,
    marker_begin: String,
    marker_end: String,
    state: String,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    create: bool,
    backup: bool,
    validate: Option<String>,
    append_newline: bool,
    prepend_newline: bool,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Blockinfile {
    type Args = Args;
    type Change = Edited;
    const SPEC: Spec = Spec {
        name: "blockinfile",
        summary: "manage lines of a text file between two markers",
        args: with_file_args![
            PATH,
            Arg::str("block")
                .aliases(&["content"])
                .default("")
                .doc("the lines; none removes the block"),
            Arg::str("marker")
                .default("# {mark} ANSIBLE MANAGED BLOCK")
                .doc("the marker lines, `{mark}` in them replaced"),
            Arg::str("marker_begin")
                .default("BEGIN")
                .doc("`{mark}` of the first"),
            Arg::str("marker_end").default("END").doc("`{mark}` of the last"),
            STATE,
            Arg::str("insertafter").doc("EOF or a pattern: where a new block goes"),
            Arg::str("insertbefore").doc("BOF or a pattern: where a new block goes"),
            CREATE,
            BACKUP,
            VALIDATE,
            Arg::bool("append_newline")
                .default("no")
                .doc("an empty line after the block"),
            Arg::bool("prepend_newline")
                .default("no")
                .doc("an empty line before the block"),
        ],
        returns: &[Return::new("msg", "str", "what was done"), BACKUP_FILE],
        example: "- blockinfile:\n    path: /etc/hosts\n    block: |\n      10.0.0.1 one\n      10.0.0.2 two\n",
        free_form: None,
        rules: &[Rule::Exclusive(&["insertbefore", "insertafter"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Edited>, Error> {
        let editing = Editing::open(&args.path, system)?;
        if args.state == "absent" && !editing.exists() {
            return Ok(Plan::Same(
                Outcome::ok().with("msg", format!("File {} not present", editing.path.display())),
            ));
        }
        editing.require(args.create, "Path")?;
        let (after, message) = args.edit(&editing.before)?;
        let message = if editing.exists() { message } else { "File created" };
        let options = Options {
            file: args.file,
            backup: args.backup,
            backup_key: "backup_file",
            validate: args.validate.as_deref(),
            terse: false,
        };
        editing.plan(after, message.to_owned(), Map::new(), options, system)
    }

    fn apply(change: Edited, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

impl Args {
    fn edit(&self, text: &[u8]) -> Result<(Vec<u8>, &'static str), Error> {
        let begin = self.marker.replace("{mark}", &self.marker_begin);
        let end = self.marker.replace("{mark}", &self.marker_end);
        let present = self.state == "present" && !self.block.is_empty();
        let mut all = lines(text);
        let at = |marker: &str| all.iter().rposition(|line| bare(line) == marker.as_bytes());
        let old = match (at(&begin), at(&end)) {
            (Some(one), Some(other)) => Some(one.min(other)..=one.max(other)),
            // A marker without the other: what lies between them cannot be known, it stays.
            _ => None,
        };
        let place = match &old {
            Some(range) => *range.start(),
            None => self.place(text, &all)?,
        };
        if let Some(range) = old {
            all.drain(range);
        }
        if present {
            let mut new = vec![format!("{begin}\n").into_bytes()];
            new.extend(lines(self.block.as_bytes()));
            if let Some(last) = new.last_mut().filter(|last| !last.ends_with(b"\n")) {
                last.push(b'\n');
            }
            new.push(format!("{end}\n").into_bytes());
            let empty_before = place.checked_sub(1).is_none_or(|at| bare(&all[at]).is_empty());
            if self.prepend_newline && !empty_before {
                new.insert(0, b"\n".to_vec());
            }
            if self.append_newline && all.get(place).is_some_and(|line| !bare(line).is_empty()) {
                new.push(b"\n".to_vec());
            }
            if let Some(last) = all.last_mut().filter(|last| !last.ends_with(b"\n")) {
                last.push(b'\n');
            }
            all.splice(place..place, new);
        }
        let after = all.concat();
        let message = match (after != text, present) {
            (false, _) => "",
            (true, false) => "Block removed",
            (true, true) => "Block inserted",
        };
        Ok((after, message))
    }

    /// Where a new block goes: as with `lineinfile`, the last match counts.
    fn place(&self, text: &[u8], all: &[Vec<u8>]) -> Result<usize, Error> {
        let (argument, expression) = match (self.insertafter.as_deref(), self.insertbefore.as_deref()) {
            (_, Some("BOF")) => return Ok(0),
            (None | Some("EOF"), None) => return Ok(all.len()),
            (Some(after), _) => ("insertafter", after),
            (None, Some(before)) => ("insertbefore", before),
        };
        let pattern = pattern::compile(argument, expression)?;
        let after = argument == "insertafter";
        // An expression of several lines is looked for in the whole text.
        let at = if has_multiline_flag(expression) {
            pattern.find_at(text, 0).map(|found| {
                let end = if after {
                    found.range().end
                } else {
                    found.range().start
                };
                text[..end].split(|byte| *byte == b'\n').count() - 1
            })
        } else {
            all.iter().rposition(|line| pattern.is_match(chomped(line)))
        };
        Ok(at.map_or(all.len(), |at| all.len().min(at + usize::from(after))))
    }
}

/// Whether an expression begins with flags and `m` is one of them: `(?m)`, `(?sm)`.
fn has_multiline_flag(expression: &str) -> bool {
    let flags = expression
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'));
    flags.is_some_and(|(flags, _)| flags.contains('m') && flags.chars().all(|c| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure};
    use crate::system::fake::Fake;

    #[test]
    fn blocks_come_change_and_go() {
        let fake = Fake::new();
        fake.file("/f", "one\ntwo");
        let outcome = check_agrees::<Blockinfile>(&fake, r#"{"path":"/f","block":"a\nb\n"}"#);
        assert_eq!(outcome.message(), Some("Block inserted"));
        assert_eq!(
            fake.text("/f"),
            "one\ntwo\n# BEGIN ANSIBLE MANAGED BLOCK\na\nb\n# END ANSIBLE MANAGED BLOCK\n"
        );
        let outcome = check_agrees::<Blockinfile>(&fake, r#"{"path":"/f","block":"c","insertbefore":"BOF"}"#);
        assert_eq!(outcome.message(), Some("Block inserted"));
        let second = r#"{"path":"/f","block":"x","marker":"; {mark}","insertafter":"^one"}"#;
        check_agrees::<Blockinfile>(&fake, second);
        assert!(fake.text("/f").starts_with("one\n; BEGIN\nx\n; END\ntwo\n"));
        let outcome = check_agrees::<Blockinfile>(&fake, r#"{"path":"/f","state":"absent"}"#);
        assert_eq!(outcome.message(), Some("Block removed"));
        assert_eq!(fake.text("/f"), "one\n; BEGIN\nx\n; END\ntwo\n");
    }

    #[test]
    fn empty_lines_around_it_are_not_doubled() {
        let fake = Fake::new();
        fake.file("/f", "one\ntwo\n");
        check_agrees::<Blockinfile>(
            &fake,
            r#"{"path":"/f","block":"x","marker":"; {mark}","insertafter":"one","prepend_newline":true,"append_newline":true}"#,
        );
        assert_eq!(fake.text("/f"), "one\n\n; BEGIN\nx\n; END\n\ntwo\n");
    }

    #[test]
    fn expressions_of_several_lines() {
        let fake = Fake::new();
        fake.file("/f", "a\nb\nc\n");
        let arguments = r#"{"path":"/f","block":"x","marker":"; {mark}","insertafter":"(?m)^a\\nb$"}"#;
        check_agrees::<Blockinfile>(&fake, arguments);
        assert_eq!(fake.text("/f"), "a\nb\n; BEGIN\nx\n; END\nc\n");
    }

    #[test]
    fn a_missing_file() {
        let fake = Fake::new();
        assert_eq!(
            failure::<Blockinfile>(&fake, r#"{"path":"/f","block":"x"}"#),
            "Path /f does not exist !"
        );
        check_agrees::<Blockinfile>(&fake, r#"{"path":"/f","block":"x","create":true}"#);
    }
}
