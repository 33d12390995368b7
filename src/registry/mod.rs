//! The registry server: the OCI distribution protocol over HTTP, on distribution's storage layout.
//!
//! | layer | modules | knows |
//! |---|---|---|
//! | words | `digest`, `name`, `range`, `manifest`, `random` | nothing: pure parsing, invalid values cannot be made |
//! | storage | `storage` | keys and bytes; nothing of HTTP or of manifests |
//! | content | `content` | what a repository is: blobs, manifests, tags, uploads; synchronous, nothing of HTTP |
//! | access | `access` | who asks and what is allowed; nothing of HTTP but the texts of its headers |
//! | protocol | `route`, `error`, `api` | HTTP; no file is opened here |
//! | outside | `outbound`, `upstream` | HTTP as a client; other registries, whose content is kept here |
//! | care | `control`, `exchange` | verbs on a data folder, in a running server or without one |
//! | service | `config`, `tls`, `server` | sockets, signals, certificates |
//! | operation | `access_log`, `events`, `health`, `metrics`, `telemetry`, `webhooks`, `page` | what is seen from outside |
//!
//! Content is synchronous on purpose: a request that has to read or write makes one hop to a blocking thread and
//! runs there from end to end, instead of one hop for each file; what is known takes none. Nothing here uses the provisioner.

pub mod access;
pub mod access_log;
pub mod api;
pub mod config;
pub mod content;
pub mod control;
pub mod digest;
pub mod error;
pub mod events;
pub mod exchange;
pub mod health;
pub mod manifest;
pub mod metrics;
pub mod name;
pub mod outbound;
pub mod page;
mod random;
pub mod range;
pub mod route;
pub mod server;
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod webhooks;
