//! Finds out under which name the executable was called, and hands over.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = args.first().and_then(|name| Path::new(name).file_name());
    if called == Some("regdeploy-registry".as_ref()) {
        return regdeploy::cli::registry::main(args);
    }
    if args.get(1).is_some_and(|verb| verb == "registry") {
        args.remove(0);
        return regdeploy::cli::registry::main(args);
    }
    eprintln!("regdeploy: the only verb so far is `registry`");
    ExitCode::from(2)
}
