//! The keywords of a task, evaluated; and what a task shows of itself.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::Site;
use crate::diagnostic::Diagnostic;
use crate::playbook::keyword::{self, unconverted};
use crate::template::{self, EvalError, Scope};
use crate::value::Value;

impl Site {
    /// Whether all keywords that stand for a boolean have one, at the task and around it.
    pub fn check_truths(&self, scope: &Arc<Scope>) -> Result<(), EvalError> {
        keyword::truths().try_for_each(|keyword| self.truth(keyword, scope).map(|_| ()))
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
                Diagnostic::error(unconverted(keyword, value, "bool")).at(&node.span),
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
                Diagnostic::error(unconverted(keyword, value, "int")).at(&node.span),
            )),
        }
    }

    /// The nearest value of a keyword, as a time in seconds.
    pub fn seconds(&self, keyword: &str, scope: &Arc<Scope>) -> Result<Option<Duration>, EvalError> {
        if let Some(node) = self.task.context.nearest(keyword)
            && let Value::Float(seconds) = template::evaluate(node, scope)?
        {
            return Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or_default()));
        }
        let seconds = self.number(keyword, scope)?;
        Ok(seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }

    /// How many hosts may be at the task at once.
    pub fn throttle(&self, scope: &Arc<Scope>) -> Result<Option<i64>, EvalError> {
        self.number("throttle", scope).map_err(|mut error| {
            let reason = if error.undefined {
                error.diagnostic.message.clone()
            } else {
                let value = self.text("throttle", scope).ok().flatten().unwrap_or_default();
                format!("invalid literal for int() with base 10: '{value}'")
            };
            error.diagnostic.message =
                format!("Failed to convert the throttle value to an integer: {reason}");
            error
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
}
