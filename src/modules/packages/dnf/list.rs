//! `list`: packages and repositories, told and not touched.

use super::calls::Dnfs;
use super::{Args, Error};
use crate::system::System;
use crate::value::{Map, Value};

const FORMAT: &str = "--qf=%{name}\\t%{arch}\\t%{epoch}\\t%{release}\\t%{version}\\t%{reponame}\\n";

pub fn list(program: &Dnfs, args: &Args, what: &str, system: &dyn System) -> Result<Vec<Value>, Error> {
    if matches!(what, "repos" | "repositories") {
        let text = program.run(&program.call(args, &["-q", "repolist", "--enabled"], &[]), system)?;
        let ids = text.lines().filter_map(|line| line.split_whitespace().next());
        let repository = |id: &str| {
            let fields = [("repoid", id), ("state", "enabled")];
            Value::Map(
                fields
                    .map(|(key, value)| (key.to_owned(), value.into()))
                    .into_iter()
                    .collect(),
            )
        };
        return Ok(ids.filter(|id| *id != "repo").map(repository).collect());
    }
    let words: &[&str] = match what {
        "installed" => &["--installed"],
        "updates" | "upgrades" => &["--upgrades"],
        "available" => &["--available"],
        name => &[name],
    };
    let verb = [&["-q", "repoquery", FORMAT], words].concat();
    let text = program.run(&program.call(args, &verb, &[]), system)?;
    let mut packages: Vec<Value> = text.lines().filter_map(package).collect();
    if !words[0].starts_with("--") {
        let installed = [&["-q", "repoquery", FORMAT, "--installed"], words].concat();
        let text = program.run(&program.call(args, &installed, &[]), system)?;
        packages.splice(0..0, text.lines().filter_map(package));
    }
    Ok(packages)
}

fn package(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[name, arch, epoch, release, version, repo] = fields.as_slice() else {
        return None;
    };
    let state = if repo.starts_with('@') {
        "installed"
    } else {
        "available"
    };
    let nevra = if epoch == "0" {
        format!("{name}-{version}-{release}.{arch}")
    } else {
        format!("{name}-{epoch}:{version}-{release}.{arch}")
    };
    let pairs = [
        ("name", name),
        ("arch", arch),
        ("epoch", epoch),
        ("release", release),
        ("version", version),
        ("repo", repo),
        ("yumstate", state),
        ("nevra", &nevra),
        ("envra", &format!("{epoch}:{name}-{version}-{release}.{arch}")),
    ];
    let map: Map = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    Some(Value::Map(map))
}
