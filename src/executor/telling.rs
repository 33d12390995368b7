//! What a run says of its tasks and their results.

use std::sync::Arc;

use super::attempt::{Site, task_name};
use super::end::End;
use super::strategy::Strategy;
use crate::diagnostic::Diagnostic;
use crate::output::{self, Announced, Detail, Event, Extent, Label, Report, Role, State};
use crate::playbook::What;
use crate::value::{Map, Value};

/// What takes the place of a result that is not to be seen.
const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

/// What takes the place of an item's label.
const CENSORED_ITEM: &str = "(censored due to no_log)";

/// The key for why an inclusion has failed.
const REASON: &str = "reason";

/// What failed where a module says why.
pub const MODULE_FAILED: &str = "Module failed";

/// What is seen of a result all the same.
const UNCENSORED: [&str; 3] = ["attempts", "changed", "retries"];

impl Site {
    /// The task, as this host would announce it.
    pub fn described(&self) -> Announced {
        let scope = self.scope();
        let task = &self.task;
        let name = if task.implicit && matches!(task.what, What::Run(_)) {
            "Gathering Facts".to_owned()
        } else {
            task_name(task, &scope)
        };
        let place = task.span().to_string();
        let place = place.rsplit_once(':').map_or(place.as_str(), |(place, _)| place);
        let check = self.truth("check_mode", &scope).ok().flatten();
        let secret = task.context.nearest("no_log");
        let arguments = match task.arguments.as_map() {
            Some(map) if secret.is_none_or(|node| node.to_value().truth() == Some(false)) => map
                .iter()
                .map(|(name, entry)| (name.clone(), entry.value.to_value().to_string()))
                .collect(),
            _ => Vec::new(),
        };
        Announced {
            id: Arc::as_ptr(task).addr(),
            name,
            action: if task.implicit {
                "gather_facts".to_owned()
            } else {
                task.action.clone()
            },
            place: output::absolute(place),
            role: if self.handler { Role::Handler } else { Role::Task },
            arguments,
            check: check.unwrap_or(self.run.settings.check),
            in_step: self.play.strategy == Strategy::Linear,
        }
    }

    /// The host starts with the task.
    pub fn start(&self) {
        self.run.show(&Event::Started {
            task: &self.announced,
            host: &self.host,
        });
    }

    /// Shows how the task, or an item of its loop, ended.
    pub fn report(&self, end: &End, extent: Extent, ignored: bool) {
        let detail = match crate::playbook::short_name(&self.announced.action) {
            _ if end.shown && !end.no_log => Detail::Always,
            _ if self.announced.action.ends_with("gather_facts") => Detail::Never,
            _ => Detail::Asked,
        };
        let extent = match extent {
            Extent::Item(_) if end.no_log => Extent::Item(CENSORED_ITEM.to_owned()),
            extent => extent,
        };
        self.run.show(&Event::Result(&Report {
            task: Arc::clone(&self.announced),
            label: self.label(end.delegate.as_deref()),
            state: end.state,
            extent,
            ignored,
            result: end.visible(),
            diff: if end.no_log { Vec::new() } else { end.diff.clone() },
            detail,
            error: self.why(end),
        }));
    }

    /// The end of an inclusion whose file or role cannot be taken in. Why is said at once, apart from the result.
    pub fn refused(&self, diagnostic: &Diagnostic, file: Option<&str>) -> End {
        self.run.show(&Event::Diagnostic(diagnostic));
        let mut result = Map::from_iter([
            ("changed".to_owned(), Value::Bool(false)),
            ("failed".to_owned(), Value::Bool(true)),
            (REASON.to_owned(), Value::from(diagnostic.message.as_str())),
        ]);
        if let Some(file) = file {
            result.insert("include".to_owned(), Value::from(file));
        }
        End::new(State::Failed, result)
    }

    /// Whose result it is.
    pub fn label(&self, delegate: Option<&str>) -> Label {
        let address = delegate.and_then(|delegate| {
            let scope = self.run.scope(delegate, Some(&self.play), None, Vec::new());
            let address = scope.value("ansible_host").ok().flatten()?;
            Some(address.to_string())
        });
        Label {
            host: self.host.clone(),
            delegate: delegate.map(str::to_owned),
            address,
        }
    }

    /// Why it failed; none for what went well, and for a loop, whose items have said it.
    fn why(&self, end: &End) -> Option<Diagnostic> {
        let told = end.result.contains_key("results") || end.result.contains_key(REASON);
        if !matches!(end.state, State::Failed | State::Unreachable) || told {
            return None;
        }
        let task = self.task.span().part(0, 0);
        let message = || match end.result.get("msg") {
            Some(message) if !end.no_log => message.to_string(),
            None | Some(_) => String::new(),
        };
        let actor = if end.by_module {
            MODULE_FAILED
        } else {
            "Action failed"
        };
        let error = match &end.diagnostic {
            Some(diagnostic) if !end.no_log => diagnostic.clone(),
            _ if end.state == State::Unreachable => match message() {
                text if text.is_empty() => Diagnostic::error("the host cannot be reached").at(&task),
                text => Diagnostic::error(text).at(&task),
            },
            _ => match message() {
                text if text.is_empty() => Diagnostic::error(format!("{actor}.")).at(&task),
                text => Diagnostic::error(text).at(&task).failing(actor, &task),
            },
        };
        Some(error.failing("Task failed", &task))
    }
}

impl End {
    /// The result as it may be shown.
    pub fn visible(&self) -> Map {
        if !self.no_log {
            let mut result = self.result.clone();
            if !self.invocation.is_empty() {
                let arguments = Value::Map(self.invocation.clone());
                let called = Map::from_iter([("module_args".to_owned(), arguments)]);
                result.insert("invocation".to_owned(), Value::Map(called));
            }
            return result;
        }
        let mut result = Map::from_iter([("censored".to_owned(), Value::from(CENSORED))]);
        for key in UNCENSORED {
            if let Some(value) = self.result.get(key) {
                result.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(items) = self.result.get("results").and_then(Value::as_list) {
            let censored = Value::Map(Map::from_iter([("censored".to_owned(), Value::from(CENSORED))]));
            result.insert("results".to_owned(), Value::List(vec![censored; items.len()]));
        }
        result
    }
}
