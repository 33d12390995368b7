//! `regdeploy-registry config`: what is wrong with a configuration, and what it comes to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::load;
use crate::registry::config::{Origin, show};

#[derive(Subcommand)]
pub enum Arguments {
    /// Say what is wrong with a configuration, if anything is
    Check { file: PathBuf },
    /// Print the configuration in force: file, environment and defaults
    Show {
        /// Without it, the defaults and the environment
        file: Option<PathBuf>,
    },
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match arguments {
        Arguments::Check { file } => {
            let file = Some(file.clone());
            load(&Origin { file }).map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
        }
        Arguments::Show { file } => match load(&Origin { file: file.clone() }) {
            Some(config) => {
                print!("{}", show(&config));
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        },
    }
}
