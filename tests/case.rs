//! A case is a folder: playbooks and what they need, `case.txt` with the command lines to run on fresh copies of
//! it, and `expected.txt` with what these print, both streams and the exit code.
//!
//! `case.txt` has lines `run: ARGUMENTS`; without one, `-i inventory.ini` where there is such a file, and
//! `play.yml`. `UPDATE_EXPECTED=1 cargo test` writes what was printed: look at the difference before it is
//! committed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use similar::TextDiff;

/// Variables that would change what is printed.
const FOREIGN: &[&str] = &[
    "ANSIBLE_INVENTORY",
    "ANSIBLE_FORCE_COLOR",
    "ANSIBLE_NOCOLOR",
    "ANSIBLE_HOST_KEY_CHECKING",
    "SSH_AUTH_SOCK",
];

/// What differs from one run to the next, and what is shown instead.
const VARYING: &[(&str, &str)] = &[
    (r#""delta": "[0-9:.]+""#, r#""delta": "[TIME]""#),
    (r#""(start|end)": "[0-9-]+ [0-9:.]+""#, r#""$1": "[TIME]""#),
];

pub struct Case {
    pub name: String,
    folder: PathBuf,
    /// As written, and split.
    runs: Vec<(String, Vec<String>)>,
    directives: Vec<String>,
}

/// A fresh copy of a case's folder.
pub struct Copy {
    folder: tempfile::TempDir,
}

/// All cases below a folder of `tests/`, by name.
pub fn all(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases: Vec<Case> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| Case::read(&entry.unwrap().path()))
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!cases.is_empty());
    cases
}

/// Runs `check` on every case, and fails with what all of them have to say.
pub fn check(folder: &str, check: impl Fn(&Case) -> String + Sync) {
    let cases = all(folder);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let worker = || {
            let mut complaints = Vec::new();
            while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                let complaint = check(case);
                if !complaint.is_empty() {
                    complaints.push(format!("==== {}\n{complaint}", case.name));
                }
            }
            complaints
        };
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running
            .into_iter()
            .flat_map(|running| running.join().unwrap())
            .collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

impl Case {
    fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.join("case.txt")).unwrap_or_default();
        let mut runs = Vec::new();
        let mut directives = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once(':') {
                Some(("run", arguments)) => {
                    let words =
                        shell_words::split(arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
                    runs.push((arguments.trim().to_owned(), words));
                }
                _ => directives.push(line.trim().to_owned()),
            }
        }
        if runs.is_empty() {
            let inventory = folder.join("inventory.ini").exists();
            let line = if inventory {
                "-i inventory.ini play.yml"
            } else {
                "play.yml"
            };
            runs.push((line.to_owned(), line.split(' ').map(str::to_owned).collect()));
        }
        Self {
            name,
            folder: folder.to_owned(),
            runs,
            directives,
        }
    }

    /// Whether `case.txt` has this line.
    pub fn says(&self, directive: &str) -> bool {
        self.directives
            .iter()
            .any(|line| line.split(',').next() == Some(directive))
    }

    pub fn first_run(&self) -> &[String] {
        &self.runs[0].1
    }

    pub fn copy(&self) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&self.folder, folder.path());
        Copy { folder }
    }

    /// Runs every command line and compares with `expected.txt`; the difference, empty if there is none.
    pub fn compare(&self) -> String {
        let mut printed = String::new();
        for (line, words) in &self.runs {
            let copy = self.copy();
            let output = copy.run(words);
            writeln!(printed, "$ regdeploy {line}").unwrap();
            printed.push_str(&copy.filter(&String::from_utf8_lossy(&output.stdout)));
            let stderr = copy.filter(&String::from_utf8_lossy(&output.stderr));
            if !stderr.is_empty() {
                writeln!(printed, "---- stderr\n{}", stderr.trim_end()).unwrap();
            }
            let code = output
                .status
                .code()
                .map_or("killed".to_owned(), |code| code.to_string());
            writeln!(printed, "---- exit {code}").unwrap();
        }
        let file = self.folder.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&file, &printed).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if expected == printed {
            return String::new();
        }
        TextDiff::from_lines(&expected, &printed)
            .unified_diff()
            .header("expected.txt", "printed")
            .to_string()
    }
}

impl Copy {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regdeploy"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env("HOME", self.path());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[String]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What differs from one run to the next, replaced.
    fn filter(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "[DIR]");
        VARYING.iter().fold(text, |text, (pattern, replacement)| {
            let pattern = regex::Regex::new(pattern).unwrap();
            pattern.replace_all(&text, *replacement).into_owned()
        })
    }

    /// Every path below, with its mode and contents.
    pub fn listing(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut listing = BTreeMap::new();
        list(self.path(), &mut listing);
        listing
    }
}

fn list(folder: &Path, listing: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let contents = if found.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        listing.insert(path.clone(), (found.permissions().mode(), contents));
        if found.is_dir() {
            list(&path, listing);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            fs::create_dir(to.join(name)).unwrap();
            copy_folder(&path, &to.join(name));
        } else if !matches!(name.to_str(), Some("case.txt" | "expected.txt")) {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
