//! The doorway of `push-client`: all else is in the library.

fn main() -> std::process::ExitCode {
    push_client::main()
}
