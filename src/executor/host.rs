//! What is known of a host beyond the inventory: facts, registered results, set and included variables.

use std::sync::Arc;

use crate::template::{Names, Variable};
use crate::value::{Map, Value};

/// Facts' names carry this prefix as variables, and lack it in `ansible_facts`.
const PREFIX: &str = "ansible_";

/// Local facts keep their prefix everywhere, and are variables in any case.
const LOCAL: &str = "ansible_local";

/// The fact that tells that all of them were gathered.
pub const GATHERED: &str = "_ansible_facts_gathered";

/// One host's memory. Layers are shared with the scopes that were made from them.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The facts as variables, and `ansible_facts` itself.
    pub facts: Arc<Names>,
    /// The facts under the names that modules report.
    gathered: Arc<Map>,
    /// `set_fact` and `register`.
    pub assigned: Arc<Names>,
    /// `include_vars`.
    pub included: Arc<Names>,
}

impl Memory {
    /// A host of which only facts are known, or nothing: `ansible_facts` is defined before there are any. `inject`: each is a variable of its own, too.
    pub fn with_facts(facts: Map, inject: bool) -> Self {
        Self {
            facts: Arc::new(variables(&facts, inject)),
            gathered: Arc::new(facts),
            assigned: Arc::default(),
            included: Arc::default(),
        }
    }

    pub fn gather(&mut self, facts: &Map, inject: bool) {
        let gathered = Arc::make_mut(&mut self.gathered);
        gathered.extend(facts.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.facts = Arc::new(variables(&self.gathered, inject));
    }

    /// The facts under the names that modules report.
    pub fn gathered(&self) -> &Arc<Map> {
        &self.gathered
    }

    pub fn assign(&mut self, name: &str, value: Value) {
        Arc::make_mut(&mut self.assigned).insert(name.to_owned(), Variable::Value(value));
    }

    pub fn include(&mut self, variables: Names) {
        Arc::make_mut(&mut self.included).extend(variables);
    }

    pub fn clear_facts(&mut self) {
        self.gathered = Arc::default();
        self.facts = Arc::new(variables(&self.gathered, true));
    }
}

/// Facts as playbooks read them.
fn variables(facts: &Map, inject: bool) -> Names {
    let mut names = Names::new();
    let mut short = Map::new();
    for (name, value) in facts {
        let own = match name.strip_prefix(PREFIX) {
            Some(own) if name != LOCAL => own,
            _ => name,
        };
        short.insert(own.to_owned(), value.clone());
        if inject || name == LOCAL {
            names.insert(name.clone(), Variable::prepared(value));
        }
    }
    names.insert("ansible_facts".to_owned(), Variable::prepared(&Value::Map(short)));
    names
}
