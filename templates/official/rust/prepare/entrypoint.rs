//! The function's program: written by the template, with the handler's name in it.

extern crate HANDLER as function;

/// Stand in for what the handler does not have: a name that `use function::*` brings goes
/// before one from outside of the block.
#[allow(dead_code)]
mod absent {
    pub async fn start() {}
    pub async fn ready() {}
    pub async fn stop() {}
}

#[allow(unused_imports)]
use absent::*;

#[allow(unused_imports)]
fn main() -> std::process::ExitCode {
    use function::*;
    fnb_entry::run(|request| handle(request), || start(), || ready(), || stop())
}
