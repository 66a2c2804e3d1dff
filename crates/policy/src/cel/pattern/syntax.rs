//! From the syntax of RE2 to that of the crate `regex`.
//!
//! Source: RE2's documentation of its syntax, and that of Go's package `regexp/syntax`.

/// The most that a repetition may count to in Go.
const MAX_REPEAT: u32 = 1000;

/// The names that stand in `[:...:]`.
const CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

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
        // Whether what comes next would repeat a repetition.
        let mut repeats = false;
        while let Some(char) = self.next() {
            let is_repetition = match char {
                '*' | '+' | '?' => {
                    self.out.push(char);
                    true
                }
                '{' => self.repetition()?,
                _ => false,
            };
            match char {
                '*' | '+' | '?' | '{' => {}
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => {
                    self.out.push('(');
                    self.flags()?;
                }
                char => self.out.push(char),
            }
            if is_repetition {
                if repeats {
                    return Err("a repetition of a repetition");
                }
                if self.take('?') {
                    self.out.push('?');
                }
            }
            repeats = is_repetition;
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
            'p' | 'P' | 'x' if self.rest.starts_with('{') => {
                let end = self.rest.find('}').ok_or("a brace without an end")? + 1;
                self.out.extend(['\\', char]);
                self.out.push_str(&self.rest[..end]);
                self.rest = &self.rest[end..];
            }
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
                '[' if self.rest.starts_with(':') && self.rest[1..].contains(":]") => {
                    self.named_class()?;
                }
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
        }
        Err("a class without an end")
    }

    /// `[:name:]`, of which the first bracket is taken.
    fn named_class(&mut self) -> Result<(), &'static str> {
        let (name, rest) = self.rest[1..].split_once(":]").ok_or("a class without an end")?;
        if !CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err("a class that does not exist");
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.rest = rest;
        Ok(())
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
            self.take('?');
            self.out.push('?');
            Ok(())
        } else {
            Err("a flag that does not exist")
        }
    }

    /// Whether a brace starts a repetition, which is copied. One that counts nothing is a brace.
    fn repetition(&mut self) -> Result<bool, &'static str> {
        let counted = self.rest.split_once('}').and_then(|(inside, rest)| {
            let (least, most) = counts(inside)?;
            Some((inside, rest, least, most))
        });
        let Some((inside, rest, least, most)) = counted else {
            self.out.push_str(r"\{");
            return Ok(false);
        };
        let too_many = |count: &str| {
            !count.is_empty() && count.parse::<u32>().map_or(true, |count| count > MAX_REPEAT)
        };
        if too_many(least) || too_many(most) {
            return Err("a repetition of more than 1000");
        }
        self.out.push_str(&format!("{{{inside}}}"));
        self.rest = rest;
        Ok(true)
    }
}

/// The numbers of `n`, `n,` and `n,m`; the second may be empty.
fn counts(inside: &str) -> Option<(&str, &str)> {
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some((least, most))
}
