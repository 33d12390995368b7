//! `pam_limits`: what processes of users and groups may use at most. After community.general.pam_limits.
//!
//! Specification: limits.conf(5). Lines that are no limits stay as they are, comments included.

use serde::Deserialize;

use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::text_file::TextFile;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::wire::message::Outcome;

pub struct PamLimits;

const ENDLESS: &[&str] = &["unlimited", "infinity", "-1"];

#[derive(Debug, Deserialize)]
pub struct Args {
    domain: String,
    limit_type: String,
    limit_item: String,
    value: String,
    use_max: bool,
    use_min: bool,
    backup: bool,
    dest: String,
    comment: String,
}

#[derive(Debug)]
pub struct Change {
    step: Step,
    outcome: Outcome,
}

impl Module for PamLimits {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "pam_limits",
        summary: "keep a limit of what users' processes may use",
        args: &[
            Arg::str("domain")
                .required()
                .doc("a user, `@GROUP`, `*` or a range of numbers"),
            Arg::str("limit_type")
                .choices(&["-", "hard", "soft"])
                .required()
                .doc("which limit; `-` is both"),
            Arg::str("limit_item")
                .choices(&[
                    "as",
                    "chroot",
                    "core",
                    "cpu",
                    "data",
                    "fsize",
                    "locks",
                    "maxlogins",
                    "maxsyslogins",
                    "memlock",
                    "msgqueue",
                    "nice",
                    "nofile",
                    "nproc",
                    "priority",
                    "rss",
                    "rtprio",
                    "sigpending",
                    "stack",
                ])
                .required()
                .doc("what is limited"),
            Arg::str("value")
                .required()
                .doc("the limit; unlimited, infinity and -1 are none"),
            Arg::bool("use_max")
                .default("no")
                .doc("keep a limit that is there and higher"),
            Arg::bool("use_min")
                .default("no")
                .doc("keep a limit that is there and lower"),
            Arg::bool("backup").default("no").doc("keep the file as it was"),
            Arg::path("dest")
                .default("/etc/security/limits.conf")
                .doc("the file"),
            Arg::str("comment").default("").doc("put behind the limit"),
        ],
        returns: &[
            Return::new("msg", "str", "the line"),
            Return::new("backup_file", "str", "the file as it was").when("backup, and something changed"),
        ],
        example: "- pam_limits:\n    domain: \"@database\"\n    limit_type: \"-\"\n    limit_item: nofile\n    value: 65536\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if args.use_max && args.use_min {
            return Err(Error::new("Cannot use use_min and use_max at the same time."));
        }
        valid(&args.limit_item, &args.value, "")?;
        let file = TextFile::open(&args.dest, system)?;
        let (after, line) = args.edited(&file)?;
        let changed = !file.exists || after != file.before;
        let outcome = Outcome::changed(changed).with("msg", line);
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        let predicted = outcome.clone().with_diff(file.diff(&after));
        let change = Change {
            step: file.write(after, args.backup),
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        Ok(match perform(&[change.step], system)? {
            Some(backup) => change.outcome.with("backup_file", backup.display().to_string()),
            None => change.outcome,
        })
    }
}

impl Args {
    /// The file's text as it shall be, and the line that it is about.
    fn edited(&self, file: &TextFile) -> Result<(String, String), Error> {
        let mut after = String::new();
        let mut told = None;
        for line in file.before.split_inclusive('\n') {
            let (limit, comment) = line.trim_end_matches('\n').split_once('#').unwrap_or((line, ""));
            let fields: Vec<&str> = limit.split_whitespace().collect();
            let [domain, kind, item, value] = fields[..] else {
                after.push_str(line);
                continue;
            };
            valid(
                item,
                value,
                &format!("Invalid configuration found in '{}'.", self.dest),
            )?;
            let ours = (domain, kind, item) == (&self.domain, &self.limit_type, &self.limit_item);
            let wanted = self.wanted(value);
            let line = if !ours || wanted == value {
                line.to_owned()
            } else {
                self.line(wanted, comment)
            };
            after.push_str(&line);
            if ours {
                told = Some(line);
            }
        }
        let line = told.unwrap_or_else(|| {
            if !after.is_empty() && !after.ends_with('\n') {
                after.push('\n');
            }
            let line = self.line(&self.value, "");
            after.push_str(&line);
            line
        });
        Ok((after, line))
    }

    /// The limit that is to be where this one is.
    fn wanted<'a>(&'a self, present: &'a str) -> &'a str {
        if !self.use_max && !self.use_min {
            return &self.value;
        }
        // No limit is the highest.
        let height = |value: &str| {
            if ENDLESS.contains(&value) {
                i64::MAX
            } else {
                value.parse().unwrap_or(0)
            }
        };
        let higher = height(&self.value) > height(present);
        if higher == self.use_max && height(&self.value) != height(present) {
            &self.value
        } else {
            present
        }
    }

    fn line(&self, value: &str, comment: &str) -> String {
        let comment = if self.comment.is_empty() {
            comment
        } else {
            &self.comment
        };
        let comment = if comment.is_empty() {
            String::new()
        } else {
            format!("\t#{comment}")
        };
        format!(
            "{}\t{}\t{}\t{value}{comment}\n",
            self.domain, self.limit_type, self.limit_item
        )
    }
}

fn valid(item: &str, value: &str, prefix: &str) -> Result<(), Error> {
    let (fits, rule) = if ["nice", "priority"].contains(&item) {
        (
            value.parse().is_ok_and(|value: i64| (-20..=19).contains(&value)),
            "Value must be a number in the range -20 to 19 inclusive. Refer to the limits.conf(5) manual pages for more details.",
        )
    } else {
        (
            ENDLESS.contains(&value)
                || (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())),
            "Value must either be 'unlimited', 'infinity' or -1, all of which indicate no limit, or a limit of 0 or larger. Refer to the limits.conf(5) manual pages for more details.",
        )
    };
    if fits {
        return Ok(());
    }
    Err(Error::new(format!(
        "{prefix} Value of '{value}' for item '{item}' is invalid. {rule}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn limit(fake: &Fake, rest: &str) -> Outcome {
        check_agrees::<PamLimits>(
            fake,
            &format!(r#"{{"domain":"ann","limit_type":"soft","limit_item":"nofile",{rest}}}"#),
        )
    }

    #[test]
    fn limits_come_and_change_in_place() {
        let fake = Fake::new();
        fake.file(
            "/etc/security/limits.conf",
            "# end\n\nann  soft nofile 100 # why\n* hard core 0",
        );
        let outcome = limit(&fake, r#""value":200,"backup":true"#);
        assert_eq!(
            fake.text("/etc/security/limits.conf"),
            "# end\n\nann\tsoft\tnofile\t200\t# why\n* hard core 0"
        );
        assert_eq!(outcome.message(), Some("ann\tsoft\tnofile\t200\t# why\n"));
        assert!(
            fake.text(outcome.values["backup_file"].as_str().unwrap())
                .contains("100")
        );
        check_agrees::<PamLimits>(
            &fake,
            r#"{"domain":"bob","limit_type":"-","limit_item":"nproc","value":"unlimited","comment":"c"}"#,
        );
        assert!(
            fake.text("/etc/security/limits.conf")
                .ends_with("core 0\nbob\t-\tnproc\tunlimited\t#c\n")
        );
        limit(&fake, r#""value":"1","dest":"/etc/security/new.conf""#);
        assert_eq!(fake.text("/etc/security/new.conf"), "ann\tsoft\tnofile\t1\n");
    }

    #[test]
    fn the_higher_or_the_lower_wins() {
        let fake = Fake::new();
        let wins = |before: &str, rest: &str| {
            fake.file("/l", format!("ann soft nofile {before}\n"));
            run::<PamLimits>(
                &fake,
                &format!(
                    r#"{{"domain":"ann","limit_type":"soft","limit_item":"nofile","dest":"/l",{rest}}}"#
                ),
            );
            fake.text("/l").split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!(wins("100", r#""value":50,"use_max":true"#), "100");
        assert_eq!(wins("100", r#""value":"unlimited","use_max":true"#), "unlimited");
        assert_eq!(wins("-1", r#""value":50,"use_max":true"#), "-1");
        assert_eq!(wins("100", r#""value":50,"use_min":true"#), "50");
        assert_eq!(wins("100", r#""value":-1,"use_min":true"#), "100");
    }

    #[test]
    fn bad_values() {
        let fake = Fake::new();
        fake.file("/l", "ann soft nofile many\n");
        for (item, value, start) in [
            (
                "nofile",
                "some",
                " Value of 'some' for item 'nofile' is invalid. Value must either be",
            ),
            (
                "nice",
                "20",
                " Value of '20' for item 'nice' is invalid. Value must be a number",
            ),
            (
                "nice",
                "1",
                "Invalid configuration found in '/l'. Value of 'many'",
            ),
        ] {
            let message = failure::<PamLimits>(
                &fake,
                &format!(
                    r#"{{"domain":"a","limit_type":"-","limit_item":"{item}","value":"{value}","dest":"/l"}}"#
                ),
            );
            assert!(message.starts_with(start), "{message}");
        }
    }
}
