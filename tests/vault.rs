//! Vaults and secrets from outside: nothing shows a secret, and the verb `vault` and Ansible's own command read what
//! the other has written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::case;

/// In every secret of the golden playbook `vault_secrets_stay`; and what is computed from the main one: reversed, in
/// base 64, its SHA-1, SHA-256 and MD5.
const NEVER_SHOWN: &[&str] = &[
    "tulip",
    "pilut",
    "dHVsaXAtR2FyZGVuLTQ3MTE",
    "c756361106246f6e6b40811636273219ffe30673",
    "0c2e134789873eed2356af3553f9003dc4f9d859209e88fc0e623fd8037d854d",
    "567ad397e0d406865522a113185d1b53",
    "471147",
    "it's \"odd\"",
    "Q2hlY2tzdW1tdWxpcA",
];

#[test]
fn nothing_shows_a_secret() {
    let cases = case::all("golden/cases");
    let case = cases
        .iter()
        .find(|case| case.name == "vault_secrets_stay")
        .unwrap();
    for printer in ["default", "json", "yaml", "minimal", "oneline"] {
        for more in [
            &["-vvvv", "--diff"][..],
            &["-vvvv", "--diff", "--check"],
            &["--list-tasks"],
        ] {
            let copy = case.copy();
            let mut arguments = vec!["--vault-password-file", "password", "play.yml"];
            arguments.extend(more);
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            let output = copy
                .command(&arguments)
                .env("ANSIBLE_STDOUT_CALLBACK", printer)
                .env("ANSIBLE_CALLBACKS_ENABLED", "junit,profile_tasks,timer,tree")
                .env("ANSIBLE_CALLBACK_TREE_DIR", copy.path().join("written/tree"))
                .env("JUNIT_OUTPUT_DIR", copy.path().join("written/junit"))
                .env("ANSIBLE_LOG_PATH", copy.path().join("log"))
                .env("ANSIBLE_RETRY_FILES_ENABLED", "true")
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{printer} {more:?}");
            let mut shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            for (path, (_, contents)) in copy.listing() {
                if path.starts_with(copy.path().join("written")) || path.ends_with("log") {
                    shown.push_str(&String::from_utf8_lossy(&contents));
                }
            }
            for secret in NEVER_SHOWN {
                if let Some(at) = shown.find(secret) {
                    let from = shown[..at].rfind('\n').unwrap_or(0);
                    panic!(
                        "{printer} {more:?} shows {secret}: {}",
                        &shown[from..at + secret.len()]
                    );
                }
            }
        }
    }
}

/// Runs a command line in a folder with some standard input; gives the exit code and what was printed.
fn run(program: &str, arguments: &str, folder: &Path, input: &str) -> (Option<i32>, String) {
    let words = shell_words::split(arguments).unwrap();
    let mut child = Command::new(program)
        .args(&words)
        .current_dir(folder)
        .env("HOME", folder)
        .env("EDITOR", "sh -c 'echo edited >> \"$0\"'")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn ours(arguments: &str, folder: &Path) -> (Option<i32>, String) {
    run(
        env!("CARGO_BIN_EXE_regdeploy"),
        &format!("vault {arguments}"),
        folder,
        "",
    )
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("password", "one\n"), ("other", "two\n"), ("file", "text\n")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn files_are_encrypted_in_their_places() {
    let folder = folder();
    let folder = folder.path();
    let file = folder.join("file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let text = || fs::read_to_string(&file).unwrap();
    let good = |arguments: &str| {
        let (code, printed) = ours(arguments, folder);
        assert_eq!(code, Some(0), "{arguments}");
        printed
    };
    good("encrypt --vault-password-file password file");
    assert!(text().starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    assert_eq!(good("view --vault-id any@password file"), "text\n");
    let before = text();
    assert_eq!(
        ours("decrypt --vault-password-file other file", folder).0,
        Some(1)
    );
    assert_eq!(ours("edit --vault-password-file other file", folder).0, Some(1));
    assert_eq!(text(), before, "a wrong password changes nothing");
    good("rekey --vault-password-file password --new-vault-id prod@other file");
    assert!(text().starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"));
    good("edit --vault-password-file other file");
    assert!(
        text().starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"),
        "an edited file keeps its id"
    );
    assert_eq!(good("decrypt --vault-id other --output - file"), "text\nedited\n");
    good("decrypt --vault-password-file other file");
    assert_eq!(text(), "text\nedited\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    good("create --skip-tty-check --vault-password-file password new");
    assert_eq!(good("view --vault-password-file password new"), "edited\n");
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        4,
        "no temporary file stays"
    );
}

#[test]
fn values_come_as_yaml() {
    let folder = folder();
    let (code, printed) = ours(
        "encrypt_string --vault-password-file password 'a value' -n name",
        folder.path(),
    );
    assert_eq!(code, Some(0));
    assert!(
        printed.starts_with("name: !vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          "),
        "{printed}"
    );
    fs::write(folder.path().join("vars.yml"), printed).unwrap();
    fs::write(
        folder.path().join("play.yml"),
        "- {hosts: localhost, gather_facts: false, tasks: [{assert: {that: name == 'a value'}}]}\n",
    )
    .unwrap();
    let arguments = "--vault-password-file password -e @vars.yml play.yml";
    let (code, printed) = run(env!("CARGO_BIN_EXE_regdeploy"), arguments, folder.path(), "");
    assert_eq!(code, Some(0), "{printed}");
}

#[test]
fn by_ansibles_name_it_is_the_verb() {
    let folder = folder();
    let link = folder.path().join("ansible-vault");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_regdeploy"), &link).unwrap();
    let link = link.to_str().unwrap();
    let (_, vault) = run(
        link,
        "encrypt --vault-password-file password --output -",
        folder.path(),
        "piped",
    );
    let (code, text) = run(
        link,
        "decrypt --vault-password-file password",
        folder.path(),
        &vault,
    );
    assert_eq!((code, text.as_str()), (Some(0), "piped"));
    // Where there is no terminal the password comes from standard input.
    fs::write(folder.path().join("vault"), &vault).unwrap();
    let (code, text) = run(
        "setsid",
        &format!("-w {link} view --ask-vault-pass vault"),
        folder.path(),
        "one\n",
    );
    assert_eq!((code, text.as_str()), (Some(0), "piped"));
}

/// `REGDEPLOY_ORACLE` names the folder of Ansible's own commands, as for the differential test; without it there is
/// nothing to compare with. Vaults that Ansible wrote are in the unit tests of `vault::keyring`, too.
#[test]
fn each_reads_what_the_other_writes() {
    let Ok(oracle) = std::env::var("REGDEPLOY_ORACLE") else {
        return;
    };
    let theirs = format!("{oracle}/ansible-vault");
    let folder = folder();
    let theirs = |arguments: &str| run(&theirs, arguments, folder.path(), "");
    let ours = |arguments: &str| ours(arguments, folder.path());
    for id in ["", "prod@"] {
        for (encrypt, view) in [
            (&theirs as &dyn Fn(&str) -> _, &ours as &dyn Fn(&str) -> _),
            (&ours, &theirs),
        ] {
            fs::write(folder.path().join("file"), "é text\n").unwrap();
            assert_eq!(
                encrypt(&format!("encrypt --vault-id {id}password file")).0,
                Some(0)
            );
            assert_eq!(
                view(&format!("view --vault-id {id}password file")),
                (Some(0), "é text\n".to_owned())
            );
            let rekey = format!("rekey --vault-id {id}password --new-vault-id new@other file");
            assert_eq!(view(&rekey).0, Some(0));
            assert_eq!(encrypt("view --vault-id other file").1, "é text\n");
        }
    }
}
