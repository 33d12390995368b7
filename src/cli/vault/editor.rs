//! A person changes a text: in a file of a private folder, overwritten before it goes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use crate::diagnostic::Diagnostic;

/// What the editor leaves of `text`. The file is called as the one that is edited, so that editors know its kind.
pub fn edit(text: &[u8], file: &Path, editor: &str) -> Result<Vec<u8>, Diagnostic> {
    let failed = |error: std::io::Error| Diagnostic::error(format!("cannot make a file to edit: {error}"));
    // Mode 0700, with all that is in it gone at the end.
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join(file.file_name().unwrap_or("vault".as_ref()));
    let mut open = OpenOptions::new();
    let mut written = open
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    written.write_all(text).map_err(failed)?;
    let result = run(editor, &path).and_then(|()| fs::read(&path).map_err(failed));
    shred(folder.path());
    result
}

fn run(editor: &str, path: &Path) -> Result<(), Diagnostic> {
    let words = shell_words::split(editor).unwrap_or_default();
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Diagnostic::error("there is no editor").hint("set EDITOR"))?;
    let status = Command::new(program).args(arguments).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Diagnostic::error(format!(
            "the editor `{editor}` failed ({status}): nothing was changed"
        ))),
        Err(error) => {
            Err(Diagnostic::error(format!("cannot start the editor `{editor}`: {error}")).hint("set EDITOR"))
        }
    }
}

/// Overwrites all files, an editor's copies too. What cannot be overwritten is removed all the same.
fn shred(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(length) = entry.metadata().map(|metadata| metadata.len()) else {
            continue;
        };
        let Ok(mut file) = OpenOptions::new().write(true).open(entry.path()) else {
            continue;
        };
        let zeros = vec![0; usize::try_from(length).unwrap_or_default()];
        let _ = file.write_all(&zeros).and_then(|()| file.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editors_text_comes_back_and_nothing_stays() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let editor = format!(
            "sh -c 'echo more >> \"$0\"; echo \"$0\" > {}'",
            log.path().display()
        );
        assert_eq!(
            edit(b"one\n", Path::new("x/vars.yml"), &editor).unwrap(),
            b"one\nmore\n"
        );
        let path = fs::read_to_string(log.path()).unwrap();
        assert!(path.trim_end().ends_with("/vars.yml") && !Path::new(path.trim_end()).exists());
        let error = edit(b"", Path::new("f"), "false").unwrap_err().message;
        assert_eq!(
            error,
            "the editor `false` failed (exit status: 1): nothing was changed"
        );
    }
}
