//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
#[path = "registry/server.rs"]
mod server;

#[path = "registry/adoption.rs"]
mod adoption;
#[path = "registry/bench.rs"]
mod bench;
#[path = "registry/cli.rs"]
mod cli;
#[path = "registry/clients.rs"]
mod clients;
#[path = "registry/conformance.rs"]
mod conformance;
#[path = "registry/content.rs"]
mod content;
#[path = "registry/counts.rs"]
mod counts;
#[path = "registry/crash.rs"]
mod crash;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/sending.rs"]
mod sending;
#[path = "registry/uploads.rs"]
mod uploads;
