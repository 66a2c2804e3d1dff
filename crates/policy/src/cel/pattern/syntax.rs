//! From the syntax of RE2 to that of the crate `regex`.
//!
//! Source: RE2's documentation of its syntax, and that of Go's package `regexp/syntax`.

/// The most that a repetition may count to in Go.
const MAX_REPEAT: u32 = 1000;

/// A walk over a pattern.
struct Translation<'p> {
    rest: &'p str,
    out: String,
}

/// The same pattern for the crate, or what makes it none in Go.
pub(super) fn translate(pattern: &str) -> Result<String, &'static str> {
    let out = String::with_capacity(pattern.len() + 16);
    let mut translation = Translation { rest: pattern, out };
    translation.run()?;
    Ok(translation.out)
}

// === impl Translation ===

impl Translation<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(char) = self.next() {
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => {
                    self.out.push('(');
                    self.flags()?;
                }
                '{' => self.repetition()?,
                char => self.out.push(char),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let char = self.rest.chars().next()?;
        self.rest = &self.rest[char.len_utf8()..];
        Some(char)
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        match self.next().ok_or("it ends with a backslash")? {
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            's' => self.out.push_str(r"[\t\n\f\r ]"),
            'S' => self.out.push_str(r"[^\t\n\f\r ]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'Q' => self.quoted(),
            'A' => self.out.push_str(r"\A"),
            'B' => self.out.push_str(r"\B"),
            'z' => self.out.push_str(r"\z"),
            other => self.same_escape(other)?,
        }
        Ok(())
    }

    /// `\Q...\E`, of which the end may be missing.
    fn quoted(&mut self) {
        let (text, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
        self.out.push_str(&regex::escape(text));
        self.rest = rest;
    }

    /// An escape that means the same in both.
    fn same_escape(&mut self, char: char) -> Result<(), &'static str> {
        let known = matches!(char, 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' | '0'..='7');
        if char.is_ascii_alphanumeric() && !known {
            return Err("an escape that does not exist");
        }
        if !char.is_ascii() {
            return Err("an escape that does not exist");
        }
        match char {
            '1'..='7' if !self.rest.starts_with(|next: char| next.is_digit(8)) => {
                return Err("an escape that does not exist");
            }
            '0'..='7' => self.octal(char),
            char => self.out.extend(['\\', char]),
        }
        Ok(())
    }

    fn octal(&mut self, first: char) {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|next| next.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.next();
        }
        self.out.push_str(&format!(r"\x{{{code:x}}}"));
    }

    /// What stands in brackets: without nested classes and set operators.
    fn class(&mut self) -> Result<(), &'static str> {
        self.out.push('[');
        if self.take('^') {
            self.out.push('^');
        }
        if self.take(']') {
            self.out.push_str(r"\]");
        }
        while let Some(char) = self.next() {
            match char {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.starts_with(':') && self.rest.contains(":]") => self.out.push('['),
                '[' => self.out.push_str(r"\["),
                '&' | '~' => self.out.extend(['\\', char]),
                '-' if self.rest.starts_with('-') => self.out.push_str(r"\-"),
                '\\' => match self.next().ok_or("it ends with a backslash")? {
                    'd' => self.out.push_str("0-9"),
                    's' => self.out.push_str(r"\t\n\f\r "),
                    'w' => self.out.push_str("0-9A-Za-z_"),
                    'D' => self.out.push_str("[^0-9]"),
                    'S' => self.out.push_str(r"[^\t\n\f\r ]"),
                    'W' => self.out.push_str("[^0-9A-Za-z_]"),
                    other => self.same_escape(other)?,
                },
                char => self.out.push(char),
            }
            // The name of a class is copied whole.
            if self.out.ends_with('[') && self.rest.starts_with(':') {
                let end = self.rest.find(":]").map_or(0, |end| end + 2);
                self.out.push_str(&self.rest[..end]);
                self.rest = &self.rest[end..];
            }
        }
        Err("a class without an end")
    }

    fn take(&mut self, char: char) -> bool {
        let there = self.rest.starts_with(char);
        if there {
            self.next();
        }
        there
    }

    /// Flags after `(?` that Go does not have are refused.
    fn flags(&mut self) -> Result<(), &'static str> {
        let Some(flags) = self.rest.strip_prefix('?') else {
            return Ok(());
        };
        let flags: String = flags.chars().take_while(|char| !":)<P".contains(*char)).collect();
        if flags.chars().all(|char| "imsU-".contains(char)) {
            Ok(())
        } else {
            Err("a flag that does not exist")
        }
    }

    /// A brace that counts nothing is a brace.
    fn repetition(&mut self) -> Result<(), &'static str> {
        let Some((least, most)) = self.rest.split_once('}').and_then(|(inside, _)| counts(inside))
        else {
            self.out.push_str(r"\{");
            return Ok(());
        };
        let too_many = |count: &str| {
            !count.is_empty() && count.parse::<u32>().map_or(true, |count| count > MAX_REPEAT)
        };
        if too_many(least) || too_many(most) {
            return Err("a repetition of more than 1000");
        }
        self.out.push('{');
        Ok(())
    }
}

/// The numbers of `n`, `n,` and `n,m`; the second may be empty.
fn counts(inside: &str) -> Option<(&str, &str)> {
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some((least, most))
}
