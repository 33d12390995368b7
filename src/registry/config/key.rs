//! What a section of the configuration brings: its keys, and what becomes of those that it does not take.

use indexmap::IndexMap;

use super::{Config, Places};
use crate::diagnostic::Diagnostic;

/// What is wrong with a value: the end of a sentence that starts with the key, "must be a path".
pub type Set = Result<(), String>;

/// One file of `config/`: everything that is generic goes over these.
pub struct Section {
    pub keys: &'static [Key],
    /// Keys of distribution whose work needs no setting here, and why: taken, with a warning.
    pub without_effect: &'static [(&'static str, &'static str)],
    /// Keys that would change who may do what, or where data goes, and why they are not there: refused,
    /// rather than left out quietly.
    pub refused: &'static [(&'static str, &'static str)],
    /// What one value alone cannot tell: keys that need or exclude one another.
    pub check: fn(&Config, &Places<'_>) -> Vec<Diagnostic>,
}

impl Section {
    /// To be filled up from: `Section { keys: &[...], ..Section::EMPTY }`.
    pub const EMPTY: Self = Self {
        keys: &[],
        without_effect: &[],
        refused: &[],
        check: |_, _| Vec::new(),
    };
}

/// One key: how it is spelled, what it means, how it is set and shown.
pub struct Key {
    /// A pattern as in [`super::path`].
    pub path: &'static str,
    /// For the documentation.
    pub meaning: &'static str,
    pub secret: bool,
    form: Form,
    /// Takes the value over from the configuration that the server started with.
    keep: Option<fn(&mut Config, &Config)>,
}

type SetOne = fn(&mut Config, &str) -> Set;
type SetMany = fn(&mut Config, &[String]) -> Set;
type SetEach = fn(&mut Config, At<'_>, &str) -> Set;
type SetEachMany = fn(&mut Config, At<'_>, &[String]) -> Set;

/// Values, each with what the wild words of its key stand for.
pub type Filled<V> = Vec<(Vec<String>, V)>;

enum Form {
    One(SetOne, fn(&Config) -> Option<String>),
    Many(SetMany, fn(&Config) -> Vec<String>),
    Each(SetEach, fn(&Config) -> Filled<String>),
    EachMany(SetEachMany, fn(&Config) -> Filled<Vec<String>>),
}

/// What stands at one path of a configuration that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    One(String),
    Many(Vec<String>),
}

impl Key {
    /// A key with one value. `show` gives None where it is not set.
    pub const fn one(
        path: &'static str,
        meaning: &'static str,
        set: SetOne,
        show: fn(&Config) -> Option<String>,
    ) -> Self {
        Self::new(path, meaning, Form::One(set, show))
    }

    /// A key with a list of values. `set` gets all of them and replaces what there was.
    pub const fn many(
        path: &'static str,
        meaning: &'static str,
        set: SetMany,
        show: fn(&Config) -> Vec<String>,
    ) -> Self {
        Self::new(path, meaning, Form::Many(set, show))
    }

    /// A key with wild words and one value for each way to fill them; see [`in_list`] and [`in_map`].
    pub const fn each(
        path: &'static str,
        meaning: &'static str,
        set: SetEach,
        show: fn(&Config) -> Filled<String>,
    ) -> Self {
        Self::new(path, meaning, Form::Each(set, show))
    }

    /// A key with wild words and a list of values for each way to fill them.
    pub const fn each_many(
        path: &'static str,
        meaning: &'static str,
        set: SetEachMany,
        show: fn(&Config) -> Filled<Vec<String>>,
    ) -> Self {
        Self::new(path, meaning, Form::EachMany(set, show))
    }

    const fn new(path: &'static str, meaning: &'static str, form: Form) -> Self {
        Self {
            path,
            meaning,
            secret: false,
            form,
            keep: None,
        }
    }

    /// The value is nobody's business: no message shows it. Its type is [`super::Secret`], which is shown as `***`.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The value is read at the start only: a reload says so and `keep` takes the old one over.
    #[must_use]
    pub const fn at_start(mut self, keep: fn(&mut Config, &Config)) -> Self {
        self.keep = Some(keep);
        self
    }

    pub fn takes_many(&self) -> bool {
        matches!(self.form, Form::Many(..) | Form::EachMany(..))
    }

    pub fn is_read_at_start(&self) -> bool {
        self.keep.is_some()
    }

    /// Takes the old value over where only a restart can change it. Says whether it would have changed.
    pub(super) fn keep(&self, new: &mut Config, old: &Config) -> bool {
        let Some(keep) = self.keep else { return false };
        let changed = self.shown(new) != self.shown(old);
        keep(new, old);
        changed
    }

    pub(super) fn set(&self, config: &mut Config, at: &[String], values: &[String]) -> Set {
        let one = || match values {
            [value] => Ok(value.as_str()),
            _ => Err("must be one value".to_owned()),
        };
        match self.form {
            Form::One(set, _) => set(config, one()?),
            Form::Many(set, _) => set(config, values),
            Form::Each(set, _) => set(config, At(at), one()?),
            Form::EachMany(set, _) => set(config, At(at), values),
        }
    }

    /// Every value with what its wild words stand for.
    pub fn shown(&self, config: &Config) -> Filled<Shown> {
        match self.form {
            Form::One(_, show) => show(config)
                .into_iter()
                .map(|value| (Vec::new(), Shown::One(value)))
                .collect(),
            Form::Many(_, show) => {
                let values = show(config);
                let none = values.is_empty();
                (!none)
                    .then(|| (Vec::new(), Shown::Many(values)))
                    .into_iter()
                    .collect()
            }
            Form::Each(_, show) => {
                let all = show(config).into_iter();
                all.map(|(at, value)| (at, Shown::One(value))).collect()
            }
            Form::EachMany(_, show) => {
                let all = show(config).into_iter();
                all.map(|(at, values)| (at, Shown::Many(values))).collect()
            }
        }
    }
}

/// What the wild words of a key stand for, from the left.
#[derive(Clone, Copy)]
pub struct At<'a>(&'a [String]);

impl At<'_> {
    /// The key of a mapping.
    pub fn word(&self, number: usize) -> &str {
        self.0.get(number).map_or("", String::as_str)
    }

    /// The entry of a list, which is made if it is the next one.
    pub fn entry<'t, T: Default>(&self, number: usize, list: &'t mut Vec<T>) -> Result<&'t mut T, String> {
        let index: usize = self.word(number).parse().map_err(|_| "must be in a list")?;
        if index == list.len() {
            list.push(T::default());
        }
        let length = list.len();
        list.get_mut(index)
            .ok_or_else(|| format!("is entry {index} of a list of {length}"))
    }

    /// The value of a mapping, which is made where it is not there.
    pub fn value<'t, T: Default>(&self, number: usize, map: &'t mut IndexMap<String, T>) -> &'t mut T {
        map.entry(self.word(number).to_owned()).or_default()
    }
}

/// What `show` of a key with one `[]` gives.
pub fn in_list<T, V>(list: &[T], show: impl Fn(&T) -> Option<V>) -> Filled<V> {
    let all = list.iter().enumerate();
    all.filter_map(|(index, entry)| Some((vec![index.to_string()], show(entry)?)))
        .collect()
}

/// What `show` of a key with one `*` gives.
pub fn in_map<T, V>(map: &IndexMap<String, T>, show: impl Fn(&T) -> Option<V>) -> Filled<V> {
    map.iter()
        .filter_map(|(key, entry)| Some((vec![key.clone()], show(entry)?)))
        .collect()
}

/// Words that a value is chosen from.
pub type Words<T> = [(&'static str, T)];

pub fn one_of<T: Copy>(table: &Words<T>, text: &str) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

pub fn name_of<T: Copy + PartialEq>(table: &Words<T>, value: T) -> Option<String> {
    let found = table.iter().find(|(_, known)| *known == value);
    found.map(|(name, _)| (*name).to_owned())
}
