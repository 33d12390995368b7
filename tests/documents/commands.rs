//! Commands, playbooks and inventories as the documents show them.

use std::path::Path;
use std::process::{Command, Output};

use super::parts;

/// The product's own project, in a folder of its own.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let output = regdeploy(folder.path(), &["init", "."]);
    assert!(output.status.success(), "{output:?}");
    folder
}

fn regdeploy(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_regdeploy"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("ANSIBLE_INVENTORY")
        .env("EDITOR", "true")
        .output()
        .expect("the executable starts")
}

/// The commands of a line: without its comment, taken apart at `&&`. In the documents, a `#` after a space
/// begins a comment and nothing is quoted that holds either.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = format!(" {line}");
    let code = line.split(" #").next().unwrap_or_default();
    code.split("&&")
        .map(|command| shell_words::split(command).expect("balanced quotes"))
        .filter(|words| !words.is_empty())
        .collect()
}

/// What of a command is ours: the arguments after `regdeploy`.
fn own_arguments(words: &[String]) -> Option<Vec<&str>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["regdeploy", rest @ ..] | ["cargo", "run", "--release", "--", rest @ ..] => Some(rest.to_vec()),
        _ => None,
    }
}

/// A command is understood if it can do all but its work.
fn understood(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let arguments = match arguments {
        ["registry", "serve", ..] => return Ok(()),
        ["init", "."] => vec!["init", "."],
        [
            "init" | "registry" | "vault" | "inventory" | "explain" | "config" | "doc" | "adhoc",
            ..,
        ] => arguments.to_vec(),
        _ => [arguments, &["--list-hosts", "--list-tasks"]].concat(),
    };
    let output = regdeploy(folder, &arguments);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

#[test]
fn commands_are_understood() {
    let folder = project();
    // What people name in examples and have themselves.
    std::fs::write(folder.path().join("hosts.ini"), "[web]\nweb1\nweb2\n").expect("written");
    std::fs::write(folder.path().join("values.yml"), "port: 5000\n").expect("written");
    for password in ["password", "new-password"] {
        std::fs::write(folder.path().join(password), password).expect("written");
    }
    let mut seen = 0;
    let mut errors = Vec::new();
    for document in super::all() {
        for block in parts::blocks(&document.text, "sh") {
            for words in block.text.lines().flat_map(commands) {
                let place = format!("{}:{}", document.name, block.line);
                if let Some(arguments) = own_arguments(&words) {
                    seen += 1;
                    if let Err(error) = understood(folder.path(), &arguments) {
                        errors.push(format!("{place}: {error}"));
                    }
                } else if words[0].starts_with("tests/") && !super::root().join(&words[0]).exists() {
                    errors.push(format!("{place}: there is no {}", words[0]));
                }
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    assert!(seen > 15, "only {seen} commands were found");
}

#[test]
fn playbooks_and_values_are_sound() {
    let folder = project();
    super::examples::imported(&folder.path().join("playbooks"));
    let mut seen = 0;
    for document in super::all() {
        for block in parts::blocks(&document.text, "yaml") {
            seen += 1;
            let place = format!("{}:{}", document.name, block.line);
            let source = regdeploy::source::Source::new(&place, &block.text);
            if let Err(error) = regdeploy::yaml::load(&source) {
                panic!("{}", error.render(false));
            }
            let is_play = |line: &str| line.contains(" hosts:") || line.contains("import_playbook:");
            // A mapping is variables, or a configuration.
            let mut code = block.text.lines().filter(|line| !line.starts_with('#'));
            let is_list = code.next().is_some_and(|line| line.starts_with('-'));
            let text = if is_list && block.text.lines().any(is_play) {
                block.text
            } else if is_list {
                format!(
                    "- hosts: all\n  tasks:\n{}",
                    block
                        .text
                        .lines()
                        .fold(String::new(), |text, line| { text + "    " + line + "\n" })
                )
            } else {
                continue;
            };
            std::fs::write(folder.path().join("playbooks/example.yml"), text).expect("written");
            let output = regdeploy(folder.path(), &["-i", "web1,", "example.yml", "--syntax-check"]);
            assert!(
                output.status.success(),
                "{place}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert!(seen >= 4, "only {seen} examples were found");
}

#[test]
fn inventories_are_sound() {
    let folder = project();
    let mut seen = 0;
    for document in super::all() {
        for block in parts::blocks(&document.text, "ini") {
            seen += 1;
            std::fs::write(folder.path().join("example.ini"), &block.text).expect("written");
            let output = regdeploy(folder.path(), &["-i", "example.ini", "site.yml", "--list-hosts"]);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && complaint.is_empty(),
                "{}:{}: {complaint}",
                document.name,
                block.line
            );
        }
    }
    assert!(seen > 0);
}
