//! `Warning: 299 - "text"`: what containerd and oras show to the people in front of them.
//!
//! distribution-spec's form: code 299, no agent, no date, and a limit for all of an answer's warnings together.

use hyper::Response;
use hyper::header::{self, HeaderValue};

use super::body::Body;

/// Bytes of warnings in one answer.
const LIMIT: usize = 4096;
const BEFORE: &str = "299 - \"";

/// Adds a warning, cut off where the answer has no room for more of it.
pub fn add(response: &mut Response<Body>, text: &str) {
    let headers = response.headers_mut();
    let spent: usize = headers
        .get_all(header::WARNING)
        .iter()
        .map(HeaderValue::len)
        .sum();
    let mut value = BEFORE.to_owned();
    for character in text.chars() {
        let escaped = matches!(character, '"' | '\\');
        // With the quote at the end.
        if spent + value.len() + usize::from(escaped) + 2 > LIMIT {
            break;
        }
        if escaped {
            value.push('\\');
        }
        // A header holds one line of ASCII.
        value.push(match character {
            ' '..='~' => character,
            _ if character.is_whitespace() || character.is_control() => ' ',
            _ => '?',
        });
    }
    if value.len() > BEFORE.len() {
        value.push('"');
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(header::WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    #[test]
    fn item_4_the_form() {
        let mut response = super::super::respond::empty(StatusCode::OK);
        add(&mut response, "say \"so\"\\ twice:\r\nX: é");
        add(&mut response, "");
        let values: Vec<_> = response.headers().get_all(header::WARNING).iter().collect();
        assert_eq!(values, [r#"299 - "say \"so\"\\ twice:  X: ?""#]);
    }

    #[test]
    fn item_4_all_of_an_answer_s_warnings_have_4096_bytes() {
        let mut response = super::super::respond::empty(StatusCode::OK);
        for text in ["a".repeat(1000), "\"".repeat(5000), "b".repeat(10)] {
            add(&mut response, &text);
            let values: Vec<_> = response.headers().get_all(header::WARNING).iter().collect();
            let total: usize = values.iter().map(|value| value.len()).sum();
            assert!(total <= LIMIT, "{total}");
            assert!(values.iter().all(|value| value.as_bytes().ends_with(b"\"")));
        }
        assert_eq!(response.headers().get_all(header::WARNING).iter().count(), 2);
    }
}
