//! `/v2/token`: the built-in token server, and the keys that its tokens are signed with.
//!
//! Docker's token protocol in both of its forms: GET with Basic, and POST with an `OAuth2` form. Scopes are reduced to
//! what the rules allow, silently, as the protocol has it; what is left decides at the endpoint that is
//! then asked. A token for nobody in particular is one for what anonymous clients may do.

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;
use url::form_urlencoded;

use super::access::credentials;
use super::body::Body;
use super::{Answer, Asked, receive, respond};
use crate::registry::access::audit::{Happening, Line, Outcome};
use crate::registry::access::identity::Identity;
use crate::registry::access::rules::Permission;
use crate::registry::access::scope::{self, Grants};
use crate::registry::access::token::{issue, now};
use crate::registry::access::{Auth, Credentials, Disbelief, Issuing};
use crate::registry::error::{ApiError, Problem};
use crate::value::Secret;

/// A form holds a password or a refresh token, and some scopes.
const MAX_FORM: usize = 64 << 10;

/// What a client wants.
#[derive(Default)]
struct Wanted {
    service: Option<String>,
    scopes: Vec<String>,
    /// A refresh token too.
    offline: bool,
    grant: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    refresh: Option<Secret>,
}

impl Wanted {
    fn read(text: &[u8]) -> Self {
        let mut wanted = Self::default();
        for (key, value) in form_urlencoded::parse(text) {
            let value = value.into_owned();
            match &*key {
                "service" => wanted.service = Some(value),
                "scope" => wanted.scopes.push(value),
                "offline_token" => wanted.offline |= value == "true",
                "access_type" => wanted.offline |= value == "offline",
                "grant_type" => wanted.grant = Some(value),
                "username" => wanted.user = Some(value),
                "password" => wanted.password = Some(Secret::new(value)),
                "refresh_token" => wanted.refresh = Some(Secret::new(value)),
                // `client_id` and `account` prove nothing.
                _ => {}
            }
        }
        wanted
    }
}

/// GET: who asks is in the `Authorization` header.
pub async fn get(asked: &mut Asked<'_>) -> Answer {
    let auth = Arc::clone(&asked.auth);
    let issuing = auth.issuing.as_ref().ok_or(Problem::NoSuchEndpoint)?;
    let wanted = Wanted::read(asked.request.uri().query().unwrap_or("").as_bytes());
    let given = match asked.header(header::AUTHORIZATION) {
        None => None,
        Some(text) => match credentials(text) {
            Some(credentials @ Credentials::Password { .. }) => Some(credentials),
            // A token does not get one the next.
            _ => return Err(asked.disbelieved(&auth, &Disbelief::Kind, &[])),
        },
    };
    log_in(asked, &auth, given).await?;
    answer(asked, &auth, issuing, &wanted)
}

/// POST: who asks is in the form.
pub async fn post(asked: &mut Asked<'_>) -> Answer {
    let auth = Arc::clone(&asked.auth);
    let issuing = auth.issuing.as_ref().ok_or(Problem::NoSuchEndpoint)?;
    let patience = asked.config.http.idle_timeout;
    let form = receive::whole(&mut asked.request, MAX_FORM, patience).await;
    let form = form.map_err(|error| match error.problem {
        Problem::ManifestTooLarge => invalid(format!("a form has at most {MAX_FORM} bytes")),
        _ => error,
    })?;
    let mut wanted = Wanted::read(&form);
    match wanted.grant.as_deref() {
        Some("password") => {
            let (Some(user), Some(password)) = (wanted.user.take(), wanted.password.take()) else {
                return Err(invalid("`grant_type=password` needs `username` and `password`"));
            };
            log_in(asked, &auth, Some(Credentials::Password { user, password })).await?;
        }
        Some("refresh_token") => {
            let Some(token) = wanted.refresh.take() else {
                return Err(invalid("`grant_type=refresh_token` needs `refresh_token`"));
            };
            asked.admit_request()?;
            let names = auth.config.server.names();
            let held = issue::read_refresh(&issuing.key, names, token.reveal());
            // Who has another password now, or is a user no longer, logs in anew.
            let held = held.filter(|(user, print)| auth.fingerprint(user).as_ref() == Some(print));
            let Some((user, _)) = held else {
                return Err(asked.disbelieved(&auth, &Disbelief::Wrong, &[]));
            };
            asked.identity.user = Some(user.into());
        }
        _ => return Err(invalid("`grant_type` must be `password` or `refresh_token`")),
    }
    answer(asked, &auth, issuing, &wanted)
}

/// The public half of the key, as a JWKS.
pub fn keys(asked: &Asked<'_>) -> Answer {
    let auth = Arc::clone(&asked.auth);
    let issuing = auth.issuing.as_ref().ok_or(Problem::NoSuchEndpoint)?;
    Ok(respond::json(StatusCode::OK, &json!({"keys": [issuing.key.jwk]})))
}

fn invalid(reason: impl Into<String>) -> ApiError {
    Problem::TokenRequestInvalid.detail(reason.into())
}

async fn log_in(asked: &mut Asked<'_>, auth: &Auth, given: Option<Credentials>) -> Result<(), ApiError> {
    let address = asked.connection.peer.ip();
    let access = &asked.service.access;
    let certificate = asked.connection.certificate.clone();
    match access.identify(auth, given, certificate, address).await {
        Ok(identity) => {
            asked.identity = Identity {
                token: None,
                ..identity
            };
            asked.admit_request()
        }
        Err(disbelief) => {
            asked.admit_request()?;
            Err(asked.disbelieved(auth, &disbelief, &[]))
        }
    }
}

fn answer(asked: &Asked<'_>, auth: &Auth, issuing: &Issuing, wanted: &Wanted) -> Answer {
    let server = &auth.config.server;
    if let Some(service) = &wanted.service
        && *service != server.service
    {
        return Err(invalid(format!(
            "this token server is for the service `{}`",
            server.service
        )));
    }
    let mut scopes =
        scope::parse(wanted.scopes.iter().map(String::as_str)).map_err(|error| invalid(error.to_string()))?;
    let rules = &asked.config.access.rules;
    let subject = asked.identity.subject();
    for scope in &mut scopes {
        scope.reduce(|permission: Permission, repository: &str| {
            rules.decide(subject, permission, repository, true).allowed
        });
    }
    scopes.retain(|scope| !scope.actions.is_empty());
    let grants = Grants(scopes);
    let user = asked.identity.user.as_deref();
    let issued = now();
    let failed = |error: issue::IssueError| {
        tracing::error!("{error}");
        ApiError::from(Problem::Internal)
    };
    let token = issue::access(
        &issuing.key,
        server.names(),
        user,
        &grants,
        issued,
        server.lasting,
    );
    let token = token.map_err(failed)?;
    let mut body = json!({
        "token": token,
        "access_token": token,
        "expires_in": server.lasting.as_secs(),
        "issued_at": jiff::Timestamp::from_second(i64::try_from(issued).unwrap_or(0))
            .map_or_else(|_| String::new(), |time| time.to_string()),
    });
    if wanted.offline
        && let Some(user) = user
        && let Some(print) = auth.fingerprint(user)
    {
        let refresh = issue::refresh(&issuing.key, server.names(), user, print, server.refresh_lasting);
        body["refresh_token"] = refresh.map_err(failed)?.into();
    }
    let granted: Vec<String> = grants.0.iter().map(ToString::to_string).collect();
    asked.audit(Line {
        status: Some(StatusCode::OK.as_u16()),
        reason: (!granted.is_empty()).then(|| granted.join(" ")),
        ..Line::new(Happening::Token, Outcome::Done)
    });
    let mut response: Response<Body> = respond::json(StatusCode::OK, &body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
