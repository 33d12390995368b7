//! Batches: in which order a play takes its hosts, and how many at a time.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::playbook::Play;
use crate::template::{self, Scope};
use crate::value::Value;

/// Puts hosts in order.
type Order = fn(&mut [String]);

/// `order`: how hosts are sorted before they are divided.
const ORDERS: &[(&str, Order)] = &[
    ("inventory", |_| {}),
    ("reverse_inventory", <[String]>::reverse),
    ("sorted", <[String]>::sort),
    ("reverse_sorted", |hosts| {
        hosts.sort();
        hosts.reverse();
    }),
    ("shuffle", shuffle),
];

/// By keys that no two runs share: the standard library seeds each of its maps anew.
fn shuffle(hosts: &mut [String]) {
    use std::hash::BuildHasher;
    let keys = std::hash::RandomState::new();
    hosts.sort_by_cached_key(|host| keys.hash_one(host));
}

/// Sorts the hosts as the play wants them.
pub fn sort(hosts: &mut [String], play: &Play, scope: &Arc<Scope>) -> Result<(), Diagnostic> {
    let Some(node) = play.get("order") else {
        return Ok(());
    };
    let order = template::evaluate(node, scope)
        .map_err(|error| error.diagnostic.malformed())?
        .to_string();
    match ORDERS.iter().find(|(name, _)| *name == order) {
        Some((_, sort)) => sort(hosts),
        None => {
            return Err(
                Diagnostic::error(format!("Invalid 'order' specified for inventory hosts: {order}"))
                    .at(&node.span)
                    .nearest(&order, ORDERS.iter().map(|(name, _)| *name)),
            );
        }
    }
    Ok(())
}

/// One entry of `serial`.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    Hosts(usize),
    Percent(f64),
}

/// The sizes of batches that the play asks for.
pub fn serial(play: &Play, scope: &Arc<Scope>) -> Result<Vec<Size>, Diagnostic> {
    let Some(node) = play.get("serial") else {
        return Ok(Vec::new());
    };
    let value = template::evaluate(node, scope).map_err(|error| error.diagnostic.malformed())?;
    let entries = match &value {
        Value::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    entries
        .iter()
        .map(|entry| {
            let text = entry.to_string();
            let size = match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().map(Size::Percent),
                // A number that is no size means all that are left.
                None => text
                    .trim()
                    .parse::<i64>()
                    .ok()
                    .map(|count| Size::Hosts(usize::try_from(count).unwrap_or(0))),
            };
            size.ok_or_else(|| {
                Diagnostic::error(format!("`serial` takes numbers and percentages, not `{text}`"))
                    .at(&node.span)
            })
        })
        .collect()
}

/// Hosts in batches; the last size repeats.
pub fn batches(hosts: &[String], sizes: &[Size]) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let mut rest = hosts;
    let mut sizes = sizes.iter().peekable();
    while !rest.is_empty() {
        let size = match sizes.peek() {
            None | Some(Size::Hosts(0)) => rest.len(),
            Some(Size::Hosts(count)) => *count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a small number"
            )]
            Some(Size::Percent(percent)) => ((hosts.len() as f64 * percent / 100.0) as usize).max(1),
        };
        if sizes.len() > 1 {
            sizes.next();
        }
        let (batch, others) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_repeats() {
        let hosts: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        let sizes = |sizes: &[Size]| batches(&hosts, sizes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [7]);
        assert_eq!(sizes(&[Size::Hosts(3)]), [3, 3, 1]);
        assert_eq!(sizes(&[Size::Hosts(1), Size::Percent(30.0)]), [1, 2, 2, 2]);
    }
}
