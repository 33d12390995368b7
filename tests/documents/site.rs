//! What the documents say of the site: its tags, its variables.

use std::collections::BTreeSet;
use std::process::Command;

use regdeploy::source::Source;
use regdeploy::yaml::{self, Node};

use super::parts;

/// The tables of variables: document and heading.
const VARIABLES: [(&str, &str); 2] = [
    ("README.md", "## Inventory and variables"),
    ("docs/site.md", "## Variables"),
];

/// The tables of tags.
const TAGS: [(&str, &str); 2] = [("README.md", "## Tags"), ("docs/site.md", "## Tags")];

/// The tags of the site: those that run by themselves, and those that have to be asked for. Without `always`
/// and `never`, which are the language's.
fn tags() -> BTreeSet<String> {
    ["all", "never"]
        .into_iter()
        .flat_map(listed)
        .filter(|tag| !matches!(tag.as_str(), "always" | "never"))
        .collect()
}

/// What `--list-tags` says where this is asked for.
fn listed(asked: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(["-i", "inventories/local.ini", "playbooks/site.yml", "--list-tags"])
        .args(["--tags", asked])
        .current_dir(super::root())
        .output()
        .expect("the executable starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, list) = text
        .split_once("TASK TAGS: [")
        .unwrap_or_else(|| panic!("no tags: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let (list, _) = list.split_once(']').expect("the list's end");
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn tables_of_tags_are_complete() {
    let wanted = tags();
    for (document, heading) in TAGS {
        let text = super::named(document).text;
        let rows = parts::table(&text, heading);
        let shown: BTreeSet<String> = rows
            .iter()
            .flat_map(|row| parts::quoted(&row[0]))
            .map(str::to_owned)
            .collect();
        assert_eq!(shown, wanted, "{document}");
    }
}

/// The roles' defaults, and all their text.
fn roles() -> (Vec<(String, Node)>, String) {
    let mut defaults = Vec::new();
    let mut everything = String::new();
    let mut folders = vec![super::root().join("roles")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            if path.ends_with("defaults/main.yml") {
                let source = Source::new(path.display().to_string(), &text);
                let node = yaml::load(&source).expect("sound defaults").root;
                let map = node.as_map().expect("a map of defaults");
                defaults.extend(
                    map.iter()
                        .map(|(name, entry)| (name.clone(), entry.value.clone())),
                );
            }
            everything.push_str(&text);
        }
    }
    (defaults, everything)
}

#[test]
fn variables_exist_with_the_defaults_shown() {
    let (defaults, everything) = roles();
    for (document, heading) in VARIABLES {
        let text = super::named(document).text;
        for row in parts::table(&text, heading) {
            let names = parts::quoted(&row[0]);
            let shown = parts::quoted(&row[1]);
            for (index, name) in names.iter().enumerate() {
                let Some((_, node)) = defaults.iter().find(|(known, _)| known == name) else {
                    assert!(everything.contains(*name), "{document}: no role has {name}");
                    continue;
                };
                // A default that is put together from others is described in words.
                if !node.is_dynamic() && shown.len() == names.len() {
                    let shown = yaml::load(&Source::new("default", shown[index])).expect("YAML");
                    assert_eq!(
                        node.to_value(),
                        shown.root.to_value(),
                        "{document}: default of {name}"
                    );
                }
            }
        }
    }
}
