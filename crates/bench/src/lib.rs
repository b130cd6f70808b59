//! Loads and measurements of the running components, printed as a table of medians against the bar.
//!
//! Machines are noisy: what counts is the processor time that the kernel accounts to the process under test, its
//! memory, and ratios within one run.

mod api;
mod cluster;
mod etcd;
mod instructions;
mod load;
mod process;
mod proxy;
mod runtime;
mod scale;
mod server;
mod table;
mod watches;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "bench", about = "Measure Magnetite")]
struct Cli {
    /// What to measure
    #[arg(value_enum, default_value_t = Which::All)]
    which: Which,
    /// Objects that the API server holds while it is measured
    #[arg(long, default_value_t = 2000)]
    objects: usize,
    /// Clients, each with an HTTP/2 connection of its own
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Watches that are open at once
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
    /// Events that each of them gets
    #[arg(long, default_value_t = 1000)]
    events: usize,
    /// Pods that an API server finds when it starts
    #[arg(long, default_value_t = 100_000)]
    pods: usize,
    /// Rounds of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Everything
    All,
    /// The API server alone, against etcd
    Apiserver,
    /// Many watchers of one resource of the API server
    Watches,
    /// An API server that starts with many pods
    Scale,
    /// Pods, Services and memory in a lab of three nodes
    Cluster,
    /// How many instructions an operation of the API server is, by valgrind's callgrind; not part of everything
    Instructions,
    /// Which functions the API server uses, in their order, for the linker of releases; not part of everything
    Order,
}

/// Runs the measurements that the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Fails only when one is installed already, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(async {
        tokio::select! {
            measured = run(&cli) => measured,
            ended = told_to_end() => ended,
        }
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for a signal that ends the benchmark: what it measures is dropped then, and with it the processes it started.
async fn told_to_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    anyhow::bail!("ended by a signal before it was done")
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    if matches!(cli.which, Which::All | Which::Apiserver) {
        let rows = api::measure(cli.objects, cli.clients, cli.rounds).await?;
        table::print(&format!("API server, with {}", etcd::version()?), &rows);
    }
    if matches!(cli.which, Which::All | Which::Apiserver | Which::Watches) {
        let rows = watches::measure(cli.watchers, cli.events).await?;
        table::print("Watches", &rows);
    }
    if matches!(cli.which, Which::All | Which::Apiserver | Which::Scale) {
        let rows = scale::measure(cli.pods).await?;
        table::print("Scale", &rows);
    }
    if cli.which == Which::Instructions {
        let rows = instructions::measure(cli.objects, cli.clients).await?;
        table::print("Instructions of the API server", &rows);
    }
    if cli.which == Which::Order {
        print!("{}", instructions::order(cli.objects, cli.clients).await?);
    }
    if matches!(cli.which, Which::All | Which::Cluster) {
        let rows = cluster::measure().await?;
        table::print("Cluster", &rows);
    }
    Ok(())
}
