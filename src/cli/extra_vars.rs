//! `-e`: `name=value` words, a YAML or JSON map, or `@file`.

use std::fs;

use crate::diagnostic::Diagnostic;
use crate::inventory::words::{self, Dialect, Word};
use crate::source::{Source, Span};
use crate::template::{Names, Variable};
use crate::vault;
use crate::yaml::{Node, load};

/// The name of the source behind what was written on the command line.
const SOURCE: &str = "<extra vars>";

/// All `-e` of a command line; the last one that sets a name wins. Gives warnings beside it.
pub fn read(options: &[String]) -> Result<(Names, Vec<Diagnostic>), Diagnostic> {
    let mut names = Names::new();
    let mut warnings = Vec::new();
    for option in options {
        names.extend(option_names(option, &mut warnings)?);
    }
    Ok((names, warnings))
}

fn option_names(option: &str, warnings: &mut Vec<Diagnostic>) -> Result<Names, Diagnostic> {
    let option = option.trim();
    if let Some(path) = option.strip_prefix('@') {
        let text = fs::read_to_string(path).map_err(|error| {
            Diagnostic::error(format!("cannot read the extra vars file `{path}`: {error}"))
        })?;
        return document(&vault::opened(Source::new(path, text))?, warnings);
    }
    let source = Source::new(SOURCE, option);
    let whole = Span::whole(&source);
    if option.starts_with(['/', '.']) {
        return Err(Diagnostic::error("a file of extra vars needs an `@` in front")
            .at(&whole)
            .hint(format!("write -e @{option}")));
    }
    if option.starts_with(['{', '[']) {
        return document(&source, warnings);
    }
    words::split(&whole, Dialect::ExtraVars)?
        .iter()
        .map(|word| assignment(word, warnings))
        .collect()
}

fn assignment(word: &Word, warnings: &mut Vec<Diagnostic>) -> Result<(String, Variable), Diagnostic> {
    let assignment = word.assignment().filter(|(name, ..)| !name.is_empty());
    let (name, value, place) = assignment.ok_or_else(|| {
        Diagnostic::error(format!("expected `name=value`, got `{}`", word.text))
            .at(&word.span)
            .hint("a value with spaces needs quotes of its own: -e \"name='a b'\"")
            .hint("a file of variables needs an `@` in front: -e @file.yml")
    })?;
    warnings.extend(unusable_name(name, &word.span.part(0, name.len())));
    Ok((name.to_owned(), Node::text(value, &place).into()))
}

fn document(source: &std::sync::Arc<Source>, warnings: &mut Vec<Diagnostic>) -> Result<Names, Diagnostic> {
    let document = load(source)?;
    vault::learn_from(&document.root);
    warnings.extend(document.warnings);
    if document.root.is_null() {
        return Ok(Names::new());
    }
    let map = document.root.as_map().ok_or_else(|| {
        Diagnostic::error(format!(
            "extra vars must be a map, not a {}",
            document.root.type_name()
        ))
        .at(&document.root.span)
        .hint("write `{name: value}`, or one `name: value` per line in a file")
    })?;
    let mut names = Names::new();
    for (name, entry) in map.iter() {
        warnings.extend(unusable_name(name, &entry.key));
        names.insert(name.clone(), entry.value.clone().into());
    }
    Ok(names)
}

/// A name that templates can only reach through `vars[...]` is most likely a slip.
fn unusable_name(name: &str, place: &Span) -> Option<Diagnostic> {
    let usable = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let warning = || {
        Diagnostic::warning(format!("`{name}` cannot be used as the name of a variable"))
            .at(place)
            .hint("names are letters, digits and underscores, and do not start with a digit")
    };
    (!usable).then(warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Map, Value};

    fn json(options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let (names, _) = read(&options).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let map: Map = names
            .into_iter()
            .map(|(name, variable)| match variable {
                Variable::Node(node) => (name, node.to_value()),
                other => panic!("{other:?}"),
            })
            .collect();
        serde_json::to_string(&Value::Map(map)).unwrap()
    }

    fn error(option: &str) -> String {
        read(&[option.to_owned()]).unwrap_err().render(false)
    }

    #[test]
    fn words_are_texts() {
        assert_eq!(
            json(&["a=1 b='x y' c=", "d={{ a + b }} e=k=v"]),
            r#"{"a":"1","b":"x y","c":"","d":"{{ a + b }}","e":"k=v"}"#
        );
    }

    #[test]
    fn maps_keep_their_types_and_the_last_wins() {
        assert_eq!(
            json(&["{\"a\": 1, \"b\": [true]}", "{a: yes}", " "]),
            r#"{"a":true,"b":[true]}"#
        );
    }

    #[test]
    fn files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.yml");
        fs::write(&path, "---\nport: 5000\n").unwrap();
        assert_eq!(json(&[&format!("@{}", path.display())]), r#"{"port":5000}"#);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        insta::assert_snapshot!(error("a=1 port 5000"), @r#"
        error: expected `name=value`, got `port`
         --> <extra vars>:1:5
          |
        1 | a=1 port 5000
          |     ^^^^
          |
          = help: a value with spaces needs quotes of its own: -e "name='a b'"
          = help: a file of variables needs an `@` in front: -e @file.yml
        "#);
        assert!(error("=1").starts_with("error: expected `name=value`, got `=1`\n"));
        insta::assert_snapshot!(error("[1, 2]"), @r"
        error: extra vars must be a map, not a list
         --> <extra vars>:1:1
          |
        1 | [1, 2]
          | ^^^^^^
          |
          = help: write `{name: value}`, or one `name: value` per line in a file
        ");
        insta::assert_snapshot!(error("{a: 1"), @r"
        error: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
         --> <extra vars>:1:6
          |
        1 | {a: 1
          |      ^
        ");
        insta::assert_snapshot!(error("./values.yml"), @r"
        error: a file of extra vars needs an `@` in front
         --> <extra vars>:1:1
          |
        1 | ./values.yml
          | ^^^^^^^^^^^^
          |
          = help: write -e @./values.yml
        ");
        insta::assert_snapshot!(error("@no/such.yml"), @"error: cannot read the extra vars file `no/such.yml`: No such file or directory (os error 2)");
        insta::assert_snapshot!(error("a='x"), @r"
        error: a quote is opened here and never closed
         --> <extra vars>:1:3
          |
        1 | a='x
          |   ^
          |
          = help: close it with ', or put the whole value between the other kind of quotes
        ");
    }

    #[test]
    fn odd_names_are_kept_and_warned_of() {
        for (option, place) in [("x=1 a-b=1", "5"), ("{a-b: 1}", "2")] {
            let (names, warnings) = read(&[option.to_owned()]).unwrap();
            assert!(names.contains_key("a-b"));
            assert_eq!(
                warnings[0].to_string(),
                format!("<extra vars>:1:{place}: `a-b` cannot be used as the name of a variable")
            );
        }
    }
}
