//! Modules that keep keys and certificates.

pub mod x509_ca;
pub mod x509_certificate;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[&entry::<x509_certificate::X509Certificate>()];
