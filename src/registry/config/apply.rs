//! Gives a value of a file or a variable its meaning: the key that takes it, or why none does.

use super::path::{self, Word};
use super::{Leaf, Loaded, keys, refused, without_effect};
use crate::diagnostic::Diagnostic;
use crate::secrets;

/// Words in the names of keys whose values no message shows, whoever they belong to.
const SECRET_WORDS: [&str; 6] = [
    "secret",
    "password",
    "accountkey",
    "privatekey",
    "private_key",
    "authorization",
];

pub fn apply(leaf: &Leaf, loaded: &mut Loaded, errors: &mut Vec<Diagnostic>) {
    let found = keys().find_map(|key| Some((key, path::captures(key.path, &leaf.path)?)));
    learn(leaf, found.as_ref().is_some_and(|(key, _)| key.secret));
    if let Some((key, at)) = found {
        // `key:` without a value is as good as no key.
        if leaf.null {
            return;
        }
        if let Err(reason) = key.set(&mut loaded.config, &at, &leaf.values) {
            let message = format!("`{}` {reason}", path::shown(&leaf.path));
            errors.push(Diagnostic::error(message).at(&leaf.value));
        }
    } else if let Some((known, reason)) = without_effect().find(|(known, _)| path::covers(known, &leaf.path))
    {
        let message = format!("`{known}` has no effect: {reason}");
        // Once for all that lies under it.
        if loaded.warnings.iter().all(|warning| warning.message != message) {
            let warning = Diagnostic::warning(message).at(leaf.key_of(known));
            loaded.warnings.push(warning);
        }
    } else if let Some((known, reason)) = refused().find(|(known, _)| path::covers(known, &leaf.path)) {
        let message = format!("`{known}` is not offered by this registry: {reason}");
        if errors.iter().all(|error| error.message != message) {
            let error = Diagnostic::error(message).at(leaf.key_of(known));
            errors.push(error.hint("remove it if the registry shall run without it"));
        }
    } else if !leaf.null || !leads_somewhere(&leaf.path) {
        errors.push(unknown(leaf));
    }
}

fn learn(leaf: &Leaf, known: bool) {
    let sounds_so = |word: &Word| {
        let word = word.text().to_ascii_lowercase();
        SECRET_WORDS.iter().any(|secret| word.ends_with(secret))
    };
    if known || leaf.path.iter().any(sounds_so) {
        leaf.values.iter().for_each(|value| secrets::learn(value));
    }
}

/// Whether there are keys under a path.
fn leads_somewhere(path: &[Word]) -> bool {
    keys().any(|key| path::leads_to(path, key.path))
}

/// Points at the first word of a path that no known path has.
fn unknown(leaf: &Leaf) -> Diagnostic {
    let mut depth = 0;
    while depth + 1 < leaf.path.len() && leads_somewhere(&leaf.path[..=depth]) {
        depth += 1;
    }
    let (above, shown) = (&leaf.path[..depth], path::shown(&leaf.path[..=depth]));
    let place = leaf.keys.get(depth).unwrap_or(&leaf.value);
    if leads_somewhere(&leaf.path) {
        return Diagnostic::error(format!("`{shown}` holds further keys, not a value")).at(place);
    }
    let siblings = keys()
        .map(|key| key.path)
        .filter(|pattern| path::leads_to(above, pattern))
        .filter_map(|pattern| pattern.split('.').nth(depth))
        .filter(|word| !path::is_wild(word));
    Diagnostic::error(format!("`{shown}` is no key of the configuration"))
        .at(place)
        .nearest(&leaf.path[depth].text(), siblings)
}
