//! HTML: the templates that are inside the executable, and what they are given.
//!
//! Templates end in `.html`, by which the engine knows to escape whatever they show.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value as Json, json};

use crate::registry::digest::{Algorithm, Digest};

pub const STYLE: &str = include_str!("templates/style.css");
pub const SCRIPT: &str = include_str!("templates/copy.js");

/// Read when the first person comes: machines never need them.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the delimiters are the usual ones"),
    );
    environment.add_global("style", version(STYLE));
    environment.add_global("script", version(SCRIPT));
    environment.add_global("product", concat!("regdeploy ", env!("CARGO_PKG_VERSION")));
    environment.add_filter("digest", short);
    for (name, text) in [
        ("base.html", include_str!("templates/base.html")),
        ("repositories.html", include_str!("templates/repositories.html")),
        ("tags.html", include_str!("templates/tags.html")),
        ("image.html", include_str!("templates/image.html")),
        ("failure.html", include_str!("templates/failure.html")),
    ] {
        environment
            .add_template(name, text)
            .expect("the templates are tested");
    }
    environment
});

/// Names a file's content in its URL, so that browsers may keep it for ever.
fn version(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()[..12].to_owned()
}

/// The beginning of a digest: enough to tell it from others on a page.
fn short(digest: &str) -> String {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.chars().take(12).collect()
}

pub(super) fn render(name: &str, context: &Json) -> String {
    let rendered = TEMPLATES
        .get_template(name)
        .and_then(|template| template.render(Serde(context)));
    rendered.unwrap_or_else(|error| {
        tracing::error!(template = name, error = format!("{error:#}"), "a page could not be written");
        "<!doctype html><title>registry</title><p>This page could not be written; the registry's log has the cause."
            .to_owned()
    })
}

/// What is shown instead of a page.
pub fn failure(base: &str, status: u16, message: &str, detail: Option<&str>) -> String {
    render(
        "failure.html",
        &json!({"base": base, "status": status, "message": message, "detail": detail}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed_and_escapes() {
        let hostile = "<script>alert(1)</script>\"'";
        let shown = failure("", 404, hostile, Some(hostile));
        assert!(
            shown.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;&quot;&#x27;"),
            "{shown}"
        );
        assert!(!shown.contains("<script>alert"), "{shown}");
        for name in ["repositories.html", "tags.html", "image.html"] {
            TEMPLATES.get_template(name).unwrap();
        }
    }
}
