//! Patterns over inventories: groups in groups, and hosts in several of them.

use std::fmt::Write;

use super::{Dice, Scenario, file};

const INVENTORIES: usize = 4;
const PATTERNS: usize = 25;
const GROUPS: [&str; 5] = ["web", "db", "east", "west", "spare"];
const HOSTS: [&str; 8] = [
    "web1", "web2", "db1", "db2", "east-1", "east-2", "west-1", "lonely",
];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(3);
    (1..=INVENTORIES)
        .map(|number| {
            let hosts = inventory(&mut dice);
            let patterns: String = (0..PATTERNS).map(|_| pattern(&mut dice) + "\n").collect();
            let files = [file("hosts", hosts), file("patterns", patterns)];
            Scenario::new("C_patterns", &format!("made {number}"), files)
        })
        .collect()
}

fn inventory(dice: &mut Dice) -> String {
    let mut text = String::new();
    for host in HOSTS {
        let _ = writeln!(text, "{host}");
    }
    for (index, group) in GROUPS.iter().enumerate() {
        let count = dice.below(5);
        let hosts = dice.pick_some(count, &HOSTS).join("\n");
        let _ = write!(text, "[{group}]\n{hosts}\n");
        // Groups hold only later ones, so that there is no circle.
        if index + 1 < GROUPS.len() && dice.one_in(2) {
            let _ = write!(text, "[{group}:children]\n{}\n", dice.pick(&GROUPS[index + 1..]));
        }
    }
    text
}

fn pattern(dice: &mut Dice) -> String {
    let count = 1 + dice.below(3);
    let terms: Vec<String> = (0..count)
        .map(|_| {
            let operator = dice.pick(&["", "", "!", "&"]);
            format!("{operator}{}", term(dice))
        })
        .collect();
    terms.join(*dice.pick(&[":", ","]))
}

fn term(dice: &mut Dice) -> String {
    match dice.below(7) {
        0 => "all".to_owned(),
        1 => (*dice.pick(&HOSTS)).to_owned(),
        2 => (*dice.pick(&["web*", "*1", "?b?", "*-*", "[ew]*", "*st-1"])).to_owned(),
        3 => (*dice.pick(&["~web[12]", "~.*1$", "~(east|db).*", "~e", "~^.*-2"])).to_owned(),
        4 => {
            let group = dice.pick(&GROUPS);
            let index = dice.pick(&["0", "1", "-1", "0:1", "1:", ":1", "0:2", "-2:"]);
            format!("{group}[{index}]")
        }
        _ => (*dice.pick(&GROUPS)).to_owned(),
    }
}
