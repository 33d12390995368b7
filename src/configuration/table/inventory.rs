//! Settings of inventories.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    DEFAULT_HOST_LIST: PathList = "/etc/ansible/hosts", ["defaults.inventory"], ["ANSIBLE_INVENTORY"], "inventories, where there is no `-i`";
    INVENTORY_ENABLED: List = "host_list, script, auto, yaml, ini, toml", ["inventory.enable_plugins"], ["ANSIBLE_INVENTORY_ENABLED"], "the forms in which inventories are read, in the order in which they are tried";
    INVENTORY_ANY_UNPARSED_IS_FAILED: Truth = "false", ["inventory.any_unparsed_is_failed"], ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"], "an inventory that cannot be read ends the run";
    INVENTORY_UNPARSED_IS_FAILED: Truth = "false", ["inventory.unparsed_is_failed"], ["ANSIBLE_INVENTORY_UNPARSED_FAILED"], "the run ends if none of the inventories can be read";
    INVENTORY_UNPARSED_WARNING: Truth = "true", ["inventory.inventory_unparsed_warning"], ["ANSIBLE_INVENTORY_UNPARSED_WARNING"], "warn when there is no inventory at all";
    INVENTORY_IGNORE_EXTS: List = ".pyc, .pyo, .swp, .bak, ~, .rpm, .md, .txt, .rst, .orig, .cfg, .retry", ["defaults.inventory_ignore_extensions", "inventory.ignore_extensions"], ["ANSIBLE_INVENTORY_IGNORE"], "endings of files in an inventory's folder that are passed over";
    INVENTORY_IGNORE_PATTERNS: List = "", ["defaults.inventory_ignore_patterns", "inventory.ignore_patterns"], ["ANSIBLE_INVENTORY_IGNORE_REGEX"], "regular expressions of names in an inventory's folder that are passed over";
    INVENTORY_EXPORT: Truth = "false", ["inventory.export"], ["ANSIBLE_INVENTORY_EXPORT"], "`inventory --list` shows variables where they were set";
    HOST_PATTERN_MISMATCH: Choice("warning", "error", "ignore") = "warning", ["inventory.host_pattern_mismatch"], ["ANSIBLE_HOST_PATTERN_MISMATCH"], "what to do about a pattern that no host matches";
    TRANSFORM_INVALID_GROUP_CHARS: Choice("always", "never", "ignore", "silently") = "never", ["defaults.force_valid_group_names"], ["ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS"], "whether characters that variables' names cannot have become `_` in groups' names";
    LOCALHOST_WARNING: Truth = "true", ["defaults.localhost_warning"], ["ANSIBLE_LOCALHOST_WARNING"], "warn when there is no host but the implicit localhost";
    SCRIPT_ALWAYS_SHOW_STDERR: Truth = "true", ["inventory_plugin_script.always_show_stderr"], ["ANSIBLE_INVENTORY_PLUGIN_SCRIPT_STDERR"], "show what an inventory script writes to its standard error even if it succeeds";
    CONSTRUCTED_USE_EXTRA_VARS: Truth = "false", ["inventory_plugins.use_extra_vars"], ["ANSIBLE_INVENTORY_USE_EXTRA_VARS"], "constructed inventories see extra variables";
    PLAYBOOK_DIR: Path, ["defaults.playbook_dir"], ["ANSIBLE_PLAYBOOK_DIR"], "where commands without a playbook look for `group_vars`, `host_vars` and `roles`";
    YAML_FILENAME_EXTENSIONS: List = ".yml, .yaml, .json", ["defaults.yaml_valid_extensions"], ["ANSIBLE_YAML_FILENAME_EXT"], "endings that are added to the names of files of variables";
}
