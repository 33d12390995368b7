//! What a template needs, without evaluating it: the names that it takes from variables, and whether it could be
//! compiled at all.
//!
//! A name that the text itself looks at (`is defined`, `default`) is not needed anywhere in it. What is assigned
//! in the text (`set`, `for`, `macro`) counts as given in all of it.

use std::collections::HashSet;
use std::path::Path;

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::{parse, parse_expr};

use super::environment::USUAL;
use super::error::EvalError;
use super::evaluate::single_expression;
use super::options::Options;
use super::{rewrite, tree};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span, shown};
use crate::yaml::{Kind, Node};

/// What the texts of a node need.
#[derive(Debug, Default)]
pub struct Needs {
    /// Names of variables, and where each is used.
    pub names: Vec<(String, Span)>,
    /// Names that the text looks at before it uses them.
    pub guarded: HashSet<String>,
    /// What is certain to fail when it is evaluated: syntax, filters and tests that do not exist.
    pub errors: Vec<Diagnostic>,
}

/// Of all texts in a node.
pub fn node(node: &Node) -> Needs {
    let mut needs = Needs::default();
    needs.node(node);
    needs.finish()
}

/// Of a condition: a text is an expression, a list is several.
pub fn condition(node: &Node) -> Needs {
    let mut needs = Needs::default();
    for part in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        match &part.kind {
            Kind::Text(text) if !part.is_dynamic() => needs.expression(text, &part.span),
            _ => needs.node(part),
        }
    }
    needs.finish()
}

/// Of a template file with the usual delimiters; none where it cannot be read.
pub fn file(path: &Path) -> Option<Needs> {
    let text = std::fs::read_to_string(path).ok()?;
    // Such a file chooses delimiters for itself.
    if text.starts_with("#jinja2:") {
        return None;
    }
    let source = Source::new(shown(path), text.as_str());
    let mut needs = Needs::default();
    needs.template(&text, &Span::whole(&source));
    Some(needs.finish())
}

impl Needs {
    fn finish(mut self) -> Self {
        let guarded = &self.guarded;
        self.names.retain(|(name, _)| !guarded.contains(name));
        self
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.node(item)),
            Kind::Map(map) => map.values().for_each(|entry| self.node(&entry.value)),
            Kind::Text(text) if node.is_dynamic() => match single_expression(text) {
                Some(expression) => self.expression(&rewrite::literal_expression(expression), &node.span),
                None => self.template(&rewrite::literal(text), &node.span),
            },
            _ => {}
        }
    }

    fn expression(&mut self, text: &str, span: &Span) {
        match parse_expr(text) {
            Ok(expr) => self.expr(&expr, text, span),
            Err(error) => self
                .errors
                .push(EvalError::from_engine(&error, span, text).diagnostic),
        }
    }

    fn template(&mut self, text: &str, span: &Span) {
        let Ok(syntax) = Options::default().syntax() else {
            return;
        };
        match parse(text, "<template>", syntax) {
            Ok(stmt) => {
                assigned(&stmt, &mut self.guarded);
                tree::expressions(&stmt, &mut |expr| self.expr(expr, text, span));
            }
            Err(error) => self
                .errors
                .push(EvalError::from_engine(&error, span, text).diagnostic),
        }
    }

    fn expr(&mut self, expr: &Expr, text: &str, span: &Span) {
        match expr {
            Expr::Var(var) => {
                let range = expr.span();
                let place = place(span, text, range.start_offset as usize, range.end_offset as usize);
                self.names.push((var.id.to_owned(), place));
            }
            Expr::Filter(filter) => self.known("filter", filter.name, expr, text, span),
            Expr::Test(test) => self.known("test", test.name, expr, text, span),
            _ => {}
        }
        let looked_at = match expr {
            Expr::Filter(filter) if rewrite::forgives(expr) => filter.expr.as_ref(),
            Expr::Test(test) if rewrite::forgives(expr) => Some(&test.expr),
            _ => None,
        };
        if let Some(looked_at) = looked_at
            && let Expr::Var(var) = tree::root(looked_at)
        {
            self.guarded.insert(var.id.to_owned());
        }
        for child in tree::children(expr) {
            self.expr(child, text, span);
        }
    }

    fn known(&mut self, kind: &str, name: &str, expr: &Expr, text: &str, span: &Span) {
        if exists(kind, name) {
            return;
        }
        let names: Vec<&str> = match kind {
            "filter" => super::filter_documentation().map(|(name, ..)| name).collect(),
            _ => super::test_documentation().map(|(name, ..)| name).collect(),
        };
        let range = expr.span();
        let place = place(span, text, range.start_offset as usize, range.end_offset as usize);
        self.errors.push(
            Diagnostic::error(format!("Syntax error in template: No {kind} named '{name}'."))
                .at(&place)
                .nearest(name, names),
        );
    }
}

/// Whether the engine has a filter or test of this name: it has tests for both.
fn exists(kind: &str, name: &str) -> bool {
    let asked = format!("name is {kind}");
    let Ok(expression) = USUAL.compile_expression(&asked) else {
        return true;
    };
    let found = expression.eval(minijinja::context! { name });
    found.is_ok_and(|found| found.is_true())
}

/// Everything that statements assign.
fn assigned(stmt: &Stmt, names: &mut HashSet<String>) {
    let mut take = |expr: &Expr| targets(expr, names);
    match stmt {
        Stmt::ForLoop(s) => {
            take(&s.target);
            names.insert("loop".to_owned());
        }
        Stmt::WithBlock(s) => s.assignments.iter().for_each(|(target, _)| take(target)),
        Stmt::Set(s) => take(&s.target),
        Stmt::SetBlock(s) => take(&s.target),
        Stmt::Macro(s) => {
            s.args.iter().for_each(take);
            names.extend([s.name, "caller", "varargs", "kwargs"].map(str::to_owned));
        }
        Stmt::CallBlock(s) => s.macro_decl.args.iter().for_each(take),
        Stmt::Import(s) => take(&s.name),
        Stmt::FromImport(s) => {
            for (name, alias) in &s.names {
                targets(alias.as_ref().unwrap_or(name), names);
            }
        }
        Stmt::Block(_) => names.extend(["super", "self"].map(str::to_owned)),
        _ => {}
    }
    for stmt in tree::inner(stmt).into_iter().flatten() {
        assigned(stmt, names);
    }
}

fn targets(expr: &Expr, names: &mut HashSet<String>) {
    match expr {
        Expr::Var(var) => {
            names.insert(var.id.to_owned());
        }
        Expr::List(list) => list.items.iter().for_each(|item| targets(item, names)),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| targets(item, names)),
        _ => {}
    }
}

/// A part of the text where that stands as written, else all of it.
fn place(span: &Span, text: &str, start: usize, end: usize) -> Span {
    match span.text().find(text) {
        Some(offset) if start <= end && end <= text.len() => span.part(offset + start, offset + end),
        _ => span.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> String {
        let source = Source::new("t.yml", text);
        let needs = node(&Node::text(text, &Span::whole(&source)));
        let names: Vec<&str> = needs.names.iter().map(|(name, _)| name.as_str()).collect();
        let errors: Vec<&str> = needs.errors.iter().map(|error| error.message.as_str()).collect();
        [names, errors].concat().join(", ")
    }

    #[test]
    fn names_that_are_needed() {
        assert_eq!(needs("plain"), "");
        assert_eq!(needs("{{ a.b + c['d'] }}"), "a, c");
        assert_eq!(
            needs("x {{ a | upper }} {% if b %}{{ c(d) }}{% endif %}"),
            "a, b, c, d"
        );
        assert_eq!(needs("{% for x in a %}{{ x + loop.index }}{% endfor %}"), "a");
        assert_eq!(needs("{% set y = a %}{{ y }}"), "a");
    }

    #[test]
    fn names_that_are_looked_at() {
        assert_eq!(needs("{{ a | default(b) }}"), "b");
        assert_eq!(needs("{{ a.b.c is defined and a.b.c == d }}"), "d");
        assert_eq!(needs("{{ a if a is not defined else b }}"), "b");
    }

    #[test]
    fn what_is_certain_to_fail() {
        assert_eq!(
            needs("{{ 1 | uper }}"),
            "Syntax error in template: No filter named 'uper'."
        );
        assert_eq!(
            needs("{{ 1 is deffined }}"),
            "Syntax error in template: No test named 'deffined'."
        );
        assert_eq!(needs("{{ 1 | ansible.builtin.int is number }}"), "");
        assert!(needs("{{ a | }}").contains("Syntax"));
    }
}
