//! The whole program on whole machines: `regdeploy` over SSH to targets of the lab (`tests/lab/README.md`).
//!
//! Needs root, Debian's packages and minutes, all of which `tests/run` sees to; to be run with
//! `--test-threads=1`. Whatever can be shown without a machine of its own is tested elsewhere.

mod agent;
mod bad_input;
mod controller;
mod deploy;
mod interruption;
pub mod lab;
pub mod listing;
mod local;
mod predict;
pub mod process;
mod public_roles;
mod site;
