//! The executable: controller, agent and registry in one. Which it is depends on its name and first word.

use std::process::ExitCode;

fn main() -> ExitCode {
    regdeploy::cli::main(std::env::args_os().collect())
}
