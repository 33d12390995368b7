//! Whether an endpoint may be used: the one place that every request passes between routing and its handler, and
//! what is written down of it once the handler is done.
//!
//! Who asks is `registry::access`'s to find out, and what that allows too; here it becomes a status. Nobody is told
//! whether what was denied exists.

use std::sync::Arc;

use base64::Engine as _;
use hyper::StatusCode;
use hyper::header;

use super::Asked;
use super::admission::too_many;
use crate::registry::access::audit::{Happening, Line, Outcome};
use crate::registry::access::challenge::{BearerError, Challenge};
use crate::registry::access::identity::Identity;
use crate::registry::access::rules::{Because, Permission};
use crate::registry::access::scope::Scope;
use crate::registry::access::{Auth, Credentials, Disbelief, NotOffered, offered};
use crate::registry::access_log::REQUEST_ID;
use crate::registry::config::Config;
use crate::registry::content::{ContentError, Registry};
use crate::registry::error::{ApiError, Problem};
use crate::registry::name::{Reference, RepositoryName};
use crate::registry::route::{Action, Endpoint, Start};
use crate::value::Secret;

/// Where the built-in token server is.
pub const TOKEN_PATH: &str = "/v2/token";
/// Entries of the catalog that are looked through at once, when not all of them may be shown.
const CATALOG_BATCH: usize = 1000;

impl Action {
    /// What rules have to allow.
    fn permission(self) -> Option<Permission> {
        match self {
            Self::Open | Self::Base => None,
            Self::Catalog => Some(Permission::Catalog),
            Self::Pull => Some(Permission::Pull),
            Self::Push => Some(Permission::Push),
            Self::Delete => Some(Permission::Delete),
        }
    }
}

/// What a request does to what, kept for when its handler is done.
#[derive(Default)]
pub struct Deed {
    happening: Option<Happening>,
    repository: Option<RepositoryName>,
    reference: Option<String>,
    /// Access has let it pass.
    passed: bool,
}

impl Deed {
    pub fn of(endpoint: &Endpoint) -> Self {
        let (happening, reference) = match endpoint {
            Endpoint::PutManifest(_, reference, _) => (Some(Happening::Push), Some(shown(reference))),
            Endpoint::FinishUpload(_, _, digest) | Endpoint::StartUpload(_, Start::Monolithic(digest)) => {
                (Some(Happening::Push), Some(digest.to_string()))
            }
            Endpoint::StartUpload(_, Start::Mount { digest, .. }) => {
                (Some(Happening::Mount), Some(digest.to_string()))
            }
            Endpoint::DeleteManifest(_, reference) => (Some(Happening::Delete), Some(shown(reference))),
            Endpoint::DeleteBlob(_, digest) => (Some(Happening::Delete), Some(digest.to_string())),
            _ => (None, None),
        };
        Self {
            happening,
            repository: endpoint.repository().cloned(),
            reference,
            passed: false,
        }
    }
}

fn shown(reference: &Reference) -> String {
    match reference {
        Reference::Tag(tag) => tag.to_string(),
        Reference::Digest(digest) => digest.to_string(),
    }
}

/// Lets a request pass, or says why not. What comes back is what may be done: a mount from what the client may not
/// read has become an upload like any other.
pub async fn check(asked: &mut Asked<'_>, endpoint: Endpoint) -> Result<Endpoint, ApiError> {
    let action = endpoint.action();
    if action == Action::Open {
        return Ok(endpoint);
    }
    let auth = Arc::clone(&asked.auth);
    asked.identity = match identify(asked, &auth).await {
        Ok(identity) => identity,
        Err(disbelief) => {
            asked.admit_request()?;
            return Err(asked.disbelieved(&auth, &disbelief, &needed(&endpoint)));
        }
    };
    asked.record.user = asked.identity.name().map(Into::into);
    asked.admit_request()?;
    let Some(permission) = action.permission() else {
        // Asked for in order to learn how to log in: whoever has not is told, whatever anonymous clients may do.
        let known = asked.identity.token.is_some() || !asked.identity.subject().is_anonymous();
        if auth.config.is_set() && !known {
            return Err(asked.unauthorized(&auth, &needed(&endpoint), None));
        }
        return Ok(endpoint);
    };
    let repository = endpoint.repository().map_or("", RepositoryName::as_str);
    match asked.judge().decide(permission, repository) {
        Ok(because) => asked.because = because,
        Err(denial) => return Err(asked.denied(&auth, &denial, permission, &needed(&endpoint))),
    }
    asked.deed.passed = true;
    let read_only = asked.service.access.is_read_only(asked.config);
    offered(asked.config, read_only, permission)?;
    asked.announced(&endpoint).await?;
    Ok(match endpoint {
        Endpoint::StartUpload(
            name,
            Start::Mount {
                digest,
                from: Some(from),
            },
        ) => {
            let readable = asked.judge().decide(Permission::Pull, from.as_str()).is_ok();
            let from = readable.then_some(from);
            Endpoint::StartUpload(name, Start::Mount { digest, from })
        }
        endpoint => endpoint,
    })
}

impl From<NotOffered> for ApiError {
    fn from(reason: NotOffered) -> Self {
        match reason {
            NotOffered::ReadOnly => Problem::ReadOnly.into(),
            NotOffered::NoDeletion => Problem::Unsupported.detail(reason.to_string()),
        }
    }
}

/// The scopes of a token that the endpoint would be satisfied with.
fn needed(endpoint: &Endpoint) -> Vec<Scope> {
    let repository = endpoint.repository().map(RepositoryName::as_str);
    let own = endpoint
        .action()
        .permission()
        .map(|permission| Scope::needed(permission, repository));
    let source = match endpoint {
        Endpoint::StartUpload(_, Start::Mount { from: Some(from), .. }) => {
            Some(Scope::needed(Permission::Pull, Some(from.as_str())))
        }
        _ => None,
    };
    own.into_iter().chain(source).collect()
}

async fn identify(asked: &Asked<'_>, auth: &Auth) -> Result<Identity, Disbelief> {
    let credentials = match asked.request.headers().get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(credentials).ok_or(Disbelief::Kind)?),
    };
    let access = &asked.service.access;
    access
        .identify(
            auth,
            credentials,
            asked.connection.certificate.clone(),
            asked.connection.peer.ip(),
        )
        .await
}

/// Reads an `Authorization` header.
pub fn credentials(header: &str) -> Option<Credentials> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(Secret::new(rest.trim())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(rest.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Password {
        user: user.to_owned(),
        password: Secret::new(password),
    })
}

/// Decides for one client; owned, so that it can go to where the catalog is read.
struct Judge {
    config: Arc<Config>,
    auth: Arc<Auth>,
    identity: Identity,
}

enum Denial {
    /// The token does not cover it, and another one could.
    Scope,
    Rules(Because),
}

impl Judge {
    fn decide(&self, permission: Permission, repository: &str) -> Result<Option<Because>, Denial> {
        let rules = &self.config.access.rules;
        if let Some(grants) = &self.identity.token {
            let granted = grants.allow(permission, repository);
            // Another server's tokens are that server's decision, unless there are rules beside it.
            if self.auth.config.token.is_set() && rules.list.is_empty() {
                return if granted { Ok(None) } else { Err(Denial::Scope) };
            }
            self.by_rules(permission, repository)?;
            if !granted {
                return Err(Denial::Scope);
            }
        }
        self.by_rules(permission, repository)
    }

    fn by_rules(&self, permission: Permission, repository: &str) -> Result<Option<Because>, Denial> {
        let subject = self.identity.subject();
        let decision =
            self.config
                .access
                .rules
                .decide(subject, permission, repository, self.auth.config.is_set());
        if decision.allowed {
            Ok(Some(decision.because))
        } else {
            Err(Denial::Rules(decision.because))
        }
    }

    /// A list may name what the client could pull, with a token for it or without.
    fn lists(&self, repository: &str) -> bool {
        self.identity.token.is_some() && self.config.access.rules.list.is_empty()
            || self.by_rules(Permission::Pull, repository).is_ok()
    }
}

impl Asked<'_> {
    fn judge(&self) -> Judge {
        Judge {
            config: Arc::clone(self.config),
            auth: Arc::clone(&self.auth),
            identity: self.identity.clone(),
        }
    }

    /// What is said to a client that is not believed.
    pub fn disbelieved(&self, auth: &Auth, disbelief: &Disbelief, scopes: &[Scope]) -> ApiError {
        let (error, reason) = match disbelief {
            Disbelief::Slowed(wait) => return too_many("too many log-ins have failed", *wait),
            Disbelief::Token(error) => (Some(BearerError::InvalidToken), error.to_string()),
            Disbelief::Wrong => (None, "user or password are wrong".to_owned()),
            Disbelief::Kind => (None, "this registry has no log-in of this kind".to_owned()),
        };
        let tried = self.header(header::AUTHORIZATION).and_then(credentials);
        let user = match &tried {
            Some(Credentials::Password { user, .. }) => Some(user.as_str()),
            _ => None,
        };
        self.audit(Line {
            user,
            status: Some(Problem::Unauthorized.status().as_u16()),
            reason: Some(reason.clone()),
            ..Line::new(Happening::LoginFailed, Outcome::Denied)
        });
        let mut refusal = self.unauthorized(auth, scopes, error);
        refusal.detail = Some(reason.into());
        refusal
    }

    fn denied(&self, auth: &Auth, denial: &Denial, permission: Permission, scopes: &[Scope]) -> ApiError {
        let anonymous = self.identity.subject().is_anonymous();
        let (refusal, rule) = match denial {
            Denial::Scope => (
                self.unauthorized(auth, scopes, Some(BearerError::InsufficientScope)),
                "the token does not cover it".to_owned(),
            ),
            // Logging in might help.
            Denial::Rules(because) if anonymous && auth.config.is_set() => {
                let error = self
                    .identity
                    .token
                    .is_some()
                    .then_some(BearerError::InsufficientScope);
                (self.unauthorized(auth, scopes, error), because.to_string())
            }
            Denial::Rules(because) => {
                let subject = self.identity.subject();
                let detail = match self.deed.repository.as_ref() {
                    Some(name) => format!("{subject} may not {permission} `{name}`"),
                    None => format!("{subject} may not ask for the {permission}"),
                };
                (Problem::Denied.detail(detail), because.to_string())
            }
        };
        // The first request of every client that is about to log in is no denial.
        if !anonymous || self.identity.token.is_some() || refusal.problem == Problem::Denied {
            self.audit(Line {
                action: Some(permission.name()),
                status: Some(refusal.problem.status().as_u16()),
                rule: Some(rule),
                ..Line::new(Happening::Denied, Outcome::Denied)
            });
        }
        refusal
    }

    fn unauthorized(&self, auth: &Auth, scopes: &[Scope], error: Option<BearerError>) -> ApiError {
        let config = &auth.config;
        let realm;
        let challenge = if self.is_for_people() && config.htpasswd.path.is_some() {
            // A browser knows no tokens.
            Some(Challenge::Basic {
                realm: &config.htpasswd.realm,
            })
        } else if config.server.enabled {
            realm = config
                .server
                .realm
                .clone()
                .unwrap_or_else(|| self.absolute(TOKEN_PATH));
            Some(Challenge::Bearer {
                realm: &realm,
                service: &config.server.service,
                scopes,
                error,
            })
        } else if config.token.is_set() {
            realm = match &config.token.realm {
                Some(realm) if !config.token.auto_redirect => realm.clone(),
                _ => self.absolute(&config.token.auto_redirect_path),
            };
            Some(Challenge::Bearer {
                realm: &realm,
                service: &config.token.service,
                scopes,
                error,
            })
        } else if config.is_set() {
            Some(Challenge::Basic {
                realm: &config.htpasswd.realm,
            })
        } else {
            None
        };
        let refusal = ApiError::from(Problem::Unauthorized);
        match challenge {
            Some(challenge) => refusal.header(header::WWW_AUTHENTICATE, &challenge.to_string()),
            None => refusal,
        }
    }

    /// Writes a line of the audit log, with what is known of the request.
    pub fn audit(&self, line: Line<'_>) {
        let anonymous = self.identity.name().is_none();
        self.service.access.audit.tell(Line {
            user: line.user.or(self.identity.name()),
            proof: (!anonymous).then(|| self.identity.proof()),
            address: Some(self.connection.peer.ip()),
            repository: self.deed.repository.as_ref().map(RepositoryName::as_str),
            reference: self.deed.reference.as_deref(),
            request: self.header(REQUEST_ID),
            ..line
        });
    }

    /// What is to be done once the handler is: the audit log, counts.
    pub fn settle(&self, status: StatusCode, refusal: Option<&ApiError>) {
        let deed = &self.deed;
        let Some(name) = deed.repository.as_ref().filter(|_| deed.passed) else {
            return;
        };
        let done = status.is_success();
        if deed.happening == Some(Happening::Delete) {
            self.service.access.quotas.forget(name);
        }
        let happening = match deed.happening {
            // A mount that could not be has become the start of an upload, and nothing has happened yet.
            Some(Happening::Mount) if done && status != StatusCode::CREATED => return,
            Some(happening) => happening,
            None if status == StatusCode::FORBIDDEN => Happening::Denied,
            None => return,
        };
        let outcome = match status {
            StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => Outcome::Denied,
            _ if done => Outcome::Done,
            _ => Outcome::Failed,
        };
        self.audit(Line {
            status: Some(status.as_u16()),
            rule: self.because.map(|because| because.to_string()),
            reason: refusal.map(|refusal| refusal.message().to_owned()),
            ..Line::new(happening, outcome)
        });
    }

    /// Tells which repositories a list for this client may name.
    pub fn lists(&self) -> impl Fn(&RepositoryName) -> bool + Send + 'static {
        let judge = self.judge();
        move |name| judge.config.access.rules.list.is_empty() || judge.lists(name.as_str())
    }

    /// Up to `count` repositories after `last` that this client may know of.
    pub async fn visible(&self, last: Option<String>, count: usize) -> Result<Vec<String>, ApiError> {
        let judge = self.judge();
        self.content(move |registry| visible(registry, &judge, last, count))
            .await
    }
}

fn visible(
    registry: &Registry,
    judge: &Judge,
    last: Option<String>,
    count: usize,
) -> Result<Vec<String>, ContentError> {
    if judge.config.access.rules.list.is_empty() {
        return registry.catalog(last.as_deref(), count);
    }
    let (mut found, mut last) = (Vec::new(), last);
    loop {
        let batch = registry.catalog(last.as_deref(), CATALOG_BATCH)?;
        let ended = batch.len() < CATALOG_BATCH;
        last = batch.last().cloned().or(last);
        found.extend(batch.into_iter().filter(|name| judge.lists(name)));
        if ended || found.len() >= count {
            found.truncate(count);
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_24_credentials_are_read() {
        let password = |user: &str, password: &str| {
            Some(Credentials::Password {
                user: user.to_owned(),
                password: Secret::new(password),
            })
        };
        for (header, expected) in [
            ("Basic YWxpY2U6c2VjcmV0", password("alice", "secret")),
            ("basic  YWxpY2U6YTpi ", password("alice", "a:b")),
            ("Basic Og==", password("", "")),
            ("Bearer abc", Some(Credentials::Token(Secret::new("abc")))),
            ("Basic YWxpY2U=", None),
            ("Basic ???", None),
            ("Basic /w==", None),
            ("Digest x", None),
            ("Basic", None),
            ("", None),
        ] {
            assert_eq!(credentials(header), expected, "{header}");
        }
    }

    #[test]
    fn item_24_scopes_of_endpoints() {
        let name = || "a/b".parse::<RepositoryName>().unwrap();
        let digest = || crate::registry::digest::Digest::of(crate::registry::digest::Algorithm::Sha256, b"");
        let mount = Start::Mount {
            digest: digest(),
            from: Some("c".parse().unwrap()),
        };
        for (endpoint, expected) in [
            (Endpoint::Base, ""),
            (
                Endpoint::Catalog(crate::registry::route::Page::default()),
                "registry:catalog:*",
            ),
            (Endpoint::GetBlob(name(), digest()), "repository:a/b:pull"),
            (Endpoint::DeleteBlob(name(), digest()), "repository:a/b:delete"),
            (
                Endpoint::StartUpload(name(), Start::Session(None)),
                "repository:a/b:pull,push",
            ),
            (
                Endpoint::StartUpload(name(), mount),
                "repository:a/b:pull,push repository:c:pull",
            ),
        ] {
            let shown: Vec<String> = needed(&endpoint).iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{endpoint:?}");
        }
    }
}
