//! The command line: names, verbs, exit codes, what the service manager hears.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_regdeploy");

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_executable_s_name_makes_it_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("regdeploy-registry");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let expected = format!("regdeploy-registry {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        run(Command::new(&link).arg("--version")),
        (Some(0), expected.clone(), String::new())
    );
    let by_verb = run(Command::new(BINARY).args(["registry", "--version"]));
    assert_eq!(by_verb, (Some(0), expected, String::new()));
}

#[test]
fn config_check_shows_the_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.yml"), "http:\n  addr: :5000\n").unwrap();
    std::fs::write(folder.path().join("bad.yml"), "http:\n  adr: :5000\n").unwrap();
    let check = |file: &str| {
        run(Command::new(BINARY)
            .current_dir(folder.path())
            .args(["registry", "config", "check", file]))
    };
    assert_eq!(check("good.yml"), (Some(0), String::new(), String::new()));
    let (code, stdout, stderr) = check("bad.yml");
    assert_eq!((code, stdout), (Some(1), String::new()));
    insta::assert_snapshot!(stderr, @r"
    error: `http.adr` is no key of the configuration
     --> bad.yml:2:3
      |
    2 |   adr: :5000
      |   ^^^
      |
      = help: did you mean `addr`?
    ");
    let (code, _, stderr) = check("none.yml");
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "error: read the configuration none.yml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn what_keeps_it_from_serving_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = folder.path().join("registry.yml");
    let text = format!(
        "storage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n  addr: {address}\n",
        folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let (code, _, stderr) = run(Command::new(BINARY)
        .args(["registry", "serve", "--config"])
        .arg(&config));
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        format!("error: listen on {address}: Address already in use (os error 98)\n")
    );
}
