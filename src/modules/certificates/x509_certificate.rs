//! `x509_certificate`: a server certificate from an authority on the controller. A module of our own.
//!
//! The private key is made on the target and never leaves it: only a request goes to the authority, by
//! [`System::sign`]. A certificate is left alone as long as it says exactly what is asked for, belongs to
//! its key and its authority, and is not about to expire. The controller fills in `authority_certificate` from
//! `authority_path`, which means nothing here; without it, whose signature the certificate carries is not
//! looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::issued::{IssuedArgs, with_issued_args};
use super::kept::{self, Kept};
use crate::certificate::{self, Certificate, Name, Request};
use crate::modules::files::attributes::FileArgs;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{Attributes, Follow, System};
use crate::wire::message::{Diff, Outcome};

pub struct X509Certificate;

const DAY: Duration = Duration::from_hours(24);
/// Nobody but the server reads its key.
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

#[derive(Debug, Deserialize)]
pub struct Args {
    path: String,
    private_key_path: Option<String>,
    authority: Option<String>,
    authority_certificate: Option<String>,
    common_name: Option<String>,
    subject_alt_names: Option<Vec<String>>,
    renew_before_days: u32,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<String>,
    state: State,
    #[serde(flatten)]
    issued: IssuedArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Present,
    Absent,
}

#[derive(Debug)]
pub enum Change {
    Remove(Vec<PathBuf>, Outcome),
    Attributes(Vec<(PathBuf, Attributes)>, Outcome),
    Issue(Box<Issue>),
    /// Signed on the target.
    Kept(kept::Change),
}

/// All that a new certificate needs.
#[derive(Debug)]
pub struct Issue {
    files: Files,
    authority: String,
    wanted: Wanted,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    certificate_attributes: Attributes,
    key_attributes: Attributes,
}

/// What a certificate has to be like to be left alone.
#[derive(Debug)]
struct Wanted {
    common_name: Option<String>,
    names: BTreeSet<Name>,
    authority: Option<Certificate>,
    renew_before: Duration,
}

impl Module for X509Certificate {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "x509_certificate",
        summary: "Keep a certificate: from an authority of the controller, or signed on the target",
        args: with_issued_args![
            Arg::path("path")
                .required()
                .doc("The certificate, followed by its chain."),
            Arg::path("private_key_path")
                .aliases(&["privatekey_path"])
                .doc("The private key; beside the certificate, ending in .key, unless given."),
            Arg::str("authority").doc("Name of an x509_ca."),
            Arg::path("authority_path")
                .doc("The authority's folder on the controller: `path` of its x509_ca."),
            Arg::str("authority_certificate")
                .doc("Filled in by the controller: the authority's certificate."),
            Arg::str("common_name").doc("The subject; the first host name unless given."),
            Arg::strings("subject_alt_names")
                .aliases(&["subject_alt_name"])
                .doc("All names and addresses of the server: `DNS:name`, `IP:address`, or without prefix."),
            Arg::int("valid_days")
                .default("825")
                .doc("Days for which a new certificate is good; the authority's side decides."),
            Arg::int("renew_before_days")
                .default("30")
                .doc("Days before its end in which a certificate is replaced."),
            Arg::str("owner").doc("Owner of both files."),
            Arg::str("group").doc("Group of both files."),
            Arg::mode("mode").doc("Octal mode of the certificate, 0644 unless given; the key's is 0600."),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("Whether the files are there."),
        ],
        returns: &[
            Return::new("path", "str", "the certificate's file"),
            Return::new("private_key_path", "str", "the key's file"),
            Return::new("reasons", "list of str", "why it is issued").when("it is issued, in check mode"),
            Return::new("subject_alt_names", "list of str", "all its names").when("it is there"),
            Return::new("serial", "str", "hexadecimal, with colons").when("it is there"),
            Return::new("issuer", "str", "who signed it").when("it is there"),
            Return::new("not_before", "str", "when it begins").when("it is there"),
            Return::new("not_after", "str", "when it ends").when("it is there"),
            Return::new("filename", "str", "the certificate's file").when("provider is given"),
            Return::new("csr", "str", "the request's file, or none").when("provider is given"),
            Return::new("certificate", "str", "the certificate")
                .when("provider is given, return_content is true"),
        ],
        example: "\
- x509_certificate:
    path: /etc/ssl/web.crt
    authority: lab
    subject_alt_names: [\"DNS:web.lab\", \"IP:10.0.0.5\"]
    owner: root
    group: ssl-cert

- community.crypto.x509_certificate:
    path: /etc/ssl/web.pem
    provider: ownca
    csr_path: /etc/ssl/web.csr
    ownca_path: /etc/ssl/ca.pem
    ownca_privatekey_path: /etc/ssl/private/ca.key
",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["provider", "authority"]),
            Rule::Exclusive(&["csr_path", "csr_content"]),
            Rule::Exclusive(&["private_key_path", "privatekey_content"]),
            Rule::Exclusive(&["ownca_path", "ownca_content"]),
            Rule::Exclusive(&["ownca_privatekey_path", "ownca_privatekey_content"]),
            Rule::IfAny("state", "present", &["authority", "provider"]),
            Rule::Together(&["authority", "subject_alt_names"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        if args.issued.provider.is_some() {
            return args.kept(system);
        }
        let files = files(&args, system)?;
        if args.state == State::Absent {
            return remove(&files, system);
        }
        let names = args.subject_alt_names.iter().flatten().map(String::as_str);
        let wanted = Wanted {
            common_name: args.common_name,
            names: Name::parse_all(names)?,
            authority: args
                .authority_certificate
                .as_deref()
                .map(Certificate::from_pem)
                .transpose()?,
            renew_before: DAY * args.renew_before_days,
        };
        if wanted.names.is_empty() {
            return Err(certificate::Error::NoNames.into());
        }
        let current = read_text(&files.certificate, system)?;
        let key = read_text(&files.key, system)?;
        let reasons = wanted.objections(current.as_deref(), key.as_deref(), system);
        if reasons.is_empty() {
            let certificate = Certificate::from_pem(current.as_deref().unwrap_or_default())?;
            return keep(&files, &certificate, system);
        }
        let mut predicted = Outcome::changed(true).with("reasons", reasons);
        predicted.diff.push(Diff {
            before_header: files.certificate.display().to_string(),
            after_header: files.certificate.display().to_string(),
            before: current
                .and_then(|text| Certificate::from_pem(&text).ok())
                .map(|certificate| listing(&certificate.names))
                .unwrap_or_default(),
            after: listing(&wanted.names),
        });
        let issue = Issue {
            files,
            authority: args.authority.unwrap_or_default(),
            wanted,
        };
        let predicted = describe(predicted, &issue.files);
        Ok(Plan::Change {
            change: Change::Issue(Box::new(issue)),
            predicted,
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        match change {
            Change::Remove(paths, outcome) => {
                for path in paths {
                    system.remove_file(&path)?;
                }
                Ok(outcome)
            }
            Change::Attributes(changes, outcome) => {
                for (path, attributes) in changes {
                    system.set_attributes(&path, attributes, Follow::Yes)?;
                }
                Ok(outcome)
            }
            Change::Issue(issue) => issue.perform(system),
            Change::Kept(change) => change.apply(system),
        }
    }
}

impl Args {
    /// What `provider` keeps: the certificate alone, the key is a module's of its own.
    fn kept(self, system: &dyn System) -> Result<Plan<Change>, Error> {
        let file = FileArgs {
            mode: self.mode,
            owner: self.owner,
            group: self.group,
            ..FileArgs::default()
        };
        let kept = Kept::new(&self.path, &file, self.issued.backup, system)?;
        let plan = match self.state {
            State::Absent => kept.removed(),
            State::Present => self
                .issued
                .check(kept, self.private_key_path.as_deref(), system)?,
        };
        Ok(match plan {
            Plan::Change { change, predicted } => Plan::Change {
                change: Change::Kept(change),
                predicted,
            },
            Plan::Same(outcome) | Plan::Unknown { skipped: outcome, .. } => Plan::Same(outcome),
        })
    }
}

impl Issue {
    fn perform(&self, system: &dyn System) -> Result<Outcome, Error> {
        let common_name = self.wanted.subject();
        let request = Request::new(common_name.as_deref(), &self.wanted.names)?;
        let chain = system.sign(&self.authority, &request.pem)?;
        let key = request.key.reveal();
        let objections = self.wanted.objections(Some(&chain), Some(key), system);
        if !objections.is_empty() {
            // It would be replaced at every run.
            return Err(Error::new(format!(
                "authority {} issued a certificate that is not what was asked for: {}; check valid_days and \
                 renew_before_days",
                self.authority,
                objections.join(", ")
            )));
        }
        // The key first: a certificate without its key is worse than a key without its certificate, and a
        // run that ends in between issues anew.
        let files = &self.files;
        system.write(&files.key, &mut key.as_bytes(), files.key_attributes)?;
        system.write(
            &files.certificate,
            &mut chain.as_bytes(),
            files.certificate_attributes,
        )?;
        let certificate = Certificate::from_pem(&chain)?;
        Ok(tell(describe(Outcome::changed(true), files), &certificate))
    }
}

impl Wanted {
    /// The common name that a new certificate gets.
    fn subject(&self) -> Option<String> {
        self.common_name.clone().or_else(|| {
            self.names.iter().find_map(|name| match name {
                Name::Dns(name) if name.len() <= 64 => Some(name.clone()),
                _ => None,
            })
        })
    }

    /// Why this certificate and this key (both PEM) will not do; empty if they do.
    fn objections(&self, certificate: Option<&str>, key: Option<&str>, system: &dyn System) -> Vec<String> {
        let Some(text) = certificate else {
            return vec!["there is no certificate".to_owned()];
        };
        let Ok(certificate) = Certificate::from_pem(text) else {
            return vec!["the certificate cannot be read".to_owned()];
        };
        let mut reasons = Vec::new();
        let mut object = |wrong: bool, reason: &str| {
            if wrong {
                reasons.push(reason.to_owned());
            }
        };
        object(key.is_none(), "there is no private key");
        object(
            key.is_some_and(|key| !certificate.has_key(key)),
            "the private key is another certificate's",
        );
        object(
            self.authority
                .as_ref()
                .is_some_and(|authority| !certificate.is_issued_by(authority)),
            "another authority issued it",
        );
        object(certificate.names != self.names, "it has other names");
        object(
            certificate.common_name != self.subject(),
            "it has another common name",
        );
        object(
            certificate.not_after < system.now() + self.renew_before,
            "it ends too soon",
        );
        object(certificate.not_before > system.now(), "it is not valid yet");
        reasons
    }
}

impl From<certificate::Error> for Error {
    fn from(error: certificate::Error) -> Self {
        Self::new(error.to_string())
    }
}

fn files(args: &Args, system: &dyn System) -> Result<Files, Error> {
    let certificate = path::expand(&args.path, system)?;
    let key = match &args.private_key_path {
        Some(path) => path::expand(path, system)?,
        None => certificate.with_extension("key"),
    };
    let uid = match &args.owner {
        None => None,
        Some(owner) => Some(owner.parse().ok().map_or_else(
            || {
                let users = system.users()?;
                let user = users.into_iter().find(|user| user.name == *owner);
                user.map(|user| user.uid)
                    .ok_or_else(|| Error::new(format!("chown failed: failed to look up user {owner}")))
            },
            Ok,
        )?),
    };
    let gid = match &args.group {
        None => None,
        Some(name) => Some(name.parse().ok().map_or_else(
            || {
                let groups = system.groups()?;
                let group = groups.into_iter().find(|group| group.name == *name);
                group
                    .map(|group| group.gid)
                    .ok_or_else(|| Error::new(format!("chgrp failed: failed to look up group {name}")))
            },
            Ok,
        )?),
    };
    let mode = match &args.mode {
        None => CERTIFICATE_MODE,
        Some(text) => u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| Error::new(format!("mode must be octal here, such as 0644, not `{text}`")))?,
    };
    let attributes = |mode| Attributes {
        mode: Some(mode),
        uid,
        gid,
    };
    Ok(Files {
        certificate,
        key,
        certificate_attributes: attributes(mode),
        key_attributes: attributes(KEY_MODE),
    })
}

fn remove(files: &Files, system: &dyn System) -> Result<Plan<Change>, Error> {
    let mut there = Vec::new();
    for path in [&files.certificate, &files.key] {
        if system.metadata(path, Follow::No)?.is_some() {
            there.push(path.clone());
        }
    }
    let outcome = describe(Outcome::changed(!there.is_empty()), files);
    Ok(if there.is_empty() {
        Plan::Same(outcome)
    } else {
        Plan::Change {
            change: Change::Remove(there, outcome.clone()),
            predicted: outcome,
        }
    })
}

/// The certificate stays; its files' attributes may still be wrong.
fn keep(files: &Files, certificate: &Certificate, system: &dyn System) -> Result<Plan<Change>, Error> {
    let mut changes = Vec::new();
    for (path, wanted) in [
        (&files.certificate, files.certificate_attributes),
        (&files.key, files.key_attributes),
    ] {
        let Some(now) = system.metadata(path, Follow::Yes)? else {
            continue;
        };
        let missing = Attributes {
            mode: wanted.mode.filter(|mode| *mode != now.mode),
            uid: wanted.uid.filter(|uid| *uid != now.uid),
            gid: wanted.gid.filter(|gid| *gid != now.gid),
        };
        if missing != Attributes::default() {
            changes.push((path.clone(), missing));
        }
    }
    let outcome = tell(
        describe(Outcome::changed(!changes.is_empty()), files),
        certificate,
    );
    Ok(if changes.is_empty() {
        Plan::Same(outcome)
    } else {
        Plan::Change {
            change: Change::Attributes(changes, outcome.clone()),
            predicted: outcome,
        }
    })
}

fn describe(outcome: Outcome, files: &Files) -> Outcome {
    outcome
        .with("path", files.certificate.display().to_string())
        .with("private_key_path", files.key.display().to_string())
}

fn tell(outcome: Outcome, certificate: &Certificate) -> Outcome {
    let time = |time| jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string());
    let names: Vec<String> = certificate.names.iter().map(Name::to_string).collect();
    outcome
        .with("subject_alt_names", names)
        .with("serial", certificate.serial.as_str())
        .with("issuer", certificate.issuer.as_str())
        .with("not_before", time(certificate.not_before))
        .with("not_after", time(certificate.not_after))
}

fn listing(names: &BTreeSet<Name>) -> String {
    names
        .iter()
        .flat_map(|name| [name.to_string(), "\n".to_owned()])
        .collect()
}

fn read_text(path: &Path, system: &dyn System) -> Result<Option<String>, Error> {
    Ok(match system.metadata(path, Follow::Yes)? {
        None => None,
        Some(_) => Some(String::from_utf8_lossy(&system.read(path)?).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Authority, IssueOptions};
    use crate::modules::{AnyModule, Mode, entry};
    use crate::system::fake::Fake;
    use crate::value::Map;

    fn scene(valid_days: u32) -> (Fake, String) {
        let fake = Fake::new();
        fake.directory("/pki");
        let options = IssueOptions {
            valid_days,
            now: fake.now(),
        };
        let authority = Authority::create("lab", options).unwrap();
        let certificate = authority.certificate_pem().to_owned();
        fake.sign_with(move |name, request| {
            assert_eq!(name, "lab");
            authority
                .issue(request, options)
                .map_err(|error| error.to_string())
        });
        (fake, certificate)
    }

    fn run(fake: &Fake, authority: &str, names: &str, more: &str) -> Outcome {
        let mut given: Map = serde_json::from_str(more).unwrap();
        for (key, value) in [
            ("path", "/pki/a.crt"),
            ("authority", "lab"),
            ("authority_certificate", authority),
            ("subject_alt_names", names),
        ] {
            given.insert(key.to_owned(), value.into());
        }
        let arguments = X509Certificate::SPEC.resolve(&given).unwrap();
        entry::<X509Certificate>().run(&arguments, Mode::default(), fake)
    }

    #[test]
    fn issues_once_and_again_only_for_a_reason() {
        let (fake, authority) = scene(90);
        let first = run(&fake, &authority, "a.lab, IP:10.0.0.1", "{}");
        assert!(first.changed && !first.failed, "{first:?}");
        assert!(fake.text("/pki/a.key").contains("PRIVATE KEY"));
        let again = run(&fake, &authority, "IP:10.0.0.1,A.lab,a.lab", "{}");
        assert!(!again.changed && !again.failed, "{again:?}");
        let mode = |path: &str| fake.metadata(path.as_ref(), Follow::Yes).unwrap().unwrap().mode;
        assert_eq!((mode("/pki/a.key"), mode("/pki/a.crt")), (0o600, 0o644));

        assert!(run(&fake, &authority, "a.lab", "{}").changed, "other names");
        let soon = run(&fake, &authority, "a.lab", r#"{"renew_before_days": 89}"#);
        assert!(!soon.changed, "{soon:?}");
        fake.file("/pki/a.key", "rubbish");
        assert!(run(&fake, &authority, "a.lab", "{}").changed, "other key");
        let (_, stranger) = scene(90);
        let refused = run(&fake, &stranger, "a.lab", "{}");
        assert!(refused.failed && refused.message().unwrap().contains("another authority"));
    }

    #[test]
    fn refuses_what_would_be_renewed_at_every_run() {
        let (fake, authority) = scene(10);
        let refused = run(&fake, &authority, "a.lab", "{}");
        assert!(
            refused.message().unwrap().contains("it ends too soon"),
            "{refused:?}"
        );
        assert!(!fake.listing().contains("a.key"));
    }
}
