//! Requests as `uri` and `get_url` make them: credentials, redirections, the arguments that both take.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use url::Url;

use crate::modules::Error;
use crate::modules::files::path::expand;
use crate::system::{HttpRequest, HttpResponse, System, SystemError};
use crate::value::Map;

/// As Python's `urllib`.
const MAX_REDIRECTIONS: usize = 10;

/// The arguments about the connection (`#[serde(flatten)]`).
#[derive(Debug, Clone, Deserialize)]
pub struct WebArgs {
    pub url: String,
    pub headers: Option<Map>,
    pub http_agent: String,
    pub url_username: Option<String>,
    pub url_password: Option<String>,
    pub force_basic_auth: bool,
    pub validate_certs: bool,
    pub ca_path: Option<String>,
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
    pub use_proxy: bool,
    pub unredirected_headers: Option<Vec<String>>,
    /// Seconds.
    pub timeout: f64,
}

/// The table of a module's own arguments with those of [`WebArgs`] and of files added.
macro_rules! with_web_args {
    (timeout: $timeout:literal, agent: $agent:literal, $($own:expr),* $(,)?) => {
        $crate::modules::files::attributes::with_file_args![
            $crate::modules::Arg::str("url").required().doc("what is requested"),
            $crate::modules::Arg::dict("headers").doc("added to the request"),
            $crate::modules::Arg::str("http_agent").default($agent).doc("the User-Agent header"),
            $crate::modules::Arg::str("url_username").aliases(&["user", "username"]).doc("for basic authentication"),
            $crate::modules::Arg::str("url_password").aliases(&["password"]).doc("for basic authentication").secret(),
            $crate::modules::Arg::bool("force_basic_auth").default("no").doc("send credentials unasked"),
            $crate::modules::Arg::bool("validate_certs").default("yes").doc("refuse servers that cannot be verified"),
            $crate::modules::Arg::path("ca_path").doc("PEM file of authorities to trust as well"),
            $crate::modules::Arg::path("client_cert").doc("PEM file of the client's certificate"),
            $crate::modules::Arg::path("client_key").doc("PEM file of its key"),
            $crate::modules::Arg::bool("use_proxy").default("yes").doc("honour http_proxy and its kin"),
            $crate::modules::Arg::strings("unredirected_headers").doc("names of headers that only the first server is sent"),
            $crate::modules::Arg::float("timeout").default($timeout).doc("seconds of silence until it fails"),
            $($own,)*
        ]
    };
}
pub(in crate::modules) use with_web_args;

/// Which redirections are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirections {
    All,
    /// Only of GET and HEAD.
    Safe,
    None,
}

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub request: HttpRequest,
    pub redirections: Redirections,
    credentials: Option<String>,
    /// Names of headers for the first server alone.
    unredirected: Vec<String>,
}

/// What came of it.
pub struct Fetched {
    pub response: HttpResponse,
    /// Where the answer came from in the end.
    pub url: String,
    pub redirected: bool,
}

impl WebArgs {
    /// A plain request, as other modules make one.
    pub fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            headers: None,
            http_agent: "ansible-httpget".to_owned(),
            url_username: None,
            url_password: None,
            force_basic_auth: false,
            validate_certs: true,
            ca_path: None,
            client_cert: None,
            client_key: None,
            use_proxy: true,
            unredirected_headers: None,
            timeout: 10.0,
        }
    }

    pub fn fetch(
        &self,
        method: &str,
        redirections: Redirections,
        system: &dyn System,
    ) -> Result<Fetch, Error> {
        let mut url = Url::parse(&self.url)
            .map_err(|error| Error::new(format!("{} is not a URL: {error}", self.url)))?;
        let mut credentials = self
            .url_username
            .as_ref()
            .map(|user| format!("{user}:{}", self.url_password.as_deref().unwrap_or_default()));
        if !url.username().is_empty() {
            let plain = |text: &str| percent_decoded(text);
            credentials.get_or_insert_with(|| {
                format!(
                    "{}:{}",
                    plain(url.username()),
                    plain(url.password().unwrap_or_default())
                )
            });
            // A URL that holds a password would show it in every message.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let mut headers = vec![("User-Agent".to_owned(), self.http_agent.clone())];
        for (name, value) in self.headers.iter().flatten() {
            headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.to_string()));
        }
        let path = |text: &Option<String>| -> Result<Option<PathBuf>, Error> {
            text.as_deref().map(|text| expand(text, system)).transpose()
        };
        let mut fetch = Fetch {
            request: HttpRequest {
                method: method.to_owned(),
                url: url.to_string(),
                headers,
                body: Vec::new(),
                timeout: seconds(self.timeout),
                validate_certs: self.validate_certs,
                ca_path: path(&self.ca_path)?,
                client_cert: path(&self.client_cert)?,
                client_key: path(&self.client_key)?,
                unix_socket: None,
                use_proxy: self.use_proxy,
            },
            redirections,
            credentials,
            unredirected: self.unredirected_headers.clone().unwrap_or_default(),
        };
        if self.force_basic_auth {
            fetch.authorize();
        }
        Ok(fetch)
    }
}

/// A time that arithmetic is safe with; what is no time at all is none.
pub fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

impl Fetch {
    pub fn header(&mut self, name: &str, value: &str) {
        self.request.headers.push((name.to_owned(), value.to_owned()));
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.request
            .headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }

    /// Sends the credentials, if there are some that were not sent.
    fn authorize(&mut self) -> bool {
        let Some(credentials) = self
            .credentials
            .take()
            .filter(|_| !self.has_header("authorization"))
        else {
            return false;
        };
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        self.header("Authorization", &format!("Basic {encoded}"));
        true
    }

    /// Makes the request, and those that its answers lead to.
    pub fn send(mut self, system: &dyn System) -> Result<Fetched, SystemError> {
        let mut redirections = 0;
        loop {
            let response = system.http(&self.request)?;
            if response.status == 401 && self.authorize() {
                continue;
            }
            let Some(next) = self.next(&response).filter(|_| redirections < MAX_REDIRECTIONS) else {
                let url = self.request.url.clone();
                let body = Box::new(Named(response.body, url));
                return Ok(Fetched {
                    response: HttpResponse { body, ..response },
                    url: self.request.url,
                    redirected: redirections > 0,
                });
            };
            self.redirect(&next, response.status);
            redirections += 1;
        }
    }

    /// Where an answer leads, if it is to be followed.
    fn next(&self, response: &HttpResponse) -> Option<Url> {
        let safe = matches!(self.request.method.as_str(), "GET" | "HEAD");
        let follow = match self.redirections {
            Redirections::All => true,
            Redirections::Safe => safe,
            Redirections::None => false,
        };
        if !follow || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = header(response, "location")?;
        let next = Url::parse(&self.request.url).ok()?.join(location).ok()?;
        matches!(next.scheme(), "http" | "https").then_some(next)
    }

    fn redirect(&mut self, next: &Url, status: u16) {
        let origin = Url::parse(&self.request.url).map(|url| url.origin());
        if origin.ok() != Some(next.origin()) {
            // Credentials are for the server that they were given for.
            self.credentials = None;
            self.request.headers.retain(|(name, _)| {
                !["authorization", "cookie", "host"].contains(&name.to_ascii_lowercase().as_str())
            });
        }
        self.request
            .headers
            .retain(|(name, _)| !self.unredirected.iter().any(|one| one.eq_ignore_ascii_case(name)));
        let becomes_get = match status {
            303 => self.request.method != "HEAD",
            301 | 302 => self.request.method == "POST",
            _ => false,
        };
        if becomes_get {
            "GET".clone_into(&mut self.request.method);
            self.request.body.clear();
            self.request
                .headers
                .retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        self.request.url = next.to_string();
    }
}

/// A body whose errors say where it comes from: whoever writes it to a file would name only that.
struct Named(Box<dyn Read>, String);

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.1));
        self.0.read(buffer).map_err(named)
    }
}

pub fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// `HTTP Error 404: Not Found`: how Python tells a status.
pub fn status_text(status: u16) -> String {
    let reason = hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    format!("HTTP Error {status}: {reason}")
}

/// `OK (12 bytes)`.
pub fn size_text(response: &HttpResponse) -> String {
    format!(
        "OK ({} bytes)",
        header(response, "content-length").unwrap_or("unknown")
    )
}

/// A body of limited length.
pub fn read_body(body: &mut dyn Read, limit: u64, url: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    body.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::new(format!("cannot read {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(format!(
            "the answer of {url} is longer than {limit} bytes: write it to a file with `dest`"
        )));
    }
    Ok(bytes)
}
