//! What package modules fetch from the web: keys and package files.

use std::path::Path;

use crate::modules::Error;
use crate::modules::net::web::{Fetched, Redirections, WebArgs, read_body, status_text};
use crate::system::{Attributes, System};

/// A keyring has a few kilobytes.
const MAX_KEY: u64 = 10 << 20;

fn fetch(url: &str, validate_certs: bool, system: &dyn System) -> Result<Fetched, Error> {
    let args = WebArgs {
        validate_certs,
        ..WebArgs::of(url)
    };
    let fetched = args.fetch("GET", Redirections::All, system)?.send(system)?;
    match fetched.response.status {
        200 => Ok(fetched),
        status => Err(Error::new(status_text(status)).with("status_code", i64::from(status))),
    }
}

/// A key, in memory.
pub fn key(url: &str, validate_certs: bool, system: &dyn System) -> Result<Vec<u8>, Error> {
    let mut fetched = fetch(url, validate_certs, system)?;
    read_body(&mut fetched.response.body, MAX_KEY, url)
}

/// A package file, under its name once it is whole.
pub fn file(url: &str, path: &Path, validate_certs: bool, system: &dyn System) -> Result<(), Error> {
    let mut fetched = fetch(url, validate_certs, system)?;
    Ok(system.write(path, &mut fetched.response.body, Attributes::default())?)
}
