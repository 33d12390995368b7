//! A place that sets a variable, and how it ranks among others.

use crate::source::Span;
use crate::template::Variable;
use crate::value::Value;
use crate::yaml::{Kind, Node};

/// Longer values are cut: where a value stands says more than the whole of it.
const MAX_VALUE: usize = 60;

/// How strong a place is: the numbers of Ansible's order, the strongest is the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    RoleDefaults = 2,
    InventoryGroups = 3,
    InventoryGroupVarsAll = 4,
    PlaybookGroupVarsAll = 5,
    InventoryGroupVars = 6,
    PlaybookGroupVars = 7,
    InventoryHosts = 8,
    InventoryHostVars = 9,
    PlaybookHostVars = 10,
    PlayVars = 12,
    VarsPrompt = 13,
    VarsFiles = 14,
    RoleVars = 15,
    BlockVars = 16,
    TaskVars = 17,
    IncludeVars = 18,
    SetFact = 19,
    RoleParameters = 20,
    IncludeParameters = 21,
    ExtraVars = 22,
}

impl Rank {
    pub fn name(self) -> &'static str {
        match self {
            Self::RoleDefaults => "role defaults",
            Self::InventoryGroups => "group in the inventory",
            Self::InventoryGroupVarsAll => "inventory group_vars/all",
            Self::PlaybookGroupVarsAll => "playbook group_vars/all",
            Self::InventoryGroupVars => "inventory group_vars",
            Self::PlaybookGroupVars => "playbook group_vars",
            Self::InventoryHosts => "host in the inventory",
            Self::InventoryHostVars => "inventory host_vars",
            Self::PlaybookHostVars => "playbook host_vars",
            Self::PlayVars => "play vars",
            Self::VarsPrompt => "vars_prompt",
            Self::VarsFiles => "vars_files",
            Self::RoleVars => "role vars",
            Self::BlockVars => "block vars",
            Self::TaskVars => "task vars",
            Self::IncludeVars => "include_vars",
            Self::SetFact => "set_fact, register",
            Self::RoleParameters => "role parameters",
            Self::IncludeParameters => "include parameters",
            Self::ExtraVars => "extra variables",
        }
    }
}

/// Where and when a place counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reach {
    /// In all of the play.
    Everywhere,
    /// Inside of something: a task, a role.
    Inside(String),
    /// From a task on, if it runs.
    After(String),
}

/// One place.
#[derive(Debug, Clone)]
pub struct Site {
    pub rank: Rank,
    /// Which group, role or task; empty where the rank says it all.
    pub holder: String,
    pub reach: Reach,
    /// None for what stands nowhere: the implicit localhost's.
    pub span: Option<Span>,
    /// As written, cut, secrets masked.
    pub value: String,
}

impl Site {
    pub fn new(rank: Rank, holder: impl Into<String>, variable: &Variable) -> Self {
        let (span, value) = match variable {
            Variable::Node(node) => (Some(node.span.clone()), shown(node)),
            Variable::Value(value) => (None, cut(&value.to_string())),
            _ => (None, String::new()),
        };
        Self {
            rank,
            holder: holder.into(),
            reach: Reach::Everywhere,
            span,
            value,
        }
    }

    #[must_use]
    pub fn reaching(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The rank, and what it is of.
    pub fn title(&self) -> String {
        match self.holder.as_str() {
            "" => self.rank.name().to_owned(),
            // One rank, two ways.
            holder if self.rank == Rank::SetFact => holder.to_owned(),
            holder => format!("{} ({holder})", self.rank.name()),
        }
    }
}

/// A value as written, on one line.
pub fn shown(node: &Node) -> String {
    if node.span.source().is_confidential() {
        return "***".to_owned();
    }
    cut(&crate::secrets::scrub(&written(node).to_string()))
}

fn written(node: &Node) -> Value {
    match &node.kind {
        Kind::Vault(_) => Value::from("***"),
        Kind::List(items) => Value::List(items.iter().map(written).collect()),
        Kind::Map(map) => Value::Map(
            map.iter()
                .map(|(name, entry)| (name.clone(), written(&entry.value)))
                .collect(),
        ),
        _ => node.to_value(),
    }
}

fn cut(text: &str) -> String {
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
