//! Settings of what is shown.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    DEFAULT_STDOUT_CALLBACK: Text = "default", ["defaults.stdout_callback"], ["ANSIBLE_STDOUT_CALLBACK"], "the printer";
    CALLBACKS_ENABLED: List = "", ["defaults.callbacks_enabled"], ["ANSIBLE_CALLBACKS_ENABLED"], "further printers";
    DEFAULT_LOAD_CALLBACK_PLUGINS: Truth = "false", ["defaults.bin_ansible_callbacks"], ["ANSIBLE_LOAD_CALLBACK_PLUGINS"], "commands that run a single task use the printer of `stdout_callback`, too";
    ANSIBLE_FORCE_COLOR: Truth = "false", ["defaults.force_color"], ["ANSIBLE_FORCE_COLOR"], "colours even where there is no terminal";
    ANSIBLE_NOCOLOR: Truth = "false", ["defaults.nocolor"], ["ANSIBLE_NOCOLOR"], "no colours; `NO_COLOR` says so, too";
    COLOR_CHANGED: Text = "yellow", ["colors.changed"], ["ANSIBLE_COLOR_CHANGED"], "colour of what was changed";
    COLOR_DEBUG: Text = "dark gray", ["colors.debug"], ["ANSIBLE_COLOR_DEBUG"], "colour of what developers look for";
    COLOR_DEPRECATE: Text = "purple", ["colors.deprecate"], ["ANSIBLE_COLOR_DEPRECATE"], "colour of warnings that something will go";
    COLOR_DIFF_ADD: Text = "green", ["colors.diff_add"], ["ANSIBLE_COLOR_DIFF_ADD"], "colour of new lines in differences";
    COLOR_DIFF_LINES: Text = "cyan", ["colors.diff_lines"], ["ANSIBLE_COLOR_DIFF_LINES"], "colour of places in differences";
    COLOR_DIFF_REMOVE: Text = "red", ["colors.diff_remove"], ["ANSIBLE_COLOR_DIFF_REMOVE"], "colour of old lines in differences";
    COLOR_ERROR: Text = "red", ["colors.error"], ["ANSIBLE_COLOR_ERROR"], "colour of errors";
    COLOR_HIGHLIGHT: Text = "white", ["colors.highlight"], ["ANSIBLE_COLOR_HIGHLIGHT"], "colour of what is to be noticed";
    COLOR_INCLUDED: Text = "cyan", ["colors.included"], ["ANSIBLE_COLOR_INCLUDED"], "colour of what was included";
    COLOR_OK: Text = "green", ["colors.ok"], ["ANSIBLE_COLOR_OK"], "colour of what is as it should be";
    COLOR_SKIP: Text = "cyan", ["colors.skip"], ["ANSIBLE_COLOR_SKIP"], "colour of what was skipped";
    COLOR_UNREACHABLE: Text = "bright red", ["colors.unreachable"], ["ANSIBLE_COLOR_UNREACHABLE"], "colour of hosts that cannot be reached";
    COLOR_VERBOSE: Text = "blue", ["colors.verbose"], ["ANSIBLE_COLOR_VERBOSE"], "colour of what `-v` adds";
    COLOR_WARN: Text = "bright purple", ["colors.warn"], ["ANSIBLE_COLOR_WARN"], "colour of warnings";
    DISPLAY_OK_HOSTS: Truth = "true", ["defaults.display_ok_hosts"], ["ANSIBLE_DISPLAY_OK_HOSTS"], "show results that changed nothing";
    DISPLAY_SKIPPED_HOSTS: Truth = "true", ["defaults.display_skipped_hosts"], ["ANSIBLE_DISPLAY_SKIPPED_HOSTS"], "show results of tasks that were skipped";
    DISPLAY_FAILED_STDERR: Truth = "false", ["defaults.display_failed_stderr"], ["ANSIBLE_DISPLAY_FAILED_STDERR"], "failures go to standard error";
    DISPLAY_ARGS_TO_STDOUT: Truth = "false", ["defaults.display_args_to_stdout"], ["ANSIBLE_DISPLAY_ARGS_TO_STDOUT"], "show the arguments of tasks in their headings";
    CHECK_MODE_MARKERS: Truth = "false", ["defaults.check_mode_markers"], ["ANSIBLE_CHECK_MODE_MARKERS"], "headings say what is done in check mode";
    SHOW_CUSTOM_STATS: Truth = "false", ["defaults.show_custom_stats"], ["ANSIBLE_SHOW_CUSTOM_STATS"], "show what `set_stats` has set at the end";
    SHOW_PER_HOST_START: Truth = "false", ["defaults.show_per_host_start"], ["ANSIBLE_SHOW_PER_HOST_START"], "say when a task starts on a host";
    SHOW_TASK_PATH_ON_FAILURE: Truth = "false", ["defaults.show_task_path_on_failure"], ["ANSIBLE_SHOW_TASK_PATH_ON_FAILURE"], "show where a task is that failed";
    CALLBACK_RESULT_FORMAT: Choice("json", "yaml") = "json", ["defaults.callback_result_format"], ["ANSIBLE_CALLBACK_RESULT_FORMAT"], "the form of results";
    CALLBACK_FORMAT_PRETTY: Truth, ["defaults.callback_format_pretty"], ["ANSIBLE_CALLBACK_FORMAT_PRETTY"], "results on several lines; unless set, if they are verbose or YAML";
    DIFF_ALWAYS: Truth = "false", ["diff.always"], ["ANSIBLE_DIFF_ALWAYS"], "as `--diff`";
    DIFF_CONTEXT: Integer = "3", ["diff.context"], ["ANSIBLE_DIFF_CONTEXT"], "unchanged lines around changed ones in differences";
    MAX_FILE_SIZE_FOR_DIFF: Integer = "104448", ["defaults.max_diff_size"], ["ANSIBLE_MAX_DIFF_SIZE"], "larger files' differences are not shown; bytes";
    DEFAULT_VERBOSITY: Integer = "0", ["defaults.verbosity"], ["ANSIBLE_VERBOSITY"], "as that many `-v`";
    VERBOSE_TO_STDERR: Truth = "false", ["defaults.verbose_to_stderr"], ["ANSIBLE_VERBOSE_TO_STDERR"], "what `-v` adds goes to standard error";
    DEFAULT_LOG_PATH: Path, ["defaults.log_path"], ["ANSIBLE_LOG_PATH"], "a file to which what is shown is added";
    LOG_VERBOSITY: Integer, ["defaults.log_verbosity"], ["ANSIBLE_LOG_VERBOSITY"], "the verbosity of that file; unless set, the run's";
    DEPRECATION_WARNINGS: Truth = "true", ["defaults.deprecation_warnings"], ["ANSIBLE_DEPRECATION_WARNINGS"], "show warnings that something will go";
    SYSTEM_WARNINGS: Truth = "true", ["defaults.system_warnings"], ["ANSIBLE_SYSTEM_WARNINGS"], "show warnings about the machine";
    ACTION_WARNINGS: Truth = "true", ["defaults.action_warnings"], ["ANSIBLE_ACTION_WARNINGS"], "show the warnings that come with results";
}
