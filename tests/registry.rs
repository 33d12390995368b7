//! The registry over real HTTP: tests are named after the items of the protocol checklist that they hold.

mod care;
mod client;
mod dice;
mod lab;
mod server;

mod access;
mod acme;
mod checklist;
mod cli;
mod clients;
mod collect;
mod config;
mod conformance;
mod content;
mod control;
mod crash;
mod engines;
mod exchange;
mod full;
mod fuzz;
mod hardening;
mod http2;
mod kills;
mod limits;
mod listing;
mod load;
mod probe;
mod properties;
mod race;
mod reload;
mod retention;
mod scrub;
mod tls;
mod token;
mod uploads;
