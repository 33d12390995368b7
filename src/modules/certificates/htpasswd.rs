//! `htpasswd`: a user and a password in a file for basic authentication. After `community.general.htpasswd`.
//!
//! A password that the hash in the file already fits is left alone, however it is hashed; other lines are never touched.

use serde::Deserialize;

use super::crypt;
use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::editing::{Edited, Editing, Options, bare, lines};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::System;
use crate::value::{Map, Secret};
use crate::wire::message::{Diff, Outcome};

pub struct Htpasswd;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    name: String,
    password: Option<Secret>,
    hash_scheme: String,
    create: bool,
    state: String,
    #[serde(flatten)]
    file: FileArgs,
}

impl Module for Htpasswd {
    type Args = Args;
    type Change = Edited;
    const SPEC: Spec = Spec {
        name: "htpasswd",
        summary: "keep a user and a password in a file for basic authentication",
        args: with_file_args![
            Arg::path("path")
                .aliases(&["dest", "destfile"])
                .required()
                .doc("the file"),
            Arg::str("name").aliases(&["username"]).required().doc("the user"),
            Arg::str("password")
                .secret()
                .doc("the password; needed for a user who is not there"),
            Arg::str("hash_scheme")
                .aliases(&["crypt_scheme"])
                .choices(crypt::SCHEMES)
                .default("apr_md5_crypt")
                .doc("how a new password is hashed"),
            Arg::bool("create")
                .default("yes")
                .doc("make the file if there is none"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("whether the user is there"),
        ],
        returns: &[Return::new("msg", "str", "what was, or would be, done")],
        example: "\
- community.general.htpasswd:
    path: /etc/nginx/passwd
    name: alice
    password: \"{{ alice_password }}\"
    hash_scheme: bcrypt
    owner: root
    group: www-data
    mode: \"0640\"
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Edited>, Error> {
        let name = &args.name;
        if name.is_empty() || name.contains([':', '\n']) {
            return Err(Error::new(format!(
                "name: `{name}` is empty or has a colon in it"
            )));
        }
        let editing = Editing::open(&args.path, system)?;
        let shown = editing.path.display().to_string();
        if args.state == "absent" && !editing.exists() {
            return Ok(Plan::Same(
                Outcome::ok()
                    .with("msg", format!("{name} not present"))
                    .with("warnings", vec![format!("{shown} does not exist")]),
            ));
        }
        if !editing.exists() && !args.create {
            return Err(Error::new(format!("Destination {shown} does not exist")));
        }
        let (after, message) = args.edit(&editing)?;
        let options = Options {
            file: args.file,
            backup: false,
            backup_key: "backup_file",
            validate: None,
            terse: false,
        };
        let mut plan = editing.plan(after, message, Map::new(), options, system)?;
        // A new hash is another each time, and it is nobody's business.
        if let Plan::Change { predicted, .. } = &mut plan {
            predicted.diff.iter_mut().for_each(without_hashes);
        }
        Ok(plan)
    }

    fn apply(change: Edited, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

impl Args {
    fn edit(&self, editing: &Editing) -> Result<(Vec<u8>, String), Error> {
        let name = &self.name;
        let mut all = lines(&editing.before);
        let own = |line: &Vec<u8>| {
            let start = format!("{name}:");
            bare(line).starts_with(start.as_bytes())
        };
        let at = all.iter().position(own);
        if self.state == "absent" {
            let message = match at {
                Some(_) => format!("Remove {name}"),
                None => format!("{name} not present"),
            };
            all.retain(|line| !own(line));
            return Ok((all.concat(), message));
        }
        let Some(password) = &self.password else {
            return match at {
                Some(_) => Ok((editing.before.clone(), format!("{name} already present"))),
                None => Err(Error::new(format!("Specify password for user {name}"))),
            };
        };
        let password = password.reveal();
        let hash = at.and_then(|at| {
            let line = String::from_utf8_lossy(bare(&all[at])).into_owned();
            Some(line.split(':').nth(1)?.to_owned())
        });
        if hash.is_some_and(|hash| crypt::verifies(&hash, password)) {
            return Ok((editing.before.clone(), format!("{name} already present")));
        }
        let line = format!("{name}:{}\n", crypt::hash(&self.hash_scheme, password)?);
        let message = if editing.exists() {
            format!("Add/update {name}")
        } else {
            format!("Created {} and added {name}", editing.path.display())
        };
        match at {
            Some(at) => all[at] = line.into_bytes(),
            None => {
                if let Some(last) = all.last_mut().filter(|last| !last.ends_with(b"\n")) {
                    last.push(b'\n');
                }
                all.push(line.into_bytes());
            }
        }
        Ok((all.concat(), message))
    }
}

fn without_hashes(diff: &mut Diff) {
    for side in [&mut diff.before, &mut diff.after] {
        let shown = side.lines().map(|line| match line.split_once(':') {
            Some((name, _)) if !line.starts_with('#') => format!("{name}:***\n"),
            _ => format!("{line}\n"),
        });
        *side = shown.collect();
    }
    if diff.before == diff.after {
        diff.after = diff.after.replace(":***", ":*** (new)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn user(more: &str) -> String {
        format!(r#"{{"path":"/p","name":"alice"{more}}}"#)
    }

    #[test]
    fn users_come_change_and_go() {
        let fake = Fake::new();
        let made = check_agrees::<Htpasswd>(&fake, &user(r#","password":"one","mode":"0640""#));
        assert_eq!(made.message(), Some("Created /p and added alice"));
        assert!(fake.text("/p").starts_with("alice:$apr1$"));
        fake.file(
            "/p",
            "# mine\nbob:x:y\nalice:$apr1$abc$rjK9DMn0m4iIbtXxyWBns.\nal:z",
        );
        check_agrees::<Htpasswd>(&fake, &user(r#","password":"two","hash_scheme":"sha512_crypt""#));
        let text = fake.text("/p");
        assert!(
            text.starts_with("# mine\nbob:x:y\nalice:$6$") && text.ends_with("\nal:z"),
            "{text}"
        );
        let other_scheme = run::<Htpasswd>(&fake, &user(r#","password":"two""#));
        assert!(
            !other_scheme.changed,
            "the password is the same: {other_scheme:?}"
        );
        assert!(!run::<Htpasswd>(&fake, &user("")).changed);
        check_agrees::<Htpasswd>(&fake, &user(r#","state":"absent""#));
        assert_eq!(fake.text("/p"), "# mine\nbob:x:y\nal:z");
        assert_eq!(
            failure::<Htpasswd>(&fake, &user("")),
            "Specify password for user alice"
        );
    }

    #[test]
    fn a_diff_shows_no_hash() {
        let fake = Fake::new();
        fake.file("/p", "alice:{SHA}x\n");
        let outcome = run::<Htpasswd>(&fake, &user(r#","password":"one""#));
        assert_eq!(
            (outcome.diff[0].before.as_str(), outcome.diff[0].after.as_str()),
            ("alice:***\n", "alice:*** (new)\n")
        );
    }

    #[test]
    fn a_missing_file_is_made_only_if_it_may() {
        let fake = Fake::new();
        let told = failure::<Htpasswd>(&fake, &user(r#","password":"x","create":false"#));
        assert_eq!(told, "Destination /p does not exist");
        assert!(!run::<Htpasswd>(&fake, &user(r#","state":"absent""#)).changed);
        assert!(failure::<Htpasswd>(&fake, r#"{"path":"/p","name":"a:b"}"#).contains("colon"));
    }
}
