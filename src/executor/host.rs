//! What is known of a host beyond the inventory: facts, registered results, set and included variables.

use std::sync::Arc;

use crate::template::{Names, Variable};
use crate::value::{Map, Value};

/// Facts' names carry this prefix as variables, and lack it in `ansible_facts`.
const PREFIX: &str = "ansible_";

/// One host's memory. Layers are shared with the scopes that were made from them.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `ansible_*`, and `ansible_facts` itself.
    pub facts: Arc<Names>,
    gathered: Map,
    /// `set_fact` and `register`.
    pub assigned: Arc<Names>,
    /// `include_vars`.
    pub included: Arc<Names>,
}

impl Default for Memory {
    /// `ansible_facts` is defined before there are any.
    fn default() -> Self {
        let mut memory = Self {
            facts: Arc::default(),
            gathered: Map::new(),
            assigned: Arc::default(),
            included: Arc::default(),
        };
        memory.gather(&Map::new());
        memory
    }
}

impl Memory {
    /// Facts as a module reports them, with the prefix or without it.
    pub fn gather(&mut self, facts: &Map) {
        let names = Arc::make_mut(&mut self.facts);
        for (name, value) in facts {
            let short = name.strip_prefix(PREFIX).unwrap_or(name);
            self.gathered.insert(short.to_owned(), value.clone());
            let full = if name.starts_with(PREFIX) || name == "facter" {
                name.clone()
            } else {
                format!("{PREFIX}{name}")
            };
            names.insert(full, Variable::Value(value.clone()));
        }
        names.insert(
            "ansible_facts".to_owned(),
            Variable::Value(Value::Map(self.gathered.clone())),
        );
    }

    /// `set_fact` with `cacheable`: a fact under its own name.
    pub fn cache(&mut self, facts: &Map) {
        let names = Arc::make_mut(&mut self.facts);
        for (name, value) in facts {
            self.gathered.insert(name.clone(), value.clone());
            names.insert(name.clone(), Variable::Value(value.clone()));
        }
        names.insert(
            "ansible_facts".to_owned(),
            Variable::Value(Value::Map(self.gathered.clone())),
        );
    }

    pub fn assign(&mut self, name: &str, value: Value) {
        Arc::make_mut(&mut self.assigned).insert(name.to_owned(), Variable::Value(value));
    }

    pub fn include(&mut self, variables: Names) {
        Arc::make_mut(&mut self.included).extend(variables);
    }

    pub fn clear_facts(&mut self) {
        self.facts = Arc::default();
        self.gathered = Map::new();
        self.gather(&Map::new());
    }
}
