//! Which value counts, and what is said of bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A machine with a home, a current folder and `/etc` in one temporary folder.
struct Machine {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home", "here", "etc"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            root,
            variables: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<(Configuration, Vec<Diagnostic>), Diagnostic> {
        let path = |name| self.root.path().join(name);
        Configuration::of(&Surroundings {
            variable: &|name| {
                let found = self.variables.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            },
            folder: &path("here"),
            home: Some(&path("home")),
            system: &path("etc"),
        })
    }

    fn forks(&self) -> i64 {
        self.load().unwrap().0.integer(&table::DEFAULT_FORKS).unwrap()
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.root.path().display().to_string(), "ROOT")
    }

    fn error(&self) -> String {
        self.shown(&self.load().unwrap_err().render(false))
    }
}

#[test]
fn every_default_is_of_its_kind() {
    let (configuration, warnings) = Machine::new(&[]).load().unwrap();
    assert!(warnings.is_empty());
    for setting in table::all() {
        assert_eq!(
            configuration.value(setting) == &Value::Null,
            setting.default.is_none(),
            "{}",
            setting.name
        );
        assert!(!configuration.is_set(setting), "{}", setting.name);
    }
    assert_eq!(configuration.integer(&table::DEFAULT_FORKS), Some(5));
    assert!(Configuration::default().truth(&table::HOST_KEY_CHECKING));
}

#[test]
fn the_first_file_that_is_there_counts() {
    let forks = |number| format!("[defaults]\nforks = {number}\n");
    let (one, two, three, four) = (forks(11), forks(12), forks(13), forks(14));
    let files = [
        ("x/named.cfg", one.as_str()),
        ("here/ansible.cfg", two.as_str()),
        ("home/.ansible.cfg", three.as_str()),
        ("etc/ansible/ansible.cfg", four.as_str()),
    ];
    for (first, expected) in [(1, 12), (2, 13), (3, 14), (4, 5)] {
        assert_eq!(Machine::new(&files[first..]).forks(), expected);
    }
    let named = |name| Machine::new(&files).with("ANSIBLE_CONFIG", name).forks();
    assert_eq!(named("../x/named.cfg"), 11);
    assert_eq!(named("../home"), 12, "a folder without the file");
    assert_eq!(named("/nowhere.cfg"), 12);
}

#[test]
fn ours_beats_ansibles_and_the_environment_beats_both() {
    let machine = Machine::new(&[
        ("here/ansible.cfg", "[defaults]\nforks = 6\ntimeout = 60\n"),
        ("here/regdeploy.cfg", "[defaults]\nforks = 7\nnocolor = yes\n"),
    ])
    .with("ANSIBLE_NOCOLOR", "no")
    .with("ANSIBLE_TIMEOUT", "");
    let (configuration, _) = machine.load().unwrap();
    let shown = |setting: &Setting| {
        let (value, origin) = (configuration.value(setting), configuration.origin(setting));
        machine.shown(&format!("{value} ({origin})"))
    };
    assert_eq!(shown(&table::DEFAULT_FORKS), "7 (ROOT/here/regdeploy.cfg)");
    assert_eq!(shown(&table::DEFAULT_TIMEOUT), "60 (ROOT/here/ansible.cfg)");
    assert_eq!(shown(&table::ANSIBLE_NOCOLOR), "False (env: ANSIBLE_NOCOLOR)");
    assert_eq!(shown(&table::DEFAULT_BECOME), "False (default)");
}

#[test]
fn paths_start_at_the_file_or_at_the_current_folder() {
    let machine = Machine::new(&[(
        "home/.ansible.cfg",
        "[defaults]\nhome = ./a\nroles_path = ~/r:./s:{{CWD}}/t:{{ANSIBLE_HOME}}/u\n",
    )])
    .with("ANSIBLE_INVENTORY", "hosts,/x");
    let (configuration, _) = machine.load().unwrap();
    let shown = |setting| machine.shown(&configuration.list(setting).join(" "));
    assert_eq!(
        shown(&table::DEFAULT_ROLES_PATH),
        "ROOT/home/r ROOT/home/s ROOT/here/t ROOT/home/a/u"
    );
    assert_eq!(shown(&table::DEFAULT_HOST_LIST), "ROOT/here/hosts /x");
    assert_eq!(
        shown(&table::COLLECTIONS_PATHS),
        "ROOT/home/a/collections /usr/share/ansible/collections"
    );
}

#[test]
fn a_folder_that_everybody_can_write_to_is_not_believed() {
    let machine = Machine::new(&[("here/ansible.cfg", "[defaults]\nforks = 6\n")]);
    let folder = machine.root.path().join("here");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (configuration, warnings) = machine.load().unwrap();
    assert_eq!(configuration.file, None);
    assert_eq!(
        machine.shown(&warnings[0].message),
        "Ansible is being run in a world writable directory (ROOT/here), ignoring it as an ansible.cfg source."
    );
}

#[test]
fn unknown_keys_are_ansibles_business_or_an_error() {
    let text = "[defaults]\nfork = 6\n";
    assert_eq!(Machine::new(&[("here/ansible.cfg", text)]).forks(), 5);
    insta::assert_snapshot!(Machine::new(&[("here/regdeploy.cfg", text)]).error(), @r"
    error: there is no setting `fork` in the section `defaults`
     --> ROOT/here/regdeploy.cfg:2:1
      |
    2 | fork = 6
      | ^^^^
      |
      = help: did you mean `forks`?
    ");
    insta::assert_snapshot!(Machine::new(&[("here/regdeploy.cfg", "[defaults]\nbecome = 1\n")]).error(), @r"
    error: there is no setting `become` in the section `defaults`
     --> ROOT/here/regdeploy.cfg:2:1
      |
    2 | become = 1
      | ^^^^^^
      |
      = help: it belongs to the section `privilege_escalation`
    ");
}

#[test]
fn bad_values_are_shown_where_they_stand() {
    insta::assert_snapshot!(Machine::new(&[("here/ansible.cfg", "[defaults]\nforks = many\n")]).error(), @r"
    error: Config 'DEFAULT_FORKS' from 'ROOT/here/ansible.cfg' has an invalid value.
     --> ROOT/here/ansible.cfg:2:9
      |
    2 | forks = many
      |         ^^^^
      |
      = help: it must be a whole number
    ");
    insta::assert_snapshot!(Machine::new(&[]).with("ANSIBLE_GATHERING", "often").error(), @r"
    error: Invalid value 'often' for config 'DEFAULT_GATHERING'.
     --> $ANSIBLE_GATHERING:1:1
      |
    1 | often
      | ^^^^^
      |
      = help: it must be one of implicit, explicit, smart
    ");
}
