//! What needs machines: tests that are to be run with `--test-threads=1`.

mod cases;
mod disks;
mod hosts;
mod links;
mod names;
mod network;
mod packages;
mod privileges;
mod workshop;
