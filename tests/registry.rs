//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

#[path = "registry/care.rs"]
mod care;
#[path = "registry/client.rs"]
mod client;
#[path = "registry/server.rs"]
mod server;

#[path = "registry/cli.rs"]
mod cli;
#[path = "registry/clients.rs"]
mod clients;
#[path = "registry/collect.rs"]
mod collect;
#[path = "registry/conformance.rs"]
mod conformance;
#[path = "registry/content.rs"]
mod content;
#[path = "registry/control.rs"]
mod control;
#[path = "registry/crash.rs"]
mod crash;
#[path = "registry/dice.rs"]
mod dice;
#[path = "registry/exchange.rs"]
mod exchange;
#[path = "registry/full.rs"]
mod full;
#[path = "registry/fuzz.rs"]
mod fuzz;
#[path = "registry/hardening.rs"]
mod hardening;
#[path = "registry/http2.rs"]
mod http2;
#[path = "registry/kills.rs"]
mod kills;
#[path = "registry/listing.rs"]
mod listing;
#[path = "registry/load.rs"]
mod load;
#[path = "registry/probe.rs"]
mod probe;
#[path = "registry/properties.rs"]
mod properties;
#[path = "registry/race.rs"]
mod race;
#[path = "registry/retention.rs"]
mod retention;
#[path = "registry/scrub.rs"]
mod scrub;
#[path = "registry/uploads.rs"]
mod uploads;
