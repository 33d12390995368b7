//! Ends what the agent has started and nobody waits for any more.
//!
//! Only processes that are still its descendants are meant: a daemon that a task has started belongs to init
//! by then and is left alone.

use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Asks every descendant to end. Those of other users cannot be asked by everyone; they notice by their closed
/// streams.
pub fn terminate() {
    for pid in descendants_of(getpid().as_raw_nonzero().get(), &processes()) {
        if let Some(pid) = Pid::from_raw(pid) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Each process with its parent.
fn processes() -> Vec<(i32, i32)> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    folder
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent(&stat)?))
        })
        .collect()
}

/// The parent in a line of `/proc/PID/stat`, whose second field is a name that may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn descendants_of(root: i32, processes: &[(i32, i32)]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        found.extend(
            processes
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_tree_and_nothing_else() {
        let processes = [(1, 0), (10, 1), (11, 10), (12, 11), (13, 1), (14, 10)];
        assert_eq!(descendants_of(10, &processes), [11, 14, 12]);
    }

    #[test]
    fn reads_past_strange_names() {
        assert_eq!(parent("12 (a) R 3 (x) S 7 12 12"), Some(7));
        assert_eq!(parent("nonsense"), None);
    }
}
