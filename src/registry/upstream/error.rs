//! What keeps an upstream's content from being had.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;

use crate::registry::content::{ContentError, UploadError};
use crate::registry::outbound::{Fault, OutboundError};

/// Why. `upstream` is its host.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("{upstream} does not have it")]
    Unknown { upstream: String },
    #[error("{upstream} refuses access: {status}")]
    Denied { upstream: String, status: StatusCode },
    #[error("{upstream} takes no more requests for {} s", .wait.as_secs().max(1))]
    Limited { upstream: String, wait: Duration },
    #[error("{upstream} answered {status}")]
    Failed { upstream: String, status: StatusCode },
    #[error("{upstream} cannot be reached: {source}")]
    Unreachable { upstream: String, source: OutboundError },
    #[error("{upstream} has not answered in time")]
    Slow { upstream: String },
    #[error("{upstream} sent what it should not: {reason}")]
    Wrong { upstream: String, reason: String },
    #[error("log in to {upstream}: {reason}")]
    LogIn { upstream: String, reason: String },
    /// Nobody waited for it any more.
    #[error("given up, since nobody waited for it")]
    Abandoned,
    #[error("store what {upstream} sent: {source}")]
    Storage { upstream: String, source: ContentError },
    /// Less is free than `storage.filesystem.minfree` wants.
    #[error("the storage is almost full")]
    Full,
    #[error("internal error: {0}")]
    Internal(String),
}

/// Shared by all who wait for the same thing.
pub type Shared = Arc<UpstreamError>;

impl UpstreamError {
    pub fn unreachable(upstream: &str, source: OutboundError) -> Self {
        Self::Unreachable {
            upstream: upstream.to_owned(),
            source,
        }
    }

    pub fn wrong(upstream: &str, reason: impl Into<String>) -> Self {
        Self::Wrong {
            upstream: upstream.to_owned(),
            reason: reason.into(),
        }
    }

    pub fn storage(upstream: &str, error: impl Into<UploadError>) -> Self {
        match error.into() {
            UploadError::Content(ContentError::DigestMismatch { claimed, computed }) => Self::wrong(
                upstream,
                format!("its content has the digest {computed}, not {claimed}"),
            ),
            UploadError::Content(source) => Self::Storage {
                upstream: upstream.to_owned(),
                source,
            },
            error @ (UploadError::Unknown | UploadError::Busy) => Self::Internal(error.to_string()),
        }
    }

    /// Whether the upstream has it, and only this registry's storage does not take it.
    pub fn is_of_storage(&self) -> bool {
        matches!(self, Self::Storage { .. } | Self::Full)
    }

    /// Whether the upstream did not say anything.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Slow { .. } => true,
            Self::Unreachable { source, .. } => {
                matches!(
                    source.fault,
                    Fault::Connect(_) | Fault::NoAnswer(_) | Fault::Broken(_)
                )
            }
            _ => false,
        }
    }
}
