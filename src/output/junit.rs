//! A `JUnit` file for each playbook: a suite of it, a case for each task on each host.
//!
//! What counts as which: `ok` passes, `skipped` is skipped, `failed` is an error. A failure passes whose task's name
//! has `EXPECTED FAILURE` in it; `TOGGLE RESULT` there turns failure and success around.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Printer;
use super::console::Console;
use super::dump::{self, json};
use super::event::{Announced, Event, Extent, Report, State};
use super::settings::Settings;
use crate::configuration::Configuration;
use crate::configuration::table;
use crate::playbook::short_name;
use crate::value::{Map, Value};

/// What the environment says of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
struct Options {
    folder: PathBuf,
    class_is_file: bool,
    relative_to: Option<PathBuf>,
    elsewhere: Option<String>,
    fail_on_change: bool,
    fail_on_ignore: bool,
    facts: bool,
    arguments: bool,
    prefix: String,
}

pub struct Junit {
    options: Options,
    settings: Settings,
    /// The playbook's name, without its ending.
    name: String,
    play: String,
    tasks: Vec<Task>,
}

struct Task {
    announced: Arc<Announced>,
    name: String,
    play: String,
    start: Instant,
    cases: Vec<Case>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Failed,
    Skipped,
    Included,
}

struct Case {
    host: String,
    status: Status,
    seconds: f64,
    /// Why, in a few words.
    message: String,
    output: String,
}

impl Junit {
    pub fn new(configuration: &Configuration, settings: Settings) -> Self {
        let text = |setting| configuration.text(setting).map(str::to_owned);
        let options = Options {
            folder: configuration.path(&table::JUNIT_OUTPUT_DIR).unwrap_or_default(),
            class_is_file: configuration.truth(&table::JUNIT_TASK_CLASS),
            relative_to: configuration.path(&table::JUNIT_TASK_RELATIVE_PATH),
            elsewhere: text(&table::JUNIT_REPLACE_OUT_OF_TREE_PATH),
            fail_on_change: configuration.truth(&table::JUNIT_FAIL_ON_CHANGE),
            fail_on_ignore: configuration.truth(&table::JUNIT_FAIL_ON_IGNORE),
            facts: configuration.truth(&table::JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT),
            arguments: !configuration.truth(&table::JUNIT_HIDE_TASK_ARGUMENTS),
            prefix: text(&table::JUNIT_TEST_CASE_PREFIX).unwrap_or_default(),
        };
        Self {
            options,
            settings,
            name: String::new(),
            play: String::new(),
            tasks: Vec::new(),
        }
    }

    fn task(&mut self, announced: &Arc<Announced>) {
        if self.tasks.iter().any(|task| task.announced.id == announced.id) {
            return;
        }
        let mut name = announced.name.trim().to_owned();
        if self.options.arguments && !announced.arguments.is_empty() {
            let arguments = announced.arguments.iter();
            let arguments: Vec<String> = arguments.map(|(name, value)| format!("{name}={value}")).collect();
            name = format!("{name} {}", arguments.join(", "));
        }
        self.tasks.push(Task {
            announced: Arc::clone(announced),
            name,
            play: self.play.clone(),
            start: Instant::now(),
            cases: Vec::new(),
        });
    }

    fn report(&mut self, report: &Report) {
        let changed = matches!(report.state, State::Changed);
        let status = match report.state {
            State::Skipped => Status::Skipped,
            State::Failed if report.ignored && !self.options.fail_on_ignore => Status::Ok,
            State::Failed => Status::Failed,
            _ if changed && self.options.fail_on_change => Status::Failed,
            // An unreachable host has said nothing of the task.
            State::Unreachable => return,
            _ => Status::Ok,
        };
        let shown = dump::abridged(&report.result, self.settings.verbosity);
        let message = match status {
            Status::Skipped => text_of(&report.result, "skip_reason").unwrap_or("skipped".to_owned()),
            _ => match &report.error {
                Some(error) => error.whole_message(),
                None => text_of(&report.result, "msg")
                    .or_else(|| text_of(&report.result, "rc").map(|code| format!("rc={code}")))
                    .unwrap_or_default(),
            },
        };
        self.case(
            &report.task,
            &report.label.host,
            status,
            message,
            json(&Value::Map(shown), None),
        );
    }

    fn case(&mut self, of: &Arc<Announced>, host: &str, status: Status, message: String, output: String) {
        let Some(task) = self.tasks.iter_mut().find(|task| task.announced.id == of.id) else {
            return;
        };
        let toggled = task.name.contains("TOGGLE RESULT");
        let status = match status {
            Status::Failed if toggled || task.name.contains("EXPECTED FAILURE") => Status::Ok,
            Status::Ok if toggled => Status::Failed,
            other => other,
        };
        if !task.name.starts_with(&self.options.prefix) && status != Status::Failed {
            return;
        }
        task.cases.push(Case {
            host: host.to_owned(),
            status,
            seconds: task.start.elapsed().as_secs_f64(),
            message,
            output,
        });
    }

    fn write(&mut self, console: &mut Console) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}.{:06}.xml", self.name, time.as_secs(), time.subsec_micros());
        let path = self.options.folder.join(name);
        let written = std::fs::create_dir_all(&self.options.folder)
            .and_then(|()| std::fs::write(&path, self.document()));
        if let Err(error) = written {
            console.warn(&format!("cannot write the report {}: {error}", path.display()));
        }
        self.tasks.clear();
    }

    fn document(&self) -> String {
        let reported: Vec<(&Task, &Case)> = self
            .tasks
            .iter()
            .filter(|task| {
                self.options.facts || !matches!(short_name(&task.announced.action), "gather_facts" | "setup")
            })
            .flat_map(|task| task.cases.iter().map(move |case| (task, case)))
            .collect();
        let count = |status| reported.iter().filter(|(_, case)| case.status == status).count();
        let seconds: f64 = reported.iter().map(|(_, case)| case.seconds).sum();
        let counts = format!(
            "disabled=\"0\" errors=\"{}\" failures=\"0\"",
            count(Status::Failed)
        );
        let tests = format!("tests=\"{}\" time=\"{seconds:.6}\"", reported.len());
        let mut out = format!("<?xml version=\"1.0\" ?>\n<testsuites {counts} {tests}>\n");
        let _ = writeln!(
            out,
            "\t<testsuite {counts} name=\"{}\" skipped=\"{}\" {tests}>",
            escaped(&self.name),
            count(Status::Skipped)
        );
        for (task, case) in reported {
            out.push_str(&self.element(task, case));
        }
        out.push_str("\t</testsuite>\n</testsuites>\n");
        out
    }

    fn element(&self, task: &Task, case: &Case) -> String {
        let head = format!(
            "\t\t<testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\">\n",
            escaped(&self.class(&task.announced.place)),
            escaped(&format!("[{}] {}: {}", case.host, task.play, task.name)),
            case.seconds
        );
        let message = escaped(&case.message);
        let output = escaped(&case.output);
        let body = match case.status {
            Status::Ok | Status::Included => format!("<system-out>{output}</system-out>"),
            Status::Skipped => format!("<skipped>{message}</skipped>"),
            Status::Failed => format!("<error message=\"{message}\" type=\"error\">{output}</error>"),
        };
        format!("{head}\t\t\t{body}\n\t\t</testcase>\n")
    }

    /// The place of a task, as the options want it.
    fn class(&self, place: &str) -> String {
        let mut class = match &self.options.relative_to {
            Some(folder) => relative(Path::new(place), folder),
            None => place.to_owned(),
        };
        if let (Some(elsewhere), true) = (&self.options.elsewhere, class.starts_with("../")) {
            let name = class.rsplit('/').next().unwrap_or_default();
            class = format!("{elsewhere}{name}");
        }
        match class.rsplit_once(".yml:") {
            Some((file, _)) if self.options.class_is_file => file.to_owned(),
            _ => class,
        }
    }
}

impl Printer for Junit {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Playbook { file, .. } => {
                let name = file.file_stem().unwrap_or_default();
                self.name = name.to_string_lossy().into_owned();
            }
            Event::Play { name, .. } => (*name).clone_into(&mut self.play),
            Event::Task { task, .. } => self.task(task),
            Event::Result(report) if !matches!(report.extent, Extent::Item(_)) => self.report(report),
            Event::Included { task, file, .. } => {
                self.case(
                    task,
                    "include",
                    Status::Included,
                    String::new(),
                    (*file).to_owned(),
                );
            }
            Event::Recap(_) => self.write(console),
            _ => {}
        }
    }
}

fn text_of(result: &Map, key: &str) -> Option<String> {
    result.get(key).map(Value::to_string)
}

/// A path as seen from a folder; both from the root.
fn relative(path: &Path, folder: &Path) -> String {
    let shared = path
        .components()
        .zip(folder.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder.components().skip(shared).map(|_| Path::new(".."));
    let down = path
        .components()
        .skip(shared)
        .map(|part| Path::new(part.as_os_str()));
    up.chain(down).collect::<PathBuf>().display().to_string()
}

/// For elements and attributes; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event::{Detail, Label};

    fn junit(options: impl FnOnce(&mut Options)) -> Junit {
        let mut junit = Junit::new(&Configuration::default(), Settings::default());
        options(&mut junit.options);
        junit.name = "site".to_owned();
        junit.play = "all".to_owned();
        junit
    }

    fn report(junit: &mut Junit, id: usize, name: &str, state: State, result: &str) {
        let task = Arc::new(Announced {
            id,
            name: name.to_owned(),
            action: "command".to_owned(),
            place: format!("/site/tasks/main.yml:{id}"),
            arguments: vec![("_raw_params".to_owned(), "a < b".to_owned())],
            ..Announced::default()
        });
        junit.task(&task);
        junit.report(&Report {
            task,
            label: Label {
                host: "web".to_owned(),
                ..Label::default()
            },
            state,
            extent: Extent::Task,
            ignored: false,
            result: serde_json::from_str(result).unwrap(),
            diff: Vec::new(),
            detail: Detail::Asked,
            error: None,
        });
        junit
            .tasks
            .last_mut()
            .unwrap()
            .cases
            .iter_mut()
            .for_each(|case| case.seconds = 1.5);
    }

    #[test]
    fn each_result_is_a_case() {
        let mut junit = junit(|options| options.arguments = false);
        report(
            &mut junit,
            1,
            "one",
            State::Changed,
            r#"{"rc":0,"stdout":"\"<x>\"\n"}"#,
        );
        report(&mut junit, 2, "two", State::Failed, r#"{"msg":"no & no"}"#);
        report(
            &mut junit,
            3,
            "three",
            State::Skipped,
            r#"{"skip_reason":"why not"}"#,
        );
        insta::assert_snapshot!(junit.document().replace('\t', "  "), @r#"
        <?xml version="1.0" ?>
        <testsuites disabled="0" errors="1" failures="0" tests="3" time="4.500000">
          <testsuite disabled="0" errors="1" failures="0" name="site" skipped="1" tests="3" time="4.500000">
            <testcase classname="/site/tasks/main.yml:1" name="[web] all: one" time="1.500000">
              <system-out>{&quot;rc&quot;: 0, &quot;stdout&quot;: &quot;\&quot;&lt;x&gt;\&quot;\n&quot;}</system-out>
            </testcase>
            <testcase classname="/site/tasks/main.yml:2" name="[web] all: two" time="1.500000">
              <error message="no &amp; no" type="error">{&quot;msg&quot;: &quot;no &amp; no&quot;}</error>
            </testcase>
            <testcase classname="/site/tasks/main.yml:3" name="[web] all: three" time="1.500000">
              <skipped>why not</skipped>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn options_decide_what_counts() {
        let statuses = |options: fn(&mut Options), name: &str, state| {
            let mut junit = junit(options);
            report(&mut junit, 1, name, state, "{}");
            junit.tasks[0]
                .cases
                .iter()
                .map(|case| case.status)
                .collect::<Vec<_>>()
        };
        let none = |_: &mut Options| {};
        assert_eq!(statuses(none, "EXPECTED FAILURE x", State::Failed), [Status::Ok]);
        assert_eq!(statuses(none, "TOGGLE RESULT", State::Ok), [Status::Failed]);
        assert_eq!(
            statuses(|options| options.fail_on_change = true, "x", State::Changed),
            [Status::Failed]
        );
        let prefixed = |options: &mut Options| options.prefix = "TEST".to_owned();
        assert_eq!(statuses(prefixed, "x", State::Ok), []);
        assert_eq!(statuses(prefixed, "x", State::Failed), [Status::Failed]);
        assert_eq!(statuses(prefixed, "TEST x", State::Ok), [Status::Ok]);
    }

    #[test]
    fn classes_are_places() {
        let class = |options: fn(&mut Options)| junit(options).class("/site/tasks/main.yml:3");
        assert_eq!(class(|_| {}), "/site/tasks/main.yml:3");
        assert_eq!(class(|options| options.class_is_file = true), "/site/tasks/main");
        assert_eq!(
            class(|options| options.relative_to = Some("/site".into())),
            "tasks/main.yml:3"
        );
        assert_eq!(
            class(|options| {
                options.relative_to = Some("/site/roles".into());
                options.elsewhere = Some("elsewhere:".to_owned());
            }),
            "elsewhere:main.yml:3"
        );
    }
}
