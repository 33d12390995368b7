//! Edits of a template's text before it is compiled, for what Jinja does and the engine does not:
//!
//! - `a.b.c | default(x)` and `a.b.c is defined` are safe at any depth: the root of such a chain is wrapped,
//!   and whatever hangs from the wrapper may be missing;
//! - `a ~ b` prints its sides as Python does.
//!
//! The edits are made at the places that the engine's own parser reports; a text that it cannot parse is left
//! alone, so that the error shows what the user wrote.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::Value;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Span, parse, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr};

/// The function that wraps a chain's root.
pub(super) const CHAIN: &str = "__chain__";
/// The function behind `~`.
pub(super) const CONCAT: &str = "__concat__";

/// What may follow a chain and look at whether it is there.
const FORGIVING_FILTERS: &[&str] = &["default", "d"];
const FORGIVING_TESTS: &[&str] = &["defined", "undefined"];

/// A value from which any attribute may be taken.
#[derive(Debug)]
pub(super) struct Chain(Value);

impl Chain {
    pub(super) fn wrap(value: &Value) -> Value {
        Value::from_object(Self(value.clone()))
    }

    /// What the chain led to.
    pub(super) fn unwrap(value: &Value) -> Value {
        value
            .downcast_object_ref::<Self>()
            .map_or_else(|| value.clone(), |chain| chain.0.clone())
    }
}

impl Object for Chain {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let child = if self.0.is_undefined() || self.0.is_none() {
            Value::UNDEFINED
        } else {
            self.0.get_item(key).unwrap_or(Value::UNDEFINED)
        };
        Some(Self::wrap(&child))
    }
}

/// An expression, edited.
pub(super) fn expression(text: &str) -> Cow<'_, str> {
    if !may_need(text) {
        return text.into();
    }
    let mut edits = Edits::default();
    match parse_expr(text) {
        Ok(parsed) => edits.expr(&parsed),
        Err(_) => return text.into(),
    }
    edits.apply(text)
}

/// A template, edited.
pub(super) fn template<'a>(text: &'a str, syntax: &SyntaxConfig) -> Cow<'a, str> {
    if !may_need(text) {
        return text.into();
    }
    let mut edits = Edits::default();
    match parse(text, "<template>", syntax.clone()) {
        Ok(parsed) => edits.stmt(&parsed),
        Err(_) => return text.into(),
    }
    edits.apply(text)
}

/// Cheap test: most texts have none of these.
fn may_need(text: &str) -> bool {
    text.contains('~') || text.contains("default") || text.contains("defined") || text.contains("d(")
}

/// Insertions by offset.
#[derive(Default)]
struct Edits(Vec<(usize, String)>);

impl Edits {
    fn apply(mut self, text: &str) -> Cow<'_, str> {
        if self.0.is_empty() {
            return text.into();
        }
        self.0.sort_by_key(|(at, _)| *at);
        let mut out = String::with_capacity(text.len() + 32);
        let mut done = 0;
        for (at, insertion) in self.0 {
            out.push_str(&text[done..at]);
            out.push_str(&insertion);
            done = at;
        }
        out.push_str(&text[done..]);
        out.into()
    }

    fn wrap(&mut self, span: Span, before: &str, after: &str) {
        self.0.push((span.start_offset as usize, before.to_owned()));
        self.0.push((span.end_offset as usize, after.to_owned()));
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Template(s) => self.stmts(&s.children),
            Stmt::EmitExpr(s) => self.expr(&s.expr),
            Stmt::ForLoop(s) => {
                self.expr(&s.iter);
                self.exprs(s.filter_expr.iter());
                self.stmts(&s.body);
                self.stmts(&s.else_body);
            }
            Stmt::IfCond(s) => {
                self.expr(&s.expr);
                self.stmts(&s.true_body);
                self.stmts(&s.false_body);
            }
            Stmt::WithBlock(s) => {
                self.exprs(s.assignments.iter().map(|(_, value)| value));
                self.stmts(&s.body);
            }
            Stmt::Set(s) => self.expr(&s.expr),
            Stmt::SetBlock(s) => self.stmts(&s.body),
            Stmt::AutoEscape(s) => self.stmts(&s.body),
            Stmt::FilterBlock(s) => self.stmts(&s.body),
            Stmt::Block(s) => self.stmts(&s.body),
            Stmt::Macro(s) => {
                self.exprs(&s.defaults);
                self.stmts(&s.body);
            }
            Stmt::CallBlock(s) => {
                self.args(&s.call.args);
                self.stmts(&s.macro_decl.body);
            }
            Stmt::Do(s) => self.args(&s.call.args),
            _ => {}
        }
    }

    fn exprs<'e, 's: 'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr<'s>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn args(&mut self, args: &[CallArg]) {
        self.exprs(args.iter().map(|arg| match arg {
            CallArg::Pos(expr)
            | CallArg::Kwarg(_, expr)
            | CallArg::PosSplat(expr)
            | CallArg::KwargSplat(expr) => expr,
        }));
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Filter(e) => {
                if let Some(inner) = &e.expr {
                    if FORGIVING_FILTERS.contains(&e.name) {
                        self.chain(inner);
                    }
                    self.expr(inner);
                }
                self.args(&e.args);
            }
            Expr::Test(e) => {
                if FORGIVING_TESTS.contains(&e.name) {
                    self.chain(&e.expr);
                }
                self.expr(&e.expr);
                self.args(&e.args);
            }
            Expr::BinOp(e) => {
                if matches!(e.op, BinOpKind::Concat) {
                    let (left, right) = (e.left.span(), e.right.span());
                    self.concat(left, right);
                }
                self.expr(&e.left);
                self.expr(&e.right);
            }
            Expr::Compare(e) => {
                self.expr(&e.expr);
                self.exprs(e.ops.iter().map(|op| &op.expr));
            }
            Expr::UnaryOp(e) => self.expr(&e.expr),
            Expr::IfExpr(e) => {
                self.expr(&e.test_expr);
                self.expr(&e.true_expr);
                self.exprs(e.false_expr.iter());
            }
            Expr::GetAttr(e) => self.expr(&e.expr),
            Expr::GetItem(e) => {
                self.expr(&e.expr);
                self.expr(&e.subscript_expr);
            }
            Expr::Slice(e) => {
                self.expr(&e.expr);
                self.exprs([&e.start, &e.stop, &e.step].into_iter().flatten());
            }
            Expr::Call(e) => {
                self.expr(&e.expr);
                self.args(&e.args);
            }
            Expr::List(e) => self.exprs(&e.items),
            Expr::Tuple(e) => self.exprs(&e.items),
            Expr::Map(e) => {
                self.exprs(&e.keys);
                self.exprs(&e.values);
            }
            Expr::Var(_) | Expr::Const(_) => {}
        }
    }

    /// Wraps the root of `root.a[b].c`; a plain name needs nothing.
    fn chain(&mut self, expr: &Expr) {
        let mut root = match expr {
            Expr::GetAttr(e) => &e.expr,
            Expr::GetItem(e) => &e.expr,
            _ => return,
        };
        loop {
            root = match root {
                Expr::GetAttr(e) => &e.expr,
                Expr::GetItem(e) => &e.expr,
                Expr::Var(var) => {
                    self.wrap(var.span(), &format!("{CHAIN}("), ")");
                    return;
                }
                Expr::Call(call) => {
                    self.wrap(call.span(), &format!("{CHAIN}("), ")");
                    return;
                }
                _ => return,
            };
        }
    }

    /// `a ~ b`: each side is put through the function with an empty other side, the operator stays.
    fn concat(&mut self, left: Span, right: Span) {
        self.wrap(left, &format!("{CONCAT}("), ",'')");
        self.wrap(right, &format!("{CONCAT}("), ",'')");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_roots_of_forgiving_chains() {
        for (text, expected) in [
            ("a.b.c | default(1)", "__chain__(a).b.c | default(1)"),
            ("a | default(1)", "a | default(1)"),
            (
                "a.b is defined and c['x'].y is not defined",
                "__chain__(a).b is defined and __chain__(c)['x'].y is not defined",
            ),
            ("a.b ~ 'default'", "__concat__(a.b,'') ~ __concat__('default','')"),
            ("a.b | upper", "a.b | upper"),
            ("broken default(", "broken default("),
        ] {
            assert_eq!(expression(text), expected);
        }
    }
}
