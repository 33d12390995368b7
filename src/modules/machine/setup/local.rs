//! Local facts: `*.fact` files, each JSON or INI; those that are executable are run.

use crate::system::{Command, Follow, System};
use crate::value::{Map, Value};

pub fn gather(folder: &str, system: &dyn System) -> Value {
    let mut facts = Map::new();
    // No folder, no facts.
    for path in system.read_dir(folder.as_ref()).unwrap_or_default() {
        let path = std::path::Path::new(folder).join(path);
        if path.extension().is_none_or(|extension| extension != "fact") {
            continue;
        }
        let Some(name) = path.file_stem() else { continue };
        let shown = path.display().to_string();
        let found = system.metadata(&path, Follow::Yes).ok().flatten();
        if found.is_none() {
            let reason =
                format!("Could not stat fact ({shown}): [Errno 2] No such file or directory: '{shown}'");
            facts.insert(name.to_string_lossy().into_owned(), reason.into());
            continue;
        }
        let executable = found.is_some_and(|metadata| metadata.mode & 0o111 != 0);
        let fact = if executable {
            match system.run(&Command::new([shown.as_str()])) {
                Ok(output) if output.success() => parse(&output.stdout_text(), &shown),
                Ok(output) => format!(
                    "Failure executing fact script ({shown}), rc: {}, err: {}",
                    output.code,
                    output.stderr_text()
                )
                .into(),
                Err(error) => error.to_string().into(),
            }
        } else {
            match system.read(&path) {
                Ok(bytes) => parse(&String::from_utf8_lossy(&bytes), &shown),
                Err(error) => format!("error loading facts: {error}").into(),
            }
        };
        facts.insert(name.to_string_lossy().into_owned(), fact);
    }
    Value::Map(facts)
}

/// JSON, else sections of `key = value`.
fn parse(text: &str, file: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let mut sections = Map::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.insert(name.to_owned(), Value::Map(Map::new()));
            current = Some(name.to_owned());
            continue;
        }
        let entry = line.split_once('=').or_else(|| line.split_once(':'));
        let section = current.as_ref().and_then(|name| sections.get_mut(name));
        match (entry, section) {
            (Some((key, value)), Some(Value::Map(section))) => {
                let value = value.trim();
                // Python's parser takes a lone `%` for the beginning of a reference.
                if value.replace("%%", "").contains('%') {
                    return format!("error loading facts as ini - please check content: {file}").into();
                }
                section.insert(key.trim().to_lowercase(), value.replace("%%", "%").into());
            }
            _ => return format!("error loading facts as JSON or ini - please check content: {file}").into(),
        }
    }
    Value::Map(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        assert_eq!(parse(r#"{"a": [1]}"#, "f").to_string(), "{'a': [1]}");
        assert_eq!(
            parse("[general]\nAsdf = 1\nb: x\n", "f").to_string(),
            "{'general': {'asdf': '1', 'b': 'x'}}"
        );
        assert!(
            parse("nonsense", "f")
                .to_string()
                .starts_with("error loading facts")
        );
    }
}
