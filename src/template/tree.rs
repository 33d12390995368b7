//! The engine's syntax tree: its expressions, and where in the text each of them stands.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{CallArg, Expr, Stmt};

/// Calls `visit` with the outermost expressions of a statement and of those in it, in their order.
pub(super) fn expressions<'t, 's>(stmt: &'t Stmt<'s>, visit: &mut dyn FnMut(&'t Expr<'s>)) {
    match stmt {
        Stmt::EmitExpr(s) => visit(&s.expr),
        Stmt::ForLoop(s) => {
            visit(&s.iter);
            s.filter_expr.iter().for_each(&mut *visit);
        }
        Stmt::IfCond(s) => visit(&s.expr),
        Stmt::WithBlock(s) => s.assignments.iter().for_each(|(_, value)| visit(value)),
        Stmt::Set(s) => visit(&s.expr),
        Stmt::Macro(s) => s.defaults.iter().for_each(&mut *visit),
        Stmt::CallBlock(s) => arguments(&s.call.args).for_each(&mut *visit),
        Stmt::Do(s) => {
            visit(&s.call.expr);
            arguments(&s.call.args).for_each(&mut *visit);
        }
        _ => {}
    }
    for stmt in inner(stmt).into_iter().flatten() {
        expressions(stmt, visit);
    }
}

/// Calls `visit` with what `{% set name = expression %}` assigns to a single name.
pub(super) fn assigned<'t, 's>(stmt: &'t Stmt<'s>, visit: &mut dyn FnMut(&'t Expr<'s>)) {
    match stmt {
        Stmt::Set(s) if !matches!(s.target, Expr::List(_) | Expr::Tuple(_)) => visit(&s.expr),
        _ => inner(stmt)
            .into_iter()
            .flatten()
            .for_each(|stmt| assigned(stmt, visit)),
    }
}

/// The statements directly within one.
pub(super) fn inner<'t, 's>(stmt: &'t Stmt<'s>) -> Vec<&'t [Stmt<'s>]> {
    match stmt {
        Stmt::Template(s) => vec![&s.children],
        Stmt::ForLoop(s) => vec![&s.body, &s.else_body],
        Stmt::IfCond(s) => vec![&s.true_body, &s.false_body],
        Stmt::WithBlock(s) => vec![&s.body],
        Stmt::SetBlock(s) => vec![&s.body],
        Stmt::AutoEscape(s) => vec![&s.body],
        Stmt::FilterBlock(s) => vec![&s.body],
        Stmt::Block(s) => vec![&s.body],
        Stmt::Macro(s) => vec![&s.body],
        Stmt::CallBlock(s) => vec![&s.macro_decl.body],
        _ => Vec::new(),
    }
}

/// The expressions directly within one, in the order in which they are evaluated.
pub(super) fn children<'t, 's>(expr: &'t Expr<'s>) -> Vec<&'t Expr<'s>> {
    match expr {
        Expr::Filter(e) => e.expr.iter().chain(arguments(&e.args)).collect(),
        Expr::Test(e) => std::iter::once(&e.expr).chain(arguments(&e.args)).collect(),
        Expr::Call(e) => std::iter::once(&e.expr).chain(arguments(&e.args)).collect(),
        Expr::BinOp(e) => vec![&e.left, &e.right],
        Expr::Compare(e) => std::iter::once(&e.expr)
            .chain(e.ops.iter().map(|op| &op.expr))
            .collect(),
        Expr::UnaryOp(e) => vec![&e.expr],
        Expr::IfExpr(e) => [&e.test_expr, &e.true_expr]
            .into_iter()
            .chain(&e.false_expr)
            .collect(),
        Expr::GetAttr(e) => vec![&e.expr],
        Expr::GetItem(e) => vec![&e.expr, &e.subscript_expr],
        Expr::Slice(e) => std::iter::once(&e.expr)
            .chain([&e.start, &e.stop, &e.step].into_iter().flatten())
            .collect(),
        Expr::List(e) => e.items.iter().collect(),
        Expr::Tuple(e) => e.items.iter().collect(),
        Expr::Map(e) => e.keys.iter().chain(&e.values).collect(),
        Expr::Var(_) | Expr::Const(_) => Vec::new(),
    }
}

fn arguments<'t, 's>(args: &'t [CallArg<'s>]) -> impl Iterator<Item = &'t Expr<'s>> {
    args.iter().map(|arg| match arg {
        CallArg::Pos(expr)
        | CallArg::Kwarg(_, expr)
        | CallArg::PosSplat(expr)
        | CallArg::KwargSplat(expr) => expr,
    })
}

/// What a chain of attributes and subscripts hangs from: `a` in `a.b['c']`.
pub(super) fn root<'t, 's>(mut expr: &'t Expr<'s>) -> &'t Expr<'s> {
    while let Some(parent) = parent(expr) {
        expr = parent;
    }
    expr
}

/// `a.b` in `a.b.c`.
pub(super) fn parent<'t, 's>(expr: &'t Expr<'s>) -> Option<&'t Expr<'s>> {
    match expr {
        Expr::GetAttr(e) => Some(&e.expr),
        Expr::GetItem(e) => Some(&e.expr),
        _ => None,
    }
}

/// The whole of an expression: the parser's span of `a | upper` starts at the filter's name.
pub(super) fn extent(text: &str, expr: &Expr) -> Span {
    let mut span = expr.span();
    let first = match expr {
        Expr::Filter(e) => e.expr.as_ref(),
        Expr::Test(e) => Some(&e.expr),
        Expr::BinOp(e) => Some(&e.left),
        Expr::Compare(e) => Some(&e.expr),
        Expr::IfExpr(e) => Some(&e.true_expr),
        Expr::Slice(e) => Some(&e.expr),
        Expr::Call(e) => Some(&e.expr),
        _ => parent(expr),
    };
    if let Some(first) = first {
        span.start_offset = span.start_offset.min(opening(text, extent(text, first)));
    }
    span
}

/// Where the parentheses around an expression open: as many as close after it.
fn opening(text: &str, inner: Span) -> u32 {
    let (start, end) = (inner.start_offset as usize, inner.end_offset as usize);
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else {
        return inner.start_offset;
    };
    let closing = after
        .chars()
        .take_while(|c| *c == ')' || c.is_whitespace())
        .filter(|c| *c == ')')
        .count();
    let mut opening = inner.start_offset;
    let parentheses = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| *c == '(' || c.is_whitespace());
    for (at, _) in parentheses.filter(|(_, c)| *c == '(').take(closing) {
        opening = u32::try_from(at).unwrap_or(opening);
    }
    opening
}
