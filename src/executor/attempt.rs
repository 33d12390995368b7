//! One task on one host, once: for one item of its loop, or without one.
//!
//! The order is fixed: delegation, conditions, arguments, the run itself, `changed_when`, `failed_when`,
//! `until`. Loops are [`super::repeat`]'s, what follows from the result the strategy's.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::arguments;
use super::hidden::Hidden;
use super::play::ActivePlay;
use super::remote::Remote;
use super::run::Run;
use super::scope::layer;
use super::strategy::Strategy;
use super::vocabulary;
use crate::actions::{self, Action, Done, Effect, Failure, Held, Invocation, Target};
use crate::diagnostic::Diagnostic;
use crate::modules::Spec;
use crate::output::{Event, Label, Report, State};
use crate::playbook::{Task, What};
use crate::source::Span;
use crate::template::{self, EvalError, Layer, Scope};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};
use crate::yaml::Node;

/// `until` without `retries` tries this often again.
const RETRIES: i64 = 3;
/// Seconds between tries.
const DELAY: i64 = 5;
/// What takes the place of a result that is not to be seen.
const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

/// Where and with which variables a task runs.
#[derive(Clone)]
pub struct Site {
    pub run: Arc<Run>,
    pub play: Arc<ActivePlay>,
    pub host: String,
    pub task: Arc<Task>,
    /// The strongest variables: the loop's.
    pub local: Vec<Arc<dyn Layer>>,
    /// `run_once`: the result counts for all hosts of the batch.
    pub once: bool,
    /// The task is a handler, or included by one.
    pub handler: bool,
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    pub state: State,
    /// What is registered.
    pub result: Map,
    pub diff: Vec<Diff>,
    pub effects: Vec<Effect>,
    pub diagnostic: Option<Diagnostic>,
    pub delegate: Option<String>,
    /// What it notifies, if it has changed something.
    pub notify: Vec<Notification>,
    pub no_log: bool,
    pub shown: bool,
}

/// The name of a handler or topic, and where it stands.
pub type Notification = (String, Span);

impl End {
    pub fn new(state: State, result: Map) -> Self {
        Self {
            state,
            result,
            diff: Vec::new(),
            effects: Vec::new(),
            diagnostic: None,
            delegate: None,
            notify: Vec::new(),
            no_log: false,
            shown: false,
        }
    }

    pub fn failed(message: impl Into<String>, diagnostic: Option<Diagnostic>) -> Self {
        let outcome = Outcome::failed(message);
        Self {
            diagnostic,
            ..Self::new(State::Failed, result_of(outcome).0)
        }
    }

    /// A loop over nothing.
    pub fn empty_loop() -> Self {
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::Bool(false));
        result.insert("skipped".to_owned(), Value::Bool(true));
        result.insert("skipped_reason".to_owned(), Value::from("No items in the list"));
        result.insert("results".to_owned(), Value::List(Vec::new()));
        Self::new(State::Skipped, result)
    }

    pub fn skipped(condition: &Node) -> Self {
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::Bool(false));
        result.insert("skipped".to_owned(), Value::Bool(true));
        result.insert(
            "skip_reason".to_owned(),
            Value::from("Conditional result was False"),
        );
        result.insert("false_condition".to_owned(), condition.to_value());
        Self::new(State::Skipped, result)
    }

    /// The result as it may be shown.
    pub fn visible(&self) -> Value {
        if !self.no_log {
            return Value::Map(self.result.clone());
        }
        let mut result = Map::from_iter([("censored".to_owned(), Value::from(CENSORED))]);
        result.insert(
            "changed".to_owned(),
            self.result.get("changed").cloned().unwrap_or(Value::Bool(false)),
        );
        Value::Map(result)
    }
}

/// An outcome as a result, and its differences.
fn result_of(outcome: Outcome) -> (Map, Vec<Diff>) {
    let mut result = outcome.values;
    result.insert("changed".to_owned(), Value::Bool(outcome.changed));
    result.insert("failed".to_owned(), Value::Bool(outcome.failed));
    if outcome.skipped {
        result.insert("skipped".to_owned(), Value::Bool(true));
    }
    for (lines, text) in [("stdout_lines", "stdout"), ("stderr_lines", "stderr")] {
        if let (Some(Value::Str(text)), false) = (result.get(text), result.contains_key(lines)) {
            let split = Value::from(text.lines().map(str::to_owned).collect::<Vec<_>>());
            result.insert(lines.to_owned(), split);
        }
    }
    (result, outcome.diff)
}

fn timed_out(limit: Duration) -> Outcome {
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let period = Map::from_iter([("period".to_owned(), Value::Int(seconds))]);
    Outcome::failed(format!("Timed out after {seconds} second(s).")).with("timedout", Value::Map(period))
}

fn flag(result: &Map, name: &str) -> bool {
    result.get(name).and_then(Value::truth).unwrap_or(false)
}

impl Site {
    pub fn scope(&self) -> Arc<Scope> {
        self.run.scope(
            &self.host,
            Some(&self.play),
            Some(&self.task.context),
            self.local.clone(),
        )
    }

    /// Runs the task; whatever goes wrong is in the end.
    pub async fn attempt(&self) -> End {
        let scope = self.scope();
        match self.try_attempt(&scope).await {
            Ok(end) => end,
            Err(error) => self.broken(error),
        }
    }

    /// The end of a task that could not be evaluated.
    pub fn broken(&self, error: EvalError) -> End {
        let name = self.task.name().map_or(&self.task.action_span, |node| &node.span);
        let diagnostic = error.diagnostic.via("in this task", name);
        let message = diagnostic.message.clone();
        let no_log = self
            .task
            .context
            .nearest("no_log")
            .is_some_and(|node| node.to_value().truth() != Some(false));
        End {
            no_log,
            ..End::failed(message, Some(diagnostic))
        }
    }

    async fn try_attempt(&self, scope: &Arc<Scope>) -> Result<End, EvalError> {
        if let Some(condition) = self.false_condition(scope)? {
            return Ok(End::skipped(condition));
        }
        let no_log = self.truth("no_log", scope)?.unwrap_or(false);
        let delegate = self.text("delegate_to", scope)?;
        let mut end = self.tries(scope, delegate.as_deref()).await?;
        end.no_log = no_log;
        end.delegate = delegate;
        if matches!(end.state, State::Ok | State::Changed) {
            end.notify = self.notifications(scope)?;
        }
        Ok(end)
    }

    fn notifications(&self, scope: &Arc<Scope>) -> Result<Vec<Notification>, EvalError> {
        let mut notifications = Vec::new();
        for node in self.task.context.all("notify") {
            let names = match template::evaluate(node, scope)? {
                Value::List(items) => items,
                other => vec![other],
            };
            notifications.extend(names.iter().map(|name| (name.to_string(), node.span.clone())));
        }
        Ok(notifications)
    }

    /// The first of the task's conditions that does not hold.
    pub fn false_condition(&self, scope: &Arc<Scope>) -> Result<Option<&Node>, EvalError> {
        for condition in self.task.context.conditions() {
            if !template::condition(condition, scope)? {
                return Ok(Some(condition));
            }
        }
        Ok(None)
    }

    async fn tries(&self, scope: &Arc<Scope>, delegate: Option<&str>) -> Result<End, EvalError> {
        let until = self.task.own("until");
        let retries = match (self.number("retries", scope)?, until) {
            (Some(retries), _) => retries.max(0),
            (None, Some(_)) => RETRIES,
            (None, None) => 0,
        };
        let delay = self.number("delay", scope)?.unwrap_or(DELAY).max(0);
        let mut tried = 0;
        loop {
            let mut end = self.once(scope, delegate).await?;
            tried += 1;
            if end.state == State::Unreachable || end.state == State::Skipped {
                return Ok(end);
            }
            let done = match until {
                Some(until) => self.judge(until, &end, scope)?,
                None => end.state != State::Failed,
            };
            if retries > 0 {
                end.result.insert("attempts".to_owned(), Value::Int(tried));
            }
            if done {
                return Ok(end);
            }
            if tried > retries {
                if until.is_some() {
                    end.state = State::Failed;
                    end.result.insert("failed".to_owned(), Value::Bool(true));
                }
                return Ok(end);
            }
            let label = Label {
                host: self.host.clone(),
                delegate: delegate.map(str::to_owned),
            };
            let left = u32::try_from(retries - tried + 1).unwrap_or(0);
            self.run.show(&Event::Retrying {
                label: &label,
                task: &self.name(scope),
                left,
            });
            tokio::time::sleep(Duration::from_secs(u64::try_from(delay).unwrap_or(0))).await;
        }
    }

    async fn once(&self, scope: &Arc<Scope>, delegate: Option<&str>) -> Result<End, EvalError> {
        let performed = match self.limit(scope)? {
            Some(limit) => tokio::time::timeout(limit, self.perform(scope, delegate))
                .await
                .unwrap_or_else(|_| Ok(timed_out(limit).into())),
            None => self.perform(scope, delegate).await,
        };
        let mut end = match performed {
            Ok(done) => {
                let failed = done.outcome.failed;
                let skipped = done.outcome.skipped;
                let (result, diff) = result_of(done.outcome);
                let mut effects = done.effects;
                effects.extend(self.gathered(&result));
                let state = match (failed, skipped, flag(&result, "changed")) {
                    (true, ..) => State::Failed,
                    (_, true, _) => State::Skipped,
                    (_, _, true) => State::Changed,
                    _ => State::Ok,
                };
                End {
                    diff,
                    effects,
                    shown: done.shown,
                    ..End::new(state, result)
                }
            }
            Err(Failure::Failed { message, diagnostic }) => {
                let name = self.task.name().map_or(&self.task.action_span, |node| &node.span);
                End::failed(
                    message,
                    diagnostic.map(|diagnostic| diagnostic.via("in this task", name)),
                )
            }
            Err(Failure::Unreachable(message)) => {
                let mut result = Map::from_iter([("msg".to_owned(), Value::from(message))]);
                result.insert("changed".to_owned(), Value::Bool(false));
                result.insert("unreachable".to_owned(), Value::Bool(true));
                return Ok(End::new(State::Unreachable, result));
            }
        };
        if end.state != State::Skipped {
            self.verdicts(&mut end, scope)?;
        }
        Ok(end)
    }

    /// `timeout`: how long one try may take.
    fn limit(&self, scope: &Arc<Scope>) -> Result<Option<Duration>, EvalError> {
        let seconds = self
            .number("timeout", scope)?
            .and_then(|seconds| u64::try_from(seconds).ok());
        Ok(seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }

    /// The facts in a module's result.
    fn gathered(&self, result: &Map) -> Option<Effect> {
        let What::Run(module) = &self.task.what else {
            return None;
        };
        let assigns = matches!(module.as_str(), "set_fact" | "include_vars" | "debug");
        match result.get("ansible_facts") {
            Some(Value::Map(facts)) if !assigns => Some(Effect::Gather(facts.clone())),
            _ => None,
        }
    }

    /// `changed_when`, then `failed_when`, which sees what the former did.
    fn verdicts(&self, end: &mut End, scope: &Arc<Scope>) -> Result<(), EvalError> {
        if let Some(node) = self.task.own("changed_when") {
            let changed = self.judge_all(node, end, scope)?;
            end.result.insert("changed".to_owned(), Value::Bool(changed));
        }
        if let Some(node) = self.task.own("failed_when") {
            let failed = self.judge_all(node, end, scope)?;
            end.result.insert("failed".to_owned(), Value::Bool(failed));
            end.result
                .insert("failed_when_result".to_owned(), Value::Bool(failed));
            end.state = if failed { State::Failed } else { State::Ok };
            if !failed {
                end.diagnostic = None;
            }
        }
        if end.state != State::Failed {
            end.state = if flag(&end.result, "changed") {
                State::Changed
            } else {
                State::Ok
            };
        }
        Ok(())
    }

    /// A list of verdicts must hold altogether.
    fn judge_all(&self, node: &Node, end: &End, scope: &Arc<Scope>) -> Result<bool, EvalError> {
        for condition in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            if !self.judge(condition, end, scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A condition that sees the result under the name that the task registers.
    fn judge(&self, node: &Node, end: &End, scope: &Arc<Scope>) -> Result<bool, EvalError> {
        let scope = match self.register() {
            Some(name) => scope.with(layer([(name.to_owned(), Value::Map(end.result.clone()))])),
            None => Arc::clone(scope),
        };
        let conditions = node.as_list().unwrap_or(std::slice::from_ref(node));
        for condition in conditions {
            if !template::condition(condition, &scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The hosts whose variables a result changes.
    pub fn hosts(&self) -> Vec<String> {
        if self.once {
            self.play.reachable_batch(&self.run)
        } else {
            vec![self.host.clone()]
        }
    }

    /// Whose facts a result sets: the delegate's only where the task says so.
    fn owners(&self, end: &End) -> Vec<String> {
        let delegate = end.delegate.as_ref().filter(|_| {
            let delegated = self.truth("delegate_facts", &self.scope());
            delegated.ok().flatten().unwrap_or(false)
        });
        delegate.map_or_else(|| self.hosts(), |delegate| vec![delegate.clone()])
    }

    /// Sets what a result sets, once.
    pub fn apply(&self, end: &mut End) {
        let effects = std::mem::take(&mut end.effects);
        if !effects.is_empty() && matches!(end.state, State::Ok | State::Changed) {
            self.run.apply(&self.owners(end), effects);
        }
    }

    /// Announces the task, where hosts go in step.
    pub fn banner(&self) {
        if self.play.strategy == Strategy::Linear {
            self.announce();
        }
    }

    /// Announces the task where hosts do not go in step and the output is at another one.
    pub fn heading(&self) {
        if self.play.strategy == Strategy::Linear {
            return;
        }
        let task = Arc::as_ptr(&self.task).addr();
        let mut heading = self.play.heading.lock().unwrap_or_else(PoisonError::into_inner);
        if heading.replace(task) != Some(task) {
            self.announce();
        }
    }

    fn announce(&self) {
        let name = if self.task.implicit {
            "Gathering Facts".to_owned()
        } else {
            self.name(&self.scope())
        };
        let place = self.task.span().to_string();
        let place = place.rsplit_once(':').map_or(place.as_str(), |(place, _)| place);
        self.run.show(&Event::Task {
            name: &name,
            place,
            handler: self.handler,
        });
    }

    /// Shows a result.
    pub fn report(&self, report: &Report) {
        self.heading();
        self.run.report(report);
    }

    pub fn register(&self) -> Option<&str> {
        self.task.own("register")?.as_str()
    }

    async fn perform(&self, scope: &Arc<Scope>, delegate: Option<&str>) -> Result<Done, Failure> {
        let What::Run(module) = &self.task.what else {
            return Err(Failure::new("this is no module"));
        };
        let module = &arguments::module(&self.task, module, scope)?;
        let check = self
            .truth("check_mode", scope)?
            .unwrap_or(self.run.settings.check);
        let diff = self.truth("diff", scope)?.unwrap_or(self.run.settings.diff);
        let spec = vocabulary::spec(module).ok_or_else(|| arguments::unresolved(&self.task, module))?;
        let remote = Remote {
            site: self,
            scope,
            delegate,
            check,
            diff,
        };
        let background = self.background(scope)?;
        let Some(action) = actions::find(module) else {
            let arguments = self.arguments(module, spec, scope)?;
            let hidden = Hidden::of(spec, &arguments);
            let outcome = match background {
                Some(background) => remote.start(module, arguments, background).await,
                None => remote.call(module, arguments, Held::default()).await,
            };
            return hidden.mask(outcome.map(Done::from));
        };
        if background.is_some() {
            return Err(Failure::new(format!(
                "This action ({module}) does not support async."
            )));
        }
        let arguments = if action.takes_raw_arguments() {
            Map::new()
        } else {
            self.arguments(module, spec, scope)?
        };
        let hidden = Hidden::of(spec, &arguments);
        hidden.mask(self.act(action, arguments, scope, &remote).await)
    }

    async fn act(
        &self,
        action: &'static dyn Action,
        arguments: Map,
        scope: &Arc<Scope>,
        remote: &Remote<'_>,
    ) -> Result<Done, Failure> {
        action
            .run(Invocation {
                arguments,
                raw: &self.task.arguments,
                scope: Arc::clone(scope),
                target: remote,
                check: remote.check,
                diff: remote.diff,
            })
            .await
    }

    fn arguments(&self, module: &str, spec: &Spec, scope: &Arc<Scope>) -> Result<Map, Failure> {
        let given = arguments::evaluate(&self.task, module, spec.free_form.is_some(), scope)?;
        spec.resolve(&given)
            .map_err(|error| arguments::refused(&self.task, spec, &error).into())
    }

    /// The task's name as the banner shows it; as written where it cannot be evaluated.
    pub fn name(&self, scope: &Arc<Scope>) -> String {
        task_name(&self.task, scope)
    }

    /// The nearest value of a keyword, as a boolean.
    pub fn truth(&self, keyword: &str, scope: &Arc<Scope>) -> Result<Option<bool>, EvalError> {
        let Some(node) = self.task.context.nearest(keyword) else {
            return Ok(None);
        };
        let value = template::evaluate(node, scope)?;
        match value.truth() {
            Some(flag) => Ok(Some(flag)),
            None => Err(EvalError::new(
                Diagnostic::error(format!("`{keyword}` must be a boolean, not {value}")).at(&node.span),
            )),
        }
    }

    /// The nearest value of a keyword, as a text; none where it is empty.
    pub fn text(&self, keyword: &str, scope: &Arc<Scope>) -> Result<Option<String>, EvalError> {
        let Some(node) = self.task.context.nearest(keyword) else {
            return Ok(None);
        };
        if template::is_omitted(node, scope)? {
            return Ok(None);
        }
        let text = template::evaluate(node, scope)?.to_string();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The nearest value of a keyword, as a whole number.
    pub fn number(&self, keyword: &str, scope: &Arc<Scope>) -> Result<Option<i64>, EvalError> {
        let Some(node) = self.task.context.nearest(keyword) else {
            return Ok(None);
        };
        let value = template::evaluate(node, scope)?;
        let number = match &value {
            Value::Int(number) => Some(*number),
            #[expect(clippy::cast_possible_truncation, reason = "seconds and counts are small")]
            Value::Float(number) => Some(*number as i64),
            Value::Str(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(EvalError::new(
                Diagnostic::error(format!("`{keyword}` must be a number, not {value}")).at(&node.span),
            )),
        }
    }
}

/// A task's name; the module's where it has none, the role's in front.
pub fn task_name(task: &Task, scope: &Arc<Scope>) -> String {
    let own = match task.name() {
        Some(node) => template::evaluate(node, scope)
            .unwrap_or_else(|_| node.to_value())
            .to_string(),
        None if task.what == What::IncludeRole => {
            let role = ["name", "role"].iter().find_map(|name| task.arguments.get(name));
            let role = role.and_then(|node| template::evaluate(node, scope).ok());
            format!("{} : {}", task.action, role.unwrap_or_default())
        }
        None => task.action.clone(),
    };
    match task.context.role() {
        Some(role) => format!("{} : {own}", role.role.full_name()),
        None => own,
    }
}
