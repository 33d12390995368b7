//! Nodes to values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, RwLock};

use minijinja::Expression;

use super::about;
use super::convert;
use super::environment::{self, INLINE, USUAL};
use super::error::EvalError;
use super::native;
use super::options::Options;
use super::rewrite;
use super::scope::Scope;
use super::taint;
use super::trust;
use super::undefined;
use crate::configuration::table;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span, shown};
use crate::value::{Map, Value};
use crate::vault;
use crate::yaml::{Kind, Node};

/// A node's value. A top-level `omit` gives null; use [`is_omitted`] where that matters.
pub fn evaluate(node: &Node, scope: &Arc<Scope>) -> Result<Value, EvalError> {
    Ok(evaluate_or_omit(node, scope)?.unwrap_or(Value::Null))
}

/// Whether the node evaluates to `omit`: the argument is then as if it had not been written.
pub fn is_omitted(node: &Node, scope: &Arc<Scope>) -> Result<bool, EvalError> {
    match &node.kind {
        Kind::Text(text) if text.contains("omit") => Ok(evaluate_or_omit(node, scope)?.is_none()),
        _ => Ok(false),
    }
}

/// A node's value without those items of lists and entries of maps that are undefined.
pub fn evaluate_defined(node: &Node, scope: &Arc<Scope>) -> Result<Value, EvalError> {
    match &node.kind {
        Kind::List(items) => {
            let values = items.iter().map(|item| evaluate_defined(item, scope));
            let defined = values.filter(|value| !matches!(value, Err(error) if error.undefined));
            Ok(Value::List(defined.collect::<Result<_, _>>()?))
        }
        Kind::Map(map) => {
            let values = map
                .iter()
                .map(|(name, entry)| Ok((name.clone(), evaluate_defined(&entry.value, scope)?)));
            let defined =
                values.filter(|entry| !matches!(entry, Err::<_, EvalError>(error) if error.undefined));
            Ok(Value::Map(defined.collect::<Result<_, _>>()?))
        }
        _ => {
            if let Some(held) = trust::written(node, scope).filter(Node::is_dynamic) {
                return evaluate_defined(&held, scope);
            }
            let value = native(node, scope)?;
            let defined = convert::to_defined(&value).map_err(|message| incomplete(&message, node, scope))?;
            Ok(defined.unwrap_or_default())
        }
    }
}

/// A node's value; none where it is `omit`.
pub fn evaluate_or_omit(node: &Node, scope: &Arc<Scope>) -> Result<Option<Value>, EvalError> {
    if !node.is_dynamic() {
        return Ok(Some(node.to_value()));
    }
    match &node.kind {
        Kind::List(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items.iter() {
                values.extend(evaluate_or_omit(item, scope)?);
            }
            Ok(Some(Value::List(values)))
        }
        Kind::Map(map) => {
            let mut values = Map::with_capacity(map.len());
            for (name, entry) in map.iter() {
                let name = if name.contains("{{") {
                    evaluate_text(name, &entry.key, scope)?.to_string()
                } else {
                    name.clone()
                };
                if let Some(value) = evaluate_or_omit(&entry.value, scope)? {
                    values.insert(name, value);
                }
            }
            Ok(Some(Value::Map(values)))
        }
        _ => {
            let value = native(node, scope)?;
            convert::to_value_or_omit(&value).map_err(|message| incomplete(&message, node, scope))
        }
    }
}

/// What a text evaluates to; `span` is where it was written.
pub fn evaluate_text(text: &str, span: &Span, scope: &Arc<Scope>) -> Result<Value, EvalError> {
    evaluate(&Node::text(text, span), scope)
}

/// A scalar node as the engine's value.
pub(super) fn native(node: &Node, scope: &Arc<Scope>) -> Result<minijinja::Value, EvalError> {
    let Kind::Text(text) = &node.kind else {
        if let Kind::Vault(vault) = &node.kind {
            return match vault::opened_value(vault) {
                Ok(text) => Ok(text.into()),
                Err(closed) => Err(EvalError::new(closed.diagnostic().at(&node.span))),
            };
        }
        return Ok(convert::from_value(&node.to_value()));
    };
    match single_expression(text) {
        Some(expression) => taint::watch(text, || {
            expression_value(&rewrite::literal_expression(expression), &node.span, scope)
        }),
        None if node.is_dynamic() => taint::within(text, || render(text, &node.span, scope)),
        None => Ok(text.as_ref().into()),
    }
}

/// The inside of a text that is one `{{ expression }}` and nothing else.
pub(super) fn single_expression(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside);
    let mut quote = None;
    let mut escaped = false;
    let mut depth = 0_usize;
    let mut characters = inside.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 && characters.peek() == Some(&'}') => return None,
            (None, '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = false;
    }
    Some(inside.trim())
}

/// Compiled expressions by their text: each is compiled once in a run.
static COMPILED: LazyLock<RwLock<HashMap<String, Arc<Expression<'static, 'static>>>>> =
    LazyLock::new(RwLock::default);

pub(super) fn compile(expression: &str) -> Result<Arc<Expression<'static, 'static>>, minijinja::Error> {
    if let Some(compiled) = COMPILED
        .read()
        .ok()
        .and_then(|cache| cache.get(expression).cloned())
    {
        return Ok(compiled);
    }
    let compiled = Arc::new(USUAL.compile_expression_owned(rewrite::expression(expression).into_owned())?);
    if let Ok(mut cache) = COMPILED.write() {
        cache.insert(expression.to_owned(), Arc::clone(&compiled));
    }
    Ok(compiled)
}

fn expression_value(
    expression: &str,
    span: &Span,
    scope: &Arc<Scope>,
) -> Result<minijinja::Value, EvalError> {
    let value = compile(expression)
        .and_then(|compiled| compiled.eval(scope.context()))
        .map_err(|error| failure(&error, span, expression, scope))?;
    let value = rewrite::Chain::unwrap(&value);
    if value.is_undefined() {
        return Err(undefined::describe(expression, span, scope));
    }
    Ok(value)
}

/// What a text with more in it than one expression comes to.
fn render(text: &str, span: &Span, scope: &Arc<Scope>) -> Result<minijinja::Value, EvalError> {
    let render = || -> Result<minijinja::Value, minijinja::Error> {
        let template = USUAL.get_template(&format!("{INLINE}{text}"))?;
        let captured = template.render_captured(scope.context())?;
        let outcome = native::outcome(captured.state(), captured.output());
        Ok(outcome.unwrap_or_else(|| as_many_line_ends(text, captured.into_output()).into()))
    };
    render().map_err(|error| failure(&error, span, text, scope))
}

/// The result ends with as many line ends as its template, whatever `-%}` and the like took away.
fn as_many_line_ends(template: &str, mut output: String) -> String {
    let line_ends = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let missing = line_ends(template).saturating_sub(line_ends(&output));
    output.extend(std::iter::repeat_n('\n', missing));
    output
}

/// A bare expression that must be a boolean: `when`, `changed_when`, `failed_when`, `until`, `that`.
///
/// A boolean node stands for itself; a text is an expression. A template comes to a boolean, or names a variable that
/// holds an expression: what it prints is not evaluated again.
pub fn condition(node: &Node, scope: &Arc<Scope>) -> Result<bool, EvalError> {
    let value = match &node.kind {
        Kind::Text(text) => {
            let text = text.trim();
            if is_template(text) {
                let node = &Node::text(text, &node.span);
                let value = evaluate(node, scope)?;
                if value.as_str().is_some() {
                    let held = trust::written(node, scope).ok_or_else(|| trust::refused(&node.span))?;
                    return condition(&held, scope);
                }
                value
            } else {
                let value = expression_value(&bare(text, &node.span)?, &node.span, scope)?;
                convert::to_value(&value).map_err(|message| unusable(&message, &node.span))?
            }
        }
        Kind::Literal(_) => return Err(trust::refused(&node.span)),
        _ => node.to_value(),
    };
    if let Some(flag) = value.as_bool() {
        return Ok(flag);
    }
    let truth = value.is_true();
    let broken = about::configuration(scope)
        .is_some_and(|configuration| configuration.truth(&table::ALLOW_BROKEN_CONDITIONALS));
    if broken {
        return Ok(truth);
    }
    let spelt = Value::Bool(truth);
    Err(EvalError::new(
        Diagnostic::error(format!(
            "Conditional result ({spelt}) was derived from value of type '{}'. Conditionals must have a boolean result.",
            value.type_name()
        ))
        .at(&node.span)
        .hint("compare it (`x == 'text'`), ask for its length (`x | length > 0`) or convert it (`x | bool`)"),
    ))
}

/// Whether a condition is a template from its start to its end.
fn is_template(text: &str) -> bool {
    let within = |open, close| text.starts_with(open) && text.ends_with(close);
    within("{{", "}}") || within("{%", "%}")
}

/// A condition's expression. There are no delimiters in it, but in a text: that one is a template.
fn bare<'t>(text: &'t str, span: &Span) -> Result<Cow<'t, str>, EvalError> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.into());
    }
    rewrite::embedded(text).map_err(|error| {
        let detail = error.detail().unwrap_or("syntax error");
        EvalError::new(
            Diagnostic::error(format!(
                "Syntax error in expression. Template delimiters are not supported in expressions: {detail}"
            ))
            .at(span)
            .hint("a condition names variables without braces: `when: a == b`"),
        )
    })
}

/// What a template file's text comes to. `path` is where it was read from; includes are looked up beside it.
///
/// A text ends with as many newlines as the file does, whatever its last block takes away.
pub fn render_file(
    path: &Path,
    text: &str,
    options: &Options,
    span: &Span,
    scope: &Arc<Scope>,
) -> Result<Value, EvalError> {
    let source = Source::new(shown(path), text);
    let (options, body) = options.of_header(text).map_err(|message| {
        EvalError::new(Diagnostic::error(message).at(&Span::new(&source, 0, text.len().min(1))))
    })?;
    let lines_above = text[..text.len() - body.len()].matches('\n').count();
    let body = body.replace("\r\n", "\n");
    let last_lines = body.len() - body.trim_end_matches('\n').len();
    let body = body
        .strip_suffix('\n')
        .unwrap_or(&body)
        .replace('\n', &options.newline);
    let name = path.display().to_string();
    let render = || -> Result<minijinja::Value, minijinja::Error> {
        let own;
        let environment = if *options == Options::default() {
            &*USUAL
        } else {
            own = environment::build(&options)?;
            &own
        };
        let body = rewrite::template(&body, &options.syntax()?);
        let template = environment.template_from_named_str(&name, &body)?;
        let captured = template.render_captured(scope.context())?;
        let outcome = native::outcome(captured.state(), captured.output());
        Ok(outcome.unwrap_or_else(|| captured.into_output().into()))
    };
    let rendered = taint::within(&body, render)
        .map_err(|error| file_failure(&error, path, text, lines_above, span, scope))?;
    let mut value = convert::to_value(&rendered).map_err(|message| unusable(&message, span))?;
    if let Value::Str(text) = &mut value {
        let there = text.len() - text.trim_end_matches('\n').len();
        text.push_str(&options.newline.repeat(last_lines.saturating_sub(there)));
    }
    Ok(value)
}

/// The error in a template file, or in one that it includes, at its line.
fn file_failure(
    error: &minijinja::Error,
    path: &Path,
    text: &str,
    lines_above: usize,
    span: &Span,
    scope: &Arc<Scope>,
) -> EvalError {
    let error = innermost(error);
    // It may be in a template that this one includes.
    let included = error
        .name()
        .filter(|place| Path::new(place) != path)
        .and_then(|place| Some((Path::new(place), std::fs::read_to_string(place).ok()?)));
    let (path, text, above) = match &included {
        Some((path, text)) => (*path, text.as_str(), 0),
        None => (path, text, lines_above),
    };
    let source = Source::new(shown(path), text);
    let place = error.line().map_or_else(
        || Span::whole(&source),
        |line| {
            let start = source.line_start(line + above);
            let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
            Span::new(&source, start, end)
        },
    );
    let mut failed = failure(error, &place, "", scope);
    failed.diagnostic = failed.diagnostic.via("rendered here", span);
    failed
}

/// The error in the template that is included, where the engine only says that an inclusion failed.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    use std::error::Error;
    match error.source().and_then(|inner| inner.downcast_ref()) {
        Some(inner) if error.kind() == minijinja::ErrorKind::BadInclude => innermost(inner),
        _ => error,
    }
}

/// An engine's error, with the deeper cause where a variable exists and could not be evaluated.
fn failure(error: &minijinja::Error, span: &Span, text: &str, scope: &Arc<Scope>) -> EvalError {
    let failed = EvalError::from_engine(error, span, text);
    // One of ours says what it has to say already.
    if !failed.undefined || EvalError::is_carried(error) {
        return failed;
    }
    let place = failed.diagnostic.span.clone().unwrap_or_else(|| span.clone());
    undefined::explain(error, text, &place, scope).unwrap_or(failed)
}

/// The error for a value with something in it that is no data.
fn incomplete(message: &str, node: &Node, scope: &Arc<Scope>) -> EvalError {
    let failed = unusable(message, &node.span);
    let text = node.as_str().unwrap_or_default();
    let expression = single_expression(text).unwrap_or(text);
    if failed.undefined {
        undefined::search(expression, scope)
            .map(|name| undefined::describe(&name, &node.span, scope))
            .unwrap_or(failed)
    } else {
        failed
    }
}

fn unusable(message: &str, span: &Span) -> EvalError {
    EvalError {
        diagnostic: Diagnostic::error(message.to_owned()).at(span),
        undefined: message.contains("undefined"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::template::{Names, SearchPath};

    const VARIABLES: &str = r#"
name: web
port: 80
flags: [1, true, null, "it's"]
nested: {a: {b: deep}, t: "{{ name }}-{{ port }}"}
lazy: "{{ port }}"
broken: "{{ nowhere }}"
loop_a: "{{ loop_b }}"
loop_b: "{{ loop_a }}"
"#;

    fn scope() -> Arc<Scope> {
        let root = crate::yaml::load(&Source::new("vars.yml", VARIABLES))
            .unwrap()
            .root;
        let names: Names = root
            .as_map()
            .unwrap()
            .iter()
            .map(|(name, entry)| (name.clone(), entry.value.clone().into()))
            .collect();
        Scope::new(vec![Arc::new(names)], SearchPath::default())
    }

    fn run(text: &str) -> Result<String, String> {
        let source = Source::new("t.yml", text);
        evaluate(&Node::text(text, &Span::whole(&source)), &scope())
            .map(|value| serde_json::to_string(&value).unwrap())
            .map_err(|error| error.diagnostic.message)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(run(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn native_types() {
        check("{{ port }}", "80");
        check("{{ lazy }}", "80");
        check(" {{ port }}", r#"" 80""#);
        check("{{ port }}{{ port }}", r#""8080""#);
        check("{{ flags }}", r#"[1,true,null,"it's"]"#);
        check("{{ nested }}", r#"{"a":{"b":"deep"},"t":"web-80"}"#);
        check("{% if true %}{{ port }}{% endif %}", "80");
        check("{% if true %}{{ port }} {% endif %}", r#""80 ""#);
        check("{% if false %}x{% endif %}", "null");
        check("{{ {'a': '}}'} }}", r#"{"a":"}}"}"#);
        check("plain", r#""plain""#);
    }

    #[test]
    fn pythons_spelling() {
        check("x {{ flags }}", r#""x [1, True, None, \"it's\"]""#);
        check("{{ true }}!", r#""True!""#);
        check("{{ 'a' ~ true ~ 1 }}", r#""aTrue1""#);
        check("{{ port / 2 }}", "40.0");
        check("{{ 7 // 2 }}", "3");
    }

    #[test]
    fn forgiving_chains() {
        check("{{ a.b.c | default('x') }}", r#""x""#);
        check("{{ nested.a.b | default('x') }}", r#""deep""#);
        check("{{ nested.q.b | default('x') }}", r#""x""#);
        check("{{ nested['q'] is defined }}", "false");
        check("{{ broken is defined }}", "false");
        check("{{ broken | default('x') }}", r#""x""#);
        check("{{ nested.a.b is defined }}", "true");
        check("{{ none | default('x', true) }}", r#""x""#);
    }

    #[test]
    fn undefined_is_named() {
        assert_eq!(run("{{ nmae }}").unwrap_err(), "'nmae' is undefined");
        assert_eq!(run("a {{ nmae }}").unwrap_err(), "'nmae' is undefined");
        assert_eq!(
            run("{{ nested.x }}").unwrap_err(),
            "object of type 'dict' has no attribute 'x'"
        );
        assert_eq!(
            run("a {{ nested['x'].y }}").unwrap_err(),
            "object of type 'dict' has no attribute 'x'"
        );
        assert_eq!(run("{{ broken }}").unwrap_err(), "'nowhere' is undefined");
        assert_eq!(run("{{ nmae == 'x' }}").unwrap_err(), "'nmae' is undefined");
        assert_eq!(
            run("{{ 'a' if nmae else 'b' }}").unwrap_err(),
            "'nmae' is undefined"
        );
        assert_eq!(run("{{ nmae | upper }}").unwrap_err(), "'nmae' is undefined");
        assert_eq!(run("{{ flags + nmae }}").unwrap_err(), "'nmae' is undefined");
        assert_eq!(run("{{ flags + broken }}").unwrap_err(), "'nowhere' is undefined");
        assert!(run("{{ loop_a }}").unwrap_err().contains("Recursive loop"));
    }

    #[test]
    fn conditions_are_boolean() {
        let source = Source::new("t.yml", "x");
        let test = |text: &str| condition(&Node::text(text, &Span::whole(&source)), &scope());
        assert!(test("port == 80").unwrap());
        assert!(test("{{ port == 80 }}").unwrap());
        assert!(!test("name == 'db' or port > 100").unwrap());
        assert!(
            test("name")
                .unwrap_err()
                .diagnostic
                .message
                .contains("must have a boolean result")
        );
    }

    #[test]
    fn what_a_template_comes_to_is_no_condition() {
        let names: Names = [
            ("said", "1 == 1"),
            ("listed", "['foo'] or lookup('pipe', 'false')"),
        ]
        .map(|(name, text)| (name.to_owned(), Value::from(text).into()))
        .into();
        let variables =
            "held: port == 80\nnamed: '{{ held }}'\nmade: 'port == {{ port }}'\nraw: !unsafe port == 80\n";
        let root = crate::yaml::load(&Source::new("vars.yml", variables))
            .unwrap()
            .root;
        let written = Arc::clone(root.as_map().unwrap());
        let scope = scope().with(Arc::new(names)).with(written);
        let test = |text: &str| {
            let source = Source::new("t.yml", text);
            condition(&Node::text(text, &Span::whole(&source)), &scope)
                .map_err(|error| error.diagnostic.message)
        };
        for text in ["{{ held }}", "{{ named }}", "'{{ said }}' == said"] {
            assert_eq!(test(text), Ok(true), "{text}");
        }
        let refused = "Encountered untrusted template or expression.";
        let templates = [
            "{{ said }}",
            "{{ made }}",
            "{{ raw }}",
            "{{ 'port' }} == {{ port }}",
            "{% if true %}port == 80{% endif %}",
        ];
        for text in templates {
            assert_eq!(test(text), Err(refused.to_owned()), "{text}");
        }
        for text in [
            "'foo' in {{ listed }}",
            "{{ said }} and true",
            "x == '1' or {{ said }}",
        ] {
            let message = test(text).unwrap_err();
            assert!(
                message.contains("Template delimiters are not supported in expressions"),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn undefined_candidates_are_dropped() {
        let source = Source::new(
            "t.yml",
            "- '{{ nowhere }}x'\n- a\n- {files: ['{{ broken }}', b]}\n",
        );
        let node = crate::yaml::load(&source).unwrap().root;
        let value = evaluate_defined(&node, &scope()).unwrap();
        assert_eq!(value.to_string(), "['a', {'files': ['b']}]");
    }

    #[test]
    fn omit_drops() {
        let source = Source::new(
            "t.yml",
            "a: '{{ omit }}'\nb: [1, '{{ omit }}']\nc: {d: '{{ omit }}'}\n",
        );
        let node = crate::yaml::load(&source).unwrap().root;
        let value = evaluate(&node, &scope()).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"b":[1],"c":{}}"#);
        assert!(is_omitted(&Node::text("{{ omit }}", &Span::whole(&source)), &scope()).unwrap());
    }

    #[test]
    fn shows_where() {
        let source = Source::new("t.yml", "msg: hello {{ nmae }}!\n");
        let node = crate::yaml::load(&source).unwrap().root;
        let error = evaluate(&node, &scope()).unwrap_err();
        insta::assert_snapshot!(error.diagnostic.render(false), @r"
        error: 'nmae' is undefined
         --> t.yml:1:15
          |
        1 | msg: hello {{ nmae }}!
          |               ^^^^
          |
          = help: did you mean `name`?
        ");
    }
}
