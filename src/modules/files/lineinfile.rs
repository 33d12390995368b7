//! `lineinfile`: one line of a text file, there or not, once.
//!
//! Bytes throughout: a file in another encoding is not spoilt. More than a line is `blockinfile`'s work.

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, VALIDATE};
use crate::modules::files::editing::{CREATE, Edited, Editing, Options, PATH, STATE, bare, chomped, lines};
use crate::modules::files::pattern::{self, Pattern};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::System;
use crate::value::Map;
use crate::wire::message::Outcome;

pub struct Lineinfile;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    regexp: Option<String>,
    search_string: Option<String>,
    line: Option<String>,
    state: String,
    insertafter: Option<String>,
    insertbefore: Option<String>,
    backrefs: bool,
    create: bool,
    backup: bool,
    firstmatch: bool,
    validate: Option<String>,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Lineinfile {
    type Args = Args;
    type Change = Edited;
    const SPEC: Spec = Spec {
        name: "lineinfile",
        summary: "manage one line of a text file",
        args: with_file_args![
            PATH,
            Arg::str("regexp")
                .aliases(&["regex"])
                .doc("finds the line to replace or remove"),
            Arg::str("search_string").doc("as regexp, but plain text"),
            Arg::str("line").aliases(&["value"]).doc("the line"),
            STATE,
            Arg::str("insertafter").doc("EOF, BOF or a pattern: where a new line goes"),
            Arg::str("insertbefore").doc("BOF or a pattern: where a new line goes"),
            Arg::bool("backrefs")
                .default("no")
                .doc("put what regexp's groups matched into line"),
            CREATE,
            BACKUP,
            Arg::bool("firstmatch")
                .default("no")
                .doc("the first match counts, not the last"),
            VALIDATE,
        ],
        returns: &[
            Return::new("msg", "str", "what was done"),
            Return::new("backup", "str", "where the earlier file is kept; empty: nowhere"),
        ],
        example: "- lineinfile:\n    path: /etc/ssh/sshd_config\n    regexp: '^#?PermitRootLogin'\n    line: PermitRootLogin no\n    validate: sshd -t -f %s\n",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["insertbefore", "insertafter"]),
            Rule::Exclusive(&["regexp", "search_string"]),
            Rule::Exclusive(&["backrefs", "search_string"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Edited>, Error> {
        args.refuse_contradictions()?;
        let editing = Editing::open(&args.path, system)?;
        let mut values = Map::new();
        if let Some(warning) = args.warning() {
            values.insert("warnings".to_owned(), vec![warning].into());
        }
        let (after, message) = if args.state == "absent" {
            if !editing.exists() {
                return Ok(Plan::Same(Outcome::ok().with("msg", "file not present")));
            }
            let (after, removed) = args.without(&editing.before)?;
            values.insert("found".to_owned(), removed.into());
            let message = match removed {
                0 => String::new(),
                removed => format!("{removed} line(s) removed"),
            };
            (after, message)
        } else {
            editing.require(args.create, "Destination")?;
            let (after, message) = args.with(&editing.before)?;
            (after, message.to_owned())
        };
        let options = Options {
            file: args.file,
            backup: args.backup,
            backup_key: "backup",
            validate: args.validate.as_deref(),
            terse: false,
        };
        editing.plan(after, message, values, options, system)
    }

    fn apply(change: Edited, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

/// Where a new line goes.
enum Place {
    Start,
    End,
    After(Pattern),
    Before(Pattern),
}

impl Args {
    fn refuse_contradictions(&self) -> Result<(), Error> {
        let searched = self.regexp.is_some() || self.search_string.is_some();
        let message = if self.state == "present" && self.backrefs && self.regexp.is_none() {
            "regexp is required with backrefs=true"
        } else if self.state == "present" && self.line.is_none() {
            "line is required with state=present"
        } else if self.state == "absent" && !searched && self.line.is_none() {
            "one of line, search_string, or regexp is required with state=absent"
        } else {
            return Ok(());
        };
        Err(Error::new(message))
    }

    fn warning(&self) -> Option<String> {
        let (called, hint) = match (self.regexp.as_deref(), self.search_string.as_deref()) {
            (Some(""), _) => (
                "regular expression",
                " If this is desired, use '^' to match every line in the file and avoid this warning.",
            ),
            (_, Some("")) => ("search string", ""),
            _ => return None,
        };
        Some(format!(
            "The {called} is an empty string, which will match every line in the file. This may have unintended consequences, such as replacing the last line in the file rather than appending.{hint}"
        ))
    }

    /// What tells the lines that are meant, if anything but the line itself does.
    fn finder(&self) -> Result<Option<Pattern>, Error> {
        match (&self.regexp, &self.search_string) {
            (Some(regexp), _) => pattern::compile("regexp", regexp).map(Some),
            (None, Some(text)) => pattern::compile("search_string", &regex::escape(text)).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn place(&self) -> Result<Place, Error> {
        Ok(
            match (self.insertafter.as_deref(), self.insertbefore.as_deref()) {
                (Some("BOF"), _) | (_, Some("BOF")) => Place::Start,
                (Some("EOF"), _) | (None, None) => Place::End,
                (Some(after), _) => Place::After(pattern::compile("insertafter", after)?),
                (None, Some(before)) => Place::Before(pattern::compile("insertbefore", before)?),
            },
        )
    }

    /// The text without the lines that are meant, and how many those are.
    fn without(&self, text: &[u8]) -> Result<(Vec<u8>, usize), Error> {
        let finder = self.finder()?;
        let line = self.line.as_deref().unwrap_or_default().as_bytes();
        let all = lines(text);
        let kept: Vec<&Vec<u8>> = all
            .iter()
            .filter(|now| match &finder {
                Some(finder) => !finder.is_match(chomped(now)),
                None => bare(now) != line,
            })
            .collect();
        let removed = all.len() - kept.len();
        Ok((kept.into_iter().flatten().copied().collect(), removed))
    }

    /// The text with the line in it, and what had to be done.
    fn with(&self, text: &[u8]) -> Result<(Vec<u8>, &'static str), Error> {
        let finder = self.finder()?;
        let line = self.line.as_deref().unwrap_or_default().as_bytes();
        let place = self.place()?;
        let mut all = lines(text);
        let found = finder
            .as_ref()
            .and_then(|finder| self.pick(&all, |now| finder.is_match(chomped(now))));
        // A line that is already there is as good as one that was found.
        if let Some(at) = found.or_else(|| all.iter().rposition(|now| bare(now) == line)) {
            let groups = finder
                .as_ref()
                .filter(|_| self.backrefs && found.is_some())
                .and_then(|finder| finder.find_at(chomped(&all[at]), 0));
            let new = match groups {
                Some(groups) => pattern::expand(
                    &groups,
                    chomped(&all[at]),
                    self.line.as_deref().unwrap_or_default(),
                ),
                None => line.to_vec(),
            };
            let new = ended(new);
            if all[at] == new {
                return Ok((text.to_vec(), ""));
            }
            all[at] = new;
            return Ok((all.concat(), "line replaced"));
        }
        // Without a match there is nothing to put into the groups' places.
        if self.backrefs {
            return Ok((text.to_vec(), ""));
        }
        let at = match place {
            Place::Start => 0,
            Place::End => all.len(),
            Place::After(pattern) => self
                .pick(&all, |now| pattern.is_match(chomped(now)))
                .map_or(all.len(), |at| at + 1),
            Place::Before(pattern) => self
                .pick(&all, |now| pattern.is_match(chomped(now)))
                .unwrap_or(all.len()),
        };
        if at == all.len()
            && let Some(last) = all.last_mut()
        {
            *last = ended(std::mem::take(last));
        }
        all.insert(at, ended(line.to_vec()));
        Ok((all.concat(), "line added"))
    }

    /// Which of several matches counts.
    fn pick(&self, all: &[Vec<u8>], matches: impl Fn(&Vec<u8>) -> bool) -> Option<usize> {
        if self.firstmatch {
            all.iter().position(matches)
        } else {
            all.iter().rposition(matches)
        }
    }
}

fn ended(mut line: Vec<u8>) -> Vec<u8> {
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const HOSTS: &str = "127.0.0.1 localhost\n# comment\n10.0.0.1 one\n10.0.0.2 two\n";

    /// The file after the module ran twice, and the message of the first time.
    fn edited(before: &str, args: &str) -> (String, String) {
        let fake = Fake::new();
        fake.file("/f", before);
        let outcome = run::<Lineinfile>(&fake, &format!(r#"{{"path":"/f",{args}}}"#));
        assert!(!outcome.failed, "{outcome:?}");
        let after = fake.text("/f");
        let again = run::<Lineinfile>(&fake, &format!(r#"{{"path":"/f",{args}}}"#));
        assert!(
            !again.changed,
            "{args}: a second run changes {after:?} to {:?}",
            fake.text("/f")
        );
        (after, outcome.message().unwrap_or_default().to_owned())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn lines_come_go_and_change() {
        for (before, args, after, message) in [
            ("a\n", r#""line":"b""#, "a\nb\n", "line added"),
            ("a", r#""line":"b""#, "a\nb\n", "line added"),
            ("", r#""line":"b""#, "b\n", "line added"),
            ("a\nb\n", r#""line":"a""#, "a\nb\n", ""),
            (
                "a\r\n",
                r#""line":"b","insertbefore":"BOF""#,
                "b\na\r\n",
                "line added",
            ),
            (
                "a\nb\na\n",
                r#""line":"x","insertafter":"^a""#,
                "a\nb\na\nx\n",
                "line added",
            ),
            (
                "a\nb\na\n",
                r#""line":"x","insertafter":"^a","firstmatch":true"#,
                "a\nx\nb\na\n",
                "line added",
            ),
            (
                "a\nb\na\n",
                r#""line":"x","insertbefore":"^b""#,
                "a\nx\nb\na\n",
                "line added",
            ),
            (
                "a\nb",
                r#""line":"x","insertafter":"^b""#,
                "a\nb\nx\n",
                "line added",
            ),
            (
                "a\nb",
                r#""line":"x","insertbefore":"^b""#,
                "a\nx\nb",
                "line added",
            ),
            (
                "a\n",
                r#""line":"x","insertbefore":"^none""#,
                "a\nx\n",
                "line added",
            ),
            (
                "k=1\nk=2\n",
                r#""line":"k=3","regexp":"^k=""#,
                "k=1\nk=3\n",
                "line replaced",
            ),
            (
                "k=1\nz=2\n",
                r#""line":"k=3","regexp":"^k=","firstmatch":true"#,
                "k=3\nz=2\n",
                "line replaced",
            ),
            (
                "k=1\n",
                r#""line":"k=3","search_string":"k=""#,
                "k=3\n",
                "line replaced",
            ),
            (
                "k=1\n",
                r#""line":"z=1","regexp":"^z=","insertafter":"^k""#,
                "k=1\nz=1\n",
                "line added",
            ),
            (
                "k = 1\n",
                r#""line":"\\1=\\g<v>","regexp":"^(\\w+) = (?P<v>.*)$","backrefs":true"#,
                "k=1\n",
                "line replaced",
            ),
            (
                "k\n",
                r#""line":"\\1","regexp":"^(z)","backrefs":true"#,
                "k\n",
                "",
            ),
            (
                "a\nb\na\n",
                r#""line":"a","state":"absent""#,
                "b\n",
                "2 line(s) removed",
            ),
            (
                "ab\nb\n",
                r#""regexp":"^a","state":"absent""#,
                "b\n",
                "1 line(s) removed",
            ),
            (
                "a.c\nabc\n",
                r#""search_string":"a.c","state":"absent""#,
                "abc\n",
                "1 line(s) removed",
            ),
        ] {
            assert_eq!(
                edited(before, args),
                (after.to_owned(), message.to_owned()),
                "{before:?} {args}"
            );
        }
    }

    #[test]
    fn the_file_is_made_if_wanted() {
        let fake = Fake::new();
        assert_eq!(
            failure::<Lineinfile>(&fake, r#"{"path":"/etc/f","line":"x"}"#),
            "Destination /etc/f does not exist !"
        );
        let outcome = check_agrees::<Lineinfile>(
            &fake,
            r#"{"path":"/etc/f","line":"x","create":true,"mode":"0600"}"#,
        );
        assert_eq!(outcome.diff[0].after_header, "/etc/f (content)");
        assert_eq!(outcome.diff[0].after, "x\n");
        assert!(fake.listing().contains("/etc/f 0600"));
    }

    #[test]
    fn attributes_alone_are_a_change_too() {
        let fake = Fake::new();
        fake.file("/f", HOSTS);
        let outcome =
            check_agrees::<Lineinfile>(&fake, r#"{"path":"/f","line":"10.0.0.1 one","owner":"ann"}"#);
        assert_eq!(
            outcome.message(),
            Some("ownership, perms or SE linux context changed")
        );
        let outcome =
            check_agrees::<Lineinfile>(&fake, r#"{"path":"/f","line":"new","mode":"0600","backup":true}"#);
        assert_eq!(
            outcome.message(),
            Some("line added and ownership, perms or SE linux context changed")
        );
        assert_eq!(fake.text(outcome.values["backup"].as_str().unwrap()), HOSTS);
    }

    #[test]
    fn links_are_followed_and_stay() {
        let fake = Fake::new();
        fake.file("/srv/f", "a\n").link("/f", "srv/f");
        run::<Lineinfile>(&fake, r#"{"path":"/f","line":"b"}"#);
        assert_eq!(fake.text("/srv/f"), "a\nb\n");
        assert!(fake.listing().contains("/f 0777 0:0 link"));
    }

    #[test]
    fn bad_arguments() {
        let fake = Fake::new();
        fake.file("/f", "").directory("/d");
        for (args, message) in [
            (r#"{"path":"/f"}"#, "line is required with state=present"),
            (
                r#"{"path":"/f","line":"x","backrefs":true}"#,
                "regexp is required with backrefs=true",
            ),
            (
                r#"{"path":"/f","state":"absent"}"#,
                "one of line, search_string, or regexp is required with state=absent",
            ),
            (r#"{"path":"/d","line":"x"}"#, "Path /d is a directory !"),
            (
                r#"{"path":"/f","line":"x","insertafter":"a","insertbefore":"b"}"#,
                "parameters are mutually exclusive: insertbefore|insertafter",
            ),
        ] {
            assert_eq!(failure::<Lineinfile>(&fake, args), message);
        }
        assert!(
            failure::<Lineinfile>(&fake, r#"{"path":"/f","line":"x","regexp":"("}"#)
                .starts_with("regexp is not a usable")
        );
    }
}
