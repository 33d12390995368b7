//! Tasks with every combination of `when`, `loop`, `changed_when`, `failed_when`, `until`; each with what it registers.

use std::fmt::Write;

use super::{Dice, Scenario, file, indented};
use crate::differential::scenario::Reading;

const PLAYS: usize = 3;
const TASKS: usize = 25;

/// Each belongs to a keyword; the shorter lists are chosen from more often than is written.
const LOOPS: &[&str] = &[
    "[]",
    "[1]",
    "[1, 2]",
    "[1, 2, 3]",
    "[{v: 1}, {v: 2}]",
    "\"{{ range(2) | list }}\"",
    "[[1, 2], [3]]",
];
const WHENS: &[&str] = &[
    "true",
    "false",
    "item != 2",
    "item is defined",
    "[true, 1 == 1]",
    "n == 5",
    "r is defined",
];
const CHANGED: &[&str] = &[
    "true",
    "false",
    "r.msg is defined",
    "item == 2",
    "[]",
    "[true, false]",
    "r is failed",
];
const FAILED: &[&str] = &[
    "true",
    "false",
    "item == 2",
    "r is changed",
    "[true, r.msg == 'x']",
    "n == 5 and item != 1",
];
const UNTILS: &[&str] = &["true", "false", "item == 2", "r is succeeded", "r.msg is defined"];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(5);
    (1..=PLAYS).map(|number| play(number, &mut dice)).collect()
}

fn play(number: usize, dice: &mut Dice) -> Scenario {
    let mut tasks = String::new();
    let mut names = Vec::new();
    for index in 1..=TASKS {
        let keywords = keywords(dice);
        names.push(keywords.join(", "));
        let lines: String = keywords.iter().map(|keyword| format!("  {keyword}\n")).collect();
        let _ = write!(
            tasks,
            "- name: '{index}'\n{lines}  register: r\n  ignore_errors: true\n- name: '{index}'\n  debug: {{var: r}}\n"
        );
    }
    let play = format!(
        "- hosts: all\n  gather_facts: false\n  vars: {{n: 5}}\n  tasks:\n{}",
        indented(&tasks, 4)
    );
    let mut scenario = Scenario::new("F_task", &format!("made {number}"), [file("play.yml", play)]);
    scenario.reading = Reading::Numbered(names);
    scenario
}

/// The module and its keywords, a line each. What names `item` has a loop.
fn keywords(dice: &mut Dice) -> Vec<String> {
    let looped = dice.below(3) > 0;
    let mut keywords = vec![
        (*dice.pick(&[
            "debug: {msg: x}",
            "fail: {msg: x}",
            "command: 'true'",
            "command: 'false'",
        ]))
        .to_owned(),
    ];
    if looped {
        keywords.push(format!("loop: {}", dice.pick(LOOPS)));
    }
    let mut choose = |keyword: &str, times: usize, choices: &[&str]| {
        let choices: Vec<&str> = choices
            .iter()
            .filter(|choice| looped || !choice.contains("item"))
            .copied()
            .collect();
        if dice.one_in(times) {
            keywords.push(format!("{keyword}: {}", dice.pick(&choices)));
        }
    };
    choose("when", 2, WHENS);
    choose("changed_when", 3, CHANGED);
    choose("failed_when", 3, FAILED);
    choose("until", 5, UNTILS);
    if keywords.last().is_some_and(|last| last.starts_with("until")) {
        keywords.extend(["retries: 2".to_owned(), "delay: 0".to_owned()]);
    }
    keywords
}
