//! Both engines, and what one of them does with a scenario: what is printed, how it ends, which files it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::answer::{self, Verdict};
use super::scenario::{Scenario, is_program};

/// For one command line, in seconds, on a machine that does much else. `timeout` ends it with 124.
const LIMIT: &str = "120";

/// Settings for both: what ansible-core prints for its own sake is left out.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("LANG", "C.UTF-8"),
    ("ANSIBLE_NOCOLOR", "1"),
    ("ANSIBLE_DEPRECATION_WARNINGS", "0"),
    ("ANSIBLE_LOCALHOST_WARNING", "0"),
    ("ANSIBLE_INVENTORY_UNPARSED_WARNING", "0"),
    // Several hosts at a time answer in the order in which they happen to be ready.
    ("ANSIBLE_FORKS", "1"),
];

/// Settings for ansible-core alone, which make it faster and change no result.
const FASTER: (&str, &str) = ("ANSIBLE_PIPELINING", "1");

pub struct Engines {
    /// The folder of ansible-core's programs.
    oracle: PathBuf,
    /// Where its answers are kept.
    answers: PathBuf,
    /// Where the files of cases that differ are left.
    differing: PathBuf,
    version: String,
}

/// What one engine did with one scenario.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    pub runs: Vec<Run>,
    /// What is new or different below the scenario's folder: kind, mode and contents by path. What has gone is `gone`.
    pub files: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// None if it was killed.
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Clone, Copy)]
enum Engine<'a> {
    Oracle(&'a Path),
    Ours,
}

/// Makes sure that ansible-core is there; the folder of its programs.
pub fn install() -> PathBuf {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/oracle"))
        .stderr(Stdio::inherit())
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "ansible-core cannot be installed");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim_end())
}

impl Engines {
    pub fn install() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let oracle = install();
        let answers = here.join("target/differential/answers");
        fs::create_dir_all(&answers).expect("a folder for answers");
        let version = Command::new(oracle.join("ansible-playbook"))
            .arg("--version")
            .output()
            .expect("the oracle runs");
        let version = String::from_utf8_lossy(&version.stdout)
            .lines()
            .next()
            .expect("a version")
            .to_owned();
        Self {
            oracle,
            answers,
            differing: here.join("target/differential/differing"),
            version,
        }
    }

    pub fn compare(&self, scenario: &Scenario) -> Vec<Verdict> {
        let verdicts = answer::compare(scenario, &self.ask_oracle(scenario), &run(Engine::Ours, scenario));
        // To look at what differs one wants to run it by hand.
        let folder = self.differing.join(scenario.path());
        let _ = fs::remove_dir_all(&folder);
        if verdicts.iter().any(|verdict| verdict.difference.is_some()) {
            write(scenario, &folder);
        }
        verdicts
    }

    /// What ansible-core did with it at an earlier time, or does now.
    fn ask_oracle(&self, scenario: &Scenario) -> Done {
        let question = format!(
            "{}\n{:?}\n{:?}\n{ENVIRONMENT:?}\n{:?}",
            self.version, scenario.commands, scenario.environment, scenario.files
        );
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, question.as_bytes());
        let name: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let file = self.answers.join(name);
        if let Some(done) = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
        {
            return done;
        }
        let done = run(Engine::Oracle(&self.oracle), scenario);
        let text = serde_json::to_vec(&done).expect("it is data");
        // Whole or not at all: two of these tests may run at a time.
        let mut temporary = tempfile::NamedTempFile::new_in(&self.answers).expect("a file");
        std::io::Write::write_all(&mut temporary, &text).expect("an answer that can be kept");
        temporary.persist(&file).expect("an answer that can be kept");
        done
    }
}

/// Runs a scenario's command lines one after the other in a fresh folder.
fn run(engine: Engine, scenario: &Scenario) -> Done {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().join("case");
    let home = temporary.path().join("home");
    let programs = temporary.path().join("bin");
    for folder in [&folder, &home, &programs] {
        fs::create_dir(folder).expect("a folder");
    }
    write(scenario, &folder);
    let before = tree(&folder);
    let hide = |text: &[u8]| {
        String::from_utf8_lossy(text)
            .replace(&*folder.to_string_lossy(), "[DIR]")
            .replace(&*home.to_string_lossy(), "[HOME]")
    };
    let runs = scenario
        .commands
        .iter()
        .map(|words| {
            let output = command(engine, words, &programs)
                .current_dir(&folder)
                .env("HOME", &home)
                .envs(scenario.environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::null())
                .output()
                .expect("the engine runs");
            Run {
                exit: output.status.code(),
                stdout: hide(&output.stdout),
                stderr: hide(&output.stderr),
            }
        })
        .collect();
    let mut files = BTreeMap::new();
    let after = tree(&folder);
    for (path, what) in &after {
        if before.get(path) != Some(what) {
            files.insert(path.clone(), hide(what.as_bytes()));
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        files.insert(path.clone(), "gone".to_owned());
    }
    Done { runs, files }
}

fn command(engine: Engine, words: &[String], programs: &Path) -> Command {
    let (program, arguments) = match words.split_first() {
        Some((first, rest)) if is_program(first) => (first.as_str(), rest),
        _ => ("ansible-playbook", words),
    };
    let mut command = Command::new("timeout");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .envs(ENVIRONMENT.iter().copied())
        .args(["--kill-after=5", LIMIT]);
    match engine {
        Engine::Oracle(folder) => {
            command.arg(folder.join(program)).envs([FASTER]);
            // Modules run with the same Python, and it is not looked for.
            command.env("ANSIBLE_PYTHON_INTERPRETER", folder.join("python3"));
            // It takes the home of the user for its folder, not the one that it is told.
            command.env("ANSIBLE_ASYNC_DIR", programs.join("async"));
        }
        Engine::Ours => {
            let link = programs.join(program);
            let _ = symlink(env!("CARGO_BIN_EXE_regdeploy"), &link);
            command.arg(if program == "ansible-playbook" {
                Path::new(env!("CARGO_BIN_EXE_regdeploy"))
            } else {
                &link
            });
        }
    }
    command.args(arguments);
    let connects = matches!(program, "ansible-playbook" | "ansible");
    if connects && !arguments.iter().any(|word| word == "-c") {
        command.args(["-c", "local"]);
    }
    command
}

fn write(scenario: &Scenario, folder: &Path) {
    for (path, contents) in &scenario.files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it is below the folder")).expect("folders");
        fs::write(&path, contents).expect("a file");
        let mode = if contents.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
}

/// What is below a folder: kind, mode and contents by path.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    list(folder, folder, &mut tree);
    tree
}

fn list(root: &Path, folder: &Path, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("it is there");
        let mode = found.permissions().mode() & 0o7777;
        let what = if found.is_symlink() {
            format!("link to {}", fs::read_link(&path).expect("a link").display())
        } else if found.is_dir() {
            list(root, &path, tree);
            format!("folder {mode:04o}")
        } else {
            let contents = fs::read(&path).expect("a file that can be read");
            format!("file {mode:04o}\n{}", String::from_utf8_lossy(&contents))
        };
        let name = path.strip_prefix(root).expect("it is below");
        tree.insert(name.display().to_string(), what);
    }
}
