//! What a target knows of an account beside its line in `/etc/passwd`.

use super::commands::days;
use super::{Args, SHADOW};
use crate::modules::Error;
use crate::system::foresight::Subject;
use crate::system::{self, Follow, System};

/// Groups, and the account's line in `/etc/shadow`.
#[derive(Debug, Default)]
pub(super) struct State {
    pub groups: Vec<system::Group>,
    /// Whether there is such a line.
    pub listed: bool,
    pub password: String,
    /// Days.
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub warning: Option<i64>,
    pub inactive: Option<i64>,
    /// The day after 1970 on which the account ends.
    pub expires: Option<i64>,
}

impl State {
    pub fn read(args: &Args, user: Option<&system::User>, system: &dyn System) -> Result<Self, Error> {
        let mut state = Self {
            groups: system.groups()?,
            ..Self::default()
        };
        if user.is_none() || !args.concern_shadow() {
            return Ok(state);
        }
        let text = match system.foreseen(Subject::Shadow, &args.name) {
            Some(line) => line.to_string(),
            None if system.metadata(SHADOW.as_ref(), Follow::Yes)?.is_none() => return Ok(state),
            None => String::from_utf8_lossy(&system.read(SHADOW.as_ref())?).into_owned(),
        };
        let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        if let Some(fields) = lines.find(|fields| fields[0] == args.name) {
            let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
            fields
                .get(1)
                .copied()
                .unwrap_or_default()
                .clone_into(&mut state.password);
            state.listed = true;
            state.minimum = number(3);
            state.maximum = number(4);
            state.warning = number(5);
            state.inactive = number(6);
            state.expires = number(7);
        }
        Ok(state)
    }

    /// The line as it would be in /etc/shadow once the account is as it is asked for.
    pub fn changed(&self, args: &Args) -> String {
        let mut password = self.password.clone();
        if let Some(hash) = args.new_password(self.listed.then_some(self)) {
            password = hash;
        } else if args.password_lock == Some(true) && !password.starts_with('!') {
            password.insert(0, '!');
        } else if args.password_lock == Some(false) {
            password = password.trim_start_matches('!').to_owned();
        }
        let expires = match args.expires {
            None => self.expires,
            Some(seconds) => (seconds >= 0.0).then(|| days(seconds)),
        };
        let fields = [
            args.password_expire_min.or(self.minimum),
            args.password_expire_max.or(self.maximum),
            args.password_expire_warn.or(self.warning),
            args.password_expire_account_disable.or(self.inactive),
            expires,
        ]
        .map(|days| days.map(|days| days.to_string()).unwrap_or_default())
        .join(":");
        format!("{}:{password}::{fields}:", args.name)
    }

    /// The number of a group that is given by name or number.
    pub fn gid(&self, group: &str) -> Result<u32, Error> {
        let found = self
            .groups
            .iter()
            .find(|known| known.name == group || known.gid.to_string() == group);
        found
            .map(|group| group.gid)
            .ok_or_else(|| Error::new(format!("Group {group} does not exist")))
    }

    /// The further groups that the account is in, by name.
    pub fn memberships(&self, user: &system::User) -> Vec<&str> {
        self.groups
            .iter()
            .filter(|group| group.members.contains(&user.name))
            .map(|group| group.name.as_str())
            .collect()
    }

    /// Names of those groups; each has to be there.
    pub fn names<'a>(&'a self, groups: &'a [String]) -> Result<Vec<&'a str>, Error> {
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
