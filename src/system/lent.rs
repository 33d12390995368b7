//! Files that are there for as long as a process runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Attributes, Command, CommandOutput, LentFile, Result, System};

/// Only the user that runs the process looks in.
const FOLDER_MODE: u32 = 0o700;

/// [`System::run_with`], by the other methods of a system.
pub(super) fn run_with<S: System + ?Sized>(
    system: &S,
    files: &[LentFile],
    command: &dyn Fn(&Path) -> Command,
) -> Result<CommandOutput> {
    let folder = folder(system);
    system.create_dir(&folder, FOLDER_MODE)?;
    let ran = written(system, &folder, files).and_then(|()| system.run(&command(&folder)));
    let removed = system.remove_tree(&folder);
    let output = ran?;
    removed?;
    Ok(output)
}

fn written<S: System + ?Sized>(system: &S, folder: &Path, files: &[LentFile]) -> Result<()> {
    files.iter().try_for_each(|file| {
        let attributes = Attributes {
            mode: Some(file.mode),
            ..Attributes::default()
        };
        system.write(&folder.join(&file.name), &mut file.content.as_slice(), attributes)
    })
}

/// A new folder beside the agent: where that may be executed, this may.
fn folder<S: System + ?Sized>(system: &S) -> PathBuf {
    let cache = system
        .env("HOME")
        .map(|home| Path::new(&home).join(".cache/regdeploy"));
    let usable = |path: &PathBuf| matches!(system.access(path), Ok((true, true, true)));
    let parent = cache.filter(usable).unwrap_or_else(|| PathBuf::from("/tmp"));
    let moment = system
        .now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    parent.join(format!(
        ".regdeploy-lent-{}-{:x}",
        std::process::id(),
        moment.as_nanos()
    ))
}
