//! `timezone`: the machine's time zone, and what its clock runs by. After community.general.timezone.
//!
//! timedated sets both where systemd runs. Elsewhere `/etc/localtime` becomes a link to the zone, the distribution's file names it,
//! and `hwclock` sets the clock; deliberately not the `UTC=` of init scripts that read no `/etc/adjtime`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::modules::files::steps::{Step, perform};
use crate::modules::machine::setup::os_family;
use crate::modules::machine::systemd_service::is_booted;
use crate::modules::machine::text_file::{self, TextFile};
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Command, FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

pub struct Timezone;

const ZONES: &str = "/usr/share/zoneinfo";
const LOCALTIME: &str = "/etc/localtime";
/// hwclock(8): its third line is `UTC` or `LOCAL`.
const ADJTIME: &str = "/etc/adjtime";

#[derive(Debug, Deserialize)]
pub struct Args {
    name: Option<String>,
    hwclock: Option<String>,
}

#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    calls: Vec<Command>,
    /// What later tasks of a check find: `name` and `hwclock`.
    set: Vec<(&'static str, String)>,
    outcome: Outcome,
}

impl Module for Timezone {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "timezone",
        summary: "set the time zone and what the hardware's clock runs by",
        args: &[
            Arg::str("name").doc("the zone: `Europe/Berlin`"),
            Arg::str("hwclock")
                .aliases(&["rtc"])
                .choices(&["local", "UTC"])
                .doc("what the hardware's clock runs by"),
        ],
        returns: &[Return::new("msg", "str", "the programs that were run").when("something changed")],
        example: "- timezone:\n    name: Europe/Berlin\n",
        free_form: None,
        rules: &[Rule::OneOf(&["hwclock", "name"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let mut change = Change {
            steps: Vec::new(),
            calls: Vec::new(),
            set: Vec::new(),
            outcome: Outcome::ok(),
        };
        let (mut before, mut after) = (Map::new(), Map::new());
        let systemd = is_booted(system)? && system.which("timedatectl").is_some();
        if let Some(name) = args.name {
            let zone = Path::new(ZONES).join(&name);
            if !is_file(&zone, system)? {
                return Err(Error::new(format!(
                    "Error message:\ngiven timezone \"{name}\" is not available"
                )));
            }
            let named = if systemd { None } else { Some(named(system)?) };
            let now = match (system.foreseen(Subject::Timezone, "name"), &named) {
                (Some(zone), _) => zone.to_string(),
                (None, None) => linked(system)?,
                (None, Some(named)) => named.zone(&name, system)?,
            };
            if now != name {
                match named {
                    None => change
                        .calls
                        .push(Command::new(["timedatectl", "set-timezone", &name])),
                    Some(named) => {
                        change.steps.push(named.step(&name));
                        change.steps.push(Step::Link {
                            target: zone,
                            link: LOCALTIME.into(),
                        });
                    }
                }
                change.set.push(("name", name.clone()));
            }
            before.insert("name".to_owned(), now.into());
            after.insert("name".to_owned(), name.into());
        }
        if let Some(clock) = args.hwclock {
            let now = match system.foreseen(Subject::Timezone, "hwclock") {
                Some(clock) => clock.to_string(),
                None => clock_of(system)?.to_owned(),
            };
            if now != clock {
                let local = clock == "local";
                change.calls.push(if systemd {
                    Command::new(["timedatectl", "set-local-rtc", if local { "yes" } else { "no" }])
                } else {
                    tool::require(system, "hwclock", "set the hardware's clock")?;
                    Command::new([
                        "hwclock",
                        "--systohc",
                        if local { "--localtime" } else { "--utc" },
                    ])
                });
                change.set.push(("hwclock", clock.clone()));
            }
            before.insert("hwclock".to_owned(), now.into());
            after.insert("hwclock".to_owned(), clock.into());
        }
        if change.set.is_empty() {
            return Ok(Plan::Same(Outcome::ok()));
        }
        let side = |map: Map| serde_json::to_string(&Value::Map(map)).unwrap_or_default();
        let predicted = Outcome::changed(true).with_diff(Diff {
            before: side(before),
            after: side(after),
            ..Diff::default()
        });
        let told: Vec<String> = change
            .calls
            .iter()
            .map(|call| format!("executed `{}`", call.argv.join(" ")))
            .collect();
        change.outcome = Outcome::changed(true);
        if !told.is_empty() {
            change.outcome = change.outcome.with("msg", told.join("\n"));
        }
        Ok(Plan::Change { change, predicted })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        perform(&change.steps, system)?;
        for call in &change.calls {
            tool::run(system, call)?;
        }
        Ok(change.outcome)
    }

    fn foresee(change: &Change) -> Foresight {
        if change.calls.is_empty() {
            return Foresight::Apply;
        }
        let state = |(name, is): &(&str, String)| Effect::State {
            of: Subject::Timezone,
            name: (*name).to_owned(),
            is: is.as_str().into(),
        };
        Foresight::Effects(change.set.iter().map(state).collect())
    }
}

fn is_file(path: &Path, system: &dyn System) -> Result<bool, Error> {
    let found = system.metadata(path, Follow::Yes)?;
    Ok(found.is_some_and(|found| found.kind == FileKind::File))
}

/// The zone that `/etc/localtime` is a link to; `n/a` where it is none.
fn linked(system: &dyn System) -> Result<String, Error> {
    match system.metadata(Path::new(LOCALTIME), Follow::No)? {
        Some(found) if found.kind == FileKind::Link => {}
        // localtime(5): without it, UTC.
        None => return Ok("UTC".to_owned()),
        Some(_) => return Ok("n/a".to_owned()),
    }
    let target = system.read_link(Path::new(LOCALTIME))?.display().to_string();
    Ok(match target.split_once("/zoneinfo/") {
        Some((_, zone)) if is_file(&Path::new(ZONES).join(zone), system)? => zone.to_owned(),
        _ => "n/a".to_owned(),
    })
}

/// The distribution's file that names the zone.
struct Named {
    file: TextFile,
    /// What the line begins with; empty where the name is the whole of it.
    key: &'static str,
}

fn named(system: &dyn System) -> Result<Named, Error> {
    let (path, key) = match os_family(system).as_str() {
        "RedHat" => ("/etc/sysconfig/clock", "ZONE="),
        "Suse" => ("/etc/sysconfig/clock", "TIMEZONE="),
        _ => ("/etc/timezone", ""),
    };
    let file = TextFile::open(path, system)?;
    Ok(Named { file, key })
}

impl Named {
    /// The zone as far as it is set in both places.
    fn zone(&self, wanted: &str, system: &dyn System) -> Result<String, Error> {
        let value = |line: &str| {
            let value = line.strip_prefix(self.key)?.trim().trim_matches('"');
            (!value.is_empty()).then(|| value.to_owned())
        };
        let named = self
            .file
            .before
            .lines()
            .find_map(value)
            .unwrap_or_else(|| "n/a".to_owned());
        if named != wanted {
            return Ok(named);
        }
        let is_link = system
            .metadata(Path::new(LOCALTIME), Follow::No)?
            .is_some_and(|found| found.kind == FileKind::Link);
        if is_link {
            return linked(system);
        }
        let zone = PathBuf::from(ZONES).join(wanted);
        let same = is_file(Path::new(LOCALTIME), system)?
            && system.read(Path::new(LOCALTIME))? == system.read(&zone)?;
        Ok(if same { named } else { "n/a".to_owned() })
    }

    fn step(&self, name: &str) -> Step {
        if self.key.is_empty() {
            return self.file.write(format!("{name}\n"), false);
        }
        let line = format!("{}\"{name}\"\n", self.key);
        let others = self
            .file
            .before
            .split_inclusive('\n')
            .filter(|line| !line.starts_with(self.key));
        self.file.write(
            std::iter::once(line.as_str()).chain(others).collect::<String>(),
            false,
        )
    }
}

fn clock_of(system: &dyn System) -> Result<&'static str, Error> {
    let path = Path::new(ADJTIME);
    if !is_file(path, system)? {
        return Ok("UTC");
    }
    let text = text_file::read(path, system)?;
    let local = text.lines().any(|line| line.trim() == "LOCAL");
    Ok(if local { "local" } else { "UTC" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn fake() -> Fake {
        let fake = Fake::new();
        fake.file("/usr/share/zoneinfo/Europe/Rome", "rome")
            .file("/usr/share/zoneinfo/Etc/UTC", "utc")
            .link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC");
        fake
    }

    #[test]
    fn timedated_is_asked_where_systemd_runs() {
        let fake = fake();
        fake.directory("/run/systemd/system")
            .program("/usr/bin/timedatectl");
        fake.answer("timedatectl set-timezone Europe/Rome", 0, "").answer(
            "timedatectl set-local-rtc yes",
            0,
            "",
        );
        let both = r#"{"name":"Europe/Rome","hwclock":"local"}"#;
        assert!(check::<Timezone>(&fake, both).changed);
        assert!(fake.ran().is_empty());
        assert_eq!(
            run::<Timezone>(&fake, both).message(),
            Some("executed `timedatectl set-timezone Europe/Rome`\nexecuted `timedatectl set-local-rtc yes`")
        );
        assert!(!run::<Timezone>(&fake, r#"{"name":"Etc/UTC","hwclock":"UTC"}"#).changed);
        assert_eq!(
            failure::<Timezone>(&fake, r#"{"name":"Mars/Olympus"}"#),
            "Error message:\ngiven timezone \"Mars/Olympus\" is not available"
        );
    }

    #[test]
    fn elsewhere_the_link_and_the_file_say_the_same() {
        let fake = fake();
        check_agrees::<Timezone>(&fake, r#"{"name":"Europe/Rome"}"#);
        assert_eq!(fake.text("/etc/timezone"), "Europe/Rome\n");
        assert_eq!(fake.text("/etc/localtime"), "rome");
        fake.file("/etc/os-release", "ID=suse\n")
            .file("/etc/sysconfig/clock", "A=1\nTIMEZONE=\"x\"\n");
        check_agrees::<Timezone>(&fake, r#"{"name":"Europe/Rome"}"#);
        assert_eq!(
            fake.text("/etc/sysconfig/clock"),
            "TIMEZONE=\"Europe/Rome\"\nA=1\n"
        );
    }
}
