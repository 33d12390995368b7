//! How an inventory names hosts: `web[01:10:2].example.com:2222`, `[fe80::1]:22`.

use std::net::Ipv6Addr;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// Hosts that one line may stand for: more is a typing slip, and would fill the memory.
const MAX_HOSTS: usize = 100_000;

const RANGES: &str = "a range is [begin:end] or [begin:end:step]: [1:10], [01:10:2], [a:f]";

/// One or more hosts and the port that was written with them.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    pub hosts: Vec<String>,
    pub port: Option<u16>,
}

impl Address {
    /// The port as the variable that connections look at.
    pub fn variable(&self, place: &Span) -> Option<(&'static str, Node)> {
        let port = i64::from(self.port?);
        Some(("ansible_port", Node::new(Kind::Scalar(port.into()), place)))
    }
}

/// Reads what stands at the start of a host's line.
pub fn parse(text: &str, place: &Span) -> Result<Address, Diagnostic> {
    let (name, port) = split_port(text, place)?;
    if name.is_empty() {
        return Err(Diagnostic::error("a host needs a name").at(place));
    }
    let hosts = if name.parse::<Ipv6Addr>().is_ok() {
        vec![name.to_owned()]
    } else {
        let mut hosts = Vec::new();
        expand(String::new(), name, place, &mut hosts)?;
        hosts
    };
    Ok(Address { hosts, port })
}

fn split_port<'a>(text: &'a str, place: &Span) -> Result<(&'a str, Option<u16>), Diagnostic> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']'))
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(parse_port(port, place)?))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(Diagnostic::error(format!("`{text}` is not a host name")).at(place)),
        };
    }
    match outside_brackets(text) {
        None => Ok((text, None)),
        Some(at) => Ok((&text[..at], Some(parse_port(&text[at + 1..], place)?))),
    }
}

/// The first `:` that is in no range.
fn outside_brackets(text: &str) -> Option<usize> {
    let mut inside = false;
    text.find(|c| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        c == ':' && !inside
    })
}

fn parse_port(port: &str, place: &Span) -> Result<u16, Diagnostic> {
    port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        let error = if port.is_empty() {
            Diagnostic::error("a host's name cannot end with `:`")
                .hint("if this file is YAML, give it a name that ends with `.yml`")
        } else {
            Diagnostic::error(format!("`{port}` is not a port"))
                .hint("what follows `:` is a port, a number from 1 to 65535")
        };
        error.at(place)
    })
}

/// Adds all names that `rest` stands for, each after `prefix`.
fn expand(prefix: String, rest: &str, place: &Span, hosts: &mut Vec<String>) -> Result<(), Diagnostic> {
    let range = rest.split_once('[').and_then(|(before, rest)| {
        let (range, after) = rest.split_once(']')?;
        range.contains(':').then_some((before, range, after))
    });
    let Some((before, range, after)) = range else {
        if rest.contains(['[', ']']) {
            return Err(Diagnostic::error(format!("`{rest}` is not part of a host name"))
                .at(place)
                .hint(RANGES));
        }
        if hosts.len() == MAX_HOSTS {
            return Err(
                Diagnostic::error(format!("this range stands for more than {MAX_HOSTS} hosts")).at(place),
            );
        }
        hosts.push(prefix + rest);
        return Ok(());
    };
    for item in items(range, place)? {
        expand(format!("{prefix}{before}{item}"), after, place, hosts)?;
    }
    Ok(())
}

/// The items of `begin:end[:step]`, the end included.
fn items(range: &str, place: &Span) -> Result<Vec<String>, Diagnostic> {
    let wrong = |why: &str| {
        Diagnostic::error(format!("the range `[{range}]` {why}"))
            .at(place)
            .hint(RANGES)
    };
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts[..] {
        [begin, end] => (begin, end, 1),
        [begin, end, step] => (begin, end, step.parse().unwrap_or(0)),
        _ => return Err(wrong("has too many parts")),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(wrong("has no end"));
    }
    if step == 0 {
        return Err(wrong("has a step that is not a number above 0"));
    }
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first.is_ascii_lowercase() != last.is_ascii_lowercase() || first > last {
            return Err(wrong("ends before it begins"));
        }
        return Ok((first..=last).step_by(step).map(String::from).collect());
    }
    let (Ok(first), Ok(last)) = (begin.parse::<u64>(), end.parse::<u64>()) else {
        return Err(wrong("is neither of numbers nor of letters"));
    };
    if first > last {
        return Err(wrong("ends before it begins"));
    }
    let padded = begin.len() > 1 && begin.starts_with('0');
    if padded && begin.len() != end.len() {
        return Err(wrong("is padded with zeros, but its ends are not equally long"));
    }
    let width = if padded { begin.len() } else { 0 };
    // One more than allowed, so that the caller sees that it is too much.
    Ok((first..=last)
        .step_by(step)
        .take(MAX_HOSTS + 1)
        .map(|number| format!("{number:0width$}"))
        .collect())
}

fn letter(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let first = characters.next().filter(char::is_ascii_alphabetic)?;
    characters.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn read(text: &str) -> Result<Address, String> {
        parse(text, &Span::whole(&Source::new("hosts", text))).map_err(|error| error.message)
    }

    #[test]
    fn expands_ranges_and_ports() {
        let cases: &[(&str, &[&str], Option<u16>)] = &[
            ("web", &["web"], None),
            ("web:2222", &["web"], Some(2222)),
            ("w[1:3]", &["w1", "w2", "w3"], None),
            ("w[:2]", &["w0", "w1", "w2"], None),
            ("w[01:10:4].x:22", &["w01.x", "w05.x", "w09.x"], Some(22)),
            ("w[8:10]", &["w8", "w9", "w10"], None),
            ("[a:c]-[1:2]", &["a-1", "a-2", "b-1", "b-2", "c-1", "c-2"], None),
            ("10.0.0.[1:2]:22", &["10.0.0.1", "10.0.0.2"], Some(22)),
            ("fe80::1", &["fe80::1"], None),
            ("[fe80::1]:22", &["fe80::1"], Some(22)),
            ("[::1]", &["::1"], None),
        ];
        for (text, hosts, port) in cases {
            let address = read(text).unwrap();
            assert_eq!(
                (address.hosts, address.port),
                (hosts.iter().map(ToString::to_string).collect(), *port),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        let cases = [
            ("odd[x]", "`odd[x]` is not part of a host name"),
            ("w[1:2]]", "`]` is not part of a host name"),
            ("w[", "`w[` is not part of a host name"),
            ("all:", "a host's name cannot end with `:`"),
            ("web:http", "`http` is not a port"),
            ("web:0", "`0` is not a port"),
            ("w[1:]", "the range `[1:]` has no end"),
            ("w[3:1]", "the range `[3:1]` ends before it begins"),
            ("w[a:F]", "the range `[a:F]` ends before it begins"),
            (
                "w[01:100]",
                "the range `[01:100]` is padded with zeros, but its ends are not equally long",
            ),
            (
                "w[1:2:0]",
                "the range `[1:2:0]` has a step that is not a number above 0",
            ),
            ("w[1:2:3:4]", "the range `[1:2:3:4]` has too many parts"),
            ("w[1:x]", "the range `[1:x]` is neither of numbers nor of letters"),
            ("w[1:9999999999]", "this range stands for more than 100000 hosts"),
            (
                "w[1:99999][1:99999]",
                "this range stands for more than 100000 hosts",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err(), message, "{text}");
        }
    }
}
