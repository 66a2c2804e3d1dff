//! Guides that tests run as they are written.
//!
//! A step is a section whose heading begins with a number. Its files are the code blocks after a
//! comment `<!-- file: NAME -->`, its commands the lines of those after `<!-- run -->`.

use anyhow::Context;

use crate::manifests::repository;

/// A guide of docs/guides.
pub struct Guide {
    steps: Vec<Step>,
}

/// One step of a guide.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The heading, such as `1. Plaintext`.
    pub title: String,
    /// Names and contents, in order.
    pub files: Vec<(String, String)>,
    /// The words of each command.
    pub commands: Vec<Vec<String>>,
}

/// What the next code block is.
enum Block {
    File(String),
    Run,
}

// === impl Guide ===

impl Guide {
    /// Reads a guide by the name of its file.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let path = repository().join("docs/guides").join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { steps: parse(&text) })
    }

    /// Its steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

// === impl Step ===

impl Step {
    /// The title as part of a name.
    #[must_use]
    pub fn slug(&self) -> String {
        let letters = self.title.chars().filter(|it| it.is_ascii_alphanumeric() || *it == ' ');
        format!("step-{}", letters.collect::<String>().to_lowercase().replace(' ', "-"))
    }
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut next: Option<Block> = None;
    let mut open: Option<(Option<Block>, String)> = None;
    for line in text.lines() {
        if let Some((block, mut content)) = open.take() {
            if line == "```" {
                if let (Some(block), Some(step)) = (block, steps.last_mut()) {
                    step.take(block, content);
                }
            } else {
                content.push_str(line);
                content.push('\n');
                open = Some((block, content));
            }
        } else if line.starts_with("```") {
            open = Some((next.take(), String::new()));
        } else if let Some(title) = line.strip_prefix("## ") {
            if title.starts_with(|first: char| first.is_ascii_digit()) {
                steps.push(Step { title: title.to_owned(), ..Step::default() });
            }
        } else if line == "<!-- run -->" {
            next = Some(Block::Run);
        } else if let Some(name) = line.strip_prefix("<!-- file: ") {
            next = Some(Block::File(name.trim_end_matches(" -->").to_owned()));
        }
    }
    steps
}

impl Step {
    fn take(&mut self, block: Block, content: String) {
        match block {
            Block::File(name) => self.files.push((name, content)),
            Block::Run => {
                let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
                self.commands.extend(content.lines().map(words));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands_belong_to_the_step_that_they_stand_in() {
        let text = "# T\n```sh\nnot a step\n```\n## 1. One\n<!-- file: a.yaml -->\n```yaml\na: 1\n```\n\
                    ```sh\nonly shown\n```\n<!-- run -->\n```sh\nkubectl get x\n```\n## Else\n## 2. Two\n";
        let steps = parse(text);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].files, [("a.yaml".to_owned(), "a: 1\n".to_owned())]);
        assert_eq!(steps[0].commands, [["kubectl", "get", "x"]]);
        assert_eq!(steps[0].slug(), "step-1-one");
        assert_eq!(steps[1], Step { title: "2. Two".to_owned(), ..Step::default() });
    }
}
