//! Requests to one registry: credentials as it asks for them, redirections, and answers that say which step
//! failed and why.

use std::io::Read;

use base64::Engine as _;
use serde::Deserialize;
use url::Url;

use super::challenge::Challenge;
use crate::modules::Error;
use crate::modules::net::web::{Redirections, WebArgs};
use crate::system::{HttpResponse, System, SystemError};
use crate::value::Secret;

/// Manifests and blobs of the probe are some hundred bytes, tokens some thousand; errors may come as pages.
const MAX_BODY: u64 = 256 << 10;

/// Who asks, and how.
pub struct Session<'a> {
    pub system: &'a dyn System,
    /// What all requests have in common; the URL is each one's own.
    pub web: WebArgs,
    pub credentials: Option<(String, Secret)>,
    /// The `Authorization` header that worked last.
    authorization: Option<Secret>,
}

/// A request, and what messages call it.
pub struct Ask<'a> {
    pub step: String,
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(&'static str, &'a str)>,
    pub body: &'a [u8],
    /// The statuses that let the probe go on.
    pub accepted: &'static [u16],
}

pub struct Answer {
    pub status: u16,
    /// Where it came from in the end.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl<'a> Session<'a> {
    pub fn new(system: &'a dyn System, web: WebArgs, credentials: Option<(String, Secret)>) -> Self {
        Self {
            system,
            web,
            credentials,
            authorization: None,
        }
    }

    /// Asks; any status but the accepted ones is an error.
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer, Error> {
        let mut answer = self.send(ask)?;
        if answer.status == 401 && self.authorize(&answer, &ask.step)? {
            answer = self.send(ask)?;
        }
        if ask.accepted.contains(&answer.status) {
            Ok(answer)
        } else {
            Err(self.refused(ask, &answer))
        }
    }

    fn send(&self, ask: &Ask) -> Result<Answer, Error> {
        let failed = |error: SystemError| {
            let source = error.source;
            Error::new(format!(
                "cannot {}: {} {}: {source}",
                ask.step, ask.method, ask.url
            ))
            .with("step", ask.step.as_str())
            .with("url", ask.url.as_str())
        };
        let web = WebArgs {
            url: ask.url.clone(),
            ..self.web.clone()
        };
        let mut fetch = web.fetch(ask.method, Redirections::All, self.system)?;
        fetch.request.body = ask.body.to_vec();
        for (name, value) in &ask.headers {
            fetch.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            fetch.header("Authorization", authorization.reveal());
        }
        let fetched = fetch.send(self.system).map_err(failed)?;
        let HttpResponse {
            status,
            headers,
            body,
        } = fetched.response;
        let mut bytes = Vec::new();
        body.take(MAX_BODY)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(SystemError::new("read", ask.url.as_str(), error)))?;
        Ok(Answer {
            status,
            url: fetched.url,
            headers,
            body: bytes,
        })
    }

    /// Gets what a refusal asks for; false if there is nothing more to offer.
    fn authorize(&mut self, refusal: &Answer, step: &str) -> Result<bool, Error> {
        let challenge = refusal.header("www-authenticate").and_then(Challenge::parse);
        let authorization = match challenge {
            Some(Challenge::Basic) => self.credentials.as_ref().map(basic),
            Some(Challenge::Bearer { realm, parameters }) => {
                let realm = self.realm(&realm, &parameters, &refusal.url)?;
                Some(self.token(realm, step)?)
            }
            None => None,
        };
        let offered = authorization.is_some() && authorization != self.authorization;
        self.authorization = authorization;
        Ok(offered)
    }

    fn realm(&self, realm: &str, parameters: &[(String, String)], registry: &str) -> Result<Url, Error> {
        let wrong =
            |why: String| Error::new(format!("cannot get a token for {registry} from {realm}: {why}"));
        let mut url = Url::parse(realm).map_err(|error| wrong(error.to_string()))?;
        if registry.starts_with("https:") && url.scheme() != "https" && self.credentials.is_some() {
            return Err(wrong("a password is not sent in the clear".to_owned()));
        }
        // A scope is one parameter for each of its parts.
        for (name, value) in parameters {
            for value in value.split(' ') {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    fn token(&self, realm: Url, step: &str) -> Result<Secret, Error> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<Secret>,
            /// The same, as OAuth 2 calls it.
            access_token: Option<Secret>,
        }
        let authorization = self.credentials.as_ref().map(basic);
        let session = Session {
            system: self.system,
            web: self.web.clone(),
            credentials: None,
            authorization,
        };
        let ask = Ask {
            step: format!("get a token to {step}"),
            method: "GET",
            url: realm.into(),
            headers: Vec::new(),
            body: &[],
            accepted: &[200],
        };
        let answer = session.send(&ask)?;
        let token = match answer.status {
            200 => serde_json::from_slice::<Token>(&answer.body)
                .ok()
                .and_then(|answer| answer.token.or(answer.access_token)),
            _ => return Err(session.refused(&ask, &answer)),
        };
        token
            .map(|token| Secret::new(format!("Bearer {}", token.reveal())))
            .ok_or_else(|| {
                Error::new(format!(
                    "cannot {}: the answer of {} holds none",
                    ask.step, ask.url
                ))
            })
    }

    fn refused(&self, ask: &Ask, answer: &Answer) -> Error {
        let reason = hyper::StatusCode::from_u16(answer.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mut message = format!(
            "cannot {}: {} {} answered {} {reason}",
            ask.step, ask.method, answer.url, answer.status
        );
        let told = errors(&answer.body);
        if !told.is_empty() {
            let told: Vec<String> = told
                .iter()
                .map(|problem| format!("{}: {}", problem.code, problem.message))
                .collect();
            message = format!("{message} ({})", told.join("; "));
        }
        if answer.status == 401 && self.credentials.is_none() {
            message.push_str("; give username and password");
        }
        let code = told.first().map(|problem| problem.code.as_str());
        Error::new(message)
            .with("step", ask.step.as_str())
            .with("url", answer.url.as_str())
            .with("status", u32::from(answer.status))
            .with("code", code)
    }
}

fn basic((user, password): &(String, Secret)) -> Secret {
    let pair = format!("{user}:{}", password.reveal());
    Secret::new(format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    ))
}

/// One of the errors that a registry tells.
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    message: String,
}

/// What an answer's body tells, if it is one of a registry.
fn errors(body: &[u8]) -> Vec<Problem> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Problem>,
    }
    serde_json::from_slice::<Body>(body).map_or_else(|_| Vec::new(), |body| body.errors)
}
