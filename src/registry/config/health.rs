//! `health`: what is looked at from time to time to say whether this server is well.

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

/// Distribution's, for every check that does not say.
pub const INTERVAL: Duration = Duration::from_secs(10);
pub const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct HealthConfig {
    pub storage: StorageCheck,
    pub files: Vec<FileCheck>,
    pub http: Vec<HttpCheck>,
    pub tcp: Vec<TcpCheck>,
}

/// `health.storagedriver`: a small write now and then.
#[derive(Debug, Clone)]
pub struct StorageCheck {
    pub enabled: bool,
    pub interval: Duration,
    /// Failures in a row that it takes to be unwell.
    pub threshold: u32,
}

/// `health.file`: unwell while this file is there.
#[derive(Debug, Clone)]
pub struct FileCheck {
    pub file: PathBuf,
    pub interval: Duration,
}

/// `health.http`: unwell while this URL answers otherwise.
#[derive(Debug, Clone)]
pub struct HttpCheck {
    pub uri: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub status: u16,
    pub timeout: Duration,
    pub interval: Duration,
    pub threshold: u32,
}

/// `health.tcp`: unwell while nobody listens there.
#[derive(Debug, Clone)]
pub struct TcpCheck {
    pub address: String,
    pub timeout: Duration,
    pub interval: Duration,
    pub threshold: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            storage: StorageCheck {
                enabled: true,
                interval: INTERVAL,
                threshold: 3,
            },
            files: Vec::new(),
            http: Vec::new(),
            tcp: Vec::new(),
        }
    }
}

impl Default for FileCheck {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            interval: INTERVAL,
        }
    }
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            uri: String::new(),
            headers: Vec::new(),
            status: 200,
            timeout: TIMEOUT,
            interval: INTERVAL,
            threshold: 1,
        }
    }
}

impl Default for TcpCheck {
    fn default() -> Self {
        Self {
            address: String::new(),
            timeout: TIMEOUT,
            interval: INTERVAL,
            threshold: 1,
        }
    }
}
