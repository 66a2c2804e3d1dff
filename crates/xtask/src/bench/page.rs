//! The page: sections between markers, by name.

use std::collections::BTreeMap;
use std::fmt;

const HEADER: &str = "\
# Benchmarks

Written by `make bench`; each section names the machine that it was measured on. Ratios compare what was measured in turns within one run and hold \
elsewhere; times do not.
";
const BEGIN: &str = "<!-- begin ";
const END: &str = "<!-- end -->";
const CLOSE: &str = " -->";

/// What the page holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    sections: BTreeMap<String, String>,
}

// === impl Page ===

impl Page {
    /// What stands between markers; the rest is ours to write.
    pub(super) fn parse(text: &str) -> Self {
        let section = |part: &str| {
            let (name, rest) = part.split_once(CLOSE)?;
            let (section, _) = rest.split_once(END)?;
            Some((name.to_owned(), section.trim().to_owned() + "\n"))
        };
        Self { sections: text.split(BEGIN).skip(1).filter_map(section).collect() }
    }

    pub(super) fn put(&mut self, name: &str, section: &str) {
        self.sections.insert(name.to_owned(), section.to_owned());
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        for (name, section) in &self.sections {
            write!(f, "\n{BEGIN}{name}{CLOSE}\n{section}{END}\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let mut page = Page::default();
        page.put("a", "## A\n\ngone\n");
        page.put("b", "## B\n\nkept\n");
        let mut again = Page::parse(&page.to_string());
        assert_eq!(again, page);
        again.put("a", "## A\n\nnew\n");
        let text = again.to_string();
        assert!(text.contains("new") && text.contains("kept") && !text.contains("gone"), "{text}");
    }
}
