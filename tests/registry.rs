//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/client.rs"]
mod client;
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
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/proxy.rs"]
mod proxy;
#[path = "registry/proxy_blobs.rs"]
mod proxy_blobs;
#[path = "registry/proxy_tags.rs"]
mod proxy_tags;
#[path = "registry/uploads.rs"]
mod uploads;
#[path = "registry/upstream.rs"]
mod upstream;
