//! What surrounds a task: the play, roles, blocks and imports, each with the keywords that it gives on.

use std::sync::Arc;

use super::role::RoleUse;
use super::tags;
use crate::source::Span;
use crate::yaml::{Mapping, Node};

/// The keywords of one play, role, block or task, as written and checked.
#[derive(Debug, Clone)]
pub struct Attributes {
    pub map: Arc<Mapping>,
    pub span: Span,
}

impl Attributes {
    pub fn get(&self, keyword: &str) -> Option<&Node> {
        Some(&self.map.get(keyword)?.value).filter(|node| !node.is_null())
    }
}

/// How what is inside came to be there; it decides what is inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Written there, or imported: everything is inherited.
    Static,
    /// Included while the play ran: the include's variables are, as parameters; its conditions and tags are not,
    /// though those of what surrounds it are.
    Dynamic,
}

/// A chain from a task outwards.
#[derive(Debug)]
pub struct Context {
    pub attributes: Attributes,
    pub parent: Option<Arc<Context>>,
    pub include: Include,
    /// The role that starts here.
    pub role: Option<Arc<RoleUse>>,
    /// The folder of the file in which this stands, where it differs from the parent's.
    pub folder: Option<std::path::PathBuf>,
    /// Files of variables that can be read before there are hosts; of a play.
    pub variables: Vec<Arc<Mapping>>,
}

impl Context {
    /// From here outwards.
    pub fn chain(&self) -> impl Iterator<Item = &Context> {
        std::iter::successors(Some(self), |context| context.parent.as_deref())
    }

    /// The nearest value of an inherited keyword.
    pub fn nearest(&self, keyword: &str) -> Option<&Node> {
        self.chain().find_map(|context| context.attributes.get(keyword))
    }

    /// All values of a keyword, outermost first.
    pub fn all(&self, keyword: &str) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self
            .chain()
            .filter_map(|context| context.attributes.get(keyword))
            .collect();
        nodes.reverse();
        nodes
    }

    /// Every condition that must hold, outermost first; a list is several conditions.
    pub fn conditions(&self) -> Vec<&Node> {
        let mut inherited: Vec<&Node> = Vec::new();
        for context in self.chain().filter(|context| context.include == Include::Static) {
            inherited.extend(context.attributes.get("when"));
        }
        inherited.reverse();
        inherited
            .into_iter()
            .flat_map(|node| node.as_list().unwrap_or(std::slice::from_ref(node)))
            .collect()
    }

    /// All tags, inherited ones included.
    pub fn tags(&self) -> Vec<String> {
        let mut all = Vec::new();
        let statics = self.chain().filter(|context| context.include == Include::Static);
        for node in statics.filter_map(|context| context.attributes.get("tags")) {
            for tag in tags::tags_of(node) {
                if !all.contains(&tag) {
                    all.push(tag);
                }
            }
        }
        all
    }

    /// The role that this belongs to, if any.
    pub fn role(&self) -> Option<&Arc<RoleUse>> {
        self.chain().find_map(|context| context.role.as_ref())
    }
}
