//! The digest that a download has to have: given, or looked up in a published list.

use std::io::{self, Read};

use url::Url;

use crate::modules::Error;
use crate::modules::net::get_url::name_in;
use crate::modules::net::web::{Redirections, WebArgs, read_body, status_text};
use crate::system::digest::Hasher;
use crate::system::{DigestAlgorithm, System};

/// A list of checksums is no larger.
const MAX_CHECKSUMS: u64 = 4 << 20;

/// The digest that the file has to have.
#[derive(Debug, Clone)]
pub struct Expected {
    pub algorithm: DigestAlgorithm,
    pub digest: String,
}

impl Expected {
    /// From the argument `checksum`: `ALGORITHM:DIGEST`, or `ALGORITHM:URL` of a list; none where it is empty.
    pub fn of(checksum: &str, web: &WebArgs, system: &dyn System) -> Result<Option<Self>, Error> {
        if checksum.is_empty() {
            return Ok(None);
        }
        let wrong = || Error::new("The checksum parameter has to be in format <algorithm>:<checksum>");
        let (name, digest) = checksum.split_once(':').ok_or_else(wrong)?;
        let algorithm = DigestAlgorithm::by_name(name.trim()).ok_or_else(wrong)?;
        let digest = digest.trim();
        let digest = if digest.contains("://") {
            listed(digest, web, system)?
        } else {
            digest.to_ascii_lowercase()
        };
        if digest.is_empty() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::new("The checksum format is invalid"));
        }
        Ok(Some(Self { algorithm, digest }))
    }
}

/// The file's line in a published list.
fn listed(url: &str, web: &WebArgs, system: &dyn System) -> Result<String, Error> {
    let name = name_in(&web.url).unwrap_or_default();
    let text = list(url, web, system)?;
    find_listed(&String::from_utf8_lossy(&text), &name)
        .ok_or_else(|| Error::new(format!("Unable to find a checksum for file '{name}' in '{url}'")))
}

fn list(url: &str, web: &WebArgs, system: &dyn System) -> Result<Vec<u8>, Error> {
    let parsed = Url::parse(url).ok();
    if let Some(path) = parsed
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
    {
        return Ok(system.read(&path)?);
    }
    let web = WebArgs {
        url: url.to_owned(),
        ..web.clone()
    };
    let mut fetched = web.fetch("GET", Redirections::All, system)?.send(system)?;
    if fetched.response.status != 200 {
        return Err(Error::new(format!(
            "cannot fetch the checksums from {url}: {}",
            status_text(fetched.response.status)
        )));
    }
    read_body(&mut fetched.response.body, MAX_CHECKSUMS, url)
}
/// `DIGEST  NAME` lines, as `sha256sum` writes them; a lone digest is the file's.
fn find_listed(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if let (Some(only), None) = (lines.next(), lines.next())
        && !only.trim().contains(char::is_whitespace)
    {
        return Some(only.trim().to_ascii_lowercase());
    }
    text.lines().find_map(|line| {
        let (digest, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim_start().trim_start_matches('*').trim_end();
        let file = file.strip_prefix("./").unwrap_or(file);
        (file == name).then(|| digest.to_ascii_lowercase())
    })
}

/// A stream that fails at its end if it was not the expected one: what is written from it never gets its
/// name then.
pub struct Verified {
    body: Box<dyn Read>,
    hasher: Option<(Hasher, Expected)>,
}

impl Verified {
    pub fn new(body: Box<dyn Read>, expected: Option<Expected>) -> Self {
        let hasher = expected.map(|expected| (Hasher::new(expected.algorithm), expected));
        Self { body, hasher }
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.body.read(buffer)?;
        if length > 0 {
            if let Some((hasher, _)) = &mut self.hasher {
                hasher.update(&buffer[..length]);
            }
        } else if !buffer.is_empty()
            && let Some((hasher, expected)) = self.hasher.take()
        {
            let found = hasher.finish();
            if found != expected.digest {
                return Err(io::Error::other(format!(
                    "The checksum for the download did not match {}; it was {found}.",
                    expected.digest
                )));
            }
        }
        Ok(length)
    }
}
