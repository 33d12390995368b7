//! Filters for addresses and markup.

use std::fmt::Write;

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::template::filters::regexes;
use crate::value::{Map, Value};

pub(super) const FILTERS: &[Definition] = &[
    row(
        "urlencode",
        "",
        "The text, or a dict's pairs, encoded for an address",
        urlencode,
    ),
    row(
        "urldecode",
        "",
        "The text that an encoded one stands for",
        |call| Ok(unquote(&call.text()?).into()),
    ),
    row("urlsplit", "query", "The parts of an address", urlsplit),
    row("escape", "", "The text, safe within HTML", |call| {
        Ok(escaped(&call.text()?).into())
    }),
    row("e", "", "The text, safe within HTML", |call| {
        Ok(escaped(&call.text()?).into())
    }),
    row("forceescape", "", "The text, safe within HTML", |call| {
        Ok(escaped(&call.text()?).into())
    }),
    row("striptags", "", "The text without HTML's tags", striptags),
    row(
        "xmlattr",
        "autospace=true",
        "The dict as attributes of an XML tag",
        xmlattr,
    ),
];

/// Percent encoding; `safe` stay as they are.
fn quote(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (byte.is_ascii() && safe.contains(c)) {
            out.push(c);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn quote_query(value: &Value) -> String {
    quote(&value.to_string(), " ").replace(' ', "+")
}

fn urlencode(call: &Call) -> Result<Value, Error> {
    let pairs: Vec<String> = match call.data()? {
        Value::Map(map) => map
            .into_iter()
            .map(|(key, value)| format!("{}={}", quote_query(&key.into()), quote_query(&value)))
            .collect(),
        Value::List(items) => items
            .iter()
            .filter_map(Value::as_list)
            .filter(|pair| pair.len() == 2)
            .map(|pair| format!("{}={}", quote_query(&pair[0]), quote_query(&pair[1])))
            .collect(),
        other => return Ok(quote(&other.to_string(), "/").into()),
    };
    Ok(pairs.join("&").into())
}

fn unquote(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                bytes.nth(1);
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 3986's parts, found as Python's `urlsplit` finds them.
fn urlsplit(call: &Call) -> Result<Value, Error> {
    let text = call.text()?;
    let (rest, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, after))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_lowercase(), after)
        }
        _ => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(after) => after.find('/').map_or((after, ""), |at| after.split_at(at)),
        None => ("", rest),
    };
    let (user, address) = netloc
        .rsplit_once('@')
        .map_or((None, netloc), |(user, address)| (Some(user), address));
    let (username, password) = match user.map(|user| {
        user.split_once(':')
            .map_or((user, None), |(user, password)| (user, Some(password)))
    }) {
        Some((user, password)) => (Some(user), password),
        None => (None, None),
    };
    let (host, port) = match address
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => address
            .split_once(':')
            .map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let hostname = (!host.is_empty()).then(|| host.to_lowercase());
    let port = port.and_then(|port| port.parse::<u32>().ok());
    let parts: Map = [
        ("fragment", fragment.into()),
        ("hostname", hostname.into()),
        ("netloc", netloc.into()),
        ("password", password.into()),
        ("path", path.into()),
        ("port", port.into()),
        ("query", query.into()),
        ("scheme", scheme.into()),
        ("username", username.into()),
    ]
    .into_iter()
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .collect();
    match call.string("query")? {
        None => Ok(parts.into()),
        Some(name) if name.is_empty() => Ok(parts.into()),
        Some(name) => parts
            .get(&name)
            .cloned()
            .ok_or_else(|| call.fail(format!("unknown URL component: {name}"))),
    }
}

fn escaped(text: &str) -> String {
    [
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("'", "&#39;"),
        ("\"", "&#34;"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn striptags(call: &Call) -> Result<Value, Error> {
    let tags = regexes::compile(r"(?s)<!--.*?-->|<.*?>").map_err(|message| call.fail(message))?;
    let text = tags.replace_all(&call.text()?, 0, &|_| String::new());
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(words.join(" ").into())
}

fn xmlattr(call: &Call) -> Result<Value, Error> {
    let attributes: Vec<String> = call
        .map()?
        .iter()
        .filter(|(_, value)| **value != Value::Null)
        .map(|(name, value)| format!("{}=\"{}\"", escaped(name), escaped(&value.to_string())))
        .collect();
    let space = if call.flag("autospace", true) && !attributes.is_empty() {
        " "
    } else {
        ""
    };
    Ok(format!("{space}{}", attributes.join(" ")).into())
}
