//! Where the files of settings are: the first that is there of a variable's, the current folder's, the user's
//! and the machine's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Surroundings;
use crate::diagnostic::Diagnostic;

/// A kind of file.
pub struct Family {
    pub file: &'static str,
    /// The variable that names a file, or the folder of one.
    pub variable: &'static str,
    /// Its folder below `/etc`.
    folder: &'static str,
}

/// Ansible's own file: what it says and is not known here is meant for Ansible.
pub const ANSIBLE: Family = Family {
    file: "ansible.cfg",
    variable: "ANSIBLE_CONFIG",
    folder: "ansible",
};

/// This program's file, which beats the other one.
pub const OWN: Family = Family {
    file: "regdeploy.cfg",
    variable: "REGDEPLOY_CONFIG",
    folder: "regdeploy",
};

impl Family {
    /// The file that counts, if there is one.
    pub fn find(&self, around: &Surroundings<'_>, warnings: &mut Vec<Diagnostic>) -> Option<PathBuf> {
        let named = (around.variable)(self.variable)
            .filter(|name| !name.is_empty())
            .map(|name| around.folder.join(super::convert::home(&name, around.home)))
            .map(|path| if path.is_dir() { path.join(self.file) } else { path });
        if let Some(path) = named.filter(|path| readable(path)) {
            return Some(path);
        }
        let here = around.folder.join(self.file);
        if readable(&here) {
            if !open_to_all(around.folder) {
                return Some(here);
            }
            // Whoever can write there could have the run do anything.
            warnings.push(Diagnostic::warning(format!(
                "Ansible is being run in a world writable directory ({}), ignoring it as an {} source.",
                around.folder.display(),
                self.file
            )));
        }
        let users = around.home.map(|home| home.join(format!(".{}", self.file)));
        let machines = around.system.join(self.folder).join(self.file);
        users.into_iter().chain([machines]).find(|path| readable(path))
    }
}

fn readable(path: &Path) -> bool {
    path.is_file() && fs::File::open(path).is_ok()
}

fn open_to_all(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0)
}
