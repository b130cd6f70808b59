//! Running a program with bounded input, output and time.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::kernel::Error;

/// How much of standard error an error message keeps.
const STDERR_KEPT: usize = 2048;
/// How much standard output is read: a million rules of `iptables-save` are 150 MB, which nobody needs.
const STDOUT_LIMIT: u64 = 64 << 20;

/// What a program left when it ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

/// Runs a program to its end, whatever its exit code.
pub async fn run(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    timeout: Duration,
) -> Result<Output, Error> {
    let spawn_error = |source| Error::Spawn { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn_error)?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();

    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that refuses its input early closes the pipe; its exit code and message tell why.
            let _ = stdin.write_all(input).await;
        }
    };
    let read_stdout = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(STDOUT_LIMIT).read_to_end(&mut bytes).await?;
        }
        std::io::Result::Ok(bytes)
    };
    let read_stderr = async {
        let mut kept = Vec::new();
        if let Some(mut stderr) = stderr {
            let mut chunk = [0; 1024];
            loop {
                let count = stderr.read(&mut chunk).await?;
                if count == 0 {
                    break;
                }
                kept.extend_from_slice(&chunk[..count]);
                let excess = kept.len().saturating_sub(STDERR_KEPT);
                kept.drain(..excess);
            }
        }
        std::io::Result::Ok(kept)
    };
    let whole = async {
        let ((), stdout, stderr) = tokio::join!(write, read_stdout, read_stderr);
        let status = child.wait().await?;
        std::io::Result::Ok((status, stdout?, stderr?))
    };
    match tokio::time::timeout(timeout, whole).await {
        Ok(Ok((status, stdout, stderr))) => Ok(Output {
            code: status.code(),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
        }),
        Ok(Err(source)) => Err(spawn_error(source)),
        // Dropping the child kills it.
        Err(_) => Err(Error::Timeout { program: command_line(program, arguments), after: timeout }),
    }
}

/// Runs a program and demands exit code 0.
pub async fn succeed(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    timeout: Duration,
) -> Result<Output, Error> {
    let output = run(program, arguments, input, timeout).await?;
    if output.code == Some(0) {
        return Ok(output);
    }
    Err(Error::Failed { program: command_line(program, arguments), code: output.code, stderr: output.stderr })
}

fn command_line(program: &str, arguments: &[&str]) -> String {
    std::iter::once(program).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_failure_carries_exit_code_and_stderr() {
        let error = succeed("sh", &["-c", "echo no such chain >&2; exit 3"], b"", LONG).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh -c echo no such chain >&2; exit 3 exited with Some(3): no such chain"
        );
    }

    #[tokio::test]
    async fn input_larger_than_a_pipe_passes_and_an_early_exit_does_not_hang() {
        let input = vec![b'x'; 1 << 20];
        assert_eq!(succeed("cat", &[], &input, LONG).await.unwrap().stdout, input);
        assert_eq!(run("false", &[], &input, LONG).await.unwrap().code, Some(1));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed() {
        let error = run("sleep", &["60"], b"", Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }));
    }

    #[tokio::test]
    async fn an_absent_program_is_named() {
        let error = run("no-such-program-here", &[], b"", LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot run no-such-program-here");
    }
}
