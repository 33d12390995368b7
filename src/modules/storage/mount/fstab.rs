//! `/etc/fstab`: one entry put in or taken out, everything else left as it is. Specification: fstab(5).

use std::fmt::Write as _;

/// What an entry has to be; texts as the user means them, not yet escaped.
#[derive(Debug, Clone)]
pub struct Entry {
    pub src: String,
    pub path: String,
    pub fstype: String,
    pub opts: String,
    pub dump: String,
    pub passno: String,
}

/// Characters that a field cannot hold as they are.
const ESCAPES: [(char, &str); 5] = [
    ('\\', "\\134"),
    (' ', "\\040"),
    ('\t', "\\011"),
    ('\n', "\\012"),
    ('&', "\\046"),
];

pub fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, code)) => escaped.push_str(code),
            None => escaped.push(c),
        }
        escaped
    })
}

/// The fields of a line that is an entry; none for a comment, an empty line and what mount(8) would not understand.
fn fields(line: &str) -> Option<Vec<&str>> {
    let fields: Vec<&str> = line
        .split_whitespace()
        .take_while(|field| !field.starts_with('#'))
        .collect();
    (4..=6).contains(&fields.len()).then_some(fields)
}

/// Whether an entry is the one for this mount point; swap areas share theirs and are told apart by their source.
fn is_for(fields: &[&str], path: &str, src: Option<&str>) -> bool {
    let trimmed = |path: &str| match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    let swap = fields[1] == "none" && fields[2] == "swap";
    trimmed(fields[1]) == trimmed(&escape(path)) && !(swap && src.is_some_and(|src| fields[0] != escape(src)))
}

/// The table with this entry in it, once changed in its place or added at the end.
pub fn set(table: &str, entry: &Entry) -> String {
    let texts = [
        &entry.src,
        &entry.path,
        &entry.fstype,
        &entry.opts,
        &entry.dump,
        &entry.passno,
    ];
    let wanted = texts.map(|text| escape(text));
    let line = wanted.join(" ");
    let mut out = String::with_capacity(table.len() + line.len() + 1);
    let mut found = false;
    for old in table.lines() {
        let entry = fields(old).filter(|fields| is_for(fields, &entry.path, Some(&entry.src)));
        let new = match entry {
            Some(fields) => {
                found = true;
                if fields == wanted { old } else { &line }
            }
            None => old,
        };
        let _ = writeln!(out, "{new}");
    }
    if !found {
        let _ = writeln!(out, "{line}");
    }
    // A missing end of the last line alone is no reason to write.
    if out.strip_suffix('\n') == Some(table) {
        table.to_owned()
    } else {
        out
    }
}

/// The table without the entries for this mount point.
pub fn unset(table: &str, path: &str, src: Option<&str>) -> String {
    table
        .split_inclusive('\n')
        .filter(|line| !fields(line).is_some_and(|fields| is_for(&fields, path, src)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::storage::mounts::unescape;

    const TABLE: &str = "# disks\n\
        UUID=1 / ext4 errors=remount-ro 0 1\n\
        \n\
        /dev/sdb /srv/my\\040data  xfs defaults 0 0 # mine\n\
        /swap none swap sw 0 0";

    fn entry(src: &str, path: &str, fstype: &str, opts: &str) -> Entry {
        let [src, path, fstype, opts] = [src, path, fstype, opts].map(str::to_owned);
        Entry {
            src,
            path,
            fstype,
            opts,
            dump: "0".to_owned(),
            passno: "0".to_owned(),
        }
    }

    #[test]
    fn an_entry_is_added_changed_in_place_and_left_alone() {
        let same = entry("/dev/sdb", "/srv/my data", "xfs", "defaults");
        assert_eq!(set(TABLE, &same), TABLE);
        let changed = set(TABLE, &entry("/dev/sdb", "/srv/my data/", "xfs", "noatime"));
        assert_eq!(
            changed.lines().nth(3),
            Some("/dev/sdb /srv/my\\040data/ xfs noatime 0 0")
        );
        assert_eq!(changed.lines().count(), 5);
        let added = set(TABLE, &entry("/dev/sd&", "/b", "xfs", "defaults"));
        assert!(added.ends_with("/swap none swap sw 0 0\n/dev/sd\\046 /b xfs defaults 0 0\n"));
        assert_eq!(set("", &same), "/dev/sdb /srv/my\\040data xfs defaults 0 0\n");
    }

    #[test]
    fn an_entry_without_its_last_fields_is_written_out() {
        let wanted = entry("tmpfs", "/t", "tmpfs", "rw");
        assert_eq!(set("tmpfs /t tmpfs rw\n", &wanted), "tmpfs /t tmpfs rw 0 0\n");
    }

    #[test]
    fn swap_areas_are_told_apart_by_their_source() {
        let second = set(TABLE, &entry("/swap2", "none", "swap", "sw"));
        assert_eq!(second.lines().count(), 6);
        assert_eq!(unset(&second, "none", Some("/swap")).lines().count(), 5);
        assert_eq!(unset(&second, "none", None).lines().count(), 4);
    }

    #[test]
    fn an_entry_is_taken_out() {
        let left = unset(TABLE, "/srv/my data", None);
        assert_eq!(
            left,
            TABLE.replace("/dev/sdb /srv/my\\040data  xfs defaults 0 0 # mine\n", "")
        );
        assert_eq!(unset(TABLE, "/nowhere", None), TABLE);
    }

    #[test]
    fn escapes_come_back() {
        for text in ["a b", "a\\b", "tab\there", "ä&b", "\\", "a\\04"] {
            assert_eq!(unescape(&escape(text)), text);
        }
    }
}
