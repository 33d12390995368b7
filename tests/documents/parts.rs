//! The parts of a document that the tests look at: fences, tables, links, generated parts.

/// What stands in a fence.
pub struct Block {
    /// The line of the document that the fence opens at, from 1.
    pub line: usize,
    pub text: String,
}

/// The fences of a language. What is indented is taken as it is.
pub fn blocks(document: &str, language: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    for (index, line) in document.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(word)) => {
                let block = Block {
                    line: index + 1,
                    text: String::new(),
                };
                open = Some((word.trim() == language, block));
            }
            (Some(_), Some(_)) => {
                if let Some((true, block)) = open.take() {
                    found.push(block);
                }
            }
            (Some((_, block)), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence stays open");
    found
}

/// What `[text](link)` leads to, fences left out.
pub fn links(document: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if !inside {
            let links = line.split("](").skip(1);
            found.extend(
                links
                    .filter_map(|rest| rest.split_once(')'))
                    .map(|(link, _)| link.to_owned()),
            );
        }
    }
    found
}

/// The rows of the first table below a heading, cells trimmed, its head left out.
pub fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = document
        .lines()
        .skip_while(|line| *line != heading)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "there is no table below `{heading}`");
    rows
}

/// What stands in backquotes. Fences are nothing between backquotes that follow each other.
pub fn quoted(text: &str) -> Vec<&str> {
    let inside = text.split('`').skip(1).step_by(2);
    inside.filter(|word| !word.contains('\n')).collect()
}

/// The names of the generated parts.
pub fn generated(document: &str) -> Vec<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("<!-- generated: ")?.strip_suffix(" -->"))
        .collect()
}

/// The document with another text in a generated part.
pub fn replace(document: &str, name: &str, text: &str) -> String {
    let start = format!("<!-- generated: {name} -->\n");
    let end = "<!-- end -->";
    let (before, rest) = document.split_once(&start).expect("a generated part");
    let (_, after) = rest
        .split_once(end)
        .unwrap_or_else(|| panic!("the generated part `{name}` has no end"));
    format!("{before}{start}\n{}\n\n{end}{after}", text.trim())
}
