//! `user`: accounts of the target, by `useradd` and its kin. After ansible.builtin.user.
//!
//! `password` is a hash, as in `/etc/shadow`; it goes to `chpasswd -e` by standard input, where no list of
//! processes shows it. Deliberately no `busybox` tools; the arguments for other systems than Linux are taken without effect.

mod commands;
mod defaults;
mod foreseen;
mod home;
mod state;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::defaults::Defaults;
pub(super) use self::foreseen::next_id;
use self::home::KeyPair;
use self::state::State;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::{Effect, Foresight};
use crate::system::{self, Command, Follow, System};
use crate::wire::message::{Outcome, Secret};

pub struct User;

const SHADOW: &str = "/etc/shadow";

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
    password_expire_min: Option<i64>,
    password_expire_max: Option<i64>,
    password_expire_warn: Option<i64>,
    password_expire_account_disable: Option<i64>,
    expires: Option<f64>,
    state: String,
    remove: bool,
    force: bool,
    local: bool,
    uid_min: Option<u32>,
    uid_max: Option<u32>,
    seuser: Option<String>,
    generate_ssh_key: Option<bool>,
    ssh_key_bits: u32,
    ssh_key_type: String,
    ssh_key_file: Option<String>,
    ssh_key_comment: Option<String>,
    ssh_key_passphrase: Option<Secret>,
}

/// What is to be done, in order.
#[derive(Debug)]
pub struct Change {
    name: String,
    steps: Vec<Step>,
    keys: Option<KeyPair>,
    outcome: Outcome,
    warnings: Vec<String>,
    effects: Vec<Effect>,
}

#[derive(Debug)]
enum Step {
    /// A folder above a home that is to be made.
    Folder(PathBuf),
    Run(Command),
    /// The home of an account that is there by then.
    Home {
        path: PathBuf,
        skeleton: Option<String>,
    },
    Keys(KeyPair),
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
                .doc("Remove an account that is logged in; replace keys."),
            Arg::int("password_expire_min").doc("Days before the password may be changed."),
            Arg::int("password_expire_max").doc("Days after which it has to be."),
            Arg::int("password_expire_warn").doc("Days of warning before that."),
            Arg::int("password_expire_account_disable").doc("Days after that until the account is closed."),
            Arg::bool("local")
                .default("no")
                .doc("By libuser's tools, in the local files."),
            Arg::int("uid_min").doc("The lowest number to choose from."),
            Arg::int("uid_max").doc("The highest."),
            Arg::str("seuser").doc("The SELinux user of a new account."),
            Arg::bool("generate_ssh_key").doc("Make a key pair, if there is none."),
            Arg::int("ssh_key_bits")
                .default("0")
                .doc("Its size; 0: what ssh-keygen chooses."),
            Arg::str("ssh_key_type").default("rsa").doc("Its type."),
            Arg::path("ssh_key_file")
                .doc("Where it goes, from the home folder on; .ssh/id_TYPE unless given."),
            Arg::str("ssh_key_comment").doc("The comment of the public key."),
            Arg::str("ssh_key_passphrase")
                .secret()
                .doc("The passphrase of the private key."),
            Arg::bool("hidden").doc("For macOS; accepted without effect, as Ansible does on Linux."),
            Arg::str("login_class").doc("For BSD; accepted without effect, as Ansible does on Linux."),
            Arg::str("profile").doc("For Solaris; accepted without effect, as Ansible does on Linux."),
            Arg::str("authorization").doc("For Solaris; accepted without effect, as Ansible does on Linux."),
            Arg::str("role").doc("For Solaris; accepted without effect, as Ansible does on Linux."),
        ],
        returns: &[
            Return::new("name", "str", "the account"),
            Return::new("state", "str", "whether it is to be there"),
            Return::new("uid", "int", "its number").when("it is there"),
            Return::new("group", "int", "the number of its primary group").when("it is there"),
            Return::new("groups", "str", "further groups, as they were given").when("`groups` is given"),
            Return::new("comment", "str", "the name of the person").when("it is there"),
            Return::new("home", "str", "the home folder").when("it is there"),
            Return::new("shell", "str", "the login shell").when("it is there"),
            Return::new("append", "bool", "as it was given").when("it was there before"),
            Return::new("move_home", "bool", "as it was given").when("it was there before"),
            Return::new("create_home", "bool", "as it was given").when("it was made"),
            Return::new("system", "bool", "as it was given").when("it was made"),
            Return::new("password", "str", "`NOT_LOGGING_PASSWORD`").when("`password` is given"),
            Return::new("force", "bool", "as it was given").when("it is to be absent"),
            Return::new("remove", "bool", "as it was given").when("it is to be absent"),
            Return::new("ssh_key_file", "str", "the private key").when("`generate_ssh_key` is set"),
            Return::new("ssh_fingerprint", "str", "the key's fingerprint").when("`generate_ssh_key` is set"),
            Return::new("ssh_public_key", "str", "the public key").when("`generate_ssh_key` is set"),
        ],
        example: "- user:\n    name: registry\n    system: true\n    home: /srv/registry\n    shell: /usr/sbin/nologin\n- user:\n    name: ann\n    groups: [sudo]\n    append: true\n    password: \"{{ secret | password_hash }}\"\n",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["local", "uid_min"]),
            Rule::Exclusive(&["local", "uid_max"]),
            Rule::Exclusive(&["local", "umask"]),
        ],
    };

    fn check(mut args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        for path in [&mut args.home, &mut args.shell].into_iter().flatten() {
            *path = path::expand(path, system)?.display().to_string();
        }
        let users = system.users()?;
        let current = users.iter().find(|user| user.name == args.name);
        let state = State::read(&args, current, system)?;
        let keys = KeyPair::wanted(&args, system)?.filter(|_| args.state == "present");
        refusal(&args, current, &users)?;
        let mut warnings = args.warnings();
        let steps = match (args.state.as_str(), current) {
            ("absent", None) => Vec::new(),
            ("absent", Some(_)) => vec![Step::Run(commands::deletion(&args))],
            (_, None) => creation(&args, &state, keys.as_ref(), system)?,
            (_, Some(user)) => modification(&args, user, &state, keys.as_ref(), &mut warnings, system)?,
        };
        for step in &steps {
            if let Step::Run(command) = step
                && let Some(program) = command.argv.first()
            {
                tool::require(system, program, "manage accounts")?;
            }
        }
        let made = steps.iter().find_map(|step| match step {
            Step::Home { path, .. } => Some(path),
            _ => None,
        });
        let effects = match (args.state.as_str(), current) {
            ("absent", None) => Vec::new(),
            ("absent", Some(user)) => foreseen::deletion(&args, user, &users, &state),
            (_, None) => foreseen::creation(&args, &users, &state, &Defaults::read(system)?)?,
            (_, Some(user)) => foreseen::modification(&args, user, &state, made)?,
        };
        let outcome = args.describe(current.is_some(), Outcome::changed(!steps.is_empty()));
        if steps.is_empty() {
            let mut outcome = describe(outcome, current.filter(|_| args.state == "present"));
            if let (Some(keys), Some(user)) = (&keys, current) {
                outcome = keys.describe(outcome, user, system)?;
            }
            return Ok(Plan::Same(warned(outcome, warnings)));
        }
        let predicted = describe(outcome.clone(), current.filter(|_| args.state == "present"));
        let predicted = warned(predicted, warnings.clone());
        Ok(Plan::Change {
            change: Change {
                name: args.name,
                steps,
                keys,
                outcome,
                warnings,
                effects,
            },
            predicted,
        })
    }

    fn foresee(change: &Change) -> Foresight {
        Foresight::Effects(change.effects.clone())
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let mut warnings = change.warnings;
        for step in &change.steps {
            warnings.extend(step.perform(&change.name, system)?);
        }
        let user = account(&change.name, system)?;
        let outcome = warned(describe(change.outcome, user.as_ref()), warnings);
        match (&change.keys, &user) {
            (Some(keys), Some(user)) => keys.describe(outcome, user, system),
            _ => Ok(outcome),
        }
    }
}

/// What `useradd` and `usermod` would refuse, so that a check knows it too: a number that is taken.
fn refusal(args: &Args, current: Option<&system::User>, users: &[system::User]) -> Result<(), Error> {
    if args.state == "absent" || args.non_unique {
        return Ok(());
    }
    let taken = users
        .iter()
        .find(|user| args.uid == Some(user.uid) && user.name != args.name);
    let Some(taken) = taken else {
        return Ok(());
    };
    let said = if current.is_some() {
        format!("usermod: UID '{}' already exists", taken.uid)
    } else {
        format!("useradd: UID {} is not unique", taken.uid)
    };
    let message = format!(
        "{said}: account {} has it; choose another number, or allow it with `non_unique`",
        taken.name
    );
    Err(Error::new(message).with("name", args.name.as_str()))
}

fn account(name: &str, system: &dyn System) -> Result<Option<system::User>, Error> {
    Ok(system.users()?.into_iter().find(|user| user.name == name))
}

impl Step {
    /// Does it; what the user is to be warned of.
    fn perform(&self, name: &str, system: &dyn System) -> Result<Option<String>, Error> {
        let user = || {
            account(name, system)?.ok_or_else(|| Error::new(format!("failed to look up user name: {name}")))
        };
        match self {
            Self::Folder(path) => system.create_dir(path, 0o755)?,
            Self::Run(command) => {
                let output = system.run(command)?;
                if !output.success() {
                    let failure = tool::failure(command, &output);
                    return Err(Error {
                        message: output.stderr_text(),
                        ..failure.with("name", name)
                    });
                }
            }
            Self::Home { path, skeleton } => home::make(path, skeleton.as_deref(), &user()?, system)?,
            Self::Keys(keys) => return keys.make(&user()?, system),
        }
        Ok(None)
    }
}

fn warned(outcome: Outcome, warnings: Vec<String>) -> Outcome {
    if warnings.is_empty() {
        outcome
    } else {
        outcome.with("warnings", warnings)
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

impl Args {
    /// Whether anything is asked for that is in `/etc/shadow`, which only root reads.
    fn concern_shadow(&self) -> bool {
        let days = [
            self.password_expire_min,
            self.password_expire_max,
            self.password_expire_warn,
            self.password_expire_account_disable,
        ];
        self.password.is_some()
            || self.password_lock.is_some()
            || self.expires.is_some()
            || days.iter().any(Option::is_some)
    }

    /// The hash that the account is to get in place of the one it has; one that is locked begins with `!`.
    fn new_password(&self, present: Option<&State>) -> Option<String> {
        let wanted = self.password.as_ref()?.reveal();
        let is_wanted = present.is_none_or(|state| {
            let differs = wanted.trim_start_matches('!') != state.password.trim_start_matches('!');
            differs && self.update_password == "always"
        });
        if !is_wanted {
            return None;
        }
        Some(if self.password_lock == Some(true) {
            format!("!{wanted}")
        } else {
            wanted.to_owned()
        })
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.append && self.groups.is_none() {
            warnings.push(
                "'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups."
                    .to_owned(),
            );
        }
        if self
            .password
            .as_ref()
            .is_some_and(|password| !is_hash(password.reveal()))
        {
            warnings.push(
                "The input password appears not to have been hashed. The 'password' argument must be encrypted for this module to work properly.".to_owned(),
            );
        }
        warnings
    }

    /// What a result repeats.
    fn describe(&self, exists: bool, outcome: Outcome) -> Outcome {
        let mut outcome = outcome
            .with("name", self.name.as_str())
            .with("state", self.state.as_str());
        if self.state == "absent" {
            return outcome.with("force", self.force).with("remove", self.remove);
        }
        outcome = if exists {
            outcome
                .with("append", self.append)
                .with("move_home", self.move_home)
        } else {
            outcome
                .with("system", self.system)
                .with("create_home", self.create_home)
        };
        if self.password.is_some() {
            outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
        }
        if let Some(groups) = &self.groups {
            outcome = outcome.with("groups", groups.join(","));
        }
        outcome
    }
}

/// Whether a text can be what `crypt` makes of a password, or what closes an account.
fn is_hash(password: &str) -> bool {
    /// Methods whose results have a certain length.
    const LENGTHS: &[(&str, usize)] = &[("1", 22), ("5", 43), ("6", 86), ("y", 43)];
    if ["", "*", "!", "*************"].contains(&password) {
        return true;
    }
    let fields: Vec<&str> = password.split('$').collect();
    let (Some(method), Some(hash)) = (fields.get(1), fields.last()) else {
        return false;
    };
    let length = LENGTHS.iter().find(|(known, _)| known == method);
    fields.len() >= 3
        && !password.contains([':', '*', '!'])
        && hash
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '/')
        && length.is_none_or(|(_, length)| hash.len() == *length)
}

fn creation(
    args: &Args,
    state: &State,
    keys: Option<&KeyPair>,
    system: &dyn System,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    // `useradd -m` makes the home folder and nothing above it.
    let home = args.home.as_ref().filter(|_| args.create_home).map(Path::new);
    if let Some(parent) = home.and_then(Path::parent) {
        let missing = crate::modules::files::file::missing_folders(parent, system)?;
        steps.extend(missing.into_iter().map(Step::Folder));
    }
    steps.extend(commands::creation(args, state)?.into_iter().map(Step::Run));
    steps.extend(keys.cloned().map(Step::Keys));
    Ok(steps)
}

fn modification(
    args: &Args,
    user: &system::User,
    state: &State,
    keys: Option<&KeyPair>,
    warnings: &mut Vec<String>,
    system: &dyn System,
) -> Result<Vec<Step>, Error> {
    let mut steps: Vec<Step> = commands::modification(args, user, state)?
        .into_iter()
        .map(Step::Run)
        .collect();
    // An account that is there and whose home is not gets one, as in Ansible.
    let home = args
        .home
        .as_ref()
        .map_or_else(|| user.home.clone(), PathBuf::from);
    let moved = args.move_home && home != user.home;
    if args.create_home
        && !moved
        && home != Path::new("/nonexistent")
        && system.metadata(&home, Follow::Yes)?.is_none()
    {
        steps.push(Step::Home {
            path: home.clone(),
            skeleton: args.skeleton.clone(),
        });
    }
    if let Some(keys) = keys {
        match keys.obstacle(&home, system)? {
            Some(warning) => warnings.push(warning),
            None => steps.push(Step::Keys(keys.clone())),
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::{AnyModule, Mode, entry};
    use crate::system::CommandOutput;
    use crate::system::fake::Fake;

    fn scene() -> Fake {
        let fake = Fake::new();
        for program in ["useradd", "usermod", "userdel", "chpasswd", "chage", "ssh-keygen"] {
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
    fn a_new_account_keeps_the_keys_of_the_home_that_it_gets() {
        let fake = scene();
        let added = system::User {
            name: "bob".to_owned(),
            home: "/home/bob".into(),
            ..fake.users.borrow()[0].clone()
        };
        fake.directory("/home/bob").directory("/home/bob/.ssh");
        fake.file("/home/bob/.ssh/id_rsa.pub", "theirs");
        fake.answer_with(move |fake, command| {
            if command.argv[0] == "useradd" {
                fake.users.borrow_mut().push(added.clone());
            }
            Some(CommandOutput::default())
        });
        let arguments = serde_json::from_str(r#"{"name":"bob","generate_ssh_key":true}"#).unwrap();
        let arguments = User::SPEC.resolve(&arguments).unwrap();
        let outcome = entry::<User>().run(&arguments, Mode::default(), &fake);
        assert!(outcome.changed && !outcome.failed, "{outcome:?}");
        let warnings = outcome.values["warnings"].to_string();
        assert!(warnings.contains("existing ssh key public file"), "{warnings}");
        assert_eq!(fake.text("/home/bob/.ssh/id_rsa.pub"), "theirs");
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
