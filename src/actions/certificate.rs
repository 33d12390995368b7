//! `x509_ca` and the controller's half of `x509_certificate`: the authority's key never leaves this machine,
//! the server's key never leaves the target.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Action, Done, Failure, Held, Invocation, Pending, Signer};
use crate::certificate::{IssueOptions, folder};
use crate::modules::{self, Module, Spec};
use crate::value::Value;
use crate::wire::message::Outcome;

/// The argument of `x509_certificate` that names the authority's folder on the controller.
const AUTHORITY_PATH: &str = "authority_path";

pub struct Authority;

impl Action for Authority {
    fn spec(&self) -> &'static Spec {
        &modules::certificates::x509_ca::SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { authority(&task) })
    }
}

fn authority(task: &Invocation) -> Result<Done, Failure> {
    let text = |name: &str| task.arguments[name].as_str().map(str::to_owned);
    let path = controller_path(&task.arguments["path"].to_string());
    let name = text("name").unwrap_or_default();
    let options = IssueOptions {
        valid_days: valid_days(task)?,
        now: SystemTime::now(),
    };
    let problem = |error: crate::certificate::Error| Failure::new(error.to_string());
    let described = |outcome: Outcome| {
        outcome
            .with("path", path.display().to_string())
            .with("name", name.as_str())
    };
    if task.check {
        return Ok(match folder::load(&path).map_err(problem)? {
            Some(found) => described(Outcome::ok()).with("certificate", found.certificate_pem()),
            None => described(Outcome::changed(true)).with("certificate", ""),
        }
        .into());
    }
    let common_name = text("common_name").unwrap_or_else(|| name.clone());
    let (made, new) = folder::load_or_create(&path, &common_name, options).map_err(problem)?;
    Ok(described(Outcome::changed(new))
        .with("certificate", made.certificate_pem())
        .into())
}

pub struct Certificate;

impl Action for Certificate {
    fn spec(&self) -> &'static Spec {
        const { &<modules::certificates::x509_certificate::X509Certificate as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let mut arguments = task.arguments.clone();
            let mut held = Held::default();
            if let (Some(name), Some(path)) = (
                arguments["authority"].as_str(),
                arguments[AUTHORITY_PATH].as_str(),
            ) {
                let path = controller_path(path);
                let found = folder::load(&path).map_err(|error| Failure::new(error.to_string()))?;
                match found {
                    Some(found) => {
                        let signer = Signer {
                            folder: path,
                            valid_days: valid_days(&task)?,
                        };
                        held.authorities.insert(name.to_owned(), signer);
                        let certificate = Value::from(found.certificate_pem());
                        arguments.insert("authority_certificate".to_owned(), certificate);
                    }
                    // The authority would be made by an earlier task: so would the certificate.
                    None if task.check => return Ok(Outcome::changed(true).into()),
                    None => {
                        return Err(Failure::new(format!(
                            "there is no certificate authority in {}: run `x509_ca` with this path first",
                            path.display()
                        )));
                    }
                }
            }
            Ok(task
                .target
                .call("x509_certificate", arguments, held)
                .await?
                .into())
        })
    }
}

fn valid_days(task: &Invocation) -> Result<u32, Failure> {
    let days = task.arguments["valid_days"].as_int().unwrap_or_default();
    u32::try_from(days)
        .ok()
        .filter(|days| *days > 0)
        .ok_or_else(|| Failure::new(format!("valid_days must be a number of days above 0, not {days}")))
}

impl Signer {
    /// A certificate for a request, both PEM.
    pub(super) fn sign(&self, request: &str) -> Result<String, String> {
        let authority = folder::load(&self.folder)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no certificate authority in {}", self.folder.display()))?;
        let options = IssueOptions {
            valid_days: self.valid_days,
            now: SystemTime::now(),
        };
        authority
            .issue(request, options)
            .map_err(|error| error.to_string())
    }
}

/// `~` is the home of whoever runs the controller.
fn controller_path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(text),
    }
}
