//! The executable: hands over to the verb.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("agent") => regdeploy::cli::agent::run(arguments),
        _ => {
            eprintln!("usage: regdeploy agent");
            ExitCode::from(2)
        }
    }
}
