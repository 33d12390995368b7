//! What a template file can say of itself: `template_path`, `template_host`, ..., and `ansible_managed`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::evaluate::evaluate_text;
use super::filters::{Date, user_name};
use super::scope::{Names, Scope, Variable};
use crate::configuration::{Configuration, table};
use crate::source::Span;
use crate::value::Value;

/// The hidden name of the run's settings.
pub const CONFIGURATION: &str = "__configuration__";

/// The settings of the run that a scope is in.
pub(super) fn configuration(scope: &Scope) -> Option<Arc<Configuration>> {
    match scope.get(CONFIGURATION) {
        Some(Variable::Configuration(configuration)) => Some(configuration),
        _ => None,
    }
}

/// `scope` with the variables of the template file at `path`, which the user called `name`. A user's own
/// `ansible_managed` stays.
pub fn with_file_variables(
    scope: &Arc<Scope>,
    name: &str,
    path: &Path,
    destination: Option<&str>,
    span: &Span,
) -> Arc<Scope> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let metadata = std::fs::metadata(path).ok();
    let owner = metadata.as_ref().map_or_else(String::new, |metadata| {
        user_name(metadata.uid()).unwrap_or_else(|| metadata.uid().to_string())
    });
    let modified = metadata
        .and_then(|metadata| Timestamp::from_second(metadata.mtime()).ok())
        .unwrap_or_else(Timestamp::now)
        .to_zoned(TimeZone::system());
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = |text: &str| Variable::Value(Value::from(text));
    let date = |time: &Zoned| Variable::Native(minijinja::Value::from_object(Date::at(time)));
    let mut names: Names = [
        ("template_host", text(&host)),
        ("template_path", text(name)),
        ("template_fullpath", text(&full.to_string_lossy())),
        ("template_mtime", date(&modified)),
        ("template_uid", text(&owner)),
        ("template_run_date", date(&Zoned::now())),
        (
            "template_destpath",
            Variable::Value(destination.map(str::to_owned).into()),
        ),
    ]
    .map(|(name, variable)| (name.to_owned(), variable))
    .into();
    if scope.get("ansible_managed").is_none() {
        let file = full.to_string_lossy();
        let parts = [("{file}", file.as_ref()), ("{host}", &host), ("{uid}", &owner)];
        names.insert(
            "ansible_managed".to_owned(),
            managed(scope, &parts, &modified, span).into(),
        );
    }
    scope.with(Arc::new(names))
}

/// The setting `ansible_managed` with its parts filled in, its dates formatted and its templates evaluated. What
/// files and hosts are called is neither a format nor a template.
fn managed(scope: &Arc<Scope>, parts: &[(&str, &str)], modified: &Zoned, span: &Span) -> Value {
    let configuration = configuration(scope);
    let setting = configuration
        .as_ref()
        .and_then(|configuration| configuration.text(&table::DEFAULT_MANAGED_STR))
        .unwrap_or("Ansible managed");
    let mark = |index: usize| format!("\u{1}{index}\u{1}");
    let mut text = setting.to_owned();
    for (index, (part, _)) in parts.iter().enumerate() {
        text = text.replace(part, &mark(index));
    }
    // Braces are written twice, as in Python's formats.
    text = text.replace("{{", "{").replace("}}", "}");
    text = jiff::fmt::strtime::format(&text, modified).unwrap_or(text);
    let mut text = match evaluate_text(&text, span, scope) {
        Ok(value) => value.to_string(),
        Err(_) => text,
    };
    for (index, (_, value)) in parts.iter().enumerate() {
        text = text.replace(&mark(index), value);
    }
    text.into()
}
