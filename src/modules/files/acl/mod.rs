//! `acl`: access control lists of files. After ansible.posix.acl, without its programs: the lists are extended attributes, which the
//! kernel lets everyone read and the owner set.
//!
//! Not done: lists of `NFSv4`, which only the programs of nfs4-acl-tools understand.

mod list;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::list::{List, Permissions, Recalculate, Tag};
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{Attributes, FileKind, Follow, Group, Metadata, System, User};
use crate::wire::message::{Diff, Outcome};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

pub struct Acl;

#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    state: String,
    default: bool,
    entity: String,
    entry: Option<String>,
    etype: Option<String>,
    permissions: Option<String>,
    follow: bool,
    recalculate_mask: String,
    recursive: bool,
    use_nfsv4_acls: bool,
}

/// A file whose list becomes another.
#[derive(Debug)]
struct Setting {
    path: PathBuf,
    attribute: &'static str,
    list: List,
    /// What the permission bits become, where the list is not for new files.
    mode: Option<u32>,
}

#[derive(Debug)]
pub struct Change {
    settings: Vec<Setting>,
    outcome: Outcome,
}

impl Module for Acl {
    type Args = Args;
    type Change = Change;
    const SPEC: Spec = Spec {
        name: "acl",
        summary: "set and read access control lists",
        args: &[
            Arg::path("path")
                .aliases(&["name"])
                .required()
                .doc("the file or folder"),
            Arg::str("state")
                .choices(&["absent", "present", "query"])
                .default("query")
                .doc("whether the entry shall be there; `query` only reads"),
            Arg::str("etype")
                .choices(&["group", "mask", "other", "user"])
                .doc("whom the entry is for"),
            Arg::str("entity")
                .default("")
                .doc("the user's or group's name; without it, the owner or owning group"),
            Arg::str("permissions")
                .doc("of `r`, `w`, `x` and `X`, which is for folders and what somebody may execute"),
            Arg::str("entry").doc("the same three as one text, `user:ann:rw`"),
            Arg::bool("default")
                .default("no")
                .doc("the list that new files in the folder get"),
            Arg::bool("recursive")
                .aliases(&["recurse"])
                .default("no")
                .doc("all that is in the folder, too"),
            Arg::bool("follow")
                .default("yes")
                .doc("the list of what a link points to; a link has none"),
            Arg::str("recalculate_mask")
                .choices(&["default", "mask", "no_mask"])
                .default("default")
                .doc("let the mask be all that the entries grant: unless it is set itself, always, or never"),
            Arg::bool("use_nfsv4_acls")
                .default("no")
                .doc("refused: lists of NFSv4 are not supported"),
        ],
        returns: &[
            Return::new("acl", "list of str", "the lists as getfacl prints them"),
            Return::new("msg", "str", "what is there now"),
        ],
        example: "- acl:\n    path: /srv/app/log\n    entity: monitor\n    etype: user\n    permissions: rX\n    recursive: true\n    state: present\n",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let entry = args.entry(system)?;
        let mut path = expand(&args.path, system)?;
        let absent = || Error::new("Path not found or not accessible.").with("path", args.path.as_str());
        let follow = if args.follow { Follow::Yes } else { Follow::No };
        let now = system.metadata(&path, follow)?.ok_or_else(absent)?;
        if args.follow {
            path = system.canonicalize(&path)?;
        }
        if args.default && now.kind != FileKind::Directory {
            return Err(Error::new(format!(
                "{}: Only directories can have default ACLs",
                path.display()
            )));
        }
        let mut work = Work {
            entry: entry.as_ref(),
            args: &args,
            users: system.users()?,
            groups: system.groups()?,
            settings: Vec::new(),
            lines: Vec::new(),
            diffs: Vec::new(),
            system,
        };
        work.visit(&path, &now)?;
        let Work {
            settings,
            lines,
            diffs,
            ..
        } = work;
        let message = entry.map_or_else(
            || "current acl".to_owned(),
            |entry| format!("{} is {}", entry.text, args.state),
        );
        let mut outcome = Outcome::changed(!settings.is_empty())
            .with("msg", message)
            .with("acl", lines);
        outcome.diff = diffs;
        if settings.is_empty() {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            predicted: outcome.clone(),
            change: Change { settings, outcome },
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        for setting in change.settings {
            system.set_xattr(&setting.path, setting.attribute, &setting.list.to_bytes())?;
            // The kernel has done so already.
            let attributes = Attributes {
                mode: setting.mode,
                ..Attributes::default()
            };
            system.set_attributes(&setting.path, attributes, Follow::No)?;
        }
        let mut outcome = change.outcome;
        outcome.diff.clear();
        Ok(outcome)
    }
}

/// What is asked for.
struct Entry {
    tag: Tag,
    /// None: it shall not be there.
    permissions: Option<Permissions>,
    default: bool,
    recalculate: Recalculate,
    /// As the result tells it.
    text: String,
}

impl Args {
    /// None where the list is only read.
    fn entry(&self, system: &dyn System) -> Result<Option<Entry>, Error> {
        let refused = |why: &str| Err(Error::new(why));
        if self.use_nfsv4_acls {
            return refused(
                "use_nfsv4_acls is not supported: set lists of NFSv4 with `command: nfs4_setfacl ...`",
            );
        }
        if self.state == "query" {
            if self.recursive {
                return refused("'recursive' MUST NOT be set when 'state=query'.");
            }
            if self.recalculate_mask != "default" {
                return refused(
                    "'recalculate_mask' MUST NOT be set to 'mask' or 'no_mask' when 'state=query'.",
                );
            }
            return Ok(None);
        }
        let Parts {
            etype,
            entity,
            permissions,
            default,
        } = match &self.entry {
            Some(entry) => self.parts(entry)?,
            None => self.given()?,
        };
        let tag = tag(&etype, &entity, system)?;
        let mut text = format!("{etype}:{entity}");
        let permissions = match permissions.filter(|_| self.state == "present") {
            None => None,
            Some(permissions) => {
                text = format!("{text}:{permissions}");
                Some(Permissions::parse(&permissions).ok_or_else(|| {
                    Error::new(format!(
                        "permissions must be made of r, w, x, X and -, or be a digit up to 7, got: '{permissions}'"
                    ))
                })?)
            }
        };
        Ok(Some(Entry {
            tag,
            permissions,
            default: default || self.default,
            recalculate: match self.recalculate_mask.as_str() {
                "mask" => Recalculate::Always,
                "no_mask" => Recalculate::Never,
                _ => Recalculate::Default,
            },
            text,
        }))
    }

    /// From the three arguments.
    fn given(&self) -> Result<Parts, Error> {
        let Some(etype) = self.etype.clone() else {
            return Err(Error::new(format!(
                "'etype' MUST be set when 'state={}'.",
                self.state
            )));
        };
        if self.state == "absent" {
            if self.permissions.is_some() {
                return Err(Error::new("'permissions' MUST NOT be set when 'state=absent'."));
            }
            if self.entity.is_empty() {
                return Err(Error::new("'entity' MUST be set when 'state=absent'."));
            }
        } else if self.permissions.as_deref().unwrap_or_default().is_empty() {
            return Err(Error::new("'permissions' MUST be set when 'state=present'."));
        }
        Ok(Parts {
            etype,
            entity: self.entity.clone(),
            permissions: self.permissions.clone(),
            default: false,
        })
    }

    /// From the one.
    fn parts(&self, entry: &str) -> Result<Parts, Error> {
        if !self.entity.is_empty() || self.etype.is_some() || self.permissions.is_some() {
            return Err(Error::new(
                "'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set.",
            ));
        }
        let mut parts: Vec<&str> = entry.split(':').collect();
        let default = matches!(parts[0].to_ascii_lowercase().as_str(), "d" | "default");
        if default {
            parts.remove(0);
        }
        let (etype, entity, permissions) = match (self.state.as_str(), parts.as_slice()) {
            (_, [etype, entity, permissions]) => (etype, entity, Some((*permissions).to_owned())),
            ("absent", [etype, entity]) => (etype, entity, None),
            (state, _) => {
                let sections = if state == "absent" { "2 or 3" } else { "3 or 4" };
                return Err(Error::new(format!(
                    "'entry' MUST have {sections} sections divided by ':' when 'state={state}'."
                )));
            }
        };
        let long = ["user", "group", "mask", "other"]
            .into_iter()
            .find(|long| *long == *etype || (etype.len() == 1 && long.starts_with(*etype)));
        let Some(etype) = long else {
            return Err(Error::new(format!(
                "'entry' begins with user, group, mask or other, not with '{etype}'"
            )));
        };
        Ok(Parts {
            etype: etype.to_owned(),
            entity: (*entity).to_owned(),
            permissions,
            default,
        })
    }
}

struct Parts {
    etype: String,
    entity: String,
    permissions: Option<String>,
    default: bool,
}

fn tag(etype: &str, entity: &str, system: &dyn System) -> Result<Tag, Error> {
    let unknown = |kind: &str| Error::new(format!("failed to look up {kind} {entity}: it does not exist"));
    Ok(match (etype, entity) {
        ("user", "") => Tag::Owner,
        ("user", name) => {
            let found = system.users()?.into_iter().find(|user| user.name == name);
            let id = found.map(|user| user.uid).or_else(|| name.parse().ok());
            Tag::User(id.ok_or_else(|| unknown("user"))?)
        }
        ("group", "") => Tag::OwningGroup,
        ("group", name) => {
            let found = system.groups()?.into_iter().find(|group| group.name == name);
            let id = found.map(|group| group.gid).or_else(|| name.parse().ok());
            Tag::Group(id.ok_or_else(|| unknown("group"))?)
        }
        ("mask", _) => Tag::Mask,
        _ => Tag::Other,
    })
}

/// The decision in the making.
struct Work<'a> {
    args: &'a Args,
    entry: Option<&'a Entry>,
    users: Vec<User>,
    groups: Vec<Group>,
    settings: Vec<Setting>,
    lines: Vec<String>,
    diffs: Vec<Diff>,
    system: &'a dyn System,
}

impl Work<'_> {
    fn visit(&mut self, path: &Path, now: &Metadata) -> Result<(), Error> {
        // A link has no list, and what it points to may be anywhere.
        if now.kind == FileKind::Link {
            return Ok(());
        }
        self.decide(path, now)?;
        if !self.args.recursive || now.kind != FileKind::Directory {
            return Ok(());
        }
        for name in self.system.read_dir(path)? {
            let inner = path.join(name);
            if let Some(now) = self.system.metadata(&inner, Follow::No)? {
                self.visit(&inner, &now)?;
            }
        }
        Ok(())
    }

    fn decide(&mut self, path: &Path, now: &Metadata) -> Result<(), Error> {
        let xattrs = self.system.xattrs(path)?;
        let read = |attribute: &str| match xattrs.get(attribute) {
            None => Ok(None),
            Some(bytes) => List::from_bytes(bytes).map(Some).ok_or_else(|| {
                Error::new(format!(
                    "the access control list of {} is of a form that is not known",
                    path.display()
                ))
            }),
        };
        let is_folder = now.kind == FileKind::Directory;
        let mut access = read(ACCESS)?.unwrap_or_else(|| List::of_mode(now.mode));
        let mut default = read(DEFAULT)?.unwrap_or_default();
        let before = (access.clone(), default.clone());
        if let Some(entry) = self.entry.filter(|entry| is_folder || !entry.default) {
            let base = access.clone();
            let list = if entry.default { &mut default } else { &mut access };
            match entry.permissions {
                Some(permissions) => list.set(entry.tag, permissions, is_folder, &base, entry.recalculate),
                None => list.remove(entry.tag, entry.recalculate).map_err(|why| {
                    Error::new(format!("{}: {why}", path.display())).with("path", path.display().to_string())
                })?,
            }
        }
        self.note(path, &before, (&access, &default));
        let mut set = |attribute, list: List, mode| {
            self.settings.push(Setting {
                path: path.to_owned(),
                attribute,
                list,
                mode,
            });
        };
        if before.1 != default {
            set(DEFAULT, default, None);
        }
        if before.0 != access {
            let mode = now.mode & 0o7000 | access.mode();
            set(ACCESS, access, Some(mode));
        }
        Ok(())
    }

    /// For the result and the diff.
    fn note(&mut self, path: &Path, before: &(List, List), after: (&List, &List)) {
        let only_default = self.args.default;
        let told = |access: &List, default: &List| {
            let lines = |list: &List, prefix| list.lines(prefix, &self.users, &self.groups);
            if only_default {
                lines(default, "")
            } else {
                [lines(access, ""), lines(default, "default:")].concat()
            }
        };
        let (old, new) = (told(&before.0, &before.1), told(after.0, after.1));
        if old != new {
            let name = path.display().to_string();
            let text = |lines: &[String]| lines.iter().flat_map(|line| [line, "\n"]).collect();
            self.diffs.push(Diff {
                before: text(&old),
                after: text(&new),
                before_header: name.clone(),
                after_header: name,
            });
        }
        if !new.is_empty() {
            // As getfacl keeps the lists of several files apart.
            if !self.lines.is_empty() {
                self.lines.push(String::new());
            }
            self.lines.extend(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn told(outcome: &Outcome) -> String {
        let lines = outcome.values["acl"].as_list().unwrap();
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        lines.join(" ")
    }

    #[test]
    fn an_entry_comes_and_goes() {
        let fake = Fake::new();
        fake.file("/srv/f", "");
        let args = r#"{"path":"/srv/f","entity":"ann","etype":"user","permissions":"rw","state":"present"}"#;
        let outcome = check_agrees::<Acl>(&fake, args);
        assert_eq!(
            told(&outcome),
            "user::rw- user:ann:rw- group::r-- mask::rw- other::r--"
        );
        assert_eq!(outcome.message(), Some("user:ann:rw is present"));
        let mode = fake
            .metadata(Path::new("/srv/f"), Follow::No)
            .unwrap()
            .unwrap()
            .mode;
        assert_eq!(mode, 0o664, "the group's bits are the mask's");
        let outcome = check_agrees::<Acl>(&fake, r#"{"path":"/srv/f","entry":"u:ann:rw","state":"absent"}"#);
        assert_eq!(told(&outcome), "user::rw- group::r-- mask::r-- other::r--");
        let outcome = run::<Acl>(&fake, r#"{"path":"/srv/f"}"#);
        assert_eq!(outcome.message(), Some("current acl"));
    }

    #[test]
    fn folders_have_lists_for_what_is_new_in_them() {
        let fake = Fake::new();
        fake.file("/srv/a/f", "").link("/srv/a/link", "../../etc");
        fake.directory("/etc");
        let args = r#"{"path":"/srv/a","entry":"default:group:ann:rX","state":"present"}"#;
        let outcome = check_agrees::<Acl>(&fake, args);
        assert_eq!(
            told(&outcome),
            "user::rwx group::r-x other::r-x default:user::rwx default:group::r-x default:group:ann:r-x \
             default:mask::r-x default:other::r-x"
        );
        let args = r#"{"path":"/srv/a","etype":"user","entity":"1000","permissions":"rX","state":"present","recursive":true}"#;
        let outcome = check_agrees::<Acl>(&fake, args);
        assert!(told(&outcome).ends_with("  user::rw- user:ann:r-- group::r-- mask::r-- other::r--"));
        assert!(fake.xattrs(Path::new("/etc")).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let fake = Fake::new();
        fake.file("/srv/f", "");
        for (rest, why) in [
            (
                r#""state":"present""#,
                "'etype' MUST be set when 'state=present'.",
            ),
            (
                r#""state":"present","etype":"user""#,
                "'permissions' MUST be set when 'state=present'.",
            ),
            (
                r#""state":"present","etype":"user","permissions":"q""#,
                "permissions must be made of r, w, x, X and -, or be a digit up to 7, got: 'q'",
            ),
            (
                r#""state":"present","etype":"user","entity":"bob","permissions":"r""#,
                "failed to look up user bob: it does not exist",
            ),
            (
                r#""state":"present","etype":"user","permissions":"r","default":true"#,
                "/srv/f: Only directories can have default ACLs",
            ),
            (
                r#""state":"absent","entry":"other:""#,
                "/srv/f: the entries of owner, owning group and others cannot be removed",
            ),
            (
                r#""recursive":true"#,
                "'recursive' MUST NOT be set when 'state=query'.",
            ),
        ] {
            let args = format!(r#"{{"path":"/srv/f",{rest}}}"#);
            assert_eq!(failure::<Acl>(&fake, &args), why, "{rest}");
        }
        assert_eq!(
            failure::<Acl>(&fake, r#"{"path":"/no"}"#),
            "Path not found or not accessible."
        );
    }
}
