//! What was used of late, up to a limit of bytes.
//!
//! Two generations: what is used moves to the young one, and when that has half of the limit it becomes the old
//! one, whose rest is forgotten. So nothing is ordered on use, and what is asked for again stays.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Recent<K, V> {
    generations: Mutex<Generations<K, V>>,
    limit: usize,
}

struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Bytes of the young ones.
    weight: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    /// Keeps about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                weight: 0,
            }),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = generations.old.remove_entry(key)?;
        self.add(&mut generations, key, value.clone(), weight);
        Some(value)
    }

    /// Keeps a value that takes `weight` bytes, if it is not most of all that is kept.
    pub fn insert(&self, key: K, value: V, weight: usize) {
        if weight > self.limit / 4 {
            return;
        }
        let mut generations = self.lock();
        if let Some((_, before)) = generations.young.remove(&key) {
            generations.weight -= before;
        }
        generations.old.remove(&key);
        self.add(&mut generations, key, value, weight);
    }

    fn add(&self, generations: &mut Generations<K, V>, key: K, value: V, weight: usize) {
        if generations.weight + weight > self.limit / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.weight = 0;
        }
        generations.weight += weight;
        generations.young.insert(key, (value, weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_limit_holds() {
        let recent = Recent::new(1000);
        for number in 0..10_000_u32 {
            recent.insert(number, number, 10);
            assert_eq!(recent.get(&0), Some(0), "used all the time");
        }
        let kept = (0..10_000_u32).filter(|number| recent.get(number).is_some());
        assert!((50..=100).contains(&kept.count()));
        let generations = recent.lock();
        assert!(generations.young.len() + generations.old.len() <= 100);
    }

    #[test]
    fn the_newest_value_counts_and_the_too_large_is_not_kept() {
        let recent = Recent::new(1000);
        recent.insert("a", 1, 100);
        recent.insert("a", 2, 100);
        assert_eq!(recent.get("a"), Some(2));
        assert_eq!(recent.lock().weight, 100);
        recent.insert("b", 1, 251);
        assert_eq!(recent.get("b"), None);
    }
}
