//! `cargo xtask`: every developer command of bypassd, one file each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod archive;
mod bench;
mod build;
mod cargo;
mod command;
mod dist;
mod e2e;
mod fuzz;
mod image;
mod lint;
mod paths;
mod report;
mod run;
mod setup;
mod soak;
mod test;
mod toolchain;
mod vm;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every developer command of bypassd")]
enum Xtask {
    #[command(flatten)]
    Command(Command),
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need; silent when nothing is missing
    Setup(setup::Args),
    /// Build the daemon with its kernel programs inside, and print its path
    Build(build::Args),
    /// Set up, build and run the daemon
    Run(run::Args),
    /// Set up, then run every test: unit, native end-to-end, guests
    Test,
    /// Run the end-to-end tests in guests with other kernels
    Vm(vm::Args),
    /// Run the end-to-end tests on this machine
    E2e(e2e::Args),
    /// Build the container image, and print its path
    Image,
    /// Pack what is handed out, and print the archive's path
    Dist,
    /// Measure what the daemon costs, beside its budgets
    Bench(bench::Args),
    /// Work, attack and disturb the daemon for a long time, and account for all of it
    Soak(soak::Args),
    /// Give the code that reads hostile bytes many of them
    Fuzz(fuzz::Args),
    /// Check formatting, lints, kernel programs and dependencies
    Lint,
}

fn main() -> ExitCode {
    let Xtask::Command(command) = Xtask::parse();
    let result = match command {
        Command::Setup(args) => setup::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Test => test::run(),
        Command::Vm(args) => vm::run(&args),
        Command::E2e(args) => e2e::run(&args),
        Command::Image => image::run(),
        Command::Dist => dist::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Lint => lint::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
