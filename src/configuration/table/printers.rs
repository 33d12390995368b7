//! Settings of single printers.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    PROGRESS_LINE: Truth = "true", ["defaults.progress_line"], ["REGDEPLOY_PROGRESS_LINE"], "on a terminal a line says what runs now";
    CALLBACK_TREE_DIR: Path = "~/.ansible/tree", ["callback_tree.directory"], ["ANSIBLE_CALLBACK_TREE_DIR"], "the folder that `tree` writes to";
    JUNIT_OUTPUT_DIR: Path = "~/.ansible.log", [], ["JUNIT_OUTPUT_DIR"], "the folder that `junit` writes to";
    JUNIT_TASK_CLASS: Truth = "false", [], ["JUNIT_TASK_CLASS"], "`junit` has one class for each file";
    JUNIT_TASK_RELATIVE_PATH: Path, [], ["JUNIT_TASK_RELATIVE_PATH"], "`junit` shows paths relative to this folder";
    JUNIT_REPLACE_OUT_OF_TREE_PATH: Text, [], ["JUNIT_REPLACE_OUT_OF_TREE_PATH"], "what `junit` shows instead of folders outside of that one";
    JUNIT_FAIL_ON_CHANGE: Truth = "false", [], ["JUNIT_FAIL_ON_CHANGE"], "`junit` counts changes as failures";
    JUNIT_FAIL_ON_IGNORE: Truth = "false", [], ["JUNIT_FAIL_ON_IGNORE"], "`junit` counts ignored failures";
    JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT: Truth = "true", [], ["JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT"], "`junit` reports that facts were gathered";
    JUNIT_HIDE_TASK_ARGUMENTS: Truth = "false", [], ["JUNIT_HIDE_TASK_ARGUMENTS"], "`junit` leaves arguments out";
    JUNIT_TEST_CASE_PREFIX: Text, [], ["JUNIT_TEST_CASE_PREFIX"], "`junit` reports only tasks whose names start with this, and failures";
    PROFILE_TASKS_OUTPUT_LIMIT: Text = "20", ["callback_profile_tasks.task_output_limit"], ["PROFILE_TASKS_TASK_OUTPUT_LIMIT"], "how many tasks `profile_tasks` lists; `all`";
    PROFILE_TASKS_SORT_ORDER: Choice("descending", "ascending", "none") = "descending", ["callback_profile_tasks.sort_order"], ["PROFILE_TASKS_SORT_ORDER"], "how `profile_tasks` sorts them";
    PROFILE_TASKS_SUMMARY_ONLY: Truth = "false", ["callback_profile_tasks.summary_only"], ["PROFILE_TASKS_SUMMARY_ONLY"], "`profile_tasks` prints only the list at the end";
}
