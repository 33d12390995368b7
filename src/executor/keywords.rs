//! The keywords of a task, evaluated; and what a task shows of itself.

use std::sync::{Arc, PoisonError};

use super::attempt::Site;
use super::strategy::Strategy;
use crate::diagnostic::Diagnostic;
use crate::output::{Event, Report};
use crate::template::{self, EvalError, Scope};
use crate::value::Value;

impl Site {
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

    /// How many hosts may be at the task at once.
    pub fn throttle(&self, scope: &Arc<Scope>) -> Result<Option<i64>, EvalError> {
        self.number("throttle", scope).map_err(|error| {
            let value = self.text("throttle", scope).ok().flatten().unwrap_or_default();
            let message = format!(
                "Failed to convert the throttle value to an integer: invalid literal for int() with base 10: '{value}'"
            );
            let place = self.task.context.nearest("throttle").map(|node| &node.span);
            match place {
                Some(span) if !error.undefined => EvalError::new(Diagnostic::error(message).at(span)),
                _ => error,
            }
        })
    }

    /// The host that the task is delegated to.
    pub fn delegate(&self, scope: &Arc<Scope>) -> Result<Option<String>, EvalError> {
        let Some(node) = self.task.context.nearest("delegate_to") else {
            return Ok(None);
        };
        if template::is_omitted(node, scope)? {
            return Ok(None);
        }
        let name = template::evaluate(node, scope)?.to_string();
        if name.is_empty() {
            let written = node.to_value();
            return Err(EvalError::new(
                Diagnostic::error(format!("Empty hostname produced from delegate_to: \"{written}\""))
                    .at(&node.span),
            ));
        }
        Ok(Some(name))
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
}
