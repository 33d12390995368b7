//! What dnf says that it does or would do: the table before `Transaction Summary`.

use crate::modules::packages::foreseen::Packages;
use crate::wire::message::Diff;

/// Titles of the table's parts, and whether what stands below is there afterwards.
const PARTS: &[(&str, bool)] = &[
    ("Installing", true),
    ("Upgrading", true),
    ("Downgrading", true),
    ("Reinstalling", true),
    ("Removing", false),
];

/// One package of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub installed: bool,
    pub name: String,
    pub version: String,
    architecture: String,
}

/// The rows below a title such as `Installing dependencies:`: name, architecture, version, repository, size.
pub fn rows(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut installed = None;
    for line in text.lines() {
        if line.starts_with("Transaction Summary") {
            break;
        }
        let title = line.trim_end();
        if title.ends_with(':') && !title.starts_with(' ') {
            let mut parts = PARTS
                .iter()
                .filter(|_| !is_of_groups(title) && !is_of_modules(title));
            let part = parts.find(|(part, _)| title.starts_with(part));
            installed = part.map(|(_, installed)| *installed);
            continue;
        }
        let (Some(installed), true) = (installed, line.starts_with(' ')) else {
            continue;
        };
        // `replacing NAME...` stands below what replaces it.
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, architecture, version, _, ..] = words.as_slice()
            && *name != "replacing"
        {
            rows.push(Row {
                installed,
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                architecture: (*architecture).to_owned(),
            });
        }
    }
    rows
}

/// Below it are names of groups, which dnf only notes down.
fn is_of_groups(title: &str) -> bool {
    title.ends_with(" Groups:")
}

/// Below it are streams or profiles: `Enabling module streams:`.
fn is_of_modules(title: &str) -> bool {
    title.ends_with("module streams:") || title.ends_with("module profiles:")
}

impl Row {
    /// As dnf spells packages; an epoch of zero is not told.
    fn full_name(&self) -> String {
        format!("{}-{}.{}", self.name, self.version, self.architecture)
    }
}

/// As Ansible's users know them.
pub fn results(rows: &[Row]) -> Vec<String> {
    let result = |row: &Row| {
        let verb = if row.installed { "Installed" } else { "Removed" };
        format!("{verb}: {}", row.full_name())
    };
    rows.iter().map(result).collect()
}

pub fn diff(rows: &[Row]) -> Diff {
    Diff {
        before_header: "packages".to_owned(),
        after_header: "packages".to_owned(),
        before: String::new(),
        after: results(rows).iter().flat_map(|line| [line, "\n"]).collect(),
    }
}

pub fn packages(rows: &[Row], packages: &mut Packages) {
    for row in rows {
        if row.installed {
            packages.install(&row.name, &row.version);
        } else {
            packages.remove(&row.name);
        }
    }
}

/// dnf 4, dnf 5 and yum 3 in turn; or a table of groups alone, whose packages are all there.
pub fn says_nothing_to_do(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    if lines.any(|line| matches!(line, "Nothing to do" | "Nothing to do."))
        || text.contains("No packages marked for")
    {
        return true;
    }
    let table = text.lines().skip_while(|line| !line.starts_with("===="));
    let table = table.take_while(|line| !line.starts_with("Transaction Summary"));
    let mut titles = table
        .map(str::trim_end)
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .peekable();
    titles.peek().is_some() && titles.all(is_of_groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_that_there_is_nothing_to_do() {
        assert!(says_nothing_to_do(
            "Dependencies resolved.\nNothing to do.\nComplete!\n"
        ));
        assert!(says_nothing_to_do("No packages marked for update\n"));
        assert!(!says_nothing_to_do("Installed:\n  nginx-1.20\n"));
        let table = |rest: &str| {
            format!(
                "====\n Package  Size\n====\nInstalling Groups:\n A b c d\n{rest}\nTransaction Summary\n====\n"
            )
        };
        assert!(says_nothing_to_do(&table("")));
        assert!(rows(&table("")).is_empty());
        let web = "Enabling module streams:\n web  1  \n";
        assert!(!says_nothing_to_do(&table(web)) && rows(&table(web)).is_empty());
    }

    #[test]
    fn reads_the_table() {
        let rows = rows(
            "Dependencies resolved.\n====\n Package  Architecture  Version  Repository  Size\n====\n\
             Installing:\n app      noarch        2.0-1    local       6.1 k\n     replacing  old.noarch 1.0-1\n\
             Installing dependencies:\n lib      noarch        1:1.0-1  local       6.0 k\nRemoving:\n \
             gone     noarch        1.0-1    @local      12\n\nTransaction Summary\n====\nInstall  2 Packages\n",
        );
        assert_eq!(
            results(&rows),
            [
                "Installed: app-2.0-1.noarch",
                "Installed: lib-1:1.0-1.noarch",
                "Removed: gone-1.0-1.noarch"
            ]
        );
    }
}
