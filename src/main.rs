//! Owns the process: one crypto provider and one allocator, then the command line.
//!
//! Never does anything else: `cli` does.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Both TLS and JWT use aws-lc-rs; an error means that it is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    countersign::cli::main()
}
