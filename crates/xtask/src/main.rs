//! The project's one entry point: `cargo xtask <task>`.

mod cargo;
mod fuzz;
mod packages;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run, test and measure Magnetite")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a three-node cluster on this machine and wait until every node is Ready
    Up {
        /// Passed on to the lab: --name, --etcd-members, --api-port
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Remove every trace of the cluster
    Down {
        /// Passed on to the lab: --name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Look into a running lab: status, exec, unit
    Lab {
        /// The lab's own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Boot Debian machines with systemd, and look into them: up, exec, reboot, off, on, down
    Machines {
        /// The machines' own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every check and test: layers, formatting, lints, licences, unit, component and whole-cluster tests
    Test {
        /// Passed on to the test runner: filters and flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure a release build against the bar and print the table
    Bench {
        /// Passed on to the bench: which measurements
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feed every decoder of what comes from outside with inputs that nobody wrote, found by libFuzzer
    Fuzz(fuzz::Fuzz),
    /// Record the order in which the API server uses its functions, which the linker of releases follows
    Order,
    /// Make a release: Debian packages, an archive with an install script, checksums, a bill of materials
    Dist {
        /// Passed on to dist: --build, --debug, --out
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the Vagrant lab under QEMU, start to end, with the packages of a release: half an hour and more
    VagrantTest {
        /// Passed on to vagrant-test: --release, --work, --keep-box
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check that layers point one way, dependencies are used and files keep to the rules
    Tidy,
    /// Write the generated schema tables anew
    Codegen,
    /// Install the Debian packages that building and running need
    Packages,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Up { arguments } => {
            packages::install()?;
            cargo::build()?;
            cargo::program(cargo::Profile::Dev, "lab", "up", &arguments)
        }
        Task::Down { arguments } => {
            cargo::build_one("lab")?;
            cargo::program(cargo::Profile::Dev, "lab", "down", &arguments)
        }
        Task::Lab { arguments } => {
            let (verb, rest) =
                arguments.split_first().map_or(("--help", &[][..]), |(verb, rest)| (verb, rest));
            cargo::program(cargo::Profile::Dev, "lab", verb, rest)
        }
        Task::Machines { arguments } => {
            let (verb, rest) =
                arguments.split_first().map_or(("--help", &[][..]), |(verb, rest)| (verb, rest));
            if verb == "up" {
                packages::install()?;
                cargo::build()?;
            }
            cargo::program(cargo::Profile::Dev, "machines", verb, rest)
        }
        Task::Test { arguments } => {
            packages::install()?;
            packages::install_for_tests()?;
            tidy::check()?;
            cargo::formatted()?;
            cargo::lint()?;
            cargo::deny()?;
            cargo::build()?;
            cargo::test(&arguments)
        }
        Task::Bench { arguments } => {
            packages::install()?;
            if arguments.iter().any(|argument| argument == "instructions") {
                packages::install_for_counting()?;
            }
            // Labs are made by their program, which is looked for beside the one that measures.
            cargo::build_release(&["bench", "lab"])?;
            let newer = packages::newer_etcd(&cargo::root().join("target/etcd"))
                .inspect_err(|error| eprintln!("measuring with this machine's own etcd: {error:#}"));
            cargo::bench(newer.ok().as_deref(), &arguments)
        }
        Task::Order => {
            packages::install()?;
            packages::install_for_counting()?;
            cargo::build_release(&["bench"])?;
            cargo::record_order()
        }
        Task::Fuzz(wanted) => {
            packages::install()?;
            fuzz::run(&wanted)
        }
        Task::Dist { arguments } => {
            packages::install()?;
            if arguments.iter().any(|argument| argument == "--debug") {
                cargo::build()?;
            } else {
                cargo::build_release(&[])?;
            }
            cargo::program_alone(cargo::Profile::Dev, "dist", &arguments)
        }
        Task::VagrantTest { arguments } => {
            packages::install()?;
            packages::install_for_vagrant()?;
            cargo::build_one("vagrant-test")?;
            cargo::program_alone(cargo::Profile::Dev, "vagrant-test", &arguments)
        }
        Task::Tidy => tidy::check(),
        Task::Codegen => {
            packages::install()?;
            cargo::run(&["run", "--quiet", "--package", "codegen"])
        }
        Task::Packages => packages::install(),
    }
}
