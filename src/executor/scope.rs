//! The variables of a host at a task.
//!
//! The layers, strongest first: what a loop or an error handler sets, the magic variables, extra variables,
//! parameters of inclusions and roles, what was set and registered, included files, the variables of task,
//! blocks and imports, of roles, `vars_files`, of the play, facts, the inventory's, role defaults.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use super::play::ActivePlay;
use super::run::Run;
use crate::configuration::table;
use crate::playbook::{Context, Include, Role, RoleUse};
use crate::template::{CONFIGURATION, Layer, Names, Scope, Scopes, SearchPath, Variable};
use crate::value::{Map, Value};
use crate::yaml::Mapping;

/// The version of the language that playbooks can ask for.
pub const LANGUAGE_VERSION: &str = "2.19.14";

impl Run {
    /// The scope of `host`, in a play and at a task where there is one; `local` are the strongest layers.
    pub fn scope(
        self: &Arc<Self>,
        host: &str,
        play: Option<&Arc<ActivePlay>>,
        context: Option<&Arc<Context>>,
        local: Vec<Arc<dyn Layer>>,
    ) -> Arc<Scope> {
        let files = play
            .map(|play| self.variable_files(host, play))
            .unwrap_or_default();
        self.scope_of(host, play, context, local, Some(&files))
    }

    /// The same, with what `vars_files` hold; without that, and then without what was set and included, either,
    /// as the names of these files see it.
    pub(super) fn scope_of(
        self: &Arc<Self>,
        host: &str,
        play: Option<&Arc<ActivePlay>>,
        context: Option<&Arc<Context>>,
        local: Vec<Arc<dyn Layer>>,
        files: Option<&[Arc<Mapping>]>,
    ) -> Arc<Scope> {
        let memory = self.memory(host);
        let mut layers = local;
        layers.push(Arc::new(Magic {
            run: Arc::downgrade(self),
            host: host.to_owned(),
            folder: play.map(|play| play.play.folder.clone()),
            play: play.cloned(),
            context: context.cloned(),
        }));
        layers.push(Arc::clone(&self.settings.extra_vars) as Arc<dyn Layer>);
        if let Some(context) = context {
            parameters(context, &mut layers);
        }
        if files.is_some() {
            layers.push(memory.assigned);
            layers.push(memory.included);
        }
        if let Some(context) = context {
            inner_variables(context, &mut layers);
            role_variables(context, &mut layers);
        }
        if let Some(play) = play {
            for role in play.visible_roles().iter().rev() {
                layers.push(Arc::clone(&role.role.vars) as Arc<dyn Layer>);
            }
            layers.extend(
                files
                    .into_iter()
                    .flatten()
                    .map(|file| Arc::clone(file) as Arc<dyn Layer>),
            );
            layers.push(Arc::clone(&play.prompted) as Arc<dyn Layer>);
            for outer in play.play.context.chain() {
                layers.extend(variables(outer));
            }
        }
        layers.push(memory.facts);
        let folder = play.map(|play| play.play.folder.as_path());
        let inventory = self.inventory_layers(host, folder);
        layers.extend(inventory.into_iter().rev().map(|names| names as Arc<dyn Layer>));
        if let Some(context) = context {
            role_defaults(context, &mut layers);
        }
        if let Some(play) = play {
            for role in play.visible_roles().iter().rev() {
                layers.push(Arc::clone(&role.role.defaults) as Arc<dyn Layer>);
            }
        }
        if context.is_some() {
            let above = layers.clone();
            let host = match host {
                "localhost" if !self.inventory().contains(host) => "127.0.0.1",
                host => host,
            };
            let host = host.to_owned();
            layers.push(Arc::new(Address { host, above }));
        }
        Scope::merging(layers, search_path(play, context), self.merges())
    }

    /// What `hostvars` tells of `host`: what the inventory, facts and the command line say. Nothing of plays, roles
    /// and tasks, but for the folder of the playbook.
    fn lasting_scope(self: &Arc<Self>, host: &str, folder: Option<&Path>) -> Arc<Scope> {
        let memory = self.memory(host);
        let magic = Magic {
            run: Arc::downgrade(self),
            host: host.to_owned(),
            folder: folder.map(Path::to_owned),
            play: None,
            context: None,
        };
        let mut layers: Vec<Arc<dyn Layer>> = vec![
            Arc::new(magic),
            Arc::clone(&self.settings.extra_vars) as Arc<dyn Layer>,
            memory.assigned,
            memory.included,
            memory.facts,
        ];
        let inventory = self.inventory_layers(host, folder);
        layers.extend(inventory.into_iter().rev().map(|names| names as Arc<dyn Layer>));
        let folders = folder.map(Path::to_owned).into_iter().collect();
        Scope::merging(layers, SearchPath { folders }, self.merges())
    }

    /// Whether maps of different layers become one.
    fn merges(&self) -> bool {
        let configuration = &self.settings.configuration;
        configuration.text(&table::DEFAULT_HASH_BEHAVIOUR) == Some("merge")
    }
}

/// The `vars` of one context.
fn variables(context: &Context) -> Option<Arc<dyn Layer>> {
    let node = context.attributes.get("vars")?;
    Some(Arc::clone(node.as_map()?) as Arc<dyn Layer>)
}

/// Parameters of roles, and the variables of what was included while the play ran; innermost first.
fn parameters(context: &Context, layers: &mut Vec<Arc<dyn Layer>>) {
    for context in context.chain() {
        if context.include == Include::Dynamic {
            layers.extend(variables(context));
        }
        if let Some(role) = &context.role {
            layers.push(Arc::clone(&role.params) as Arc<dyn Layer>);
        }
    }
}

/// Of the task and the blocks and imports around it, short of the play.
fn inner_variables(context: &Context, layers: &mut Vec<Arc<dyn Layer>>) {
    for context in context.chain() {
        let is_inner = context.parent.is_some() && context.role.is_none();
        if context.include == Include::Static && is_inner {
            layers.extend(variables(context));
        }
    }
}

/// Of the roles around the task, the innermost first: what stands beside the role's name, the role's own, those
/// of the roles that it depends on.
fn role_variables(context: &Context, layers: &mut Vec<Arc<dyn Layer>>) {
    for context in context.chain() {
        if let Some(used) = &context.role {
            layers.extend(variables(context));
            layers.push(Arc::clone(&used.role.vars) as Arc<dyn Layer>);
            let others = used.dependencies().iter().rev();
            layers.extend(others.map(|other| Arc::clone(&other.role.vars) as Arc<dyn Layer>));
        }
    }
}

fn role_defaults(context: &Context, layers: &mut Vec<Arc<dyn Layer>>) {
    let roles = || context.chain().filter_map(|context| context.role.as_ref());
    layers.extend(roles().map(|used| Arc::clone(&used.role.defaults) as Arc<dyn Layer>));
    for used in roles() {
        let others = used.dependencies().iter().rev();
        layers.extend(others.map(|other| Arc::clone(&other.role.defaults) as Arc<dyn Layer>));
    }
}

/// The roles' folders, the folders of the files around the task, the playbook's.
fn search_path(play: Option<&Arc<ActivePlay>>, context: Option<&Arc<Context>>) -> SearchPath {
    let mut folders = Vec::new();
    for context in context.into_iter().flat_map(|context| context.chain()) {
        folders.extend(context.role.as_ref().map(|role| role.role.path.clone()));
        folders.extend(context.folder.clone());
    }
    folders.extend(play.map(|play| play.play.folder.clone()));
    let mut seen = Vec::new();
    folders.retain(|folder| {
        let new = !seen.contains(folder);
        seen.push(folder.clone());
        new
    });
    SearchPath { folders }
}

/// Where a task's host is reached. Each of the two names stands for the other, and in the end for the host's own;
/// `hostvars` and `vars` do not list them.
struct Address {
    host: String,
    /// The layers that may say it.
    above: Vec<Arc<dyn Layer>>,
}

impl Layer for Address {
    fn get(&self, name: &str) -> Option<Variable> {
        let other = match name {
            "ansible_host" => "ansible_ssh_host",
            "ansible_ssh_host" => "ansible_host",
            _ => return None,
        };
        let said = self.above.iter().find_map(|layer| layer.get(other));
        Some(said.unwrap_or_else(|| Value::from(self.host.as_str()).into()))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The variables that the engine itself provides, made when they are asked for.
struct Magic {
    run: Weak<Run>,
    host: String,
    /// The playbook's.
    folder: Option<PathBuf>,
    play: Option<Arc<ActivePlay>>,
    context: Option<Arc<Context>>,
}

/// All magic names; each is in [`Magic::get`].
pub const MAGIC_VARIABLES: &[&str] = &[
    "inventory_hostname",
    "inventory_hostname_short",
    "inventory_dir",
    "inventory_file",
    "groups",
    "group_names",
    "hostvars",
    "playbook_dir",
    "role_path",
    "role_name",
    "ansible_role_name",
    "ansible_collection_name",
    "ansible_parent_role_names",
    "ansible_play_role_names",
    "role_names",
    "ansible_role_names",
    "ansible_dependent_role_names",
    "ansible_parent_role_paths",
    "ansible_play_name",
    "ansible_playbook_python",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_batch",
    "play_hosts",
    "ansible_check_mode",
    "ansible_diff_mode",
    "ansible_forks",
    "ansible_limit",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "ansible_inventory_sources",
    "ansible_search_path",
];

impl Layer for Magic {
    fn get(&self, name: &str) -> Option<Variable> {
        if name == CONFIGURATION {
            let configuration = Arc::clone(&self.run.upgrade()?.settings.configuration);
            return Some(Variable::Configuration(configuration));
        }
        if !MAGIC_VARIABLES.contains(&name) {
            return None;
        }
        let run = self.run.upgrade()?;
        if name == "hostvars" {
            return Some(Variable::Scopes(Arc::new(HostVariables {
                run: self.run.clone(),
                folder: self.folder.clone(),
            })));
        }
        self.value(name, &run).map(Variable::Value)
    }

    fn names(&self) -> Vec<String> {
        MAGIC_VARIABLES.iter().map(|name| (*name).to_owned()).collect()
    }
}

impl Magic {
    fn value(&self, name: &str, run: &Run) -> Option<Value> {
        let settings = &run.settings;
        let play = self.play.as_ref();
        let role = self.context.as_ref().and_then(|context| context.role());
        let path = |path: &std::path::Path| Value::from(path.display().to_string());
        Some(match name {
            "inventory_hostname" => Value::from(self.host.as_str()),
            "inventory_hostname_short" => Value::from(short(&self.host)),
            "inventory_file" => Value::from(run.inventory_source(&self.host)?),
            "inventory_dir" => inventory_folder(&run.inventory_source(&self.host)?)?,
            "groups" => run.groups(),
            "group_names" => Value::from(run.group_names(&self.host)),
            "playbook_dir" => path(self.folder.as_ref()?),
            "role_path" => path(&role?.role.path),
            "role_name" => Value::from(role?.role.name.as_str()),
            "ansible_role_name" => Value::from(role?.role.full_name()),
            "ansible_collection_name" => Value::from(role?.role.collection.as_deref()?),
            "ansible_parent_role_names" => Value::from(self.parent_roles(Role::full_name)),
            "ansible_parent_role_paths" => {
                Value::from(self.parent_roles(|role| role.path.display().to_string()))
            }
            "ansible_play_role_names" | "role_names" => {
                let roles = play?.roles();
                Value::from(roles.iter().map(|used| used.role.full_name()).collect::<Vec<_>>())
            }
            "ansible_dependent_role_names" => Value::from(names_of(&dependencies_of(&play?.roles()))),
            "ansible_role_names" => {
                let roles = play?.roles();
                Value::from(names_of(&[dependencies_of(&roles), roles].concat()))
            }
            // What inventories give to hosts that are this machine; nothing here runs it.
            "ansible_playbook_python" => Value::from("/usr/bin/python3"),
            "ansible_play_name" => Value::from(play?.name.as_str()),
            "ansible_play_hosts" => Value::from(play?.active_hosts()),
            "ansible_play_hosts_all" => Value::from(play?.all_hosts.clone()),
            "ansible_play_batch" | "play_hosts" => {
                let (batch, mut active) = (&play?.batch, play?.active_hosts());
                active.retain(|host| batch.contains(host));
                Value::from(active)
            }
            "ansible_check_mode" => Value::Bool(settings.check),
            "ansible_diff_mode" => Value::Bool(settings.diff),
            "ansible_forks" => Value::from(settings.forks),
            "ansible_limit" => Value::from(settings.limit.clone()?),
            "ansible_run_tags" if settings.selection.tags.is_empty() => Value::from(vec!["all"]),
            "ansible_run_tags" => Value::from(settings.selection.tags.clone()),
            "ansible_skip_tags" => Value::from(settings.selection.skip.clone()),
            "ansible_verbosity" => Value::from(i64::from(settings.verbosity)),
            "ansible_version" => version(),
            "ansible_inventory_sources" => Value::from(settings.inventories.clone()),
            "ansible_search_path" => {
                let folders = search_path(play, self.context.as_ref()).folders;
                Value::from(
                    folders
                        .iter()
                        .map(|folder| folder.display().to_string())
                        .collect::<Vec<_>>(),
                )
            }
            _ => return None,
        })
    }

    fn parent_roles(&self, part: impl Fn(&Role) -> String) -> Vec<String> {
        let Some(context) = &self.context else {
            return Vec::new();
        };
        context
            .chain()
            .filter_map(|context| context.role.as_ref())
            .skip(1)
            .map(|used| part(&used.role))
            .collect()
    }
}

/// Each name once.
fn names_of(roles: &[Arc<RoleUse>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in roles.iter().map(|used| used.role.full_name()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn dependencies_of(roles: &[Arc<RoleUse>]) -> Vec<Arc<RoleUse>> {
    roles
        .iter()
        .flat_map(|used| used.dependencies().iter().cloned())
        .collect()
}

fn short(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    host.split('.').next().unwrap_or(host)
}

fn inventory_folder(source: &str) -> Option<Value> {
    let path = std::path::absolute(source).ok()?;
    let folder = if path.is_dir() {
        path.as_path()
    } else {
        path.parent()?
    };
    Some(Value::from(folder.display().to_string()))
}

fn version() -> Value {
    let mut parts = LANGUAGE_VERSION
        .split('.')
        .map(|part| part.parse::<i64>().unwrap_or_default());
    let mut part = || Value::Int(parts.next().unwrap_or_default());
    Value::Map(Map::from_iter([
        ("full".to_owned(), Value::from(LANGUAGE_VERSION)),
        ("string".to_owned(), Value::from(LANGUAGE_VERSION)),
        ("major".to_owned(), part()),
        ("minor".to_owned(), part()),
        ("revision".to_owned(), part()),
    ]))
}

/// `hostvars`: what lasts of each host's variables.
struct HostVariables {
    run: Weak<Run>,
    folder: Option<PathBuf>,
}

impl fmt::Debug for HostVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostVariables")
    }
}

impl Scopes for HostVariables {
    fn get(&self, name: &str) -> Option<Arc<Scope>> {
        let run = self.run.upgrade()?;
        run.knows_host(name)
            .then(|| run.lasting_scope(name, self.folder.as_deref()))
    }

    fn names(&self) -> Vec<String> {
        self.run.upgrade().map(|run| run.host_names()).unwrap_or_default()
    }
}

/// `ansible_delegated_vars`: the variables of the host that a task is delegated to, by its name.
pub fn delegated(run: &Arc<Run>, play: &Arc<ActivePlay>, host: &str) -> Arc<dyn Layer> {
    let view = Delegated {
        host: host.to_owned(),
        run: Arc::downgrade(run),
        play: Arc::clone(play),
    };
    let names: Names = [(
        "ansible_delegated_vars".to_owned(),
        Variable::Scopes(Arc::new(view)),
    )]
    .into();
    Arc::new(names)
}

/// One host's variables in the play; it need not be in the inventory.
struct Delegated {
    host: String,
    run: Weak<Run>,
    play: Arc<ActivePlay>,
}

impl fmt::Debug for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delegated")
    }
}

impl Scopes for Delegated {
    fn get(&self, name: &str) -> Option<Arc<Scope>> {
        let run = self.run.upgrade().filter(|_| name == self.host)?;
        let scope = run.scope(name, Some(&self.play), None, Vec::new());
        // Unless told otherwise a host is found by its name.
        Some(match scope.get("ansible_host") {
            Some(_) => scope,
            None => scope.with(layer([("ansible_host".to_owned(), Value::from(name))])),
        })
    }

    fn names(&self) -> Vec<String> {
        vec![self.host.clone()]
    }
}

/// How the host that a task is delegated to is reached, where the task's own host says nothing of it.
pub fn reached(run: &Arc<Run>, play: &Arc<ActivePlay>, host: &str, own: &Arc<Scope>) -> Arc<dyn Layer> {
    let delegate = run.scope(host, Some(play), None, Vec::new());
    let mut names: Names = REACHED
        .iter()
        .filter(|name| own.get(name).is_none())
        .filter_map(|name| Some(((*name).to_owned(), delegate.get(name)?)))
        .collect();
    // A name for the address is there in any case, but not among the names of the scope if nobody gave it.
    let given = own.names();
    if !ADDRESS.iter().any(|name| given.iter().any(|given| given == name)) {
        let address = ADDRESS.iter().find_map(|name| delegate.get(name));
        let address = address.unwrap_or_else(|| Value::from(host).into());
        names.extend(ADDRESS.map(|name| (name.to_owned(), address.clone())));
    }
    Arc::new(names)
}

/// The first one wins.
const ADDRESS: [&str; 2] = ["ansible_ssh_host", "ansible_host"];

/// What a task may read of the connection that it uses.
const REACHED: &[&str] = &[
    "ansible_port",
    "ansible_ssh_port",
    "ansible_user",
    "ansible_ssh_user",
    "ansible_ssh_private_key_file",
    "ansible_private_key_file",
    "ansible_ssh_common_args",
    "ansible_shell_type",
];

/// One layer with a few names in it.
pub fn layer(names: impl IntoIterator<Item = (String, Value)>) -> Arc<dyn Layer> {
    let names: Names = names
        .into_iter()
        .map(|(name, value)| (name, Variable::Value(value)))
        .collect();
    Arc::new(names)
}

/// No variables at all, for what is evaluated before there are hosts.
pub fn bare(extra: &Arc<Names>, context: &Context) -> Arc<Scope> {
    let mut layers: Vec<Arc<dyn Layer>> = vec![Arc::clone(extra) as Arc<dyn Layer>];
    parameters(context, &mut layers);
    inner_variables(context, &mut layers);
    role_variables(context, &mut layers);
    let files = context.chain().flat_map(|context| &context.variables);
    layers.extend(files.map(|file| Arc::clone(file) as Arc<dyn Layer>));
    layers.extend(context.chain().filter_map(variables));
    role_defaults(context, &mut layers);
    let folder = context
        .chain()
        .filter_map(|context| context.folder.clone())
        .last();
    if let Some(folder) = &folder {
        layers.push(layer([(
            "playbook_dir".to_owned(),
            Value::from(folder.display().to_string()),
        )]));
    }
    Scope::new(
        layers,
        SearchPath {
            folders: folder.into_iter().collect(),
        },
    )
}
