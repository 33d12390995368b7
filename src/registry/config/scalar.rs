//! Values as the configuration writes them: flags, sizes, durations in Go's notation, addresses.
//!
//! Each parser says in its error what it takes.

use std::path::PathBuf;
use std::time::Duration;

use super::Address;

pub fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
        "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a whole number above 0".to_owned()),
    }
}

/// `1m30s`, `500ms`, `2h`; a bare number is nanoseconds in Go, and refused here except for 0.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 0.001),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    /// A month: longer waits are typing slips.
    const LONGEST: f64 = 31.0 * 86_400.0;
    let refused = || "must be a duration such as 30s, 1m30s or 500ms".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refused)?;
        let number: f64 = rest[..digits].parse().map_err(|_| refused())?;
        rest = &rest[digits..];
        let (unit, factor) = UNITS
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .ok_or_else(refused)?;
        rest = &rest[unit.len()..];
        seconds += number * factor;
    }
    if text.is_empty() || seconds > LONGEST {
        return Err(refused());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A duration that is not zero.
pub fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        duration => Ok(duration),
    }
}

pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("must be a path".to_owned())
    } else {
        Ok(text.into())
    }
}

pub fn shown_path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

/// An absolute URL; nothing where the text is empty.
pub fn base_url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(text.to_owned())),
        _ => Err("must be a URL such as https://registry.example".to_owned()),
    }
}

/// A path that others lie under: begins with a slash and ends without.
pub fn prefix(text: &str) -> Result<String, String> {
    let prefix = text.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let sound =
        prefix.is_empty() || prefix.starts_with('/') && !prefix.contains("//") && prefix.chars().all(plain);
    if sound {
        Ok(prefix.to_owned())
    } else {
        Err("must be a path such as /registry/".to_owned())
    }
}

/// As Go has it: `:5000` is every address of this machine.
pub fn address(text: &str) -> Result<Address, String> {
    let refused = || "must be an address such as :5000, 127.0.0.1:5000 or [::1]:5000".to_owned();
    if text.starts_with('/') {
        return Ok(Address::Unix(text.into()));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
    let port = port.parse().map_err(|_| refused())?;
    match host {
        "" => Ok(Address::Any(port)),
        _ => match text.parse() {
            Ok(address) => Ok(Address::One(address)),
            Err(_) if is_host(host) => Ok(Address::Named(host.to_owned(), port)),
            Err(_) => Err(refused()),
        },
    }
}

/// Whether this can be the name of a host. Numbers alone are an address that is wrong.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.split('.').all(label) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

pub fn shown_duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

pub fn shown_address(address: &Address) -> String {
    match address {
        Address::Any(port) => format!(":{port}"),
        Address::One(address) => address.to_string(),
        Address::Named(host, port) => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1500us", Some(1)),
            ("1.5h", Some(5_400_000)),
            ("0", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("99999999h", None),
        ] {
            let found = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            (":5000", Some(":5000")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:443", Some("[::1]:443")),
            ("localhost:80", Some("localhost:80")),
            ("registry.example:80", Some("registry.example:80")),
            ("1.2.3:80", None),
            ("300.0.0.1:80", None),
            ("-x.example:80", None),
            ("a b:80", None),
            ("/run/registry.sock", Some("/run/registry.sock")),
            ("5000", None),
            (":99999", None),
        ] {
            let found = address(text).ok().map(|a| shown_address(&a));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
