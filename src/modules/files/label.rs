//! The arguments `seuser`, `serole`, `setype` and `selevel`: a file's `SELinux` label.
//!
//! A label is an extended attribute, `USER:ROLE:TYPE:LEVEL`; the level may hold further colons. Where the kernel has no
//! `SELinux`, the arguments ask for nothing, as with Ansible.

use std::path::Path;

use super::attributes::FileArgs;
use super::steps::Step;
use crate::modules::Error;
use crate::system::{Command, Follow, System};

const ATTRIBUTE: &str = "security.selinux";

/// There where `SELinux` is at work, enforcing or not.
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// What a file without a label is taken for.
const UNLABELED: &str = "system_u:object_r:unlabeled_t:s0";

/// Asks for the label that the policy has for a path.
const POLICY: &str = "_default";

/// User, role, type and level, each only where it is wanted.
pub type Parts = [Option<String>; 4];

pub fn is_enabled(system: &dyn System) -> Result<bool, Error> {
    Ok(system.metadata(Path::new(ENFORCE), Follow::Yes)?.is_some())
}

/// The label; none where there is no such thing.
pub fn of(path: &Path, system: &dyn System) -> Result<Option<String>, Error> {
    if !is_enabled(system)? {
        return Ok(None);
    }
    let found = system.xattrs(path)?;
    let label = found.get(ATTRIBUTE).map(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.trim_end_matches('\0').to_owned()
    });
    Ok(Some(label.unwrap_or_else(|| UNLABELED.to_owned())))
}

/// What gives the file the wanted label, if it has another. The path may be one that is still to be made.
pub fn step(file: &FileArgs, path: &Path, system: &dyn System) -> Result<Option<Step>, Error> {
    let given = [&file.seuser, &file.serole, &file.setype, &file.selevel];
    if given.iter().all(|part| part.is_none()) || !is_enabled(system)? {
        return Ok(None);
    }
    let mut parts: Parts = given.map(Clone::clone);
    if parts.iter().flatten().any(|part| part == POLICY) {
        let policy = of_policy(path, system)?;
        for (part, default) in parts.iter_mut().zip(policy.splitn(4, ':')) {
            if part.as_deref() == Some(POLICY) {
                *part = Some(default.to_owned());
            }
        }
    }
    if system.metadata(path, Follow::No)?.is_some()
        && let Some(now) = of(path, system)?
        && with(&now, &parts) == now
    {
        return Ok(None);
    }
    Ok(Some(Step::Label(path.to_owned(), parts)))
}

pub fn set(path: &Path, parts: &Parts, system: &dyn System) -> Result<(), Error> {
    let Some(now) = of(path, system)? else {
        return Ok(());
    };
    let label = with(&now, parts);
    if label != now {
        let bytes = format!("{label}\0");
        system
            .set_xattr(path, ATTRIBUTE, bytes.as_bytes())
            .map_err(|error| {
                Error::new(format!("invalid selinux context: {label}: {error}"))
                    .with("path", path.display().to_string())
            })?;
    }
    Ok(())
}

/// The label with the wanted parts; a policy without levels has three.
fn with(label: &str, parts: &Parts) -> String {
    let wanted: Vec<&str> = label
        .splitn(4, ':')
        .zip(parts)
        .map(|(now, part)| part.as_deref().unwrap_or(now))
        .collect();
    wanted.join(":")
}

fn of_policy(path: &Path, system: &dyn System) -> Result<String, Error> {
    let name = path.display().to_string();
    if system.which("matchpathcon").is_none() {
        return Err(Error::new(format!(
            "`_default` for {name} needs the program matchpathcon, which tells the policy's labels: install \
             libselinux-utils (selinux-utils on Debian)"
        )));
    }
    let output = system.run(&Command::new(["matchpathcon", "-n", &name]))?;
    if output.success() {
        return Ok(output.stdout_text().trim().to_owned());
    }
    Err(Error::new(format!(
        "matchpathcon cannot tell the policy's label of {name}: {}",
        output.stderr_text().trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::files::file::File;
    use crate::modules::files::lineinfile::Lineinfile;
    use crate::modules::testing::{check_agrees, run};
    use crate::system::fake::Fake;

    fn enabled() -> Fake {
        let fake = Fake::new();
        fake.file(ENFORCE, "1").file("/srv/f", "text\n");
        fake.set_xattr(
            Path::new("/srv/f"),
            ATTRIBUTE,
            b"unconfined_u:object_r:var_t:s0:c1,c2\0",
        )
        .unwrap();
        fake
    }

    fn label(fake: &Fake, path: &str) -> String {
        of(Path::new(path), fake).unwrap().unwrap()
    }

    #[test]
    fn only_the_parts_that_are_wanted_are_set() {
        let fake = enabled();
        let args = r#"{"path":"/srv/f","setype":"etc_t","seuser":"system_u"}"#;
        let outcome = check_agrees::<File>(&fake, args);
        assert!(outcome.changed);
        assert_eq!(label(&fake, "/srv/f"), "system_u:object_r:etc_t:s0:c1,c2");
        assert_eq!(
            outcome.values["secontext"],
            "system_u:object_r:etc_t:s0:c1,c2".into()
        );
        assert!(!run::<File>(&fake, args).changed);
        check_agrees::<File>(&fake, r#"{"path":"/srv/f","selevel":"s0"}"#);
        assert_eq!(label(&fake, "/srv/f"), "system_u:object_r:etc_t:s0");
    }

    #[test]
    fn a_file_that_is_written_keeps_its_label_and_gets_the_wanted_one() {
        let fake = enabled();
        run::<Lineinfile>(&fake, r#"{"path":"/srv/f","line":"more"}"#);
        assert_eq!(label(&fake, "/srv/f"), "unconfined_u:object_r:var_t:s0:c1,c2");
        let args = r#"{"path":"/srv/new","line":"one","create":true,"setype":"etc_t"}"#;
        check_agrees::<Lineinfile>(&fake, args);
        assert_eq!(label(&fake, "/srv/new"), "system_u:object_r:etc_t:s0");
    }

    #[test]
    fn a_folder_with_all_that_is_in_it() {
        let fake = enabled();
        let args = r#"{"path":"/srv","state":"directory","recurse":true,"setype":"srv_t"}"#;
        check_agrees::<File>(&fake, args);
        assert_eq!(label(&fake, "/srv"), "system_u:object_r:srv_t:s0");
        assert_eq!(label(&fake, "/srv/f"), "unconfined_u:object_r:srv_t:s0:c1,c2");
    }

    #[test]
    fn the_policys_own_label_is_asked_for() {
        let fake = enabled();
        let args = r#"{"path":"/srv/f","setype":"_default"}"#;
        let error = crate::modules::testing::failure::<File>(&fake, args);
        assert!(error.contains("install libselinux-utils"), "{error}");
        fake.program("/usr/sbin/matchpathcon");
        fake.answer("matchpathcon -n /srv/f", 0, "system_u:object_r:srv_t:s0\n");
        check_agrees::<File>(&fake, args);
        assert_eq!(label(&fake, "/srv/f"), "unconfined_u:object_r:srv_t:s0:c1,c2");
    }

    #[test]
    fn without_selinux_nothing_is_asked_for() {
        let fake = Fake::new();
        fake.file("/srv/f", "");
        let outcome = run::<File>(&fake, r#"{"path":"/srv/f","setype":"etc_t"}"#);
        assert!(!outcome.changed && !outcome.values.contains_key("secontext"));
    }
}
