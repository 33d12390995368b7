//! `user`: accounts of the target, by `useradd` and its kin. After ansible.builtin.user.
//!
//! `password` is a hash, as in `/etc/shadow`; it goes to `chpasswd -e` by standard input, where no list of
//! processes shows it. Deliberately no `local`, no login classes, no `authorization`, no generation of SSH
//! keys (use `command: ssh-keygen` with `creates`), and no `busybox` tools.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Arg, Error, Module, Plan, Rule, Spec, tool};
use crate::system::{self, Command, Follow, System};
use crate::wire::message::{Outcome, Secret};

pub struct User;

const SHADOW: &str = "/etc/shadow";
const SECONDS_PER_DAY: f64 = 86_400.0;

#[derive(Debug, Clone, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    name: String,
    uid: Option<u32>,
    non_unique: bool,
    group: Option<String>,
    groups: Option<Vec<String>>,
    append: bool,
    shell: Option<String>,
    home: Option<String>,
    create_home: bool,
    move_home: bool,
    skeleton: Option<String>,
    umask: Option<String>,
    system: bool,
    comment: Option<String>,
    password: Option<Secret>,
    update_password: String,
    password_lock: Option<bool>,
    expires: Option<f64>,
    state: String,
    remove: bool,
    force: bool,
}

/// The programs to run, in order.
#[derive(Debug)]
pub struct Change {
    name: String,
    calls: Vec<Command>,
    outcome: Outcome,
}

impl Module for User {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "user",
        summary: "Keep an account",
        args: &[
            Arg::str("name").aliases(&["user"]).required().doc("The account."),
            Arg::int("uid").doc("Its number."),
            Arg::bool("non_unique")
                .default("no")
                .doc("Allow a number that another account has."),
            Arg::str("group").doc("Primary group."),
            Arg::strings("groups").doc("Further groups; all of them, unless `append`. Empty: none."),
            Arg::bool("append").default("no").doc("Leave other groups alone."),
            Arg::path("shell").doc("Login shell."),
            Arg::path("home").doc("Home folder."),
            Arg::bool("create_home")
                .aliases(&["createhome"])
                .default("yes")
                .doc("Make the home folder of a new account."),
            Arg::bool("move_home")
                .default("no")
                .doc("Move the folder when `home` changes."),
            Arg::path("skeleton").doc("Folder to fill a new home from."),
            Arg::str("umask").doc("For a new home."),
            Arg::bool("system")
                .default("no")
                .doc("A number from the range for services, at creation."),
            Arg::str("comment").doc("The name of the person."),
            Arg::str("password").secret().doc("Hash of the password."),
            Arg::str("update_password")
                .choices(&["always", "on_create"])
                .default("always")
                .doc("When `password` is set."),
            Arg::bool("password_lock").doc("Whether the password is locked."),
            Arg::float("expires").doc("When the account ends, in seconds since 1970; negative: never."),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("Whether it is there."),
            Arg::bool("remove")
                .default("no")
                .doc("Remove home and mail with the account."),
            Arg::bool("force")
                .default("no")
                .doc("Remove an account that is logged in."),
        ],
        free_form: None,
        rules: &[Rule::If("append", "True", &["groups"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let users = system.users()?;
        let current = users.iter().find(|user| user.name == args.name);
        let state = State::read(&args, current, system)?;
        let calls = match (args.state.as_str(), current) {
            ("absent", None) => Vec::new(),
            ("absent", Some(_)) => vec![deletion(&args)],
            (_, None) => creation(&args, &state, system)?,
            (_, Some(user)) => modification(&args, user, &state, system)?,
        };
        for call in &calls {
            if let Some(program) = call.argv.first() {
                tool::require(system, program, "manage accounts")?;
            }
        }
        let mut outcome = Outcome::changed(!calls.is_empty())
            .with("name", args.name.as_str())
            .with("state", args.state.as_str());
        if args.state == "absent" {
            outcome = outcome.with("force", args.force).with("remove", args.remove);
        }
        if args.password.is_some() {
            outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
        }
        if let Some(groups) = &args.groups {
            outcome = outcome
                .with("groups", groups.join(","))
                .with("append", args.append);
        }
        if calls.is_empty() {
            return Ok(Plan::Same(describe(outcome, current)));
        }
        let predicted = describe(outcome.clone(), current.filter(|_| args.state == "present"));
        Ok(Plan::Change {
            change: Change {
                name: args.name,
                calls,
                outcome,
            },
            predicted,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        for call in &change.calls {
            tool::run(system, call)?;
        }
        let users = system.users()?;
        let user = users.iter().find(|user| user.name == change.name);
        Ok(describe(change.outcome, user))
    }
}

fn describe(outcome: Outcome, user: Option<&system::User>) -> Outcome {
    match user {
        None => outcome,
        Some(user) => outcome
            .with("uid", user.uid)
            .with("group", user.gid)
            .with("home", user.home.display().to_string())
            .with("shell", user.shell.as_str())
            .with("comment", user.comment.as_str()),
    }
}

/// What is known of the account beside its line in `/etc/passwd`.
#[derive(Debug, Default)]
struct State {
    groups: Vec<system::Group>,
    /// Password field and day of expiry, as in `/etc/shadow`.
    password: String,
    expires: Option<i64>,
}

impl State {
    fn read(args: &Args, user: Option<&system::User>, system: &dyn System) -> Result<Self, Error> {
        let mut state = Self {
            groups: system.groups()?,
            ..Self::default()
        };
        let shadow_matters =
            args.password.is_some() || args.password_lock.is_some() || args.expires.is_some();
        if user.is_none() || !shadow_matters {
            return Ok(state);
        }
        let text = system.read(SHADOW.as_ref())?;
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == args.name);
        if let Some(fields) = line {
            fields
                .get(1)
                .copied()
                .unwrap_or_default()
                .clone_into(&mut state.password);
            state.expires = fields.get(7).and_then(|days| days.parse().ok());
        }
        Ok(state)
    }

    /// The number of a group that is given by name or number.
    fn gid(&self, group: &str) -> Result<u32, Error> {
        let found = self
            .groups
            .iter()
            .find(|known| known.name == group || known.gid.to_string() == group);
        found
            .map(|group| group.gid)
            .ok_or_else(|| Error::new(format!("Group {group} does not exist")))
    }

    /// The further groups that the account is in, by name.
    fn memberships(&self, user: &system::User) -> Vec<&str> {
        self.groups
            .iter()
            .filter(|group| group.members.contains(&user.name))
            .map(|group| group.name.as_str())
            .collect()
    }

    /// Names of those groups; each has to be there.
    fn names<'a>(&'a self, groups: &'a [String]) -> Result<Vec<&'a str>, Error> {
        let mut names = Vec::new();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let gid = self.gid(group)?;
            let known = self
                .groups
                .iter()
                .find(|known| known.name == *group || known.gid == gid);
            names.extend(known.map(|known| known.name.as_str()));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

fn deletion(args: &Args) -> Command {
    let mut argv = vec!["userdel".to_owned()];
    argv.extend(args.force.then(|| "-f".to_owned()));
    argv.extend(args.remove.then(|| "-r".to_owned()));
    argv.push(args.name.clone());
    Command::new(argv)
}

fn creation(args: &Args, state: &State, system: &dyn System) -> Result<Vec<Command>, Error> {
    let mut argv = Argv::new("useradd");
    argv.uid(args);
    if let Some(group) = &args.group {
        argv.option("-g", state.gid(group)?.to_string());
    } else if state.groups.iter().any(|group| group.name == args.name) {
        // Else useradd refuses: its group of the same name is there already.
        argv.option("-g", args.name.clone());
    }
    if let Some(groups) = &args.groups {
        let names = state.names(groups)?;
        if !names.is_empty() {
            argv.option("-G", names.join(","));
        }
    }
    argv.some("-c", args.comment.clone());
    argv.some("-d", args.home.clone());
    argv.some("-s", args.shell.clone());
    argv.some("-e", args.expires.map(date));
    if args.create_home {
        argv.flag("-m");
        argv.some("-k", args.skeleton.clone());
        argv.some("-K", args.umask.as_ref().map(|umask| format!("UMASK={umask}")));
        require_parent(args, system)?;
    } else {
        argv.flag("-M");
    }
    if args.system {
        argv.flag("-r");
    }
    let mut calls = vec![argv.named(args)];
    calls.extend(args.password.as_ref().map(|hash| set_password(args, hash)));
    if args.password_lock == Some(true) {
        calls.push(Command::new(["usermod", "-L", &args.name]));
    }
    Ok(calls)
}

/// `useradd -m` makes the home folder and nothing above it; saying so beats its own message.
fn require_parent(args: &Args, system: &dyn System) -> Result<(), Error> {
    let Some(parent) = args
        .home
        .as_ref()
        .and_then(|home| PathBuf::from(home).parent().map(PathBuf::from))
    else {
        return Ok(());
    };
    if system.metadata(&parent, Follow::Yes)?.is_none() {
        return Err(Error::new(format!(
            "cannot create home of {}: {} does not exist; make it with a `file` task first, or give `create_home: false`",
            args.name,
            parent.display()
        )));
    }
    Ok(())
}

fn modification(
    args: &Args,
    user: &system::User,
    state: &State,
    system: &dyn System,
) -> Result<Vec<Command>, Error> {
    let mut argv = Argv::new("usermod");
    if args.uid.is_some_and(|uid| uid != user.uid) {
        argv.uid(args);
    }
    if let Some(group) = &args.group {
        let gid = state.gid(group)?;
        if gid != user.gid {
            argv.option("-g", gid.to_string());
        }
    }
    if let Some(groups) = &args.groups {
        let mut wanted = state.names(groups)?;
        let mut present = state.memberships(user);
        present.sort_unstable();
        // Being in one's primary group besides is neither wanted nor harmful.
        let primary = |name: &&str| state.gid(name).is_ok_and(|gid| gid == user.gid);
        let missing = wanted
            .iter()
            .any(|name| !present.contains(name) && !primary(name));
        let surplus = !args.append && present.iter().any(|name| !wanted.contains(name));
        if missing || surplus {
            if args.append {
                wanted.retain(|name| !present.contains(name));
                argv.flag("-a");
            }
            argv.option("-G", wanted.join(","));
        }
    }
    argv.some(
        "-c",
        args.comment.clone().filter(|comment| *comment != user.comment),
    );
    if let Some(home) = args.home.as_ref().filter(|home| PathBuf::from(home) != user.home) {
        argv.option("-d", home.clone());
        if args.move_home {
            argv.flag("-m");
        }
    }
    argv.some("-s", args.shell.clone().filter(|shell| *shell != user.shell));
    if let Some(expires) = args.expires {
        let wanted = (expires >= 0.0).then(|| days(expires));
        if wanted != state.expires {
            argv.option("-e", date(expires));
        }
    }
    let mut calls = Vec::new();
    if !argv.is_bare() {
        calls.push(argv.named(args));
    }
    let is_locked = state.password.starts_with('!');
    let hash = state.password.trim_start_matches('!');
    if let Some(wanted) = &args.password
        && args.update_password == "always"
        && wanted.reveal().trim_start_matches('!') != hash
    {
        calls.push(set_password(args, wanted));
    }
    match args.password_lock {
        Some(true) if !is_locked => calls.push(Command::new(["usermod", "-L", &args.name])),
        Some(false) if is_locked => calls.push(Command::new(["usermod", "-U", &args.name])),
        _ => {}
    }
    if args.create_home
        && args
            .home
            .as_deref()
            .is_none_or(|home| Path::new(home) == user.home)
    {
        calls.extend(missing_home(args, user, system)?);
    }
    Ok(calls)
}

/// An account that is there and whose home is not gets one, as in Ansible.
fn missing_home(args: &Args, user: &system::User, system: &dyn System) -> Result<Option<Command>, Error> {
    if user.home == Path::new("/nonexistent") || system.metadata(&user.home, Follow::Yes)?.is_some() {
        return Ok(None);
    }
    let script = r#"cp -R -- "$3" "$0" && chown -R "$1:$2" "$0" && chmod 0700 "$0""#;
    let home = user.home.display().to_string();
    let skeleton = args.skeleton.clone().unwrap_or_else(|| "/etc/skel".to_owned());
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    Ok(Some(Command::new([
        "sh", "-c", script, &home, &uid, &gid, &skeleton,
    ])))
}

fn set_password(args: &Args, hash: &Secret) -> Command {
    let mut command = Command::new(["chpasswd", "-e"]);
    command.stdin = format!("{}:{}\n", args.name, hash.reveal()).into_bytes();
    command
}

#[expect(clippy::cast_possible_truncation, reason = "days since 1970 fit")]
fn days(seconds: f64) -> i64 {
    (seconds / SECONDS_PER_DAY).floor() as i64
}

/// `usermod -e`'s date; an empty one is never.
fn date(seconds: f64) -> String {
    if seconds < 0.0 {
        return String::new();
    }
    jiff::Timestamp::from_second(days(seconds) * 86_400)
        .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d").to_string())
}

/// A command line that grows.
struct Argv(Vec<String>);

impl Argv {
    fn new(program: &str) -> Self {
        Self(vec![program.to_owned()])
    }

    fn flag(&mut self, flag: &str) {
        self.0.push(flag.to_owned());
    }

    fn option(&mut self, flag: &str, value: String) {
        self.0.extend([flag.to_owned(), value]);
    }

    fn some(&mut self, flag: &str, value: Option<String>) {
        if let Some(value) = value {
            self.option(flag, value);
        }
    }

    fn uid(&mut self, args: &Args) {
        self.some("-u", args.uid.map(|uid| uid.to_string()));
        if args.uid.is_some() && args.non_unique {
            self.flag("-o");
        }
    }

    fn is_bare(&self) -> bool {
        self.0.len() == 1
    }

    fn named(mut self, args: &Args) -> Command {
        self.0.push(args.name.clone());
        Command::new(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::{AnyModule, Mode, entry};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn scene() -> Fake {
        let fake = Fake::new();
        for program in ["useradd", "usermod", "userdel", "chpasswd"] {
            fake.program(&format!("/usr/sbin/{program}"));
        }
        fake.directory("/home/ann").directory("/srv");
        fake.file(SHADOW, "root:*:1:0:99999:7:::\nann:$6$x:1:0:99999:7:::\n");
        fake.groups.borrow_mut().push(system::Group {
            name: "docker".to_owned(),
            gid: 900,
            members: vec!["ann".to_owned()],
        });
        fake.answer_with(|_, _| Some(CommandOutput::default()));
        fake
    }

    fn ran(arguments: &str) -> Vec<String> {
        let fake = scene();
        let arguments = User::SPEC
            .resolve(&serde_json::from_str(arguments).unwrap())
            .unwrap();
        let outcome = entry::<User>().run(&arguments, Mode::default(), &fake);
        assert!(!outcome.failed, "{outcome:?}");
        assert_eq!(outcome.changed, !fake.ran().is_empty());
        fake.ran()
    }

    #[test]
    fn creates_with_what_is_given() {
        assert_eq!(
            ran(
                r#"{"name":"registry","system":true,"shell":"/usr/sbin/nologin","home":"/srv/registry",
                 "create_home":false,"groups":"docker"}"#
            ),
            ["useradd -G docker -d /srv/registry -s /usr/sbin/nologin -M -r registry"]
        );
        assert_eq!(
            ran(r#"{"name":"bob","uid":7,"password":"$6$y"}"#),
            ["useradd -u 7 -m bob", "chpasswd -e"]
        );
    }

    #[test]
    fn changes_only_what_differs() {
        assert!(ran(r#"{"name":"ann","uid":1000,"shell":"/bin/sh","groups":["docker"]}"#).is_empty());
        assert!(ran(r#"{"name":"ann","password":"$6$x","password_lock":false,"expires":-1}"#).is_empty());
        assert_eq!(ran(r#"{"name":"ann","groups":[]}"#), ["usermod -G  ann"]);
        assert_eq!(
            ran(r#"{"name":"ann","groups":["root"],"append":true}"#),
            ["usermod -a -G root ann"]
        );
        assert_eq!(ran(r#"{"name":"ann","password":"$6$z"}"#), ["chpasswd -e"]);
        assert_eq!(
            ran(r#"{"name":"ann","expires":86400}"#),
            ["usermod -e 1970-01-02 ann"]
        );
    }

    #[test]
    fn removes() {
        assert_eq!(
            ran(r#"{"name":"ann","state":"absent","remove":true}"#),
            ["userdel -r ann"]
        );
        assert!(ran(r#"{"name":"bob","state":"absent"}"#).is_empty());
    }
}
