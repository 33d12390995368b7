//! Modules that keep keys and certificates.

mod crypt;
pub mod htpasswd;
pub mod x509_ca;
pub mod x509_certificate;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<htpasswd::Htpasswd>(),
    &entry::<x509_certificate::X509Certificate>(),
];
