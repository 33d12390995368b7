//! A change as `rsync --itemize-changes` tells it: eleven characters, then the name.

use super::listing::{Kind, Node};

/// What is new has no differences to tell.
pub const NEW: &str = "+++++++++";

/// What is different, in rsync's order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub struct Differences {
    /// The content by its sum, or where a link points to.
    pub content: bool,
    pub size: bool,
    pub time: bool,
    /// The time will be that of the transfer.
    pub time_of_transfer: bool,
    pub mode: bool,
    pub owner: bool,
    pub group: bool,
}

impl Differences {
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Nine characters; lists and attributes that are not transferred are dots.
    pub fn text(self) -> String {
        let letters = [
            (self.content, 'c'),
            (self.size, 's'),
            (
                self.time || self.time_of_transfer,
                if self.time_of_transfer { 'T' } else { 't' },
            ),
            (self.mode, 'p'),
            (self.owner, 'o'),
            (self.group, 'g'),
        ];
        let mut text: String = letters
            .into_iter()
            .map(|(differs, letter)| if differs { letter } else { '.' })
            .collect();
        text.push_str("...");
        text
    }
}

/// The line of one thing: `<f.st...... name`.
pub fn line(update: char, kind: char, flags: &str, node: &Node) -> String {
    let name = match (node.kind, node.path.as_str()) {
        (Kind::Folder, "") => "./".to_owned(),
        (Kind::Folder, name) => format!("{name}/"),
        (_, name) => name.to_owned(),
    };
    let name: String = name.chars().map(shown).collect();
    match &node.target {
        Some(target) => format!("{update}{kind}{flags} {name} -> {target}"),
        None => format!("{update}{kind}{flags} {name}"),
    }
}

/// A line is a line, whatever a name holds.
fn shown(c: char) -> char {
    if c.is_control() { '?' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_where_rsync_has_them() {
        let differences = Differences {
            size: true,
            time: true,
            group: true,
            ..Differences::default()
        };
        assert_eq!(differences.text(), ".st..g...");
        let transfer = Differences {
            time_of_transfer: true,
            ..Differences::default()
        };
        assert_eq!(transfer.text(), "..T......");
        assert!(!Differences::default().any());
    }
}
