//! What sources come to, and what is said of those that cannot be read.

use super::*;
use crate::configuration;
use crate::inventory::Pattern;
use crate::source::Span;
use std::os::unix::fs::PermissionsExt;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(sources: &[&str]) -> Result<(Inventory, Vec<Diagnostic>), Diagnostic> {
    load_with(sources, &[])
}

/// Loads as with these variables of the environment.
fn load_with(
    sources: &[&str],
    variables: &[(&str, &str)],
) -> Result<(Inventory, Vec<Diagnostic>), Diagnostic> {
    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let (configuration, _) = Configuration::of(&configuration::Surroundings {
        variable: &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        },
        folder: Path::new("/"),
        home: None,
        system: Path::new("/nonexistent"),
    })?;
    Inventory::load(&sources, &configuration, &Arc::default())
}

fn messages(warnings: &[Diagnostic], folder: &tempfile::TempDir) -> Vec<String> {
    let root = folder.path().display().to_string();
    let shown = warnings
        .iter()
        .map(|warning| warning.message.replace(&root, "DIR"));
    shown.collect()
}

fn hosts(inventory: &Inventory) -> Vec<&str> {
    inventory.hosts().collect()
}

fn program(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_folder_is_all_its_inventories() {
    let folder = folder(&[
        ("10-web.ini", "[web]\nw1\n"),
        ("20-db.yml", "db:\n  hosts:\n    d1:\n"),
        ("30-plain", "p1\n"),
        ("40-plain-yaml", "all: {hosts: {y1: }}\n"),
        ("50.json", "{\"all\": {\"hosts\": {\"j1\": {\"a\": 1}}}}"),
        ("more/x.ini", "x1\n"),
        ("group_vars/all.yml", "a: 1\n"),
        ("host_vars/w1", "a: 1\n"),
        (".hidden", "h1\n"),
        ("old.ini~", "o1\n"),
        ("README.md", "no inventory\n"),
        ("site.retry", "r1\n"),
    ]);
    let path = folder.path().to_str().unwrap();
    let (inventory, warnings) = load(&[path]).unwrap();
    assert_eq!(messages(&warnings, &folder), [""; 0]);
    assert_eq!(hosts(&inventory), ["y1", "p1", "j1", "x1", "w1", "d1"]);
    assert_eq!(inventory.group_names("p1"), ["ungrouped"]);
    let ignore = [
        ("ANSIBLE_INVENTORY_IGNORE", ".ini, .json"),
        ("ANSIBLE_INVENTORY_IGNORE_REGEX", "^2.*b, plain-y"),
    ];
    let (inventory, _) = load_with(&[path], &ignore).unwrap();
    assert_eq!(hosts(&inventory), ["p1", "o1", "no", "r1"]);
}

#[test]
fn lists_and_their_ports() {
    let (inventory, warnings) = load(&["w1,w2:2222, [fe80::1]:22,"]).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(hosts(&inventory), ["w1", "w2", "fe80::1"]);
    let variables = inventory.variables("w2", None).unwrap();
    assert!(variables.get("ansible_port").is_some());
}

#[test]
fn without_sources_there_is_only_localhost() {
    let folder = folder(&[]);
    let (inventory, warnings) = load(&[]).unwrap();
    assert_eq!(
        messages(&warnings, &folder),
        ["No inventory was parsed, only implicit localhost is available"]
    );
    let place = Span::whole(&Source::new("t", "localhost"));
    let pattern = Pattern::parse("localhost", &place).unwrap();
    assert_eq!(inventory.select(&pattern).hosts, ["localhost"]);
    assert!(
        load_with(&[], &[("ANSIBLE_INVENTORY_UNPARSED_WARNING", "no")])
            .unwrap()
            .1
            .is_empty()
    );
    let error = load_with(&[], &[("ANSIBLE_INVENTORY_UNPARSED_FAILED", "yes")]).unwrap_err();
    assert_eq!(
        error.message,
        "No inventory was parsed, please check your configuration and options."
    );
}

#[test]
fn says_which_file_is_missing() {
    let folder = folder(&[("hosts.ini", "h\n")]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (_, warnings) = load(&[&at("host.ini"), &at("hosts.ini")]).unwrap();
    let shown = warnings[0].render(false);
    insta::assert_snapshot!(shown.replace(&folder.path().display().to_string(), "DIR"), @r"
    warning: Unable to parse DIR/host.ini as an inventory source
     |
     = help: did you mean `DIR/hosts.ini`?
     = help: there is no such file; for a host without an inventory file end the list with a comma: -i 'DIR/host.ini,'
    ");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_source_that_cannot_be_read_leaves_nothing_behind() {
    let folder = folder(&[
        ("a.ini", "[web]\nh1\nbad line\n"),
        ("b.yml", "web:\n  hosts: [h2]\n"),
        ("c.ini", "h3\n"),
    ]);
    let path = folder.path().to_str().unwrap();
    let (inventory, warnings) = load(&[path]).unwrap();
    assert_eq!(hosts(&inventory), ["h3"]);
    assert_eq!(inventory.groups().collect::<Vec<_>>(), ["all", "ungrouped"]);
    assert_eq!(
        messages(&warnings, &folder),
        [
            "Failed to parse inventory with 'ini' plugin: expected `name=value` after the host, got `line`",
            "Unable to parse DIR/a.ini as an inventory source",
            "Failed to parse inventory with 'yaml' plugin: `hosts` of the group `web` must be a map, not a list",
            "Failed to parse inventory with 'ini' plugin: a host's name cannot end with `:`",
            "Unable to parse DIR/b.yml as an inventory source",
        ]
    );
    let strict = [("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "yes")];
    let error = load_with(&[path], &strict).unwrap_err();
    assert_eq!(error.severity, Severity::Error);
    assert!(error.span.is_some());
    assert!(
        error
            .hints
            .iter()
            .any(|hint| hint.starts_with("Completely failed to parse inventory source"))
    );
}

#[test]
fn only_enabled_forms_are_tried() {
    let folder = folder(&[("a.ini", "h1\n")]);
    let path = folder.path().join("a.ini").display().to_string();
    let (inventory, warnings) = load_with(
        &[&path],
        &[("ANSIBLE_INVENTORY_ENABLED", "yaml,ansible.builtin.host_list,inii")],
    )
    .unwrap();
    assert!(hosts(&inventory).is_empty());
    assert_eq!(
        messages(&warnings, &folder),
        [
            "Failed to load inventory plugin, skipping inii",
            "Unable to parse DIR/a.ini as an inventory source",
            "No inventory was parsed, only implicit localhost is available",
        ]
    );
}

#[test]
fn odd_names_of_groups_are_kept_or_replaced() {
    let folder = folder(&[(
        "a.ini",
        "[a-b]\nh\n[top:children]\na-b\n9x\n[9x]\n[a-b:vars]\nv=1\n",
    )]);
    let path = folder.path().join("a.ini").display().to_string();
    let with = |value| {
        let (inventory, warnings) =
            load_with(&[&path], &[("ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS", value)]).unwrap();
        assert!(inventory.variables("h", None).unwrap().get("v").is_some());
        (
            inventory.group_names("h").join(" "),
            messages(&warnings, &folder).join(" "),
        )
    };
    let but = "Invalid characters were found in group names but not replaced, use -vvvv to see details";
    let and =
        "Invalid characters were found in group names and automatically replaced, use -vvvv to see details";
    assert_eq!(with("never"), ("a-b top".into(), but.into()));
    assert_eq!(with("ignore"), ("a-b top".into(), String::new()));
    assert_eq!(with("always"), ("a_b top".into(), and.into()));
    assert_eq!(with("silently"), ("a_b top".into(), String::new()));
}

#[test]
fn scripts_are_run() {
    let folder = folder(&[]);
    let meta = program(
        &folder,
        "meta.sh",
        r#"#!/bin/sh
echo careful >&2
echo '{"web": ["w1", "w2"], "db": {"hosts": ["d1"], "vars": {"a": 1}, "children": ["sub"]},
"sub": {"hosts": ["s1"]}, "old": {"v": 2}, "_meta": {"hostvars": {"w1": {"b": "{{ a }}"}}}}'
"#,
    );
    let (inventory, warnings) = load(&[&meta]).unwrap();
    assert_eq!(hosts(&inventory), ["w1", "w2", "d1", "old", "s1"]);
    assert_eq!(inventory.group_names("s1"), ["db", "sub"]);
    assert!(inventory.variables("s1", None).unwrap().get("a").is_some());
    assert!(inventory.variables("w1", None).unwrap().get("b").is_some());
    assert!(inventory.variables("old", None).unwrap().get("v").is_some());
    assert_eq!(
        messages(&warnings, &folder),
        ["the inventory script DIR/meta.sh says: careful"]
    );
    let each = program(
        &folder,
        "each.sh",
        "#!/bin/sh\nif [ $1 = --list ]; then echo '{\"web\": [\"w1\"]}'; else echo \"{\\\"n\\\": \\\"$2\\\"}\"; fi\n",
    );
    let (inventory, _) = load(&[&each]).unwrap();
    assert!(inventory.variables("w1", None).unwrap().get("n").is_some());
}

#[test]
fn scripts_that_fail_say_why() {
    let folder = folder(&[]);
    for (text, expected) in [
        ("exit 3", "Inventory script returned non-zero exit code 3."),
        (
            "echo {nope",
            "what an inventory script prints must be JSON: key must be a string at line 1 column 2",
        ),
        (
            "echo '[]'",
            "the output of an inventory script must be a map, not a list",
        ),
        ("echo '{\"a\": 1}'", "the group `a` must be a map, not a number"),
        (
            "echo '{\"a\": {\"hosts\": 1}}'",
            "`hosts` of the group `a` must be a list, not a number",
        ),
    ] {
        let path = program(&folder, "s.sh", &format!("#!/bin/sh\n{text}\n"));
        let (_, warnings) = load(&[&path]).unwrap();
        assert_eq!(
            warnings[0].message,
            format!("Failed to parse inventory with 'script' plugin: {expected}")
        );
    }
}

#[test]
fn plugins_that_are_not_built_in_are_refused_clearly() {
    let folder = folder(&[("aws.yml", "plugin: amazon.aws.aws_ec2\n")]);
    let (_, warnings) = load(&[folder.path().join("aws.yml").to_str().unwrap()]).unwrap();
    let shown = warnings[0]
        .render(false)
        .replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(shown, @r"
    warning: Failed to parse inventory with 'auto' plugin: there is no inventory plugin `amazon.aws.aws_ec2`
     --> DIR/aws.yml:1:9
      |
    1 | plugin: amazon.aws.aws_ec2
      |         ^^^^^^^^^^^^^^^^^^
      |
      = help: write the plugin's result to a file: ansible-inventory -i THIS --list --yaml --output hosts.yml
    ");
}
