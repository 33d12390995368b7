//! A crontab's lines: jobs with a comment above each that names it, and variables. Pure.

/// What stands before a job's name.
const MARK: &str = "#Ansible: ";

/// Where a variable is put that was not there.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    Top,
    After(&'a str),
    Before(&'a str),
}

pub struct Table {
    lines: Vec<String>,
}

impl Table {
    pub fn parse(text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// The text, ended by one line end; empty where there is nothing.
    pub fn render(&self) -> String {
        let text = self.lines.join("\n");
        if text.is_empty() {
            return text;
        }
        format!("{}\n", text.trim_end_matches(['\r', '\n']))
    }

    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.trim().is_empty())
    }

    pub fn jobs(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|line| line.strip_prefix(MARK).map(str::to_owned))
            .collect()
    }

    pub fn variables(&self) -> Vec<String> {
        let name = |line: &String| {
            let (name, _) = line.split_once('=')?;
            (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| name.to_owned())
        };
        self.lines.iter().filter_map(name).collect()
    }

    /// Puts a job where it belongs; false where it is there already.
    pub fn set_job(&mut self, name: &str, job: &str) -> bool {
        if let Some(found) = self.job(name) {
            let differs = found != job;
            if differs {
                self.replace_job(name, Some(job));
            }
            return differs;
        }
        if !self.adopt(name, job) {
            self.lines.extend([format!("{MARK}{name}"), job.to_owned()]);
        }
        true
    }

    /// False where there is no such job.
    pub fn remove_job(&mut self, name: &str) -> bool {
        let there = self.job(name).is_some();
        if there {
            self.replace_job(name, None);
        }
        there
    }

    fn job(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            if let Some(found) = line.strip_prefix(MARK) {
                let job = lines.next()?;
                if found == name {
                    return Some(job);
                }
            }
        }
        None
    }

    /// Gives a job that is there without a name this one.
    fn adopt(&mut self, name: &str, job: &str) -> bool {
        let Some(at) = self.lines.iter().position(|line| line == job) else {
            return false;
        };
        let comment = format!("{MARK}{name}");
        match at.checked_sub(1).map(|above| &mut self.lines[above]) {
            Some(above) if *above == format!("{MARK}None") => *above = comment,
            Some(above) if above.starts_with(MARK) => return false,
            _ => self.lines.insert(at, comment),
        }
        true
    }

    /// Every job of this name becomes this one, or goes.
    fn replace_job(&mut self, name: &str, job: Option<&str>) {
        let comment = format!("{MARK}{name}");
        let mut lines = std::mem::take(&mut self.lines).into_iter();
        while let Some(line) = lines.next() {
            if line != comment {
                self.lines.push(line);
            } else if lines.next().is_some()
                && let Some(job) = job
            {
                self.lines.extend([line, job.to_owned()]);
            }
        }
    }

    /// Puts a variable where it belongs; false where it is there already.
    pub fn set_variable(&mut self, name: &str, value: &str, place: Place<'_>) -> Result<bool, String> {
        let declaration = format!("{name}=\"{value}\"");
        if let Some(at) = self.variable(name) {
            let differs = self.lines[at] != declaration;
            let prefix = format!("{name}=");
            for line in self
                .lines
                .iter_mut()
                .filter(|line| differs && line.starts_with(&prefix))
            {
                line.clone_from(&declaration);
            }
            return Ok(differs);
        }
        let find = |other: &str| {
            self.variable(other)
                .ok_or_else(|| format!("Variable named '{other}' not found."))
        };
        let at = match place {
            Place::Top => 0,
            Place::After(other) => find(other)? + 1,
            Place::Before(other) => find(other)?,
        };
        self.lines.insert(at, declaration);
        Ok(true)
    }

    /// False where there is no such variable.
    pub fn remove_variable(&mut self, name: &str) -> bool {
        let there = self.variable(name).is_some();
        let prefix = format!("{name}=");
        self.lines.retain(|line| !line.starts_with(&prefix));
        there
    }

    fn variable(&self, name: &str) -> Option<usize> {
        let prefix = format!("{name}=");
        self.lines.iter().position(|line| line.starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_without_a_name_are_adopted() {
        let mut table =
            Table::parse("A=\"1\"\n* * * * * x\n#Ansible: None\n@daily y\n#Ansible: named\n@daily z\n");
        assert!(table.set_job("x", "* * * * * x"));
        assert!(table.set_job("y", "@daily y"));
        assert!(table.set_job("another", "@daily z"));
        assert!(!table.set_job("another", "@daily z"));
        assert_eq!(
            table.render(),
            "A=\"1\"\n#Ansible: x\n* * * * * x\n#Ansible: y\n@daily y\n#Ansible: named\n@daily z\n#Ansible: another\n@daily z\n"
        );
        assert_eq!(table.jobs(), ["x", "y", "named", "another"]);
        assert_eq!(table.variables(), ["A"]);
    }

    #[test]
    fn variables_have_their_place() {
        let mut table = Table::parse("A=\"1\"\nAB=2\n");
        assert_eq!(table.set_variable("B", "x", Place::After("A")), Ok(true));
        assert_eq!(table.set_variable("C", "y", Place::Before("AB")), Ok(true));
        assert_eq!(table.set_variable("AB", "2", Place::Top), Ok(true));
        assert_eq!(table.set_variable("AB", "2", Place::Top), Ok(false));
        assert_eq!(
            table.set_variable("D", "", Place::After("none")),
            Err("Variable named 'none' not found.".to_owned())
        );
        assert!(table.remove_variable("A") && !table.remove_variable("A"));
        assert_eq!(table.render(), "B=\"x\"\nC=\"y\"\nAB=\"2\"\n");
    }
}
