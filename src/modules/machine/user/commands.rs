//! The programs that make, change and remove accounts; with `local`, those of libuser, which write the local files whatever other
//! sources of accounts there are.

#![expect(clippy::similar_names, reason = "`args` are the task's, `argv` a program's")]

use super::Args;
use super::state::State;
use crate::modules::Error;
use crate::system::{self, Command};

const SECONDS_PER_DAY: f64 = 86_400.0;

pub(super) fn deletion(args: &Args) -> Command {
    let mut argv = Argv::new(if args.local { "luserdel" } else { "userdel" });
    if args.force && !args.local {
        argv.flag("-f");
    }
    if args.remove {
        argv.flag("-r");
    }
    argv.named(args)
}

pub(super) fn creation(args: &Args, state: &State) -> Result<Vec<Command>, Error> {
    let mut argv = Argv::new(if args.local { "luseradd" } else { "useradd" });
    argv.uid(args);
    argv.some("-Z", args.seuser.clone());
    if let Some(group) = &args.group {
        argv.option("-g", state.gid(group)?.to_string());
    } else if state.groups.iter().any(|group| group.name == args.name) {
        // Else it refuses: the group of the same name is there already.
        argv.flag(if args.local { "-n" } else { "-N" });
    }
    let groups = state.names(args.groups.as_deref().unwrap_or_default())?;
    if !groups.is_empty() && !args.local {
        argv.option("-G", groups.join(","));
    }
    argv.some("-c", args.comment.clone());
    argv.some("-d", args.home.clone());
    argv.some("-s", args.shell.clone());
    if !args.local {
        argv.some("-e", args.expires.map(date));
    }
    argv.some(
        "-f",
        args.password_expire_account_disable.map(|days| days.to_string()),
    );
    if args.create_home {
        if !args.local {
            argv.flag("-m");
        }
        argv.some("-k", args.skeleton.clone());
        argv.some("-K", args.umask.as_ref().map(|umask| format!("UMASK={umask}")));
    } else {
        argv.flag("-M");
    }
    if args.system {
        argv.flag("-r");
    }
    argv.some("-K", args.uid_min.map(|uid| format!("UID_MIN={uid}")));
    argv.some("-K", args.uid_max.map(|uid| format!("UID_MAX={uid}")));
    let mut calls = vec![argv.named(args)];
    if args.local {
        calls.extend(args.expires.map(|expires| local_expiry(args, expires)));
        calls.extend(
            groups
                .iter()
                .map(|group| Command::new(["lgroupmod", "-M", &args.name, group])),
        );
    }
    match args.new_password(None) {
        Some(hash) => calls.push(set_password(args, &hash)),
        None if args.password_lock == Some(true) => calls.push(Command::new(["usermod", "-L", &args.name])),
        None => {}
    }
    calls.extend(ageing(args, &State::default()));
    Ok(calls)
}

pub(super) fn modification(args: &Args, user: &system::User, state: &State) -> Result<Vec<Command>, Error> {
    let mut argv = Argv::new(if args.local { "lusermod" } else { "usermod" });
    let mut calls = Vec::new();
    if args.uid.is_some_and(|uid| uid != user.uid) {
        argv.uid(args);
    }
    if let Some(group) = &args.group {
        let gid = state.gid(group)?;
        if gid != user.gid {
            argv.option("-g", gid.to_string());
        }
    }
    memberships(args, user, state, &mut argv, &mut calls)?;
    argv.some(
        "-c",
        args.comment.clone().filter(|comment| *comment != user.comment),
    );
    if let Some(home) = args
        .home
        .as_ref()
        .filter(|home| std::path::Path::new(home) != user.home)
    {
        argv.option("-d", home.clone());
        if args.move_home {
            argv.flag("-m");
        }
    }
    argv.some("-s", args.shell.clone().filter(|shell| *shell != user.shell));
    if let Some(expires) = args.expires {
        let wanted = (expires >= 0.0).then(|| days(expires));
        if !state.listed || wanted != state.expires.filter(|days| *days >= 0) {
            if args.local {
                calls.push(local_expiry(args, expires));
            } else {
                argv.option("-e", date(expires));
            }
        }
    }
    let inactive = args.password_expire_account_disable;
    argv.some(
        "-f",
        inactive
            .filter(|_| inactive != state.inactive)
            .map(|days| days.to_string()),
    );
    if !argv.is_bare() {
        calls.insert(0, argv.named(args));
    }
    let is_locked = state.password.starts_with('!');
    match (args.new_password(Some(state)), args.password_lock) {
        (Some(hash), _) => calls.push(set_password(args, &hash)),
        (None, Some(true)) if !is_locked => calls.push(Command::new(["usermod", "-L", &args.name])),
        (None, Some(false)) if is_locked => calls.push(Command::new(["usermod", "-U", &args.name])),
        _ => {}
    }
    calls.extend(ageing(args, state));
    Ok(calls)
}

/// The groups that the account is to be in besides its own.
fn memberships(
    args: &Args,
    user: &system::User,
    state: &State,
    argv: &mut Argv,
    calls: &mut Vec<Command>,
) -> Result<(), Error> {
    let Some(groups) = &args.groups else {
        return Ok(());
    };
    let mut wanted = state.names(groups)?;
    let mut present = state.memberships(user);
    present.sort_unstable();
    // Being in one's primary group besides is neither wanted nor harmful.
    let primary = |name: &&str| state.gid(name).is_ok_and(|gid| gid == user.gid);
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !present.contains(name) && !primary(name))
        .collect();
    let surplus: Vec<&str> = present
        .iter()
        .copied()
        .filter(|name| !args.append && !wanted.contains(name))
        .collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    if args.local {
        let change =
            |flag: &'static str| move |group: &&str| Command::new(["lgroupmod", flag, &args.name, group]);
        calls.extend(missing.iter().map(change("-M")));
        calls.extend(surplus.iter().map(change("-m")));
        return Ok(());
    }
    if args.append {
        wanted = missing;
        argv.flag("-a");
    }
    argv.option("-G", wanted.join(","));
    Ok(())
}

/// How long a password is good for.
fn ageing(args: &Args, state: &State) -> Option<Command> {
    let mut argv = Argv::new("chage");
    for (flag, wanted, now) in [
        ("-m", args.password_expire_min, state.minimum),
        ("-M", args.password_expire_max, state.maximum),
        ("-W", args.password_expire_warn, state.warning),
    ] {
        argv.some(
            flag,
            wanted.filter(|_| wanted != now).map(|days| days.to_string()),
        );
    }
    (!argv.is_bare()).then(|| argv.named(args))
}

fn local_expiry(args: &Args, expires: f64) -> Command {
    let days = if expires < 0.0 { -1 } else { days(expires) };
    Command::new(["lchage", "-E", &days.to_string(), &args.name])
}

fn set_password(args: &Args, hash: &str) -> Command {
    let mut command = Command::new(["chpasswd", "-e"]);
    command.stdin = format!("{}:{hash}\n", args.name).into_bytes();
    command
}

#[expect(clippy::cast_possible_truncation, reason = "days since 1970 fit")]
pub(super) fn days(seconds: f64) -> i64 {
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
