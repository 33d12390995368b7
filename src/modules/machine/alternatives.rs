//! `alternatives`: which of several programs a name stands for. After community.general.alternatives.
//!
//! All that is known comes from one `update-alternatives --display`, Debian's and Red Hat's (`alternatives`) alike.

use serde::Deserialize;

use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

pub struct Alternatives;

const PROGRAMS: &[&str] = &["update-alternatives", "alternatives"];
const DEFAULT_PRIORITY: i64 = 50;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    path: Option<String>,
    family: Option<String>,
    link: Option<String>,
    priority: Option<i64>,
    state: String,
    subcommands: Option<Vec<Follower>>,
}

/// A name that comes and goes with another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Follower {
    name: String,
    path: String,
    link: String,
}

#[derive(Debug)]
pub struct Change {
    name: String,
    calls: Vec<Command>,
    /// What it stands for then, if that is known.
    selected: Option<String>,
    outcome: Outcome,
}

impl Module for Alternatives {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "alternatives",
        summary: "choose what a name stands for, among several programs",
        args: &[
            Arg::str("name").required().doc("the name: `editor`"),
            Arg::path("path").doc("the program"),
            Arg::str("family").doc("instead of `path`, a family of programs (Red Hat's `alternatives`)"),
            Arg::path("link").doc("where the name is in the file system; needed where it is not known yet"),
            Arg::int("priority").doc("how much it is worth where nobody chooses; a new one gets 50"),
            Arg::str("state")
                .choices(&["absent", "auto", "present", "selected"])
                .default("selected")
                .doc("present: it can be chosen; selected: it is; auto: the highest priority is"),
            Arg::list("subcommands")
                .aliases(&["slaves"])
                .options(&[
                    Arg::str("name").required().doc("the name"),
                    Arg::path("path").required().doc("the program"),
                    Arg::path("link")
                        .required()
                        .doc("where the name is in the file system"),
                ])
                .doc("names that follow this one"),
        ],
        returns: &[Return::new("msg", "str", "what was done")],
        example: "- alternatives:\n    name: editor\n    path: /usr/bin/vim.basic\n",
        free_form: None,
        rules: &[Rule::OneOf(&["path", "family"])],
    };

    fn check(mut args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        for path in [&mut args.path, &mut args.link].into_iter().flatten() {
            *path = path::expand(path, system)?.display().to_string();
        }
        let wanted = args.subcommands.take();
        let program = PROGRAMS.iter().find(|program| system.which(program).is_some());
        let Some(program) = program else {
            tool::require(system, PROGRAMS[0], "choose among programs")?;
            return Err(Error::new("no update-alternatives"));
        };
        let output =
            system.run(&Command::new([program, "--display", args.name.as_str()]).env("LC_ALL", "C"))?;
        let mut group = if output.success() {
            Group::parse(&output.stdout_text())
        } else {
            Group::default()
        };
        if let Some(selected) = system.foreseen(Subject::Alternative, &args.name) {
            group.foresee(selected.as_str(), &args, wanted.as_deref());
        }
        let mut work = Work::new(program, &args, &group);
        if args.state == "absent" {
            work.remove();
        } else {
            work.install(wanted.as_deref(), system)?;
            work.choose();
        }
        let (before, after) = (group.describe(&args), work.after.clone());
        let outcome = Outcome::changed(!work.calls.is_empty()).with("msg", work.messages.join(" "));
        if work.calls.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        let side = |map: Map| serde_json::to_string(&Value::Map(map)).unwrap_or_default();
        let predicted = outcome.clone().with_diff(Diff {
            before: side(before),
            after: side(after),
            ..Diff::default()
        });
        let selected = if work.chosen {
            args.path.clone()
        } else {
            group.current.clone()
        };
        let change = Change {
            calls: work.calls,
            selected,
            name: args.name,
            outcome,
        };
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        for call in &change.calls {
            tool::run(system, call)?;
        }
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(vec![Effect::State {
            of: Subject::Alternative,
            name: change.name.clone(),
            is: change.selected.clone().map_or(Value::Null, Value::from),
        }])
    }
}

/// What a name can stand for, and does.
#[derive(Debug, Default)]
struct Group {
    manual: bool,
    current: Option<String>,
    link: Option<String>,
    alternatives: Vec<Alternative>,
}

#[derive(Debug)]
struct Alternative {
    path: String,
    family: String,
    priority: i64,
    followers: Vec<Follower>,
}

impl Group {
    fn parse(text: &str) -> Self {
        let mut group = Self::default();
        let mut links: Vec<(String, String)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let inner = line.trim_start();
            let indented = inner.len() < line.len();
            let mut words = inner.split(' ');
            let follower = matches!(words.next(), Some("slave" | "follower"))
                .then(|| &inner[inner.find(' ').unwrap_or(0)..]);
            if at == 0 {
                group.manual = line.contains("manual");
            } else if let Some(path) = inner.strip_prefix("link currently points to ") {
                group.current = Some(path.to_owned());
            } else if let Some((_, link)) = inner.split_once(" is ").filter(|_| inner.starts_with("link ")) {
                group.link = Some(link.to_owned());
            } else if let Some((name, link)) = follower.and_then(|rest| rest.trim_start().split_once(" is "))
            {
                links.push((name.to_owned(), link.to_owned()));
            } else if let Some((name, path)) = follower.and_then(|rest| rest.trim_start().split_once(": ")) {
                let link = links.iter().find(|(known, _)| known == name);
                if let Some(last) = group.alternatives.last_mut().filter(|_| path != "(null)") {
                    last.followers.push(Follower {
                        name: name.to_owned(),
                        path: path.to_owned(),
                        link: link.map(|(_, link)| link.clone()).unwrap_or_default(),
                    });
                }
            } else if let Some((path, rest)) = line
                .split_once(" - ")
                .filter(|_| !indented && line.starts_with('/'))
            {
                let word = |key: &str| {
                    let mut words = rest.split(' ').skip_while(|word| *word != key);
                    words.nth(1).unwrap_or_default().to_owned()
                };
                group.alternatives.push(Alternative {
                    path: path.to_owned(),
                    family: word("family"),
                    priority: word("priority").parse().unwrap_or_default(),
                    followers: Vec::new(),
                });
            }
        }
        group
    }

    fn find(&self, path: Option<&str>) -> Option<&Alternative> {
        self.alternatives
            .iter()
            .find(|known| Some(known.path.as_str()) == path)
    }

    /// As an earlier task of a check would have left it: what it chose can be chosen.
    fn foresee(&mut self, selected: Option<&str>, args: &Args, wanted: Option<&[Follower]>) {
        self.current = selected.map(str::to_owned);
        self.manual = selected.is_some();
        if self.find(selected).is_none()
            && let Some(path) = selected
        {
            self.alternatives.push(Alternative {
                path: path.to_owned(),
                family: args.family.clone().unwrap_or_default(),
                priority: args.priority.unwrap_or(DEFAULT_PRIORITY),
                followers: wanted.unwrap_or_default().to_vec(),
            });
        }
    }

    fn describe(&self, args: &Args) -> Map {
        let Some(known) = self.find(args.path.as_deref()) else {
            return state("absent");
        };
        let chosen = self.manual && self.current != args.path;
        let mut map = state(if chosen { "selected" } else { "present" });
        map.insert("path".to_owned(), known.path.as_str().into());
        map.insert("priority".to_owned(), known.priority.into());
        map.insert(
            "link".to_owned(),
            self.link.clone().map_or(Value::Null, Value::from),
        );
        map
    }
}

fn state(name: &str) -> Map {
    Map::from_iter([("state".to_owned(), name.into())])
}

/// The calls to make, as they are decided on.
struct Work<'a> {
    program: &'a str,
    args: &'a Args,
    group: &'a Group,
    calls: Vec<Command>,
    messages: Vec<String>,
    after: Map,
    chosen: bool,
}

impl<'a> Work<'a> {
    fn new(program: &'a str, args: &'a Args, group: &'a Group) -> Self {
        Self {
            program,
            args,
            group,
            calls: Vec::new(),
            messages: Vec::new(),
            after: Map::new(),
            chosen: false,
        }
    }

    fn call(&mut self, words: &[&str], message: String) {
        let argv = [self.program].into_iter().chain(words.iter().copied());
        self.calls.push(Command::new(argv).env("LC_ALL", "C"));
        self.messages.push(message);
    }

    fn remove(&mut self) {
        if let Some(known) = self.group.find(self.args.path.as_deref()) {
            let name = &self.args.name;
            let message = format!("Remove alternative '{}' from '{name}'.", known.path);
            self.call(&["--remove", name, &known.path], message);
            self.after = state("absent");
        }
    }

    fn install(&mut self, wanted: Option<&[Follower]>, system: &dyn System) -> Result<(), Error> {
        let Some(path) = self.args.path.as_deref() else {
            return Ok(());
        };
        let known = self.group.find(Some(path));
        let sorted = |list: &[Follower]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        let right = known.is_some_and(|known| {
            self.args
                .priority
                .is_none_or(|priority| priority == known.priority)
                && wanted.is_none_or(|wanted| sorted(wanted) == sorted(&known.followers))
        });
        if right {
            return Ok(());
        }
        if system.metadata(path.as_ref(), Follow::Yes)?.is_none() {
            return Err(Error::new(format!("Specified path {path} does not exist")));
        }
        let Some(link) = self.args.link.as_ref().or(self.group.link.as_ref()) else {
            return Err(Error::new(
                "Needed to install the alternative, but unable to do so as we are missing the link",
            ));
        };
        let priority = self.args.priority.or(known.map(|known| known.priority));
        let priority = priority.unwrap_or(DEFAULT_PRIORITY);
        let number = priority.to_string();
        let name = self.args.name.as_str();
        let mut words = vec!["--install", link, name, path, &number];
        if let Some(family) = &self.args.family {
            words.extend(["--family", family]);
        }
        for follower in wanted.unwrap_or_default() {
            words.extend(["--slave", &follower.link, &follower.name, &follower.path]);
        }
        self.call(&words, format!("Install alternative '{path}' for '{name}'."));
        self.after = state("present");
        self.after.insert("path".to_owned(), path.into());
        self.after.insert("priority".to_owned(), priority.into());
        self.after.insert("link".to_owned(), link.as_str().into());
        Ok(())
    }

    /// Selects it, or leaves the choice to the priorities.
    fn choose(&mut self) {
        let Args {
            name,
            path,
            family,
            state: wanted,
            ..
        } = self.args;
        let same_path = path.is_some() && self.group.current == *path;
        let current = self.group.find(self.group.current.as_deref());
        let same_family = family.is_some() && current.map(|known| &known.family) == family.as_ref();
        if wanted == "selected" && !same_path && !same_family {
            let target = path.as_ref().or(family.as_ref()).cloned().unwrap_or_default();
            self.call(
                &["--set", name, &target],
                format!("Set alternative '{target}' for '{name}'."),
            );
            self.after.insert("state".to_owned(), "selected".into());
            self.chosen = true;
        }
        if wanted == "auto" && self.group.manual {
            self.call(
                &["--auto", name],
                format!("Set alternative to auto for '{name}'."),
            );
            self.after.insert("state".to_owned(), "present".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::fake::Fake;

    const DISPLAY: &str = "\
editor - auto mode
  link best version is /bin/nano
  link currently points to /bin/nano
  link editor is /usr/bin/editor
  slave editor.1.gz is /usr/share/man/man1/editor.1.gz
/bin/ed - priority -100
  slave editor.1.gz: /usr/share/man/man1/ed.1.gz
/bin/nano - priority 40
  slave editor.1.gz: /usr/share/man/man1/nano.1.gz
";

    fn fake() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/bin/update-alternatives")
            .program("/bin/vim")
            .program("/bin/ed");
        fake.answer_with(|_, command| {
            (command.argv[1] != "--display").then(crate::system::CommandOutput::default)
        });
        fake.answer("update-alternatives --display editor", 0, DISPLAY)
            .answer("update-alternatives --display pager", 2, "");
        fake
    }

    fn calls(arguments: &str) -> (String, String) {
        let fake = fake();
        assert!(check::<Alternatives>(&fake, arguments).changed);
        assert!(fake.ran().iter().all(|line| line.contains("--display")));
        let outcome = run::<Alternatives>(&fake, arguments);
        let calls: Vec<String> = fake
            .ran()
            .into_iter()
            .filter(|line| !line.contains("--display"))
            .map(|line| line.replace("update-alternatives ", ""))
            .collect();
        (calls.join("; "), outcome.message().unwrap().to_owned())
    }

    #[test]
    fn what_differs_is_done() {
        assert_eq!(
            calls(r#"{"name":"editor","path":"/bin/vim","priority":60}"#),
            (
                "--install /usr/bin/editor editor /bin/vim 60; --set editor /bin/vim".to_owned(),
                "Install alternative '/bin/vim' for 'editor'. Set alternative '/bin/vim' for 'editor'."
                    .to_owned()
            )
        );
        assert_eq!(
            calls(r#"{"name":"editor","path":"/bin/ed"}"#).0,
            "--set editor /bin/ed"
        );
        assert_eq!(
            calls(r#"{"name":"editor","path":"/bin/ed","priority":1,"state":"present","subcommands":[{"name":"e","path":"/x","link":"/y"}]}"#).0,
            "--install /usr/bin/editor editor /bin/ed 1 --slave /y e /x"
        );
        assert_eq!(
            calls(r#"{"name":"editor","path":"/bin/ed","state":"absent"}"#).0,
            "--remove editor /bin/ed"
        );
        assert_eq!(
            calls(r#"{"name":"pager","path":"/bin/ed","link":"/usr/bin/pager"}"#).0,
            "--install /usr/bin/pager pager /bin/ed 50; --set pager /bin/ed"
        );
    }

    #[test]
    fn what_is_right_stays() {
        let fake = fake();
        for same in [
            r#"{"name":"editor","path":"/bin/nano"}"#,
            r#"{"name":"editor","path":"/bin/ed","state":"present","priority":-100}"#,
            r#"{"name":"editor","path":"/bin/ed","state":"auto","subcommands":[{"name":"editor.1.gz","path":"/usr/share/man/man1/ed.1.gz","link":"/usr/share/man/man1/editor.1.gz"}]}"#,
            r#"{"name":"pager","path":"/bin/x","state":"absent"}"#,
        ] {
            let outcome = run::<Alternatives>(&fake, same);
            assert!(!outcome.changed && !outcome.failed, "{same} {outcome:?}");
        }
    }

    #[test]
    fn refusals() {
        let fake = fake();
        assert_eq!(
            failure::<Alternatives>(&fake, r#"{"name":"editor","path":"/none"}"#),
            "Specified path /none does not exist"
        );
        assert_eq!(
            failure::<Alternatives>(&fake, r#"{"name":"pager","path":"/bin/ed"}"#),
            "Needed to install the alternative, but unable to do so as we are missing the link"
        );
        assert_eq!(
            failure::<Alternatives>(
                &fake,
                r#"{"name":"editor","path":"/bin/ed","subcommands":[{"name":"x"}]}"#
            ),
            "missing required arguments: path, link found in subcommands"
        );
    }
}
