//! What an account would be like, for the later tasks of a check.

use std::path::{Path, PathBuf};

use super::Args;
use super::defaults::Defaults;
use super::state::State;
use crate::modules::Error;
use crate::system::foresight::{Effect, Subject};
use crate::system::{Attributes, FileKind, Group, User};
use crate::value::Value;

/// Where `useradd` and `groupadd` begin to number, and where the range for services ends.
const FIRST_ID: u32 = 1000;

/// The number that the next account or group is likely to get.
pub(in crate::modules::machine) fn next_id(taken: impl Iterator<Item = u32>, system: bool) -> u32 {
    let taken: Vec<u32> = taken.collect();
    let is_free = |id: &u32| !taken.contains(id);
    let found = if system {
        (1..FIRST_ID).rev().find(is_free)
    } else {
        (FIRST_ID..60_000).find(is_free)
    };
    found.unwrap_or(FIRST_ID)
}

/// An account that would be made.
pub(super) fn creation(
    args: &Args,
    users: &[User],
    state: &State,
    defaults: &Defaults,
) -> Result<Vec<Effect>, Error> {
    let mut effects = Vec::new();
    let uid = args
        .uid
        .unwrap_or_else(|| next_id(users.iter().map(|user| user.uid), args.system));
    let own = state.groups.iter().find(|group| group.name == args.name);
    let gid = match (&args.group, own) {
        (Some(group), _) => state.gid(group)?,
        (None, Some(own)) => own.gid,
        (None, None) => {
            let gid = if state.groups.iter().any(|group| group.gid == uid) {
                next_id(state.groups.iter().map(|group| group.gid), args.system)
            } else {
                uid
            };
            effects.push(Effect::Group(Group {
                name: args.name.clone(),
                gid,
                members: Vec::new(),
            }));
            gid
        }
    };
    let user = changed(
        args,
        User {
            name: args.name.clone(),
            uid,
            gid,
            comment: String::new(),
            home: defaults.homes.join(&args.name),
            shell: defaults.shell.clone(),
        },
        state,
    )?;
    if args.create_home {
        effects.push(home(&user, &user.home));
    }
    effects.extend(memberships(args, state)?);
    effects.push(Effect::User(user));
    effects.push(shadow(args, defaults.line().changed(args).into()));
    Ok(effects)
}

/// An account that is there and would be as it is asked for; `made`: a home that it lacks.
pub(super) fn modification(
    args: &Args,
    user: &User,
    state: &State,
    made: Option<&PathBuf>,
) -> Result<Vec<Effect>, Error> {
    let user = changed(args, user.clone(), state)?;
    let mut effects = memberships(args, state)?;
    effects.extend(made.map(|path| home(&user, path)));
    effects.push(Effect::User(user));
    if state.listed {
        effects.push(shadow(args, state.changed(args).into()));
    }
    Ok(effects)
}

/// An account that would be gone, with the group that bears its name unless others are in it.
pub(super) fn deletion(args: &Args, user: &User, users: &[User], state: &State) -> Vec<Effect> {
    let mut effects = vec![Effect::NoUser(user.name.clone()), shadow(args, Value::Null)];
    for group in &state.groups {
        // As userdel decides: members keep a group in any case, those whose primary group it is do unless by force.
        let is_primary = |other: &User| !args.force && other.name != user.name && other.gid == group.gid;
        let is_shared =
            group.members.iter().any(|member| *member != user.name) || users.iter().any(is_primary);
        if group.name == user.name && group.gid == user.gid && !is_shared {
            effects.push(Effect::NoGroup(group.name.clone()));
        } else if group.members.contains(&user.name) {
            effects.push(without(group, &user.name));
        }
    }
    if args.remove {
        effects.push(Effect::NoPath(user.home.clone()));
    }
    effects
}

fn changed(args: &Args, mut user: User, state: &State) -> Result<User, Error> {
    user.uid = args.uid.unwrap_or(user.uid);
    if let Some(group) = &args.group {
        user.gid = state.gid(group)?;
    }
    let texts = [(&args.comment, &mut user.comment), (&args.shell, &mut user.shell)];
    for (wanted, is) in texts {
        if let Some(wanted) = wanted {
            is.clone_from(wanted);
        }
    }
    if let Some(home) = &args.home {
        user.home = home.into();
    }
    Ok(user)
}

fn memberships(args: &Args, state: &State) -> Result<Vec<Effect>, Error> {
    let Some(groups) = &args.groups else {
        return Ok(Vec::new());
    };
    let wanted = state.names(groups)?;
    let effect = |group: &Group| {
        let is = group.members.contains(&args.name);
        match wanted.contains(&group.name.as_str()) {
            true if !is => {
                let mut group = group.clone();
                group.members.push(args.name.clone());
                Some(Effect::Group(group))
            }
            false if is && !args.append => Some(without(group, &args.name)),
            _ => None,
        }
    };
    Ok(state.groups.iter().filter_map(effect).collect())
}

fn shadow(args: &Args, is: Value) -> Effect {
    Effect::State {
        of: Subject::Shadow,
        name: args.name.clone(),
        is,
    }
}

fn without(group: &Group, user: &str) -> Effect {
    let mut group = group.clone();
    group.members.retain(|member| member != user);
    Effect::Group(group)
}

fn home(user: &User, path: &Path) -> Effect {
    Effect::Path {
        path: path.to_owned(),
        kind: FileKind::Directory,
        attributes: Attributes {
            mode: None,
            uid: Some(user.uid),
            gid: Some(user.gid),
        },
    }
}
