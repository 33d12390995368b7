//! The documents are held to the program: what they show is run, what they list is generated.
//!
//! | in a document | is held to |
//! |---|---|
//! | a fence `sh` | its `regdeploy` commands are understood in a fresh project; other programs of ours exist |
//! | a fence `yaml` | a play or list of tasks passes `--syntax-check`; anything else is YAML |
//! | a module's `example` | it passes `--syntax-check` as a list of tasks |
//! | a fence `ini` | it is an inventory |
//! | a fence `rust` | it stands in the file that its first line names |
//! | `<!-- generated: NAME -->` | what [`generated`] makes of the code's tables |
//! | a relative link | the file that it names |
//! | a path in backquotes | the file or folder of this repository |
//!
//! `UPDATE_DOCUMENTS=1` writes the generated parts anew.

mod commands;
mod examples;
mod generated;
mod parts;
mod site;

use std::path::{Path, PathBuf};

/// One document of this repository.
pub struct Document {
    /// Relative to the repository.
    pub name: String,
    pub text: String,
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document, the ones at the top first.
pub fn all() -> Vec<Document> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["", "docs", "tests/lab", "tests/modules"] {
        let mut found: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
            .expect("a folder of documents")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .collect();
        found.sort();
        paths.extend(found);
    }
    assert!(paths.len() > 6, "{paths:?}");
    paths
        .into_iter()
        .map(|path| Document {
            name: path
                .strip_prefix(root())
                .expect("below the root")
                .display()
                .to_string(),
            text: std::fs::read_to_string(&path).expect("a document"),
        })
        .collect()
}

/// The document of this name.
pub fn named(name: &str) -> Document {
    all()
        .into_iter()
        .find(|document| document.name == name)
        .unwrap_or_else(|| panic!("there is no document {name}"))
}

#[test]
fn relative_links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in all() {
        let path = root().join(&document.name);
        let folder = path.parent().expect("a folder");
        for link in parts::links(&document.text) {
            let file = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                broken.push(format!("{}: {link}", document.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Folders whose contents documents speak of. A capital stands for something that the reader fills in.
const FOLDERS: [&str; 6] = ["src/", "tests/", "docs/", "playbooks/", "roles/", "inventories/"];

#[test]
fn paths_exist() {
    let mut missing = Vec::new();
    for document in all() {
        for word in parts::quoted(&document.text) {
            let ours = FOLDERS.iter().any(|folder| word.starts_with(folder));
            let path = word.split(' ').next().unwrap_or_default();
            let filled_in = path.contains(|c: char| c.is_ascii_uppercase() || c == '*');
            if ours && !filled_in && !root().join(path).exists() {
                missing.push(format!("{}: {path}", document.name));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn quoted_code_stands_in_its_file() {
    for document in all() {
        for block in parts::blocks(&document.text, "rust") {
            let (first, rest) = block.text.split_once('\n').unwrap_or_default();
            let file = first
                .strip_prefix("// ")
                .unwrap_or_else(|| panic!("{}:{}: the first line names no file", document.name, block.line));
            let code = std::fs::read_to_string(root().join(file))
                .unwrap_or_else(|error| panic!("{}:{}: {file}: {error}", document.name, block.line));
            assert!(
                code.contains(rest.trim()),
                "{}:{}: this does not stand in {file}",
                document.name,
                block.line
            );
        }
    }
}
