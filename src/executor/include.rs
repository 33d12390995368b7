//! `include_tasks` and `include_role`: more tasks while the play runs.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempt::Site;
use super::end::End;
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::playbook::keyword::Level;
use crate::playbook::{Attributes, Context, Include, Item, Placed, What, file_argument, role_name};
use crate::template::{self, EvalError};
use crate::value::{Map, Value};
use crate::yaml::{Entry, Kind, Mapping, Node};

/// What one host is to run in place of the include.
#[derive(Debug)]
pub struct Inclusion {
    pub lists: Vec<(usize, Arc<[Item]>)>,
    /// What the output says was included, one for each list.
    pub shown: Vec<Included>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Included {
    /// A path, or a role's name.
    pub file: String,
    /// What the loop is at, as the output calls it.
    pub item: Option<String>,
}

/// Lists that were already made in this step: hosts that include the same run it in step.
#[derive(Default)]
pub struct Inclusions(HashMap<String, Arc<[Item]>>);

impl Run {
    /// What an include brings for one host; its end instead, where it is skipped or fails.
    pub(super) fn inclusion(
        &self,
        site: &Site,
        known: &mut Inclusions,
        level: Level,
    ) -> Result<Inclusion, Box<End>> {
        let scope = site.scope();
        let broken = |error: EvalError| Box::new(site.broken(error));
        if site.task.repeat.is_none() {
            if let Some(condition) = site.false_condition(&scope).map_err(broken)? {
                return Err(Box::new(End::skipped(condition)));
            }
            let (list, shown) = self.list_of(site, Map::new(), known, level)?;
            return Ok(Inclusion {
                lists: vec![(0, list)],
                shown: vec![Included {
                    file: shown,
                    item: None,
                }],
            });
        }
        let items = match site.items(&scope) {
            Ok(items) => items,
            Err(error) => {
                return Err(match site.false_condition(&scope) {
                    Ok(Some(condition)) => Box::new(End::skipped(condition)),
                    _ => broken(error),
                });
            }
        };
        let mut inclusion = Inclusion {
            lists: Vec::new(),
            shown: Vec::new(),
        };
        let mut skipped = None;
        for (index, names) in site
            .iterations(&items, &scope)
            .map_err(broken)?
            .into_iter()
            .enumerate()
        {
            let mut inner = site.clone();
            inner.local.insert(0, super::scope::layer(names.clone()));
            let inner_scope = inner.scope();
            if let Some(condition) = inner.false_condition(&inner_scope).map_err(broken)? {
                skipped = Some(End::skipped(condition));
                continue;
            }
            let (list, shown) = self.list_of(&inner, Map::from_iter(names), known, level)?;
            inclusion.lists.push((index, list));
            inclusion.shown.push(Included {
                file: shown,
                item: Some(inner.item_label(&items[index], &inner_scope)),
            });
        }
        match (inclusion.lists.is_empty(), skipped) {
            (true, Some(end)) => Err(Box::new(end)),
            (true, None) => Err(Box::new(End::empty_loop())),
            _ => Ok(inclusion),
        }
    }

    fn list_of(
        &self,
        site: &Site,
        variables: Map,
        known: &mut Inclusions,
        level: Level,
    ) -> Result<(Arc<[Item]>, String), Box<End>> {
        let scope = site.scope();
        let broken = |diagnostic: Diagnostic| Box::new(site.broken(EvalError::new(diagnostic)));
        let context = with_variables(&site.task.context, &variables);
        let text = |node: &Node| -> Result<String, Box<End>> {
            let value = template::evaluate(node, &scope).map_err(|error| Box::new(site.broken(error)))?;
            Ok(value.to_string())
        };
        if site.task.what == What::IncludeTasks {
            let node = file_argument(&site.task).map_err(broken)?;
            let name = text(node)?;
            let refused = |diagnostic| Box::new(site.refused(&diagnostic, Some(&name)));
            let path = self
                .loader
                .find_tasks(&name, &site.task.context, &node.span)
                .map_err(refused)?;
            let shown = path.display().to_string();
            let key = format!("{shown}\0{}", Value::Map(variables));
            if let Some(list) = known.0.get(&key) {
                return Ok((Arc::clone(list), shown));
            }
            let mut placed = Placed::default();
            let items = self
                .loader
                .include_tasks(&site.task, &context, &path, level, &mut placed)
                .map_err(refused)?;
            site.play.take_in(placed.uses, placed.handlers);
            let list: Arc<[Item]> = items.into();
            known.0.insert(key, Arc::clone(&list));
            return Ok((list, shown));
        }
        let name = text(role_name(&site.task).map_err(broken)?)?;
        let from: Vec<String> = ["tasks_from", "vars_from", "defaults_from", "handlers_from"]
            .iter()
            .map(|key| site.task.arguments.get(key).map(&text).transpose())
            .map(|found| found.map(Option::unwrap_or_default))
            .collect::<Result<_, _>>()?;
        let key = format!("{name}\0{}\0{}", from.join("\0"), Value::Map(variables));
        if let Some(list) = known.0.get(&key) {
            return Ok((Arc::clone(list), name));
        }
        let evaluate = |node: &Node| {
            template::evaluate(node, &scope)
                .map(|value| value.to_string())
                .map_err(|error| error.diagnostic)
        };
        let placed = self
            .loader
            .role_task(&site.task, &context, Include::Dynamic, &evaluate)
            .map_err(|diagnostic| Box::new(site.refused(&diagnostic, None)))?;
        site.play.take_in(placed.uses, placed.handlers);
        let list: Arc<[Item]> = placed.items.into();
        known.0.insert(key, Arc::clone(&list));
        Ok((list, name))
    }
}

/// The context with a loop's variables among its own.
fn with_variables(context: &Arc<Context>, variables: &Map) -> Arc<Context> {
    if variables.is_empty() {
        return Arc::clone(context);
    }
    let span = &context.attributes.span;
    let own = context.attributes.get("vars").and_then(Node::as_map);
    let mut all: Mapping = own.map(|map| map.as_ref().clone()).unwrap_or_default();
    for (name, value) in variables {
        let entry = Entry {
            key: span.clone(),
            value: Node::literal(value, span),
        };
        all.insert(name.clone(), entry);
    }
    let mut map = context.attributes.map.as_ref().clone();
    let vars = Entry {
        key: span.clone(),
        value: Node::new(Kind::Map(Arc::new(all)), span),
    };
    map.insert("vars".to_owned(), vars);
    Arc::new(Context {
        attributes: Attributes {
            map: Arc::new(map),
            span: span.clone(),
        },
        parent: context.parent.clone(),
        include: context.include,
        role: context.role.clone(),
        folder: context.folder.clone(),
        variables: context.variables.clone(),
    })
}
