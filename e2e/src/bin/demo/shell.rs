//! kubectl as the person at the terminal would type it, shown with what it says.

use std::process::Output;

use anyhow::bail;
use pharos_testkit::Kubectl;

use crate::console::Console;

pub(crate) struct Shell<'a> {
    pub(crate) console: &'a Console,
    pub(crate) kubectl: &'a Kubectl,
}

// === impl Shell ===

impl Shell<'_> {
    /// Shows and runs a kubectl that must succeed.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = self.attempt(arguments).await?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", arguments.join(" "), error.trim());
        }
        Ok(())
    }

    /// Shows and runs a kubectl that may be refused.
    pub(crate) async fn attempt(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let words: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
        self.console.command(&format!("kubectl {}", words.join(" ")));
        let output = self.kubectl.output(arguments, "").await?;
        self.console.output(&String::from_utf8_lossy(&output.stdout));
        self.console.output(&String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }
}

/// So that what is shown can be pasted into a shell.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@%+".contains(c);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        assert_eq!(quoted("--server-side"), "--server-side");
        assert_eq!(quoted("jsonpath={.status}"), "'jsonpath={.status}'");
    }
}
