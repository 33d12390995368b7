//! `regdeploy-registry serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{fail, load};
use crate::registry::config::Origin;
use crate::registry::{access_log, server};

#[derive(Args)]
pub struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let origin = Origin {
        file: Some(arguments.config.clone()),
    };
    let Some(config) = load(&origin) else {
        return ExitCode::FAILURE;
    };
    if let Err(error) = access_log::start(&config) {
        return fail(&error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(server::STORAGE_THREADS)
        .build();
    match runtime {
        Ok(runtime) => match runtime.block_on(server::serve(config, origin)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}
