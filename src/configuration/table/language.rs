//! Settings of how playbooks are understood.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    DEFAULT_HASH_BEHAVIOUR: Choice("replace", "merge") = "replace", ["defaults.hash_behaviour"], ["ANSIBLE_HASH_BEHAVIOUR"], "whether a map that is set at two places is replaced or merged";
    DEFAULT_PRIVATE_ROLE_VARS: Truth = "false", ["defaults.private_role_vars"], ["ANSIBLE_PRIVATE_ROLE_VARS"], "a role's variables are seen by that role only";
    DEFAULT_UNDEFINED_VAR_BEHAVIOR: Truth = "true", ["defaults.error_on_undefined_vars"], ["ANSIBLE_ERROR_ON_UNDEFINED_VARS"], "using an undefined variable is an error";
    ALLOW_BROKEN_CONDITIONALS: Truth = "false", ["defaults.allow_broken_conditionals"], ["ANSIBLE_ALLOW_BROKEN_CONDITIONALS"], "conditions may be of other types than boolean";
    ALLOW_EMBEDDED_TEMPLATES: Truth = "true", ["defaults.allow_embedded_templates"], ["ANSIBLE_ALLOW_EMBEDDED_TEMPLATES"], "templates inside the texts of expressions are evaluated";
    DEFAULT_JINJA2_EXTENSIONS: List = "", ["defaults.jinja2_extensions"], ["ANSIBLE_JINJA2_EXTENSIONS"], "`jinja2.ext.do` and `jinja2.ext.loopcontrols` are always there";
    DEFAULT_JINJA2_NATIVE: Truth = "true", ["defaults.jinja2_native"], ["ANSIBLE_JINJA2_NATIVE"], "templates always give native types";
    DEFAULT_NULL_REPRESENTATION: Text, ["defaults.null_representation"], ["ANSIBLE_NULL_REPRESENTATION"], "what a template that gives nothing stands for";
    DEFAULT_MANAGED_STR: Text = "Ansible managed", ["defaults.ansible_managed"], [], "the value of `ansible_managed`";
    DUPLICATE_YAML_DICT_KEY: Choice("warn", "error", "ignore") = "warn", ["defaults.duplicate_dict_key"], ["ANSIBLE_DUPLICATE_YAML_DICT_KEY"], "what to do about a key that is written twice in one map";
    INVALID_TASK_ATTRIBUTE_FAILED: Truth = "true", ["defaults.invalid_task_attribute_failed"], ["ANSIBLE_INVALID_TASK_ATTRIBUTE_FAILED"], "an unknown keyword is an error, not a warning";
    STRING_TYPE_FILTERS: List = "string, to_json, to_nice_json, to_yaml, to_nice_yaml, ppretty, json", ["jinja2.dont_type_filters"], ["ANSIBLE_STRING_TYPE_FILTERS"], "filters whose result stays a text";
}
