//! Small things that programs on the target are asked for, or that configurations say: Python, capabilities,
//! names of initiators.

use std::path::Path;

use super::{ask, put, read};
use crate::system::System;
use crate::value::{Map, Value};

const PYTHON: &str = "/usr/bin/python3";

pub fn gather(system: &dyn System, facts: &mut Map) {
    if let Some(version) = python_version(system) {
        python(&version, facts);
    }
    if let Some(text) = ask(system, &["capsh", "--print"]) {
        capabilities(&text, facts);
    }
    let initiator = read(system, "/etc/iscsi/initiatorname.iscsi").unwrap_or_default();
    let name = initiator
        .lines()
        .find_map(|line| line.trim().strip_prefix("InitiatorName="));
    put(facts, "iscsi_iqn", name.unwrap_or_default());
    put(
        facts,
        "hostnqn",
        read(system, "/etc/nvme/hostnqn").unwrap_or_default(),
    );
    put(facts, "fibre_channel_wwn", ports(system));
}

/// `3.11`: the system's Python is a link to the program of its version.
fn python_version(system: &dyn System) -> Option<String> {
    let program = system.canonicalize(PYTHON.as_ref()).ok()?;
    let name = program.file_name()?.to_str()?;
    name.strip_prefix("python")
        .filter(|version| version.contains('.'))
        .map(str::to_owned)
}

fn python(version: &str, facts: &mut Map) {
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<i64>().unwrap_or_default());
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let numbers = Map::from_iter([
        ("major".to_owned(), Value::Int(major)),
        ("minor".to_owned(), Value::Int(minor)),
    ]);
    let mut fact = Map::new();
    put(&mut fact, "executable", PYTHON);
    put(&mut fact, "type", "cpython");
    put(&mut fact, "has_sslcontext", true);
    put(&mut fact, "version", numbers);
    put(
        &mut fact,
        "version_info",
        Value::List(vec![major.into(), minor.into()]),
    );
    put(facts, "python", fact);
    put(facts, "python_version", version);
}

/// What `capsh --print` says of the current set.
fn capabilities(text: &str, facts: &mut Map) {
    let Some(current) = text.lines().find_map(|line| line.strip_prefix("Current:")) else {
        return;
    };
    let current = current.trim();
    let names = current.split_once('=').map_or("", |(_, names)| names);
    let names: Vec<Value> = names.split(',').map(|name| Value::from(name.trim())).collect();
    let enforced = current != "=ep";
    put(
        facts,
        "system_capabilities_enforced",
        if enforced { "True" } else { "False" },
    );
    put(
        facts,
        "system_capabilities",
        Value::List(if enforced { names } else { Vec::new() }),
    );
}

/// The names of fibre channel ports, without `0x`.
fn ports(system: &dyn System) -> Vec<Value> {
    let folder = Path::new("/sys/class/fc_host");
    let hosts = system.read_dir(folder).unwrap_or_default();
    let names = hosts
        .iter()
        .filter_map(|host| read(system, folder.join(host).join("port_name")));
    names
        .map(|name| Value::from(name.trim_start_matches("0x")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn python_is_known_by_its_file() {
        let fake = Fake::new();
        fake.directory("/usr/bin");
        fake.file("/usr/bin/python3.11", "");
        fake.link(PYTHON, "python3.11");
        let mut facts = Map::new();
        gather(&fake, &mut facts);
        assert_eq!(facts["python_version"], "3.11".into());
        assert_eq!(
            facts["python"].get("version").unwrap().to_string(),
            "{'major': 3, 'minor': 11}"
        );
        assert_eq!(facts["iscsi_iqn"], "".into());
    }

    #[test]
    fn reads_capabilities() {
        let mut facts = Map::new();
        capabilities("Current: =ep\nBounding set =\n", &mut facts);
        assert_eq!(facts["system_capabilities_enforced"], "False".into());
        capabilities("Current: cap_chown,cap_kill=ep\n", &mut facts);
        assert_eq!(facts["system_capabilities_enforced"], "True".into());
    }
}
