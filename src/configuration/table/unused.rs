//! Settings of Ansible that have no meaning here.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: true;
    ANSIBLE_PIPELINING: Truth = "false", ["defaults.pipelining", "connection.pipelining", "ssh_connection.pipelining"], ["ANSIBLE_PIPELINING", "ANSIBLE_SSH_PIPELINING"], "an agent needs one exchange a task as it is";
    SSH_CONTROL_PATH: Text, ["ssh_connection.control_path"], ["ANSIBLE_SSH_CONTROL_PATH"], "connections are kept open within the run";
    SSH_CONTROL_PATH_DIR: Text = "~/.ansible/cp", ["ssh_connection.control_path_dir"], ["ANSIBLE_SSH_CONTROL_PATH_DIR"], "connections are kept open within the run";
    SSH_EXECUTABLE: Text = "ssh", ["ssh_connection.ssh_executable"], ["ANSIBLE_SSH_EXECUTABLE"], "the ssh program is not used";
    SCP_EXECUTABLE: Text = "scp", ["ssh_connection.scp_executable"], ["ANSIBLE_SCP_EXECUTABLE"], "files go through the agent";
    SCP_EXTRA_ARGS: Text = "", ["ssh_connection.scp_extra_args"], ["ANSIBLE_SCP_EXTRA_ARGS"], "files go through the agent";
    SFTP_EXECUTABLE: Text = "sftp", ["ssh_connection.sftp_executable"], ["ANSIBLE_SFTP_EXECUTABLE"], "files go through the agent";
    SFTP_EXTRA_ARGS: Text = "", ["ssh_connection.sftp_extra_args"], ["ANSIBLE_SFTP_EXTRA_ARGS"], "files go through the agent";
    SFTP_BATCH_MODE: Truth = "true", ["ssh_connection.sftp_batch_mode"], ["ANSIBLE_SFTP_BATCH_MODE"], "files go through the agent";
    SSH_TRANSFER_METHOD: Text = "smart", ["ssh_connection.transfer_method"], ["ANSIBLE_SSH_TRANSFER_METHOD"], "files go through the agent";
    SSH_PASSWORD_MECHANISM: Text = "ssh_askpass", ["ssh_connection.password_mechanism"], ["ANSIBLE_SSH_PASSWORD_MECHANISM"], "passwords are given without a further program";
    SSHPASS_PROMPT: Text = "", ["ssh_connection.sshpass_prompt"], ["ANSIBLE_SSHPASS_PROMPT"], "passwords are given without a further program";
    SSH_USETTY: Truth = "true", ["ssh_connection.usetty"], ["ANSIBLE_SSH_USETTY"], "nothing needs a terminal on the target";
    SSH_VERBOSITY: Integer = "0", ["ssh_connection.verbosity"], ["ANSIBLE_SSH_VERBOSITY"], "the ssh program is not used";
    DEFAULT_BECOME_EXE: Text, ["privilege_escalation.become_exe"], ["ANSIBLE_BECOME_EXE"], "the method's usual program is used";
    SSH_RETRIES: Integer = "0", ["connection.retries", "ssh_connection.retries"], ["ANSIBLE_SSH_RETRIES"], "a task that could not reach its host may be retried with `until`";
    DEFAULT_REMOTE_TMP: Text = "~/.ansible/tmp", ["defaults.remote_tmp"], ["ANSIBLE_REMOTE_TEMP", "ANSIBLE_REMOTE_TMP"], "nothing is put there: the agent has a place of its own";
    SYSTEM_TMPDIRS: List = "/var/tmp, /tmp", ["defaults.system_tmpdirs"], ["ANSIBLE_SYSTEM_TMPDIRS"], "nothing is put there";
    WORLD_READABLE_TEMP: Truth = "false", ["defaults.allow_world_readable_tmpfiles"], ["ANSIBLE_SHELL_ALLOW_WORLD_READABLE_TEMP"], "nothing has to be readable for others";
    COMMON_REMOTE_GROUP: Text, ["defaults.common_remote_group"], ["ANSIBLE_COMMON_REMOTE_GROUP"], "nothing has to be readable for others";
    DEFAULT_LOCAL_TMP: Path = "{{ANSIBLE_HOME}}/tmp", ["defaults.local_tmp"], ["ANSIBLE_LOCAL_TEMP"], "nothing is put there";
    DEFAULT_KEEP_REMOTE_FILES: Truth = "false", ["defaults.keep_remote_files"], ["ANSIBLE_KEEP_REMOTE_FILES"], "there is nothing to keep";
    DEFAULT_MODULE_COMPRESSION: Text = "ZIP_DEFLATED", ["defaults.module_compression"], [], "modules are not sent";
    INTERPRETER_PYTHON: Text = "auto", ["defaults.interpreter_python"], ["ANSIBLE_PYTHON_INTERPRETER"], "targets need no Python";
    RUN_VARS_PLUGINS: Choice("demand", "start") = "demand", ["defaults.run_vars_plugins"], ["ANSIBLE_RUN_VARS_PLUGINS"], "files of variables are read when a host needs them";
    PLAYBOOK_VARS_ROOT: Choice("top", "bottom", "all") = "top", ["defaults.playbook_vars_root"], ["ANSIBLE_PLAYBOOK_VARS_ROOT"], "`group_vars` and `host_vars` beside the playbook that is running count";
    VARIABLE_PLUGINS_ENABLED: List = "host_group_vars", ["defaults.vars_plugins_enabled"], ["ANSIBLE_VARS_ENABLED"], "`group_vars` and `host_vars` are always read";
    VARIABLE_PRECEDENCE: List = "all_inventory, groups_inventory, all_plugins_inventory, all_plugins_play, groups_plugins_inventory, groups_plugins_play", ["defaults.precedence"], ["ANSIBLE_PRECEDENCE"], "the usual order holds";
    DEFAULT_MODULE_UTILS_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/module_utils:/usr/share/ansible/plugins/module_utils", ["defaults.module_utils"], ["ANSIBLE_MODULE_UTILS"], "modules are built in";
    DEFAULT_ACTION_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/action:/usr/share/ansible/plugins/action", ["defaults.action_plugins"], ["ANSIBLE_ACTION_PLUGINS"], "actions are built in";
    DEFAULT_CACHE_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/cache:/usr/share/ansible/plugins/cache", ["defaults.cache_plugins"], ["ANSIBLE_CACHE_PLUGINS"], "caches are built in";
    DEFAULT_CALLBACK_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/callback:/usr/share/ansible/plugins/callback", ["defaults.callback_plugins"], ["ANSIBLE_CALLBACK_PLUGINS"], "printers are built in";
    DEFAULT_CONNECTION_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/connection:/usr/share/ansible/plugins/connection", ["defaults.connection_plugins"], ["ANSIBLE_CONNECTION_PLUGINS"], "connections are built in";
    DEFAULT_FILTER_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/filter:/usr/share/ansible/plugins/filter", ["defaults.filter_plugins"], ["ANSIBLE_FILTER_PLUGINS"], "filters are built in";
    DEFAULT_INVENTORY_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/inventory:/usr/share/ansible/plugins/inventory", ["defaults.inventory_plugins"], ["ANSIBLE_INVENTORY_PLUGINS"], "forms of inventories are built in";
    DEFAULT_LOOKUP_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/lookup:/usr/share/ansible/plugins/lookup", ["defaults.lookup_plugins"], ["ANSIBLE_LOOKUP_PLUGINS"], "lookups are built in";
    DEFAULT_STRATEGY_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/strategy:/usr/share/ansible/plugins/strategy", ["defaults.strategy_plugins"], ["ANSIBLE_STRATEGY_PLUGINS"], "strategies are built in";
    DEFAULT_TEST_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/test:/usr/share/ansible/plugins/test", ["defaults.test_plugins"], ["ANSIBLE_TEST_PLUGINS"], "tests are built in";
    DEFAULT_VARS_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/vars:/usr/share/ansible/plugins/vars", ["defaults.vars_plugins"], ["ANSIBLE_VARS_PLUGINS"], "plugins of variables are not supported";
    BECOME_PLUGIN_PATH: PathSpec = "{{ANSIBLE_HOME}}/plugins/become:/usr/share/ansible/plugins/become", ["defaults.become_plugins"], ["ANSIBLE_BECOME_PLUGINS"], "methods of become are built in";
    ANSIBLE_NOCOWS: Truth = "false", ["defaults.nocows"], ["ANSIBLE_NOCOWS"], "there are no cows";
    ANSIBLE_COW_ACCEPTLIST: List, ["defaults.cowsay_enabled_stencils"], ["ANSIBLE_COW_ACCEPTLIST"], "there are no cows";
    ANSIBLE_COW_SELECTION: Text = "default", ["defaults.cow_selection"], ["ANSIBLE_COW_SELECTION"], "there are no cows";
    DEFAULT_DEBUG: Truth = "false", ["defaults.debug"], ["ANSIBLE_DEBUG"], "`-vvvv` shows what there is to see";
    DEVEL_WARNING: Truth = "true", ["defaults.devel_warning"], ["ANSIBLE_DEVEL_WARNING"], "it warns of Ansible's own versions";
    ENABLE_TASK_DEBUGGER: Truth = "false", ["defaults.enable_task_debugger"], ["ANSIBLE_ENABLE_TASK_DEBUGGER"], "there is no interactive debugger";
    DEFAULT_SYSLOG_FACILITY: Text = "LOG_USER", ["defaults.syslog_facility"], ["ANSIBLE_SYSLOG_FACILITY"], "nothing is written to the targets' log";
    DEFAULT_NO_TARGET_SYSLOG: Truth = "false", ["defaults.no_target_syslog"], ["ANSIBLE_NO_TARGET_SYSLOG"], "nothing is written to the targets' log";
    DEFAULT_INTERNAL_POLL_INTERVAL: Float = "0.001", ["defaults.internal_poll_interval"], [], "nothing polls";
    GALAXY_SERVER: Text = "https://galaxy.ansible.com", ["galaxy.server"], ["ANSIBLE_GALAXY_SERVER"], "nothing is fetched from there";
}
