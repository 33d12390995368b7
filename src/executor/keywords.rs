//! The keywords of a task, evaluated; and what a task shows of itself.

use std::sync::Arc;

use super::attempt::Site;
use crate::diagnostic::Diagnostic;
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
