//! A test runner with the words of the usual one, in one thread.

use std::panic::catch_unwind;
use std::process::ExitCode;

pub(crate) type Claim = (&'static str, fn());

pub(crate) fn run(claims: &[Claim], arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--list") {
        claims.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<&Claim> = claims
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())))
        .collect();
    println!("\nrunning {} tests", chosen.len());
    let mut failed = Vec::new();
    for (name, claim) in &chosen {
        let outcome = if catch_unwind(claim).is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {outcome}");
        if outcome == "FAILED" {
            failed.push(name);
        }
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let (passed, left_out) = (chosen.len() - failed.len(), claims.len() - chosen.len());
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; {left_out} filtered out\n",
        failed.len()
    );
    ExitCode::from(u8::from(!failed.is_empty()))
}
