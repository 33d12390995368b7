//! From the name of a playbook on the command line to its file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, nearest};

/// Where playbooks are that are named without a path.
const FOLDER: &str = "playbooks";

/// What a playbook's name ends with, and what may be left out.
const ENDINGS: [&str; 2] = [".yml", ".yaml"];

fn is_playbook(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Finds a playbook: a path, or a name in `playbooks/`, with or without its ending. `base` is the folder that
/// relative paths start from: the empty path for the current one. An error ends the run with 1.
pub fn find(name: &str, base: &Path) -> Result<PathBuf, Diagnostic> {
    let candidates = candidates(name, base);
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(not_found(name, base, &candidates)),
    }
}

fn candidates(name: &str, base: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![base.join(name)];
    if !name.contains('/') {
        let folder = base.join(FOLDER);
        candidates.push(folder.join(name));
        if !is_playbook(name) {
            candidates.extend(ENDINGS.map(|ending| folder.join(format!("{name}{ending}"))));
        }
    }
    candidates
}

fn not_found(name: &str, base: &Path, candidates: &[PathBuf]) -> Diagnostic {
    if base.join(name).is_dir() {
        return Diagnostic::error(format!("the playbook `{name}` is a folder")).hint("name a file in it");
    }
    let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    let mut error = Diagnostic::error(format!("the playbook `{name}` could not be found"))
        .hint(format!("looked for {}", looked.join(", ")));
    let Ok(entries) = fs::read_dir(base.join(FOLDER)) else {
        // Nobody has a site yet: the one that comes with the program may be meant.
        return if name.contains('/') {
            error
        } else {
            error.hint("`regdeploy init .` writes the playbooks that come with this program to this folder")
        };
    };
    let mut known: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_playbook(name))
        .collect();
    known.sort();
    let file = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    let whole = if is_playbook(&file) {
        file.to_string()
    } else {
        format!("{file}.yml")
    };
    if let Some(near) = nearest(&whole, known.iter().map(String::as_str)) {
        error = error.hint(format!("did you mean `{near}`?"));
    } else if !known.is_empty() {
        error = error.hint(format!("the playbooks in {FOLDER}/ are {}", known.join(", ")));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "[]\n").unwrap();
        }
        folder
    }

    fn look(name: &str, project: &tempfile::TempDir) -> Result<String, String> {
        let shown = |text: String| text.replace(&format!("{}/", project.path().display()), "");
        match find(name, project.path()) {
            Ok(path) => Ok(shown(path.display().to_string())),
            Err(error) => Err(shown(error.render(false))),
        }
    }

    #[test]
    fn a_path_comes_before_the_folder() {
        let project = project(&[
            "site.yml",
            "playbooks/site.yml",
            "playbooks/registry.yaml",
            "x/site.yml",
        ]);
        assert_eq!(look("site.yml", &project), Ok("site.yml".into()));
        assert_eq!(look("site", &project), Ok("playbooks/site.yml".into()));
        assert_eq!(look("registry", &project), Ok("playbooks/registry.yaml".into()));
        assert_eq!(look("x/site.yml", &project), Ok("x/site.yml".into()));
        assert!(look("y/site.yml", &project).is_err());
    }

    #[test]
    fn says_where_it_looked_and_what_may_be_meant() {
        let some = project(&["playbooks/site.yml", "x/a.yml"]);
        insta::assert_snapshot!(look("sit.yml", &some).unwrap_err(), @r"
        error: the playbook `sit.yml` could not be found
         |
         = help: looked for sit.yml, playbooks/sit.yml
         = help: did you mean `site.yml`?
        ");
        insta::assert_snapshot!(look("other", &some).unwrap_err(), @r"
        error: the playbook `other` could not be found
         |
         = help: looked for other, playbooks/other, playbooks/other.yml, playbooks/other.yaml
         = help: the playbooks in playbooks/ are site.yml
        ");
        insta::assert_snapshot!(look("y/site.yml", &some).unwrap_err(), @r"
        error: the playbook `y/site.yml` could not be found
         |
         = help: looked for y/site.yml
         = help: did you mean `site.yml`?
        ");
        insta::assert_snapshot!(look("x", &some).unwrap_err(), @r"
        error: the playbook `x` is a folder
         |
         = help: name a file in it
        ");
        insta::assert_snapshot!(look("site.yml", &project(&[])).unwrap_err(), @r"
        error: the playbook `site.yml` could not be found
         |
         = help: looked for site.yml, playbooks/site.yml
         = help: `regdeploy init .` writes the playbooks that come with this program to this folder
        ");
    }
}
