//! Verbs on a data folder, as their users run them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::server::Server;

/// The executable with a verb of the registry.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
    command.arg("registry").args(words).env_clear();
    command
}

/// Runs a verb on the folder of a server's configuration; words that follow go behind `--config`.
pub fn run(folder: &Path, words: &[&str]) -> Output {
    command(words)
        .arg("--config")
        .arg(folder.join("registry.yml"))
        .output()
        .unwrap()
}

/// The JSON lines of a verb that must succeed.
#[track_caller]
pub fn lines(folder: &Path, words: &[&str]) -> Vec<Value> {
    let output = run(folder, &[words, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The last of them.
#[track_caller]
pub fn json(folder: &Path, words: &[&str]) -> Value {
    lines(folder, words).pop().unwrap()
}

#[track_caller]
pub fn stderr_of_failure(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(!output.status.success(), "{words:?}");
    String::from_utf8(output.stderr).unwrap()
}

impl Server {
    #[track_caller]
    pub fn verb(&self, words: &[&str]) -> Value {
        json(self.folder.path(), words)
    }

    /// Where a blob's data is.
    pub fn data_of(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.data().join("docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// A server on a folder of its own, with further lines under `storage:`.
    pub fn caring(storage: &str) -> Self {
        Self::care(tempfile::tempdir().unwrap(), storage)
    }
}
