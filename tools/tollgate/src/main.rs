//! `tollgate`: the one program. `engine` relays media, `control` speaks SIP and keeps the money, `demo` shows both at
//! work, and the rest is what an operator types.
#![forbid(unsafe_code)]

mod control;
mod demo;
mod engine;
mod explain;
mod live;
mod log;
mod operator;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Media and PSTN termination engine: relays the audio of every call, and bills every paid one exactly once.
///
/// Start with `tollgate demo`. To run a provider: make an account, a rate and a trunk, then start an engine and a
/// control. To put the engine behind a proxy that speaks NG (Kamailio, OpenSIPS), `tollgate engine` alone is enough.
#[derive(Parser)]
#[command(name = "tollgate", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Relay media, driven over the NG protocol by a SIP proxy or by `tollgate control`
    Engine(Box<engine::Options>),
    /// Speak SIP, hold and charge credit, drive engines, write call records
    Control(control::Options),
    /// Place one paid call through an engine and a control of its own, and show what it cost
    Demo(demo::Options),
    /// Make and see accounts
    Account(operator::Options<operator::account::Command>),
    /// Add credit to an account
    Credit(operator::Options<operator::credit::Command>),
    /// Make and see rates: what a call to a number costs
    Rate(operator::Options<operator::rate::Command>),
    /// Make and see trunks: where paid calls go
    Trunk(operator::Options<operator::trunk::Command>),
    /// See call records
    Cdr(operator::Options<operator::cdr::Command>),
    /// Check that the books balance
    Ledger(operator::Options<operator::ledger::Command>),
    /// Show what a saved NG message does to its description, line by line, and why
    Explain(explain::Options),
    /// See what a running engine does, live
    Top(live::top::Options),
    /// See the calls of a running engine, or one of them
    Calls(live::calls::Options),
    /// Print the version
    Version,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Engine(options) => engine::run(*options),
        Command::Control(options) => control::run(options),
        Command::Demo(options) => demo::run(options),
        Command::Account(options) => operator::account::run(options),
        Command::Credit(options) => operator::credit::run(options),
        Command::Rate(options) => operator::rate::run(options),
        Command::Trunk(options) => operator::trunk::run(options),
        Command::Cdr(options) => operator::cdr::run(options),
        Command::Ledger(options) => operator::ledger::run(options),
        Command::Explain(options) => explain::run(options),
        Command::Top(options) => live::top::run(options),
        Command::Calls(options) => live::calls::run(options),
        Command::Version => {
            println!("tollgate {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("tollgate: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
