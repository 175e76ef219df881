//! The `wgrad` command, which is in the library beside this file.

fn main() -> std::process::ExitCode {
    wgrad_cli::run()
}
