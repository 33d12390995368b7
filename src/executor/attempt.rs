//! One task on one host, once: for one item of its loop, or without one.
//!
//! The order is fixed: delegation, conditions, arguments, the run itself, `changed_when`, `failed_when`,
//! `until`. Loops are [`super::repeat`]'s, what follows from the result the strategy's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::arguments;
use super::end::{End, Notification, flag, result_of, timed_out};
use super::hidden::Hidden;
use super::host::GATHERED;
use super::play::ActivePlay;
use super::remote::Remote;
use super::run::Run;
use super::scope::{delegated, layer, reached};
use super::telling::MODULE_FAILED;
use super::vocabulary;
use crate::actions::{self, Action, Done, Effect, Failure, Held, Invocation, Target};
use crate::check;
use crate::configuration::table;
use crate::diagnostic::{Diagnostic, led_by};
use crate::modules::Spec;
use crate::output::{Announced, Event, State};
use crate::playbook::{Task, What};
use crate::template::{self, EvalError, Layer, Scope};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;
use crate::yaml::Node;

/// `until` without `retries` tries this often again.
const RETRIES: i64 = 3;
/// The longest `timeout`, in seconds.
const MAX_TIMEOUT: u64 = 100_000_000;
/// Between tries.
const DELAY: Duration = Duration::from_secs(5);

/// The key that failed results have, and what Ansible says there unless it is asked for more.
const EXCEPTION: &str = "exception";
const NO_TRACEBACK: &str = "(traceback unavailable)";

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
    /// What the output calls it.
    pub announced: Arc<Announced>,
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
        let mut end = match self.try_attempt(&scope).await {
            Ok(end) => end,
            Err(error) => self.broken(error),
        };
        if end.state == State::Failed {
            end.result
                .entry(EXCEPTION.to_owned())
                .or_insert_with(|| Value::from(NO_TRACEBACK));
        }
        end
    }

    /// The end of a task that could not be evaluated.
    pub fn broken(&self, error: EvalError) -> End {
        let message = led_by("Task failed", &error.diagnostic.whole_message());
        End {
            // Where even that is not known, too little is shown rather than too much.
            no_log: self.no_log(&self.scope()).unwrap_or(true),
            ..End::failed(message, Some(error.diagnostic))
        }
    }

    /// Whether nothing of the result is to be seen.
    pub(super) fn no_log(&self, scope: &Arc<Scope>) -> Result<bool, EvalError> {
        let usual = self.run.settings.configuration.truth(&table::DEFAULT_NO_LOG);
        Ok(self.truth("no_log", scope)?.unwrap_or(usual))
    }

    async fn try_attempt(&self, scope: &Arc<Scope>) -> Result<End, EvalError> {
        let no_log = self.no_log(scope)?;
        let delegate = self.delegate(scope)?;
        let scope = &match &delegate {
            Some(host) => scope
                .with(reached(&self.run, &self.play, host, scope))
                .with(delegated(&self.run, &self.play, host)),
            None => Arc::clone(scope),
        };
        if let Some(condition) = self.false_condition(scope)? {
            return Ok(End {
                no_log,
                ..End::skipped(condition)
            });
        }
        self.check_truths(scope)?;
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
            if !holds(condition, scope)? {
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
        let delay = self.seconds("delay", scope)?.unwrap_or(DELAY);
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
                if retries > 0 {
                    end.result.insert("attempts".to_owned(), Value::Int(retries));
                }
                if until.is_some() {
                    end.state = State::Failed;
                    end.result.insert("failed".to_owned(), Value::Bool(true));
                }
                return Ok(end);
            }
            self.run.show(&Event::Retrying {
                label: &self.label(delegate),
                task: &own_name(&self.task, scope),
                left: u32::try_from(retries - tried + 1).unwrap_or(0),
                result: &end.visible(),
            });
            tokio::time::sleep(delay).await;
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
                let crash = self.crash(&done.outcome);
                let (skipped, unknown) = (done.outcome.skipped, done.outcome.unknown);
                let (mut result, diff) = result_of(done.outcome);
                if let Some(crash) = &crash {
                    let message = led_by("Task failed", &crash.whole_message());
                    result.insert("msg".to_owned(), Value::from(message));
                }
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
                    diagnostic: crash,
                    by_module: done.by_module,
                    shown: done.shown,
                    invocation: done.invocation,
                    unknown,
                    ..End::new(state, result)
                }
            }
            Err(Failure::Failed { message, diagnostic }) => match diagnostic {
                // The arguments could not be evaluated: nothing was done.
                Some(diagnostic) if !diagnostic.failed.is_empty() => self.broken(EvalError::new(*diagnostic)),
                diagnostic => End::failed(message, diagnostic.map(|diagnostic| *diagnostic)),
            },
            Err(Failure::Unreachable(message)) => {
                let mut result = Map::from_iter([("msg".to_owned(), Value::from(message))]);
                result.insert("changed".to_owned(), Value::Bool(false));
                result.insert("unreachable".to_owned(), Value::Bool(true));
                return Ok(End::new(State::Unreachable, result));
            }
        };
        if end.state != State::Skipped {
            self.verdicts(&mut end, scope);
        }
        Ok(end)
    }

    /// Why a module broke down, if it did. It has no message of its own then: the result's is all that failed.
    fn crash(&self, outcome: &Outcome) -> Option<Diagnostic> {
        let task = self.task.span().part(0, 0);
        let message = outcome.message().filter(|_| outcome.crashed)?;
        Some(Diagnostic::error(message).at(&task).failing(MODULE_FAILED, &task))
    }

    /// `timeout`: how long one try may take.
    fn limit(&self, scope: &Arc<Scope>) -> Result<Option<Duration>, EvalError> {
        let usual = || self.run.settings.configuration.integer(&table::TASK_TIMEOUT);
        let Some(seconds) = self.number("timeout", scope)?.or_else(usual) else {
            return Ok(None);
        };
        match u64::try_from(seconds) {
            Ok(0) => Ok(None),
            Ok(seconds) if seconds <= MAX_TIMEOUT => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(EvalError::new(
                Diagnostic::error(format!(
                    "Timeout {seconds} is invalid, it must be between 0 and {MAX_TIMEOUT}."
                ))
                .at(self
                    .task
                    .context
                    .nearest("timeout")
                    .map_or(&self.task.action_span, |node| &node.span)),
            )),
        }
    }

    /// The facts in a module's result.
    fn gathered(&self, result: &Map) -> Option<Effect> {
        let What::Run(module) = &self.task.what else {
            return None;
        };
        let assigns = matches!(module.as_str(), "set_fact" | "include_vars" | "debug");
        match result.get("ansible_facts") {
            Some(Value::Map(facts)) if !assigns => {
                let mut facts = facts.clone();
                if matches!(module.as_str(), "gather_facts" | "setup") {
                    facts.insert(GATHERED.to_owned(), Value::Bool(true));
                }
                Some(Effect::Gather(facts))
            }
            _ => None,
        }
    }

    /// `changed_when`, then `failed_when`, which sees what the former did.
    fn verdicts(&self, end: &mut End, scope: &Arc<Scope>) {
        if let Some(node) = self.task.own("changed_when") {
            match self.judge_all(node, end, scope) {
                Ok(changed) => {
                    end.result.insert("changed".to_owned(), Value::Bool(changed));
                }
                Err(error) => return misjudged(end, "changed_when_result", error),
            }
        }
        if let Some(node) = self.task.own("failed_when") {
            let failed = match self.judge_all(node, end, scope) {
                Ok(failed) => failed,
                Err(error) => return misjudged(end, "failed_when_result", error),
            };
            end.result.insert("failed".to_owned(), Value::Bool(failed));
            end.result
                .insert("failed_when_result".to_owned(), Value::Bool(failed));
            end.by_module &= end.state == State::Failed;
            if !failed {
                end.diagnostic = None;
                if end.state == State::Failed {
                    let suppressed = end
                        .result
                        .shift_remove(EXCEPTION)
                        .unwrap_or_else(|| Value::from(NO_TRACEBACK));
                    end.result
                        .insert(format!("failed_when_suppressed_{EXCEPTION}"), suppressed);
                }
            }
            end.state = if failed { State::Failed } else { State::Ok };
        }
        if end.state != State::Failed {
            end.state = if flag(&end.result, "changed") {
                State::Changed
            } else {
                State::Ok
            };
        }
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
            if !holds(condition, &scope)? {
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
        let remote = Remote {
            site: self,
            scope,
            delegate,
            check,
            diff,
            failed: &AtomicBool::new(false),
        };
        let background = self.background(scope)?;
        if let Some(file) = self.own(module) {
            return self.perform_own(&file, module, scope, &remote, background).await;
        }
        let spec = vocabulary::spec(module).ok_or_else(|| arguments::unresolved(&self.task, module))?;
        let Some(action) = actions::find(module) else {
            let arguments = self.arguments(module, spec, scope)?;
            let hidden = Hidden::of(spec, &arguments);
            let invocation = arguments.clone();
            let outcome = match background {
                Some(background) => remote.start(module, arguments, background).await,
                None => remote.call(module, arguments, Held::default()).await,
            };
            return hidden.mask(outcome.map(|outcome| Done {
                outcome,
                invocation,
                by_module: true,
                ..Done::default()
            }));
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
        let done = hidden.mask(self.act(action, arguments, scope, &remote).await)?;
        Ok(Done {
            by_module: remote.has_failed(),
            ..done
        })
    }

    async fn act(
        &self,
        action: &'static dyn Action,
        arguments: Map,
        scope: &Arc<Scope>,
        remote: &Remote<'_>,
    ) -> Result<Done, Failure> {
        let host = Remote {
            // Its own host is reached as the task says; a delegated task's as that host's variables say.
            delegate: remote.delegate.map(|_| self.host.as_str()),
            ..*remote
        };
        action
            .run(Invocation {
                arguments,
                raw: &self.task.arguments,
                scope: Arc::clone(scope),
                target: remote,
                delegate: remote.delegate,
                host: &host,
                check: remote.check,
                diff: remote.diff,
            })
            .await
    }

    fn arguments(&self, module: &str, spec: &Spec, scope: &Arc<Scope>) -> Result<Map, Failure> {
        let given = arguments::evaluate(&self.task, module, spec.free_form.is_some(), scope)?;
        spec.resolve(&given)
            .map_err(|error| check::refused(&self.task, &error).into())
    }
}

/// Whether a condition holds.
fn holds(condition: &Node, scope: &Arc<Scope>) -> Result<bool, EvalError> {
    template::condition(condition, scope).map_err(|error| {
        // What a condition came to says itself that it is about one; what is none was never evaluated.
        let message = &error.diagnostic.message;
        let none = message.contains("Template delimiters") || message.contains("untrusted template");
        if none || message.to_lowercase().starts_with("conditional") {
            error
        } else {
            error.failing("Error while evaluating conditional", &condition.span)
        }
    })
}

/// A task's name; the module's where it has none, the role's in front.
pub fn task_name(task: &Task, scope: &Arc<Scope>) -> String {
    let own = own_name(task, scope);
    match task.context.role() {
        Some(role) => format!("{} : {own}", role.role.full_name()),
        None => own,
    }
}

/// A task's name; the module's where it has none. As written where it cannot be evaluated.
fn own_name(task: &Task, scope: &Arc<Scope>) -> String {
    match task.name() {
        Some(node) => template::evaluate(node, scope)
            .unwrap_or_else(|_| node.to_value())
            .to_string(),
        None if task.what == What::IncludeRole => {
            let role = ["name", "role"].iter().find_map(|name| task.arguments.get(name));
            let role = role.and_then(|node| template::evaluate(node, scope).ok());
            format!("{} : {}", task.action, role.unwrap_or_default())
        }
        None => task.action.clone(),
    }
}

/// A verdict that cannot be reached fails the task; what it did stays in the result.
fn misjudged(end: &mut End, key: &str, error: EvalError) {
    let message = error.diagnostic.whole_message();
    end.result.insert(key.to_owned(), Value::from(message));
    end.result.insert("failed".to_owned(), Value::Bool(true));
    end.state = State::Failed;
    end.diagnostic = Some(error.diagnostic);
}
