//! `regdeploy init DIR`: the site that comes with the program, written out.
//!
//! The program alone is thus enough to start from. Files that somebody has changed are not overwritten
//! unless that is asked for, and then nothing is written at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::arguments::InitArguments;
use crate::diagnostic::Diagnostic;

/// The folders of the site, each with its name.
static FOLDERS: [(&str, Dir<'_>); 3] = [
    ("inventories", include_dir!("$CARGO_MANIFEST_DIR/inventories")),
    ("playbooks", include_dir!("$CARGO_MANIFEST_DIR/playbooks")),
    ("roles", include_dir!("$CARGO_MANIFEST_DIR/roles")),
];

/// The files beside them.
static FILES: [(&str, &[u8]); 1] = [("Vagrantfile", include_bytes!("../../Vagrantfile"))];

/// Before the process's umask is applied.
const FILE_MODE: u32 = 0o666;

/// More files than this are counted, not listed.
const MAX_LISTED: usize = 10;

/// A file of the site: its path in the folder that is written to, and its content.
type SiteFile = (PathBuf, &'static [u8]);

/// Writes the site and says on `out` what was written and what to do next. An error ends the run with 1.
pub fn run(arguments: &InitArguments, out: &mut dyn Write) -> Result<(), Diagnostic> {
    write_site(&site(), arguments, out)
}

/// All files of the site, sorted.
fn site() -> Vec<SiteFile> {
    let mut files: Vec<SiteFile> = FILES
        .iter()
        .map(|(name, content)| (PathBuf::from(name), *content))
        .collect();
    for (name, folder) in &FOLDERS {
        collect(Path::new(name), folder, &mut files);
    }
    files.sort();
    files
}

fn collect(base: &Path, folder: &'static Dir<'_>, files: &mut Vec<SiteFile>) {
    // `.gitkeep` and its kind are the repository's own business.
    let visible = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b".")
    };
    let found = folder.files().filter(|file| visible(file.path()));
    files.extend(found.map(|file| (base.join(file.path()), file.contents())));
    for below in folder.dirs() {
        collect(base, below, files);
    }
}

fn write_site(site: &[SiteFile], arguments: &InitArguments, out: &mut dyn Write) -> Result<(), Diagnostic> {
    let folder = &arguments.folder;
    let mut missing = Vec::new();
    let mut changed = Vec::new();
    for (path, content) in site {
        match fs::read(folder.join(path)) {
            Ok(existing) if existing == *content => {}
            Ok(_) => changed.push((path, *content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, *content)),
            Err(error) => return Err(failed("read", &folder.join(path), &error)),
        }
    }
    if !changed.is_empty() && !arguments.force {
        return Err(refusal(folder, &changed));
    }
    missing.extend(changed);
    missing.sort();
    let mut lines = Vec::new();
    for (path, content) in &missing {
        let target = folder.join(path);
        write_file(&target, content).map_err(|error| failed("write", &target, &error))?;
        lines.push(format!("wrote {}", target.display()));
    }
    lines.push(summary(folder, missing.len(), site.len()));
    writeln!(out, "{}", lines.join("\n"))
        .map_err(|error| Diagnostic::error(format!("cannot print what was written: {error}")))
}

fn summary(folder: &Path, written: usize, all: usize) -> String {
    let kept = match all - written {
        0 => String::new(),
        kept => format!(", {kept} already there"),
    };
    let enter = if folder == Path::new(".") {
        String::new()
    } else {
        format!("  cd {}\n", folder.display())
    };
    format!(
        "{written} written{kept}\n\nNext, to try it on this machine:\n{enter}  regdeploy -i inventories/local.ini site.yml --check --diff\n  regdeploy -i inventories/local.ini site.yml"
    )
}

fn refusal(folder: &Path, changed: &[(&PathBuf, &[u8])]) -> Diagnostic {
    let mut error = Diagnostic::error(match changed {
        [(path, _)] => format!(
            "`{}` exists and differs; nothing was written",
            folder.join(path).display()
        ),
        many => format!("{} files exist and differ; nothing was written", many.len()),
    });
    if changed.len() > 1 {
        for (path, _) in changed.iter().take(MAX_LISTED) {
            error = error.hint(format!("`{}` differs", folder.join(path).display()));
        }
        if changed.len() > MAX_LISTED {
            error = error.hint(format!("and {} more", changed.len() - MAX_LISTED));
        }
    }
    error.hint("overwrite with --force, or name another folder")
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot {what} `{}`: {error}", path.display()))
}

/// The whole file or nothing.
fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".regdeploy-")
        .permissions(fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: [(&str, &[u8]); 3] = [
        ("Vagrantfile", b"v\n"),
        ("playbooks/site.yml", b"[]\n"),
        ("roles/a/tasks/main.yml", b"[]\n"),
    ];

    fn init(folder: &Path, force: bool) -> Result<String, String> {
        let site: Vec<SiteFile> = SITE
            .iter()
            .map(|(path, content)| (PathBuf::from(path), *content))
            .collect();
        let arguments = InitArguments {
            folder: folder.to_owned(),
            force,
        };
        let mut out = Vec::new();
        let shown = |text: String| text.replace(&folder.display().to_string(), "DIR");
        match write_site(&site, &arguments, &mut out) {
            Ok(()) => Ok(shown(String::from_utf8(out).unwrap())),
            Err(error) => Err(shown(error.render(false))),
        }
    }

    #[test]
    fn writes_what_is_missing() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("new");
        insta::assert_snapshot!(init(&folder, false).unwrap(), @r"
        wrote DIR/Vagrantfile
        wrote DIR/playbooks/site.yml
        wrote DIR/roles/a/tasks/main.yml
        3 written

        Next, to try it on this machine:
          cd DIR
          regdeploy -i inventories/local.ini site.yml --check --diff
          regdeploy -i inventories/local.ini site.yml
        ");
        assert_eq!(fs::read(folder.join("playbooks/site.yml")).unwrap(), b"[]\n");
        fs::remove_file(folder.join("Vagrantfile")).unwrap();
        let again = init(&folder, false).unwrap();
        assert!(
            again.starts_with("wrote DIR/Vagrantfile\n1 written, 2 already there\n"),
            "{again}"
        );
        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn what_was_changed_stays_unless_forced() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        fs::create_dir(folder.join("playbooks")).unwrap();
        fs::write(folder.join("playbooks/site.yml"), "mine\n").unwrap();
        insta::assert_snapshot!(init(folder, false).unwrap_err(), @r"
        error: `DIR/playbooks/site.yml` exists and differs; nothing was written
         |
         = help: overwrite with --force, or name another folder
        ");
        assert!(!folder.join("Vagrantfile").exists());
        fs::write(folder.join("Vagrantfile"), "mine\n").unwrap();
        insta::assert_snapshot!(init(folder, false).unwrap_err(), @r"
        error: 2 files exist and differ; nothing was written
         |
         = help: `DIR/Vagrantfile` differs
         = help: `DIR/playbooks/site.yml` differs
         = help: overwrite with --force, or name another folder
        ");
        init(folder, true).unwrap();
        assert_eq!(fs::read(folder.join("playbooks/site.yml")).unwrap(), b"[]\n");
    }

    #[test]
    fn the_site_has_no_hidden_files() {
        for (path, _) in site() {
            assert!(
                !path.file_name().unwrap().to_string_lossy().starts_with('.'),
                "{}",
                path.display()
            );
        }
    }
}
