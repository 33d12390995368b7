//! Bodies of requests as `uri` writes them: JSON, forms, and forms with files (RFC 7578).

use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::modules::Error;
use crate::modules::files::path::expand;
use crate::system::digest::digest_bytes;
use crate::system::{DigestAlgorithm, System, SystemError};
use crate::value::{Map, Value};

pub const FORM: &str = "application/x-www-form-urlencoded";

/// In a field of a form: names the content of a file of the controller.
pub const DIGEST: &str = "digest";

/// Characters of a line of base64 (RFC 2045).
const LINE: usize = 76;

const JSON: &str = "application/json";

/// A body and, where its format says so, its type.
pub fn written(body: &Value, format: &str, system: &dyn System) -> Result<(Vec<u8>, Option<String>), Error> {
    let text = |text: String, kind: Option<&str>| (text.into_bytes(), kind.map(str::to_owned));
    Ok(match (format, body) {
        ("json", Value::Str(given)) => text(given.clone(), Some(JSON)),
        ("json", other) => text(json(other), Some(JSON)),
        ("form-urlencoded", Value::Str(given)) => text(given.clone(), Some(FORM)),
        ("form-urlencoded", other) => text(form(other)?, Some(FORM)),
        ("form-multipart", Value::Map(fields)) => multipart(fields, system)?,
        ("form-multipart", _) => {
            return Err(Error::new(
                "failed to parse body as form-multipart: a map of names and contents is needed",
            ));
        }
        (_, Value::Map(_) | Value::List(_)) => text(json(body), None),
        (_, other) => text(other.to_string(), None),
    })
}

/// JSON with the blanks that Python puts there: bodies are signed and compared, too.
fn json(value: &Value) -> String {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_array_value<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut text = Vec::new();
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced))
        .expect("plain data is always JSON");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A map, or a list of pairs where a name comes more than once.
fn form(value: &Value) -> Result<String, Error> {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    let wrong = || Error::new("failed to parse body as form_urlencoded: a map or a list of pairs is needed");
    let mut add = |name: &str, value: &Value| match value {
        Value::List(items) => {
            for item in items {
                out.append_pair(name, &item.to_string());
            }
        }
        other => {
            out.append_pair(name, &other.to_string());
        }
    };
    match value {
        Value::Map(map) => map.iter().for_each(|(name, value)| add(name, value)),
        Value::List(pairs) => {
            for pair in pairs {
                let Some([name, value]) = pair.as_list() else {
                    return Err(wrong());
                };
                add(&name.to_string(), value);
            }
        }
        _ => return Err(wrong()),
    }
    Ok(out.finish())
}

/// A part of a form.
struct Part {
    name: String,
    /// Of a file, as Ansible sends it unless it is told `7or8bit`.
    base64: bool,
    filename: Option<String>,
    kind: String,
    content: Vec<u8>,
}

fn multipart(fields: &Map, system: &dyn System) -> Result<(Vec<u8>, Option<String>), Error> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    let parts: Vec<Part> = fields
        .into_iter()
        .map(|(name, field)| part(name, field, system))
        .collect::<Result<_, _>>()?;
    let all: Vec<u8> = parts.iter().flat_map(|part| part.content.clone()).collect();
    // No content holds its own digest.
    let boundary = format!("regdeploy-{}", digest_bytes(&all, DigestAlgorithm::Sha256));
    let mut body = Vec::new();
    for part in parts {
        let filename = part
            .filename
            .map(|filename| format!("; filename=\"{}\"", quoted(&filename)))
            .unwrap_or_default();
        let encoding = if part.base64 {
            "Content-Transfer-Encoding: base64\r\n"
        } else {
            ""
        };
        let head = format!(
            "--{boundary}\r\nContent-Type: {}\r\n{encoding}Content-Disposition: form-data; name=\"{}\"{filename}\r\n\r\n",
            part.kind,
            quoted(&part.name)
        );
        body.extend(head.into_bytes());
        if part.base64 {
            let text = STANDARD.encode(part.content);
            let lines: Vec<&[u8]> = text.as_bytes().chunks(LINE).collect();
            body.extend(lines.join(b"\r\n".as_slice()));
        } else {
            body.extend(part.content);
        }
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    Ok((body, Some(format!("multipart/form-data; boundary={boundary}"))))
}

fn part(name: &str, field: &Value, system: &dyn System) -> Result<Part, Error> {
    let wrong = |why: &str| Error::new(format!("failed to parse body as form-multipart: {name}: {why}"));
    let Value::Map(field) = field else {
        if matches!(field, Value::List(_) | Value::Null) {
            return Err(wrong("a text, or a map with `content` or `filename`, is needed"));
        }
        return Ok(Part {
            name: name.to_owned(),
            base64: false,
            filename: None,
            kind: "text/plain".to_owned(),
            content: field.to_string().into_bytes(),
        });
    };
    let text = |key: &str| {
        field
            .get(key)
            .filter(|value| !matches!(value, Value::Null))
            .map(Value::to_string)
    };
    let filename = text("filename");
    let base64 = match text("multipart_encoding").as_deref() {
        None | Some("base64") => text("content").is_none(),
        Some("7or8bit") => false,
        Some(_) => return Err(wrong("multipart_encoding is base64 or 7or8bit")),
    };
    let content = match (text("content"), text(DIGEST), &filename) {
        (Some(content), ..) => content.into_bytes(),
        (None, Some(digest), _) => held(&digest, system)?,
        (None, None, Some(path)) => system.read(&expand(path, system)?)?,
        (None, None, None) => return Err(wrong("at least one of filename or content must be provided")),
    };
    let last = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let kind = text("mime_type").unwrap_or_else(|| {
        let usual = if filename.is_some() {
            "application/octet-stream"
        } else {
            "text/plain"
        };
        usual.to_owned()
    });
    Ok(Part {
        name: name.to_owned(),
        base64,
        filename: filename.map(last),
        kind,
        content,
    })
}

/// A content that the controller holds.
pub fn held(digest: &str, system: &dyn System) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    system
        .content(digest)?
        .read_to_end(&mut bytes)
        .map_err(|error| SystemError::new("receive", format!("content {digest}"), error))?;
    Ok(bytes)
}

/// As HTML has browsers write names: what would end them is escaped.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn json_is_written_as_python_does() {
        assert_eq!(
            json(&value(
                r#"{"a":[1,"x, y"],"b":{},"c":[],"d":{"e":null,"f":true}}"#
            )),
            r#"{"a": [1, "x, y"], "b": {}, "c": [], "d": {"e": null, "f": true}}"#
        );
    }

    #[test]
    fn a_form_with_files() {
        let fake = Fake::new();
        fake.file("/srv/logo.png", "bytes");
        let digest = fake.hold("sent along");
        let fields = format!(
            r#"{{"text":"plain","own":{{"filename":"own.bin","digest":"{digest}"}},
            "file":{{"filename":"/srv/logo.png","mime_type":"image/png","multipart_encoding":"7or8bit"}},
            "made":{{"filename":"a\"b.txt","content":"inline"}}}}"#
        );
        let (body, kind) = written(&value(&fields), "form-multipart", &fake).unwrap();
        let kind = kind.unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8(body)
            .unwrap()
            .replace(boundary, "B")
            .replace('\r', "");
        insta::assert_snapshot!(text, @r#"
        --B
        Content-Type: image/png
        Content-Disposition: form-data; name="file"; filename="logo.png"

        bytes
        --B
        Content-Type: application/octet-stream
        Content-Disposition: form-data; name="made"; filename="a%22b.txt"

        inline
        --B
        Content-Type: application/octet-stream
        Content-Transfer-Encoding: base64
        Content-Disposition: form-data; name="own"; filename="own.bin"

        c2VudCBhbG9uZw==
        --B
        Content-Type: text/plain
        Content-Disposition: form-data; name="text"

        plain
        --B--
        "#);
        for (fields, why) in [
            (r#"{"a":{"filename":"/x"}}"#, "cannot read /x"),
            (
                r#"{"a":{"content":"","multipart_encoding":"x"}}"#,
                "base64 or 7or8bit",
            ),
            (r#"{"a":{}}"#, "at least one of filename or content"),
            (r#"{"a":[]}"#, "a text, or a map"),
            ("[]", "a map of names"),
        ] {
            let error = written(&value(fields), "form-multipart", &fake).unwrap_err();
            assert!(error.message.contains(why), "{}", error.message);
        }
    }
}
