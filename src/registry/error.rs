//! What a client is told when something goes wrong: ONE table of condition, code, message and status.
//!
//! Codes of what a client can do something about (4xx) are distribution-spec's, which allows no others; where
//! none fits it is the nearest, and the message says the rest.
//! The body is `{"errors":[{"code","message","detail"}]}`.

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:ident, $message:literal;)*) => {
        /// A condition that a client can be told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Problem { $($(#[$doc])* $name),* }

        impl Problem {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Code, status and message.
            fn row(self) -> (&'static str, StatusCode, &'static str) {
                match self { $(Self::$name => ($code, StatusCode::$status, $message)),* }
            }
        }
    };
}

problems! {
    BlobUnknown => "BLOB_UNKNOWN", NOT_FOUND, "blob unknown to registry";
    UploadInvalid => "BLOB_UPLOAD_INVALID", BAD_REQUEST, "blob upload invalid";
    UploadUnknown => "BLOB_UPLOAD_UNKNOWN", NOT_FOUND, "blob upload unknown to registry";
    /// Another request is writing to the same upload.
    UploadBusy => "BLOB_UPLOAD_INVALID", CONFLICT, "another request is writing to this upload";
    DigestInvalid => "DIGEST_INVALID", BAD_REQUEST, "provided digest did not match uploaded content";
    ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN", BAD_REQUEST, "manifest references what this repository does not have";
    ManifestInvalid => "MANIFEST_INVALID", BAD_REQUEST, "manifest invalid";
    ManifestUnknown => "MANIFEST_UNKNOWN", NOT_FOUND, "manifest unknown to registry";
    ManifestTooLarge => "MANIFEST_INVALID", PAYLOAD_TOO_LARGE, "manifest exceeds the size limit of this registry";
    NameInvalid => "NAME_INVALID", BAD_REQUEST, "invalid repository name";
    NameUnknown => "NAME_UNKNOWN", NOT_FOUND, "repository name not known to registry";
    TagInvalid => "MANIFEST_INVALID", BAD_REQUEST, "invalid tag";
    SizeInvalid => "SIZE_INVALID", BAD_REQUEST, "provided length did not match content length";
    TooManyTags => "MANIFEST_INVALID", URI_TOO_LONG, "too many tags in one push";
    RangeInvalid => "BLOB_UNKNOWN", RANGE_NOT_SATISFIABLE, "the blob has no such range";
    ChunkInvalid => "BLOB_UPLOAD_INVALID", RANGE_NOT_SATISFIABLE, "the chunk is not the one that comes next";
    PageInvalid => "UNSUPPORTED", BAD_REQUEST, "invalid number of results requested";
    Unauthorized => "UNAUTHORIZED", UNAUTHORIZED, "authentication required";
    Denied => "DENIED", FORBIDDEN, "requested access to the resource is denied";
    QuotaExceeded => "DENIED", FORBIDDEN, "the repository's quota is used up";
    TooManyRequests => "TOOMANYREQUESTS", TOO_MANY_REQUESTS, "too many requests; come again later";
    TokenRequestInvalid => "UNSUPPORTED", BAD_REQUEST, "this is no request for a token";
    Unsupported => "UNSUPPORTED", METHOD_NOT_ALLOWED, "the operation is unsupported";
    ReadOnly => "UNSUPPORTED", METHOD_NOT_ALLOWED, "the registry is in read-only mode";
    NoSuchEndpoint => "UNSUPPORTED", NOT_FOUND, "no such endpoint; the registry's are under /v2/";
    TooSlow => "BLOB_UPLOAD_INVALID", REQUEST_TIMEOUT, "the body stopped arriving";
    UpstreamDenied => "DENIED", FORBIDDEN, "the registry that this is a mirror of refuses access";
    UpstreamLimited => "TOOMANYREQUESTS", TOO_MANY_REQUESTS, "the registry that this is a mirror of takes no more requests for now";
    UpstreamFailed => "UNAVAILABLE", BAD_GATEWAY, "the registry that this is a mirror of cannot be used";
    UpstreamSlow => "UNAVAILABLE", GATEWAY_TIMEOUT, "the registry that this is a mirror of does not answer";
    StorageFull => "UNAVAILABLE", INSUFFICIENT_STORAGE, "the registry's storage is full";
    /// Distribution's words.
    Unwell => "UNAVAILABLE", SERVICE_UNAVAILABLE, "service unavailable";
    Internal => "UNKNOWN", INTERNAL_SERVER_ERROR, "internal error; the registry's log has the cause";
}

impl Problem {
    pub fn code(self) -> &'static str {
        self.row().0
    }

    pub fn status(self) -> StatusCode {
        self.row().1
    }

    pub fn message(self) -> &'static str {
        self.row().2
    }

    /// With a message of its own: clients print it, and no detail.
    pub fn because(self, message: impl Into<String>) -> ApiError {
        ApiError {
            message: Some(message.into()),
            ..ApiError::from(self)
        }
    }

    pub fn detail(self, detail: impl Into<Value>) -> ApiError {
        ApiError {
            detail: Some(detail.into()),
            ..ApiError::from(self)
        }
    }
}

/// A problem with what is known of its cause, ready to be sent.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub problem: Problem,
    /// Instead of the problem's.
    pub message: Option<String>,
    pub detail: Option<Value>,
    /// `Allow`, `Range` and their like.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            message: None,
            detail: None,
            headers: Vec::new(),
        }
    }
}

impl ApiError {
    /// Adds a header; a value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.problem.message())
    }

    pub fn body(&self) -> Vec<u8> {
        let mut error = json!({"code": self.problem.code(), "message": self.message()});
        if let Some(detail) = &self.detail {
            error["detail"] = detail.clone();
        }
        json!({"errors": [error]}).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_3_the_body_has_the_spec_s_form() {
        let body = Problem::NameInvalid.detail("X").body();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"errors":[{"code":"NAME_INVALID","message":"invalid repository name","detail":"X"}]}"#
        );
    }

    /// What distribution-spec 1.1 allows.
    const CODES: [&str; 14] = [
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    ];

    #[test]
    fn item_3_codes_are_the_spec_s() {
        for problem in Problem::ALL {
            let known = CODES.contains(&problem.code());
            assert!(known || problem.status().is_server_error(), "{problem:?}");
        }
    }

    #[test]
    fn every_row_is_an_error_with_a_plain_message() {
        for problem in Problem::ALL {
            assert!(problem.status().as_u16() >= 400, "{problem:?}");
            assert!(!problem.message().ends_with('.'), "{problem:?}");
            assert!(
                problem
                    .code()
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_')
            );
        }
    }
}
