//! The page's URLs: `/ui/` for all repositories, `/ui/r/NAME` for one, and for an image what `docker pull`
//! would be given, `/ui/r/NAME:TAG` or `/ui/r/NAME@DIGEST`.

use crate::registry::name::{Reference, RepositoryName};

/// What of the page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Style,
    Script,
    Repositories {
        search: String,
        after: Option<String>,
    },
    Tags {
        name: RepositoryName,
        after: Option<String>,
    },
    Image {
        name: RepositoryName,
        reference: Reference,
    },
}

impl Wanted {
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Style | Self::Script | Self::Repositories { .. } => None,
            Self::Tags { name, .. } | Self::Image { name, .. } => Some(name),
        }
    }
}

/// Reads what follows `/ui`; `parameter` finds those of the query.
pub fn parse(path: &str, parameter: impl Fn(&str) -> Option<String>) -> Option<Wanted> {
    let after = || parameter("after").filter(|after| !after.is_empty());
    let image = match path {
        "" | "/" => {
            return Some(Wanted::Repositories {
                search: parameter("q").unwrap_or_default().trim().to_lowercase(),
                after: after(),
            });
        }
        "/style.css" => return Some(Wanted::Style),
        "/copy.js" => return Some(Wanted::Script),
        _ => path.strip_prefix("/r/")?,
    };
    // A name has neither, a tag no colon, and a digest comes after the only `@`.
    let (name, reference) = match (image.split_once('@'), image.split_once(':')) {
        (Some((name, digest)), _) => (name, Some(Reference::Digest(digest.parse().ok()?))),
        (None, Some((name, tag))) => (name, Some(Reference::Tag(tag.parse().ok()?))),
        (None, None) => (image.strip_suffix('/').unwrap_or(image), None),
    };
    let name = name.parse().ok()?;
    Some(match reference {
        Some(reference) => Wanted::Image { name, reference },
        None => Wanted::Tags { name, after: after() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let shown = |path: &str| {
            let path = path.replace("HEX", hex);
            let query = [("q", " Nginx "), ("after", "")];
            let found = parse(&path, |key| {
                let found = query.iter().find(|(known, _)| *known == key);
                found.map(|(_, value)| (*value).to_owned())
            });
            format!("{found:?}").replace(hex, "HEX")
        };
        for (path, expected) in [
            ("", r#"Some(Repositories { search: "nginx", after: None })"#),
            ("/style.css", "Some(Style)"),
            ("/r/a/b", r#"Some(Tags { name: "a/b", after: None })"#),
            ("/r/a/b/", r#"Some(Tags { name: "a/b", after: None })"#),
            (
                "/r/a/b:v1",
                r#"Some(Image { name: "a/b", reference: Tag("v1") })"#,
            ),
            (
                "/r/a@sha256:HEX",
                r#"Some(Image { name: "a", reference: Digest(sha256:HEX) })"#,
            ),
            ("/r/A", "None"),
            ("/r/a:b:c", "None"),
            ("/r/../x", "None"),
            ("/r/a@sha256:12", "None"),
            ("/x", "None"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }
}
