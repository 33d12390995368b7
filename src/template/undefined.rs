//! Errors for what is undefined: which part of an expression is missing, in Ansible's words, and what may be
//! meant.

use std::sync::Arc;

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::{parse, parse_expr};

use super::convert;
use super::error::EvalError;
use super::evaluate::compile;
use super::options::Options;
use super::rewrite;
use super::scope::Scope;
use super::tree;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The error for an engine's error about something undefined in `text`.
pub(super) fn explain(
    error: &minijinja::Error,
    text: &str,
    span: &Span,
    scope: &Arc<Scope>,
) -> Option<EvalError> {
    let named = quoted(error).filter(|name| chain(name).is_some());
    let name = named.or_else(|| search(text, scope))?;
    Some(describe(&name, span, scope))
}

/// The expression that the engine says is undefined.
fn quoted(error: &minijinja::Error) -> Option<String> {
    let (_, rest) = error.detail()?.split_once('`')?;
    Some(rest.split_once('`')?.0.to_owned())
}

/// A name with what hangs from it, as opposed to filters, calls and operators.
fn chain(expression: &str) -> Option<()> {
    matches!(
        parse_expr(expression).ok()?,
        Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_)
    )
    .then_some(())
}

/// The error for an expression that came to nothing. Where the variable exists and could not be evaluated, that
/// is the error.
pub(super) fn describe(expression: &str, span: &Span, scope: &Arc<Scope>) -> EvalError {
    let root: String = expression
        .trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    if let Some(mut cause) = scope.cause(&root) {
        cause.diagnostic = cause.diagnostic.via(format!("needed for `{root}`"), span);
        return cause;
    }
    let at = word(span, expression);
    if let Some(missing) = attribute(expression, scope) {
        let (holder, name) = (missing.holder, &missing.name);
        let is_index = name.bytes().all(|byte| byte.is_ascii_digit());
        let message = if is_index && ["list", "dict"].contains(&holder) {
            format!("{holder} object has no element {name}")
        } else {
            format!("object of type '{holder}' has no attribute {name}")
        };
        let mut diagnostic = Diagnostic::error(message).at(&at);
        if let Some(name) = missing
            .name
            .strip_prefix('\'')
            .and_then(|name| name.strip_suffix('\''))
        {
            diagnostic = diagnostic
                .at(&word(&at, name))
                .nearest(name, missing.others.iter().map(String::as_str));
        }
        return EvalError::undefined(diagnostic);
    }
    if expression.trim() == "undef()" {
        let message = "Mandatory variable has not been overridden";
        return EvalError::undefined(Diagnostic::error(message).at(&at));
    }
    if root.is_empty() || scope.get(&root).is_some() {
        return EvalError::undefined(Diagnostic::error(format!("'{expression}' is undefined")).at(&at));
    }
    let names = scope.names();
    EvalError::undefined(
        Diagnostic::error(format!("'{root}' is undefined"))
            .at(&at)
            .nearest(&root, names.iter().map(String::as_str)),
    )
}

/// Where an expression stands in a span as words of their own, not as a part of others, and not beside the
/// template's expressions; the whole span where it does not.
fn word(span: &Span, expression: &str) -> Span {
    let text = span.text();
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let evaluated = |before: &str| {
        let last = |marks: [&str; 2]| marks.iter().filter_map(|mark| before.rfind(mark)).max();
        !text.contains("{{") && !text.contains("{%") || last(["{{", "{%"]) > last(["}}", "%}"])
    };
    text.match_indices(expression)
        .map(|(start, found)| (start, start + found.len()))
        .find(|(start, end)| {
            !text[..*start].ends_with(joins) && !text[*end..].starts_with(joins) && evaluated(&text[..*start])
        })
        .map_or_else(|| span.clone(), |(start, end)| span.part(start, end))
}

/// An attribute or element that is not there.
struct Missing {
    /// Python's name for the type of what should have it.
    holder: &'static str,
    /// As Python would print it.
    name: String,
    others: Vec<String>,
}

/// What the last part of a chain is missing from: all in front of it is there, or it would have been named.
fn attribute(expression: &str, scope: &Arc<Scope>) -> Option<Missing> {
    let parsed = parse_expr(expression).ok()?;
    let parent = tree::parent(&parsed)?;
    let name = match &parsed {
        Expr::GetAttr(e) => minijinja::Value::from(e.name),
        Expr::GetItem(e) => match e.subscript_expr.as_const() {
            Some(name) => name,
            None => value(&part(expression, &e.subscript_expr)?, scope)?,
        },
        _ => return None,
    };
    let name = convert::quoted(&name).ok()?;
    // What only the template knows, as a loop's variable, can no longer be asked. It usually is a dict.
    let holder = value(&part(expression, parent)?, scope).and_then(|value| convert::to_value(&value).ok());
    let Some(holder) = holder else {
        let local = matches!(tree::root(parent), Expr::Var(e) if scope.get(e.id).is_none());
        return local.then(|| Missing {
            holder: "dict",
            name,
            others: Vec::new(),
        });
    };
    let others = holder
        .as_map()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    Some(Missing {
        holder: holder.type_name(),
        name,
        others,
    })
}

fn part(text: &str, expr: &Expr) -> Option<String> {
    let span = tree::extent(text, expr);
    text.get(span.start_offset as usize..span.end_offset as usize)
        .map(str::to_owned)
}

fn value(expression: &str, scope: &Arc<Scope>) -> Option<minijinja::Value> {
    let value = compile(expression).ok()?.eval(scope.context()).ok()?;
    (!value.is_undefined()).then_some(value)
}

/// The first part of a template, or of an expression, that is undefined.
pub(super) fn search(text: &str, scope: &Arc<Scope>) -> Option<String> {
    if let Ok(parsed) = parse_expr(text) {
        return search_expression(text, &parsed, &[], scope);
    }
    let parsed = parse(text, "<template>", Options::default().syntax().ok()?).ok()?;
    let mut locals = Vec::new();
    own_names(&parsed, &mut locals);
    let mut found = None;
    tree::expressions(&parsed, &mut |expr| {
        if found.is_none() {
            found = search_expression(text, expr, &locals, scope);
        }
    });
    found
}

fn search_expression(text: &str, expr: &Expr, locals: &[String], scope: &Arc<Scope>) -> Option<String> {
    if let Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) = expr
        && let Expr::Var(root) = tree::root(expr)
    {
        if locals.iter().any(|local| local == root.id) {
            return None;
        }
        // From the root on: the first part that is missing.
        let mut links = vec![expr];
        while let Some(parent) = links.last().and_then(|link| tree::parent(link)) {
            links.push(parent);
        }
        return links
            .into_iter()
            .rev()
            .filter_map(|link| part(text, link))
            .find(|link| value(link, scope).is_none());
    }
    if let Some(missing) = mapped(text, expr, scope) {
        return Some(missing);
    }
    let children = tree::children(expr);
    let skipped = usize::from(rewrite::forgives(expr));
    children
        .into_iter()
        .skip(skipped)
        .find_map(|child| search_expression(text, child, locals, scope))
}

/// `(list)[n].NAME` for the first item of `list | map(attribute='NAME')` that lacks it.
fn mapped(text: &str, expr: &Expr, scope: &Arc<Scope>) -> Option<String> {
    use minijinja::machinery::ast::CallArg;
    let Expr::Filter(filter) = expr else { return None };
    let name = filter.args.iter().find_map(|arg| match arg {
        CallArg::Kwarg("attribute", name) => name.as_const()?.as_str().map(str::to_owned),
        CallArg::Pos(name) if filter.name.ends_with("attr") => name.as_const()?.as_str().map(str::to_owned),
        _ => None,
    })?;
    let list = part(text, filter.expr.as_ref()?)?;
    let items = value(&list, scope)?.try_iter().ok()?.count();
    (0..items)
        .map(|index| format!("({list})[{index}].{name}"))
        .find(|link| value(link, scope).is_none())
}

/// The names that a template gives to something itself.
fn own_names(stmt: &Stmt, names: &mut Vec<String>) {
    let mut target = |expr: &Expr| match expr {
        Expr::Var(e) => names.push(e.id.to_owned()),
        Expr::List(e) => names.extend(e.items.iter().filter_map(variable)),
        Expr::Tuple(e) => names.extend(e.items.iter().filter_map(variable)),
        _ => {}
    };
    match stmt {
        Stmt::ForLoop(s) => {
            target(&s.target);
            names.push("loop".to_owned());
        }
        Stmt::WithBlock(s) => s.assignments.iter().for_each(|(name, _)| target(name)),
        Stmt::Set(s) => target(&s.target),
        Stmt::SetBlock(s) => target(&s.target),
        Stmt::Macro(s) => {
            s.args.iter().for_each(&mut target);
            names.extend([s.name.to_owned(), "caller".to_owned()]);
        }
        Stmt::CallBlock(s) => s.macro_decl.args.iter().for_each(target),
        Stmt::Import(s) => target(&s.name),
        Stmt::FromImport(s) => {
            for (name, alias) in &s.names {
                target(alias.as_ref().unwrap_or(name));
            }
        }
        _ => {}
    }
    for stmt in tree::inner(stmt).into_iter().flatten() {
        own_names(stmt, names);
    }
}

fn variable(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Var(e) => Some(e.id.to_owned()),
        _ => None,
    }
}
