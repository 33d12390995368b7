//! Blocks in blocks with tasks that fail on some hosts: what is rescued, what still runs, who is there afterwards.

use super::{Dice, Scenario, file, indented};

const TREES: usize = 12;

/// Of blocks in each other.
const DEPTH: usize = 2;

/// On whom a task fails.
const HOSTS: &str = "one\ntwo\nthree\n";
const CONDITIONS: &[&str] = &[
    "inventory_hostname == 'one'",
    "inventory_hostname != 'one'",
    "true",
    "inventory_hostname == 'two'",
];

/// A keyword of the play that bears on failures.
const PLAYS: &[&str] = &[
    "",
    "",
    "",
    "  any_errors_fatal: true\n",
    "  max_fail_percentage: 40\n",
    "  serial: 1\n",
    "  serial: 2\n",
    "  force_handlers: true\n",
];

pub fn all() -> Vec<Scenario> {
    let mut dice = Dice(6);
    (1..=TREES)
        .map(|number| {
            let mut tree = Tree(0);
            let tasks = indented(&tree.list(&mut dice, DEPTH), 4);
            let keyword = dice.pick(PLAYS);
            let play = format!(
                "- hosts: all\n  gather_facts: false\n{keyword}  tasks:\n{tasks}  handlers:\n    - {{name: h, debug: {{msg: handled}}}}\n\
                 - hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {{msg: \"{{{{ ansible_play_hosts }}}}\"}}\n"
            );
            let files = [file("play.yml", play), file("hosts", HOSTS)];
            Scenario::new("I_failures", &format!("made {number}"), files)
        })
        .collect()
}

/// How many tasks it has.
struct Tree(usize);

impl Tree {
    fn list(&mut self, dice: &mut Dice, depth: usize) -> String {
        let count = 1 + dice.below(3);
        (0..count).map(|_| self.entry(dice, depth)).collect()
    }

    fn entry(&mut self, dice: &mut Dice, depth: usize) -> String {
        if depth > 0 && !dice.one_in(3) {
            let part = |tree: &mut Self, dice: &mut Dice| indented(&tree.list(dice, depth - 1), 4);
            let mut text = format!("- block:\n{}", part(self, dice));
            if dice.below(3) > 0 {
                text.extend(["  rescue:\n", &part(self, dice)]);
            }
            if dice.one_in(2) {
                text.extend(["  always:\n", &part(self, dice)]);
            }
            if dice.one_in(6) {
                let condition: &&str = dice.pick(CONDITIONS);
                text.extend(["  when: ", condition, "\n"]);
            }
            return text;
        }
        self.0 += 1;
        let name = format!("- name: task {}\n", self.0);
        // A rescue is passed over in ansible-core where such a task fails; `cases/` has that.
        let kinds = if depth == DEPTH { 10 } else { 9 };
        let rest = match dice.below(kinds) {
            0..=2 => format!("  fail: {{msg: broken}}\n  when: {}\n", dice.pick(CONDITIONS)),
            3 => format!("  fail: {{msg: broken}}\n  when: {}\n  ignore_errors: true\n", dice.pick(CONDITIONS)),
            4 => "  debug: {msg: \"{{ ansible_failed_result.msg | default('nothing') }} {{ ansible_failed_task.name | default('nothing') }}\"}\n".to_owned(),
            5 => "  debug: {msg: tell}\n  changed_when: true\n  notify: h\n".to_owned(),
            6..=8 => "  debug: {msg: fine}\n".to_owned(),
            _ => format!("  fail: {{msg: once}}\n  run_once: true\n  when: {}\n", dice.pick(CONDITIONS)),
        };
        name + &rest
    }
}
