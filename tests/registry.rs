//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
#[path = "registry/dice.rs"]
mod dice;
#[path = "registry/receiver.rs"]
mod receiver;
#[path = "registry/server.rs"]
mod server;

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
#[path = "registry/fuzz.rs"]
mod fuzz;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/health.rs"]
mod health;
#[path = "registry/http2.rs"]
mod http2;
#[path = "registry/kills.rs"]
mod kills;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/load.rs"]
mod load;
#[path = "registry/metrics.rs"]
mod metrics;
#[path = "registry/page.rs"]
mod page;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/properties.rs"]
mod properties;
#[path = "registry/telemetry.rs"]
mod telemetry;
#[path = "registry/uploads.rs"]
mod uploads;
#[path = "registry/webhooks.rs"]
mod webhooks;
