//! X.509 for the provisioner's own authority: names, reading certificates, issuing them.
//!
//! Nothing here knows of targets or playbooks; [`folder`] alone touches files, and only the controller
//! calls it. Deliberately no revocation lists and no intermediate authorities: certificates are
//! renewed by running the playbook. Follows RFC 5280.

mod authority;
pub mod folder;
mod name;
mod parsed;
mod request;

pub use authority::{Authority, IssueOptions};
pub use name::Name;
pub use parsed::Certificate;
pub use request::Request;

/// Why something is not the certificate, key or name that it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is neither an IP address nor a host name (write `DNS:name` or `IP:address`)")]
    Name(String),
    #[error("cannot read the {what}: it is not valid PEM of that kind")]
    Malformed { what: &'static str },
    #[error("cannot {operation}: {source}")]
    Rcgen {
        operation: &'static str,
        #[source]
        source: rcgen::Error,
    },
    #[error("the request asks for no name: give at least one subject_alt_names")]
    NoNames,
    #[error("a validity of {days} days reaches past what a certificate can say")]
    Validity { days: u32 },
    #[error(
        "the key {key} does not belong to the certificate {certificate}: restore the pair, or remove both to make a new authority"
    )]
    Mismatch { key: String, certificate: String },
    #[error(
        "the certificate {certificate} is there, its key {key} is not: restore the key, or remove the certificate to make a new authority"
    )]
    KeyMissing { key: String, certificate: String },
    #[error("cannot {operation} {path}: {source}")]
    File {
        operation: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn rcgen(operation: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Rcgen { operation, source }
    }
}
