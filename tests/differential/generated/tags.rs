//! Trees of roles, blocks, imports and includes with tags, and what is asked for.

use std::fmt::Write;

use super::{Dice, Scenario, file, indented};

const TREES: usize = 10;
const TAGS: [&str; 6] = ["a", "b", "c", "always", "never", "d"];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(4);
    (1..=TREES)
        .map(|number| {
            let mut tree = Tree::default();
            let tasks = indented(&tree.list(&mut dice, 2), 4);
            let of_role = tree.list(&mut dice, 0);
            let role = if dice.one_in(2) {
                format!("  roles:\n    - role: r\n{}", tags(&mut dice, 6))
            } else {
                String::new()
            };
            let of_play = if dice.one_in(4) {
                tags(&mut dice, 2)
            } else {
                String::new()
            };
            let play = format!("- hosts: all\n  gather_facts: false\n{of_play}{role}  tasks:\n{tasks}");
            let files = tree.files.into_iter().chain([
                file("play.yml", play),
                file("roles/r/tasks/main.yml", of_role),
                file("hosts", "one\n"),
            ]);
            let mut scenario = Scenario::new("D_tags", &format!("made {number}"), files);
            scenario.commands = vec![command(&mut dice)];
            scenario
        })
        .collect()
}

fn command(dice: &mut Dice) -> Vec<String> {
    let mut words: Vec<String> = ["-i", "hosts", "play.yml"].map(str::to_owned).to_vec();
    let asked = [
        "a",
        "b",
        "a,c",
        "all",
        "tagged",
        "untagged",
        "never",
        "always",
        "all,never",
        "d,never",
    ];
    if dice.below(5) > 0 {
        words.extend(["--tags".to_owned(), (*dice.pick(&asked)).to_owned()]);
    }
    let skipped = ["a", "b,c", "always", "tagged", "untagged", "never"];
    if dice.one_in(3) {
        words.extend(["--skip-tags".to_owned(), (*dice.pick(&skipped)).to_owned()]);
    }
    words
}

/// Lines with some tags, or none.
fn tags(dice: &mut Dice, columns: usize) -> String {
    let count = dice.below(3);
    match dice.pick_some(count, &TAGS).join(", ") {
        tags if tags.is_empty() => tags,
        tags => format!("{:columns$}tags: [{tags}]\n", ""),
    }
}

#[derive(Default)]
struct Tree {
    tasks: usize,
    files: Vec<(String, String)>,
}

impl Tree {
    fn list(&mut self, dice: &mut Dice, depth: usize) -> String {
        let count = 2 + dice.below(3);
        (0..count).map(|_| self.entry(dice, depth)).collect()
    }

    fn entry(&mut self, dice: &mut Dice, depth: usize) -> String {
        let kind = if depth == 0 { 0 } else { dice.below(7) };
        let mut text = match kind {
            0..=2 => {
                self.tasks += 1;
                format!("- name: task {}\n  debug:\n", self.tasks)
            }
            3 | 4 => format!("- block:\n{}", indented(&self.list(dice, depth - 1), 4)),
            kind => {
                let list = self.list(dice, depth - 1);
                let path = format!("file{}.yml", self.files.len());
                self.files.push((path.clone(), list));
                let mut text = String::new();
                if kind == 5 {
                    let _ = writeln!(text, "- import_tasks: {path}");
                } else {
                    let apply = tags(dice, 6);
                    let apply = if apply.is_empty() {
                        apply
                    } else {
                        format!("    apply:\n{apply}")
                    };
                    let _ = write!(text, "- include_tasks:\n    file: {path}\n{apply}");
                }
                text
            }
        };
        text.push_str(&tags(dice, 2));
        text
    }
}
