//! `openssl_csr`: a request for a certificate. After `community.crypto.openssl_csr`.
//!
//! The key stays where it is: it signs the request and is read for nothing else. A request is made anew if it says something
//! else, or is another key's. Deliberately no passphrases.

use serde::Deserialize;

use super::general::{self, Point, REASONS};
use super::kept::{Change, Kept};
use super::key::Key;
use super::signing::{self, About};
use super::words::{self, ALTERNATIVE_NAMES, Extension};
use crate::modules::files::attributes::{FileArgs, with_file_args};
use crate::modules::files::content::{BACKUP, BACKUP_FILE};
use crate::modules::files::path::expand;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::{Follow, System};
use crate::value::{Map, Secret, Value};
use crate::wire::message::Outcome;

pub struct OpensslCsr;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
pub struct Args {
    path: String,
    state: String,
    privatekey_path: Option<String>,
    privatekey_content: Option<Secret>,
    digest: String,
    subject: Option<Map>,
    subject_ordered: Option<Vec<Map>>,
    subject_alt_name: Option<Vec<String>>,
    subject_alt_name_critical: bool,
    use_common_name_for_san: bool,
    key_usage: Option<Vec<String>>,
    key_usage_critical: bool,
    extended_key_usage: Option<Vec<String>>,
    extended_key_usage_critical: bool,
    basic_constraints: Option<Vec<String>>,
    basic_constraints_critical: bool,
    ocsp_must_staple: bool,
    ocsp_must_staple_critical: bool,
    create_subject_key_identifier: bool,
    subject_key_identifier: Option<String>,
    authority_key_identifier: Option<String>,
    authority_cert_issuer: Option<Vec<String>>,
    authority_cert_serial_number: Option<String>,
    name_constraints_permitted: Option<Vec<String>>,
    name_constraints_excluded: Option<Vec<String>>,
    name_constraints_critical: bool,
    crl_distribution_points: Option<Vec<Point>>,
    force: bool,
    backup: bool,
    return_content: bool,
    #[serde(flatten)]
    file: FileArgs,
    /// The parts of the subject that have arguments of their own.
    #[serde(flatten)]
    others: Map,
}

/// Arguments for parts of the subject, in the order in which they stand there.
const PARTS: &[(&str, &str)] = &[
    ("country_name", "C"),
    ("state_or_province_name", "ST"),
    ("locality_name", "L"),
    ("organization_name", "O"),
    ("organizational_unit_name", "OU"),
    ("common_name", "CN"),
    ("email_address", "E"),
];

#[rustfmt::skip]
const POINT: &[Arg] = &[
    Arg::strings("full_name").doc("its names, mostly `URI:`"),
    Arg::strings("relative_name").doc("parts of a name below the issuer's: `CN=list`"),
    Arg::strings("crl_issuer").doc("who signs the list, unless it is who signs the certificate"),
    Arg::strings("reasons").choices(REASONS).doc("which revocations it has"),
];
const POINT_RULES: &[Rule] = &[
    Rule::Exclusive(&["full_name", "relative_name"]),
    Rule::OneOf(&["full_name", "relative_name", "crl_issuer"]),
];

impl Module for OpensslCsr {
    type Args = Args;
    type Change = Change;

    #[rustfmt::skip]
    const SPEC: Spec = Spec {
        name: "openssl_csr",
        summary: "keep a request for a certificate",
        args: with_file_args![
            Arg::path("path").required().doc("the file"),
            Arg::str("state").choices(&["absent", "present"]).default("present").doc("whether it is there"),
            Arg::path("privatekey_path").doc("the private key's file, on the target"),
            Arg::str("privatekey_content").secret().doc("the private key itself"),
            Arg::str("digest").default("sha256").doc("what an RSA key signs with: sha256, sha384 or sha512"),
            Arg::str("country_name").aliases(&["C", "countryName"]).doc("of the subject: two letters"),
            Arg::str("state_or_province_name").aliases(&["ST", "stateOrProvinceName"]).doc("of the subject"),
            Arg::str("locality_name").aliases(&["L", "localityName"]).doc("of the subject"),
            Arg::str("organization_name").aliases(&["O", "organizationName"]).doc("of the subject"),
            Arg::str("organizational_unit_name").aliases(&["OU", "organizationalUnitName"]).doc("of the subject"),
            Arg::str("common_name").aliases(&["CN", "commonName"]).doc("of the subject"),
            Arg::str("email_address").aliases(&["E", "emailAddress"]).doc("of the subject"),
            Arg::dict("subject").doc("further parts of the subject, by their names; a list has several of a kind"),
            Arg::list("subject_ordered").doc("the subject itself: dicts of one part each, in their order"),
            Arg::strings("subject_alt_name").aliases(&["subjectAltName"])
                .doc("`DNS:name`, `IP:address`, `URI:`, `email:`, `RID:`, `dirName:CN=a,O=b`, `otherName:OID;UTF8:text`"),
            Arg::bool("subject_alt_name_critical").aliases(&["subjectAltName_critical"]).default("no")
                .doc("who does not understand them shall refuse the certificate"),
            Arg::bool("use_common_name_for_san").aliases(&["useCommonNameForSAN"]).default("yes")
                .doc("without `subject_alt_name`, take the common name as one"),
            Arg::strings("key_usage").aliases(&["keyUsage"])
                .doc("what the key may be used for: digitalSignature, keyEncipherment, keyCertSign, cRLSign..."),
            Arg::bool("key_usage_critical").aliases(&["keyUsage_critical"]).default("no").doc("as above"),
            Arg::strings("extended_key_usage").aliases(&["extKeyUsage", "extendedKeyUsage"])
                .doc("serverAuth, clientAuth, codeSigning..., or an object identifier"),
            Arg::bool("extended_key_usage_critical").aliases(&["extKeyUsage_critical", "extendedKeyUsage_critical"])
                .default("no").doc("as above"),
            Arg::strings("basic_constraints").aliases(&["basicConstraints"]).doc("`CA:TRUE`, `pathlen:0`"),
            Arg::bool("basic_constraints_critical").aliases(&["basicConstraints_critical"]).default("no")
                .doc("as above"),
            Arg::bool("ocsp_must_staple").aliases(&["ocspMustStaple"]).default("no")
                .doc("a server has to bring along that it is not revoked"),
            Arg::bool("ocsp_must_staple_critical").aliases(&["ocspMustStaple_critical"]).default("no")
                .doc("as above"),
            Arg::bool("create_subject_key_identifier").default("no").doc("ask for an identifier made from the key"),
            Arg::str("subject_key_identifier").doc("ask for this identifier, in hexadecimal"),
            Arg::str("authority_key_identifier").doc("of the key that signs, in hexadecimal"),
            Arg::strings("authority_cert_issuer").doc("who has issued the certificate of the key that signs, as names"),
            Arg::str("authority_cert_serial_number").doc("that certificate's number, in decimal"),
            Arg::strings("name_constraints_permitted").doc("an authority may issue for these alone: names, `IP:10.0.0.0/8`"),
            Arg::strings("name_constraints_excluded").doc("an authority may not issue for these"),
            Arg::bool("name_constraints_critical").default("no").doc("as above"),
            Arg::list("crl_distribution_points").options(POINT).rules(POINT_RULES)
                .doc("where lists of revoked certificates are to be had"),
            Arg::int("version").choices(&["1"]).default("1").doc("there is no other"),
            Arg::bool("force").default("no").doc("make a new one in any case"),
            BACKUP,
            Arg::bool("return_content").default("no").doc("have the request in the result"),
        ],
        returns: &[
            Return::new("filename", "str", "the file"),
            Return::new("privatekey", "str", "the key's file, or none").when("state is present"),
            Return::new("subject", "list of list", "the subject's parts and their texts").when("state is present"),
            Return::new("subjectAltName", "list of str", "all its names, or none").when("state is present"),
            Return::new("keyUsage", "list of str", "as given").when("state is present"),
            Return::new("extendedKeyUsage", "list of str", "as given").when("state is present"),
            Return::new("basicConstraints", "list of str", "as given").when("state is present"),
            Return::new("ocspMustStaple", "bool", "as given").when("state is present"),
            Return::new("name_constraints_permitted", "list of str", "as given").when("state is present"),
            Return::new("name_constraints_excluded", "list of str", "as given").when("state is present"),
            Return::new("csr", "str", "the request").when("return_content is true"),
            BACKUP_FILE,
        ],
        example: "\
- community.crypto.openssl_csr:
    path: /etc/ssl/web.csr
    privatekey_path: /etc/ssl/private/web.key
    common_name: web.example.org
    subject_alt_name: [\"DNS:web.example.org\", \"IP:10.0.0.5\"]
    key_usage: [digitalSignature, keyEncipherment]
    extended_key_usage: serverAuth
",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["privatekey_path", "privatekey_content"]),
            Rule::Exclusive(&["subject", "subject_ordered"]),
            Rule::Together(&["authority_cert_issuer", "authority_cert_serial_number"]),
            Rule::IfAny("state", "present", &["privatekey_path", "privatekey_content"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let kept = Kept::new(&args.path, &args.file, args.backup, system)?;
        if args.state == "absent" {
            return Ok(kept.removed());
        }
        let content = args.privatekey_content.as_ref().map(Secret::reveal);
        let key = private_key(args.privatekey_path.as_deref(), content, system)?;
        let names = args.names();
        let about = args.about(&key, names.as_deref()).map_err(Error::new)?;
        let text = kept.text(system)?;
        let now = text.as_deref().and_then(signing::read_request);
        let is_right = !args.force && now.as_ref().is_some_and(|now| now.says(&about));
        let new = if is_right {
            None
        } else {
            Some(signing::request(&about, &key, &args.digest).map_err(Error::new)?)
        };
        let mut outcome = args.tell(&about, names);
        if args.return_content {
            outcome = outcome.with("csr", new.clone().or(text).unwrap_or_default());
        }
        let before = now.map(|now| now.listing()).unwrap_or_default();
        kept.present(new, outcome, &before, &about.listing())
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }
}

/// A key of the target, or one that the task gives.
pub fn private_key(path: Option<&str>, content: Option<&str>, system: &dyn System) -> Result<Key, Error> {
    let (what, text) = match (path, content) {
        (_, Some(text)) => ("the private key".to_owned(), text.to_owned()),
        (Some(path), None) => {
            let path = expand(path, system)?;
            let shown = path.display().to_string();
            if system.metadata(&path, Follow::Yes)?.is_none() {
                return Err(Error::new(format!(
                    "The private key {shown} does not exist: make it first, with openssl_privatekey"
                )));
            }
            let text = String::from_utf8_lossy(&system.read(&path)?).into_owned();
            (shown, text)
        }
        (None, None) => {
            return Err(Error::new(
                "a private key is needed: privatekey_path or privatekey_content",
            ));
        }
    };
    Key::from_pem(&text).ok_or_else(|| {
        Error::new(format!(
            "{what} is no private key of a kind that is known here: encrypted ones are not, nor are DSA and Ed448"
        ))
    })
}

impl Args {
    fn subject(&self) -> Vec<(String, String)> {
        let mut parts = Vec::new();
        let mut add = |part: &str, value: &Value| {
            for text in value.as_list().unwrap_or(std::slice::from_ref(value)) {
                parts.push((part.to_owned(), text.to_string()));
            }
        };
        if let Some(ordered) = &self.subject_ordered {
            ordered
                .iter()
                .flatten()
                .for_each(|(part, value)| add(part, value));
            return parts;
        }
        for (argument, part) in PARTS {
            if let Some(value) = self.others.get(*argument).filter(|value| **value != Value::Null) {
                add(part, value);
            }
        }
        self.subject
            .iter()
            .flatten()
            .for_each(|(part, value)| add(part, value));
        parts
    }

    fn names(&self) -> Option<Vec<String>> {
        if self.subject_alt_name.is_some() || !self.use_common_name_for_san {
            return self.subject_alt_name.clone();
        }
        let subject = self.subject();
        let (_, name) = subject
            .iter()
            .find(|(part, _)| ["CN", "commonName"].contains(&part.as_str()))?;
        Some(vec![format!("DNS:{name}")])
    }

    fn about(&self, key: &Key, names: Option<&[String]>) -> Result<About, String> {
        let public = key
            .public()
            .ok_or("the private key does not tell its public one")?;
        let mut extensions = Vec::new();
        if let Some(names) = names {
            let value = words::alternative_names(names).map_err(|why| {
                if self.subject_alt_name.is_some() {
                    return why;
                }
                format!("{why}; it is the common name: `use_common_name_for_san: false` keeps it from being a name of the host")
            })?;
            extensions.push(Extension::new(
                ALTERNATIVE_NAMES,
                self.subject_alt_name_critical,
                value,
            ));
        }
        if let Some(names) = &self.key_usage {
            extensions.push(words::key_usage(names, self.key_usage_critical)?);
        }
        if let Some(names) = &self.extended_key_usage {
            extensions.push(words::purposes(names, self.extended_key_usage_critical)?);
        }
        if let Some(names) = &self.basic_constraints {
            extensions.push(words::constraints(names, self.basic_constraints_critical)?);
        }
        if self.ocsp_must_staple {
            extensions.push(words::must_staple(self.ocsp_must_staple_critical));
        }
        let (permitted, excluded) = self.constraints();
        if !permitted.is_empty() || !excluded.is_empty() {
            let critical = self.name_constraints_critical;
            extensions.push(general::constraints(permitted, excluded, critical)?);
        }
        let identifier = |text: &Option<String>, what: &str| {
            let bytes = text.as_deref().map(|text| {
                general::hexadecimal(text)
                    .ok_or_else(|| format!("Cannot parse {what}: `{text}` is not hexadecimal"))
            });
            bytes.transpose()
        };
        let own = identifier(&self.subject_key_identifier, "subject_key_identifier")?;
        match (self.create_subject_key_identifier, own) {
            (true, Some(_)) => {
                return Err(
                    "subject_key_identifier cannot be specified if create_subject_key_identifier is true"
                        .to_owned(),
                );
            }
            (true, None) => extensions.push(words::subject_key(&words::key_identifier(&public))),
            (false, Some(own)) => extensions.push(words::subject_key(&own)),
            (false, None) => {}
        }
        let signer = identifier(&self.authority_key_identifier, "authority_key_identifier")?;
        let serial = self.authority_cert_serial_number.as_deref().map(|text| {
            general::number(text)
                .ok_or_else(|| format!("authority_cert_serial_number: `{text}` is no whole number"))
        });
        let serial = serial.transpose()?;
        if signer.is_some() || serial.is_some() {
            let issuer = self.authority_cert_issuer.as_deref();
            extensions.push(general::authority(signer.as_deref(), issuer, serial.as_deref())?);
        }
        if let Some(points) = self
            .crl_distribution_points
            .as_deref()
            .filter(|points| !points.is_empty())
        {
            extensions.push(general::points(points)?);
        }
        Ok(About {
            subject: words::name(&self.subject())?,
            public,
            extensions,
        })
    }

    fn constraints(&self) -> (&[String], &[String]) {
        (
            self.name_constraints_permitted.as_deref().unwrap_or_default(),
            self.name_constraints_excluded.as_deref().unwrap_or_default(),
        )
    }

    fn tell(&self, about: &About, names: Option<Vec<String>>) -> Outcome {
        let subject = words::parts(&about.subject).into_iter();
        let subject: Vec<Value> = subject.map(|(part, text)| vec![part, text].into()).collect();
        let (permitted, excluded) = self.constraints();
        Outcome::ok()
            .with("name_constraints_permitted", permitted.to_vec())
            .with("name_constraints_excluded", excluded.to_vec())
            .with("privatekey", self.privatekey_path.clone())
            .with("subject", subject)
            .with("subjectAltName", names)
            .with("keyUsage", self.key_usage.clone())
            .with("extendedKeyUsage", self.extended_key_usage.clone())
            .with("basicConstraints", self.basic_constraints.clone())
            .with("ocspMustStaple", self.ocsp_must_staple)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{check_agrees, failure, run};
    use crate::system::fake::Fake;

    fn machine() -> Fake {
        let fake = Fake::new();
        fake.directory("/pki");
        let key = super::super::key::CURVES
            .iter()
            .position(|curve| curve.0 == "secp256r1")
            .unwrap();
        let kind = super::super::key::Kind::Ecc { curve: key };
        let key = Key::generate(kind, kind.usual_format()).unwrap();
        fake.file("/pki/a.key", key.to_pem());
        fake
    }

    fn request(more: &str) -> String {
        format!(r#"{{"path":"/pki/a.csr","privatekey_path":"/pki/a.key"{more}}}"#)
    }

    #[test]
    fn made_once_and_again_if_it_says_something_else() {
        let fake = machine();
        let first = r#","CN":"a.lab","O":"Ä","subject_alt_name":"DNS:a.lab,IP:10.0.0.1","key_usage":"digitalSignature""#;
        let made = check_agrees::<OpensslCsr>(&fake, &request(first));
        assert!(made.values["subject"].to_string().contains("a.lab"), "{made:?}");
        let same = r#","common_name":"a.lab","O":"Ä","subject_alt_name":["IP:10.0.0.1","DNS:a.lab"],"key_usage":"Digital Signature""#;
        assert!(!run::<OpensslCsr>(&fake, &request(same)).changed);
        assert!(run::<OpensslCsr>(&fake, &request(r#","CN":"a.lab""#)).changed);
        assert!(
            !run::<OpensslCsr>(&fake, &request(r#","CN":"a.lab","subject_alt_name":"DNS:a.lab""#)).changed
        );
        assert!(run::<OpensslCsr>(&fake, &request(r#","CN":"a.lab","mode":"0600""#)).changed);
        let away = run::<OpensslCsr>(&fake, r#"{"path":"/pki/a.csr","state":"absent"}"#);
        assert!(away.changed && !fake.listing().contains("a.csr"));
    }

    #[test]
    fn constraints_lists_and_signers() {
        let fake = machine();
        let more = r#","CN":"ca","use_common_name_for_san":false,"name_constraints_permitted":["DNS:lab","IP:10.0.0.0/8"],
            "name_constraints_excluded":"DNS:secret.lab","name_constraints_critical":true,
            "crl_distribution_points":[{"full_name":"URI:http://lab/ca.crl","reasons":["key_compromise","aa_compromise"]}],
            "authority_key_identifier":"00:11:22","authority_cert_issuer":["dirName:CN=root,O=lab"],
            "authority_cert_serial_number":"340282366920938463463374607431768211456","subject_key_identifier":"AA:bb""#;
        let made = check_agrees::<OpensslCsr>(&fake, &request(more));
        assert_eq!(
            made.values["name_constraints_permitted"].to_string(),
            "['DNS:lab', 'IP:10.0.0.0/8']"
        );
        let turned = more.replace(r#"["DNS:lab","IP:10.0.0.0/8"]"#, r#"["IP:10.0.0.0/8","DNS:lab"]"#);
        assert!(!run::<OpensslCsr>(&fake, &request(&turned)).changed);
        for (now, other) in [
            ("aa_compromise", "superseded"),
            ("DNS:secret", "DNS:public"),
            ("00:11:22", "00:11:23"),
        ] {
            assert!(
                run::<OpensslCsr>(&fake, &request(&more.replace(now, other))).changed,
                "{other}"
            );
        }
    }

    #[test]
    fn another_key_is_another_request() {
        let fake = machine();
        assert!(run::<OpensslCsr>(&fake, &request("")).changed);
        let other = machine().text("/pki/a.key");
        fake.file("/pki/a.key", other);
        assert!(run::<OpensslCsr>(&fake, &request("")).changed);
        fake.file("/pki/a.csr", "rubbish");
        assert!(run::<OpensslCsr>(&fake, &request("")).changed);
        assert!(!run::<OpensslCsr>(&fake, &request("")).changed);
    }

    #[test]
    fn refusals() {
        let fake = machine();
        for (more, part) in [
            (
                r#","subject_alt_name":"a.lab""#,
                "Cannot parse Subject Alternative Name",
            ),
            (r#","key_usage":"everything""#, "key_usage: `everything`"),
            (r#","C":"Deutschland""#, "two letters"),
            (r#","subject":{"nonsense":"x"}"#, "`nonsense`"),
            (r#","CN":"Die Lab-CÄ""#, "use_common_name_for_san: false"),
            (
                r#","subject_key_identifier":"00","create_subject_key_identifier":true"#,
                "cannot be specified if create_subject_key_identifier",
            ),
            (
                r#","subject_key_identifier":"0g""#,
                "Cannot parse subject_key_identifier",
            ),
            (
                r#","authority_cert_issuer":"DNS:a""#,
                "authority_cert_serial_number",
            ),
            (
                r#","authority_cert_issuer":"DNS:a","authority_cert_serial_number":"-1""#,
                "no whole number",
            ),
            (
                r#","name_constraints_excluded":"lab""#,
                "Cannot parse name constraints excluded",
            ),
            (
                r#","crl_distribution_points":[{"reasons":["superseded"]}]"#,
                "full_name, relative_name, crl_issuer",
            ),
            (
                r#","crl_distribution_points":[{"full_name":"lab"}]"#,
                "CRL distribution point #0",
            ),
        ] {
            let message = failure::<OpensslCsr>(&fake, &request(more));
            assert!(message.contains(part), "{more}: {message}");
        }
        let missing = failure::<OpensslCsr>(&fake, r#"{"path":"/pki/a.csr","privatekey_path":"/none"}"#);
        assert!(missing.contains("openssl_privatekey"), "{missing}");
        assert!(failure::<OpensslCsr>(&fake, r#"{"path":"/pki/a.csr"}"#).contains("any of the following"));
    }
}
