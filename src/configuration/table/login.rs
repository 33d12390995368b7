//! Settings of logging in and becoming another user.

use crate::configuration::setting::{Kind, Setting, settings};

#[rustfmt::skip]
settings! { unused: false;
    DEFAULT_TRANSPORT: Text = "ssh", ["defaults.transport"], ["ANSIBLE_TRANSPORT"], "how hosts are reached that do not say: `ssh` or `local`";
    DEFAULT_REMOTE_USER: Text, ["defaults.remote_user"], ["ANSIBLE_REMOTE_USER"], "the user to log in as";
    DEFAULT_REMOTE_PORT: Integer, ["defaults.remote_port"], ["ANSIBLE_REMOTE_PORT"], "the port to log in at";
    DEFAULT_PRIVATE_KEY_FILE: Path, ["defaults.private_key_file"], ["ANSIBLE_PRIVATE_KEY_FILE"], "the key to log in with";
    SSH_PRIVATE_KEY_PASSPHRASE: Text, [], ["ANSIBLE_PRIVATE_KEY_PASSPHRASE"], "the pass phrase of that key";
    DEFAULT_TIMEOUT: Integer = "10", ["defaults.timeout", "ssh_connection.timeout"], ["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"], "seconds to wait for a host's answer to a connection";
    HOST_KEY_CHECKING: Truth = "true", ["defaults.host_key_checking", "ssh_connection.host_key_checking"], ["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"], "refuse hosts whose key is not known";
    DEFAULT_ASK_PASS: Truth = "false", ["defaults.ask_pass"], ["ANSIBLE_ASK_PASS"], "ask for the password to log in with";
    CONNECTION_PASSWORD_FILE: Path, ["defaults.connection_password_file"], ["ANSIBLE_CONNECTION_PASSWORD_FILE"], "the file that holds the password to log in with";
    SSH_ARGS: Text, ["ssh_connection.ssh_args"], ["ANSIBLE_SSH_ARGS"], "options of the ssh program; of these `StrictHostKeyChecking`, `UserKnownHostsFile`, `IdentityFile`, `User`, `Port` and `ConnectTimeout` count";
    SSH_COMMON_ARGS: Text, ["ssh_connection.ssh_common_args"], ["ANSIBLE_SSH_COMMON_ARGS"], "as `ssh_args`";
    SSH_EXTRA_ARGS: Text, ["ssh_connection.ssh_extra_args"], ["ANSIBLE_SSH_EXTRA_ARGS"], "as `ssh_args`";
    DEFAULT_BECOME: Truth = "false", ["privilege_escalation.become"], ["ANSIBLE_BECOME"], "become another user on the target";
    DEFAULT_BECOME_METHOD: Text = "sudo", ["privilege_escalation.become_method"], ["ANSIBLE_BECOME_METHOD"], "how: `sudo` or `su`";
    DEFAULT_BECOME_USER: Text = "root", ["privilege_escalation.become_user"], ["ANSIBLE_BECOME_USER"], "who";
    DEFAULT_BECOME_FLAGS: Text = "", ["privilege_escalation.become_flags"], ["ANSIBLE_BECOME_FLAGS"], "in place of the method's usual flags";
    DEFAULT_BECOME_ASK_PASS: Truth = "false", ["privilege_escalation.become_ask_pass"], ["ANSIBLE_BECOME_ASK_PASS"], "ask for the password of become";
    BECOME_PASSWORD_FILE: Path, ["defaults.become_password_file"], ["ANSIBLE_BECOME_PASSWORD_FILE"], "the file that holds the password of become";
    BECOME_ALLOW_SAME_USER: Truth = "false", ["privilege_escalation.become_allow_same_user"], ["ANSIBLE_BECOME_ALLOW_SAME_USER"], "go through the method even if the user is already that user";
    DEFAULT_VAULT_PASSWORD_FILE: Path, ["defaults.vault_password_file"], ["ANSIBLE_VAULT_PASSWORD_FILE"], "the file or script that gives the vault password";
    DEFAULT_VAULT_IDENTITY: Text = "default", ["defaults.vault_identity"], ["ANSIBLE_VAULT_IDENTITY"], "the label of a vault password that comes without one";
    DEFAULT_VAULT_IDENTITY_LIST: List = "", ["defaults.vault_identity_list"], ["ANSIBLE_VAULT_IDENTITY_LIST"], "vault passwords, each as `--vault-id` takes it";
    DEFAULT_VAULT_ENCRYPT_IDENTITY: Text, ["defaults.vault_encrypt_identity"], ["ANSIBLE_VAULT_ENCRYPT_IDENTITY"], "the label of the vault password to encrypt with";
    DEFAULT_VAULT_ID_MATCH: Truth = "false", ["defaults.vault_id_match"], ["ANSIBLE_VAULT_ID_MATCH"], "decrypt only with the password of the label that is written in the vault";
    DEFAULT_ASK_VAULT_PASS: Truth = "false", ["defaults.ask_vault_pass"], ["ANSIBLE_ASK_VAULT_PASS"], "ask for the vault password";
    VAULT_ENCRYPT_SALT: Text, ["defaults.vault_encrypt_salt"], ["ANSIBLE_VAULT_ENCRYPT_SALT"], "the salt of new vaults, so that the same text gives the same vault";
}
