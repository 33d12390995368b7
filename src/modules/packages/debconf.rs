//! `debconf`: answers to the questions of Debian packages. After ansible.builtin.debconf.
//!
//! It changes the database and reconfigures nothing; `dpkg-reconfigure` is the next task's, where it is wanted.

use serde::Deserialize;

use crate::modules::files::content::json_text;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// What `debconf-show` has in place of a password.
const OMITTED: &str = "(password omitted)";

pub struct Debconf;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    question: Option<String>,
    vtype: Option<String>,
    value: Value,
    unseen: bool,
}

/// The program that takes the answer, and the result.
#[derive(Debug)]
pub struct Change {
    command: Command,
    outcome: Outcome,
    foreseen: Effect,
}

impl Module for Debconf {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "debconf",
        summary: "answer a question of a Debian package ahead",
        args: &[
            Arg::str("name").aliases(&["pkg"]).required().doc("the package"),
            Arg::str("question")
                .aliases(&["selection", "setting"])
                .doc("the question; without one, the answers are read"),
            Arg::str("vtype")
                .choices(&[
                    "boolean",
                    "error",
                    "multiselect",
                    "note",
                    "password",
                    "seen",
                    "select",
                    "string",
                    "text",
                    "title",
                ])
                .doc("what kind of question it is"),
            Arg::raw("value")
                .aliases(&["answer"])
                .doc("the answer; a list for `multiselect`"),
            Arg::bool("unseen")
                .default("no")
                .doc("the question may still be asked"),
        ],
        returns: &[
            Return::new("current", "dict", "the answers, or the one that was given"),
            Return::new("previous", "dict", "what the answer was before").when("changed"),
        ],
        example: "\
- debconf:
    name: tzdata
    question: tzdata/Zones/Europe
    vtype: select
    value: Zurich
",
        free_form: None,
        rules: &[Rule::Together(&["question", "vtype", "value"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        tool::require(system, "debconf-show", "read answers")?;
        let mut previous = answers(&args.name, system)?;
        let foreseen = |question: &str| system.foreseen(Subject::Answer, &subject(&args.name, question));
        let shown = previous
            .iter_mut()
            .filter(|(_, answer)| **answer != OMITTED.into());
        for (question, answer) in shown {
            if let Some(known) = foreseen(question) {
                *answer = known;
            }
        }
        let (Some(question), Some(vtype)) = (&args.question, &args.vtype) else {
            let outcome = Outcome::ok().with("msg", "").with("current", previous);
            return Ok(Plan::Same(outcome));
        };
        let wanted = Answer::new(vtype, &args.value)?;
        let known = match (foreseen(question), previous.get(question)) {
            (Some(known), _) => Some(known.to_string()),
            (None, None) => None,
            (None, Some(_)) if vtype == "password" => password(&args.name, question, system)?,
            (None, Some(known)) => Some(known.to_string()),
        };
        if known.is_some_and(|known| wanted.is(&known)) {
            let outcome = Outcome::ok().with("msg", "").with("current", previous);
            return Ok(Plan::Same(outcome));
        }
        tool::require(system, "debconf-set-selections", "answer questions")?;
        let mut argv = vec!["debconf-set-selections"];
        if args.unseen {
            argv.push("-u");
        }
        let text = wanted.text();
        let mut command = Command::new(argv);
        command.stdin = format!("{} {question} {vtype} {text}", args.name).into_bytes();
        let before = if let Some(known) = previous.get(question) {
            Map::from_iter([(question.clone(), known.clone())])
        } else {
            let mut all = previous;
            all.insert(question.clone(), "".into());
            all
        };
        let foreseen = Effect::State {
            of: Subject::Answer,
            name: subject(&args.name, question),
            is: text.clone().into(),
        };
        let mut after = before.clone();
        after.insert(question.clone(), text.into());
        let diff = Diff {
            before: json_text(&before),
            after: json_text(&after),
            ..Diff::default()
        };
        let current = Map::from_iter([(question.clone(), wanted.value())]);
        let outcome = Outcome::changed(true)
            .with("msg", "")
            .with("current", current)
            .with("previous", before)
            .with_diff(diff);
        Ok(Plan::Change {
            predicted: outcome.clone(),
            change: Change {
                command,
                outcome,
                foreseen,
            },
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        tool::run(system, &change.command)?;
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(vec![change.foreseen.clone()])
    }
}

/// How a check knows the answer to a question.
fn subject(package: &str, question: &str) -> String {
    format!("{package} {question}")
}

/// An answer, ready to be compared and given.
enum Answer {
    One(String),
    /// Sorted: their order means nothing.
    Several(Vec<String>),
}

impl Answer {
    fn new(vtype: &str, value: &Value) -> Result<Self, Error> {
        match (vtype, value) {
            ("multiselect", Value::List(items)) => {
                let texts: Option<Vec<String>> = items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect();
                let mut texts = texts.ok_or_else(|| {
                    Error::new(
                        "Invalid value provided for 'multiselect': each of its elements has to be a text",
                    )
                })?;
                texts.sort();
                Ok(Self::Several(texts))
            }
            ("boolean", value) => Ok(Self::One(value.to_string().to_lowercase())),
            (_, value) => Ok(Self::One(value.to_string())),
        }
    }

    fn is(&self, known: &str) -> bool {
        match self {
            Self::One(wanted) => known == wanted,
            Self::Several(wanted) => {
                let mut known: Vec<&str> = known.split(',').map(str::trim).collect();
                known.sort_unstable();
                known == *wanted
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Several(texts) => texts.join(", "),
        }
    }

    fn value(&self) -> Value {
        self.text().into()
    }
}

/// All questions of a package and their answers; a password's is not shown.
fn answers(package: &str, system: &dyn System) -> Result<Map, Error> {
    let text = tool::text_of(system, &Command::new(["debconf-show", package]))?;
    let pair = |line: &str| {
        let (question, answer) = line.split_once(':')?;
        let question = question.trim_start_matches(['*', ' ']).trim();
        Some((question.to_owned(), Value::from(answer.trim())))
    };
    Ok(text.lines().filter_map(pair).collect())
}

fn password(package: &str, question: &str, system: &dyn System) -> Result<Option<String>, Error> {
    tool::require(system, "debconf-get-selections", "compare passwords")?;
    let text = tool::text_of(system, &Command::new(["debconf-get-selections"]))?;
    let answer = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let named = fields.first()?.starts_with(package) && *fields.get(1)? == question;
        (named && *fields.get(2)? == "password")
            .then(|| fields.get(3).copied().unwrap_or_default().to_owned())
    });
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    fn target() -> Fake {
        let fake = Fake::new();
        for program in ["debconf-show", "debconf-set-selections", "debconf-get-selections"] {
            fake.program(&format!("/usr/bin/{program}"));
        }
        fake.answer(
            "debconf-show app",
            0,
            "* app/on: true\n  app/parts: one, two\n* app/secret: (password omitted)\n",
        )
        .answer(
            "debconf-get-selections",
            0,
            "# comment\napp\tapp/secret\tpassword\thunter2\n",
        )
        .answer("debconf-set-selections", 0, "");
        fake
    }

    #[test]
    fn what_is_answered_is_not_answered_again() {
        let fake = target();
        for rest in [
            r#""question":"app/on","vtype":"boolean","value":true"#,
            r#""question":"app/on","vtype":"boolean","value":"TRUE""#,
            r#""question":"app/parts","vtype":"multiselect","value":["two","one"]"#,
            r#""question":"app/secret","vtype":"password","value":"hunter2""#,
        ] {
            let outcome = run::<Debconf>(&fake, &format!(r#"{{"name":"app",{rest}}}"#));
            assert!(!outcome.changed && !outcome.failed, "{rest}: {outcome:?}");
        }
        let read = run::<Debconf>(&fake, r#"{"name":"app"}"#);
        let json = serde_json::to_string(&read.values["current"]).unwrap();
        assert_eq!(
            json,
            r#"{"app/on":"true","app/parts":"one, two","app/secret":"(password omitted)"}"#
        );
    }

    #[test]
    fn a_new_answer_goes_to_standard_input() {
        let fake = target();
        let arguments =
            r#"{"name":"app","question":"app/secret","vtype":"password","value":"x","unseen":true}"#;
        fake.answer("debconf-set-selections -u", 0, "");
        assert!(check::<Debconf>(&fake, arguments).changed);
        let outcome = run::<Debconf>(&fake, arguments);
        assert!(outcome.changed, "{outcome:?}");
        let ran = fake.ran();
        assert_eq!(ran.last().unwrap(), "debconf-set-selections -u");
        assert_eq!(
            failure::<Debconf>(
                &fake,
                r#"{"name":"app","question":"app/parts","vtype":"multiselect","value":["one",1]}"#
            ),
            "Invalid value provided for 'multiselect': each of its elements has to be a text"
        );
    }
}
