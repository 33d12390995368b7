//! Who the agent runs as, and its environment.

use super::{ask, put};
use crate::system::System;
use crate::value::{Map, Value};

pub fn gather(system: &dyn System, facts: &mut Map) {
    let uid = system.uid();
    put(facts, "effective_user_id", uid);
    put(facts, "real_user_id", uid);
    if let Ok(users) = system.users()
        && let Some(user) = users.iter().find(|user| user.uid == uid)
    {
        put(facts, "user_id", user.name.as_str());
        put(facts, "user_uid", user.uid);
        put(facts, "user_gid", user.gid);
        put(facts, "user_gecos", user.comment.as_str());
        put(facts, "user_dir", user.home.display().to_string());
        put(facts, "user_shell", user.shell.as_str());
        put(facts, "effective_group_id", user.gid);
        put(facts, "real_group_id", user.gid);
    }
    // NUL-separated: values may have newlines.
    let text = ask(system, &["env", "-0"]).unwrap_or_default();
    put(facts, "env", environment(&text));
}

fn environment(text: &str) -> Map {
    text.split('\0')
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_newlines_in_values() {
        let map = environment("A=1\0B=x\ny=z\0");
        assert_eq!(Value::Map(map).to_string(), r"{'A': '1', 'B': 'x\ny=z'}");
    }
}
