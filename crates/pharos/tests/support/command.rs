//! The binary as a command, and what it comes to.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::Context;

/// What a command came to.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, without any argument yet.
pub(crate) fn pharos() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pharos"))
}

/// Runs a command to its end with this as its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> anyhow::Result<Ended> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn()?;
    // One that is wrong about its arguments reads nothing.
    let _ = child.stdin.take().context("standard input")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    Ok(Ended {
        code: output.status.code().context("it ended by a signal")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}
