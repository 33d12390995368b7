//! Settings of how plays are run.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    DEFAULT_FORKS: Integer = "5", ["defaults.forks"], ["ANSIBLE_FORKS"], "hosts that are worked on at the same time";
    DEFAULT_STRATEGY: Text = "linear", ["defaults.strategy"], ["ANSIBLE_STRATEGY"], "the strategy of plays that do not name one";
    DEFAULT_GATHERING: Choice("implicit", "explicit", "smart") = "implicit", ["defaults.gathering"], ["ANSIBLE_GATHERING"], "when facts are gathered: unless a play says no, if it says so, or where they are not known yet";
    DEFAULT_GATHER_SUBSET: List, ["defaults.gather_subset"], ["ANSIBLE_GATHER_SUBSET"], "which facts are gathered where a play does not say";
    DEFAULT_GATHER_TIMEOUT: Integer, ["defaults.gather_timeout"], ["ANSIBLE_GATHER_TIMEOUT"], "seconds that gathering a fact may take";
    DEFAULT_FACT_PATH: Text, ["defaults.fact_path"], ["ANSIBLE_FACT_PATH"], "the folder of local facts on targets";
    INJECT_FACTS_AS_VARS: Truth = "true", ["defaults.inject_facts_as_vars"], ["ANSIBLE_INJECT_FACT_VARS"], "facts are variables `ansible_*`, too";
    CACHE_PLUGIN: Text = "memory", ["defaults.fact_caching"], ["ANSIBLE_CACHE_PLUGIN"], "where facts are kept: `memory`, or `jsonfile` for longer than a run";
    CACHE_PLUGIN_CONNECTION: Path, ["defaults.fact_caching_connection"], ["ANSIBLE_CACHE_PLUGIN_CONNECTION"], "the folder of kept facts";
    CACHE_PLUGIN_PREFIX: Text = "ansible_facts", ["defaults.fact_caching_prefix"], ["ANSIBLE_CACHE_PLUGIN_PREFIX"], "what the names of kept facts' files begin with";
    CACHE_PLUGIN_TIMEOUT: Integer = "86400", ["defaults.fact_caching_timeout"], ["ANSIBLE_CACHE_PLUGIN_TIMEOUT"], "seconds after which kept facts are too old; 0: never";
    ANY_ERRORS_FATAL: Truth = "false", ["defaults.any_errors_fatal"], ["ANSIBLE_ANY_ERRORS_FATAL"], "one host's failure ends the play for all";
    DEFAULT_FORCE_HANDLERS: Truth = "false", ["defaults.force_handlers"], ["ANSIBLE_FORCE_HANDLERS"], "run handlers that were notified even on hosts that failed";
    ERROR_ON_MISSING_HANDLER: Truth = "true", ["defaults.error_on_missing_handler"], ["ANSIBLE_ERROR_ON_MISSING_HANDLER"], "notifying a handler that does not exist ends the run";
    TAGS_RUN: List = "", ["tags.run"], ["ANSIBLE_RUN_TAGS"], "only tasks with one of these tags";
    TAGS_SKIP: List = "", ["tags.skip"], ["ANSIBLE_SKIP_TAGS"], "no tasks with one of these tags";
    TASK_TIMEOUT: Integer = "0", ["defaults.task_timeout"], ["ANSIBLE_TASK_TIMEOUT"], "seconds that a task may take; 0: any number";
    DEFAULT_POLL_INTERVAL: Integer = "15", ["defaults.poll_interval"], ["ANSIBLE_POLL_INTERVAL"], "seconds between two looks at a task that runs in the background";
    ASYNC_DIR: Text = "~/.ansible_async", ["defaults.async_dir"], ["ANSIBLE_ASYNC_DIR"], "the folder on targets for the results of tasks that run in the background";
    DEFAULT_MODULE_NAME: Text = "command", ["defaults.module_name"], [], "the module of commands that run a single task";
    DEFAULT_MODULE_ARGS: Text, ["defaults.module_args"], ["ANSIBLE_MODULE_ARGS"], "its arguments";
    DEFAULT_NO_LOG: Truth = "false", ["defaults.no_log"], ["ANSIBLE_NO_LOG"], "show no task's result";
    DEFAULT_ROLES_PATH: PathSpec = "{{ANSIBLE_HOME}}/roles:/usr/share/ansible/roles:/etc/ansible/roles", ["defaults.roles_path"], ["ANSIBLE_ROLES_PATH"], "folders of roles";
    DEFAULT_MODULE_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/modules:/usr/share/ansible/plugins/modules", ["defaults.library"], ["ANSIBLE_LIBRARY"], "folders of users' own modules";
    COLLECTIONS_PATHS: PathSpec = "{{ANSIBLE_HOME}}/collections:/usr/share/ansible/collections", ["defaults.collections_path", "defaults.collections_paths"], ["ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS"], "folders that hold `ansible_collections`";
    ANSIBLE_HOME: Path = "~/.ansible", ["defaults.home"], ["ANSIBLE_HOME"], "the folder of what belongs to the user";
    RETRY_FILES_ENABLED: Truth = "false", ["defaults.retry_files_enabled"], ["ANSIBLE_RETRY_FILES_ENABLED"], "write the hosts that failed to a file for `--limit @FILE`";
    RETRY_FILES_SAVE_PATH: Path, ["defaults.retry_files_save_path"], ["ANSIBLE_RETRY_FILES_SAVE_PATH"], "the folder of these files";
    DEFAULT_EXECUTABLE: Text = "/bin/sh", ["defaults.executable"], ["ANSIBLE_EXECUTABLE"], "the shell of `shell` tasks";
    EDITOR: Text = "vi", ["defaults.editor"], ["ANSIBLE_EDITOR", "EDITOR"], "the editor of `vault edit`";
    PAGER: Text = "less", ["defaults.pager"], ["ANSIBLE_PAGER", "PAGER"], "shows long texts on a terminal";
    STATIC_CHECK: Choice("off", "warn", "error") = "warn", ["defaults.static_check"], ["REGDEPLOY_STATIC_CHECK"], "playbooks are looked through before they run: `off` not at all, `warn` stops for what is certain to fail, `error` for anything";
}
