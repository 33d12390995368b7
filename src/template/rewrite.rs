//! Edits of a template's text before it is compiled, for what Jinja does and the engine does not:
//!
//! - `a.b.c | default(x)` and `a.b.c is defined` are safe at any depth: the root of such a chain is wrapped,
//!   and whatever hangs from the wrapper may be missing;
//! - `a ~ b` prints its sides as Python does;
//! - `a % b` formats where `a` is a text, `a - b` subtracts dates;
//! - lists and dicts can be changed (`r.append(1)`) where a template does so, see [`super::owned`];
//! - a number may have a plus for its sign;
//! - a backslash in a text of a playbook's `{{ }}` is itself, see [`literal`].
//!
//! The edits are made at the places that the engine's own parser reports; a text that it cannot parse is left
//! alone, so that the error shows what the user wrote.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::Value;
use minijinja::machinery::ast::{BinOpKind, Expr, Stmt};
use minijinja::machinery::{Span, parse, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr};

use super::owned::MUTATORS;
use super::tree;

/// The function that wraps a chain's root.
pub(super) const CHAIN: &str = "__chain__";
/// The function behind `~`.
pub(super) const CONCAT: &str = "__concat__";

/// The function that evaluates a text of a condition.
pub(super) const EMBEDDED: &str = "__embedded__";

/// The function that makes lists and dicts changeable.
pub(super) const OWN: &str = "__own__";

/// The filter behind `-` where there are dates.
pub(super) const MINUS: &str = "__minus__";
/// The filter behind `%`.
pub(super) const PERCENT: &str = "__percent__";

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
    match without_signs(text, |text| parse_expr(text).map(drop)) {
        Cow::Borrowed(text) => edited_expression(text),
        Cow::Owned(text) => edited_expression(&text).into_owned().into(),
    }
}

fn edited_expression(text: &str) -> Cow<'_, str> {
    if !may_need(text) {
        return text.into();
    }
    let mut edits = Edits::of(text);
    match parse_expr(text) {
        Ok(parsed) => edits.expr(&parsed),
        Err(_) => return text.into(),
    }
    edits.apply()
}

/// An expression whose texts are templates where they look like it.
pub(super) fn embedded(text: &str) -> Result<Cow<'_, str>, minijinja::Error> {
    let mut edits = Edits::of(text);
    edits.templates(&parse_expr(text)?);
    Ok(edits.apply())
}

/// A template, edited.
pub(super) fn template<'a>(text: &'a str, syntax: &SyntaxConfig) -> Cow<'a, str> {
    match without_signs(text, |text| parse(text, "<template>", syntax.clone()).map(drop)) {
        Cow::Borrowed(text) => edited_template(text, syntax),
        Cow::Owned(text) => edited_template(&text, syntax).into_owned().into(),
    }
}

fn edited_template<'a>(text: &'a str, syntax: &SyntaxConfig) -> Cow<'a, str> {
    if !may_need(text) {
        return text.into();
    }
    let mut edits = Edits::of(text);
    match parse(text, "<template>", syntax.clone()) {
        Ok(parsed) => edits.stmt(&parsed),
        Err(_) => return text.into(),
    }
    edits.apply()
}

/// The text with each `+` that is a sign (`[-1, +1]`) made a blank; as it is where that does not make it right.
fn without_signs(text: &str, parsed: impl Fn(&str) -> Result<(), minijinja::Error>) -> Cow<'_, str> {
    if !may_have_signs(text) {
        return text.into();
    }
    let mut unsigned = Cow::Borrowed(text);
    loop {
        let sign = match parsed(&unsigned) {
            Ok(()) => return unsigned,
            Err(error) => error.range().map(|range| range.start),
        };
        match sign.filter(|at| unsigned[*at..].starts_with('+')) {
            Some(at) => unsigned.to_mut().replace_range(at..=at, " "),
            None => return text.into(),
        }
    }
}

/// Cheap test: a plus where a value is to begin.
fn may_have_signs(text: &str) -> bool {
    text.match_indices('+').any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        before.is_none_or(|before| "([{,:=<>+-*/%~".contains(before))
    })
}

/// A playbook's template with the backslashes in the texts within `{{ }}` doubled: Ansible takes them for
/// themselves there, so that `'\d'` and `'\1'` need no second one. `\'` still is a quote.
pub(super) fn literal(template: &str) -> Cow<'_, str> {
    if !template.contains('\\') {
        return template.into();
    }
    let mut out = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some(start) = rest.find("{{").filter(|_| rest.contains('\\')) {
        // What a raw block holds is no template.
        let raw = rest.find("{%").filter(|at| {
            *at < start
                && rest[*at + 2..]
                    .trim_start_matches('-')
                    .trim_start()
                    .starts_with("raw")
        });
        let skipped = raw.and_then(|at| rest[at..].find("endraw").map(|end| at + end + "endraw".len()));
        let (before, after) = rest.split_at(skipped.unwrap_or(start + 2));
        out.push_str(before);
        rest = after;
        if skipped.is_none() {
            let end = doubled(rest, &mut out);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out.into()
}

/// An expression with the backslashes in its texts doubled.
pub(super) fn literal_expression(expression: &str) -> Cow<'_, str> {
    if !expression.contains('\\') {
        return expression.into();
    }
    let mut out = String::with_capacity(expression.len() + 8);
    let end = doubled(expression, &mut out);
    out.push_str(&expression[end..]);
    out.into()
}

/// Copies up to the `}}` that ends an expression; says how far that was.
fn doubled(text: &str, out: &mut String) -> usize {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (None, '}') if depth == 0 && text[at..].starts_with("}}") => return at,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            (Some(open), '\\') => {
                let next = characters.next_if(|(_, next)| *next == open || *next == '\\');
                match next {
                    Some((_, next)) if next == open => out.extend(['\\', next]),
                    Some(_) => out.push_str("\\\\\\\\"),
                    None => out.push_str("\\\\"),
                }
                continue;
            }
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        out.push(c);
    }
    text.len()
}

/// Cheap test: most texts have none of these.
fn may_need(text: &str) -> bool {
    has_dates(text)
        || text.contains(['~', '%'])
        || text.contains("default")
        || text.contains("defined")
        || text.contains("d(")
        || MUTATORS.iter().any(|method| text.contains(method))
}

/// Only what makes dates can lead to subtracting them.
fn has_dates(text: &str) -> bool {
    text.contains("to_datetime") || text.contains("now(")
}

/// Whether an expression looks at whether what it is applied to is there.
pub(super) fn forgives(expr: &Expr) -> bool {
    let short = |name: &'_ str| name.rsplit('.').next().unwrap_or_default().to_owned();
    match expr {
        Expr::Filter(e) => e.expr.is_some() && FORGIVING_FILTERS.contains(&short(e.name).as_str()),
        Expr::Test(e) => FORGIVING_TESTS.contains(&short(e.name).as_str()),
        _ => false,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::List(_) | Expr::Map(_))
}

/// What to insert, by offset, and the bytes to leave out.
struct Edits<'t> {
    text: &'t str,
    insertions: Vec<(usize, String)>,
    removals: Vec<usize>,
}

impl<'t> Edits<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            insertions: Vec::new(),
            removals: Vec::new(),
        }
    }

    fn apply(mut self) -> Cow<'t, str> {
        let text = self.text;
        if self.insertions.is_empty() {
            return text.into();
        }
        // At one place, what ends there comes before what starts there.
        self.insertions
            .sort_by_key(|(at, insertion)| (*at, !insertion.starts_with(')')));
        let mut out = String::with_capacity(text.len() + 32);
        let mut done = 0;
        for (at, insertion) in self.insertions {
            out.push_str(&text[done..at]);
            out.push_str(&insertion);
            done = at + usize::from(self.removals.contains(&at) && insertion.starts_with('|'));
        }
        out.push_str(&text[done..]);
        out.into()
    }

    fn wrap(&mut self, span: Span, before: &str, after: &str) {
        self.insertions
            .push((span.start_offset as usize, before.to_owned()));
        self.insertions.push((span.end_offset as usize, after.to_owned()));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        if MUTATORS.iter().any(|method| self.text.contains(method)) {
            tree::expressions(stmt, &mut |expr| self.literals(expr));
            tree::assigned(stmt, &mut |expr| {
                if !is_literal(expr) {
                    self.wrap(self.extent(expr), &format!("{OWN}("), ")");
                }
            });
        }
        tree::expressions(stmt, &mut |expr| self.expr(expr));
    }

    /// Makes the lists and dicts that are written out changeable.
    fn literals(&mut self, expr: &Expr) {
        if is_literal(expr) {
            self.wrap(self.extent(expr), &format!("{OWN}("), ")");
        } else {
            for child in tree::children(expr) {
                self.literals(child);
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            _ if forgives(expr) => {
                if let Some(inner) = tree::children(expr).first() {
                    self.chain(inner);
                }
            }
            Expr::BinOp(e) => {
                let (left, right) = (self.extent(&e.left), self.extent(&e.right));
                match e.op {
                    BinOpKind::Concat => self.concat(left, right),
                    BinOpKind::Sub if has_dates(self.text) => self.operator('-', MINUS, left, right),
                    BinOpKind::Rem => self.operator('%', PERCENT, left, right),
                    _ => {}
                }
            }
            _ => {}
        }
        for child in tree::children(expr) {
            self.expr(child);
        }
    }

    /// Has the texts evaluated that hold templates.
    fn templates(&mut self, expr: &Expr) {
        if let Expr::Const(constant) = expr
            && constant
                .value
                .as_str()
                .is_some_and(|text| text.contains("{{") || text.contains("{%"))
        {
            self.wrap(self.extent(expr), &format!("{EMBEDDED}("), ")");
        }
        for child in tree::children(expr) {
            self.templates(child);
        }
    }

    fn extent(&self, expr: &Expr) -> Span {
        tree::extent(self.text, expr)
    }

    /// Wraps the root of `root.a[b].c`; a plain name needs nothing.
    fn chain(&mut self, expr: &Expr) {
        let root = tree::root(expr);
        if !std::ptr::eq(root, expr) {
            self.wrap(self.extent(root), &format!("{CHAIN}("), ")");
        }
    }

    /// `a ~ b`: each side is put through the function, the operator stays.
    fn concat(&mut self, left: Span, right: Span) {
        self.wrap(left, &format!("{CONCAT}("), ")");
        self.wrap(right, &format!("{CONCAT}("), ")");
    }

    /// `a % b` as `(a)|FILTER(b)`. Blanks and parentheses are all else that is between the two.
    fn operator(&mut self, operator: char, filter: &str, left: Span, right: Span) {
        let (start, end) = (left.end_offset as usize, right.start_offset as usize);
        let Some(at) = self
            .text
            .get(start..end)
            .and_then(|between| between.find(operator))
        else {
            return;
        };
        self.wrap(left, "(", ")");
        self.insertions.push((start + at, format!("|{filter}(")));
        self.removals.push(start + at);
        self.insertions.push((right.end_offset as usize, ")".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_may_be_a_sign() {
        assert_eq!(expression("[-1, +2.5, 1 + +3]"), "[-1,  2.5, 1 +  3]");
        // What is wrong for another reason is shown as it was written.
        assert_eq!(expression("[+1, )"), "[+1, )");
        assert_eq!(expression("a + "), "a + ");
    }

    #[test]
    fn wraps_roots_of_forgiving_chains() {
        for (text, expected) in [
            ("a.b.c | default(1)", "__chain__(a).b.c | default(1)"),
            ("a | default(1)", "a | default(1)"),
            (
                "(a | default({})).b.c | default(1)",
                "(__chain__(a | default({}))).b.c | default(1)",
            ),
            (
                "a.b is defined and c['x'].y is not defined",
                "__chain__(a).b is defined and __chain__(c)['x'].y is not defined",
            ),
            ("a.b ~ 'default'", "__concat__(a.b) ~ __concat__('default')"),
            (
                "'%s' % (a, 1) ~ 'x'",
                "__concat__(('%s') |__percent__( (a, 1))) ~ __concat__('x')",
            ),
            (
                "(a | d) | upper ~ 1",
                "__concat__((a | d) | upper) ~ __concat__(1)",
            ),
            ("a % 2 == 0", "(a) |__percent__( 2) == 0"),
            ("a.b | upper", "a.b | upper"),
            ("broken default(", "broken default("),
        ] {
            assert_eq!(expression(text), expected);
        }
    }
}
