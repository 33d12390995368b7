//! `published_ports` and `exposed_ports`: `[[address:]host:]container[/protocol]`, with ranges on both sides.

use serde_json::{Map as JsonMap, Value as Json, json};

use crate::modules::Error;
use crate::value::Value;

/// Bindings by container port.
pub fn published(ports: &[Value], default_address: Option<&str>) -> Result<JsonMap<String, Json>, Error> {
    let mut bindings: JsonMap<String, Json> = JsonMap::new();
    for port in ports {
        let text = port.to_string();
        let malformed = |why: &str| {
            Error::new(format!(
                "published_ports: `{text}` is not [[address:]host port:]container port[/protocol]: {why}"
            ))
        };
        let (rest, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        let (outer, inner) = rest.rsplit_once(':').unwrap_or(("", rest));
        let (address, host) = outer.rsplit_once(':').unwrap_or(("", outer));
        let address = match address.trim_matches(['[', ']']) {
            "" => default_address.unwrap_or("0.0.0.0").trim_matches(['[', ']']),
            given => given,
        };
        let inner = range(inner).ok_or_else(|| malformed("the container's port is no number"))?;
        let host = match host {
            "" => Vec::new(),
            host => range(host).ok_or_else(|| malformed("the host's port is no number"))?,
        };
        // Many ports of the host for one of the container: the engine picks one of them.
        let picked = match (host.as_slice(), inner.as_slice()) {
            ([first, .., last], [_]) => Some(format!("{first}-{last}")),
            _ => None,
        };
        if picked.is_none() && !host.is_empty() && host.len() != inner.len() {
            return Err(malformed("the two ranges are of different lengths"));
        }
        for (at, inner) in inner.iter().enumerate() {
            let host = picked
                .clone()
                .or_else(|| host.get(at).map(u16::to_string))
                .unwrap_or_default();
            let binding = json!({ "HostIp": address, "HostPort": host });
            let list = bindings.entry(format!("{inner}/{protocol}"));
            if let Json::Array(list) = list.or_insert_with(|| json!([])) {
                list.push(binding);
            }
        }
    }
    Ok(bindings)
}

/// Ports with their protocols, ranges taken apart.
pub fn exposed(ports: &[Value]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for port in ports {
        let text = port.to_string();
        let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        let ports = range(ports)
            .ok_or_else(|| Error::new(format!("exposed_ports: `{text}` is not port[-port][/protocol]")))?;
        all.extend(ports.iter().map(|port| format!("{port}/{protocol}")));
    }
    Ok(all)
}

fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports: Vec<u16> = (first.parse().ok()?..=last.parse().ok()?).collect();
    (!ports.is_empty()).then_some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(ports: &[&str], default: Option<&str>) -> String {
        let ports: Vec<Value> = ports.iter().map(|port| Value::from(*port)).collect();
        match published(&ports, default) {
            Ok(bindings) => Json::Object(bindings).to_string(),
            Err(error) => error.message,
        }
    }

    #[test]
    fn all_forms() {
        assert_eq!(
            bindings(&["127.0.0.1:8080:80", "53:53/udp", "9"], None),
            r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],"53/udp":[{"HostIp":"0.0.0.0","HostPort":"53"}],"9/tcp":[{"HostIp":"0.0.0.0","HostPort":""}]}"#
        );
        assert_eq!(
            bindings(&["[::1]:8000-8001:80-81"], None),
            r#"{"80/tcp":[{"HostIp":"::1","HostPort":"8000"}],"81/tcp":[{"HostIp":"::1","HostPort":"8001"}]}"#
        );
        assert_eq!(
            bindings(&["8000-8010:80"], Some("")),
            r#"{"80/tcp":[{"HostIp":"","HostPort":"8000-8010"}]}"#
        );
        assert!(bindings(&["80-81:1-3"], None).contains("different lengths"));
        assert!(bindings(&["a:b"], None).contains("no number"));
        assert_eq!(exposed(&["7-8/udp".into()]).unwrap(), ["7/udp", "8/udp"]);
    }
}
