//! A scenario: files, and the command lines to run beside them. Most are one case; tables of small checks
//! (expressions, scalars, patterns) are one run with a case for each line.
//!
//! Many are in one text, `cases/SECTION.txt`; the README beside it has the form.

use std::collections::BTreeMap;
use std::path::Path;

/// What a scenario's run is read as.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// One case.
    Whole,
    /// The tasks or plays named `1`, `2`... are a case each, called by these names.
    Numbered(Vec<String>),
}

#[derive(Debug)]
pub struct Scenario {
    pub section: String,
    pub name: String,
    /// Command lines without the program, unless it is one of ansible-core's others: `ansible-inventory ...`.
    pub commands: Vec<Vec<String>>,
    pub environment: Vec<(String, String)>,
    /// Paths and contents. What begins with `#!` can be executed.
    pub files: BTreeMap<String, String>,
    /// Results of different hosts and tasks come in no order that could be relied on.
    pub any_order: bool,
    pub reading: Reading,
}

/// Without an inventory of its own a scenario has this host.
const ONE_HOST: &str = "one\n";

impl Scenario {
    pub fn path(&self) -> String {
        format!("{}/{}", self.section, self.name)
    }

    /// One case of these files.
    pub fn new(section: &str, name: &str, files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            section: section.to_owned(),
            name: name.to_owned(),
            commands: Vec::new(),
            environment: Vec::new(),
            files: files.into_iter().collect(),
            any_order: false,
            reading: Reading::Whole,
        }
    }

    /// Fills in what a scenario need not say: the playbook that shorter forms stand for, the inventory, the command line.
    pub fn complete(mut self) -> Self {
        if let Some(tasks) = self.files.remove("tasks") {
            self.files.insert("play.yml".to_owned(), play_of(&tasks));
        }
        if let Some(values) = self.files.remove("values") {
            let entries = lines(&values);
            let tasks: String = entries.iter().enumerate().map(show_value).collect();
            self.table(entries, &play_of(&tasks));
        }
        if let Some(scalars) = self.files.remove("scalars") {
            let entries = lines(&scalars);
            let tasks: String = entries.iter().enumerate().map(show_scalar).collect();
            self.table(entries, &play_of(&tasks));
        }
        if let Some(patterns) = self.files.remove("patterns") {
            let entries = lines(&patterns);
            let plays: String = entries.iter().enumerate().map(play_on_pattern).collect();
            self.table(entries, &plays);
            self.commands
                .push(vec!["play.yml".to_owned(), "--list-hosts".to_owned()]);
        }
        if self.commands.is_empty() {
            self.commands.push(vec!["play.yml".to_owned()]);
        }
        let inventory = ["hosts", "hosts.yml"]
            .into_iter()
            .find(|file| self.files.contains_key(*file));
        let inventory = inventory.unwrap_or("hosts").to_owned();
        for command in self
            .commands
            .iter_mut()
            .filter(|command| !is_program(&command[0]))
        {
            let has = |flag: &str| command.iter().any(|word| word == flag);
            if !has("-i") {
                self.files
                    .entry(inventory.clone())
                    .or_insert_with(|| ONE_HOST.to_owned());
                command.splice(0..0, ["-i".to_owned(), inventory.clone()]);
            }
        }
        self
    }

    fn table(&mut self, entries: Vec<String>, play: &str) {
        self.files.insert("play.yml".to_owned(), play.to_owned());
        self.reading = Reading::Numbered(entries);
    }
}

/// Whether a command line's first word is a program rather than an argument of `ansible-playbook`.
pub fn is_program(word: &str) -> bool {
    word == "ansible" || word.starts_with("ansible-")
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A play for all hosts with these tasks and, where there are any, the variables of `vars.yml`.
fn play_of(tasks: &str) -> String {
    let tasks: String = tasks.lines().map(|line| format!("    {line}\n")).collect();
    format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Its type is seen in how it is shown.
fn show_value((index, expression): (usize, &String)) -> String {
    let (name, message) = (index + 1, quoted(expression));
    format!("- name: '{name}'\n  debug:\n    msg: {message}\n  ignore_errors: true\n")
}

fn show_scalar((index, scalar): (usize, &String)) -> String {
    let name = index + 1;
    format!(
        "- name: '{name}'\n  vars:\n    scalar: {scalar}\n  debug:\n    msg: \
         ['{{{{ scalar }}}}', '{{{{ scalar | type_debug }}}}', 'as text: {{{{ scalar }}}}']\n  ignore_errors: true\n"
    )
}

/// Shows the hosts in their order.
fn play_on_pattern((index, pattern): (usize, &String)) -> String {
    let (name, pattern) = (index + 1, quoted(pattern));
    format!(
        "- name: '{name}'\n  hosts: {pattern}\n  gather_facts: false\n  tasks:\n    - name: '{name}'\n      \
         debug: {{var: ansible_play_hosts}}\n      run_once: true\n"
    )
}

/// All that are written in `cases/`.
pub fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| {
            let section = path.file_stem().expect("a name").to_string_lossy();
            parse(&section, &std::fs::read_to_string(path).expect("a text"))
        })
        .collect()
}

fn parse(section: &str, text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut file: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{section}.txt:{}: {line}", number + 1);
        if let Some(name) = line.strip_prefix("== ") {
            file = None;
            scenarios.push(Scenario::new(section, name, []));
            continue;
        }
        let Some(scenario) = scenarios.last_mut() else {
            assert!(line.is_empty() || line.starts_with('#'), "{}", place());
            continue;
        };
        if let Some(path) = line.strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            scenario.files.insert(path.to_owned(), String::new());
            file = Some(path.to_owned());
        } else if let Some(path) = &file {
            let contents = scenario.files.get_mut(path).expect("the file that was opened");
            contents.push_str(line);
            contents.push('\n');
        } else if let Some(command) = line.strip_prefix("$ ") {
            let words = shell_words::split(command).unwrap_or_else(|error| panic!("{}: {error}", place()));
            scenario.commands.push(words);
        } else if line == "in any order" {
            scenario.any_order = true;
        } else if let Some((name, value)) = line.split_once('=') {
            scenario.environment.push((name.to_owned(), value.to_owned()));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{}", place());
        }
    }
    for scenario in &mut scenarios {
        // The empty line before what follows is no part of a file.
        for contents in scenario
            .files
            .values_mut()
            .filter(|contents| contents.ends_with("\n\n"))
        {
            contents.pop();
        }
    }
    scenarios.into_iter().map(Scenario::complete).collect()
}

#[test]
fn a_text_is_read_as_scenarios() {
    let text = "# about\n\n== first\n$ play.yml -e 'a=b c'\nNAME=value\n-- play.yml --\n[]\n\n-- other/file --\nx\n\n\
                == second\nin any order\n-- tasks --\n- debug:\n";
    let [first, second] = parse("tags", text).try_into().expect("two scenarios");
    assert_eq!(first.path(), "tags/first");
    assert_eq!(first.commands, [["-i", "hosts", "play.yml", "-e", "a=b c"]]);
    assert_eq!(first.environment, [("NAME".to_owned(), "value".to_owned())]);
    assert_eq!(first.files["play.yml"], "[]\n");
    assert_eq!(first.files["other/file"], "x\n");
    assert_eq!(first.files["hosts"], ONE_HOST);
    assert!(second.any_order && !first.any_order);
    assert_eq!(
        second.files["play.yml"],
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug:\n"
    );
}

#[test]
fn a_table_is_a_case_for_each_line() {
    let [scenario] = parse("types", "== some\n-- values --\n{{ 1 }}\na \"b\"\n")
        .try_into()
        .expect("one scenario");
    assert_eq!(
        scenario.reading,
        Reading::Numbered(vec!["{{ 1 }}".to_owned(), "a \"b\"".to_owned()])
    );
    assert!(scenario.files["play.yml"].contains(r#"msg: "a \"b\"""#));
}
