//! TLS: where certificates come from, and what of them each connection is offered.
//!
//! Whatever their origin, certificate and key are two files, and [`Keeper`] looks after them: it puts new
//! ones in force while connections go on. `own` makes files with an authority of its own, `acme` gets them
//! from an ACME server. The provider is named explicitly: more than one is linked.

pub mod acme;
mod client;
mod keeper;
mod material;
mod offer;
mod own;

use std::path::PathBuf;

use rustls::pki_types::pem;

pub use client::common_name;
pub use keeper::{Keeper, certificate_file};
pub use material::load;
pub use offer::Offer;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read the {what} {path}: {source}")]
    Read {
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    #[error("the {what} file {path} holds no PEM certificate")]
    Empty { what: &'static str, path: PathBuf },
    #[error("the certificate {certificate} and the key {key} do not work together: {source}")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("use the authority for clients {path}: {reason}")]
    ClientAuthority { path: PathBuf, reason: String },
    #[error("offer these versions and cipher suites: {0}")]
    Settings(rustls::Error),
    #[error("make a certificate in {folder}: {source}")]
    Own {
        folder: PathBuf,
        source: crate::certificate::Error,
    },
}
