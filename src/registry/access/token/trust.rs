//! Whether a token is to be believed: by whom it was signed, for whom, and for how long.
//!
//! A token says by what it wants to be verified: by a chain of certificates (`x5c`), or by a key that has a name
//! (`kid`). A key that a token brings along by itself (`jwk`) proves nothing and is not used. What was verified is
//! remembered until it ends, by the token's digest: a signature costs more than the rest of a request.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::keys::Keys;
use super::{Claims, now};
use crate::registry::access::generations::Generations;
use crate::registry::access::scope::Grants;

/// How far clocks may be apart, in seconds: distribution's.
const LEEWAY: u64 = 60;
/// Tokens that are remembered, at some 300 bytes each.
const MAX_REMEMBERED: usize = 4096;
/// Longer chains are no chains of token servers.
const MAX_CHAIN: usize = 10;

/// What all tokens of a server have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub issuer: String,
    pub service: String,
    pub algorithms: Vec<Algorithm>,
}

/// What a token proves.
#[derive(Debug, Clone)]
pub struct Proved {
    /// None: nobody in particular.
    pub user: Option<Arc<str>>,
    pub grants: Arc<Grants>,
    /// Seconds since the epoch.
    expires: u64,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is no token: {0}")]
    Form(String),
    #[error("it is signed with {0:?}, which is not taken here")]
    Algorithm(Algorithm),
    #[error("it is signed with a key that is not known here")]
    UnknownKey,
    #[error("its chain of certificates is not trusted: {0}")]
    Chain(String),
    #[error("{0}")]
    Refused(String),
}

/// The tokens of one set of keys that were believed lately.
pub struct Verifier {
    keys: Keys,
    proved: Mutex<Generations<[u8; 32], Proved>>,
}

impl Verifier {
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            proved: Mutex::new(Generations::new(MAX_REMEMBERED)),
        }
    }

    pub fn verify(&self, token: &str, terms: &Terms) -> Result<Proved, TokenError> {
        let mark: [u8; 32] = digest(&SHA256, token.as_bytes())
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes");
        let remembered = self.remembered().get(&mark).cloned();
        if let Some(proved) = remembered
            && now() < proved.expires + LEEWAY
        {
            return Ok(proved);
        }
        let proved = self.prove(token, terms)?;
        self.remembered().insert(mark, proved.clone());
        Ok(proved)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Generations<[u8; 32], Proved>> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prove(&self, token: &str, terms: &Terms) -> Result<Proved, TokenError> {
        let header = decode_header(token).map_err(|error| TokenError::Form(error.to_string()))?;
        if !terms.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm(header.alg));
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&terms.issuer]);
        validation.set_audience(&[&terms.service]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = |key: &DecodingKey| decode::<Claims>(token, key, &validation).map(|read| read.claims);
        let embedded = header.jwk.as_ref();
        let chain = header
            .x5c
            .as_ref()
            .or_else(|| embedded.and_then(|jwk| jwk.common.x509_chain.as_ref()));
        let claims = if chain.is_some_and(|chain| !chain.is_empty()) {
            let mut header = header.clone();
            header.x5c = chain.cloned();
            let chain = header
                .x5c_der()
                .map_err(|error| TokenError::Chain(error.to_string()))?
                .unwrap_or_default();
            if chain.len() > MAX_CHAIN {
                return Err(TokenError::Chain("it is too long".to_owned()));
            }
            claims(&self.keys.of_chain(&chain, now()).map_err(TokenError::Chain)?)
        } else {
            let id = header.kid.as_deref();
            let id = id.or_else(|| embedded.and_then(|jwk| jwk.common.key_id.as_deref()));
            let candidates = self
                .keys
                .named(id)
                .filter(|key| key.family().algorithms().contains(&header.alg));
            let mut last = None;
            // One, unless the token names none.
            for key in candidates {
                last = Some(claims(key));
                if let Some(Ok(_)) = &last {
                    break;
                }
            }
            last.ok_or(TokenError::UnknownKey)?
        };
        let claims = claims.map_err(|error| TokenError::Refused(reason(&error)))?;
        Ok(Proved {
            user: (!claims.sub.is_empty()).then(|| claims.sub.into()),
            grants: Arc::new(claims.access.unwrap_or_default()),
            expires: claims.exp,
        })
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer".to_owned(),
        ErrorKind::InvalidAudience => "it is for another service".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it lacks the claim `{claim}`"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::access::rules::Permission;
    use crate::registry::access::scope::{self, Scope};
    use crate::registry::access::token::issue::{self, Names};
    use crate::registry::access::token::signing::SigningKey;

    const NAMES: Names<'static> = Names {
        issuer: "us",
        service: "here",
    };

    fn terms(algorithms: &[Algorithm]) -> Terms {
        Terms {
            issuer: NAMES.issuer.to_owned(),
            service: NAMES.service.to_owned(),
            algorithms: algorithms.to_vec(),
        }
    }

    fn own() -> (tempfile::TempDir, SigningKey, Verifier) {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::read_or_make(folder.path()).unwrap();
        let verifier = Verifier::new(Keys::one(&key.id, key.decoding.clone()));
        (folder, key, verifier)
    }

    fn claims(changes: &[(&str, Value)]) -> Value {
        let mut claims = json!({"iss": "us", "aud": ["here", "there"], "sub": "alice", "exp": now() + 100,
            "access": [{"type": "repository", "name": "a", "actions": ["pull"]}]});
        for (key, value) in changes {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(*key);
            } else {
                claims[*key] = value.clone();
            }
        }
        claims
    }

    #[test]
    fn item_24_what_was_issued_is_believed() {
        let (_folder, key, verifier) = own();
        let grants = Grants(scope::parse(["repository:a/b:pull,push"]).unwrap());
        let minute = Duration::from_mins(1);
        for user in [Some("alice"), None] {
            let token = issue::access(&key, NAMES, user, &grants, now(), minute).unwrap();
            // The second time from memory.
            for _ in 0..2 {
                let proved = verifier.verify(&token, &terms(&[Algorithm::ES256])).unwrap();
                assert_eq!((proved.user.as_deref(), &*proved.grants), (user, &grants));
            }
        }
        let refresh = issue::refresh(&key, NAMES, "alice", "print".to_owned(), minute).unwrap();
        assert_eq!(
            issue::read_refresh(&key, NAMES, &refresh),
            Some(("alice".to_owned(), "print".to_owned()))
        );
        // Neither stands for the other.
        assert!(verifier.verify(&refresh, &terms(&[Algorithm::ES256])).is_err());
        let access = issue::access(&key, NAMES, Some("alice"), &grants, now(), minute).unwrap();
        assert_eq!(issue::read_refresh(&key, NAMES, &access), None);
    }

    #[test]
    fn item_24_what_is_wrong_with_a_token_is_said() {
        let (_folder, key, verifier) = own();
        let token = |changes: &[(&str, Value)]| {
            let mut header = Header::new(Algorithm::ES256);
            header.kid = Some(key.id.clone());
            encode(&header, &claims(changes), &key.encoding).unwrap()
        };
        let verify = |token: &str| {
            let proved = verifier.verify(token, &terms(&[Algorithm::ES256]));
            proved.map(|_| ()).map_err(|error| error.to_string())
        };
        let now = now();
        for (changes, expected) in [
            (vec![], Ok(())),
            (vec![("aud", json!("here"))], Ok(())),
            (vec![("access", Value::Null), ("sub", Value::Null)], Ok(())),
            // Clocks differ.
            (vec![("exp", json!(now - 30))], Ok(())),
            (vec![("nbf", json!(now + 30))], Ok(())),
            (vec![("exp", json!(now - 100))], Err("it has expired")),
            (vec![("nbf", json!(now + 100))], Err("it is not valid yet")),
            (vec![("exp", Value::Null)], Err("it lacks the claim `exp`")),
            (vec![("iss", json!("them"))], Err("it is of another issuer")),
            (vec![("iss", Value::Null)], Err("it lacks the claim `iss`")),
            (vec![("aud", json!(["there"]))], Err("it is for another service")),
            (vec![("aud", Value::Null)], Err("it lacks the claim `aud`")),
        ] {
            let found = verify(&token(&changes));
            assert_eq!(found, expected.map_err(str::to_owned), "{changes:?}");
        }
        let good = token(&[]);
        let (message, signature) = good.rsplit_once('.').unwrap();
        let other = token(&[("sub", json!("bob"))]);
        let (other, _) = other.rsplit_once('.').unwrap();
        assert_eq!(
            verify(&format!("{other}.{signature}")),
            Err("its signature is wrong".to_owned())
        );
        assert!(verify(&format!("{message}.")).is_err());
        for nonsense in ["", "a", "a.b.c", "..", &"x".repeat(10_000)] {
            assert!(
                verify(nonsense).unwrap_err().starts_with("it is no token"),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn item_24_another_algorithm_or_key_is_refused() {
        let (_folder, key, verifier) = own();
        // The public key as a secret: the classic confusion.
        let secret = EncodingKey::from_secret(key.id.as_bytes());
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.id.clone());
        let token = encode(&header, &claims(&[]), &secret).unwrap();
        let verify =
            |token: &str, algorithms: &[Algorithm]| verifier.verify(token, &terms(algorithms)).unwrap_err();
        assert_eq!(
            verify(&token, &[Algorithm::ES256]),
            TokenError::Algorithm(Algorithm::HS256)
        );
        assert_eq!(verify(&token, &[Algorithm::HS256]), TokenError::UnknownKey);
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.";
        assert!(matches!(verify(none, &[Algorithm::ES256]), TokenError::Form(_)));

        let (_elsewhere, other, _) = own();
        let mut header = Header::new(Algorithm::ES256);
        for (id, expected) in [
            (Some(other.id.clone()), TokenError::UnknownKey),
            (
                Some(key.id.clone()),
                TokenError::Refused("its signature is wrong".to_owned()),
            ),
            (None, TokenError::Refused("its signature is wrong".to_owned())),
        ] {
            header.kid = id;
            // What it brings along does not help.
            header.jwk = Some(other.jwk.clone());
            header.jwk.as_mut().unwrap().common.key_id.clone_from(&header.kid);
            let token = encode(&header, &claims(&[]), &other.encoding).unwrap();
            assert_eq!(verify(&token, &[Algorithm::ES256]), expected);
        }
    }

    /// A chain: a root, an issuer below it, and the certificate of the key that signs.
    #[test]
    fn chains_of_certificates() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let authority = || {
            let mut parameters = CertificateParams::default();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters
        };
        let named = |mut parameters: CertificateParams, name: &str| {
            parameters
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            parameters
        };
        let root_key = KeyPair::generate().unwrap();
        let root_parameters = named(authority(), "root");
        let root = root_parameters.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_parameters, &root_key);
        let middle_key = KeyPair::generate().unwrap();
        let middle_parameters = named(authority(), "middle");
        let middle = middle_parameters.signed_by(&middle_key, &root_issuer).unwrap();
        let middle_issuer = Issuer::new(middle_parameters, &middle_key);
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = named(CertificateParams::default(), "leaf")
            .signed_by(&leaf_key, &middle_issuer)
            .unwrap();
        let mut late = named(CertificateParams::default(), "late");
        late.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let late = late.signed_by(&leaf_key, &middle_issuer).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle.pem");
        std::fs::write(&bundle, root.pem()).unwrap();
        let verifier = Verifier::new(Keys::read(Some(&bundle), None).unwrap());
        let verify = |chain: &[&[u8]], signer: &KeyPair| {
            use base64::Engine as _;
            let mut header = Header::new(Algorithm::ES256);
            let encode_der = |der: &&[u8]| base64::engine::general_purpose::STANDARD.encode(der);
            header.x5c = Some(chain.iter().map(encode_der).collect());
            let signer = EncodingKey::from_ec_der(&signer.serialize_der());
            let token = encode(&header, &claims(&[]), &signer).unwrap();
            verifier
                .verify(&token, &terms(&[Algorithm::ES256]))
                .map(|proved| proved.user.unwrap())
        };
        assert_eq!(
            verify(&[leaf.der(), middle.der()], &leaf_key).as_deref(),
            Ok("alice")
        );
        assert_eq!(verify(&[root.der()], &root_key).as_deref(), Ok("alice"));
        let refused = |found: Result<Arc<str>, TokenError>| matches!(found, Err(TokenError::Chain(_)));
        assert!(refused(verify(&[leaf.der()], &leaf_key)));
        assert!(refused(verify(&[late.der(), middle.der()], &leaf_key)));
        let stranger = named(authority(), "root").self_signed(&leaf_key).unwrap();
        assert!(refused(verify(&[stranger.der()], &leaf_key)));
        assert!(refused(verify(&[b"nonsense"], &leaf_key)));
        // The chain is good, and another has signed.
        assert_eq!(
            verify(&[leaf.der(), middle.der()], &root_key),
            Err(TokenError::Refused("its signature is wrong".to_owned()))
        );
    }

    #[test]
    fn certificates_and_key_sets_name_the_same_key() {
        let (folder, key, _) = own();
        let jwks = folder.path().join("jwks.json");
        std::fs::write(&jwks, json!({"keys": [key.jwk, {"kty": "future"}]}).to_string()).unwrap();
        let certificate = folder.path().join("certificate.pem");
        let grants = Grants(vec![Scope::needed(Permission::Pull, Some("a"))]);
        let token = issue::access(&key, NAMES, None, &grants, now(), Duration::from_mins(1)).unwrap();
        for (bundle, set) in [(Some(&*certificate), None), (None, Some(&*jwks))] {
            let verifier = Verifier::new(Keys::read(bundle, set).unwrap());
            assert!(verifier.verify(&token, &terms(&[Algorithm::ES256])).is_ok());
        }
        let empty = folder.path().join("empty");
        std::fs::write(&empty, r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#).unwrap();
        for (bundle, set) in [
            (Some(&*empty), None),
            (None, Some(&*empty)),
            (None, Some(&*certificate)),
        ] {
            let error = Keys::read(bundle, set).err().unwrap();
            assert!(
                error.contains(&set.or(bundle).unwrap().display().to_string()),
                "{error}"
            );
        }
        let nowhere = folder.path().join("nowhere");
        assert!(
            Keys::read(None, Some(&nowhere))
                .err()
                .unwrap()
                .starts_with("read ")
        );
    }
}
