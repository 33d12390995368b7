//! Disks, `SELinux` and a restart, on a virtual machine: see `tests/lab/machine`.

use std::time::Duration;

use crate::e2e::lab;
use crate::e2e::process::Process;

/// It took seven minutes beside the builds of four others; the first time its disk is made, too.
const LIMIT: Duration = Duration::from_mins(30);

// A processor that is emulated takes its time: CONTRIBUTING.md says when to run it.
#[test]
#[ignore = "takes many minutes: cargo test --release modules::lab::machine -- --ignored"]
fn partitions_volumes_and_mounts_outlive_a_restart() {
    let mut machine = lab::script("machine");
    machine.env("REGDEPLOY", env!("CARGO_BIN_EXE_regdeploy"));
    let said = Process::start(&mut machine, LIMIT).end().success();
    assert!(said.contains("all is well"), "{said}");
    println!("{said}");
}
