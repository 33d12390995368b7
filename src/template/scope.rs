//! Where names come from while something is evaluated.
//!
//! A [`Scope`] is a stack of [`Layer`]s, the strongest first. A name is looked up when it is used and
//! evaluated then, in the same scope: variables are lazy, and one that is wrong does no harm until it is used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::convert;
use super::error::EvalError;
use super::{evaluate, merge, taint};
use crate::configuration::Configuration;
use crate::diagnostic::Diagnostic;
use crate::value::Value;
use crate::yaml::{Kind, Node};

/// Deeper than this, a variable is taken to refer to itself.
const MAX_RECURSION: usize = 50;

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Variable {
    /// As written; evaluated at each use.
    Node(Node),
    /// Data: facts, registered results.
    Value(Value),
    /// An object of the engine: functions.
    Native(minijinja::Value),
    /// Scopes by name: `hostvars`.
    Scopes(Arc<dyn Scopes>),
    /// The settings, for lookups; templates cannot see them.
    Configuration(Arc<Configuration>),
}

/// A view of several scopes.
pub trait Scopes: fmt::Debug + Send + Sync {
    fn get(&self, name: &str) -> Option<Arc<Scope>>;
    fn names(&self) -> Vec<String>;
}

impl Variable {
    /// Data that is read often and changes rarely, as the engine wants it: facts.
    pub fn prepared(value: &Value) -> Self {
        Self::Native(convert::from_value(value))
    }
}

impl From<Value> for Variable {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Node> for Variable {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

/// Names of one precedence.
pub trait Layer: Send + Sync {
    fn get(&self, name: &str) -> Option<Variable>;
    fn names(&self) -> Vec<String>;
}

/// The usual layer.
pub type Names = indexmap::IndexMap<String, Variable>;

impl Layer for crate::yaml::Mapping {
    fn get(&self, name: &str) -> Option<Variable> {
        indexmap::IndexMap::get(self, name).map(|entry| Variable::Node(entry.value.clone()))
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl Layer for Names {
    fn get(&self, name: &str) -> Option<Variable> {
        indexmap::IndexMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// Folders in which relative file names are looked up, nearest first.
#[derive(Debug, Clone, Default)]
pub struct SearchPath {
    /// A role's folder, the folder of the file that holds the task, the playbook's folder.
    pub folders: Vec<PathBuf>,
}

impl SearchPath {
    /// The first of `folder/kind/name` and `folder/name` that exists.
    pub fn find(&self, kind: &str, name: &str) -> Option<PathBuf> {
        self.candidates(kind, name).into_iter().find(|path| path.exists())
    }

    /// All places in which `name` is looked for, in order: what an error lists.
    pub fn candidates(&self, kind: &str, name: &str) -> Vec<PathBuf> {
        let path = PathBuf::from(name);
        if path.is_absolute() {
            return vec![path];
        }
        self.folders
            .iter()
            .flat_map(|folder| [folder.join(kind).join(&path), folder.join(&path)])
            .collect()
    }
}

/// A stack of layers.
pub struct Scope {
    layers: Vec<Arc<dyn Layer>>,
    /// Maps that several layers set are merged.
    merging: bool,
    pub search: SearchPath,
    /// Why a name that exists came out undefined: the message that a user needs.
    causes: Mutex<HashMap<String, EvalError>>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// Layers from the strongest to the weakest.
    pub fn new(layers: Vec<Arc<dyn Layer>>, search: SearchPath) -> Arc<Self> {
        Self::merging(layers, search, false)
    }

    /// As [`new`](Self::new); maps that several layers set may be merged instead of replaced.
    pub fn merging(layers: Vec<Arc<dyn Layer>>, search: SearchPath, merging: bool) -> Arc<Self> {
        Arc::new(Self {
            layers,
            merging,
            search,
            causes: Mutex::default(),
        })
    }

    /// This scope with another layer in front.
    #[must_use]
    pub fn with(&self, layer: Arc<dyn Layer>) -> Arc<Self> {
        let layers = std::iter::once(layer)
            .chain(self.layers.iter().cloned())
            .collect();
        Self::merging(layers, self.search.clone(), self.merging)
    }

    pub fn get(&self, name: &str) -> Option<Variable> {
        let mut found = self.layers.iter().filter_map(|layer| layer.get(name));
        let strongest = found.next()?;
        if !self.merging || !merge::is_map(&strongest) {
            return Some(strongest);
        }
        Some(
            found
                .take_while(merge::is_map)
                .fold(strongest, |above, below| merge::merged(above, &below)),
        )
    }

    /// All names, sorted, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.layers.iter().flat_map(|layer| layer.names()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A variable's value.
    pub fn value(self: &Arc<Self>, name: &str) -> Result<Option<Value>, EvalError> {
        match self.get(name) {
            None | Some(Variable::Scopes(_) | Variable::Configuration(_)) => Ok(None),
            Some(Variable::Value(value)) => Ok(Some(value)),
            Some(Variable::Node(node)) => evaluate::evaluate(&node, self).map(Some),
            Some(Variable::Native(value)) => convert::to_value(&value).map(Some).map_err(|message| {
                EvalError::new(Diagnostic::error(format!(
                    "`{name}` cannot be used as data: {message}"
                )))
            }),
        }
    }

    /// The scope as the engine's context.
    pub(super) fn context(self: &Arc<Self>) -> minijinja::Value {
        minijinja::Value::from_object(Context(Arc::clone(self)))
    }

    /// Why `name` came out undefined although it exists.
    pub(super) fn cause(&self, name: &str) -> Option<EvalError> {
        self.causes.lock().ok()?.get(name).cloned()
    }
}

thread_local! {
    /// The variables that are being evaluated, outermost first.
    static EVALUATING: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A scope as the engine sees it.
#[derive(Debug)]
pub(super) struct Context(pub(super) Arc<Scope>);

/// The hidden name under which functions find the scope that they are called in.
pub(super) const SCOPE: &str = "__scope__";

impl Context {
    /// A variable's value. One that failed in this scope is not tried again: it would fail again, and what
    /// the engine looks up to describe an error would try it over and over.
    fn variable(&self, name: &str, node: &Node) -> Option<minijinja::Value> {
        let result = match self.0.cause(name) {
            Some(error) => Err(error),
            None => guarded(name, node, &self.0),
        };
        if let (Err(error), Ok(mut causes)) = (&result, self.0.causes.lock()) {
            causes.entry(name.to_owned()).or_insert_with(|| error.clone());
        }
        outcome(result)
    }
}

/// Evaluates what `name` stands for, unless that needs `name` itself.
fn guarded(name: &str, node: &Node, scope: &Arc<Scope>) -> Result<minijinja::Value, EvalError> {
    let depth = EVALUATING.with_borrow_mut(|names| {
        names.push(name.to_owned());
        names.len()
    });
    let result = if depth > MAX_RECURSION {
        Err(EvalError::new(
            Diagnostic::error(format!(
                "Recursive loop detected in template: `{name}` refers to itself"
            ))
            .at(&node.span),
        ))
    } else {
        lazy(node, scope)
    };
    EVALUATING.with_borrow_mut(Vec::pop);
    if let Ok(value) = &result {
        taint::read(value);
    }
    result
}

/// Undefined inside makes the whole undefined, so that `is defined` and `default` see it.
fn outcome(result: Result<minijinja::Value, EvalError>) -> Option<minijinja::Value> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.undefined => None,
        Err(error) => Some(minijinja::Error::from(error).into()),
    }
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<minijinja::Value> {
        if name == SCOPE {
            return Some(minijinja::Value::from_dyn_object(Arc::clone(self)));
        }
        if name == "vars" {
            return Some(minijinja::Value::from_dyn_object(Arc::clone(self)));
        }
        match self.0.get(name)? {
            Variable::Value(value) => {
                taint::read_value(&value);
                Some(convert::from_value(&value))
            }
            Variable::Native(value) => Some(value),
            Variable::Configuration(_) => None,
            Variable::Scopes(scopes) => Some(minijinja::Value::from_object(Views(scopes))),
            Variable::Node(node) => self.variable(name, &node),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.names().into_iter().map(minijinja::Value::from).collect())
    }
}

/// Several scopes as the engine sees them.
#[derive(Debug)]
struct Views(Arc<dyn Scopes>);

impl Object for Views {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.0.get(key.as_str()?).map(|scope| scope.context())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.names().into_iter().map(minijinja::Value::from).collect())
    }
}

/// A node as the engine's value, its insides evaluated only when they are reached.
pub(super) fn lazy(node: &Node, scope: &Arc<Scope>) -> Result<minijinja::Value, EvalError> {
    if !node.is_dynamic() {
        let value = node.to_value();
        taint::read_value(&value);
        return Ok(convert::from_value(&value));
    }
    match &node.kind {
        Kind::List(_) | Kind::Map(_) => Ok(minijinja::Value::from_object(Lazy {
            node: node.clone(),
            scope: Arc::clone(scope),
        })),
        _ => evaluate::native(node, scope),
    }
}

/// A list or map with templates in it.
#[derive(Debug)]
struct Lazy {
    node: Node,
    scope: Arc<Scope>,
}

/// Whether looking into a value would evaluate what nobody has asked for.
pub(super) fn is_lazy(value: &minijinja::Value) -> bool {
    value.downcast_object_ref::<Lazy>().is_some()
        || value.downcast_object_ref::<Context>().is_some()
        || value.downcast_object_ref::<Views>().is_some()
}

impl Lazy {
    fn child(&self, name: &str, node: &Node) -> Option<minijinja::Value> {
        outcome(guarded(name, node, &self.scope))
    }
}

impl Object for Lazy {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match &self.node.kind {
            Kind::List(_) => ObjectRepr::Seq,
            _ => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        match &self.node.kind {
            Kind::List(items) => {
                let index = key.as_usize()?;
                self.child(&index.to_string(), items.get(index)?)
            }
            Kind::Map(map) => {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                self.child(&name, &map.get(&name)?.value)
            }
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.node.kind {
            Kind::List(items) => Enumerator::Seq(items.len()),
            Kind::Map(map) => Enumerator::Values(
                map.keys()
                    .map(|key| minijinja::Value::from(key.as_str()))
                    .collect(),
            ),
            _ => Enumerator::NonEnumerable,
        }
    }
}
