//! Colours, by Ansible's meaning of them: each use has a default, which a setting `color_*` may replace.

use std::fmt;

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Ok,
    Changed,
    Skipped,
    Included,
    Error,
    Unreachable,
    Warning,
    Deprecated,
    Verbose,
    Debug,
    DiffAdded,
    DiffRemoved,
    DiffPlace,
}

/// What each use is called in settings, and its default's code. The order is that of [`Colour`].
pub const USES: &[(&str, &str)] = &[
    ("ok", "0;32"),
    ("changed", "0;33"),
    ("skip", "0;36"),
    ("included", "0;36"),
    ("error", "0;31"),
    ("unreachable", "1;31"),
    ("warn", "1;35"),
    ("deprecate", "0;35"),
    ("verbose", "0;34"),
    ("debug", "1;30"),
    ("diff_add", "0;32"),
    ("diff_remove", "0;31"),
    ("diff_lines", "0;36"),
];

/// The names that settings may give.
const NAMES: &[(&str, &str)] = &[
    ("black", "0;30"),
    ("bright gray", "0;37"),
    ("blue", "0;34"),
    ("white", "1;37"),
    ("green", "0;32"),
    ("bright blue", "1;34"),
    ("cyan", "0;36"),
    ("bright green", "1;32"),
    ("red", "0;31"),
    ("bright cyan", "1;36"),
    ("purple", "0;35"),
    ("bright red", "1;31"),
    ("yellow", "0;33"),
    ("bright purple", "1;35"),
    ("dark gray", "1;30"),
    ("bright yellow", "1;33"),
    ("magenta", "0;35"),
    ("bright magenta", "1;35"),
    ("normal", "0"),
];

/// A colour's code: by name, or as `colorN`, `rgbRGB` (each 0 to 5) or `grayN` of the 256.
fn code(name: &str) -> Option<String> {
    if let Some((_, code)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((*code).to_owned());
    }
    let number = |text: &str| text.parse::<u8>().ok();
    let index = if let Some(rest) = name.strip_prefix("color") {
        number(rest)?
    } else if let Some(rest) = name.strip_prefix("gray") {
        232u8.checked_add(number(rest)?)?
    } else {
        let parts: Vec<u32> = name
            .strip_prefix("rgb")?
            .chars()
            .map(|digit| digit.to_digit(6))
            .collect::<Option<_>>()?;
        let [red, green, blue] = parts[..] else {
            return None;
        };
        u8::try_from(16 + 36 * red + 6 * green + blue).ok()?
    };
    Some(format!("38;5;{index}"))
}

/// Paints, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paint {
    codes: Option<Vec<String>>,
}

impl Paint {
    pub fn new(on: bool) -> Self {
        let codes = || USES.iter().map(|(_, code)| (*code).to_owned()).collect();
        Self {
            codes: on.then(codes),
        }
    }

    /// Replaces the colour of one use, by the names of [`USES`]; false if there is no such use or colour.
    pub fn replace(&mut self, usage: &str, name: &str) -> bool {
        let (Some(index), Some(code)) = (USES.iter().position(|(known, _)| *known == usage), code(name))
        else {
            return false;
        };
        if let Some(codes) = &mut self.codes {
            codes[index] = code;
        }
        true
    }

    pub fn is_on(&self) -> bool {
        self.codes.is_some()
    }

    /// Each line is painted by itself, so that a pager that starts in the middle shows it right.
    pub fn paint(&self, text: &str, colour: Colour) -> String {
        let Some(codes) = &self.codes else {
            return text.to_owned();
        };
        let code = &codes[colour as usize];
        text.split('\n')
            .map(|line| format!("\x1b[{code}m{line}\x1b[0m"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(USES[*self as usize].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_in_the_order_of_their_names() {
        let all = [
            (Colour::Ok, "ok"),
            (Colour::Included, "included"),
            (Colour::Warning, "warn"),
            (Colour::Debug, "debug"),
            (Colour::DiffPlace, "diff_lines"),
        ];
        for (colour, name) in all {
            assert_eq!(colour.to_string(), name);
        }
        assert_eq!(USES.len(), Colour::DiffPlace as usize + 1);
    }

    #[test]
    fn settings_name_colours() {
        assert_eq!(code("bright red").as_deref(), Some("1;31"));
        assert_eq!(code("color202").as_deref(), Some("38;5;202"));
        assert_eq!(code("rgb512").as_deref(), Some("38;5;204"));
        assert_eq!(code("gray3").as_deref(), Some("38;5;235"));
        for unknown in ["", "mauve", "color256", "rgb6", "rgb669", "gray99"] {
            assert_eq!(code(unknown), None, "{unknown}");
        }
        let mut paint = Paint::new(true);
        assert!(paint.replace("ok", "blue") && !paint.replace("oks", "blue"));
        assert_eq!(
            paint.paint("a\nb", Colour::Ok),
            "\x1b[0;34ma\x1b[0m\n\x1b[0;34mb\x1b[0m"
        );
        assert_eq!(Paint::new(false).paint("a", Colour::Ok), "a");
    }
}
