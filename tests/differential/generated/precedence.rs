//! Which level wins: variables that are each set at some of all levels, seen in a role and in an included file.

use std::collections::BTreeMap;

use super::{Dice, Scenario, file, indented};
use crate::differential::scenario::Reading;

/// How many variables are seen at each place.
const VARIABLES: usize = 60;

/// Where variables may be set. The words also are the values.
const LEVELS: [&str; 20] = [
    "role default",
    "all in the inventory file",
    "group in the inventory file",
    "inventory group_vars all",
    "playbook group_vars all",
    "inventory group_vars group",
    "playbook group_vars group",
    "host in the inventory file",
    "inventory host_vars",
    "playbook host_vars",
    "play vars",
    "vars_files",
    "role vars",
    "block vars",
    "task vars",
    "include_vars",
    "set_fact",
    "role params",
    "include params",
    "extra vars",
];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(1);
    let mut set = Set::default();
    let in_role = set.choose(&mut dice, |level| level != "include params");
    let in_include = set.choose(&mut dice, |level| level != "role params");
    let entries: Vec<String> = set.names.clone();

    let block = indented(&set.tasks(in_role), 4);
    let role = format!("- block:\n{block}  vars:\n{}", set.at("block vars", 4));
    let block = indented(&set.tasks(in_include), 4);
    let included = format!("- block:\n{block}  vars:\n{}", set.at("block vars", 4));
    let play = format!(
        "- hosts: web
  gather_facts: false
  vars:
{}  vars_files: [files.yml]
  pre_tasks:
    - include_vars: given.yml
    - set_fact:
{}  roles:
    - role: r
{}  tasks:
    - include_tasks: included.yml
      vars:
{}",
        set.at("play vars", 4),
        set.at("set_fact", 8),
        set.at("role params", 6),
        set.at("include params", 8),
    );
    let in_line: String = set
        .of("host in the inventory file")
        .map(|(name, value)| format!(" {name}='{value}'"))
        .collect();
    let section = |level: &str| -> String {
        set.of(level)
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    };
    let hosts = format!(
        "[web]\none{in_line}\n[web:vars]\n{}[all:vars]\n{}",
        section("group in the inventory file"),
        section("all in the inventory file")
    );
    let levels_of_files = [
        ("inventory/group_vars/all.yml", "inventory group_vars all"),
        ("inventory/group_vars/web.yml", "inventory group_vars group"),
        ("inventory/host_vars/one.yml", "inventory host_vars"),
        ("group_vars/all.yml", "playbook group_vars all"),
        ("group_vars/web.yml", "playbook group_vars group"),
        ("host_vars/one.yml", "playbook host_vars"),
        ("files.yml", "vars_files"),
        ("given.yml", "include_vars"),
        ("extra.yml", "extra vars"),
        ("roles/r/defaults/main.yml", "role default"),
        ("roles/r/vars/main.yml", "role vars"),
    ];
    let files = levels_of_files
        .into_iter()
        .map(|(path, level)| file(path, set.at(level, 0)))
        .chain([
            file("play.yml", play),
            file("inventory/hosts", hosts),
            file("roles/r/tasks/main.yml", role),
            file("included.yml", included),
        ]);
    let mut scenario = Scenario::new("A_precedence", "levels", files);
    scenario.commands = vec![
        ["-i", "inventory/hosts", "play.yml", "-e", "@extra.yml"]
            .map(str::to_owned)
            .to_vec(),
    ];
    scenario.reading = Reading::Numbered(entries);
    vec![scenario]
}

/// Variables and where they are set.
#[derive(Default)]
struct Set {
    /// Of each level: the variables.
    levels: BTreeMap<&'static str, Vec<usize>>,
    /// Of each variable: the levels in words.
    names: Vec<String>,
}

impl Set {
    /// Further variables, at two to four of these levels each; gives their numbers.
    fn choose(&mut self, dice: &mut Dice, is_there: impl Fn(&str) -> bool) -> std::ops::Range<usize> {
        let levels: Vec<&'static str> = LEVELS.into_iter().filter(|level| is_there(level)).collect();
        let first = self.names.len();
        for number in first..first + VARIABLES {
            let count = 2 + dice.below(3);
            let chosen = dice.pick_some(count, &levels);
            for level in &chosen {
                self.levels.entry(level).or_default().push(number);
            }
            self.names.push(format!(
                "{}: {}",
                if first == 0 { "role" } else { "include" },
                chosen.join(", ")
            ));
        }
        first..first + VARIABLES
    }

    fn of(&self, level: &str) -> impl Iterator<Item = (String, String)> {
        let numbers = self.levels.get(level).into_iter().flatten();
        numbers.map(move |number| (format!("v{number}"), level.to_owned()))
    }

    /// A map of YAML of what is set at a level.
    fn at(&self, level: &str, columns: usize) -> String {
        let lines: String = self
            .of(level)
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        indented(&lines, columns)
    }

    /// A task for each of these variables, with its own where it has some.
    fn tasks(&self, numbers: std::ops::Range<usize>) -> String {
        numbers
            .map(|number| {
                let own = self.levels["task vars"].contains(&number);
                let vars = if own {
                    format!("  vars: {{v{number}: task vars}}\n")
                } else {
                    String::new()
                };
                format!(
                    "- name: '{}'\n  debug: {{msg: '{{{{ v{number} }}}}'}}\n{vars}",
                    number + 1
                )
            })
            .collect()
    }
}
