//! Names of variables: which are none, and which are taken.

use crate::value::Value;

/// Words of the template language that look like names.
const KEYWORDS: &[&str] = &["False", "None", "True", "false", "none", "not", "true"];

/// Names of keywords and of the template language's own functions: a variable of this name may not be seen.
const RESERVED: &[&str] = &[
    "action",
    "always",
    "any_errors_fatal",
    "args",
    "async",
    "async_val",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "block",
    "changed_when",
    "check_mode",
    "collections",
    "connection",
    "cycler",
    "debugger",
    "delay",
    "delegate_facts",
    "delegate_to",
    "dict",
    "diff",
    "environment",
    "fact_path",
    "failed_when",
    "force_handlers",
    "gather_facts",
    "gather_timeout",
    "handlers",
    "hosts",
    "ignore_errors",
    "ignore_unreachable",
    "joiner",
    "lipsum",
    "local_action",
    "lookup",
    "loop",
    "loop_control",
    "loop_with",
    "max_fail_percentage",
    "module_defaults",
    "name",
    "namespace",
    "no_log",
    "notify",
    "now",
    "omit",
    "order",
    "poll",
    "port",
    "post_tasks",
    "pre_tasks",
    "q",
    "query",
    "range",
    "register",
    "remote_user",
    "rescue",
    "retries",
    "roles",
    "run_once",
    "serial",
    "strategy",
    "tags",
    "tasks",
    "throttle",
    "timeout",
    "undef",
    "until",
    "vars_files",
    "vars_prompt",
    "when",
    "with_",
];

/// Why `name` cannot be a variable, in the words that users know.
pub fn check_variable(name: &Value) -> Result<&str, String> {
    match name {
        Value::Str(name) if is_variable(name) => Ok(name),
        Value::Str(name) => Err(format!("Invalid variable name '{name}'.")),
        other => Err(format!(
            "Invalid variable name '{other}' of type '{}'.",
            other.type_name()
        )),
    }
}

/// What names of variables consist of: the hint of [`check_variable`].
pub const HINT: &str =
    "a name starts with a letter or an underscore, and consists of letters, digits and underscores";

pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&name)
}

pub fn is_reserved(name: &str) -> bool {
    RESERVED.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_can_be_searched() {
        assert!(RESERVED.is_sorted());
        assert!(is_reserved("query") && !is_reserved("vars"));
    }

    #[test]
    fn names() {
        let said = |name: Value| check_variable(&name).map(str::to_owned);
        assert_eq!(said(Value::from("a_1")), Ok("a_1".to_owned()));
        assert_eq!(
            said(Value::from("a-b")),
            Err("Invalid variable name 'a-b'.".to_owned())
        );
        assert_eq!(
            said(Value::from("true")),
            Err("Invalid variable name 'true'.".to_owned())
        );
        assert_eq!(
            said(Value::Int(1)),
            Err("Invalid variable name '1' of type 'int'.".to_owned())
        );
    }
}
