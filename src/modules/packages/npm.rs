//! `npm`: packages of Node.js, in a project's folder or of the whole system. After community.general.npm.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::foreseen::{self, Foreseen, Packages};
use crate::modules::files::file::missing_folders;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Npm;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    name: Option<String>,
    path: Option<String>,
    version: Option<String>,
    global: bool,
    production: bool,
    executable: Option<String>,
    registry: Option<String>,
    state: String,
    ignore_scripts: bool,
    unsafe_perm: bool,
    ci: bool,
    no_optional: bool,
    no_bin_links: bool,
    force: bool,
}

#[derive(Debug)]
pub struct Change {
    folders: Vec<PathBuf>,
    calls: Vec<Command>,
    packages: Packages,
}

impl Module for Npm {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "npm",
        summary: "install and remove packages of Node.js",
        args: &[
            Arg::str("name").doc("the package; without one, what `package.json` asks for"),
            Arg::path("path").doc("the project's folder; made where it is missing"),
            Arg::str("version").doc("the version of `name`"),
            Arg::bool("global").default("no").doc("for the whole system"),
            Arg::bool("production")
                .default("no")
                .doc("without what is needed for development"),
            Arg::path("executable").doc("the npm to use, with words of its own if need be"),
            Arg::str("registry").doc("where packages are"),
            Arg::str("state")
                .choices(&["present", "absent", "latest"])
                .default("present")
                .doc("what they are to be"),
            Arg::bool("ignore_scripts")
                .default("no")
                .doc("run no scripts of packages"),
            Arg::bool("unsafe_perm")
                .default("no")
                .doc("run packages' scripts as root"),
            Arg::bool("ci")
                .default("no")
                .doc("install what the lock file says, and nothing else"),
            Arg::bool("no_optional")
                .default("no")
                .doc("leave out optional dependencies"),
            Arg::bool("no_bin_links")
                .default("no")
                .doc("make no links to packages' programs"),
            Arg::bool("force").default("no").doc("call npm with `--force`"),
        ],
        returns: &[
            Return::new("cmd", "list of list of str", "npm's calls").when("changed"),
            Return::new("stdout", "str", "what npm said").when("changed"),
        ],
        example: "\
- npm: {name: pm2, version: 5.3.0, global: true}

- npm: {path: /srv/app, ci: true, production: true}
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if args.state == "absent" && args.name.is_none() {
            return Err(Error::new(
                "state is absent but all of the following are missing: name",
            ));
        }
        if args.path.is_none() && !args.global {
            return Err(Error::new("path must be specified when not using global"));
        }
        let npm = Tool::new(&args, system)?;
        let mut packages = Packages::default();
        let mut verbs: Vec<&[&str]> = Vec::new();
        let mut foreseen_name = None;
        if let Some(name) = &args.name {
            let name = npm.foreseen_name(name);
            if args.state == "absent" {
                packages.remove(name.clone());
            } else {
                packages.install(name.clone(), args.version.as_deref().unwrap_or_default());
            }
            foreseen_name = Some(name);
        }
        let foreseen = foreseen_name.and_then(|name| foreseen::of(&name, system));
        if args.ci {
            verbs.push(&["ci"]);
        } else {
            let (installed, mut missing) = npm.list(system)?;
            let mut there = args.name.as_ref().is_some_and(|name| installed.contains(name));
            if let Some(state) = foreseen {
                there = state != Foreseen::Removed;
                missing = !there;
            }
            match args.state.as_str() {
                "absent" if there => verbs.push(&["uninstall"]),
                "absent" => {}
                state => {
                    if missing {
                        verbs.push(&["install"]);
                    }
                    if state == "latest" && npm.has_outdated(system)? {
                        verbs.push(&["update"]);
                    }
                }
            }
        }
        if verbs.is_empty() {
            return Ok(Plan::Same(Outcome::ok()));
        }
        let folders = match &npm.folder {
            Some(folder) => missing_folders(folder, system)?,
            None => Vec::new(),
        };
        let change = Change {
            folders,
            calls: verbs.iter().map(|verb| npm.call(verb, true)).collect(),
            packages,
        };
        Ok(Plan::Change {
            predicted: change.told(),
            change,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        for folder in &change.folders {
            system.create_dir(folder, 0o777 & !system.umask())?;
        }
        let mut stdout = String::new();
        for call in &change.calls {
            stdout += &tool::text_of(system, call)?;
        }
        Ok(change.told().with("stdout", stdout))
    }

    fn foresee(change: &Change) -> Foresight {
        change.packages.foresight()
    }
}

impl Change {
    fn told(&self) -> Outcome {
        let calls: Vec<Value> = self.calls.iter().map(|call| call.argv.clone().into()).collect();
        Outcome::changed(true).with("cmd", calls)
    }
}

/// How npm is called for this task.
struct Tool<'a> {
    args: &'a Args,
    program: Vec<String>,
    folder: Option<PathBuf>,
    folder_exists: bool,
}

impl<'a> Tool<'a> {
    fn new(args: &'a Args, system: &dyn System) -> Result<Self, Error> {
        let program: Vec<String> = match &args.executable {
            Some(words) => words.split(' ').map(str::to_owned).collect(),
            None => vec!["npm".to_owned()],
        };
        tool::require(system, &program[0], "install packages of Node.js")?;
        let folder = args
            .path
            .as_ref()
            .map(|text| path::expand(text, system))
            .transpose()?;
        let kind = match &folder {
            Some(folder) => system
                .metadata(folder, Follow::Yes)?
                .map(|metadata| metadata.kind),
            None => None,
        };
        if let (Some(folder), Some(kind)) = (&folder, kind)
            && kind != FileKind::Directory
        {
            return Err(Error::new(format!(
                "path {} is not a directory",
                folder.display()
            )));
        }
        Ok(Self {
            args,
            program,
            folder_exists: kind.is_some(),
            folder,
        })
    }

    /// The package as npm takes it.
    fn word(&self) -> Option<String> {
        let name = self.args.name.as_ref()?;
        Some(match &self.args.version {
            Some(version) if self.args.state != "absent" => format!("{name}@{version}"),
            _ => name.clone(),
        })
    }

    fn foreseen_name(&self, name: &str) -> String {
        let place = self.folder.as_deref().unwrap_or(Path::new("global"));
        format!("npm {} {name}", place.display())
    }

    fn call(&self, verb: &[&str], named: bool) -> Command {
        let args = self.args;
        let mut argv = self.program.clone();
        argv.extend(verb.iter().map(|word| (*word).to_owned()));
        // What is only for development is not missing either.
        let production = args.production && ["install", "update", "ci", "list"].contains(&verb[0]);
        let flags = [
            (args.global, "--global"),
            (production, "--production"),
            (args.ignore_scripts, "--ignore-scripts"),
            (args.unsafe_perm, "--unsafe-perm"),
        ];
        argv.extend(
            flags
                .into_iter()
                .filter(|flag| flag.0)
                .map(|flag| flag.1.to_owned()),
        );
        argv.extend(self.word().filter(|_| named));
        if let Some(registry) = &args.registry {
            argv.extend(["--registry".to_owned(), registry.clone()]);
        }
        let flags = [
            (args.no_optional, "--no-optional"),
            (args.no_bin_links, "--no-bin-links"),
            (args.force, "--force"),
        ];
        argv.extend(
            flags
                .into_iter()
                .filter(|flag| flag.0)
                .map(|flag| flag.1.to_owned()),
        );
        let mut command = Command::new(argv);
        command.directory.clone_from(&self.folder);
        command
    }

    /// What is installed (`name` and `name@version`), and whether something is missing.
    fn list(&self, system: &dyn System) -> Result<(Vec<String>, bool), Error> {
        if self.folder.is_some() && !self.folder_exists {
            return Ok((Vec::new(), true));
        }
        // Its exit status says that something is missing, too.
        let call = self.call(&["list", "--json", "--long"], false);
        let output = system.run(&call)?;
        let text = output.stdout_text();
        let json = if text.trim().is_empty() { "{}" } else { &text };
        let tree: Map = serde_json::from_str(json).map_err(|error| {
            let failure = tool::failure(&call, &output);
            Error {
                message: format!(
                    "Failed to parse NPM output with error {error}: {}",
                    tool::said(&output)
                ),
                ..failure
            }
        })?;
        let Some(Value::Map(dependencies)) = tree.get("dependencies") else {
            return Ok((Vec::new(), true));
        };
        let (mut installed, mut missing) = (Vec::new(), false);
        for (name, properties) in dependencies {
            let property = |key: &str| match properties {
                Value::Map(properties) => properties.get(key).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            };
            // `invalid` is a text in newer versions: what it should be.
            let is_set =
                |value: Value| !matches!(value, Value::Null | Value::Bool(false)) && value != Value::from("");
            if is_set(property("missing")) || is_set(property("invalid")) {
                missing = true;
                continue;
            }
            installed.push(name.clone());
            if let Value::Str(version) = property("version") {
                installed.push(format!("{name}@{version}"));
            }
        }
        missing |= self.word().is_some_and(|word| !installed.contains(&word));
        Ok((installed, missing))
    }

    fn has_outdated(&self, system: &dyn System) -> Result<bool, Error> {
        if self.folder.is_some() && !self.folder_exists {
            return Ok(false);
        }
        let output = system.run(&self.call(&["outdated"], true))?;
        Ok(output.stdout_text().lines().any(|line| !line.trim().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check, failure, run};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    /// left-pad 1.3.0 is installed, and there is a higher one.
    fn target() -> Fake {
        let fake = Fake::new();
        fake.program("/usr/bin/npm")
            .directory("/srv/app")
            .answer_with(|_, command| {
                let text = match command.argv[1].as_str() {
                    "list" => r#"{"dependencies":{"left-pad":{"version":"1.3.0"}}}"#,
                    "outdated" => "Package   Current  Wanted  Latest\nleft-pad  1.3.0  1.4.0  1.4.0\n",
                    _ => "",
                };
                Some(CommandOutput {
                    stdout: text.into(),
                    ..CommandOutput::default()
                })
            });
        fake
    }

    #[test]
    fn npm_is_called_as_asked() {
        for (arguments, call) in [
            (
                r#""name":"left-pad","version":"1.2.0","ignore_scripts":true"#,
                "npm install --ignore-scripts left-pad@1.2.0",
            ),
            (r#""name":"left-pad","state":"absent""#, "npm uninstall left-pad"),
            (
                r#""state":"latest","registry":"http://r/""#,
                "npm update --registry http://r/",
            ),
            (r#""ci":true,"production":true"#, "npm ci --production"),
            (r#""production":true,"name":"x""#, "npm install --production x"),
            (r#""name":"pm2","global":true"#, "npm install --global pm2"),
        ] {
            let fake = target();
            let arguments = format!(r#"{{"path":"/srv/app",{arguments}}}"#);
            assert!(check::<Npm>(&fake, &arguments).changed);
            assert!(!fake.ran().contains(&call.to_owned()), "a check installs nothing");
            assert!(run::<Npm>(&fake, &arguments).changed);
            assert_eq!(fake.ran().last().unwrap(), call);
        }
        let fake = target();
        assert!(
            !run::<Npm>(
                &fake,
                r#"{"path":"/srv/app","name":"left-pad","version":"1.3.0"}"#
            )
            .changed
        );
        assert!(!run::<Npm>(&fake, r#"{"path":"/srv/app","name":"x","state":"absent"}"#).changed);
        assert!(!run::<Npm>(&fake, r#"{"path":"/srv/app","production":true}"#).changed);
        assert_eq!(fake.ran().last().unwrap(), "npm list --json --long --production");
        run::<Npm>(&fake, r#"{"path":"/srv/new/app","name":"x"}"#);
        assert!(fake.listing().contains("/srv/new/app 0755"));
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        let fake = target();
        assert_eq!(
            failure::<Npm>(&fake, r#"{"name":"x"}"#),
            "path must be specified when not using global"
        );
        fake.file("/srv/file", "");
        assert_eq!(
            failure::<Npm>(&fake, r#"{"path":"/srv/file"}"#),
            "path /srv/file is not a directory"
        );
        assert!(failure::<Npm>(&Fake::new(), r#"{"global":true}"#).starts_with("`npm` is not on the target"));
    }
}
