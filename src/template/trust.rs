//! Who has written a text: only what a playbook, a role or an inventory holds is evaluated, never what a target
//! has said or what a template came to.
//!
//! Values carry no mark of where they are from. A template that only names a variable is followed to the node that
//! is behind it; what cannot be followed is not trusted.

use std::sync::Arc;

use minijinja::machinery::ast::Expr;
use minijinja::machinery::parse_expr;

use super::error::EvalError;
use super::evaluate::single_expression;
use super::scope::{Scope, Variable};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// Variables that name variables are followed this far.
const MAX_STEPS: usize = 20;

/// What a user has written behind a node: itself, or what is in the variable that it names.
pub fn written(node: &Node, scope: &Arc<Scope>) -> Option<Node> {
    follow(node, scope, MAX_STEPS)
}

/// The expression that a node holds for an argument that takes one.
///
/// # Errors
/// Where it is from elsewhere.
pub fn expression(node: &Node, scope: &Arc<Scope>) -> Result<String, EvalError> {
    written(node, scope)
        .and_then(|node| node.as_str().map(str::to_owned))
        .ok_or_else(|| refused(&node.span))
}

/// The error for a text that is not evaluated.
pub(super) fn refused(span: &Span) -> EvalError {
    EvalError::new(
        Diagnostic::error("Encountered untrusted template or expression.")
            .at(span)
            .hint("only what a playbook, role or inventory holds is evaluated, not what a module reports"),
    )
}

fn follow(node: &Node, scope: &Arc<Scope>, steps: usize) -> Option<Node> {
    match &node.kind {
        Kind::Literal(_) | Kind::Vault(_) => None,
        Kind::Text(text) if node.is_dynamic() => {
            let named = parse_expr(single_expression(text)?).ok()?;
            held(&named, scope, steps.checked_sub(1)?)
        }
        _ => Some(node.clone()),
    }
}

/// What a name, with the keys that hang from it, stands for.
fn held(expr: &Expr, scope: &Arc<Scope>, steps: usize) -> Option<Node> {
    let node = match expr {
        Expr::Var(name) => match scope.get(name.id)? {
            Variable::Node(node) => node,
            _ => return None,
        },
        Expr::GetAttr(part) => held(&part.expr, scope, steps)?.get(part.name)?.clone(),
        _ => return None,
    };
    follow(&node, scope, steps)
}
