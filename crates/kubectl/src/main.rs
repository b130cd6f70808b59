//! The command-line client: upstream's commands, flags and output.

fn main() -> std::process::ExitCode {
    kubectl::run(std::env::args().skip(1).collect())
}
