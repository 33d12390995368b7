//! What needs machines: tests that are to be run with `--test-threads=1`.

mod cases;
mod hosts;
mod machine;
