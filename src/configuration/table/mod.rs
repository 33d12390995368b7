//! The table of settings, a file for each theme.

mod inventory;
mod language;
mod login;
mod output;
mod printers;
mod running;
mod unused;

pub use self::inventory::*;
pub use self::language::*;
pub use self::login::*;
pub use self::output::*;
pub use self::printers::*;
pub use self::running::*;
pub use self::unused::*;

use super::setting::Setting;

/// All settings, by theme.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    [
        inventory::ROWS,
        login::ROWS,
        running::ROWS,
        language::ROWS,
        output::ROWS,
        printers::ROWS,
        unused::ROWS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The setting of this name, as `ansible-config` spells it.
pub fn named(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_has_a_way_to_set_it_and_says_what_it_does() {
        let mut names = HashSet::new();
        for setting in all() {
            assert!(names.insert(setting.name), "{} is there twice", setting.name);
            assert!(!setting.doc.is_empty(), "{} is not explained", setting.name);
            assert!(
                !setting.keys.is_empty() || !setting.variables.is_empty(),
                "{} cannot be set",
                setting.name
            );
            assert_eq!(setting.places().count(), setting.keys.len(), "{}", setting.name);
            for key in setting.keys {
                assert_eq!(*key, key.to_lowercase(), "{}", setting.name);
            }
        }
    }
}
