//! `regdeploy-registry import`: images from files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::workplace::{Workplace, have, size};
use super::{fail, say};
use crate::diagnostic::Diagnostic;
use crate::registry::control::message::Request;
use crate::registry::exchange::{Imported, tar_of_folder};

/// Take images in from an OCI layout or a docker archive.
///
/// FILE is a folder with an OCI layout, a tar archive of one, or what `docker save` or `podman save` wrote; `-` is an
/// archive on standard input. Images keep the names that they have there, without the host.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    file: PathBuf,
    /// Where the images go, whatever they are called
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// How the one image of the archive is tagged
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(config) = arguments.workplace.config() else {
        return ExitCode::FAILURE;
    };
    let content = match open(&arguments.file) {
        Ok(content) => content,
        Err(error) => {
            let file = arguments.file.display();
            say(&Diagnostic::error(format!("read the archive {file}: {error}")));
            return ExitCode::FAILURE;
        }
    };
    let request = Request::Import {
        repository: arguments.repository.clone(),
        tag: arguments.tag.clone(),
    };
    match have(&config, &request, Some(content), |_| {}) {
        Ok(done) => arguments.workplace.tell(&done, imported),
        Err(error) => fail(&error),
    }
}

fn open(file: &Path) -> io::Result<Box<dyn Read + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    if !file.is_dir() {
        return Ok(Box::new(File::open(file)?));
    }
    // A folder becomes a tar stream on its way.
    let (reader, writer) = io::pipe()?;
    let folder = file.to_owned();
    std::thread::spawn(move || {
        // Who reads finds the archive cut off, and says so.
        if let Err(error) = tar_of_folder(&folder, writer) {
            say(&Diagnostic::warning(format!(
                "read {}: {error}",
                folder.display()
            )));
        }
    });
    Ok(Box::new(reader))
}

fn imported(done: &Imported) -> String {
    let mut text = String::new();
    for image in &done.images {
        let tag = image
            .tag
            .as_ref()
            .map_or_else(String::new, |tag| format!(":{tag}"));
        let _ = writeln!(text, "{}{tag}@{}", image.repository, image.digest);
    }
    let _ = writeln!(text, "imported {} blobs ({})", done.blobs, size(done.bytes));
    text
}
