//! Modules that keep keys and certificates.

mod crypt;
mod der;
mod general;
pub mod htpasswd;
mod issued;
mod kept;
mod key;
pub mod openssl_csr;
pub mod openssl_privatekey;
mod signing;
mod words;
pub mod x509_ca;
pub mod x509_certificate;
pub mod x509_certificate_info;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<htpasswd::Htpasswd>(),
    &entry::<openssl_csr::OpensslCsr>(),
    &entry::<openssl_privatekey::OpensslPrivatekey>(),
    &entry::<x509_certificate::X509Certificate>(),
    &entry::<x509_certificate_info::X509CertificateInfo>(),
];
