//! The command-line client: upstream's commands, flags and output.
