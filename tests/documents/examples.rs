//! The examples in the tables of modules, as `regdeploy doc` shows them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use regdeploy::executor::{self, Words};
use regdeploy::playbook::{Vocabulary as _, short_name};

/// What examples import: it is read before anything runs.
pub fn imported(folder: &Path) {
    let tasks = folder.join("roles/database/tasks");
    std::fs::create_dir_all(&tasks).expect("folders");
    for (path, text) in [
        (folder.join("packages.yml"), "[]\n"),
        (folder.join("web.yml"), "- hosts: all\n"),
        (tasks.join("main.yml"), "- ping:\n"),
        (tasks.join("backup.yml"), "- ping:\n"),
    ] {
        std::fs::write(path, text).expect("a file");
    }
}

#[test]
fn examples_are_tasks_of_their_modules() {
    let words = Words {
        extra_vars: Arc::default(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut playbook = String::new();
    let mut foreign = Vec::new();
    let specs = words.modules().into_iter().filter_map(executor::described);
    for spec in specs.filter(|spec| !spec.example.is_empty()) {
        let tasks: Vec<serde_yaml::Mapping> = serde_yaml::from_str(spec.example)
            .unwrap_or_else(|error| panic!("the example of {} is no list of tasks: {error}", spec.name));
        let names = |task: &serde_yaml::Mapping| {
            let mut keys = task.keys().filter_map(serde_yaml::Value::as_str);
            keys.any(|key| short_name(key) == spec.name)
        };
        if !tasks.iter().any(names) {
            foreign.push(spec.name);
        }
        if spec.name == "import_playbook" {
            playbook.push_str(spec.example);
            continue;
        }
        let _ = write!(playbook, "- name: {}\n  hosts: all\n  tasks:\n", spec.name);
        for line in spec.example.lines() {
            let _ = writeln!(playbook, "    {line}");
        }
    }
    assert!(
        foreign.is_empty(),
        "examples that do not use their module: {foreign:?}"
    );
    imported(folder.path());
    let file = folder.path().join("examples.yml");
    std::fs::write(&file, playbook).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["-i", "localhost,", "--syntax-check"])
        .arg(&file)
        .current_dir(folder.path())
        .output()
        .expect("the executable starts");
    let told = String::from_utf8_lossy(&output.stderr);
    // The files that examples copy are the reader's.
    let is_of_a_file = |line: &str| line.starts_with("[WARNING]: Could not find or access");
    let mut warnings = told.lines().filter(|line| line.starts_with('['));
    assert!(output.status.success() && warnings.all(is_of_a_file), "{told}");
}
