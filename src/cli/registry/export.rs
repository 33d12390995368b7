//! `regdeploy-registry export`: images into files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::{Args, ValueEnum};

use super::fail;
use super::progress::Progress;
use super::workplace::{Workplace, size};
use crate::registry::content::{Registry, Watch};
use crate::registry::control::{self, ControlError};
use crate::registry::exchange::{self, ExchangeError, Exported, Folder, Platform, Sink, Tar};
use crate::registry::server;
use crate::registry::storage::Filesystem;

/// Give images out as an OCI layout or a docker archive.
///
/// Reads the data folder, beside a running server too. Images are named repository:tag or repository@digest; without
/// either, the tag is `latest`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// The folder or file to write; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[arg(long, value_enum, default_value_t = Form::Oci)]
    format: Form,
    /// Which image of several a docker archive gets [default: this machine's]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<Platform>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A folder with an OCI layout
    Oci,
    /// A tar archive of an OCI layout
    OciArchive,
    /// What `docker load` reads
    DockerArchive,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(config) = arguments.workplace.config() else {
        return ExitCode::FAILURE;
    };
    let root = &config.storage.root;
    let opened = control::need_folder(root).and_then(|()| {
        Filesystem::new(root).map_err(|source| ControlError::Storage {
            path: root.clone(),
            source,
        })
    });
    let storage = match opened {
        Ok(storage) => storage,
        Err(error) => return fail(&error),
    };
    // All of an image is open at a time.
    server::raise_descriptor_limit();
    match write(arguments, &Registry::new(Arc::new(storage))) {
        // The archive has standard output for itself.
        Ok(_) if arguments.output == Path::new("-") => ExitCode::SUCCESS,
        Ok(done) => arguments.workplace.tell(&done, |done: &Exported| {
            format!(
                "exported {} images: {} files ({})\n",
                done.images.len(),
                done.blobs,
                size(done.bytes)
            )
        }),
        Err(error) => fail(&error),
    }
}

fn write(arguments: &Arguments, registry: &Registry) -> Result<Exported, ExchangeError> {
    let images = arguments.images.iter().map(|text| exchange::image(text));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let failed = |source| ExchangeError::Write {
        path: arguments.output.display().to_string(),
        source,
    };
    let format = match arguments.format {
        Form::Oci | Form::OciArchive => exchange::Format::Oci,
        Form::DockerArchive => exchange::Format::Docker,
    };
    let mut sink: Box<dyn Sink> = match arguments.format {
        Form::Oci => Box::new(Folder::new(&arguments.output).map_err(failed)?),
        Form::OciArchive | Form::DockerArchive => {
            let file: Box<dyn Write> = if arguments.output == Path::new("-") {
                Box::new(io::stdout())
            } else {
                Box::new(File::create(&arguments.output).map_err(failed)?)
            };
            Box::new(Tar::new(BufWriter::with_capacity(1 << 20, file)))
        }
    };
    let platform = arguments.platform.clone().unwrap_or_else(Platform::here);
    let shown = Shown(Mutex::new(Progress::new()));
    exchange::export(registry, &images, format, &platform, sink.as_mut(), &shown)
}

/// Progress of work in this process.
struct Shown(Mutex<Progress>);

impl Watch for Shown {
    fn progress(&self, phase: &'static str, done: u64, total: Option<u64>) -> bool {
        if let Ok(mut progress) = self.0.lock() {
            progress.show(phase, done, total);
        }
        true
    }
}
