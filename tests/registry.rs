//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
#[path = "registry/server.rs"]
mod server;

#[path = "registry/access.rs"]
mod access;
#[path = "registry/access_verbs.rs"]
mod access_verbs;
#[path = "registry/cli.rs"]
mod cli;
#[path = "registry/clients.rs"]
mod clients;
#[path = "registry/conformance.rs"]
mod conformance;
#[path = "registry/content.rs"]
mod content;
#[path = "registry/crash.rs"]
mod crash;
#[path = "registry/e2e.rs"]
mod e2e;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/limits.rs"]
mod limits;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/token.rs"]
mod token;
#[path = "registry/uploads.rs"]
mod uploads;
