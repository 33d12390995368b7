//! One setting: what it is called in files and variables, and what it takes.

/// What a setting's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Truth,
    Integer,
    Float,
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// A path; relative ones start at the file that says so, or at the current folder.
    Path,
    /// Paths with colons between them.
    PathSpec,
    /// Paths with commas between them.
    PathList,
}

impl Kind {
    /// As `ansible-config` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truth => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Text | Self::Choice(_) => "string",
            Self::List => "list",
            Self::Path => "path",
            Self::PathSpec => "pathspec",
            Self::PathList => "pathlist",
        }
    }
}

/// A row of the table. Its static is named as `ansible-config` names the setting.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written in a file; none where it is not set.
    pub default: Option<&'static str>,
    /// `section.key` in a file; of several that are written the last one counts.
    pub keys: &'static [&'static str],
    /// Variables of the environment; the first that is set counts.
    pub variables: &'static [&'static str],
    /// It is read so that files can be shared with Ansible, and changes nothing here.
    pub unused: bool,
    /// What it does; for one that is unused, why.
    pub doc: &'static str,
}

impl Setting {
    /// Section and key of each place in a file.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.keys.iter().filter_map(|key| key.split_once('.'))
    }
}

/// A part of the table. A row reads `NAME: Kind [= "default"], [keys], [variables], "what it does";`. Makes a
/// static of each row, and `ROWS` of all.
macro_rules! settings {
    (unused: $unused:literal; $(
        $name:ident: $kind:ident $(($($choice:literal),+))? $(= $default:literal)?,
        [$($key:literal),*], [$($variable:literal),*], $doc:literal;
    )+) => {
        $(
            #[doc = $doc]
            pub static $name: Setting = Setting {
                name: stringify!($name),
                kind: Kind::$kind $((&[$($choice),+]))?,
                default: settings!(@default $($default)?),
                keys: &[$($key),*],
                variables: &[$($variable),*],
                unused: $unused,
                doc: $doc,
            };
        )+
        pub(super) static ROWS: &[&Setting] = &[$(&$name),+];
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use settings;
