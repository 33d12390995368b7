//! A certificate signed on the target: by its own key (`selfsigned`), or by an authority of which the target has the key
//! (`ownca`). After the providers of `community.crypto.x509_certificate`.
//!
//! A certificate is made anew if it is another request's, another key's or another authority's; its end alone makes no new one, but
//! with `ignore_timestamps: false`. Deliberately no `acme` and no passphrases.

use jiff::Timestamp;
use serde::Deserialize;

use super::kept::{Change, Kept};
use super::key::Key;
use super::openssl_csr::private_key;
use super::signing::{self, About, Certificate, Issue};
use super::words::{self, AUTHORITY_KEY, Extension, SUBJECT_KEY};
use super::x509_certificate_info::time_at;
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Plan};
use crate::system::{Follow, System};
use crate::value::Secret;
use crate::wire::message::Outcome;

/// `SEQUENCE { [0] keyIdentifier }`.
const KEY_IDENTIFIER: u8 = 0x80;

/// The table of a module's own arguments with those of [`IssuedArgs`] added.
macro_rules! with_issued_args {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::modules::Arg::str("provider")
                .choices(&["ownca", "selfsigned"])
                .doc("who signs on the target, instead of an authority of the controller"),
            $crate::modules::Arg::path("csr_path").doc("The request's file; `selfsigned` can do without."),
            $crate::modules::Arg::str("csr_content").doc("The request itself, instead of its file."),
            $crate::modules::Arg::str("privatekey_content")
                .secret()
                .doc("The private key itself, instead of its file."),
            $crate::modules::Arg::path("ownca_path").doc("The authority's certificate, on the target."),
            $crate::modules::Arg::str("ownca_content").doc("The authority's certificate itself."),
            $crate::modules::Arg::path("ownca_privatekey_path").doc("The authority's key, on the target."),
            $crate::modules::Arg::str("ownca_privatekey_content")
                .secret()
                .doc("The authority's key itself."),
            $crate::modules::certificates::issued::digest("ownca_digest"),
            $crate::modules::certificates::issued::not_before("ownca_not_before"),
            $crate::modules::certificates::issued::not_after("ownca_not_after"),
            $crate::modules::certificates::issued::subject_key("ownca_create_subject_key_identifier"),
            $crate::modules::Arg::bool("ownca_create_authority_key_identifier")
                .default("yes")
                .doc("Name the authority's key in the certificate."),
            $crate::modules::certificates::issued::digest("selfsigned_digest"),
            $crate::modules::certificates::issued::not_before("selfsigned_not_before")
                .aliases(&["selfsigned_notBefore"]),
            $crate::modules::certificates::issued::not_after("selfsigned_not_after")
                .aliases(&["selfsigned_notAfter"]),
            $crate::modules::certificates::issued::subject_key("selfsigned_create_subject_key_identifier"),
            $crate::modules::Arg::bool("ignore_timestamps")
                .default("yes")
                .doc("Another beginning or end makes no new certificate; with `no` they have to be absolute."),
            $crate::modules::Arg::bool("force")
                .default("no")
                .doc("Make a new one in any case; with `provider` only, as all that follows."),
            $crate::modules::files::content::BACKUP,
            $crate::modules::Arg::bool("return_content")
                .default("no")
                .doc("Have the certificate in the result."),
        ]
    };
}
pub(super) use with_issued_args;

pub const fn digest(name: &'static str) -> Arg {
    Arg::str(name)
        .default("sha256")
        .doc("What an RSA key signs with: sha256, sha384 or sha512.")
}

pub const fn not_before(name: &'static str) -> Arg {
    Arg::str(name)
        .default("+0s")
        .doc("When it begins: +1w2d3h4m5s from now, or YYYYMMDDhhmmssZ.")
}

pub const fn not_after(name: &'static str) -> Arg {
    Arg::str(name)
        .default("+3650d")
        .doc("When it ends, told in the same way.")
}

pub const fn subject_key(name: &'static str) -> Arg {
    Arg::str(name)
        .choices(&["create_if_not_provided", "always_create", "never_create"])
        .default("create_if_not_provided")
        .doc("Whether the certificate names its key by an identifier made from it.")
}

/// What [`with_issued_args`] adds, as a module receives it (`#[serde(flatten)]`).
#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
pub struct IssuedArgs {
    pub provider: Option<String>,
    csr_path: Option<String>,
    csr_content: Option<String>,
    privatekey_content: Option<Secret>,
    ownca_path: Option<String>,
    ownca_content: Option<String>,
    ownca_privatekey_path: Option<String>,
    ownca_privatekey_content: Option<Secret>,
    ownca_digest: String,
    ownca_not_before: String,
    ownca_not_after: String,
    ownca_create_subject_key_identifier: String,
    ownca_create_authority_key_identifier: bool,
    selfsigned_digest: String,
    selfsigned_not_before: String,
    selfsigned_not_after: String,
    selfsigned_create_subject_key_identifier: String,
    ignore_timestamps: bool,
    force: bool,
    pub backup: bool,
    return_content: bool,
}

/// Who signs, and how.
struct Signer<'a> {
    key: Key,
    public: Vec<u8>,
    /// DER.
    issuer: Vec<u8>,
    /// What names its key in what it signs.
    identifier: Option<Vec<u8>>,
    digest: &'a str,
    not_before: &'a str,
    not_after: &'a str,
    subject_key: &'a str,
}

impl IssuedArgs {
    pub fn check(
        &self,
        kept: Kept,
        key_path: Option<&str>,
        system: &dyn System,
    ) -> Result<Plan<Change>, Error> {
        let key_content = self.privatekey_content.as_ref().map(Secret::reveal);
        let key = match (key_path, key_content) {
            (None, None) => None,
            _ => Some(private_key(key_path, key_content, system)?),
        };
        let csr = self.request(system)?;
        let about = match (&csr, &key) {
            (Some(about), _) => about.clone(),
            (None, Some(key)) if self.provider.as_deref() == Some("selfsigned") => About {
                subject: words::name(&[]).map_err(Error::new)?,
                public: public(key)?,
                extensions: Vec::new(),
            },
            _ => return Err(Error::new("a request is needed: csr_path or csr_content")),
        };
        if let Some(key) = &key
            && public(key)? != about.public
        {
            return Err(Error::new(
                "the request is another private key's: make it anew, with openssl_csr",
            ));
        }
        let signer = match self.provider.as_deref() {
            Some("selfsigned") => self.oneself(key, &about)?,
            _ => self.authority(system)?,
        };
        let about = signer.completed(about);
        let now = Timestamp::try_from(system.now()).map_err(|error| Error::new(error.to_string()))?;
        let time = |text: &str| {
            time_at(text, now).ok_or_else(|| {
                Error::new(format!(
                    "`{text}` is neither relative (+1w2d3h4m5s) nor absolute (YYYYMMDDhhmmssZ)"
                ))
            })
        };
        let issue = Issue {
            about: &about,
            issuer: &signer.issuer,
            key: &signer.key,
            digest: signer.digest,
            not_before: time(signer.not_before)?,
            not_after: time(signer.not_after)?,
        };
        let text = kept.text(system)?;
        let current = text.as_deref().and_then(Certificate::from_pem);
        let is_right = |found: &Certificate| {
            let is_in_time = found.not_before == issue.not_before.as_second()
                && found.not_after == issue.not_after.as_second();
            found.about.says(&about)
                && found.issuer == signer.issuer
                && found.is_signed_by(&signer.public)
                && (self.ignore_timestamps || is_in_time)
        };
        let new = match &current {
            Some(found) if !self.force && is_right(found) => None,
            _ => Some(issue.certificate().map_err(Error::new)?),
        };
        let mut outcome = Outcome::ok()
            .with("privatekey", key_path.map(str::to_owned))
            .with("csr", self.csr_path.clone());
        if self.return_content {
            outcome = outcome.with("certificate", new.clone().or(text).unwrap_or_default());
        }
        let before = current.map(|found| found.about.listing()).unwrap_or_default();
        kept.present(new, outcome, &before, &about.listing())
    }

    fn request(&self, system: &dyn System) -> Result<Option<About>, Error> {
        let what = self.csr_path.as_deref().unwrap_or("csr_content");
        let text = read(
            self.csr_path.as_deref(),
            self.csr_content.as_deref(),
            "certificate signing request",
            system,
        )?;
        let Some(text) = text else {
            return Ok(None);
        };
        match signing::read_request(&text) {
            Some(about) => Ok(Some(about)),
            None => Err(Error::new(format!(
                "{what} is no certificate signing request, or its signature is not that of its key"
            ))),
        }
    }

    fn oneself(&self, key: Option<Key>, about: &About) -> Result<Signer<'_>, Error> {
        let key = key.ok_or_else(|| {
            Error::new("provider selfsigned needs the private key: privatekey_path or privatekey_content")
        })?;
        Ok(Signer {
            public: public(&key)?,
            key,
            issuer: about.subject.clone(),
            identifier: None,
            digest: &self.selfsigned_digest,
            not_before: &self.selfsigned_not_before,
            not_after: &self.selfsigned_not_after,
            subject_key: &self.selfsigned_create_subject_key_identifier,
        })
    }

    fn authority(&self, system: &dyn System) -> Result<Signer<'_>, Error> {
        let (path, content) = (self.ownca_path.as_deref(), self.ownca_content.as_deref());
        let text = read(path, content, "authority's certificate", system)?.ok_or_else(|| {
            Error::new("provider ownca needs the authority's certificate: ownca_path or ownca_content")
        })?;
        let what = path.unwrap_or("ownca_content");
        let certificate =
            Certificate::from_pem(&text).ok_or_else(|| Error::new(format!("{what} is no certificate")))?;
        let content = self.ownca_privatekey_content.as_ref().map(Secret::reveal);
        let key = private_key(self.ownca_privatekey_path.as_deref(), content, system)?;
        if public(&key)? != certificate.about.public {
            return Err(Error::new(format!(
                "{what} and the authority's private key do not belong to one another"
            )));
        }
        let own = certificate.about.extension(SUBJECT_KEY).and_then(|extension| {
            super::der::element(&extension.value).map(|(_, identifier, _)| identifier.to_vec())
        });
        let identifier = own.unwrap_or_else(|| words::key_identifier(&certificate.about.public));
        Ok(Signer {
            key,
            public: certificate.about.public,
            issuer: certificate.about.subject,
            identifier: Some(identifier).filter(|_| self.ownca_create_authority_key_identifier),
            digest: &self.ownca_digest,
            not_before: &self.ownca_not_before,
            not_after: &self.ownca_not_after,
            subject_key: &self.ownca_create_subject_key_identifier,
        })
    }
}

impl Signer<'_> {
    /// With the identifiers of both keys.
    fn completed(&self, mut about: About) -> About {
        let is_given = about.extension(SUBJECT_KEY).is_some();
        if self.subject_key == "always_create" {
            about.extensions.retain(|extension| !extension.is(SUBJECT_KEY));
        }
        if self.subject_key == "always_create" || (self.subject_key == "create_if_not_provided" && !is_given)
        {
            about
                .extensions
                .push(words::subject_key(&words::key_identifier(&about.public)));
        }
        if let Some(identifier) = &self.identifier {
            about.extensions.retain(|extension| !extension.is(AUTHORITY_KEY));
            let value = super::der::put(super::der::SEQUENCE, &super::der::put(KEY_IDENTIFIER, identifier));
            about.extensions.push(Extension::new(AUTHORITY_KEY, false, value));
        }
        about
    }
}

fn public(key: &Key) -> Result<Vec<u8>, Error> {
    key.public()
        .ok_or_else(|| Error::new("the private key does not tell its public one"))
}

/// A text of the target, or one that the task gives.
fn read(
    path: Option<&str>,
    content: Option<&str>,
    what: &str,
    system: &dyn System,
) -> Result<Option<String>, Error> {
    if content.is_some() {
        return Ok(content.map(str::to_owned));
    }
    let Some(path) = path else {
        return Ok(None);
    };
    let path = expand(path, system)?;
    if system.metadata(&path, Follow::Yes)?.is_none() {
        return Err(Error::new(format!(
            "The {what} file {} does not exist",
            path.display()
        )));
    }
    Ok(Some(String::from_utf8_lossy(&system.read(&path)?).into_owned()))
}

#[cfg(test)]
mod tests {
    use crate::modules::certificates::key::{CURVES, Key, Kind};
    use crate::modules::certificates::openssl_csr::OpensslCsr;
    use crate::modules::certificates::x509_certificate::X509Certificate;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    /// An authority of its own, and a server's key and request.
    fn machine() -> Fake {
        let fake = Fake::new();
        fake.directory("/pki");
        let curve = CURVES.iter().position(|curve| curve.0 == "secp256r1").unwrap();
        for (name, kind) in [("ca", Kind::Ecc { curve }), ("web", Kind::Ed25519)] {
            let key = Key::generate(kind, kind.usual_format()).unwrap();
            fake.file(&format!("/pki/{name}.key"), key.to_pem());
        }
        request(
            &fake,
            "ca",
            r#""CN":"lab","use_common_name_for_san":false,"basic_constraints":"CA:TRUE","key_usage":"keyCertSign""#,
        );
        request(&fake, "web", r#""CN":"web.lab""#);
        let made = run::<X509Certificate>(
            &fake,
            r#"{"path":"/pki/ca.pem","provider":"selfsigned","csr_path":"/pki/ca.csr","privatekey_path":"/pki/ca.key"}"#,
        );
        assert!(made.changed, "{made:?}");
        fake
    }

    fn request(fake: &Fake, name: &str, more: &str) {
        let arguments = format!(r#"{{"path":"/pki/{name}.csr","privatekey_path":"/pki/{name}.key",{more}}}"#);
        assert!(run::<OpensslCsr>(fake, &arguments).changed);
    }

    fn issued(more: &str) -> String {
        format!(
            r#"{{"path":"/pki/web.pem","provider":"ownca","csr_path":"/pki/web.csr","ownca_path":"/pki/ca.pem",
                "ownca_privatekey_path":"/pki/ca.key"{more}}}"#
        )
    }

    #[test]
    fn an_authority_of_the_target_signs_once() {
        let fake = machine();
        check_agrees::<X509Certificate>(&fake, &issued(""));
        assert!(!run::<X509Certificate>(&fake, &issued(r#","ownca_not_after":"+10d""#)).changed);
        let timed = r#","ignore_timestamps":false,"ownca_not_before":"20250101000000Z","ownca_not_after":"20550101000000Z""#;
        check_agrees::<X509Certificate>(&fake, &issued(timed));
        request(&fake, "web", r#""CN":"other.lab""#);
        assert!(
            run::<X509Certificate>(&fake, &issued("")).changed,
            "another request"
        );
        fake.file("/pki/ca.pem", machine().text("/pki/ca.pem"));
        assert!(failure::<X509Certificate>(&fake, &issued("")).contains("do not belong to one another"));
    }

    #[test]
    fn refusals() {
        let fake = machine();
        fake.file("/pki/web.csr", "rubbish");
        assert!(failure::<X509Certificate>(&fake, &issued("")).contains("no certificate signing request"));
        let other = r#"{"path":"/pki/x.pem","provider":"selfsigned","csr_path":"/pki/ca.csr","privatekey_path":"/pki/web.key"}"#;
        assert!(failure::<X509Certificate>(&fake, other).contains("another private key's"));
        let alone = failure::<X509Certificate>(&fake, r#"{"path":"/pki/x.pem"}"#);
        assert!(
            alone.contains("any of the following are missing: authority, provider"),
            "{alone}"
        );
    }
}
