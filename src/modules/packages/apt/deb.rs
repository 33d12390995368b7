//! Package files: on the target, or fetched to it first.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::dpkg::Database;
use super::plan::Call;
use super::{ARCHIVES, Args, Error, State, apt_get, version};
use crate::modules::files::path;
use crate::modules::tool;
use crate::system::{Command, Follow, System};

/// A package file to be fetched before it is installed.
#[derive(Debug)]
pub struct Download {
    pub url: String,
    pub path: PathBuf,
}

/// The call that installs the files, as far as that very version is not there; and what would be there then.
pub fn install(args: &Args, debs: &str, system: &dyn System) -> Result<Option<Call>, Error> {
    if args.state != State::Present {
        return Err(Error::new("deb only supports state=present"));
    }
    let mut database = Database::read(system)?;
    let mut call = Call::new(apt_get(args, &["install"]));
    call.command.argv.push("--".to_owned());
    let fixed = call.command.argv.len();
    for deb in debs.split(',').map(str::trim).filter(|deb| !deb.is_empty()) {
        let file = if deb.contains("://") {
            let file = Path::new(ARCHIVES).join(name(deb));
            call.downloads.push(Download {
                url: deb.to_owned(),
                path: file.clone(),
            });
            file
        } else {
            let file = path::expand(deb, system)?;
            let Some((name, version)) = wanted(args, &file, &mut database, system)? else {
                continue;
            };
            if database.is_foreseen(&name) {
                call.known = Some(true);
            }
            call.packages.install(name, &version);
            file
        };
        call.command.argv.push(file.display().to_string());
    }
    Ok((call.command.argv.len() > fixed).then_some(call))
}

/// What an address calls its file.
fn name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_deb = Path::new(name).extension().is_some_and(|ending| ending == "deb");
    if is_deb { name } else { "download.deb" }
}

/// Name and version of a file that is to be installed; none where they are installed already.
fn wanted(
    args: &Args,
    file: &Path,
    database: &mut Database,
    system: &dyn System,
) -> Result<Option<(String, String)>, Error> {
    let path = file.display().to_string();
    if system.metadata(file, Follow::Yes)?.is_none() {
        return Err(Error::new(format!(
            "Unable to install package: could not open file {path} (there is no such file on the target)"
        )));
    }
    let field = |field: &str| {
        tool::text_of(system, &Command::new(["dpkg-deb", "-f", &path, field]))
            .map(|text| text.trim().to_owned())
            .map_err(|error| Error {
                message: format!("Unable to install package: {}", error.message),
                ..error
            })
    };
    let (name, version) = (field("Package")?, field("Version")?);
    database.foresee(&name, system);
    if let Some(package) = database.find(&name, None).filter(|package| package.installed) {
        match version::compare(&version, &package.version) {
            Ordering::Equal => return Ok(None),
            Ordering::Less if !args.allow_downgrade && !args.force => {
                return Err(Error::new(format!(
                    "A later version is already installed: {name} {} instead of {version}; allow_downgrade takes the lower",
                    package.version
                )));
            }
            _ => {}
        }
    }
    Ok(Some((name, version)))
}
