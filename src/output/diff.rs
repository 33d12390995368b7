//! Unified diffs, three lines of context, as Ansible heads them.

use similar::TextDiff;

use super::colour::{Colour, Paint};
use crate::wire::message::Diff;

/// The text of one difference; empty if the sides are equal.
pub fn unified(diff: &Diff, paint: Paint) -> String {
    if diff.before == diff.after {
        return String::new();
    }
    let header = |side: &str, name: &str| {
        if name.is_empty() {
            format!("{side}\n")
        } else {
            format!("{side}: {name}\n")
        }
    };
    let mut out = String::new();
    out.push_str(&line(
        &format!("--- {}", header("before", &diff.before_header)),
        paint,
    ));
    out.push_str(&line(
        &format!("+++ {}", header("after", &diff.after_header)),
        paint,
    ));
    let text = TextDiff::from_lines(&diff.before, &diff.after);
    for hunk in text.unified_diff().context_radius(3).iter_hunks() {
        for piece in hunk.to_string().lines() {
            out.push_str(&line(&format!("{piece}\n"), paint));
        }
    }
    out.push('\n');
    out
}

fn line(text: &str, paint: Paint) -> String {
    let colour = match text.as_bytes().first() {
        Some(b'+') => Colour::DiffAdded,
        Some(b'-') => Colour::DiffRemoved,
        Some(b'@') => Colour::DiffPlace,
        _ => return text.to_owned(),
    };
    let body = text.trim_end_matches('\n');
    format!("{}\n", paint.paint(body, colour))
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
        insta::assert_snapshot!(unified(&diff, Paint(false)), @r"
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
