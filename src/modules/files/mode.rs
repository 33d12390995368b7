//! Permission bits as playbooks write them: octal (`0644`) or symbolic (`u=rwX,g-w,o=`).
//!
//! Specification: chmod(1), with Ansible's reading of it (an omitted who is everyone, less the umask).

/// What is to become of a file's permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeChange {
    Octal(u32),
    Symbolic(Vec<Clause>),
}

/// One operation: whose bits, what to do with them, which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    who: Vec<char>,
    /// Whose was left out: the umask has a say.
    masked: bool,
    operation: char,
    permissions: Vec<char>,
}

const ALL_BITS: u32 = 0o7777;

impl ModeChange {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let octal = text.strip_prefix("0o").unwrap_or(text);
        if !octal.is_empty() && octal.chars().all(|c| c.is_ascii_digit()) {
            return u32::from_str_radix(octal, 8)
                .ok()
                .filter(|bits| *bits <= ALL_BITS)
                .map(Self::Octal)
                .ok_or_else(|| format!("not an octal mode: {text}"));
        }
        text.split(',')
            .map(|clause| {
                parse_clause(clause.trim())
                    .ok_or_else(|| format!("bad symbolic permission for mode: {clause}"))
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|clauses| Self::Symbolic(clauses.concat()))
    }

    /// The bits that a file with the bits `current` shall have.
    pub fn apply(&self, current: u32, directory: bool, umask: u32) -> u32 {
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(current, |bits, clause| clause.apply(bits, directory, umask)),
        }
    }
}

/// `ug+rw-x` is two operations on the same whose.
fn parse_clause(text: &str) -> Option<Vec<Clause>> {
    let start = text.find(['+', '-', '='])?;
    let (who, mut rest) = text.split_at(start);
    let masked = who.is_empty();
    let who: Vec<char> = if masked || who == "a" {
        vec!['u', 'g', 'o']
    } else {
        who.chars().collect()
    };
    if who.iter().any(|c| !"ugo".contains(*c)) {
        return None;
    }
    let mut clauses = Vec::new();
    while let Some(operation) = rest.chars().next() {
        rest = &rest[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (permissions, next) = rest.split_at(end);
        if !permissions.chars().all(|c| "rwxXstugo".contains(c)) {
            return None;
        }
        clauses.push(Clause {
            who: who.clone(),
            masked,
            operation,
            permissions: permissions.chars().collect(),
        });
        rest = next;
    }
    Some(clauses)
}

impl Clause {
    fn apply(&self, current: u32, directory: bool, umask: u32) -> u32 {
        let mut bits = 0;
        let mut whole = 0;
        for who in &self.who {
            let (shift, special) = match who {
                'u' => (6, 0o4000),
                'g' => (3, 0o2000),
                _ => (0, 0o1000),
            };
            whole |= 0o7 << shift | special;
            for permission in &self.permissions {
                bits |= match permission {
                    'r' => 0o4 << shift,
                    'w' => 0o2 << shift,
                    'x' => 0o1 << shift,
                    'X' if directory || current & 0o111 != 0 => 0o1 << shift,
                    's' if *who != 'o' => special,
                    't' if *who == 'o' => special,
                    'u' => (current >> 6 & 0o7) << shift,
                    'g' => (current >> 3 & 0o7) << shift,
                    'o' => (current & 0o7) << shift,
                    _ => 0,
                };
            }
        }
        if self.masked {
            bits &= !umask;
        }
        match self.operation {
            '+' => current | bits,
            '-' => current & !bits,
            _ => current & !whole | bits,
        }
    }
}

/// Four octal digits at least, as every result shows them.
pub fn octal(bits: u32) -> String {
    format!("{bits:04o}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_digits() {
        for (text, current, directory, expected) in [
            ("0644", 0o777, false, 0o644),
            ("1777", 0o755, true, 0o1777),
            ("u=rwX,g=rX,o=", 0o644, false, 0o640),
            ("u=rwX,g=rX,o=", 0o644, true, 0o750),
            ("u=rwX,g=rX,o=", 0o744, false, 0o750),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("go-rwx", 0o777, false, 0o700),
            ("g=u,o-r", 0o754, false, 0o770),
            ("u+s,o+t", 0o755, false, 0o5755),
            ("u=rw", 0o4755, false, 0o655),
            ("u+rw-x", 0o100, false, 0o600),
        ] {
            let change = ModeChange::parse(text).unwrap();
            assert_eq!(
                octal(change.apply(current, directory, 0o022)),
                octal(expected),
                "{text} on {current:o}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "rw", "u~x", "u=z", "99999", "0888", "u=rw;", "ao=r", "oa=r"] {
            assert!(ModeChange::parse(text).is_err(), "{text}");
        }
    }
}
