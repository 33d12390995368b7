//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
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
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/health.rs"]
mod health;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/metrics.rs"]
mod metrics;
#[path = "registry/page.rs"]
mod page;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/telemetry.rs"]
mod telemetry;
#[path = "registry/uploads.rs"]
mod uploads;
#[path = "registry/webhooks.rs"]
mod webhooks;
