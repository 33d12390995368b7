//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
#[path = "registry/dice.rs"]
mod dice;
#[path = "registry/server.rs"]
mod server;

#[path = "registry/access.rs"]
mod access;
#[path = "registry/access_verbs.rs"]
mod access_verbs;
#[path = "registry/acme.rs"]
mod acme;
#[path = "registry/cli.rs"]
mod cli;
#[path = "registry/clients.rs"]
mod clients;
#[path = "registry/config.rs"]
mod config;
#[path = "registry/conformance.rs"]
mod conformance;
#[path = "registry/content.rs"]
mod content;
#[path = "registry/crash.rs"]
mod crash;
#[path = "registry/e2e.rs"]
mod e2e;
#[path = "registry/fuzz.rs"]
mod fuzz;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/http2.rs"]
mod http2;
#[path = "registry/kills.rs"]
mod kills;
#[path = "registry/limits.rs"]
mod limits;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/load.rs"]
mod load;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/properties.rs"]
mod properties;
#[path = "registry/reload.rs"]
mod reload;
#[path = "registry/tls.rs"]
mod tls;
#[path = "registry/token.rs"]
mod token;
#[path = "registry/uploads.rs"]
mod uploads;
