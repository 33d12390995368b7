//! `yum_repository`: a section of a `.repo` file. After `ansible.builtin.yum_repository`.
//!
//! The file is read and written as Python's configparser has it: comments are lost where a section changes. Specification: dnf.conf(5).

use std::path::Path;

use serde::Deserialize;

use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::text_diff;
use crate::modules::files::editing::{Edited, Editing, Options};
use crate::modules::files::steps::{Step, perform};
use crate::modules::{Arg, Error, Module, Plan, Return, Spec};
use crate::system::{FileKind, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct YumRepository;

#[derive(Debug, Deserialize)]
pub struct Args {
    name: String,
    description: Option<String>,
    state: String,
    file: Option<String>,
    reposdir: String,
    #[serde(flatten)]
    attributes: FileArgs,
    /// The other options of the section, null where not given.
    #[serde(flatten)]
    options: Map,
}

#[derive(Debug)]
pub enum Change {
    Edit(Edited),
    /// Nothing is left in the file.
    Remove(Vec<Step>, Outcome),
}

impl Module for YumRepository {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "yum_repository",
        summary: "keep a repository of RPM packages",
        args: with_file_args![
            Arg::str("name")
                .required()
                .doc("the repository's id, and its file's name unless `file` is given"),
            Arg::str("description").doc("what it is called; needed where it shall be there"),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("whether it shall be there"),
            Arg::str("file").doc("the file's name without `.repo`"),
            Arg::path("reposdir")
                .default("/etc/yum.repos.d")
                .doc("the folder of the file"),
            Arg::strings("baseurl").doc("where the repository is"),
            Arg::str("mirrorlist").doc("a list of places where it is"),
            Arg::str("metalink").doc("a metalink of places where it is"),
            Arg::bool("async").doc("of old versions of yum"),
            Arg::str("bandwidth").doc("bytes in a second at most"),
            Arg::str("cost").doc("the lower, the rather it is taken"),
            Arg::bool("countme").doc("let the project count this system"),
            Arg::str("deltarpm_metadata_percentage").doc("of old versions of yum"),
            Arg::str("deltarpm_percentage").doc("how small a delta must be to be taken"),
            Arg::bool("enabled").doc("whether it is used"),
            Arg::bool("enablegroups").doc("whether its groups count"),
            Arg::strings("exclude")
                .aliases(&["excludepkgs"])
                .doc("packages to leave alone"),
            Arg::str("failovermethod")
                .choices(&["roundrobin", "priority"])
                .doc("which place is tried first"),
            Arg::str("gpgcakey").doc("of old versions of yum"),
            Arg::bool("gpgcheck").doc("verify packages' signatures"),
            Arg::strings("gpgkey").doc("where its keys are"),
            Arg::str("http_caching")
                .choices(&["all", "packages", "none"])
                .doc("of old versions of yum"),
            Arg::str("include").doc("another file to be read"),
            Arg::strings("includepkgs").doc("the only packages to be taken from it"),
            Arg::str("ip_resolve")
                .choices(&["4", "6", "IPv4", "IPv6", "whatever"])
                .doc("which addresses"),
            Arg::bool("keepalive").doc("of old versions of yum"),
            Arg::str("keepcache")
                .choices(&["0", "1"])
                .doc("of old versions of yum"),
            Arg::str("metadata_expire").doc("how long its metadata is good"),
            Arg::str("metadata_expire_filter")
                .choices(&["never", "read-only:past", "read-only:present", "read-only:future"])
                .doc("of old versions of yum"),
            Arg::str("mirrorlist_expire").doc("of old versions of yum"),
            Arg::bool("module_hotfixes").doc("packages are taken whatever streams of modules say"),
            Arg::str("password").secret().doc("for basic authentication"),
            Arg::str("priority").doc("the lower, the rather it is taken"),
            Arg::bool("protect").doc("of old versions of yum"),
            Arg::str("proxy").doc("the proxy's address, or `_none_`"),
            Arg::str("proxy_password").secret().doc("for the proxy"),
            Arg::str("proxy_username").doc("for the proxy"),
            Arg::bool("repo_gpgcheck").doc("verify the metadata's signature"),
            Arg::str("retries").doc("how often a download is tried"),
            Arg::bool("s3_enabled").doc("the repository is in S3"),
            Arg::bool("skip_if_unavailable").doc("go on without it"),
            Arg::bool("ssl_check_cert_permissions").doc("of old versions of yum"),
            Arg::str("sslcacert")
                .aliases(&["ca_cert"])
                .doc("authorities to trust"),
            Arg::str("sslclientcert")
                .aliases(&["client_cert"])
                .doc("the client's certificate"),
            Arg::str("sslclientkey")
                .aliases(&["client_key"])
                .doc("the client's key"),
            Arg::bool("sslverify")
                .aliases(&["validate_certs"])
                .doc("verify the server's certificate"),
            Arg::str("throttle").doc("how much of the bandwidth is used"),
            Arg::str("timeout").doc("seconds to wait for a connection"),
            Arg::str("ui_repoid_vars").doc("of old versions of yum"),
            Arg::str("username").doc("for basic authentication"),
        ],
        returns: &[
            Return::new("repo", "str", "the repository's id"),
            Return::new("state", "str", "what was asked for"),
        ],
        example: "\
- yum_repository:
    name: epel
    description: Extra Packages for Enterprise Linux
    baseurl: https://download.example.org/pub/epel/$releasever/$basearch/
    gpgkey: https://download.example.org/pub/epel/RPM-GPG-KEY-EPEL-9
    gpgcheck: true
",
        free_form: None,
        rules: &[],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let given = |name: &str| args.options.get(name).is_some_and(|value| *value != Value::Null);
        let present = args.state == "present";
        let places = ["baseurl", "mirrorlist", "metalink"];
        if present && !places.into_iter().any(given) {
            return Err(Error::new(format!(
                "state is present but any of the following are missing: {}",
                places.join(", ")
            )));
        }
        if present && args.description.is_none() {
            return Err(Error::new(
                "state is present but all of the following are missing: description",
            ));
        }
        let folder = system.metadata(Path::new(&args.reposdir), Follow::Yes)?;
        if folder.is_none_or(|folder| folder.kind != FileKind::Directory) {
            return Err(Error::new(format!(
                "Repo directory '{}' does not exist.",
                args.reposdir
            )));
        }
        let file = args.file.as_ref().unwrap_or(&args.name);
        let path = Path::new(&args.reposdir).join(format!("{file}.repo"));
        let editing = Editing::open(&path.display().to_string(), system)?;
        let before = Repositories::parse(&String::from_utf8_lossy(&editing.before));
        let mut after = before.clone();
        after.0.retain(|section| section.name != args.name);
        if present {
            after.0.push(section(&args));
        }
        let values = Map::from_iter([
            ("repo".to_owned(), args.name.as_str().into()),
            ("state".to_owned(), args.state.as_str().into()),
        ]);
        if after.0.is_empty() && editing.exists() && !before.0.is_empty() {
            let label = path.display().to_string();
            let mut outcome = Outcome::changed(true)
                .with("repo", args.name.as_str())
                .with("state", args.state.as_str());
            outcome
                .diff
                .push(text_diff((&label, &editing.before), (&label, b"")));
            return Ok(Plan::Change {
                change: Change::Remove(vec![Step::Remove(editing.path)], outcome.clone()),
                predicted: outcome,
            });
        }
        let text = if after.sorted() == before.sorted() {
            editing.before.clone()
        } else {
            after.text().into_bytes()
        };
        let options = Options {
            file: if editing.exists() || present {
                args.attributes
            } else {
                FileArgs::default()
            },
            backup: false,
            backup_key: "backup_file",
            validate: None,
            terse: true,
        };
        let plan = editing.plan(text, String::new(), values, options, system)?;
        Ok(plan.map(Change::Edit))
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Edit(edited) => edited.apply(system),
            Change::Remove(steps, outcome) => {
                perform(&steps, system)?;
                Ok(outcome)
            }
        }
    }
}

/// The section that the arguments ask for, its options by name.
fn section(args: &Args) -> Section {
    let mut options: Vec<(String, String)> = args
        .options
        .iter()
        .filter(|(_, value)| **value != Value::Null)
        .map(|(name, value)| {
            let text = match (name.as_str(), value) {
                (_, Value::Bool(flag)) => i32::from(*flag).to_string(),
                ("exclude" | "includepkgs", Value::List(items)) => joined(items, " "),
                (_, Value::List(items)) => joined(items, "\n"),
                (_, other) => other.to_string(),
            };
            (name.clone(), text)
        })
        .collect();
    options.push(("name".to_owned(), args.description.clone().unwrap_or_default()));
    options.sort();
    Section {
        name: args.name.clone(),
        options,
    }
}

fn joined(items: &[Value], separator: &str) -> String {
    items
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join(separator)
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Section {
    name: String,
    options: Vec<(String, String)>,
}

/// A `.repo` file.
#[derive(Debug, Clone, Default)]
struct Repositories(Vec<Section>);

impl Repositories {
    /// Sections and options; what is indented belongs to the option above, what begins with `#` or `;` to nothing.
    fn parse(text: &str) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for line in text.lines() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with(['#', ';']) {
                continue;
            }
            let heading = bare.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            if let (Some((name, _)), false) = (heading, line.starts_with([' ', '\t'])) {
                sections.push(Section {
                    name: name.to_owned(),
                    options: Vec::new(),
                });
                continue;
            }
            let Some(section) = sections.last_mut() else {
                continue;
            };
            if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), section.options.last_mut()) {
                if !value.is_empty() {
                    value.push('\n');
                }
                value.push_str(bare);
            } else if let Some((name, value)) = bare.split_once(['=', ':']) {
                let option = (name.trim().to_lowercase(), value.trim().to_owned());
                section.options.push(option);
            }
        }
        Self(sections)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.0 {
            text += &["[", &section.name, "]\n"].concat();
            for (name, value) in &section.options {
                text += &[name, " = ", &value.replace('\n', "\n\t"), "\n"].concat();
            }
            text.push('\n');
        }
        text
    }

    /// Order means nothing.
    fn sorted(&self) -> Vec<Section> {
        let mut sections = self.0.clone();
        for section in &mut sections {
            section.options.sort();
        }
        sections.sort();
        sections
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    const FILE: &str = "/etc/yum.repos.d/app.repo";

    #[test]
    fn a_repository_comes_changes_and_goes() {
        let fake = Fake::new();
        fake.directory("/etc/yum.repos.d");
        let base = r#""name":"app","description":"An app","baseurl":["http://a/","http://b/"],"mode":"0640""#;
        check_agrees::<YumRepository>(&fake, &format!(r#"{{{base},"gpgcheck":false,"exclude":"x,y"}}"#));
        insta::assert_snapshot!(fake.text(FILE), @r"
        [app]
        baseurl = http://a/
        	http://b/
        exclude = x y
        gpgcheck = 0
        name = An app
        ");
        let other = r#"{"name":"other","file":"app","description":"o","metalink":"http://m","enabled":true}"#;
        check_agrees::<YumRepository>(&fake, other);
        // The same in other words.
        fake.file(
            FILE,
            fake.text(FILE)
                .replace(" = ", "=")
                .replace("\n\n", "\n# comment\n"),
        );
        assert!(!run::<YumRepository>(&fake, other).changed);
        let outcome = check_agrees::<YumRepository>(&fake, r#"{"name":"app","state":"absent"}"#);
        assert_eq!(outcome.values["repo"], "app".into());
        assert_eq!(
            fake.text(FILE),
            "[other]\nenabled = 1\nmetalink = http://m\nname = o\n\n"
        );
        check_agrees::<YumRepository>(&fake, r#"{"name":"other","file":"app","state":"absent"}"#);
        assert!(!fake.listing().contains("app.repo"));
        assert!(!run::<YumRepository>(&fake, r#"{"name":"none","state":"absent"}"#).changed);
    }

    #[test]
    fn refuses_with_the_words_that_users_know() {
        let fake = Fake::new();
        for (arguments, message) in [
            (
                r#"{"name":"a","description":"d"}"#,
                "state is present but any of the following are missing: baseurl, mirrorlist, metalink",
            ),
            (
                r#"{"name":"a","baseurl":"http://x"}"#,
                "state is present but all of the following are missing: description",
            ),
            (
                r#"{"name":"a","baseurl":"http://x","description":"d"}"#,
                "Repo directory '/etc/yum.repos.d' does not exist.",
            ),
        ] {
            assert_eq!(failure::<YumRepository>(&fake, arguments), message);
        }
    }
}
