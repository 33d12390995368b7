//! The table that describes a module's arguments: validation, defaults, documentation and the static check
//! all read it.
//!
//! Validation happens on the controller, before anything is sent: once on what is written, as far as it is no
//! template (each error with its place in the file), once on the values after templating. The messages are
//! those that Ansible's users know.

mod coerce;
pub mod convert;
mod validation;

pub use self::validation::{ArgumentError, Step};

/// What a module is called and takes.
#[derive(Debug)]
pub struct Spec {
    pub name: &'static str,
    /// One line for `doc --list`.
    pub summary: &'static str,
    pub args: &'static [Arg],
    /// What its results hold, besides what every result holds.
    pub returns: &'static [Return],
    /// Tasks in YAML, ready to be copied.
    pub example: &'static str,
    /// The argument that takes a free-form text (`command: ls -l`).
    pub free_form: Option<&'static str>,
    pub rules: &'static [Rule],
}

/// One argument. Built with the constructors below, in constants.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Kind,
    pub aliases: &'static [&'static str],
    /// In YAML's spelling; none is null.
    pub default: Option<&'static str>,
    pub required: bool,
    /// The values that are allowed; empty: any.
    pub choices: &'static [&'static str],
    pub doc: &'static str,
    /// Never shown: passwords, keys.
    pub secret: bool,
    /// What a dict, or each dict of a list, may hold; empty: anything.
    pub options: &'static [Arg],
    /// What must hold between these.
    pub rules: &'static [Rule],
}

/// One key of a module's result, as `doc` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    pub name: &'static str,
    /// As the type of an argument is spelt; `list of dict` and the like.
    pub kind: &'static str,
    pub doc: &'static str,
    /// When it is there; empty: always.
    pub when: &'static str,
}

impl Return {
    pub const fn new(name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            when: "",
        }
    }

    #[must_use]
    pub const fn when(mut self, when: &'static str) -> Self {
        self.when = when;
        self
    }
}

/// What an argument's value is coerced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Str,
    /// A path on the target, with `~` still in it.
    Path,
    Bool,
    Int,
    Float,
    /// Octal text, symbolic text (`u+x`), or a number as YAML 1.1 read it.
    Mode,
    /// A list of texts; a single text is split at commas.
    Strings,
    /// A list of anything.
    List,
    Dict,
    /// As it comes.
    Raw,
}

/// What must hold between arguments.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    Exclusive(&'static [&'static str]),
    OneOf(&'static [&'static str]),
    Together(&'static [&'static str]),
    /// If the argument has this value, then the others are required.
    If(&'static str, &'static str, &'static [&'static str]),
    /// If the argument has this value, then one of the others is required.
    IfAny(&'static str, &'static str, &'static [&'static str]),
}

impl Arg {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            aliases: &[],
            default: None,
            required: false,
            choices: &[],
            doc: "",
            secret: false,
            options: &[],
            rules: &[],
        }
    }

    pub const fn str(name: &'static str) -> Self {
        Self::new(name, Kind::Str)
    }

    pub const fn path(name: &'static str) -> Self {
        Self::new(name, Kind::Path)
    }

    pub const fn bool(name: &'static str) -> Self {
        Self::new(name, Kind::Bool)
    }

    pub const fn int(name: &'static str) -> Self {
        Self::new(name, Kind::Int)
    }

    pub const fn float(name: &'static str) -> Self {
        Self::new(name, Kind::Float)
    }

    pub const fn mode(name: &'static str) -> Self {
        Self::new(name, Kind::Mode)
    }

    pub const fn strings(name: &'static str) -> Self {
        Self::new(name, Kind::Strings)
    }

    pub const fn list(name: &'static str) -> Self {
        Self::new(name, Kind::List)
    }

    pub const fn dict(name: &'static str) -> Self {
        Self::new(name, Kind::Dict)
    }

    pub const fn raw(name: &'static str) -> Self {
        Self::new(name, Kind::Raw)
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    #[must_use]
    pub const fn options(mut self, options: &'static [Arg]) -> Self {
        self.options = options;
        self
    }

    #[must_use]
    pub const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// The type, as people are told.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::List if !self.options.is_empty() => "list of dict",
            kind => kind.name(),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl Spec {
    /// The argument that goes by this name or alias.
    pub fn arg(&self, name: &str) -> Option<&'static Arg> {
        self.args.iter().find(|arg| arg.is_called(name))
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Path => "path",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Mode => "mode",
            Self::Strings => "list of str",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Raw => "raw",
        }
    }
}
