//! `/etc/passwd` and `/etc/group`, parsed.
//!
//! The executable is static, so that the C library's name services are out of reach: accounts from LDAP and
//! the like are not seen. Formats: passwd(5), group(5). Lines that do not fit are passed over, as the C
//! library does.

use std::path::PathBuf;

use super::{Group, User};

pub fn parse_users(text: &str) -> Vec<User> {
    text.lines().filter_map(parse_user).collect()
}

fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_account(name))?;
    let _password = fields.next()?;
    Some(User {
        name: name.to_owned(),
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        comment: fields.next()?.to_owned(),
        home: PathBuf::from(fields.next()?),
        shell: fields.next().unwrap_or_default().to_owned(),
    })
}

pub fn parse_groups(text: &str) -> Vec<Group> {
    text.lines().filter_map(parse_group).collect()
}

fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_account(name))?;
    let _password = fields.next()?;
    Some(Group {
        name: name.to_owned(),
        gid: fields.next()?.parse().ok()?,
        members: fields
            .next()
            .unwrap_or_default()
            .split(',')
            .filter(|member| !member.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// Not a comment, and not one of NIS's `+` and `-` lines.
fn is_account(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['#', '+', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_accounts_and_passes_over_the_rest() {
        let users = parse_users(
            "root:x:0:0:root:/root:/bin/bash\n# no\n+::::::\nbad:x:no:0::/:\nnobody:x:65534:65534::/:\n",
        );
        let names: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.uid)).collect();
        assert_eq!(names, [("root", 0), ("nobody", 65534)]);
        assert_eq!(users[1].shell, "");
    }

    #[test]
    fn reads_groups_with_their_members() {
        let groups = parse_groups("root:x:0:\ndocker:x:999:ann,bob\n\n");
        assert_eq!(groups[0].members, Vec::<String>::new());
        assert_eq!(groups[1].members, ["ann", "bob"]);
    }
}
