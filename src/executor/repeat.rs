//! Loops: `loop`, `with_*`, `loop_control`.

use std::sync::Arc;

use super::attempt::Site;
use super::end::{End, Notification, flag};
use super::scope::layer;
use crate::diagnostic::Diagnostic;
use crate::output::{Event, Extent, State};
use crate::playbook::What;
use crate::template::{self, EvalError, Layer, Names, Scope};
use crate::value::{Map, Value};
use crate::yaml::Node;

/// What `loop_control` says.
struct Control {
    variable: String,
    index: Option<String>,
    label: Option<Node>,
    pause: f64,
    extended: bool,
    /// Whether `ansible_loop` holds all items.
    all_items: bool,
    break_when: Option<Node>,
}

impl Site {
    /// Runs the task, for each item if it has a loop, and shows what items do.
    pub async fn run_task(&self) -> End {
        if self.task.repeat.is_none() {
            return self.attempt().await;
        }
        let scope = self.scope();
        match self.items(&scope) {
            Ok(items) => match self.control(&scope) {
                Ok(control) => {
                    self.warn_of_collision(&control, &scope);
                    self.each(items, &control).await
                }
                Err(error) => self.broken(error),
            },
            // A loop over what does not exist does no harm where the task is skipped anyway.
            Err(error) => match self.false_condition(&scope) {
                Ok(Some(_)) => self.attempt().await,
                _ => self.broken(error),
            },
        }
    }

    /// What the loop runs over.
    pub fn items(&self, scope: &Arc<Scope>) -> Result<Vec<Value>, EvalError> {
        let Some(repeat) = &self.task.repeat else {
            return Ok(Vec::new());
        };
        let value = match repeat.lookup.as_deref() {
            // It looks for the first of what may be missing.
            Some(lookup) if lookup.ends_with("first_found") => {
                template::evaluate_defined(&repeat.items, scope)?
            }
            _ => template::evaluate(&repeat.items, scope)?,
        };
        match &repeat.lookup {
            Some(lookup) => {
                let terms = match value {
                    Value::List(items) => items,
                    other => vec![other],
                };
                template::lookup(lookup, terms, Map::new(), scope, &repeat.items.span)
            }
            None => match value {
                Value::List(items) => Ok(items),
                other => Err(EvalError::new(
                    Diagnostic::error(format!(
                        "The `loop` value must resolve to a 'list', not '{}'.",
                        other.type_name()
                    ))
                    .at(&repeat.items.span)
                    .hint("a map becomes a list with `| dict2items`, a lookup with `query()` instead of `lookup()`"),
                )),
            },
        }
    }

    /// The items as a user has written them, where that is what they are: they may hold expressions.
    fn written_items(&self, items: &[Value]) -> Vec<Node> {
        let node = self
            .task
            .repeat
            .as_ref()
            .and_then(|repeat| template::written(&repeat.items, &self.scope()));
        let nodes = node.as_ref().and_then(Node::as_list).unwrap_or_default();
        let same = nodes.len() == items.len()
            && nodes
                .iter()
                .zip(items)
                .all(|(node, item)| !node.is_dynamic() && node.to_value() == *item);
        if same { nodes.to_vec() } else { Vec::new() }
    }

    /// The variables of each iteration.
    pub fn iterations(
        &self,
        items: &[Value],
        scope: &Arc<Scope>,
    ) -> Result<Vec<Vec<(String, Value)>>, EvalError> {
        let control = self.control(scope)?;
        Ok((0..items.len())
            .map(|index| loop_variables(&control, items, index))
            .collect())
    }

    fn control(&self, scope: &Arc<Scope>) -> Result<Control, EvalError> {
        let node = self.task.own("loop_control");
        let part = |name: &str| node.and_then(|node| node.get(name));
        let text = |name: &str| -> Result<Option<String>, EvalError> {
            part(name)
                .map(|node| template::evaluate(node, scope).map(|value| value.to_string()))
                .transpose()
        };
        let pause = match part("pause")
            .map(|node| template::evaluate(node, scope))
            .transpose()?
        {
            Some(Value::Float(seconds)) => seconds,
            #[expect(clippy::cast_precision_loss, reason = "pauses are short")]
            Some(Value::Int(seconds)) => seconds as f64,
            _ => 0.0,
        };
        let truth = |name: &str, usual: bool| -> Result<bool, EvalError> {
            let value = part(name)
                .map(|node| template::evaluate(node, scope))
                .transpose()?;
            Ok(value.and_then(|value| value.truth()).unwrap_or(usual))
        };
        Ok(Control {
            variable: text("loop_var")?.unwrap_or_else(|| "item".to_owned()),
            index: text("index_var")?,
            label: part("label").cloned(),
            pause: pause.clamp(0.0, 86400.0),
            extended: truth("extended", false)?,
            all_items: truth("extended_allitems", true)?,
            break_when: part("break_when").cloned(),
        })
    }

    async fn each(&self, items: Vec<Value>, control: &Control) -> End {
        let mut whole = Whole::default();
        let count = items.len();
        // What is registered so far: each item sees the result of the one before it.
        let mut registered: Vec<Arc<dyn Layer>> = Vec::new();
        let written = self.written_items(&items);
        for (index, item) in items.iter().enumerate() {
            if index > 0 && control.pause > 0.0 {
                tokio::time::sleep(std::time::Duration::from_secs_f64(control.pause)).await;
            }
            let names = layer(loop_variables(control, &items, index));
            let as_written = written.get(index).map(|node| -> Arc<dyn Layer> {
                Arc::new(Names::from([(control.variable.clone(), node.clone().into())]))
            });
            let mut site = self.clone();
            let local = registered.iter().cloned().chain(as_written).chain([names]);
            site.local.splice(0..0, local);
            let mut end = site.attempt().await;
            registered = self.seen(&end);
            let scope = registered
                .iter()
                .fold(site.scope(), |scope, layer| scope.with(Arc::clone(layer)));
            let label = label(control, item, &scope).unwrap_or_else(|error| {
                let message = format!(
                    "Failed to template loop_control.label: {}",
                    error.diagnostic.message
                );
                end.fail(message);
                String::new()
            });
            end.result.insert(control.variable.clone(), item.clone());
            end.result.insert(
                "ansible_loop_var".to_owned(),
                Value::from(control.variable.as_str()),
            );
            if let Some(name) = &control.index {
                end.result.insert(name.clone(), Value::from(index));
                end.result
                    .insert("ansible_index_var".to_owned(), Value::from(name.as_str()));
            }
            let stop = match &control.break_when {
                Some(node) => template::condition(node, &scope),
                None => Ok(false),
            };
            // Each item sees what the items before it have set.
            site.apply(&mut end);
            self.show_item(&end, label);
            let unreachable = end.state == State::Unreachable;
            whole.add(end);
            if unreachable {
                break;
            }
            match stop {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return self.broken(error),
            }
        }
        whole.finish(count)
    }

    /// The variable that a result is registered as.
    fn seen(&self, end: &End) -> Vec<Arc<dyn Layer>> {
        let result = || Value::Map(end.result.clone());
        let name = self.register().map(str::to_owned);
        name.map(|name| layer([(name, result())])).into_iter().collect()
    }

    /// Warns of a loop inside another one that takes its variable away.
    fn warn_of_collision(&self, control: &Control, scope: &Arc<Scope>) {
        let variable = &control.variable;
        if scope.get(variable).is_some() {
            self.run.show(&Event::Warning(&format!(
                "TASK: {}: The loop variable '{variable}' is already in use. You should set the `loop_var` value in the \
                 `loop_control` option for the task to something else to avoid variable collisions and unexpected \
                 behavior.",
                self.announced.name
            )));
        }
    }

    /// What the output calls an item that an inclusion is at.
    pub fn item_label(&self, item: &Value, scope: &Arc<Scope>) -> String {
        let label = self
            .control(scope)
            .and_then(|control| label(&control, item, scope));
        label.unwrap_or_else(|_| item.to_string())
    }

    fn show_item(&self, end: &End, label: String) {
        // An inclusion shows what it includes instead.
        if matches!(self.task.what, What::IncludeTasks | What::IncludeRole) {
            return;
        }
        self.report(end, Extent::Item(label), false);
    }
}

fn label(control: &Control, item: &Value, scope: &Arc<Scope>) -> Result<String, EvalError> {
    match &control.label {
        Some(node) => template::evaluate(node, scope).map(|value| value.to_string()),
        None => Ok(item.to_string()),
    }
}

/// The variables that an iteration sees.
fn loop_variables(control: &Control, items: &[Value], index: usize) -> Vec<(String, Value)> {
    let mut names = vec![
        (control.variable.clone(), items[index].clone()),
        (
            "ansible_loop_var".to_owned(),
            Value::from(control.variable.as_str()),
        ),
    ];
    if let Some(name) = &control.index {
        names.push((name.clone(), Value::from(index)));
        names.push(("ansible_index_var".to_owned(), Value::from(name.as_str())));
    }
    if control.extended {
        let last = items.len() - 1;
        let mut extended = Map::from_iter([
            ("index".to_owned(), Value::from(index + 1)),
            ("index0".to_owned(), Value::from(index)),
            ("first".to_owned(), Value::Bool(index == 0)),
            ("last".to_owned(), Value::Bool(index == last)),
            ("length".to_owned(), Value::from(items.len())),
            ("revindex".to_owned(), Value::from(items.len() - index)),
            ("revindex0".to_owned(), Value::from(last - index)),
        ]);
        if control.all_items {
            extended.insert("allitems".to_owned(), Value::List(items.to_vec()));
        }
        if index > 0 {
            extended.insert("previtem".to_owned(), items[index - 1].clone());
        }
        if index < last {
            extended.insert("nextitem".to_owned(), items[index + 1].clone());
        }
        names.push(("ansible_loop".to_owned(), Value::Map(extended)));
    }
    names
}

/// The items' results put together.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the items"
)]
struct Whole {
    results: Vec<Value>,
    changed: bool,
    failed: bool,
    all_skipped: bool,
    unreachable: bool,
    no_log: bool,
    unknown: bool,
    delegate: Option<String>,
    notify: Vec<Notification>,
}

impl Whole {
    fn add(&mut self, end: End) {
        let skipped = end.state == State::Skipped;
        self.all_skipped = skipped && (self.results.is_empty() || self.all_skipped);
        // What failed may have changed something before.
        self.changed |= flag(&end.result, "changed");
        self.failed |= end.state == State::Failed;
        self.unreachable |= end.state == State::Unreachable;
        self.no_log |= end.no_log;
        self.unknown |= end.unknown;
        self.delegate = end.delegate;
        for notification in end.notify {
            if !self.notify.contains(&notification) {
                self.notify.push(notification);
            }
        }
        self.results.push(Value::Map(end.result));
    }

    fn finish(self, count: usize) -> End {
        if count == 0 {
            return End::empty_loop();
        }
        let mut result = Map::new();
        let (state, message) = if self.unreachable {
            (
                State::Unreachable,
                "a host became unreachable in the middle of the loop",
            )
        } else if self.failed {
            (State::Failed, "One or more items failed")
        } else if self.all_skipped {
            (State::Skipped, "All items skipped")
        } else if self.changed {
            (State::Changed, "All items completed")
        } else {
            (State::Ok, "All items completed")
        };
        result.insert("changed".to_owned(), Value::Bool(self.changed));
        result.insert("msg".to_owned(), Value::from(message));
        if self.failed {
            result.insert("failed".to_owned(), Value::Bool(true));
        }
        result.insert("skipped".to_owned(), Value::Bool(state == State::Skipped));
        result.insert("results".to_owned(), Value::List(self.results));
        End {
            no_log: self.no_log,
            unknown: self.unknown,
            delegate: self.delegate,
            notify: self.notify,
            ..End::new(state, result)
        }
    }
}
