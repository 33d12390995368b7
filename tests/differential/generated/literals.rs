//! Values of INI inventories, each on a host's line and in a `:vars` section, and what Python makes of them.

use super::{Dice, Scenario, file};
use crate::differential::scenario::Reading;

/// What is seldom made by chance. None has quotes that a shell would not close.
const LITERALS: &[&str] = &[
    "True",
    "true",
    "TRUE",
    "False",
    "yes",
    "no",
    "on",
    "None",
    "none",
    "null",
    "0",
    "00",
    "0644",
    "0o17",
    "0x1F",
    "0b11",
    "1e3",
    "1E-2",
    "1_000",
    "1__0",
    "_1",
    "1.",
    ".5",
    "+1",
    "-1",
    "--1",
    "1j",
    "inf",
    "nan",
    "1.2.3",
    "10.0.0.1",
    "[1,2]",
    "['a','b']",
    "[a]",
    "{}",
    "[]",
    "()",
    "(1,2)",
    "(1,)",
    "{'a':1}",
    "{1,2}",
    "{'a':True}",
    "b'x'",
    "'x'",
    "''",
    "\"x\"",
    "1,2",
    "a,b",
    "1+1",
    "1+2j",
    "-0",
    "0.0",
    "1e400",
    "9999999999999999999999",
    "~",
    "a:b",
    "12:30",
    "@x",
    "%d",
    "{{x}}",
    "a=b",
    "=",
    "...",
    "Ellipsis",
    "lambda",
    "__name__",
    "u'x'",
    "r'x'",
    "f'x'",
    "not",
    "1if",
    "not True",
    "1 2",
    "a b",
    "'a' 'b'",
    "[1, 2]",
    "{'a': [1, {'b': None}]}",
    "{\"a\": true}",
    "[True, null]",
    "{'a': 1,}",
    "x # y",
    "#",
    "x#y",
    "1 # one",
    "\\n",
    "a\\tb",
];

const RANDOM: usize = 60;

/// Of what a random literal is made.
const PIECES: &[&str] = &[
    "0", "1", "7", "9", ".", "-", "+", "e", "_", "x", "[", "]", ",", "a", "True", "{", "}", ":", "(", ")",
    "o",
];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(2);
    let mut literals: Vec<String> = LITERALS.iter().map(|literal| (*literal).to_owned()).collect();
    for _ in 0..RANDOM {
        let length = 1 + dice.below(5);
        literals.push((0..length).map(|_| *dice.pick(PIECES)).collect());
    }
    // A host's line is split at blanks as a shell would, and ends at a `#`.
    let words = literals
        .iter()
        .filter(|literal| !literal.contains([' ', '#', '\\']))
        .cloned()
        .collect();
    vec![in_line(words), in_section(literals)]
}

fn in_line(literals: Vec<String>) -> Scenario {
    let hosts: String = literals
        .iter()
        .enumerate()
        .map(|(index, literal)| format!(" v{index}={literal}"))
        .collect();
    table("values of a host's line", &format!("one{hosts}\n"), literals)
}

fn in_section(literals: Vec<String>) -> Scenario {
    let lines: String = literals
        .iter()
        .enumerate()
        .map(|(index, literal)| format!("v{index}={literal}\n"))
        .collect();
    table(
        "values of a :vars section",
        &format!("one\n[all:vars]\n{lines}"),
        literals,
    )
}

fn table(name: &str, hosts: &str, literals: Vec<String>) -> Scenario {
    let tasks: String = (0..literals.len())
        .map(|index| {
            let number = index + 1;
            // Through `vars`, since some look like templates that cannot be evaluated.
            format!("    - {{name: '{number}', debug: {{var: v{index}}}, ignore_errors: true}}\n")
        })
        .collect();
    let play = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
    let mut scenario = Scenario::new(
        "B_inventory",
        name,
        [file("hosts", hosts), file("play.yml", play)],
    );
    scenario.reading = Reading::Numbered(literals);
    scenario
}
