//! A map that remembers what was used lately, in bounded memory.
//!
//! Two halves: what is used moves into the young one; when that is full it becomes the old one, and what was
//! in the old one and not used since is forgotten. Every step takes constant time.

use std::collections::HashMap;
use std::hash::Hash;

pub struct Generations<K, V> {
    /// Of one half; both together hold twice as much.
    limit: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// `limit` entries at least are remembered, and at most twice as many.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    pub fn get(&mut self, key: &K) -> Option<&mut V>
    where
        K: Clone,
    {
        if let Some(value) = self.old.remove(key) {
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub fn get_or_insert(&mut self, key: &K, value: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        if self.get(key).is_none() {
            self.insert(key.clone(), value());
        }
        self.young.get_mut(key).expect("it was put there just now")
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let mut map = Generations::new(100);
        map.insert(0, 0);
        for key in 1..10_000 {
            *map.get_or_insert(&key, || 0) += key;
            assert_eq!(map.get(&0), Some(&mut 0), "{key}");
            assert_eq!(map.get(&key), Some(&mut key.clone()));
            assert!(map.len() <= 200);
        }
        assert_eq!(map.get(&1), None);
        map.remove(&0);
        assert_eq!(map.get(&0), None);
    }
}
