//! Unified diffs, as Ansible heads them.

use similar::TextDiff;

use super::colour::{Colour, Paint};
use crate::wire::message::Diff;

/// The text of several differences, `context` lines around each; empty if the sides are equal.
pub fn unified(diffs: &[Diff], context: usize, paint: &Paint) -> String {
    diffs.iter().map(|diff| one(diff, context, paint)).collect()
}

fn one(diff: &Diff, context: usize, paint: &Paint) -> String {
    if diff.before == diff.after {
        return String::new();
    }
    let head = |sign: &str, side: &str, name: &str| {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(": {name}")
        };
        painted(&format!("{sign} {side}{name}\n"), paint)
    };
    let mut out = head("---", "before", &diff.before_header);
    out.push_str(&head("+++", "after", &diff.after_header));
    let text = TextDiff::from_lines(&diff.before, &diff.after);
    for hunk in text.unified_diff().context_radius(context).iter_hunks() {
        for piece in hunk.to_string().lines() {
            out.push_str(&painted(&format!("{piece}\n"), paint));
        }
    }
    out.push('\n');
    out
}

fn painted(line: &str, paint: &Paint) -> String {
    let colour = match line.as_bytes().first() {
        Some(b'+') => Colour::DiffAdded,
        Some(b'-') => Colour::DiffRemoved,
        Some(b'@') => Colour::DiffPlace,
        _ => return line.to_owned(),
    };
    format!("{}\n", paint.paint(line.trim_end_matches('\n'), colour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headed_as_ansible_does() {
        let diff = Diff {
            before_header: "/etc/x".into(),
            after_header: "/etc/x".into(),
            before: "a\nb\n".into(),
            after: "a\nc".into(),
        };
        let same = Diff {
            before: "x".into(),
            after: "x".into(),
            ..Diff::default()
        };
        insta::assert_snapshot!(unified(&[same, diff], 3, &Paint::new(false)), @r"
        --- before: /etc/x
        +++ after: /etc/x
        @@ -1,2 +1,2 @@
         a
        -b
        +c
        \ No newline at end of file
        ");
    }
}
