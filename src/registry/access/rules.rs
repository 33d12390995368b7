//! Who may do what on which repositories.
//!
//! **The first rule that speaks of the client, of the repository and of the action decides.** Where no rule does,
//! nobody may. Without any rule at all everybody may do everything, or, where there is a way to log in,
//! everybody who has logged in.
//!
//! Pure: what is written in the configuration and who asks go in, a decision with its reason comes out. The server,
//! the token server and `explain-access` ask the same function.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;

use super::identity::Subject;
use super::pattern::Pattern;

/// What a rule can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    Pull,
    Push,
    Delete,
    /// Asking for the list of repositories. Only those that one may pull are on it.
    Catalog,
}

impl Permission {
    pub const ALL: [Self; 4] = [Self::Pull, Self::Push, Self::Delete, Self::Catalog];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Catalog => "catalog",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == text)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Everybody,
    /// Who has not logged in.
    Anonymous,
    /// Who has, by whatever means.
    Authenticated,
    User(String),
    Group(String),
    /// The common name of a client certificate; none: any.
    Certificate(Option<String>),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or(("", text));
        if name.is_empty() {
            return Err("names nobody".to_owned());
        }
        match (kind, name) {
            ("", "everybody") => Ok(Self::Everybody),
            ("", "anonymous") => Ok(Self::Anonymous),
            ("", "authenticated") => Ok(Self::Authenticated),
            ("" | "user", name) => Ok(Self::User(name.to_owned())),
            ("group", name) => Ok(Self::Group(name.to_owned())),
            ("certificate", "*") => Ok(Self::Certificate(None)),
            ("certificate", name) => Ok(Self::Certificate(Some(name.to_owned()))),
            _ => Err(format!(
                "`{text}` must be a user's name, user:NAME, group:NAME, certificate:NAME, anonymous, authenticated or everybody"
            )),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Authenticated => f.write_str("authenticated"),
            // A user may be called `anonymous`, and then has to be told from it.
            Self::User(name) if name.parse() != Ok(self.clone()) => write!(f, "user:{name}"),
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Certificate(name) => write!(f, "certificate:{}", name.as_deref().unwrap_or("*")),
        }
    }
}

/// One rule, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// None: all.
    pub repositories: Vec<Pattern>,
    pub who: Vec<Who>,
    pub allow: Vec<Permission>,
    pub deny: Vec<Permission>,
}

/// All rules, in order, and the groups that they name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub list: Vec<Rule>,
    pub groups: IndexMap<String, Vec<String>>,
}

/// Whether something is allowed, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub because: Because,
}

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The rule at this index.
    Rule(usize),
    /// Rules are there, and none speaks of it.
    NoRule,
    /// There are no rules, and nobody could log in.
    Open,
    /// There are no rules: what counts is having logged in.
    LoggedIn,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As the configuration's keys are counted, and `config show` prints them.
            Self::Rule(index) => write!(f, "access.rules.{index}"),
            Self::NoRule => f.write_str("no rule of access.rules speaks of it"),
            Self::Open => f.write_str("there are neither access.rules nor a way to log in"),
            Self::LoggedIn => {
                f.write_str("there are no access.rules: whoever has logged in may do everything")
            }
        }
    }
}

impl Rules {
    /// Decides. `repository` is of no concern to [`Permission::Catalog`]; `log_in` says whether there is any way to
    /// log in.
    pub fn decide(
        &self,
        subject: Subject<'_>,
        permission: Permission,
        repository: &str,
        log_in: bool,
    ) -> Decision {
        if self.list.is_empty() {
            return if log_in {
                Decision {
                    allowed: !subject.is_anonymous(),
                    because: Because::LoggedIn,
                }
            } else {
                Decision {
                    allowed: true,
                    because: Because::Open,
                }
            };
        }
        for (index, rule) in self.list.iter().enumerate() {
            let allows = rule.allow.contains(&permission);
            if (allows || rule.deny.contains(&permission))
                && rule.who.iter().any(|who| self.is(subject, who))
                && (permission == Permission::Catalog || rule.speaks_of(repository, subject.user))
            {
                return Decision {
                    allowed: allows,
                    because: Because::Rule(index),
                };
            }
        }
        Decision {
            allowed: false,
            because: Because::NoRule,
        }
    }

    fn is(&self, subject: Subject<'_>, who: &Who) -> bool {
        match who {
            Who::Everybody => true,
            Who::Anonymous => subject.is_anonymous(),
            Who::Authenticated => !subject.is_anonymous(),
            Who::User(name) => subject.user == Some(name),
            Who::Group(group) => subject.user.is_some_and(|user| {
                let members = self.groups.get(group);
                members.is_some_and(|members| members.iter().any(|member| member == user))
            }),
            Who::Certificate(None) => subject.certificate.is_some(),
            Who::Certificate(Some(name)) => subject.certificate == Some(name),
        }
    }
}

impl Rule {
    fn speaks_of(&self, repository: &str, user: Option<&str>) -> bool {
        self.repositories.is_empty()
            || self
                .repositories
                .iter()
                .any(|pattern| pattern.matches(repository, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `WHO... : REPOSITORIES... : +ACTION -ACTION`
    pub fn rules(lines: &[&str]) -> Rules {
        let list = lines.iter().map(|line| {
            let mut parts = line.split(" : ").map(str::split_whitespace);
            let mut rule = Rule {
                who: parts.next().unwrap().map(|who| who.parse().unwrap()).collect(),
                repositories: parts.next().unwrap().map(|text| text.parse().unwrap()).collect(),
                ..Rule::default()
            };
            for action in parts.next().unwrap() {
                let (list, name) = match action.strip_prefix('-') {
                    Some(name) => (&mut rule.deny, name),
                    None => (&mut rule.allow, action.strip_prefix('+').unwrap()),
                };
                list.push(Permission::parse(name).unwrap());
            }
            rule
        });
        Rules {
            list: list.collect(),
            groups: IndexMap::from([("ops".to_owned(), vec!["olga".to_owned()])]),
        }
    }

    #[test]
    fn the_first_rule_that_speaks_of_it_decides() {
        let rules = rules(&[
            "group:ops : ** : +pull +push +delete +catalog",
            "everybody : secret/** : -pull -push",
            "everybody : library/** : +pull",
            "authenticated : home/{user}/** : +pull +push +delete",
            "certificate:ci : build/* : +push",
            "authenticated : ** : +pull +catalog",
        ]);
        let cert = |name| Subject {
            user: None,
            certificate: Some(name),
        };
        let (nobody, alice, olga) = (Subject::default(), Subject::user("alice"), Subject::user("olga"));
        for (subject, permission, repository, allowed, because) in [
            (nobody, Permission::Pull, "library/a", true, Because::Rule(2)),
            (nobody, Permission::Push, "library/a", false, Because::NoRule),
            (nobody, Permission::Catalog, "", false, Because::NoRule),
            (alice, Permission::Catalog, "", true, Because::Rule(5)),
            (alice, Permission::Push, "home/alice/x", true, Because::Rule(3)),
            (alice, Permission::Push, "home/olga/x", false, Because::NoRule),
            (alice, Permission::Pull, "home/olga/x", true, Because::Rule(5)),
            (alice, Permission::Pull, "secret/x", false, Because::Rule(1)),
            // A rule that is silent on an action leaves it to the next.
            (alice, Permission::Delete, "secret/x", false, Because::NoRule),
            (olga, Permission::Pull, "secret/x", true, Because::Rule(0)),
            (cert("ci"), Permission::Push, "build/x", true, Because::Rule(4)),
            (cert("ci"), Permission::Pull, "other", true, Because::Rule(5)),
            (cert("other"), Permission::Push, "build/x", false, Because::NoRule),
            // A certificate's name is no user's: `{user}` and groups are of users.
            (
                cert("alice"),
                Permission::Push,
                "home/alice/x",
                false,
                Because::NoRule,
            ),
            (cert("olga"), Permission::Push, "x", false, Because::NoRule),
        ] {
            let decision = rules.decide(subject, permission, repository, true);
            assert_eq!(
                decision,
                Decision { allowed, because },
                "{subject} {permission} {repository}"
            );
        }
    }

    #[test]
    fn without_rules_logging_in_is_what_counts() {
        let rules = Rules::default();
        for (subject, log_in, allowed) in [
            (Subject::default(), false, true),
            (Subject::default(), true, false),
            (Subject::user("a"), true, true),
        ] {
            let decision = rules.decide(subject, Permission::Delete, "a", log_in);
            assert_eq!(decision.allowed, allowed, "{subject} {log_in}");
        }
    }

    #[test]
    fn whom_a_rule_can_name() {
        for text in [
            "everybody",
            "anonymous",
            "authenticated",
            "alice",
            "user:anonymous",
            "group:ops",
            "certificate:ci",
            "certificate:*",
        ] {
            let who: Who = text.parse().unwrap();
            assert_eq!(who.to_string(), text);
        }
        assert_eq!("user:alice".parse::<Who>(), "alice".parse());
        for text in ["", "group:", "role:x"] {
            assert!(text.parse::<Who>().is_err(), "{text}");
        }
    }
}
