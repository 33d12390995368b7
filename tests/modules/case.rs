//! What a file of `cases/` says: see the README beside it.
//!
//! The tasks are kept as they are written, for both engines read YAML in ways of their own; all else is plain YAML.

use std::path::Path;

use serde::Deserialize;

/// All cases of one file.
pub struct CaseFile {
    /// The file's name without `.yml`: by custom the module's.
    pub name: String,
    pub cases: Vec<Case>,
}

pub struct Case {
    pub name: String,
    pub needs: Vec<String>,
    pub before: String,
    /// The list of tasks, as YAML.
    pub tasks: String,
    pub state: String,
    /// Why ansible-core is not asked.
    pub oracle: Option<String>,
    /// A second run changes again.
    pub changes_again: bool,
    /// What `--check` cannot know.
    pub unpredictable: bool,
    /// What the failure of the last task says.
    pub fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    before: String,
    tasks: Vec<serde_yaml::Value>,
    state: String,
    oracle: Option<String>,
    again: Option<Again>,
    predicts: Option<Predicts>,
    fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Again {
    Changes,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Predicts {
    Unknown,
}

/// All files of the folder whose `file/case` contain the filter.
pub fn all(folder: &Path, filter: &str) -> Result<Vec<CaseFile>, String> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut cases = parse(&text).map_err(|error| format!("tests/modules/cases/{name}.yml: {error}"))?;
        cases.retain(|case| format!("{name}/{}", case.name).contains(filter));
        if !cases.is_empty() {
            files.push(CaseFile { name, cases });
        }
    }
    Ok(files)
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let written: Vec<Written> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let tasks = tasks_as_written(text);
    if tasks.len() != written.len() {
        return Err(format!(
            "{} cases have {} lists of tasks at the margin's second column: `- name:` at the margin, its other keys \
             two blanks from it",
            written.len(),
            tasks.len()
        ));
    }
    let mut cases: Vec<Case> = Vec::new();
    for (written, (line, tasks)) in written.into_iter().zip(tasks) {
        let name = written.name;
        let read: Result<Vec<serde_yaml::Value>, _> = serde_yaml::from_str(&tasks);
        if read.ok().as_ref() != Some(&written.tasks) {
            return Err(format!("line {line}: the tasks of `{name}` cannot stand alone"));
        }
        if cases.iter().any(|case| case.name == name) {
            return Err(format!("line {line}: there are two cases `{name}`"));
        }
        if written.tasks.is_empty() {
            return Err(format!("line {line}: `{name}` has no tasks"));
        }
        cases.push(Case {
            name,
            needs: written.needs,
            before: written.before,
            tasks,
            state: written.state,
            oracle: written.oracle,
            changes_again: written.again.is_some(),
            unpredictable: written.predicts.is_some(),
            fails: written.fails,
        });
    }
    Ok(cases)
}

/// What stands below each `tasks:`, and the number of its line.
fn tasks_as_written(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let key = line
            .strip_prefix("  ")
            .or_else(|| line.strip_prefix("- "))
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()));
        if let Some(key) = key {
            inside = key.trim_end() == "tasks:";
            if inside {
                found.push((number + 1, String::new()));
            }
        } else if line.starts_with('-') {
            inside = false;
        } else if let (true, Some((_, tasks))) = (inside, found.last_mut()) {
            tasks.push_str(line);
            tasks.push('\n');
        }
    }
    found
}

#[test]
fn a_case_is_read_as_it_is_written() {
    let text = "# about\n- name: makes a folder\n  needs: [acl]\n  before: |\n    rm -rf /x\n    tasks: y\n  tasks:\n    \
                - file:\n        mode: 0750  # octal\n\n    - debug:\n  state: |\n    stat /x\n\n- name: other\n  \
                tasks:\n  - ping:\n  state: 'true'\n  again: changes\n  fails: no\n  oracle: none\n";
    let [first, second] = parse(text).unwrap().try_into().ok().unwrap();
    assert_eq!(first.name, "makes a folder");
    assert_eq!(first.needs, ["acl"]);
    assert_eq!(first.before, "rm -rf /x\ntasks: y\n");
    assert_eq!(
        first.tasks,
        "    - file:\n        mode: 0750  # octal\n\n    - debug:\n"
    );
    assert!(!first.changes_again && !first.unpredictable && first.fails.is_none());
    assert_eq!(second.tasks, "  - ping:\n");
    assert!(second.changes_again);
    assert_eq!(second.fails.as_deref(), Some("no"));
    assert_eq!(second.oracle.as_deref(), Some("none"));
}

#[test]
fn a_bad_case_is_refused_with_its_place() {
    for (text, message) in [
        ("- name: a\n  tasks: [\n", "line 3"),
        ("- name: a\n  tasks:\n  - ping:\n", "missing field `state`"),
        (
            "- name: a\n  tasks:\n  - ping:\n  state: x\n  agian: changes\n",
            "unknown field `agian`",
        ),
        (
            "- name: a\n  tasks:\n  - ping:\n  state: x\n  again: maybe\n",
            "unknown variant `maybe`",
        ),
        ("- name: a\n  tasks: [ping: ]\n  state: x\n", "two blanks from it"),
        (
            "- name: a\n  tasks:\n  - ping:\n  state: x\n- name: a\n  tasks:\n  - ping:\n  state: x\n",
            "line 6: there are two cases `a`",
        ),
    ] {
        let error = parse(text).err().expect(text);
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn every_file_of_cases_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/cases");
    all(&folder, "").unwrap_or_else(|error| panic!("{error}"));
}
