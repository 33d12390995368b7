//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
#[path = "registry/dice.rs"]
mod dice;
#[path = "registry/server.rs"]
mod server;

#[path = "registry/checklist/mod.rs"]
mod checklist;
#[path = "registry/cli.rs"]
mod cli;
#[path = "registry/clients.rs"]
mod clients;
#[path = "registry/conformance/mod.rs"]
mod conformance;
#[path = "registry/content.rs"]
mod content;
#[path = "registry/crash.rs"]
mod crash;
#[path = "registry/engines.rs"]
mod engines;
#[path = "registry/fuzz.rs"]
mod fuzz;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/http2.rs"]
mod http2;
#[path = "registry/kills.rs"]
mod kills;
#[path = "registry/lab.rs"]
mod lab;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/load.rs"]
mod load;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/properties.rs"]
mod properties;
#[path = "registry/uploads.rs"]
mod uploads;
